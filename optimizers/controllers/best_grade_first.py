"""best_grade_first: every returned unit to the most valuable use that it is fit for, as much as there is room for.

Reuse before second life before remanufacture before recycling: the order of the waste hierarchy (Directive 2008/98/EC,
article 4) and of grading by quality (Galbreth and Blackburn 2006). Cores that wait for capacity are kept, not recycled;
feed that waits is kept, not landfilled. Nothing is looked at but quality: neither law nor cost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optimizers.controllers.covers import STOCKS, Steady, covered, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, U
from sim_core.network import NodeKind

KIND = "best_grade_first"


def best_grade_first_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice for goods."""
    return usual_covers(layout, STOCKS)


def best_grade_first_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers: recovery at full, S by the parameters. Raises ModelError as read_parameters."""
    values = read_parameters(KIND, items, best_grade_first_defaults(layout))
    targets = covered(layout, values, len(items))
    for kind in (NodeKind.REMANUFACTURER, NodeKind.RECYCLER):
        targets[M, layout.targets[kind]] = targets[U, layout.targets[kind]] = 1.0
    return Steady(layout, targets)
