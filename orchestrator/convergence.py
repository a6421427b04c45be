"""How searches went: the best value so far, by evaluations and by node-periods, with limits over an Entry's seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from orchestrator.plan import Plan
from orchestrator.races import Searched
from orchestrator.records import Generation

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """An Entry's searches as one curve: the median over seeds of the best mean J so far, EUR, after each generation.

    evaluations, node_periods: of one search. low, high: limits of the median, equal to it where there is one seed.
    coverage: the confidence of these limits, None for one seed. early: searches that ended before their budget.
    """

    entry: str
    seeds: int
    evaluations: tuple[int, ...]
    node_periods: tuple[int, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coverage: float | None
    early: int


def best_so_far(generations: Sequence[Generation]) -> list[tuple[int, float]]:
    """Return (evaluations, best mean J so far) after each generation that has found a value."""
    points: list[tuple[int, float]] = []
    count, best = 0, float("inf")
    for generation in generations:
        count += len(generation.values)
        best = min([best, *(value.value for value in generation.values if value.value is not None)])
        if best < float("inf"):
            points.append((count, best))
    return points


def convergence(plan: Plan, name: str, searches: Searched) -> Convergence:
    """Return how an Entry's searches went. The curve begins where each of them has found a value.

    A search that ended early keeps its best to the end of the curve.
    """
    jobs = plan.searches[name]
    curves = [best_so_far(generations) for generations in searches]
    spent = [sum(len(generation.values) for generation in generations) for generations in searches]
    places = sorted({x for curve in curves for x, _ in curve})
    known = [x for x in places if all(curve and curve[0][0] <= x for curve in curves)]
    table = np.array([[_at(curve, x) for x in known] for curve in curves]).reshape(len(curves), len(known))
    low, high, coverage = median_limits(len(curves), CONFIDENCE)
    ordered = np.sort(table, axis=0)
    one = plan.node_periods * len(jobs[0].scenarios)
    return Convergence(
        entry=name,
        seeds=len(curves),
        evaluations=tuple(known),
        node_periods=tuple(x * one for x in known),
        median=tuple(np.median(table, axis=0).tolist()),
        low=tuple(ordered[low].tolist()),
        high=tuple(ordered[high].tolist()),
        coverage=coverage,
        early=sum(count < job.budget for count, job in zip(spent, jobs, strict=True)),
    )


def median_limits(count: int, confidence: float) -> tuple[int, int, float | None]:
    """Return which of `count` values in ascending order, from 0, limit their distribution's median, and how surely.

    Exact for any distribution: the median lies between the r-th value from below and from above with probability
    1 - 2 P(B < r), B binomial with p = 1/2 (Thompson 1936; Conover, Practical Nonparametric Statistics, 3.2). The
    widest r that keeps the confidence is taken; where none does, the whole range with the confidence that it has.
    A single value has none.
    """
    if count < 2:
        return 0, count - 1, None
    coverage = [1.0 - 2.0 * float(binom.cdf(rank - 1, count, 0.5)) for rank in range(1, count // 2 + 1)]
    rank = max((rank for rank, found in enumerate(coverage, 1) if found >= confidence), default=1)
    return rank - 1, count - rank, coverage[rank - 1]


def _at(curve: Sequence[tuple[int, float]], x: int) -> float:
    return next(best for count, best in reversed(curve) if count <= x)
