"""Sweep: runs a plan's waves to their end and publishes what the journal holds.

The journal is the only truth: a wave does what the journal lacks, and leaderboard, report, Parquet and MLflow are
functions of it. Repeating a sweep therefore resumes it.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestrator.backend import LazyBackend, RunSettings
from orchestrator.journal import Journal
from orchestrator.leaderboard import Leaderboard
from orchestrator.outcome import EXPERIMENT, JOURNAL, build_board, read_outcome
from orchestrator.plan import Plan, make_plan
from orchestrator.progress import Progress
from orchestrator.publish import REPORT, publish, recipe_lines
from orchestrator.spec import ExperimentSpec
from orchestrator.waves import PARTS, Waves, make_folder
from sim_core.errors import InfrastructureError

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


def run_sweep(spec: ExperimentSpec, results: Path, *, settings: RunSettings, progress: Progress) -> SweepResult:
    """Run or resume an experiment; return its counts and leaderboard.

    Raises InfrastructureError (resumable) when the machine, Ray or the disk fails, IntegrityError when a promise is
    broken. MLflow's faults never raise: they are in `mlflow_message`.
    """
    plan = make_plan(spec)
    make_folder(results)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(results / JOURNAL))
        if journal.get_note(f"started_ms/{spec.name}") is None:
            journal.put_note(f"started_ms/{spec.name}", time.time_ns() // 1_000_000)
        _write_inputs(spec, plan, results)
        backend = LazyBackend(plan, settings, stack, progress)
        sweep = Waves(plan=plan, journal=journal, parts=results / PARTS, progress=progress, backend=backend)
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
