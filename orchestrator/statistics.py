"""Uncertainty of a comparison: the paired bootstrap over scenarios.

All Entries meet the same scenarios under the same random numbers, and scenarios differ far more than Entries do. So the
scenario is what is sampled: replications are averaged within their scenario first, differences are taken scenario by
scenario, and each resample draws whole scenarios, the same ones for every Entry.

Interval: bias-corrected and accelerated (BCa), Efron, "Better bootstrap confidence intervals", JASA 82 (1987) 171-185.
"""

from collections.abc import Iterable, Mapping
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


class ScenarioBootstrap:
    """Resamples of scenarios, a pure function of (seed, resamples, number of scenarios).

    Equal numbers of scenarios are resampled alike, so rows over the same scenarios are resampled jointly.
    """

    def __init__(self, *, seed: int, resamples: int, confidence: float) -> None:
        self.seed = seed
        self.resamples = resamples
        self.confidence = confidence
        self._drawn: dict[int, NDArray[np.intp]] = {}

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
        deviations = values - estimate
        if np.ptp(values) == 0.0:
            return Interval(estimate=estimate, low=estimate, high=estimate, n=n)
        means = self.means(values)
        below = 0.5 * (np.mean(means < estimate) + np.mean(means <= estimate))
        bias = ndtri(np.clip(below, 0.5 / self.resamples, 1.0 - 0.5 / self.resamples))
        acceleration = np.sum(deviations**3) / (6.0 * np.sum(deviations**2) ** 1.5)  # the jackknife's, for a mean
        tail = bias + ndtri(np.array([1.0 - self.confidence, 1.0 + self.confidence]) / 2.0)
        low, high = np.quantile(means, ndtr(bias + tail / (1.0 - acceleration * tail)))
        return Interval(estimate=estimate, low=float(low), high=float(high), n=n)

    def rank_intervals(self, costs: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Return the lowest and highest rank of each row's mean cost under joint resampling; rank 1 costs least.

        costs: shape (entries, scenarios). Equal means count for each other's high rank and against neither's low one.
        """
        means = np.array([self.means(row) for row in costs])
        tail = (1.0 - self.confidence) / 2.0
        result: list[tuple[int, int]] = []
        for mean in means:
            best = 1 + np.sum(means < mean, axis=0)
            worst = np.sum(means <= mean, axis=0)
            low = np.quantile(best, tail, method="inverted_cdf")
            high = np.quantile(worst, 1.0 - tail, method="inverted_cdf")
            result.append((int(low), int(high)))
        return result

    def _draws(self, scenarios: int) -> NDArray[np.intp]:
        if scenarios not in self._drawn:
            generator = np.random.Generator(np.random.Philox(self.seed))
            self._drawn[scenarios] = generator.integers(scenarios, size=(self.resamples, scenarios), dtype=np.intp)
        return self._drawn[scenarios]
