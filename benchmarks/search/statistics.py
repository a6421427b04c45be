"""The statistics of the tables: mean regret by problem, paired tests, intervals of a ratio, expected running time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.search.problem import stream

Pair = tuple[str, int]  # problem, seed
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A one-sided Wilcoxon signed rank test: is `ours` less than `theirs`?

    statistic: the sum of the ranks of the pairs where ours is greater. p: the probability of one as small where
    neither is. wins, losses, ties: of ours, over n pairs.
    """

    statistic: float
    p: float
    n: int
    wins: int
    losses: int
    ties: int


def paired(ours: Mapping[Pair, float], theirs: Mapping[Pair, float]) -> Paired | None:
    """Test the pairs that both have; None where there is none, or where all of them are ties.

    Ties are left out before ranking (Wilcoxon 1945). The distribution of the statistic is exact for up to 50 pairs
    without ties in rank, normal beyond.
    """
    shared = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[pair] - theirs[pair] for pair in shared])
    if not differences.any():
        return None
    found: Any = stats.wilcoxon(differences, zero_method="wilcox", alternative="less")
    wins, losses = int((differences < 0).sum()), int((differences > 0).sum())
    return Paired(
        statistic=float(found.statistic),
        p=float(found.pvalue),
        n=len(shared),
        wins=wins,
        losses=losses,
        ties=len(shared) - wins - losses,
    )


def by_problem(regrets: Mapping[Pair, float]) -> dict[str, float]:
    """Return each problem's mean over its seeds."""
    found: dict[str, list[float]] = {}
    for (problem, _), value in regrets.items():
        found.setdefault(problem, []).append(value)
    return {problem: float(np.mean(values)) for problem, values in found.items()}


def mean_regret(regrets: Mapping[Pair, float], problems: Sequence[str]) -> float | None:
    """Return the mean over problems of the mean over seeds; None where a problem has no run."""
    means = by_problem(regrets)
    if not problems or any(problem not in means for problem in problems):
        return None
    return float(np.mean([means[problem] for problem in problems]))


def ratio_interval(theirs: Mapping[Pair, float], ours: Mapping[Pair, float]) -> tuple[float, float] | None:
    """Return a 95 % percentile interval of mean regret of theirs over ours, problems resampled with replacement.

    Runs on one problem share its landscape: problems, not runs, are the sample. None below two shared problems.
    """
    left, right = by_problem(theirs), by_problem(ours)
    shared = sorted(left.keys() & right.keys())
    if len(shared) < 2:
        return None
    table = np.array([[left[problem], right[problem]] for problem in shared])
    drawn = stream("problems resampled").integers(0, len(shared), (RESAMPLES, len(shared)))
    sums = table[drawn].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanquantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return float(low), float(high)


def first_hit(trace: Sequence[tuple[int, float]], target: float) -> int | None:
    """Return after how many evaluations a run's best regret was at or below a target; None if never.

    trace: (evaluations so far, best regret so far), one entry for each improvement, in order.
    """
    return next((evaluations for evaluations, regret in trace if regret <= target), None)


def expected_running_time(hits: Sequence[int | None], budget: int) -> float:
    """Return evaluations spent until the target, over all runs, divided by the number of runs that reached it.

    hits: first_hit of each run; a run that never got there spent the budget. inf where none did. (Price 1997, "ERT"
    after Hansen, Auger, Finck and Ros 2009.)
    """
    reached = sum(hit is not None for hit in hits)
    return sum(budget if hit is None else hit for hit in hits) / reached if reached else float("inf")
