"""Covers: the few numbers that set a kind of target everywhere, and controllers whose targets never change."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.base_stock import base_stock_target
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.engine.state import goods_forecast
from sim_core.generate.paths import mean_demand
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR, parse_month

Array = NDArray[np.float64]
# The targets that each cover sets, and on which kinds of node.
COVERS: Mapping[str, tuple[tuple[NodeKind, int], ...]] = {
    "plant_cover": ((NodeKind.PLANT, S),),
    "warehouse_cover": ((NodeKind.WAREHOUSE, S),),
    "recycled_cover": ((NodeKind.PLANT, M),),
    "reman_cover": ((NodeKind.REMANUFACTURER, M),),
    "keep_cover": ((NodeKind.REMANUFACTURER, U), (NodeKind.RECYCLER, U)),
}
STOCKS = ("plant_cover", "warehouse_cover")
RECOVERY = ("recycled_cover", "reman_cover", "keep_cover")
_FIRST_YEAR = 2026  # of the catalogue's demand trends


def usual_covers(layout: Layout, names: Iterable[str] = COVERS) -> dict[str, float]:
    """Return covers by base-stock practice, in [0, 1]."""
    return {name: base_stock_target(layout, *COVERS[name][0]) for name in names}


def covered(layout: Layout, values: Mapping[str, Array], cells: int) -> Array:
    """Return targets (3, N, B) for B = `cells` controllers: full recovery, and covers as given, else as is practice.

    values: covers by name, (B,) each; names that are no covers are left to the caller.
    """
    targets = np.zeros((3, len(layout.network.nodes), cells))
    for name, usual in usual_covers(layout).items():
        for kind, target in COVERS[name]:
            targets[target, layout.targets[kind]] = values.get(name, usual)
    for kind in (NodeKind.INSPECTION, NodeKind.RECYCLER):
        targets[M, layout.targets[kind]] = 1.0
    targets[U, layout.targets[NodeKind.PLANT]] = base_stock_target(layout, NodeKind.PLANT, U)
    return targets


class Steady:
    """B controllers whose targets (3, N, B) never change, with all levers off."""

    def __init__(self, layout: Layout, targets: Array) -> None:
        self._control = Control(targets=targets, levers=np.zeros((len(layout.suite.levers), targets.shape[-1])))

    def decide(self, observation: Observation) -> Control:  # noqa: ARG002, the same whatever is seen
        """Return the targets."""
        return self._control


def expected_at_goods(layout: Layout) -> Array:
    """Return the demand that goods points may expect before anything is seen, units a period, (G, P).

    A market's own process counts with its mean; the others share the trend at the suite's start evenly.
    """
    products = layout.products
    years = parse_month(layout.suite.start) / MONTHS_PER_YEAR - _FIRST_YEAR
    trend = products.share * np.array([float(mean_demand(one, years)) for one in products.archetypes])
    expected = layout.market_share * trend
    for row, node in enumerate(layout.targets[NodeKind.MARKET]):
        process = layout.network.nodes[node].demand
        if process is not None:
            expected[row] = process.expected * products.share
    return goods_forecast(layout, expected[..., None])[..., 0]


def order_months(layout: Layout) -> Array:
    """Return the periods of demand that S covers at a target of 1 over max_cover, (G,): a warehouse's mean lead time.

    At a plant, which makes up to S within the period, one.
    """
    months = np.ones(len(layout.goods))
    lead = np.zeros(len(layout.goods) - layout.plants)
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE):
        lanes = layout.lanes[group]
        lead += lanes.to_receiver @ (lanes.share * (lanes.lead + lanes.information))
    months[layout.plants :] = lead
    return months
