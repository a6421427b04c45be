"""The leaderboard: a pure function of the scored cells, whatever their order.

Until scenarios carry a bound, `score` is None and Entries rank by mean objective J over the test scenarios. With the
bound comes the ranking of compliant Entries first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import fsum
from typing import Any

import numpy as np

from orchestrator.records import CellRow
from orchestrator.statistics import (
    Interval,
    ScenarioBootstrap,
    paired_differences,
    probability_of_improvement,
    scenario_means,
)
from sim_core.control import ControllerRecord
from sim_core.errors import InputError, IntegrityError

OBJECTIVE = "objective"
SHORTFALL = "shortfall_charge"
_ALWAYS_SHOWN = ("carbon", "circularity", "compliance", "service", SHORTFALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCells:
    """An Entry, the controller that stands for it, and its scored runs on the test scenarios."""

    name: str
    controller: ControllerRecord
    cells: tuple[CellRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One Entry. Money in EUR, lower is better; None where nothing defines a value.

    cost: mean J over the Entry's n_ok scenarios (those whose runs are all ok), with limits cost_lo, cost_hi.
    cost_diff: mean over the n scenarios that the reference completed too of J minus the reference's, with its limits.
    rank_lo, rank_hi: limits of the rank when scenarios are resampled jointly. tied: the paired difference to the Entry
    ranked just above can't be told from 0. probability_of_improvement: share of the n scenarios that cost less than
    under the reference. failed: failed runs. *_half_price, *_double_price: cost and rank were a shortfall priced at
    half or double. metrics: means of the other metrics. per_family: family -> cost_diff, its limits, n.
    """

    name: str
    controller: str  # digest of the ControllerRecord
    rank: int
    score: float | None
    cost: float | None
    cost_lo: float | None
    cost_hi: float | None
    cost_diff: float | None
    cost_diff_lo: float | None
    cost_diff_hi: float | None
    n: int
    n_ok: int
    failed: int
    rank_lo: int
    rank_hi: int
    tied: bool
    probability_of_improvement: float | None
    cost_half_price: float | None
    rank_half_price: int
    cost_double_price: float | None
    rank_double_price: int
    metrics: Mapping[str, float | None]
    per_family: Mapping[str, Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """Return the row as one flat object, metrics by their names, but for per_family."""
        value = asdict(self)
        return value | value.pop("metrics")


_RANKS = ("rank", "rank_lo", "rank_hi", "rank_half_price", "rank_double_price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Rows in the order of rank. costs: Entry -> scenario -> J, over the scenarios that the Entry completed.

    random: the Entry of a random search, which the others are compared with besides the reference, or None.
    templates: the suite's products that are structural templates: nothing may rank on their numbers.
    """

    digest: str
    reference: str
    confidence: float
    rows: tuple[LeaderboardRow, ...]
    costs: Mapping[str, Mapping[str, float]] = field(repr=False)
    bootstrap: ScenarioBootstrap = field(repr=False, compare=False)
    random: str | None = None
    templates: tuple[str, ...] = ()

    def versus(self, name: str) -> dict[str, Interval | None]:
        """Return each Entry's paired difference in J to the Entry `name` (negative is better), in the order of rank.

        None where no scenario was completed by both. Raises InputError for an unknown name.
        """
        if name not in self.costs:
            raise InputError(f"no Entry {name!r} on this leaderboard; Entries are {[row.name for row in self.rows]}")
        return {row.name: _difference(self.costs[row.name], self.costs[name], self.bootstrap) for row in self.rows}

    def to_json(self) -> dict[str, Any]:
        """Return {digest, entries}: plain numbers and None, with random_diff and limits where a random search is.

        A suite of structural templates adds their names, and its Entries have no ranks.
        """
        entries = [row.to_json() for row in self.rows]
        against = {} if self.random is None else self.versus(self.random)
        for entry in entries if self.random is not None else ():
            found = against[entry["name"]]
            limits = (None, None, None) if found is None else (found.estimate, found.low, found.high)
            entry.update(zip(("random_diff", "random_diff_lo", "random_diff_hi"), limits, strict=True))
        if not self.templates:
            return {"digest": self.digest, "entries": entries}
        for entry in entries:
            entry.update(dict.fromkeys(_RANKS))
        return {"digest": self.digest, "entries": entries, "templates": list(self.templates)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What an Entry's cells say on their own. tier: 0 all scenarios completed, 1 some, 2 none."""

    entry: EntryCells
    tier: int
    costs: Mapping[str, float]
    metrics: Mapping[str, float | None]
    cost: float | None
    cost_half_price: float | None
    cost_double_price: float | None


def build_leaderboard(
    entries: Sequence[EntryCells], *, reference: str, seed: int, resamples: int, confidence: float, digest: str
) -> Leaderboard:
    """Rank the Entries and compare each with `reference`, on the scenarios that both completed.

    A scenario counts as completed when all its runs are ok. An Entry that failed anywhere ranks after those that
    completed every scenario, and one without any completed scenario last: what it would have cost is unknown, and
    failing where it is expensive must not pay. Equal costs rank by name.

    Raises InputError when the reference is missing or two Entries share a name, IntegrityError for an ok run without J.
    """
    names = [entry.name for entry in entries]
    if reference not in names:
        raise InputError(f"the reference Entry {reference!r} is missing; Entries are {names}: add it to the experiment")
    if len(set(names)) < len(names):
        raise InputError(f"Entry names must differ; they are {sorted(names)}")
    bootstrap = ScenarioBootstrap(seed=seed, resamples=resamples, confidence=confidence)
    scenarios = {cell.scenario for entry in entries for cell in entry.cells}
    standings = {entry.name: _standing(entry, scenarios) for entry in sorted(entries, key=lambda entry: entry.name)}
    ranks, half, double = (
        _ranks(standings.values(), column) for column in ("cost", "cost_half_price", "cost_double_price")
    )
    limits = _rank_limits(standings.values(), bootstrap)
    families = {cell.scenario: cell.family for entry in entries for cell in entry.cells}
    rows: list[LeaderboardRow] = []
    for name in sorted(ranks, key=ranks.__getitem__):
        mine = standings[name]
        base = standings[reference].costs
        above = _difference(mine.costs, standings[rows[-1].name].costs, bootstrap) if rows else None
        cost = bootstrap.interval(np.array(list(mine.costs.values()))) if mine.costs else None
        diff = _difference(mine.costs, base, bootstrap)
        rows.append(
            LeaderboardRow(
                name=name,
                controller=mine.entry.controller.digest,
                rank=ranks[name],
                score=None,
                cost=mine.cost,
                cost_lo=cost.low if cost else None,
                cost_hi=cost.high if cost else None,
                cost_diff=diff.estimate if diff else None,
                cost_diff_lo=diff.low if diff else None,
                cost_diff_hi=diff.high if diff else None,
                n=diff.n if diff else 0,
                n_ok=len(mine.costs),
                failed=sum(cell.status != "ok" for cell in mine.entry.cells),
                rank_lo=limits[name][0],
                rank_hi=limits[name][1],
                tied=above is not None and not above.excludes_zero,
                probability_of_improvement=probability_of_improvement(paired_differences(mine.costs, base)),
                cost_half_price=mine.cost_half_price,
                rank_half_price=half[name],
                cost_double_price=mine.cost_double_price,
                rank_double_price=double[name],
                metrics=mine.metrics,
                per_family=_per_family(mine.costs, base, families, bootstrap),
            )
        )
    return Leaderboard(
        digest=digest,
        reference=reference,
        confidence=confidence,
        rows=tuple(rows),
        costs={name: standing.costs for name, standing in standings.items()},
        bootstrap=bootstrap,
    )


def _standing(entry: EntryCells, scenarios: set[str]) -> _Standing:
    broken = {cell.scenario for cell in entry.cells if cell.status != "ok"}
    cells = [cell for cell in entry.cells if cell.scenario not in broken]
    for cell in cells:
        if cell.metrics.get(OBJECTIVE) is None:
            raise IntegrityError(f"run {cell.key} ({entry.name}, {cell.scenario}) is ok but has no {OBJECTIVE}")
    costs = _scenario_values(cells, OBJECTIVE)
    cost = _mean(costs)
    charges = _scenario_values(cells, SHORTFALL)
    charge = _mean(charges) if charges.keys() == costs.keys() else None
    others = sorted({name for cell in cells for name in cell.metrics} | set(_ALWAYS_SHOWN))
    return _Standing(
        entry=entry,
        tier=2 if not costs else 0 if costs.keys() == scenarios else 1,
        costs=costs,
        metrics={name: _mean(_scenario_values(cells, name)) for name in others if name != OBJECTIVE},
        cost=cost,
        # J holds the discounted charge once.
        cost_half_price=None if cost is None or charge is None else cost - charge / 2.0,
        cost_double_price=None if cost is None or charge is None else cost + charge,
    )


def _scenario_values(cells: Iterable[CellRow], metric: str) -> dict[str, float]:
    """Return the metric's mean per scenario, where it is defined."""
    defined = [(cell.scenario, value) for cell in cells if (value := cell.metrics.get(metric)) is not None]
    return scenario_means([scenario for scenario, _ in defined], [value for _, value in defined])


def _mean(values: Mapping[str, float]) -> float | None:
    return fsum(values.values()) / len(values) if values else None


def _difference(
    costs: Mapping[str, float], reference: Mapping[str, float], bootstrap: ScenarioBootstrap
) -> Interval | None:
    differences = paired_differences(costs, reference)
    return bootstrap.interval(differences) if len(differences) else None


def _ranks(standings: Iterable[_Standing], column: str) -> dict[str, int]:
    def order(standing: _Standing) -> tuple[int, bool, float, str]:
        value: float | None = getattr(standing, column)
        return standing.tier, value is None, value or 0.0, standing.entry.name

    return {standing.entry.name: rank for rank, standing in enumerate(sorted(standings, key=order), start=1)}


def _rank_limits(standings: Iterable[_Standing], bootstrap: ScenarioBootstrap) -> dict[str, tuple[int, int]]:
    """Return each Entry's rank limits; one with failures can't be placed more finely than its tier."""
    tiers: list[list[_Standing]] = [[], [], []]
    for standing in standings:
        tiers[standing.tier].append(standing)
    first = 1
    result: dict[str, tuple[int, int]] = {}
    for tier, members in enumerate(tiers):
        if tier == 0 and members:
            costs = np.array([list(standing.costs.values()) for standing in members])
            limits = bootstrap.rank_intervals(costs)
        else:
            limits = [(first, first + len(members) - 1)] * len(members)
        result |= {standing.entry.name: limit for standing, limit in zip(members, limits, strict=True)}
        first += len(members)
    return result


def _per_family(
    costs: Mapping[str, float],
    reference: Mapping[str, float],
    families: Mapping[str, str],
    bootstrap: ScenarioBootstrap,
) -> dict[str, dict[str, float | None]]:
    """Return family -> paired difference to the reference within that family, where both completed a scenario."""
    result: dict[str, dict[str, float | None]] = {}
    for family in sorted(set(families.values())):
        inside = {scenario: cost for scenario, cost in costs.items() if families[scenario] == family}
        diff = _difference(inside, reference, bootstrap)
        if diff:
            limits = {"cost_diff_lo": diff.low, "cost_diff_hi": diff.high}
            result[family] = {"cost_diff": diff.estimate, **limits, "n": diff.n}
    return result
