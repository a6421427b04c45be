"""Shard: simulates blocks of cells of one suite. Plain Python: no Ray, no journal.

What a cell gives never depends on time; the CPU seconds that cells took travel beside their rows.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from optimizers.controllers import NEEDS_STATE, build
from orchestrator.records import CellRow
from orchestrator.tables import table, with_cpu_seconds
from orchestrator.work import BOUND, ENGINES, Block, Cell
from sim_core.control import Controller
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import Simulation, pad
from sim_core.engine.trace import SERIES
from sim_core.errors import IntegrityError
from sim_core.ledger import Ledger
from sim_core.metrics import measure
from sim_core.scenario import Scenario, build_scenarios
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    from sim_core.kernel.simulation import KernelSimulation

# Cells that are simulated at once, which bounds memory: an array engine takes about 0.2 MB a cell, the kernel about
# 150 numbers for each node and product.
MAX_CELLS = {"kernel": 4096, "numpy": 512, "pair": 256, "bound": 1}
_NODES_AT_ONCE = 400_000
_KEPT_SCENARIOS = 256  # also the most that are simulated at once: their terms by period are laid out whole


class Shard:
    """Simulates cells of one suite in this process, and keeps the scenarios that it has compiled.

    engine: what `run` computes with, one of ENGINES; `trace` is the NumPy engine's, which alone keeps series.
    """

    def __init__(self, suite: SuiteDefinition, engine: str = ENGINES[0]) -> None:
        self.layout = build_layout(suite)
        self._engine = engine
        self._scenarios: dict[str, Scenario] = {}

    def run(self, block: Block) -> pa.Table:
        """Return one row per cell, in the block's order, with the CPU seconds of runs by controller beside them.

        A cell whose controller raises or returns nonsense is a row with status "failed", and so is a bound that can't
        be computed. Controllers that need the state run on the NumPy engine, whatever the shard's is. Raises
        BalanceError if mass is created or lost.
        """
        parts: dict[tuple[str, ...], list[int]] = {}
        for place, cell in enumerate(block.cells):
            parts.setdefault(self._part(cell), []).append(place)
        found: dict[int, CellRow] = {}
        seconds: dict[str, float] = {}
        for (way, *_), places in parts.items():
            done: list[CellRow] = []
            for batch in self.batches([block.cells[place] for place in places], way):
                began = time.process_time()
                done += self._run_cells(batch)
                share = (time.process_time() - began) / len(batch)
                for cell in batch if way != "pair" else ():
                    seconds[cell.controller.digest] = seconds.get(cell.controller.digest, 0.0) + share
            found |= zip(places, done, strict=True)
        return with_cpu_seconds(table([found[place] for place in range(len(block.cells))]), seconds)

    def _part(self, cell: Cell) -> tuple[str, ...]:
        """Return how a cell is computed; cells that are computed alike and at once have equal parts.

        Controllers that need the state may be slow, so those of one kind run by themselves: the CPU seconds of a batch
        are shared evenly over its cells, and no other kind should pay for them.
        """
        if cell.controller.kind == BOUND.kind:
            return ("bound",)
        slow = cell.controller.kind if cell.controller.kind in NEEDS_STATE else ""
        return ("pair" if cell.measure == "pair" else "numpy" if slow else self._engine, slow)

    def trace(self, cells: Sequence[Cell], names: Sequence[str] = SERIES) -> Mapping[str, NDArray[np.float64]]:
        """Simulate cells and return the named series by period, each (periods, cells).

        sim_core.engine.trace tells what they are. Raises what a controller raises, and BalanceError if mass is created
        or lost.
        """
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
        for batch in self.batches(cells, "numpy"):
            order = pad(len(batch))
            simulation = Simulation(*self._start([batch[i] for i in order]), trace=True)
            simulation.advance()
            trace = simulation.trace
            if trace is not None:
                for name, found in parts.items():
                    found.append(trace[name][:, : len(batch)])
        return {name: np.concatenate(found, axis=1) for name, found in parts.items()}

    def scenario(self, scenario_id: str) -> Scenario:
        """Return a compiled scenario."""
        return self._compiled((scenario_id,))[0]

    def begin(self, cells: Sequence[Cell]) -> "KernelSimulation":
        """Return the kernel's simulation of cells, at its start. Raises what a controller raises."""
        from sim_core.kernel.simulation import KernelSimulation  # Numba: where cells are simulated, and only there

        return KernelSimulation(*self._start(cells))

    def rows(self, cells: Sequence[Cell], ledger: Ledger) -> list[CellRow]:
        """Return the rows of cells whose runs a ledger holds, closed, in their order."""
        return _good(cells, measure(self.layout, ledger))

    def _compiled(self, ids: Sequence[str]) -> list[Scenario]:
        """Return compiled scenarios; those that are not kept yet are drawn together, at most _KEPT_SCENARIOS."""
        if len(self._scenarios.keys() | set(ids)) > _KEPT_SCENARIOS:
            self._scenarios = {one: self._scenarios[one] for one in ids if one in self._scenarios}
        new = [one for one in ids if one not in self._scenarios]
        self._scenarios |= zip(new, build_scenarios(self.layout, new), strict=True)
        return [self._scenarios[one] for one in ids]

    def batches(self, cells: Sequence[Cell], way: str) -> Iterator[Sequence[Cell]]:
        """Cut cells into batches that memory has room for. way: an engine, "pair" or "bound"."""
        most = _at_once(len(self.layout.network.nodes) * len(self.layout.suite.products), way)
        batch: list[Cell] = []
        names: set[str] = set()
        for cell in cells:
            if len(batch) == most or len(names | {cell.scenario}) > _KEPT_SCENARIOS:
                yield batch
                batch, names = [], set()
            batch.append(cell)
            names.add(cell.scenario)
        if batch:
            yield batch

    def _run_cells(self, cells: Sequence[Cell]) -> list[CellRow]:
        try:
            return self._simulate(cells)
        except (IntegrityError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001, whatever a controller raises is that cell's result
            if len(cells) == 1:
                return [failed_row(cells[0], f"{type(error).__name__}: {error}")]
        middle = len(cells) // 2  # halve until the controllers at fault are alone
        return self._run_cells(cells[:middle]) + self._run_cells(cells[middle:])

    def _start(self, cells: Sequence[Cell]) -> tuple[Layout, list[Scenario], NDArray[np.intp], Controller, list[str]]:
        """Return what an engine starts from."""
        scenarios, rows, labels = self._laid_out(cells)
        return self.layout, scenarios, rows, self._controller(cells), labels

    def _laid_out(self, cells: Sequence[Cell]) -> tuple[list[Scenario], NDArray[np.intp], list[str]]:
        """Return the distinct scenarios of cells, the one of each cell, and what errors call the cells."""
        names = sorted({cell.scenario for cell in cells})
        number = {name: row for row, name in enumerate(names)}
        rows = np.array([number[cell.scenario] for cell in cells], dtype=np.intp)
        labels = [f"{cell.scenario} under {cell.controller.kind} (cell {cell.key[:12]})" for cell in cells]
        return self._compiled(names), rows, labels

    def _controller(self, cells: Sequence[Cell]) -> Controller:
        return build(self.layout, [cell.controller for cell in cells])

    def _ledger(self, cells: Sequence[Cell]) -> Ledger:
        """Return the ledger of the cells, which come first in it."""
        if self._part(cells[0])[0] == "kernel":
            simulation = self.begin(cells)
        else:
            simulation = Simulation(*self._start([cells[i] for i in pad(len(cells))]))
        simulation.advance()
        return simulation.ledger

    def _bound(self, cell: Cell) -> Mapping[str, Sequence[float]]:
        """Return a scenario's bound, EUR: `objective` is what no control costs less than."""
        from sim_core.bound import bound  # HiGHS: where bounds are computed, and only there

        found = bound(self.layout, self.scenario(cell.scenario))
        return {
            "objective": [found.lower],
            "plan": [found.plan],
            "lacking": [found.lacking],
            "least_lacking": [found.least_lacking],
        }

    def _pair(self, cells: Sequence[Cell]) -> Mapping[str, NDArray[np.float64]]:
        """Return what shocks cost the cells, each against its calm twin."""
        from sim_core.resilience import pair_metrics

        padded = [cells[i] for i in pad(len(cells))]
        scenarios, rows, labels = self._laid_out(padded)
        # A controller may remember what it did, so each of the two runs gets its own.
        return pair_metrics(self.layout, scenarios, rows, lambda: self._controller(padded), labels)

    def _simulate(self, cells: Sequence[Cell]) -> list[CellRow]:
        way = self._part(cells[0])[0]
        if way == "bound":
            metrics = self._bound(cells[0])
        elif way == "pair":
            metrics = self._pair(cells)
        else:
            return self.rows(cells, self._ledger(cells))
        return _good(cells, metrics)


def _good(cells: Sequence[Cell], metrics: Mapping[str, Any]) -> list[CellRow]:
    """Return the rows of cells with their metrics, each by name and cell."""
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


def cells_at_once(nodes: int) -> int:
    """Return how many cells of one scenario each the kernel takes at once. nodes: times products."""
    return min(_KEPT_SCENARIOS, _at_once(nodes, "kernel"))


def _at_once(nodes: int, way: str) -> int:
    return max(1, min(MAX_CELLS[way], _NODES_AT_ONCE // nodes))


def failed_row(cell: Cell, message: str) -> CellRow:
    """Return the row of a cell whose run an error ended. message: the error's class and words."""
    return CellRow(
        key=cell.key,
        controller=cell.controller.digest,
        scenario=cell.scenario,
        family=cell.scenario.rpartition("/")[0],
        status="failed",
        message=message,
        metrics={},
    )
