"""Uncertainty of a comparison: the paired bootstrap over scenarios.

All Entries meet the same scenarios under the same random numbers, and scenarios differ far more than Entries do. So the
scenario is what is sampled: replications are averaged within their scenario first, differences are taken scenario by
scenario, and each resample draws whole scenarios, the same ones for every Entry.

Interval: bias-corrected and accelerated (BCa), Efron, "Better bootstrap confidence intervals", JASA 82 (1987) 171-185.
Of a ratio of sums the accelerating constant is that of its influence values, by strata where there are several: Davison
and Hinkley, "Bootstrap methods and their application", 1997, equation 5.24.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over n scenarios with its confidence limits; both are None when a single scenario can't give any."""

    estimate: float
    low: float | None
    high: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """True when the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0.0 or self.high < 0.0)


def scenario_means(scenarios: Iterable[str], values: Iterable[float]) -> dict[str, float]:
    """Return the mean over the replications of each scenario, sorted by scenario, for cells given side by side."""
    groups: dict[str, list[float]] = {}
    for scenario, value in zip(scenarios, values, strict=True):
        groups.setdefault(scenario, []).append(value)
    # An exact sum, so that the order in which replications arrive can't move the last bit.
    return {scenario: fsum(groups[scenario]) / len(groups[scenario]) for scenario in sorted(groups)}


def paired_differences(costs: Mapping[str, float], reference: Mapping[str, float]) -> NDArray[np.float64]:
    """Return costs minus reference over the scenarios that both have, sorted by scenario: shape (scenarios,)."""
    common = sorted(costs.keys() & reference.keys())
    return np.array([costs[scenario] - reference[scenario] for scenario in common], dtype=np.float64)


def mean_interval(values: NDArray[np.float64], confidence: float) -> Interval:
    """Return the mean of independent runs, shape (n,), and its Student t interval; a single run has no limits."""
    n, estimate = len(values), fsum(values) / len(values)
    if n == 1:
        return Interval(estimate=estimate, low=None, high=None, n=n)
    half = float(stdtrit(n - 1, 0.5 * (1.0 + confidence))) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, n=n)


def probability_of_improvement(differences: NDArray[np.float64]) -> float | None:
    """Return the share of scenarios that cost less than under the reference, equal ones counting half.

    None without any scenario.

    Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021.
    """
    if not len(differences):
        return None
    return float(np.mean(differences < 0.0) + 0.5 * np.mean(differences == 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ratio:
    """A ratio of sums over the scenarios of one stratum: above and below, each (scenarios,); below adds up to > 0."""

    above: NDArray[np.float64]
    below: NDArray[np.float64]

    @property
    def value(self) -> float:
        """sum(above) / sum(below)."""
        return fsum(self.above) / fsum(self.below)


class ScenarioBootstrap:
    """Resamples of scenarios, a pure function of (seed, resamples, number of scenarios).

    Equal numbers of scenarios are resampled alike, so rows over the same scenarios are resampled jointly.
    """

    def __init__(self, *, seed: int, resamples: int, confidence: float) -> None:
        self.seed = seed
        self.resamples = resamples
        self.confidence = confidence
        self._drawn: dict[tuple[int, int], NDArray[np.intp]] = {}

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the resampled means of values over scenarios: shape (scenarios,) -> (resamples,)."""
        # Gathered and averaged, not a matrix product: the result then doesn't depend on BLAS or its threads.
        return values.take(self._draws(len(values))).mean(axis=1)

    def interval(self, values: NDArray[np.float64]) -> Interval:
        """Return the mean of at least one value per scenario, shape (scenarios,), and its BCa interval."""
        n = len(values)
        estimate = float(values.mean())
        if n == 1:
            return Interval(estimate=estimate, low=None, high=None, n=n)
        if np.ptp(values) == 0.0:
            return Interval(estimate=estimate, low=estimate, high=estimate, n=n)
        low, high = self._limits(estimate, self.means(values), values - estimate, self._tails)
        return Interval(estimate=estimate, low=low, high=high, n=n)

    def difference(self, costs: Mapping[str, float], reference: Mapping[str, float]) -> Interval | None:
        """Return the mean paired difference over the scenarios that both have; None without any."""
        differences = paired_differences(costs, reference)
        return self.interval(differences) if len(differences) else None

    def mean_ratios(self, parts: Sequence[Ratio]) -> NDArray[np.float64]:
        """Return the resampled mean over strata of sum(above) / sum(below): shape (resamples,).

        Each stratum is resampled on its own, its parts jointly; a resample of a stratum whose `below` adds up to
        nothing counts as 0 there.
        """
        total = np.zeros(self.resamples)
        for stratum, part in enumerate(parts):
            draws = self._draws(len(part.above), stratum)
            above, below = part.above.take(draws).sum(axis=1), part.below.take(draws).sum(axis=1)
            total += np.divide(above, below, out=np.zeros_like(above), where=below != 0.0)
        return total / len(parts)

    def mean_ratio(self, parts: Sequence[Ratio]) -> Interval:
        """Return the mean over strata of the ratio of sums, with its BCa interval.

        There are no limits where a stratum holds a single scenario: it can't show how far scenarios differ.
        """
        estimate = sum(part.value for part in parts) / len(parts)
        n = sum(len(part.above) for part in parts)
        influence = _influence(parts)
        if any(len(part.above) == 1 for part in parts):
            return Interval(estimate=estimate, low=None, high=None, n=n)
        if not influence.any():
            return Interval(estimate=estimate, low=estimate, high=estimate, n=n)
        low, high = self._limits(estimate, self.mean_ratios(parts), influence, self._tails)
        return Interval(estimate=estimate, low=low, high=high, n=n)

    def upper_limit(self, part: Ratio) -> float | None:
        """Return the one-sided BCa upper limit of a ratio of sums; None when a single scenario can't give any."""
        influence = _influence([part])
        if len(part.above) == 1:
            return None
        if not influence.any():
            return part.value
        return self._limits(part.value, self.mean_ratios([part]), influence, np.array([self.confidence]))[0]

    @property
    def _tails(self) -> NDArray[np.float64]:
        return np.array([1.0 - self.confidence, 1.0 + self.confidence]) / 2.0

    def _limits(
        self,
        estimate: float,
        resampled: NDArray[np.float64],
        influence: NDArray[np.float64],
        tails: NDArray[np.float64],
    ) -> list[float]:
        """Return BCa limits at the tails. influence: of each scenario on the estimate, up to a common factor."""
        below = 0.5 * (np.mean(resampled < estimate) + np.mean(resampled <= estimate))
        bias = ndtri(np.clip(below, 0.5 / self.resamples, 1.0 - 0.5 / self.resamples))
        acceleration = np.sum(influence**3) / (6.0 * np.sum(influence**2) ** 1.5)
        shifted = bias + ndtri(tails)
        return np.quantile(resampled, ndtr(bias + shifted / (1.0 - acceleration * shifted))).tolist()

    def rank_intervals(self, costs: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Return the lowest and highest rank of each row's mean cost under joint resampling; rank 1 costs least.

        costs: shape (entries, scenarios).
        """
        return self.resampled_ranks(np.array([self.means(row) for row in costs]))

    def resampled_ranks(self, means: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Return the lowest and highest rank of each row over resamples; rank 1 is the lowest value.

        means: shape (entries, resamples). Equal ones count for each other's high rank and against neither's low one.
        """
        tail = (1.0 - self.confidence) / 2.0
        result: list[tuple[int, int]] = []
        for mean in means:
            best = 1 + np.sum(means < mean, axis=0)
            worst = np.sum(means <= mean, axis=0)
            low = np.quantile(best, tail, method="inverted_cdf")
            high = np.quantile(worst, 1.0 - tail, method="inverted_cdf")
            result.append((int(low), int(high)))
        return result

    def _draws(self, scenarios: int, stratum: int = 0) -> NDArray[np.intp]:
        if (scenarios, stratum) not in self._drawn:
            # Strata of one size are resampled apart: drawn alike, they would rise and fall together.
            generator = np.random.Generator(np.random.Philox([self.seed, stratum] if stratum else self.seed))
            drawn = generator.integers(scenarios, size=(self.resamples, scenarios), dtype=np.intp)
            self._drawn[scenarios, stratum] = drawn
        return self._drawn[scenarios, stratum]


def _influence(parts: Sequence[Ratio]) -> NDArray[np.float64]:
    """Return how far each scenario moves the mean of ratios of sums, up to a common factor."""
    return np.concatenate([(part.above - part.value * part.below) / part.below.sum() for part in parts])
