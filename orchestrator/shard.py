"""Shard: simulates blocks of cells of one suite. Plain Python: no Ray, no journal, no clock."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from optimizers.controllers import build
from orchestrator.records import CellRow
from orchestrator.tables import table
from orchestrator.work import Block, Cell
from sim_core.control import Controller
from sim_core.engine.layout import build_layout
from sim_core.engine.rollout import Simulation, pad
from sim_core.engine.trace import SERIES
from sim_core.errors import IntegrityError
from sim_core.metrics import measure
from sim_core.scenario import Scenario, build_scenario
from sim_core.suite import SuiteDefinition

MAX_CELLS = 512  # cells that are simulated at once: bounds memory (about 0.2 MB a cell)
_KEPT_SCENARIOS = 256


class Shard:
    """Simulates cells of one suite in this process, and keeps the scenarios that it has compiled."""

    def __init__(self, suite: SuiteDefinition) -> None:
        self.layout = build_layout(suite)
        self._scenarios: dict[str, Scenario] = {}

    def run(self, block: Block) -> pa.Table:
        """Return one row per cell, in the block's order.

        A cell whose controller raises or returns nonsense is a row with status "failed". Raises BalanceError if mass
        is created or lost.
        """
        rows: list[CellRow] = []
        for start in range(0, len(block.cells), MAX_CELLS):
            rows += self._run_cells(block.cells[start : start + MAX_CELLS])
        return table(rows)

    def trace(self, cells: Sequence[Cell], names: Sequence[str] = SERIES) -> Mapping[str, NDArray[np.float64]]:
        """Simulate cells and return the named series by period, each (periods, cells).

        sim_core.engine.trace tells what they are. Raises what a controller raises, and BalanceError if mass is created
        or lost.
        """
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
        for start in range(0, len(cells), MAX_CELLS):
            batch = cells[start : start + MAX_CELLS]
            trace = self._advance(batch, trace=True).trace
            if trace is not None:
                for name, found in parts.items():
                    found.append(trace[name][:, : len(batch)])
        return {name: np.concatenate(found, axis=1) for name, found in parts.items()}

    def scenario(self, scenario_id: str) -> Scenario:
        """Return a compiled scenario."""
        if scenario_id not in self._scenarios:
            if len(self._scenarios) >= _KEPT_SCENARIOS:
                self._scenarios.clear()
            self._scenarios[scenario_id] = build_scenario(self.layout, scenario_id)
        return self._scenarios[scenario_id]

    def _run_cells(self, cells: Sequence[Cell]) -> list[CellRow]:
        try:
            return self._simulate(cells)
        except (IntegrityError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001, whatever a controller raises is that cell's result
            if len(cells) == 1:
                return [_failed(cells[0], error)]
        middle = len(cells) // 2  # halve until the controllers at fault are alone
        return self._run_cells(cells[:middle]) + self._run_cells(cells[middle:])

    def _advance(self, cells: Sequence[Cell], *, trace: bool = False) -> Simulation:
        order = pad(len(cells))
        batch = [cells[i] for i in order]
        names = sorted({cell.scenario for cell in cells})
        scenarios = [self.scenario(name) for name in names]
        rows = np.array([names.index(cell.scenario) for cell in batch], dtype=np.intp)
        controller: Controller = build(self.layout, [cell.controller for cell in batch])
        labels = [f"{cell.scenario} under {cell.controller.kind} (cell {cell.key[:12]})" for cell in batch]
        simulation = Simulation(self.layout, scenarios, rows, controller, labels, trace=trace)
        simulation.advance()
        return simulation

    def _simulate(self, cells: Sequence[Cell]) -> list[CellRow]:
        metrics = measure(self.layout, self._advance(cells).ledger)
        return [
            CellRow(
                key=cell.key,
                controller=cell.controller.digest,
                scenario=cell.scenario,
                family=cell.scenario.rpartition("/")[0],
                status="ok",
                message="",
                metrics={name: _number(values[i]) for name, values in metrics.items()},
            )
            for i, cell in enumerate(cells)
        ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _failed(cell: Cell, error: Exception) -> CellRow:
    return CellRow(
        key=cell.key,
        controller=cell.controller.digest,
        scenario=cell.scenario,
        family=cell.scenario.rpartition("/")[0],
        status="failed",
        message=f"{type(error).__name__}: {error}",
        metrics={},
    )
