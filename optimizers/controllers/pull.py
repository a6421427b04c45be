"""pull: cores wait until goods fall below their order-up-to level; those above a level are disposed of.

PULL with disposal (van der Laan and Salomon 1997, European Journal of Operational Research 102, 264-278): stock is kept
as cores, which cost less to hold than goods. With batches of one (set-ups cost nothing in this model) the level that
starts a remanufacture and the level it fills up to are one: what makes the order for new goods unnecessary. It is the
(S,M,U) rule whose M follows from S, with two numbers to tune in place of three.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optimizers.controllers.covers import STOCKS, Steady, covered, expected_at_goods, order_months, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.pipeline import add_up
from sim_core.engine.settings import M, S, U
from sim_core.network import LaneGroup, NodeKind

KIND = "pull"
DISPOSE_ABOVE = "dispose_above"


def pull_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice; cores are kept up to its U."""
    usual = usual_covers(layout, (*STOCKS, "keep_cover"))
    return {**{name: usual[name] for name in STOCKS}, DISPOSE_ABOVE: usual["keep_cover"]}


def pull_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers. Raises ModelError as read_parameters.

    plant_cover, warehouse_cover: S, and with it M. dispose_above: U at remanufacturers.
    """
    values = read_parameters(KIND, items, pull_defaults(layout))
    targets = covered(layout, values, len(items))
    shops = layout.targets[NodeKind.REMANUFACTURER]
    targets[M, shops] = _pulled(layout, targets[S, layout.goods])
    targets[U, shops] = values[DISPOSE_ABOVE]
    return Steady(layout, targets)


def _pulled(layout: Layout, stock: np.ndarray) -> np.ndarray:
    """Return M of each remanufacturer, (R, B), from S of the goods points, (G, B): the level that leaves no order.

    A plant makes up to S before the period's demand. A warehouse orders up to S after it, so M adds one period's. Of
    several goods points, the mean by the remanufacturer's shares.
    """
    suite, lanes = layout.suite, layout.lanes[LaneGroup.REMAN_GOODS]
    expected = expected_at_goods(layout).sum(axis=1)
    after = np.arange(len(layout.goods)) >= layout.plants
    most = layout.absolute[S, layout.goods]
    full = np.where(np.isnan(most), suite.max_cover * order_months(layout) * expected, most)
    level = (stock * full[:, None] + (after * expected)[:, None])[lanes.receiver]
    own = layout.absolute[M, layout.targets[NodeKind.REMANUFACTURER]][lanes.sender]
    usual = suite.max_cover * (lanes.lead + 1.0) * expected[lanes.receiver]
    scale = np.where(np.isnan(own), usual, own)[:, None]
    share = np.divide(level, scale, out=np.zeros_like(level), where=scale > 0.0)
    return np.minimum(1.0, add_up(lanes.to_sender, lanes.share[:, None] * share))
