"""Sweep: runs a plan's waves to their end and publishes what the journal holds.

The journal is the only truth: a wave does what the journal lacks, and leaderboard, report, Parquet and MLflow are
functions of it. Repeating a sweep therefore resumes it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.backend import Backend, LazyBackend, RunSettings
from orchestrator.journal import Journal
from orchestrator.leaderboard import Leaderboard
from orchestrator.outcome import EXPERIMENT, JOURNAL, best_on_validation, build_board, read_outcome
from orchestrator.plan import Plan, known_values, make_plan
from orchestrator.progress import Progress
from orchestrator.publish import REPORT, publish, recipe_lines
from orchestrator.records import CandidateValue, CellRow, Generation
from orchestrator.spec import ExperimentSpec
from orchestrator.work import Block, Cell, SearchJob
from sim_core.control import ControllerRecord
from sim_core.errors import InfrastructureError

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = "parts"
RECIPES = "recipes.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep did: cells needed, simulated now, reused from the journal, failed; and where to look."""

    digest: str
    cells: int
    simulated: int
    reused: int
    failed: int
    leaderboard: Leaderboard
    report: Path
    mlflow_link: str | None
    mlflow_message: str


@dataclass(slots=True, kw_only=True)
class _Sweep:
    """The waves of one sweep, writing the journal as results come."""

    plan: Plan
    journal: Journal
    parts: Path
    progress: Progress
    backend: Callable[[], Backend]
    simulated: int = 0

    def search(self) -> None:
        """Run what the journal lacks of the searches."""
        known: dict[str, dict[str, CandidateValue]] = {}
        jobs: list[SearchJob] = []
        left = 0
        for job in self.plan.searches.values():
            generations = self.journal.generations(job.search)
            if (generations and generations[-1].last) or job.search in known:
                continue
            jobs.append(job)
            known[job.search] = known_values(generations)
            left += (job.budget - len(known[job.search])) * len(job.scenarios)
        if not jobs:
            return
        self.progress.wave("search", left)

        def on_generation(generation: Generation) -> None:
            self.journal.put_generation(generation)
            self._note_cpu_seconds({generation.search: generation.cpu_s})
            self.simulated += generation.simulated
            self.progress.advance(generation.simulated)

        self.backend().searches(jobs, known, on_generation)

    def finish(self, wave: str, cells: Sequence[Cell]) -> dict[str, CellRow]:
        """Simulate the cells that the journal lacks; return all of them by key."""
        distinct = {cell.key: cell for cell in cells}
        done = self.journal.cells(distinct)
        missing = [cell for key, cell in distinct.items() if key not in done]
        if missing:
            self.progress.wave(wave, len(missing))
            backend = self.backend()
            # A scenario takes some time to compile, so its cells go to as few shards as may be.
            missing.sort(key=lambda cell: cell.scenario)
            backend.blocks(self.plan.cut(missing, backend.workers), self._on_table)
        return self.journal.cells(distinct) if missing else done

    def _on_table(self, block: Block, table: "pa.Table") -> None:
        from orchestrator.tables import rows, without_cpu_seconds, write_part

        plain, seconds = without_cpu_seconds(table)
        part = write_part(plain, self.parts)
        self.journal.put_cells(rows(plain), part)
        self._note_cpu_seconds(seconds)
        self.simulated += len(block.cells)
        self.progress.advance(len(block.cells))

    def _note_cpu_seconds(self, seconds: Mapping[str, float]) -> None:
        """Add CPU seconds, by search or controller digest, to the journal's note of them."""
        if not seconds:
            return
        noted: dict[str, float] = self.journal.get_note(self.plan.timings) or {}
        for name, value in seconds.items():
            noted[name] = noted.get(name, 0.0) + value
        self.journal.put_note(self.plan.timings, noted)

    def choose(self) -> dict[str, ControllerRecord]:
        """Return each Entry's controller: fixed, or the search's finalist with the lowest mean J on validation."""
        finalists = {
            name: self.journal.generations(job.search)[-1].finalists for name, job in self.plan.searches.items()
        }
        cells = [cell for records in finalists.values() for cell in self.plan.choice_cells(records)]
        rows = self.finish("choose", cells)
        chosen = dict(self.plan.fixed)
        for name, records in finalists.items():
            key = self.plan.choice_key(self.plan.searches[name], records)
            known = self.journal.choice(key)
            if known is None:
                best, means = best_on_validation(self.plan, records, rows)
                known = {"controller": best.to_json(), "means": means}
                self.journal.put_choice(key, known)
            chosen[name] = ControllerRecord.from_json(known["controller"])
        return chosen


def run_sweep(spec: ExperimentSpec, results: Path, *, settings: RunSettings, progress: Progress) -> SweepResult:
    """Run or resume an experiment; return its counts and leaderboard.

    Raises InfrastructureError (resumable) when the machine, Ray or the disk fails, IntegrityError when a promise is
    broken. MLflow's faults never raise: they are in `mlflow_message`.
    """
    plan = make_plan(spec)
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"can't make the folder {results}: {error.strerror}; mend its permissions or name another --results"
        ) from None
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(results / JOURNAL))
        if journal.get_note(f"started_ms/{spec.name}") is None:
            journal.put_note(f"started_ms/{spec.name}", time.time_ns() // 1_000_000)
        _write_inputs(spec, plan, results)
        backend = LazyBackend(plan, settings, stack, progress)
        sweep = _Sweep(plan=plan, journal=journal, parts=results / PARTS, progress=progress, backend=backend)
        sweep.search()
        chosen = sweep.choose()
        sweep.finish("score", [cell for record in chosen.values() for cell in plan.score_cells(record)])
        sweep.finish("bound", plan.bound_cells())
        sweep.finish("pair", plan.wave_pair(chosen.values()))
        backend.release()
        outcome = read_outcome(plan, journal)
        board = build_board(spec, outcome, journal)
        link, message = publish(spec, outcome, board, journal, results=results, tracking=settings.tracking)
    return SweepResult(
        digest=board.digest,
        cells=outcome.cells,
        simulated=sweep.simulated,
        reused=max(0, outcome.cells - sweep.simulated),
        failed=outcome.failed,
        leaderboard=board,
        report=results / REPORT,
        mlflow_link=link,
        mlflow_message=message,
    )


def _write_inputs(spec: ExperimentSpec, plan: Plan, results: Path) -> None:
    """Keep the scenarios' recipes and the resolved experiment beside the results; written anew when they change."""
    texts = {RECIPES: recipe_lines(plan.suite), EXPERIMENT: spec.to_yaml()}
    try:
        for name, text in texts.items():
            path = results / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            f"can't write into {results}: {error.strerror}; make room or name another --results"
        ) from None
