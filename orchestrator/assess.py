"""Assess a suite: run its reference controllers on test scenarios, and say whether the scenarios tell them apart.

The runs stand in the experiment's journal under their usual keys, so that an assessment takes up what a run has done,
and repeating it resumes it. Three waves beside search and choice: the Entries on the assessed scenarios; the top two on
replications of some of them; the foresight ladder, the reference and the bound on the first ones of each family.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.assessment import (
    Costs,
    Flips,
    costs_of,
    difficulty,
    discrimination,
    flips,
    halving_taus,
    rank_correlation,
    ranking,
    tiers,
)
from orchestrator.backend import LazyBackend, RunSettings
from orchestrator.entry_checks import VIEWS
from orchestrator.journal import Journal
from orchestrator.ladder import CLIMBER
from orchestrator.outcome import JOURNAL
from orchestrator.plan import Plan, make_plan
from orchestrator.progress import Progress
from orchestrator.records import CellRow
from orchestrator.score import OBJECTIVE
from orchestrator.spec import ExperimentSpec
from orchestrator.statistics import ScenarioBootstrap
from orchestrator.waves import PARTS, Waves, make_folder
from orchestrator.work import Cell
from sim_core.control import ControllerRecord
from sim_core.errors import InfrastructureError, InputError
from sim_core.generate.coverage import coverage
from sim_core.generate.leaks import LEAST_RATIO, check_leaks
from sim_core.generate.recipe import Recipe, instruments, recipes_of
from sim_core.generate.tiers import felt, horizon, notices, pressure, tier_of
from sim_core.suite import SPLITS, SuiteDefinition

FILE = "assessment.json"
COVERED_IN = 5000  # scenarios in which pairs of instruments have to come together
LEAST_CONTROLLERS = 10
# metric: unit, target, which way is better
METRICS: Mapping[str, tuple[str, float | None, str]] = {
    "pair_coverage": ("share", 0.95, "higher"),
    "leak_ratio": ("ratio", LEAST_RATIO, "higher"),
    "kendall_tau_halves": ("tau-b", 0.9, "higher"),
    "kendall_tau_halves_p05": ("tau-b", None, "higher"),
    "flip_share": ("share", 0.10, "higher"),
    "headroom_least_family": ("share of J", 0.01, "higher"),
    "ladder_headroom": ("share of J", None, "higher"),
    "ladder_headroom_least_family": ("share of J", None, "higher"),
    "discrimination_median": ("correlation", None, "higher"),
    "discrimination_low_share": ("share", None, "lower"),
    "law_tier_correlation": ("correlation", None, "higher"),
}
_LOW = 0.2  # a correlation below which a scenario tells little
_COVERS = ("plant_cover", "warehouse_cover", "reman_cover", "keep_cover")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is run. scenarios: of the test split; 0 means all.

    replicated: scenarios whose top two are run `replications` times, under other paths. ladder: scenarios of each
    family on which the foresight ladder and the bound are computed, a minute or less each.
    """

    scenarios: int = 0
    replicated: int = 96
    replications: int = 64
    ladder: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What an assessment found. metrics: value by name of METRICS, None where there is none; notes: what limits one."""

    suite: str
    digest: str
    scenarios: int
    simulated: int
    failed: tuple[str, ...]
    ranking: tuple[str, ...]
    metrics: Mapping[str, float | None]
    notes: Mapping[str, str]
    families: tuple[Mapping[str, Any], ...]
    tiers: Mapping[str, Mapping[str, float | int]]
    rows: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `suite assess --json` prints: all but the rows by scenario."""
        form = {name: value for name, value in asdict(self).items() if name not in ("rows", "metrics", "notes")}
        form["metrics"] = [
            {"metric": name, "value": self.metrics[name], "unit": unit, "target": target, "better": better}
            | ({"note": self.notes[name]} if name in self.notes else {})
            for name, (unit, target, better) in METRICS.items()
        ]
        return form


