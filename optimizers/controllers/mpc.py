"""mpc: at each review the linear programme of the coming months is solved anew and its first epoch is acted on.

Rolling-horizon control (Rawlings, Mayne and Diehl, Model Predictive Control, 2nd ed. 2017) with the whole model, levers
and law in the programme (optimizers/controllers/planning.py), under one of four views of what is to come
(optimizers/controllers/views.py). The horizon ends with the scored months at the latest; what is there then is worth
its terminal value. Months of warm-up are planned like any other. Covers and the margin say how a plan is acted out
(optimizers/controllers/acting.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizers.controllers.acting import acting_defaults, control_of
from optimizers.controllers.covers import covered
from optimizers.controllers.parameters import read_parameters
from optimizers.controllers.planning import Array, Plan, outlook_of, plan_of
from optimizers.controllers.views import VIEWS, terms_ahead
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.situation import Situation, situation_of
from sim_core.errors import ModelError

KIND = "mpc"
DEFAULT_VIEW, DEFAULT_HORIZON = "announced", 48
_MOST_HORIZON = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """What plans for a cell. plan: of a situation, an engine cell and the period that the horizon ends before.

    Planners of equal names plan equally.
    """

    name: str
    horizon: int
    plan: Callable[[Situation, int, int], Plan]


class RollingHorizon:
    """B controllers that plan anew at each review. Cells of one scenario that plan and act equally do so once."""

    def __init__(
        self, kind: str, layout: Layout, planners: Sequence[Planner], styles: Sequence[Mapping[str, float]]
    ) -> None:
        """planners, styles: how each cell plans, and acts."""
        self._kind, self._layout, self._planners, self._styles = kind, layout, planners, styles

    def decide(self, observation: Observation) -> Control:
        """Plan, and return the control that acts like the plan. Raises ModelError without a state or a solution."""
        situation = situation_of(observation, self._kind)
        layout, cells = self._layout, len(self._planners)
        targets = covered(layout, {}, cells)
        levers = np.zeros((len(layout.suite.levers), cells))
        end = layout.suite.warm_up + layout.suite.scored
        known: dict[tuple[Any, ...], tuple[Array, Array]] = {}
        for place, planner in enumerate(self._planners if situation.t < end else ()):
            cell, style = int(situation.cells[place]), self._styles[place]
            key = int(situation.rows[cell]), planner.name, *style.values()
            if key not in known:
                plan = planner.plan(situation, cell, min(end, situation.t + planner.horizon))
                known[key] = control_of(plan, layout, style)
            targets[..., place], levers[:, place] = known[key]
        return Control(targets=targets, levers=levers)


def mpc_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> RollingHorizon:
    """Return B controllers. view: one of VIEWS, horizon: months; covers and margin, see acting_defaults.

    Raises ModelError for anything else.
    """
    planners: list[Planner] = []
    for item in items:
        view, horizon = item.get("view", DEFAULT_VIEW), read_horizon(KIND, item)
        if view not in VIEWS:
            raise ModelError(f"controller {KIND}: view must be one of {list(VIEWS)}, not {view!r}")
        planners.append(Planner(name=f"{view} {horizon}", horizon=horizon, plan=_planner(view)))
    return RollingHorizon(KIND, layout, planners, read_styles(KIND, layout, items, beside=("view", "horizon")))


def read_styles(
    kind: str, layout: Layout, items: Sequence[Mapping[str, Any]], *, beside: Sequence[str]
) -> list[dict[str, float]]:
    """Return the parameters of acting of B controllers. beside: names of others. Raises ModelError for unknown ones."""
    acting = [{name: value for name, value in item.items() if name not in beside} for item in items]
    values = read_parameters(kind, acting, acting_defaults(layout))
    return [{name: float(value[i]) for name, value in values.items()} for i in range(len(items))]


def read_horizon(kind: str, item: Mapping[str, Any]) -> int:
    """Return the months that are planned. Raises ModelError unless they are a whole number from 1 to 240."""
    value = item.get("horizon", DEFAULT_HORIZON)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or not 1 <= value <= _MOST_HORIZON:
        raise ModelError(f"controller {kind}: horizon must be a whole number of months from 1 to {_MOST_HORIZON}")
    return int(value)


def _planner(view: str) -> Callable[[Situation, int, int], Plan]:
    def plan(situation: Situation, cell: int, last: int) -> Plan:
        return plan_of(outlook_of(situation, cell, terms_ahead(situation, cell, view, last), last))

    return plan
