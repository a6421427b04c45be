"""Controllers under test, one a file, and the registry that builds a batch of them from records."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from optimizers.controllers.best_grade_first import best_grade_first_controller, best_grade_first_defaults
from optimizers.controllers.compliance_base_stock import ComplianceBaseStock, default_parameters
from optimizers.controllers.compliance_greedy import ComplianceGreedy, compliance_greedy_defaults
from optimizers.controllers.dynamic_programme import DynamicProgramme
from optimizers.controllers.echelon_base_stock import echelon_controller, echelon_defaults
from optimizers.controllers.fixed_base_stock import fixed_schedule
from optimizers.controllers.linear import linear_schedule
from optimizers.controllers.local_base_stock import local_base_stock_controller, local_base_stock_defaults
from optimizers.controllers.mpc import mpc_controller
from optimizers.controllers.pull import pull_controller, pull_defaults
from optimizers.controllers.push import push_controller, push_defaults
from optimizers.controllers.reorder_point import ReorderPoint, reorder_point_defaults
from optimizers.controllers.schedule import schedule_from_record
from optimizers.controllers.smu import smu_controller, smu_defaults
from optimizers.controllers.two_stage import two_stage_controller
from sim_core.control import Control, Controller, ControllerRecord, Observation, ScheduleBatch
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError

_BUILDERS: dict[str, Callable[[Layout, Sequence[dict[str, Any]]], Controller]] = {
    "base_stock": lambda layout, items: ScheduleBatch([fixed_schedule(layout, item) for item in items]),
    "linear": lambda layout, items: ScheduleBatch([linear_schedule(layout, item) for item in items]),
    "local_base_stock": local_base_stock_controller,
    "s_S": ReorderPoint,
    "echelon_base_stock": echelon_controller,
    "push": push_controller,
    "pull": pull_controller,
    "smu": smu_controller,
    "best_grade_first": best_grade_first_controller,
    "compliance_base_stock": ComplianceBaseStock,
    "compliance_greedy": ComplianceGreedy,
    "dynamic_programme": DynamicProgramme,
    "mpc": mpc_controller,
    "two_stage": two_stage_controller,
    "schedule": lambda layout, items: ScheduleBatch([schedule_from_record(layout, item) for item in items]),
}
KINDS = tuple(_BUILDERS)
# Those that plan from the state of the simulation, which the NumPy engine alone shows.
NEEDS_STATE = frozenset({"s_S", "compliance_greedy", "dynamic_programme", "mpc", "two_stage"})
# Those that solve a programme of their own at each review: a run takes seconds to minutes.
PLANS = frozenset({"mpc", "two_stage"})
# Of those with named parameters in [0, 1]: the names, and the values by practice that a search starts from.
TUNABLE: Mapping[str, Callable[[Layout], dict[str, float]]] = {
    "local_base_stock": local_base_stock_defaults,
    "s_S": reorder_point_defaults,
    "echelon_base_stock": echelon_defaults,
    "push": push_defaults,
    "pull": pull_defaults,
    "smu": smu_defaults,
    "best_grade_first": best_grade_first_defaults,
    "compliance_base_stock": default_parameters,
    "compliance_greedy": compliance_greedy_defaults,
}


class MixedBatch:
    """Controllers of several kinds acting on one batch: each decides for its own cells."""

    def __init__(self, parts: Sequence[tuple[list[int], Controller]], cells: int) -> None:
        self._parts = parts
        self._cells = cells

    def decide(self, observation: Observation) -> Control:
        """Ask each controller about its cells and put the answers together."""
        targets: np.ndarray | None = None
        levers: np.ndarray | None = None
        for index, controller in self._parts:
            control = controller.decide(observation.of(index))
            if targets is None or levers is None:
                targets = np.zeros((*control.targets.shape[:-1], self._cells))
                levers = np.zeros((*control.levers.shape[:-1], self._cells))
            targets[..., index], levers[..., index] = control.targets, control.levers
        if targets is None or levers is None:
            raise ModelError("a batch needs at least one controller")
        return Control(targets=targets, levers=levers)


def build(layout: Layout, records: Sequence[ControllerRecord]) -> Controller:
    """Return one controller for a batch of B cells from their B records. Raises ModelError for an unknown kind."""
    by_kind: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        by_kind.setdefault(record.kind, []).append(row)
    unknown = sorted(set(by_kind) - set(KINDS))
    if unknown:
        close = get_close_matches(unknown[0], KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ModelError(f"unknown controllers {unknown}; known are {list(KINDS)}{hint}")
    parts = [
        (rows, _BUILDERS[kind](layout, [dict(records[row].parameters) for row in rows]))
        for kind, rows in by_kind.items()
    ]
    return parts[0][1] if len(parts) == 1 else MixedBatch(parts, len(records))
