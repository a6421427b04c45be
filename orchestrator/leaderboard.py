"""The leaderboard: a pure function of the scored cells and of the bounds, whatever their order.

Entries that comply rank first, then the score decides (orchestrator.score, orchestrator.standings). Without bounds
nothing is known of either: `score` is None and Entries rank by mean objective J over the test scenarios.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from orchestrator.ladder import Climber, Step, foresight_ladder
from orchestrator.records import CellRow
from orchestrator.score import OBJECTIVE, Yardstick
from orchestrator.standings import (
    PRICES,
    EntryCells,
    Standing,
    completed,
    is_tied,
    mean,
    pareto_front,
    rank_limits,
    ranks,
    scenario_values,
    standing,
)
from orchestrator.statistics import Interval, ScenarioBootstrap, paired_differences, probability_of_improvement
from sim_core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One Entry. Money in EUR, lower is better; None where nothing defines a value.

    score: 0 as the reference, 1 as the bound, higher is better, with limits score_lo, score_hi. avoidable: the part of
    what was due that fell short and could have been met, with its upper limit avoidable_hi; compliant: whether that
    limit is small enough. pareto: no Entry beats it in cost, carbon and circularity together.
    cost: mean J over the Entry's n_ok scenarios (those whose runs are all ok), with limits cost_lo, cost_hi.
    cost_diff: mean over the n scenarios that the reference completed too of J minus the reference's, with its limits.
    rank_lo, rank_hi: limits of the rank when scenarios are resampled jointly. tied: the paired difference to the Entry
    ranked just above, in score or else in J, can't be told from 0. probability_of_improvement: share of the n scenarios
    that cost less than under the reference. failed: failed runs. *_half_price, *_double_price: cost and rank were a
    shortfall priced at half or double. metrics: means of the other metrics. per_family: family -> cost_diff, its
    limits, n.
    """

    name: str
    controller: str  # digest of the ControllerRecord
    rank: int
    score: float | None
    score_lo: float | None
    score_hi: float | None
    compliant: bool | None
    avoidable: float | None
    avoidable_hi: float | None
    pareto: bool
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

    yardstick: bounds and the reference's costs. ladder: the views of rolling-horizon Entries, if there are any.
    random: the Entry of a random search, which the others are compared with besides the reference, or None.
    templates: the suite's products that are structural templates: nothing may rank on their numbers. cpu_s: CPU seconds
    by Entry, where they were noted; a timing, so no part of what is compared.
    """

    digest: str
    reference: str
    confidence: float
    rows: tuple[LeaderboardRow, ...]
    costs: Mapping[str, Mapping[str, float]] = field(repr=False)
    yardstick: Yardstick = field(repr=False)
    ladder: tuple[Step, ...]
    bootstrap: ScenarioBootstrap = field(repr=False, compare=False)
    random: str | None = None
    templates: tuple[str, ...] = ()
    cpu_s: Mapping[str, float | None] = field(default_factory=dict, compare=False)

    def versus(self, name: str) -> dict[str, Interval | None]:
        """Return each Entry's paired difference in J to the Entry `name` (negative is better), in the order of rank.

        None where no scenario was completed by both. Raises InputError for an unknown name.
        """
        if name not in self.costs:
            raise InputError(f"no Entry {name!r} on this leaderboard; Entries are {[row.name for row in self.rows]}")
        return {row.name: self.bootstrap.difference(self.costs[row.name], self.costs[name]) for row in self.rows}

    def to_json(self) -> dict[str, Any]:
        """Return {digest, entries, ...}: plain numbers and None, with random_diff and limits where a random search is.

        bounded, scored: how many scenarios carry a bound, and are part of scores. unbounded, no_headroom: ids of those
        whose bound could not be computed, and of those that leave nothing to gain. bound_cost, reference_cost: means
        over the scored ones. ladder: steps from the view that knows least. A suite of structural templates adds their
        names, and its Entries have no ranks.
        """
        entries = [row.to_json() for row in self.rows]
        against = {} if self.random is None else self.versus(self.random)
        for entry in entries if self.random is not None else ():
            found = against[entry["name"]]
            limits = (None, None, None) if found is None else (found.estimate, found.low, found.high)
            entry.update(zip(("random_diff", "random_diff_lo", "random_diff_hi"), limits, strict=True))
        yardstick = self.yardstick
        value = {
            "digest": self.digest,
            "entries": entries,
            "bounded": len(yardstick.lower),
            "scored": len(yardstick.reference),
            "unbounded": list(yardstick.unbounded),
            "no_headroom": list(yardstick.no_headroom),
            "bound_cost": mean({name: yardstick.lower[name] for name in yardstick.reference}),
            "reference_cost": mean(yardstick.reference),
            "ladder": [asdict(step) for step in self.ladder],
        }
        if not self.templates:
            return value
        for entry in entries:
            entry.update(dict.fromkeys(_RANKS))
        return {**value, "templates": list(self.templates)}

    def to_json_with_timings(self) -> dict[str, Any]:
        """Return the JSON form with cpu_s in each Entry: what is shown, not what is compared."""
        value = self.to_json()
        for entry in value["entries"]:
            entry["cpu_s"] = self.cpu_s.get(entry["name"])
        return value


def build_leaderboard(
    entries: Sequence[EntryCells],
    *,
    reference: str,
    seed: int,
    resamples: int,
    confidence: float,
    digest: str,
    bounds: Sequence[CellRow] = (),
    linear: Sequence[CellRow] = (),
) -> Leaderboard:
    """Rank the Entries and compare each with `reference`, on the scenarios that both completed.

    A scenario counts as completed when all its runs are ok. An Entry that failed anywhere ranks after those that
    completed every scenario, and one without any completed scenario last: what it would have cost is unknown, and
    failing where it is expensive must not pay. Equal costs rank by name. bounds: of test scenarios. linear: the runs
    without recovery that handprints compare with.

    Raises InputError when the reference is missing or two Entries share a name, IntegrityError for an ok run without J
    and for one that costs less than its bound.
    """
    names = [entry.name for entry in entries]
    if reference not in names:
        raise InputError(f"the reference Entry {reference!r} is missing; Entries are {names}: add it to the experiment")
    if len(set(names)) < len(names):
        raise InputError(f"Entry names must differ; they are {sorted(names)}")
    bootstrap = ScenarioBootstrap(seed=seed, resamples=resamples, confidence=confidence)
    standings, yardstick = _standings(entries, reference, bounds, linear, bootstrap)
    by_price = {column: ranks(standings.values(), column) for column in PRICES}
    limits = rank_limits(standings.values(), bootstrap)
    front = pareto_front(standings.values())
    families = {cell.scenario: cell.family for entry in entries for cell in entry.cells}
    base = standings[reference].costs
    rows: list[LeaderboardRow] = []
    for name in sorted(standings, key=by_price["cost"].__getitem__):
        mine = standings[name]
        above = standings[rows[-1].name] if rows else None
        cost = bootstrap.interval(np.array(list(mine.costs.values()))) if mine.costs else None
        diff = bootstrap.difference(mine.costs, base)
        rows.append(
            LeaderboardRow(
                name=name,
                controller=mine.entry.controller.digest,
                rank=by_price["cost"][name],
                score=mine.score.estimate if mine.score else None,
                score_lo=mine.score.low if mine.score else None,
                score_hi=mine.score.high if mine.score else None,
                compliant=mine.compliance.compliant,
                avoidable=mine.compliance.avoidable,
                avoidable_hi=mine.compliance.avoidable_hi,
                pareto=name in front,
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
                tied=is_tied(mine, above, yardstick, bootstrap),
                probability_of_improvement=probability_of_improvement(paired_differences(mine.costs, base)),
                cost_half_price=mine.cost_half_price,
                rank_half_price=by_price["cost_half_price"][name],
                cost_double_price=mine.cost_double_price,
                rank_double_price=by_price["cost_double_price"][name],
                metrics=mine.metrics,
                per_family=_per_family(mine.costs, base, families, bootstrap),
            )
        )
    return Leaderboard(
        digest=digest,
        reference=reference,
        confidence=confidence,
        rows=tuple(rows),
        costs={name: one.costs for name, one in standings.items()},
        yardstick=yardstick,
        ladder=foresight_ladder([_climber(standings[row.name]) for row in rows], bootstrap),
        bootstrap=bootstrap,
    )


def _standings(
    entries: Sequence[EntryCells],
    reference: str,
    bounds: Sequence[CellRow],
    linear: Sequence[CellRow],
    bootstrap: ScenarioBootstrap,
) -> tuple[dict[str, Standing], Yardstick]:
    """Return where each Entry stands, sorted by name, and what they are measured with."""
    base = next(entry for entry in entries if entry.name == reference)
    yardstick = Yardstick.of(bounds, scenario_values(completed(base.cells), OBJECTIVE))
    for entry in entries:
        yardstick.check(entry.name, entry.cells)
    yardstick.check("linear, the run without recovery", linear)
    scenarios = {cell.scenario for entry in entries for cell in entry.cells}
    ordered = sorted(entries, key=lambda entry: entry.name)
    return {entry.name: standing(entry, scenarios, yardstick, linear, bootstrap) for entry in ordered}, yardstick


def _climber(one: Standing) -> Climber:
    score = one.score.estimate if one.score else None
    return Climber(entry=one.entry.name, controller=one.entry.controller, cost=one.cost, score=score, costs=one.costs)


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
        diff = bootstrap.difference(inside, reference)
        if diff:
            limits = {"cost_diff_lo": diff.low, "cost_diff_hi": diff.high}
            result[family] = {"cost_diff": diff.estimate, **limits, "n": diff.n}
    return result
