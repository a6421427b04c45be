"""Simulate one Entry on the test split, in this process or over a mesh: what it costs a period, and the series behind.

The runs are those of the plan's score wave, under the same keys and in the same journal, so that repeating the command
reuses them, and so does a later `run`.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.backend import LazyBackend, RunSettings
from orchestrator.journal import Journal
from orchestrator.mesh_backend import MeshBackend, MeshOptions, settle
from orchestrator.outcome import JOURNAL
from orchestrator.plan import Plan, make_plan
from orchestrator.progress import Progress
from orchestrator.races import ended, journalled, searched
from orchestrator.records import CellRow
from orchestrator.statistics import Interval, mean_interval
from orchestrator.waves import PARTS, Waves, make_folder
from orchestrator.work import Injection
from sim_core.control import ControllerRecord
from sim_core.errors import InputError, RunError
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from orchestrator.spec import ExperimentSpec

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What an Entry's runs gave.

    cost: mean over runs of J / sum of the scored periods' discount weights, EUR a period, with its 95 % interval.
    metrics: means over the runs in which a metric is defined, None where it is in none. injections: law that was
    injected into the runs while they were under way.
    """

    entry: str
    controller: ControllerRecord
    digest: str
    cost: Interval
    metrics: Mapping[str, float | None]
    periods: int
    simulated: int
    failed: int
    message: str
    injections: tuple[Injection, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that `simulate --json` prints."""
        injected = [[one.instrument["id"], one.period] for one in self.injections]
        return {
            "digest": self.digest,
            "mean_cost": self.cost.estimate,
            "ci_lo": self.cost.low,
            "ci_hi": self.cost.high,
            "n": self.cost.n,
            "periods": self.periods,
            **({"injected": injected} if injected else {}),
        }


def simulate_entry(
    spec: "ExperimentSpec",
    results: Path,
    *,
    entry: str | None,
    runs: int | None,
    progress: Progress,
    mesh: MeshOptions | None = None,
) -> Simulation:
    """Simulate an Entry, the first one if None, on the first `runs` test scenarios, all of them if None.

    mesh: over which shards; None: in this process. A number of runs beyond the test split is met by further scenarios
    of its families. Raises InputError for an unknown Entry, one whose search has not finished, and a mesh that can't
    be; RunError when every run failed.
    """
    plan = _with_runs(make_plan(spec), runs)
    name = plan.entries[0] if entry is None else entry
    make_folder(results)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(results / JOURNAL))
        controller = controller_of(plan, name, journal)
        cells = plan.score_cells(controller)
        over: MeshBackend | None = None
        if mesh is not None:
            settings = settle(mesh, plan, controller)
            over = MeshBackend(plan, settings, results=results, stack=stack, progress=progress)
        backend = over or LazyBackend(plan, RunSettings(in_process=True), stack, progress)
        waves = Waves(plan=plan, journal=journal, parts=results / PARTS, progress=progress, backend=backend)
        rows = waves.finish("simulate", cells)
        law: tuple[Injection, ...] = ()
        while over is not None and over.injections != law:  # all runs are under one law, those done before it too
            law = over.injections
            cells = over.under_law(plan.score_cells(controller))
            rows = waves.finish("simulate", cells)
        digest = journal.digest(rows)
    found = _summary(plan.suite, name, [rows[cell.key] for cell in cells])
    return Simulation(
        entry=name, controller=controller, digest=digest, simulated=waves.simulated, injections=law, **found
    )


def controller_of(plan: Plan, name: str, journal: Journal) -> ControllerRecord:
    """Return an Entry's controller: fixed, or the one that its finished search chose.

    Raises InputError for an unknown Entry and for a search without a choice.
    """
    if name in plan.fixed:
        return plan.fixed[name]
    if name not in plan.searches:
        raise InputError(f"no entry is called {name!r}; the file has {list(plan.entries)}: name one with --entry")
    searches = searched(plan, name, journal)
    chosen = None
    if ended(searches) and (found := journalled(plan, name, searches, journal)).over:
        chosen = journal.choice(plan.choice_key(name, found.finalists))
    if chosen is None:
        raise InputError(
            f"entry {name!r} is searched for and has no controller yet: run the experiment first with "
            "`circularbench run`, or name an entry with fixed parameters with --entry"
        )
    return ControllerRecord.from_json(chosen["controller"])


def export_trace(spec: "ExperimentSpec", simulation: Simulation, runs: int | None, path: Path) -> int:
    """Write the series of a simulation's runs as a table, one row per run and period; return the number of rows.

    The file's ending says whether it is CSV or Parquet; see check_ending.
    """
    from orchestrator.series import series_table, write_series

    plan = _with_runs(make_plan(spec), runs)
    table = series_table(plan.suite, plan.score_cells(simulation.controller))
    write_series(table, path)
    return table.num_rows


def _with_runs(plan: Plan, runs: int | None) -> Plan:
    if runs is None:
        return plan
    splits = dict(plan.suite.splits)
    splits["test"] = replace(splits["test"], scenarios=runs)
    return replace(plan, suite=replace(plan.suite, splits=splits))


def _summary(suite: SuiteDefinition, name: str, rows: Sequence[CellRow]) -> dict[str, Any]:
    """Return the fields of a Simulation that follow from its rows."""
    good = [row for row in rows if row.status == "ok"]
    failed = next((row for row in rows if row.status != "ok"), None)
    if not good and failed is not None:
        raise RunError(f"all {len(rows)} runs of entry {name!r} failed, the first with: {failed.message}")
    weight = fsum((1.0 + suite.discount_rate) ** (-month / MONTHS_PER_YEAR) for month in range(suite.scored))
    costs = np.array([row.metrics["objective"] for row in good], dtype=np.float64) / weight
    names = sorted({metric for row in good for metric in row.metrics})
    return {
        "cost": mean_interval(costs, CONFIDENCE),
        "metrics": {metric: _mean([row.metrics.get(metric) for row in good]) for metric in names},
        "periods": suite.scored,
        "failed": len(rows) - len(good),
        "message": failed.message if failed else "",
    }


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fsum(defined) / len(defined) if defined else None
