"""s_S: a reorder point s and an order-up-to level S: nothing is ordered while the position lies between the two.

Optimal where each order costs something beside what is ordered (Scarf 1960; Iglehart 1963). Orders are placed at the
end of a period; the review at its start looks at the position less the period's expected demand. A plant reviews its
position before it produces, and keeps a base-stock level if it buys feed, since S orders its feed too. A review decides
for its whole epoch: give the suite epoch_months 1 for an (s,S) rule by the month.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.covers import COVERS, covered, order_months, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.settings import S
from sim_core.engine.situation import Situation, situation_of
from sim_core.network import LaneGroup

KIND = "s_S"
REORDER = "reorder"
_USUAL_REORDER = 0.8  # of S (assumption)


def reorder_point_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice for S, and s at 0.8 of S."""
    return {**usual_covers(layout, COVERS), REORDER: _USUAL_REORDER}


class ReorderPoint:
    """B controllers. The covers as of compliance_base_stock; reorder: s as a share of S."""

    def __init__(self, layout: Layout, items: Sequence[Mapping[str, Any]]) -> None:
        """Raises ModelError as read_parameters."""
        values = read_parameters(KIND, items, reorder_point_defaults(layout))
        self._layout = layout
        self._reorder = values[REORDER]
        self._targets = covered(layout, values, len(items))
        self._levers = np.zeros((len(layout.suite.levers), len(items)))
        self._always = np.zeros(len(layout.goods), dtype=bool)
        for group in (LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.SECONDARY):
            self._always[layout.lanes[group].receiver] = True

    def decide(self, observation: Observation) -> Control:
        """Set S where some product's position will be at s or below, else 0. Raises ModelError without a state."""
        situation = situation_of(observation, KIND)
        targets = self._targets.copy()
        low = self._is_low(situation, targets[S, self._layout.goods]) | self._always[:, None]
        targets[S, self._layout.goods] *= low
        return Control(targets=targets, levers=self._levers)

    def _is_low(self, situation: Situation, share: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell of each goods point whether it is to order, (G, B). share: S as it would be set."""
        layout = self._layout
        expected = situation.state.at_goods[..., situation.cells]
        usual = layout.suite.max_cover * order_months(layout)[:, None, None] * expected
        own = layout.absolute[S, layout.goods][:, None, None]
        level = share[:, None] * np.where(np.isnan(own), usual, own)
        orders_after = (np.arange(len(layout.goods)) >= layout.plants)[:, None, None]
        position = situation.position() - orders_after * expected
        return np.any((position <= self._reorder * level) & (level > 0.0), axis=1)