def assess(spec: ExperimentSpec, results: Path, *, size: Size, settings: RunSettings, progress: Progress) -> Assessment:
    """Assess an experiment's suite; write assessment.json beside its journal.

    Raises InputError where the reference and another Entry did not complete all assessed scenarios,
    InfrastructureError (resumable) when the machine, Ray or the disk fails.
    """
    plan = _sized(make_plan(spec), size)
    make_folder(results)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(results / JOURNAL))
        backend = LazyBackend(plan, settings, stack, progress)
        waves = Waves(plan=plan, journal=journal, parts=results / PARTS, progress=progress, backend=backend)
        waves.search()
        chosen = waves.choose()
        scored = waves.finish("score", [cell for one in chosen.values() for cell in plan.score_cells(one)])
        costs, failed = _costs(plan, chosen, scored, spec.reference)
        bootstrap = ScenarioBootstrap(**spec.statistics.model_dump())
        top = [chosen[name] for name in ranking(costs)[:2]]
        again = waves.finish("replications", _replication_cells(plan, size, top))
        steps = _ladder(chosen, spec.reference)
        ladder = waves.finish(
            "ladder", [cell for one in steps.values() for cell in plan.score_cells(one)[: plan.bounds]]
        )
        bounds = waves.finish("bound", plan.bound_cells())
        digest = journal.digest([*scored, *again, *ladder, *bounds])
        backend.release()
    found = _Found(
        plan=plan, suite=spec.to_suite(), costs=costs, reference=spec.reference, rows=scored | again | ladder | bounds
    )
    assessment = found.assessment(
        digest=digest, simulated=waves.simulated, failed=failed, size=size, top=top, steps=steps, bootstrap=bootstrap
    )
    _write(assessment, results / FILE)
    return assessment


def _sized(plan: Plan, size: Size) -> Plan:
    """Return a plan whose test split holds the assessed scenarios, with bounds for the ladder's."""
    test = plan.suite.splits["test"]
    wanted = min(size.scenarios or test.scenarios, test.scenarios)
    splits = {**plan.suite.splits, "test": replace(test, scenarios=wanted)}
    return replace(plan, suite=replace(plan.suite, splits=splits), bounds=min(wanted, size.ladder * len(test.families)))


def _costs(
    plan: Plan, chosen: Mapping[str, ControllerRecord], rows: Mapping[str, CellRow], reference: str
) -> tuple[Costs, tuple[str, ...]]:
    values: dict[str, dict[str, float]] = {}
    for name, record in chosen.items():
        found = values.setdefault(name, {})
        for cell in plan.score_cells(record):
            cost = rows[cell.key].metrics.get(OBJECTIVE)
            if cost is not None:
                found[cell.scenario] = cost
    scenarios = plan.suite.scenarios("test")
    costs, failed = costs_of(values, scenarios, [_family(one) for one in scenarios])
    if len(costs.controllers) < 2 or reference not in costs.controllers:
        raise InputError(
            f"{len(costs.controllers)} of {len(chosen)} Entries completed all {len(scenarios)} scenarios; the "
            "reference and another one must: see their messages with `circularbench run`, or leave out those that fail"
        )
    return costs, failed


def _replication_cells(plan: Plan, size: Size, top: Sequence[ControllerRecord]) -> list[Cell]:
    if size.replications < 2:
        return []
    return [
        plan.cell(again, record)
        for scenario in plan.suite.scenarios("test")[: size.replicated]
        for again in _replications(scenario, size)
        for record in top
    ]


def _replications(scenario: str, size: Size) -> list[str]:
    """Return the ids of a scenario's replications, itself the first."""
    return [scenario, *(f"{scenario}~{number}" for number in range(1, size.replications))]


def _ladder(chosen: Mapping[str, ControllerRecord], reference: str) -> dict[str, ControllerRecord]:
    """Return the rolling-horizon controllers of all views: the Entries' own, else with the reference's covers."""
    covers = {name: value for name, value in chosen[reference].parameters.items() if name in _COVERS}
    steps = {view: ControllerRecord(kind=CLIMBER, parameters={**covers, "view": view}) for view in VIEWS}
    own = {one.parameters.get("view"): one for one in chosen.values() if one.kind == CLIMBER}
    return {view: own.get(view, one) for view, one in steps.items()}


