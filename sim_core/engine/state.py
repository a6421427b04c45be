"""The physical state of a batch of cells. Product in kWh, material in kg, cells last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import LIVES, ORIGINS, Layout
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.use_phase import UsePhase
from sim_core.network import LaneGroup, NodeKind

PRODUCT_CARGO: dict[LaneGroup, tuple[int, ...]] = {
    LaneGroup.GOODS: (),
    LaneGroup.RETURNS: (LIVES,),
    LaneGroup.CORES: (LIVES,),
    LaneGroup.REMAN_FEED: (LIVES,),
    LaneGroup.RECYCLE_FEED: (),
    LaneGroup.SCRAP: (),
    LaneGroup.REJECTS: (),
    LaneGroup.REMAN_GOODS: (LIVES,),
    LaneGroup.SECOND_LIFE_RETURNS: (),
}


@dataclass(slots=True, kw_only=True)
class State:
    """All stocks. P plants, W warehouses, C collectors, I inspections, R remanufacturers, Y recyclers, B cells."""

    use: UsePhase
    plant_goods: NDArray[np.float64]  # (P, B) new goods
    feed: NDArray[np.float64]  # (P, M, ORIGINS, B) kg
    goods: NDArray[np.float64]  # (W, LIVES, B)
    collected: NDArray[np.float64]  # (C, LIVES, B)
    queue: NDArray[np.float64]  # (I, LIVES, B) waiting for inspection
    cores: NDArray[np.float64]  # (R, LIVES, B) recoverable
    second_life: NDArray[np.float64]  # (1, B) in second use
    recycler_feed: NDArray[np.float64]  # (Y, 2, B) post-consumer, manufacturing scrap
    pipes: dict[LaneGroup, Pipeline]
    forecast: NDArray[np.float64]  # (K, B) smoothed demand
    at_warehouse: NDArray[np.float64]  # (W, B) the demand that each warehouse expects by that forecast
    at_plant: NDArray[np.float64]  # (P, B) the demand that each plant expects by it
    returns_forecast: NDArray[np.float64]  # (C, B) smoothed collection

    def expect(self, layout: Layout) -> None:
        """Pass the markets' forecast on to warehouses and plants."""
        self.at_warehouse = warehouse_forecast(layout, self.forecast)
        self.at_plant = plant_forecast(layout, self.at_warehouse)

    def product(self) -> NDArray[np.float64]:
        """Return all product mass in the system, scrap included, in kWh: (B,)."""
        stocks = (
            self.plant_goods,
            self.goods,
            self.collected,
            self.queue,
            self.cores,
            self.second_life,
            self.recycler_feed,
        )
        total = self.use.total()
        for stock in stocks:
            total = total + _over_nodes(stock)
        for group in PRODUCT_CARGO:
            total = total + self.pipes[group].total()
        return total

    def loose_material(self) -> NDArray[np.float64]:
        """Return all material in the system that is not in products, in kg: (M, B)."""
        total = self.feed.sum(axis=(0, 2))
        total = total + self.pipes[LaneGroup.VIRGIN].on_lanes().sum(axis=0)
        total = total + self.pipes[LaneGroup.EXTERNAL].on_lanes().sum(axis=0)
        return total + self.pipes[LaneGroup.SECONDARY].on_lanes().sum(axis=(0, 2))


def initial_state(layout: Layout, use: UsePhase, demand: NDArray[np.float64]) -> State:
    """Return the state at the start: a month's forecast of goods and feed in stock, virgin and goods lanes filled.

    demand: (B,) the region's demand in the first period, kWh.
    """
    count, cells = layout.count, len(demand)
    materials = len(layout.bom)
    forecast = layout.market_share[:, None] * demand
    at_warehouse = warehouse_forecast(layout, forecast)
    at_plant = plant_forecast(layout, at_warehouse)
    state = State(
        use=use,
        plant_goods=np.zeros((count[NodeKind.PLANT], cells)),
        feed=np.zeros((count[NodeKind.PLANT], materials, len(ORIGINS), cells)),
        goods=np.zeros((count[NodeKind.WAREHOUSE], LIVES, cells)),
        collected=np.zeros((count[NodeKind.COLLECTOR], LIVES, cells)),
        queue=np.zeros((count[NodeKind.INSPECTION], LIVES, cells)),
        cores=np.zeros((count[NodeKind.REMANUFACTURER], LIVES, cells)),
        second_life=np.zeros((count[NodeKind.SECOND_LIFE], cells)),
        recycler_feed=np.zeros((count[NodeKind.RECYCLER], 2, cells)),
        pipes=_pipes(layout, cells),
        forecast=forecast,
        at_warehouse=at_warehouse,
        at_plant=at_plant,
        returns_forecast=np.zeros((count[NodeKind.COLLECTOR], cells)),
    )
    goods, virgin = layout.lanes[LaneGroup.GOODS], layout.lanes[LaneGroup.VIRGIN]
    state.goods[:, 0] += at_warehouse
    state.plant_goods += at_plant
    need = at_plant[:, None, :] * layout.bom[None, :, None]
    state.feed[:, :, 0] += need
    for t in range(int(goods.lead.max())):
        sent = goods.share[:, None] * at_warehouse[goods.receiver]
        state.pipes[LaneGroup.GOODS].send(
            t - int(goods.lead.max()), sent * (t >= goods.lead.max() - goods.lead)[:, None]
        )
    for t in range(int(virgin.lead.max())):
        sent = virgin.share[:, None, None] * need[virgin.receiver]
        state.pipes[LaneGroup.VIRGIN].send(
            t - int(virgin.lead.max()), sent * (t >= virgin.lead.max() - virgin.lead)[:, None, None]
        )
    return state


def warehouse_forecast(layout: Layout, forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the demand that each warehouse expects, (W, B), from the markets' (K, B)."""
    sales = layout.lanes[LaneGroup.SALES]
    expected = (sales.share[:, None] * forecast[sales.receiver]).reshape(sales.count, -1)
    return sales.to_sender @ expected


def plant_forecast(layout: Layout, at_warehouse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the demand that each plant expects, (P, B), from the warehouses' (W, B)."""
    goods = layout.lanes[LaneGroup.GOODS]
    return goods.to_sender @ (goods.share[:, None] * at_warehouse[goods.receiver])


def _pipes(layout: Layout, cells: int) -> dict[LaneGroup, Pipeline]:
    materials = (len(layout.bom),)
    cargo: dict[LaneGroup, tuple[int, ...]] = {
        **PRODUCT_CARGO,
        LaneGroup.VIRGIN: materials,
        LaneGroup.EXTERNAL: materials,
        LaneGroup.SECONDARY: (*materials, 2),
    }
    return {group: Pipeline(layout.lanes[group], shape, cells) for group, shape in cargo.items()}


def _over_nodes(stock: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add a stock (n, ..., B) up to (B,), in a fixed order."""
    return stock.reshape(-1, stock.shape[-1]).sum(axis=0)
