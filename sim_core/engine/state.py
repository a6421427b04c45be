"""The physical state of a batch of cells. Products in units, material in kg, cells last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import ORIGINS, Layout
from sim_core.engine.pipeline import Pipeline, add_up
from sim_core.engine.use_phase import UsePhase
from sim_core.network import ORDERED, LaneGroup, NodeKind

BY_CLASS = (
    LaneGroup.PURCHASE, LaneGroup.GOODS, LaneGroup.LATERAL, LaneGroup.RETURNS, LaneGroup.CORES, LaneGroup.REUSE,
    LaneGroup.REMAN_FEED, LaneGroup.REMAN_GOODS,
)  # fmt: skip
BY_PRODUCT = (LaneGroup.RECYCLE_FEED, LaneGroup.SCRAP, LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS)
MATERIAL = (LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.SECONDARY)
FEED_ORIGINS = 2  # of what recyclers process: post-consumer, manufacturing scrap


@dataclass(slots=True, kw_only=True)
class State:
    """All stocks. G goods points, C classes (or collectors, as said), R remanufacturers, Y recyclers, K markets."""

    use: UsePhase
    goods: NDArray[np.float64]  # (G, P, C, B)
    feed: NDArray[np.float64]  # (plants, M, ORIGINS, B) kg
    collected: NDArray[np.float64]  # (collectors, P, C, B)
    queue: NDArray[np.float64]  # (inspections, P, C, B) waiting for inspection
    cores: NDArray[np.float64]  # (R, P, C, B) recoverable
    second_life: NDArray[np.float64]  # (markets for it, P, B) in second use
    recycler_feed: NDArray[np.float64]  # (Y, P, FEED_ORIGINS, B)
    backlog: NDArray[np.float64]  # (K, P, B) demand that waits
    owed: NDArray[np.float64]  # (plants, P, B) what plants were asked for last and could not fill
    pipes: dict[LaneGroup, Pipeline]
    requests: dict[LaneGroup, Pipeline]  # orders on their way to the sender, where information takes time
    history: NDArray[np.float64]  # (periods, K, P, B) demand of the last periods, for moving averages
    forecast: NDArray[np.float64]  # (K, P, B) demand that markets expect
    at_goods: NDArray[np.float64]  # (G, P, B) the demand that each goods point expects by it
    returns_forecast: NDArray[np.float64]  # (collectors, P, B) smoothed collection

    def expect(self, layout: Layout) -> None:
        """Pass the markets' forecast on to goods points, downstream first."""
        self.at_goods = goods_forecast(layout, self.forecast)

    @property
    def plant_forecast(self) -> NDArray[np.float64]:
        """The demand that each plant expects, (plants, P, B)."""
        return self.at_goods[: self.feed.shape[0]]

    def product(self) -> NDArray[np.float64]:
        """Return all units in the system that are not with users, scrap included: (P, B)."""
        total = self.second_life.sum(axis=0) + self.recycler_feed.sum(axis=(0, 2))
        for stock in (self.goods, self.collected, self.queue, self.cores):
            total = total + stock.sum(axis=(0, 2))
        for group in BY_CLASS:
            total = total + self.pipes[group].on_lanes().sum(axis=(0, 2))
        for group in BY_PRODUCT:
            total = total + self.pipes[group].on_lanes().sum(axis=0)
        return total

    def loose_material(self) -> NDArray[np.float64]:
        """Return all material in the system that is not in products, in kg: (M, B)."""
        total = self.feed.sum(axis=(0, 2)) + self.pipes[LaneGroup.SECONDARY].on_lanes().sum(axis=(0, 2))
        for group in (LaneGroup.VIRGIN, LaneGroup.EXTERNAL):
            total = total + self.pipes[group].on_lanes().sum(axis=0)
        return total