def _family(scenario: str) -> str:
    return scenario.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The rows of an assessment, and what follows from them. suite: the whole one. rows: by cell key."""

    plan: Plan
    suite: SuiteDefinition
    costs: Costs
    reference: str
    rows: Mapping[str, CellRow]

    def assessment(
        self,
        *,
        digest: str,
        simulated: int,
        failed: tuple[str, ...],
        size: Size,
        top: Sequence[ControllerRecord],
        steps: Mapping[str, ControllerRecord],
        bootstrap: ScenarioBootstrap,
    ) -> Assessment:
        """Return the whole assessment."""
        taus = halving_taus(self.costs, bootstrap.seed)
        flipped = flips(self.costs, self._differences(size, top), bootstrap)
        telling = discrimination(self.costs)
        hard = difficulty(self.costs, self.reference)
        pressing = self._pressures()
        families = self._families(steps)
        rooms = [row["ladder_headroom"] for row in families if row["ladder_headroom"] is not None]
        below = [row["headroom"] for row in families if row["headroom"] is not None]
        metrics = {
            "pair_coverage": self._coverage(),
            "leak_ratio": self._leak_ratio(),
            "kendall_tau_halves": float(np.nanmean(taus)),
            "kendall_tau_halves_p05": float(np.nanquantile(taus, 0.05)),
            "flip_share": flipped.share if flipped.judged else None,
            "headroom_least_family": min(below, default=None),
            "ladder_headroom": sum(rooms) / len(rooms) if rooms else None,
            "ladder_headroom_least_family": min(rooms, default=None),
            "discrimination_median": float(np.median(telling)),
            "discrimination_low_share": float(np.mean(telling < _LOW)),
            "law_tier_correlation": float(rank_correlation(pressing, hard)),
        }
        return Assessment(
            suite=self.plan.suite.name,
            digest=digest,
            scenarios=len(self.costs.scenarios),
            simulated=simulated,
            failed=failed,
            ranking=ranking(self.costs),
            metrics=metrics,
            notes=self._notes(flipped, size),
            families=families,
            tiers=_tiers(hard),
            rows=self._rows(telling, hard, pressing, flipped),
        )

    def _cost(self, scenario: str, record: ControllerRecord) -> float | None:
        row = self.rows.get(self.plan.cell(scenario, record).key)
        return None if row is None else row.metrics.get(OBJECTIVE)

    def _differences(self, size: Size, top: Sequence[ControllerRecord]) -> dict[str, NDArray[np.float64]]:
        """Return, by scenario, the runner-up's cost minus the best one's on its replications."""
        found: dict[str, NDArray[np.float64]] = {}
        if size.replications < 2:
            return found
        for scenario in self.costs.scenarios[: size.replicated]:
            pairs = [[self._cost(one, record) for record in top] for one in _replications(scenario, size)]
            known = [(best, second) for best, second in pairs if best is not None and second is not None]
            if len(known) > 1:
                found[scenario] = np.array([second - best for best, second in known])
        return found

    def _families(self, steps: Mapping[str, ControllerRecord]) -> tuple[dict[str, Any], ...]:
        """Return headroom and ladder by family: means over its bounded scenarios, as shares of |J of the reference|."""
        found: list[dict[str, Any]] = []
        by_family: dict[str, list[list[float]]] = {one: [] for one in self.plan.suite.splits["test"].families}
        for cell in self.plan.bound_cells():
            climbed = [self._cost(cell.scenario, steps[view]) for view in VIEWS]
            lower = self.rows[cell.key].metrics.get(OBJECTIVE)
            reference = self.costs.of(self.reference)[self.costs.scenarios.index(cell.scenario)]
            if lower is not None and all(one is not None for one in climbed):
                by_family[_family(cell.scenario)].append([float(reference), *(one or 0.0 for one in climbed), lower])
        for family, values in by_family.items():
            row: dict[str, Any] = {"family": family, "n": len(values), "headroom": None, "ladder_headroom": None}
            if values:
                reference, *climbed, lower = np.mean(values, axis=0).tolist()
                scale = abs(reference) or 1.0
                row |= {"reference": reference, "bound": lower, "headroom": (reference - lower) / scale}
                row |= {"ladder_headroom": (climbed[0] - climbed[-1]) / scale}
                row |= {f"gain_{view}": (climbed[i] - climbed[i + 1]) / scale for i, view in enumerate(VIEWS[1:])}
                row |= {"left": (climbed[-1] - lower) / scale}
            found.append(row)
        return tuple(found)

    def _coverage(self) -> float | None:
        every = (one for split in SPLITS for one in self.suite.scenarios(split))
        noticed = self._noticed(list(islice(every, COVERED_IN)))
        return coverage(self.suite.listed_families, (felt(one, known) for one, known in noticed)).share

    def _leak_ratio(self) -> float | None:
        """Return how near validation and test come to train; None without scenarios of train to compare with."""
        if len(self.suite.scenarios("train")) < 2:
            return None
        return min((0.0 if one.same else one.near for one in check_leaks(self.suite).splits), default=None)

    def _pressures(self) -> NDArray[np.float64]:
        return np.array([pressure(one, known) for one, known in self._noticed(self.costs.scenarios)])

    def _noticed(self, scenarios: Sequence[str]) -> Iterator[tuple[Recipe, tuple[int | None, ...]]]:
        """Yield recipes with the days of notice of their revisions."""
        span = horizon(self.suite)
        for recipe in recipes_of(self.suite, scenarios):
            yield recipe, notices(recipe, instruments(self.suite, recipe), span)

    def _notes(self, flipped: Flips, size: Size) -> dict[str, str]:
        overall = flipped.overall
        notes = {
            "flip_share": f"{flipped.best} before {flipped.runner_up}: {len(flipped.flipped)} of {flipped.judged} "
            f"scenarios flip them, {len(flipped.agreed)} agree ({size.replications} replications each); chance alone "
            f"would give {flipped.by_chance:.1%}" + ("" if overall.excludes_zero else "; over all scenarios they tie"),
            "pair_coverage": f"in the first {COVERED_IN:,} scenarios, counting revisions that change a value in time",
        }
        if len(self.costs.controllers) < LEAST_CONTROLLERS:
            notes["kendall_tau_halves"] = (
                f"of {len(self.costs.controllers)} controllers; a suite is judged by {LEAST_CONTROLLERS} or more"
            )
        return notes

    def _rows(
        self,
        telling: NDArray[np.float64],
        hard: NDArray[np.float64],
        pressing: NDArray[np.float64],
        flipped: Flips,
    ) -> tuple[dict[str, Any], ...]:
        words = tiers(hard)
        verdicts = {**dict.fromkeys(flipped.flipped, "flips"), **dict.fromkeys(flipped.agreed, "agrees")}
        return tuple(
            {
                "scenario": scenario,
                "family": self.costs.families[i],
                "discrimination": float(telling[i]),
                "difficulty": float(hard[i]),
                "tier": words[i],
                "law_pressure": float(pressing[i]),
                "law_tier": tier_of(float(pressing[i])),
                "top_two": verdicts.get(scenario, ""),
            }
            for i, scenario in enumerate(self.costs.scenarios)
        )


def _tiers(hard: NDArray[np.float64]) -> dict[str, dict[str, float | int]]:
    """Return, by tier, how many scenarios it holds and their mean difficulty."""
    words = np.array(tiers(hard))
    return {
        str(word): {"scenarios": int((words == word).sum()), "difficulty": float(hard[words == word].mean())}
        for word in dict.fromkeys(words[np.argsort(hard, kind="stable")].tolist())
    }


def _write(assessment: Assessment, path: Path) -> None:
    text = json.dumps({**assessment.to_json(), "rows": assessment.rows}, indent=1, allow_nan=False) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"can't write {path}: {error.strerror}; make room, then repeat the command") from None
