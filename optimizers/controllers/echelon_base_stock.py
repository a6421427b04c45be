"""echelon_base_stock: each goods point's level counts its own stock and all stock below it.

Optimal for serial systems (Clark and Scarf 1960, Management Science 6, 475-490). Echelon levels S_j become local ones
by S'_j = min of S_i over j and all stages above it, and then local S_j = S'_j - S'_(j-1) of the stage below: a stage
can't hold its echelon higher than those above it hold theirs. Where a network branches, a point covers its share of
the echelons below it, and points that share an upstream level that is too low are cut in proportion.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.base_stock import base_stock_target
from optimizers.controllers.covers import (
    RECOVERY,
    Steady,
    covered,
    expected_at_goods,
    order_months,
    usual_covers,
)
from optimizers.controllers.parameters import read_parameters
from optimizers.controllers.schedule import searched_targets
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.settings import S
from sim_core.network import LaneGroup

KIND = "echelon_base_stock"
Array = NDArray[np.float64]


def echelon_defaults(layout: Layout) -> dict[str, float]:
    """Return the echelon levels of base-stock practice, by node or kind as in a search, and usual recovery covers."""
    kinds = [layout.network.nodes[node].kind for node in layout.goods]
    local = np.array([base_stock_target(layout, kind, S) for kind in kinds])[:, None] * _local_scale(layout)[:, None]
    most = _echelon_scale(layout)
    share = np.minimum(1.0, _divide(_with_below(layout, local)[:, 0], most))
    usual = {name: float(share[rows].max()) for name, rows in _places(layout).items()}
    return {**usual, **usual_covers(layout, RECOVERY)}


def echelon_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers. Raises ModelError as read_parameters.

    "node.S" or "kind.S": an echelon level, as a share of the node's max_target or of max_cover months of demand for
    each month of lead time from the point's supplier down to its markets. The other parameters: covers of recovery.
    """
    values = read_parameters(KIND, items, echelon_defaults(layout))
    shares = np.zeros((len(layout.goods), len(items)))
    for name, rows in _places(layout).items():
        shares[rows] = values[name]
    local = local_levels(layout, shares * _echelon_scale(layout)[:, None])
    targets = covered(layout, values, len(items))
    targets[S, layout.goods] = np.minimum(1.0, _divide(local, _local_scale(layout)[:, None]))
    return Steady(layout, targets)


def local_levels(layout: Layout, echelon: Array) -> Array:
    """Return local order-up-to levels, units, from echelon levels (G, B), units."""
    lanes = layout.lanes[LaneGroup.GOODS]
    receiver = lanes.receiver + layout.plants
    held = echelon.copy()
    for level in range(int(layout.level.max(initial=0)), 0, -1):  # from the top down
        below = lanes.to_sender @ (lanes.share[:, None] * echelon[receiver])
        kept = np.where(below > held, _divide(held, below), 1.0)
        for point in np.flatnonzero(layout.level == level - 1):
            mine = np.flatnonzero(receiver == point)
            if len(mine):
                held[point] = echelon[point] * (lanes.share[mine, None] * kept[lanes.sender[mine]]).sum(axis=0)
    return np.maximum(0.0, held - lanes.to_sender @ (lanes.share[:, None] * held[receiver]))


def _with_below(layout: Layout, local: Array) -> Array:
    """Return echelon levels (G, B), units, from local ones: from the bottom up."""
    lanes = layout.lanes[LaneGroup.GOODS]
    total = local.copy()
    for level in range(1, int(layout.level.max(initial=0)) + 1):
        below = lanes.to_sender @ (lanes.share[:, None] * total[lanes.receiver + layout.plants])
        here = layout.level == level
        total[here] = local[here] + below[here]
    return total


def _echelon_scale(layout: Layout) -> Array:
    """Return what an echelon level of 1 means, units, (G,)."""
    lanes, months = layout.lanes[LaneGroup.GOODS], order_months(layout)
    longest = months.copy()
    for level in range(1, int(layout.level.max(initial=0)) + 1):
        for sender, receiver in zip(lanes.sender, lanes.receiver + layout.plants, strict=True):
            if layout.level[sender] == level:
                longest[sender] = max(longest[sender], months[sender] + longest[receiver])
    return _scale(layout, longest)


def _local_scale(layout: Layout) -> Array:
    """Return what a target S of 1 means, units, (G,)."""
    return _scale(layout, order_months(layout))


def _scale(layout: Layout, months: Array) -> Array:
    own = layout.absolute[S, layout.goods]
    usual = layout.suite.max_cover * months * expected_at_goods(layout).sum(axis=1)
    return np.where(np.isnan(own), usual, own)


def _places(layout: Layout) -> dict[str, list[int]]:
    """Return which goods points (rows) each parameter sets."""
    row = {int(node): i for i, node in enumerate(layout.goods)}
    return {
        name: [row[node] for node in nodes]
        for name, (target, nodes) in searched_targets(layout).items()
        if target == S and nodes[0] in row
    }


def _divide(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0.0)
