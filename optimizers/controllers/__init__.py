"""Controllers under test, one a file, and the registry that builds a batch of them from records."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optimizers.controllers.compliance_base_stock import ComplianceBaseStock
from optimizers.controllers.fixed_base_stock import fixed_schedule
from optimizers.controllers.linear import linear_schedule
from optimizers.controllers.schedule import schedule_from_record
from sim_core.control import Control, Controller, ControllerRecord, Observation, ScheduleBatch
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError

_BUILDERS: dict[str, Callable[[Layout, Sequence[dict[str, Any]]], Controller]] = {
    "base_stock": lambda layout, items: ScheduleBatch([fixed_schedule(layout, item) for item in items]),
    "linear": lambda layout, items: ScheduleBatch([linear_schedule(layout, item) for item in items]),
    "compliance_base_stock": ComplianceBaseStock,
    "schedule": lambda layout, items: ScheduleBatch([schedule_from_record(layout, item) for item in items]),
}
KINDS = tuple(_BUILDERS)


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
            view = Observation(
                period=observation.period,
                epoch=observation.epoch,
                announced_duty=observation.announced_duty[..., index],
                announced_route_legal=observation.announced_route_legal[..., index],
            )
            control = controller.decide(view)
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
        raise ModelError(f"unknown controllers {unknown}; known are {list(KINDS)}")
    parts = [
        (rows, _BUILDERS[kind](layout, [dict(records[row].parameters) for row in rows]))
        for kind, rows in by_kind.items()
    ]
    return parts[0][1] if len(parts) == 1 else MixedBatch(parts, len(records))