def initial_state(layout: Layout, demand: NDArray[np.float64]) -> State:
    """Return the state at the start: a month's forecast of goods and feed in stock, virgin and goods lanes filled.

    demand: (K, P, B) of the first period, units.
    """
    count, cells = layout.count, demand.shape[-1]
    products, classes, materials = len(layout.products.archetypes), layout.products.classes, len(layout.facts.materials)

    def empty(*shape: int) -> NDArray[np.float64]:
        return np.zeros((*shape, cells))

    by_class = (products, classes)
    at_goods = goods_forecast(layout, demand)
    state = State(
        use=UsePhase(layout, demand),
        goods=empty(len(layout.goods), *by_class),
        feed=empty(layout.plants, materials, len(ORIGINS)),
        collected=empty(count[NodeKind.COLLECTOR], *by_class),
        queue=empty(count[NodeKind.INSPECTION], *by_class),
        cores=empty(count[NodeKind.REMANUFACTURER], *by_class),
        second_life=empty(count[NodeKind.SECOND_LIFE], products),
        recycler_feed=empty(count[NodeKind.RECYCLER], products, FEED_ORIGINS),
        backlog=empty(count[NodeKind.MARKET], products),
        owed=empty(layout.plants, products),
        pipes=_pipes(layout, cells),
        requests=_requests(layout, cells),
        history=np.repeat(demand[None], layout.suite.forecast.periods, axis=0),
        forecast=demand.copy(),
        at_goods=at_goods,
        returns_forecast=empty(count[NodeKind.COLLECTOR], products),
    )
    state.goods[:, :, 0] += at_goods
    need = (at_goods[: layout.plants, :, None] * layout.products.bom[:, :, None]).sum(axis=1)
    state.feed[:, :, 0] += need
    goods, virgin = layout.lanes[LaneGroup.GOODS], layout.lanes[LaneGroup.VIRGIN]
    sent = np.zeros((goods.count, *by_class, cells))
    sent[:, :, 0] = goods.share[:, None, None] * at_goods[goods.receiver + layout.plants]
    _fill(state.pipes[LaneGroup.GOODS], goods.lead, sent)
    _fill(state.pipes[LaneGroup.VIRGIN], virgin.lead, virgin.share[:, None, None] * need[virgin.receiver])
    return state


def _fill(pipe: Pipeline, lead: NDArray[np.intp], each: NDArray[np.float64]) -> None:
    """Fill lanes with what would have been sent in the last periods, `each` a period: arrivals start in period 0."""
    longest = int(lead.max(initial=0))
    for t in range(longest):
        under_way = (t >= longest - lead).reshape(-1, *([1] * (each.ndim - 1)))
        pipe.send(t - longest, each * under_way)


def goods_forecast(layout: Layout, forecast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the demand that each goods point expects, (G, P, B), from the markets' (K, P, B): its own and below."""
    sales, lanes = layout.lanes[LaneGroup.SALES], layout.lanes[LaneGroup.GOODS]
    expected = add_up(sales.to_sender, sales.share[:, None, None] * forecast[sales.receiver])
    for level in range(1, int(layout.level.max(initial=0)) + 1):
        passed = add_up(lanes.to_sender, lanes.share[:, None, None] * expected[lanes.receiver + layout.plants])
        above = layout.level == level
        expected[above] += passed[above]
    return expected


def _pipes(layout: Layout, cells: int) -> dict[LaneGroup, Pipeline]:
    products, materials = len(layout.products.archetypes), len(layout.facts.materials)
    cargo: dict[LaneGroup, tuple[int, ...]] = {
        **dict.fromkeys(BY_CLASS, (products, layout.products.classes)),
        **dict.fromkeys(BY_PRODUCT, (products,)),
        LaneGroup.VIRGIN: (materials,),
        LaneGroup.EXTERNAL: (materials,),
        LaneGroup.SECONDARY: (materials, FEED_ORIGINS),
    }
    return {group: Pipeline(layout.lanes[group], layout.lanes[group].lead, c, cells) for group, c in cargo.items()}


def _requests(layout: Layout, cells: int) -> dict[LaneGroup, Pipeline]:
    products, materials = len(layout.products.archetypes), len(layout.facts.materials)
    return {
        group: Pipeline(
            layout.lanes[group],
            layout.lanes[group].information,
            (products,) if group.cargo == "product" else (materials,),
            cells,
        )
        for group in ORDERED
        if layout.lanes[group].information.any()
    }
