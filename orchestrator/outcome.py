"""Outcome: what the journal holds of a plan, finished or not. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.journal import Journal
from orchestrator.leaderboard import Leaderboard, build_leaderboard
from orchestrator.plan import Plan, instruments, make_plan
from orchestrator.records import CellRow, Generation
from orchestrator.spec import ExperimentSpec, load
from orchestrator.standings import EntryCells
from orchestrator.work import BOUND, LINEAR, Cell
from sim_core.catalogue import archetype
from sim_core.control import ControllerRecord
from sim_core.errors import InputError
from sim_core.seeding import content_id

JOURNAL = "journal.sqlite"
EXPERIMENT = "experiment.yaml"
RANDOM = "random"  # the search method that the others are compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that a finished sweep's outputs are made of, read from the journal.

    keys: of all records that the plan rests on. searches: generations by Entry. entries: chosen controllers with
    their test runs. bounds: of test scenarios. linear: runs without recovery on the test scenarios, if any are needed.
    """

    plan: Plan
    keys: tuple[str, ...]
    searches: Mapping[str, Sequence[Generation]]
    entries: tuple[EntryCells, ...]
    bounds: tuple[CellRow, ...]
    linear: tuple[CellRow, ...]
    cells: int
    failed: int


def best_on_validation(
    plan: Plan, finalists: Sequence[ControllerRecord], rows: Mapping[str, CellRow]
) -> tuple[ControllerRecord, dict[str, float | None]]:
    """Return the finalist with the lowest mean J (ties: the earlier finalist) and all means by controller digest.

    A finalist with a failed run is chosen only if every finalist has one. A single finalist is not simulated: no mean.
    """
    means: dict[str, float | None] = {}
    for record in finalists:
        keys = [cell.key for cell in plan.choice_cells(finalists) if cell.controller.digest == record.digest]
        values = [rows[key].metrics.get("objective") for key in keys]
        found = [value for value in values if value is not None]
        means[record.digest] = sum(found) / len(found) if found and len(found) == len(values) else None
    ranked = [value for value in means.values() if value is not None]
    if not ranked:
        return finalists[0], means
    return next(record for record in finalists if means[record.digest] == min(ranked)), means


def read_outcome(plan: Plan, journal: Journal) -> Outcome:
    """Read a finished sweep from the journal. Raises InputError when the sweep has not finished."""
    keys: list[str] = []
    validation: list[str] = []
    searches: dict[str, list[Generation]] = {}
    chosen = dict(plan.fixed)
    evaluations = 0
    for name, job in plan.searches.items():
        generations = journal.generations(job.search)
        if not generations or not generations[-1].last:
            raise InputError(f"the search of entry {name!r} has not finished with this code: run the experiment")
        searches[name] = generations
        keys += [generation.key for generation in generations]
        evaluations += sum(len(generation.values) for generation in generations) * len(job.scenarios)
        choice_key = plan.choice_key(job, generations[-1].finalists)
        choice = journal.choice(choice_key)
        if choice is None:
            raise InputError(f"entry {name!r} is not chosen yet: run the experiment again to resume it")
        chosen[name] = ControllerRecord.from_json(choice["controller"])
        keys.append(choice_key)
        validation += [cell.key for cell in plan.choice_cells(generations[-1].finalists)]
    rows = _rows(journal, [cell for name in plan.entries for cell in plan.score_cells(chosen[name])], "test runs")
    bounds = _rows(journal, plan.bound_cells(), "bounds")
    pairs = _rows(journal, plan.wave_pair(chosen.values()), "runs beside their calm twins, or without recovery,")
    entries = [
        EntryCells(
            name=name,
            controller=chosen[name],
            cells=tuple(rows[cell.key] for cell in plan.score_cells(chosen[name])),
            pairs=tuple(pairs[cell.key] for cell in plan.pair_cells(chosen[name])),
        )
        for name in plan.entries
    ]
    linear = tuple(pairs[cell.key] for cell in plan.counterfactual_cells())
    rows |= bounds | pairs
    choice_rows = journal.cells(validation)
    keys += [*rows, *choice_rows]
    failed = {row.key for row in (*rows.values(), *choice_rows.values()) if row.status != "ok"}
    return Outcome(
        plan=plan,
        keys=tuple(sorted(set(keys))),
        searches=searches,
        entries=tuple(entries),
        bounds=tuple(bounds.values()),
        linear=linear or _linear(entries),
        cells=evaluations + len(rows.keys() | choice_rows.keys()),
        failed=len(failed),
    )


def _rows(journal: Journal, cells: Sequence[Cell], what: str) -> dict[str, CellRow]:
    """Return the rows of a wave by key. Raises InputError when some are missing."""
    keys = {cell.key for cell in cells}
    rows = journal.cells(keys)
    if len(rows) < len(keys):
        missing = len(keys) - len(rows)
        raise InputError(f"{missing} {what} are missing: run the experiment again to resume it")
    return rows


def _linear(entries: Sequence[EntryCells]) -> tuple[CellRow, ...]:
    return next((entry.cells for entry in entries if entry.controller.digest == LINEAR.digest), ())


