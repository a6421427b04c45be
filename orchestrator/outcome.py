"""Outcome: what the journal holds of a plan, finished or not. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.journal import Journal
from orchestrator.leaderboard import EntryCells, Leaderboard, build_leaderboard
from orchestrator.plan import Plan, instruments, make_plan
from orchestrator.records import CellRow, Generation
from orchestrator.spec import ExperimentSpec, load
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
    their test runs.
    """

    plan: Plan
    keys: tuple[str, ...]
    searches: Mapping[str, Sequence[Generation]]
    entries: tuple[EntryCells, ...]
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
    entries: list[EntryCells] = []
    score = {name: plan.score_cells(chosen[name]) for name in plan.entries}
    rows = journal.cells({cell.key for cells in score.values() for cell in cells})
    for name, cells in score.items():
        missing = sum(cell.key not in rows for cell in cells)
        if missing:
            raise InputError(f"{missing} runs of entry {name!r} are missing: run the experiment again to resume it")
        entries.append(EntryCells(name=name, controller=chosen[name], cells=tuple(rows[cell.key] for cell in cells)))
    choice_rows = journal.cells(validation)
    keys += [*rows, *choice_rows]
    failed = {row.key for row in (*rows.values(), *choice_rows.values()) if row.status != "ok"}
    return Outcome(
        plan=plan,
        keys=tuple(sorted(set(keys))),
        searches=searches,
        entries=tuple(entries),
        cells=evaluations + len(rows.keys() | choice_rows.keys()),
        failed=len(failed),
    )


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
    )
    templates = {name for name in spec.to_suite().archetypes if not archetype(name).ranked}
    return replace(board, random=random, templates=tuple(sorted(templates)))


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
    search_cells = search_done = choose_cells = choose_done = score_done = 0
    chosen = dict(plan.fixed)
    open_end = False
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
        choose_done += len(journal.cells(cell.key for cell in cells)) if journal else 0
        choice = journal.choice(plan.choice_key(job, finalists)) if journal else None
        if choice:
            chosen[name] = ControllerRecord.from_json(choice["controller"])
    for controller in chosen.values():
        score_done += len(journal.cells(cell.key for cell in plan.score_cells(controller))) if journal else 0
    score_cells = len(plan.entries) * len(plan.suite.scenarios("test"))
    return [
        {"name": "search", "cells": search_cells, "done": search_done, "upper_bound": False},
        {"name": "choose", "cells": choose_cells, "done": choose_done, "upper_bound": open_end},
        {"name": "score", "cells": score_cells, "done": score_done, "upper_bound": open_end},
    ]
