"""push: cores are remanufactured as they come, and disposed of while there are goods enough.

PUSH with disposal (van der Laan and Salomon 1997, European Journal of Operational Research 102, 264-278): no core waits
for demand. Their batches save set-ups, which cost nothing in this model, so that a batch is one period's returns; the
level above which they dispose is here the level up to which remanufacture may fill the stock of goods.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optimizers.controllers.covers import STOCKS, Steady, covered, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, U
from sim_core.network import NodeKind

KIND = "push"
DISPOSE_ABOVE = "dispose_above"
_USUAL_COVER = 3.0  # multiples of forecast lead-time demand (assumption): twice the usual M


def push_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice, and remanufacture of all that comes until goods cover three lead times."""
    return {**usual_covers(layout, STOCKS), DISPOSE_ABOVE: min(1.0, _USUAL_COVER / layout.suite.max_cover)}


def push_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers. Raises ModelError as read_parameters.

    plant_cover, warehouse_cover: S. dispose_above: M at remanufacturers, where U is 0.
    """
    values = read_parameters(KIND, items, push_defaults(layout))
    targets = covered(layout, values, len(items))
    shops = layout.targets[NodeKind.REMANUFACTURER]
    targets[M, shops], targets[U, shops] = values[DISPOSE_ABOVE], 0.0
    return Steady(layout, targets)