def read_leaderboard(results: Path, spec: ExperimentSpec | None = None) -> Leaderboard:
    """Return the leaderboard of an experiment in a results folder: the last one run unless `spec` names another.

    Raises InputError when the folder holds none, or when it has not finished.
    """
    path = results / EXPERIMENT
    if not path.exists():
        raise InputError(f"{results} holds no experiment: run one first, circularbench run SPEC --results {results}")
    spec = spec or load(path)
    with Journal(results / JOURNAL, read_only=True) as journal:
        return build_board(spec, read_outcome(make_plan(spec), journal), journal)


def build_board(spec: ExperimentSpec, outcome: Outcome, journal: Journal) -> Leaderboard:
    """Return the leaderboard of a finished sweep."""
    searches = {entry.name: entry.search for entry in spec.entries}
    random = next((name for name, search in searches.items() if search and search.method == RANDOM), None)
    board = build_leaderboard(
        outcome.entries,
        reference=spec.reference,
        seed=spec.statistics.seed,
        resamples=spec.statistics.resamples,
        confidence=spec.statistics.confidence,
        digest=journal.digest(outcome.keys),
        bounds=outcome.bounds,
        linear=outcome.linear,
    )
    templates = {name for name in spec.to_suite().archetypes if not archetype(name).ranked}
    seconds = _cpu_seconds(outcome, journal)
    return replace(board, random=random, templates=tuple(sorted(templates)), cpu_s=seconds)


def _cpu_seconds(outcome: Outcome, journal: Journal) -> dict[str, float | None]:
    """Return what each Entry took, as far as it was noted: its search, the choice between finalists, the test runs."""
    noted: dict[str, float] = journal.get_note(outcome.plan.timings) or {}
    result: dict[str, float | None] = {}
    for entry in outcome.entries:
        names = {entry.controller.digest}
        if entry.name in outcome.searches:
            names.add(outcome.plan.searches[entry.name].search)
            names |= {record.digest for record in outcome.searches[entry.name][-1].finalists}
        known = [noted[name] for name in sorted(names) if name in noted]
        result[entry.name] = sum(known) if known else None
    return result


def describe(spec: ExperimentSpec, results: Path) -> dict[str, Any]:
    """Return the plan for display: waves with cells needed and done, instruments and whether they bind, its digest."""
    plan = make_plan(spec)
    journal = _open(results)
    try:
        waves = _waves(plan, journal)
    finally:
        if journal is not None:
            journal.close()
    return {
        "experiment": spec.name,
        "suite": plan.suite.name,
        "digest": content_id(plan.code, plan.suite_digest, {name: job.search for name, job in plan.searches.items()}),
        "waves": waves,
        "instruments": instruments(plan.suite),
    }


def _open(results: Path) -> Journal | None:
    path = results / JOURNAL
    return Journal(path, read_only=True) if path.exists() else None


def _waves(plan: Plan, journal: Journal | None) -> list[dict[str, Any]]:
    search_cells = search_done = choose_cells = choose_done = 0
    chosen = dict(plan.fixed)
    open_end = False

    def done(cells: Sequence[Cell]) -> int:
        return len(journal.cells(cell.key for cell in cells)) if journal else 0

    for name, job in plan.searches.items():
        generations = journal.generations(job.search) if journal else []
        search_cells += job.budget * len(job.scenarios)
        search_done += sum(len(generation.values) for generation in generations) * len(job.scenarios)
        if not generations or not generations[-1].last:
            choose_cells += job.finalists * len(plan.suite.scenarios("validation")) * (job.finalists > 1)
            open_end = True
            continue
        finalists = generations[-1].finalists
        cells = plan.choice_cells(finalists)
        choose_cells += len(cells)
        choose_done += done(cells)
        choice = journal.choice(plan.choice_key(job, finalists)) if journal else None
        if choice:
            chosen[name] = ControllerRecord.from_json(choice["controller"])
    score_cells = len(plan.entries) * len(plan.suite.scenarios("test"))
    score_done = sum(done(plan.score_cells(controller)) for controller in chosen.values())
    bounds, pairs = plan.bound_cells(), plan.wave_pair(chosen.values())
    scored = {cell.key for controller in chosen.values() for cell in plan.score_cells(controller)}
    own = [cell for cell in pairs if cell.key not in scored]  # the runs of an Entry without recovery are scored already
    unknown = (len(plan.entries) - len(chosen)) * len(plan.pair_cells(BOUND))
    return [
        {"name": "search", "cells": search_cells, "done": search_done, "upper_bound": False},
        {"name": "choose", "cells": choose_cells, "done": choose_done, "upper_bound": open_end},
        {"name": "score", "cells": score_cells, "done": score_done, "upper_bound": open_end},
        {"name": "bound", "cells": len(bounds), "done": done(bounds), "upper_bound": False},
        {"name": "pair", "cells": len(own) + unknown, "done": done(own), "upper_bound": bool(unknown)},
    ]
