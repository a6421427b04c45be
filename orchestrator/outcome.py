"""Outcome: what the journal holds of a plan, finished or not. Reads only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.journal import Journal
from orchestrator.leaderboard import Leaderboard, build_leaderboard
from orchestrator.mesh import auto
from orchestrator.plan import Plan, instruments, make_plan
from orchestrator.races import Finals, Searched, ended, journalled, searched
from orchestrator.records import CellRow
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

    keys: of all records that the plan rests on. searches: generations of each search by Entry. finals: what came of
    them. entries: chosen controllers with their test runs. bounds: of test scenarios. linear: runs without recovery on
    the test scenarios, if any are needed.
    """

    plan: Plan
    keys: tuple[str, ...]
    searches: Mapping[str, Searched]
    finals: Mapping[str, Finals]
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
    searches: dict[str, Searched] = {}
    raced: dict[str, Finals] = {}
    chosen = dict(plan.fixed)
    evaluations = 0
    for name, jobs in plan.searches.items():
        searches[name] = searched(plan, name, journal)
        if not ended(searches[name]):
            raise InputError(f"the search of entry {name!r} has not finished with this code: run the experiment")
        for job, generations in zip(jobs, searches[name], strict=True):
            keys += [generation.key for generation in generations]
            evaluations += sum(len(generation.values) for generation in generations) * len(job.scenarios)
        raced[name] = journalled(plan, name, searches[name], journal)
        choice_key = plan.choice_key(name, raced[name].finalists)
        choice = journal.choice(choice_key) if raced[name].over else None
        if choice is None:
            raise InputError(f"entry {name!r} is not chosen yet: run the experiment again to resume it")
        chosen[name] = ControllerRecord.from_json(choice["controller"])
        keys.append(choice_key)
        validation += [*raced[name].run, *(cell.key for cell in plan.choice_cells(raced[name].finalists))]
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
        finals=raced,
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
            names |= {job.search for job in outcome.plan.searches[entry.name]}
            names |= {record.digest for record in outcome.finals[entry.name].elites}
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
        "digest": content_id(plan.code, plan.suite_digest, _searches(plan)),
        "waves": waves,
        "instruments": instruments(plan.suite),
        "mesh": str(auto(plan.suite, plan.node_periods)),
    }


def _open(results: Path) -> Journal | None:
    path = results / JOURNAL
    return Journal(path, read_only=True) if path.exists() else None


def _searches(plan: Plan) -> dict[str, list[str]]:
    return {name: [job.search for job in jobs] for name, jobs in plan.searches.items()}


@dataclass(slots=True, kw_only=True)
class _Counts:
    """Cells needed and done; `open_end` where later waves are not known yet."""

    cells: dict[str, int]
    done: dict[str, int]
    open_end: bool = False

    def add(self, wave: str, cells: int, done: int) -> None:
        """Count more cells of a wave."""
        self.cells[wave] = self.cells.get(wave, 0) + cells
        self.done[wave] = self.done.get(wave, 0) + done


def _waves(plan: Plan, journal: Journal | None) -> list[dict[str, Any]]:
    counts = _Counts(cells={}, done={})
    chosen = dict(plan.fixed)

    def done(cells: Iterable[Cell]) -> int:
        return len(journal.cells(cell.key for cell in cells)) if journal else 0

    for name in plan.searches:
        finalists = _count_search(plan, name, journal, counts)
        if finalists is None:
            counts.open_end = True
            continue
        cells = plan.choice_cells(finalists)
        counts.add("choose", len(cells), done(cells))
        choice = journal.choice(plan.choice_key(name, finalists)) if journal else None
        if choice:
            chosen[name] = ControllerRecord.from_json(choice["controller"])
    score_done = sum(done(plan.score_cells(controller)) for controller in chosen.values())
    counts.add("score", len(plan.entries) * len(plan.suite.scenarios("test")), score_done)
    bounds, pairs = plan.bound_cells(), plan.wave_pair(chosen.values())
    scored = {cell.key for controller in chosen.values() for cell in plan.score_cells(controller)}
    own = [cell for cell in pairs if cell.key not in scored]  # the runs of an Entry without recovery are scored already
    unknown = (len(plan.entries) - len(chosen)) * len(plan.pair_cells(BOUND))
    counts.add("bound", len(bounds), done(bounds))
    counts.add("pair", len(own) + unknown, done(own))
    upper = {"race": counts.open_end, "choose": counts.open_end, "score": counts.open_end, "pair": bool(unknown)}
    names = ["search", *(["race"] if plan.races else []), "choose", "score", "bound", "pair"]
    return [
        {
            "name": name,
            "cells": counts.cells.get(name, 0),
            "done": counts.done.get(name, 0),
            "upper_bound": upper.get(name, False),
        }
        for name in names
    ]


def _count_search(
    plan: Plan, name: str, journal: Journal | None, counts: _Counts
) -> tuple[ControllerRecord, ...] | None:
    """Count an Entry's searches and its race. Return its finalists; None while they are not known."""
    jobs, race = plan.searches[name], plan.races.get(name)
    searches: Searched = searched(plan, name, journal) if journal else tuple(() for _ in jobs)
    for job, generations in zip(jobs, searches, strict=True):
        told = sum(len(generation.values) for generation in generations)
        over = bool(generations) and generations[-1].last  # before its budget where CPU seconds ran out
        counts.add("search", (told if over else job.budget) * len(job.scenarios), told * len(job.scenarios))
    if journal is not None and ended(searches):
        found = journalled(plan, name, searches, journal)
        open_cells = 0 if found.over or race is None else len(found.elites) * len(race.scenarios) - len(found.run)
        counts.add("race", len(found.run) + open_cells, len(found.run))
        if found.over:
            return found.finalists
    handed_over = sum(job.finalists for job in jobs)
    if race is not None and not ended(searches):
        counts.add("race", handed_over * len(race.scenarios), 0)
    most = handed_over if race is None else min(race.finalists, handed_over)
    counts.add("choose", most * len(plan.suite.scenarios("validation")) * (most > 1), 0)
    return None
