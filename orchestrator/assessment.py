"""Does a suite tell controllers apart? Figures of its scenarios' power, from costs alone.

Costs are J (EUR, lower is better) of controllers on the same scenarios under the same random numbers.

    ranking stability  Kendall's tau-b between the rankings of two disjoint halves of the scenarios: the mean over
                       random halvings, each stratified by family
    flips              scenarios on which the second best controller beats the best, where both paired intervals
                       exclude 0: that of the difference over all scenarios, and that of the difference over
                       replications of the scenario, which have its law and other paths
    discrimination     of a scenario: Spearman's correlation, over controllers, of the costs on it with the mean costs
                       on all others (the item-rest correlation of classical test theory)
    difficulty         of a scenario: the median controller's regret, that is its cost above the cheapest controller's,
                       over |J of the reference|; tiers are its thirds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from orchestrator.statistics import Interval, ScenarioBootstrap, mean_interval

DIFFICULTIES = ("easy", "medium", "hard")
HALVINGS = 200
_STREAM = 6  # of the halvings' random numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Costs:
    """Costs of controllers on scenarios. values: (controllers, scenarios) EUR; families: of each scenario."""

    controllers: tuple[str, ...]
    scenarios: tuple[str, ...]
    families: tuple[str, ...]
    values: NDArray[np.float64]

    def of(self, controller: str) -> NDArray[np.float64]:
        """Return the costs of one controller, (scenarios,)."""
        return self.values[self.controllers.index(controller)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """What the two best controllers do on single scenarios.

    overall: the runner-up's cost minus the best one's. flipped: scenarios on which the runner-up wins with an interval
    that excludes 0; agreed: those on which the best does. share: of flipped among the judged ones, 0 where the overall
    interval holds 0. by_chance: the share that intervals of this confidence would show were there no flip at all.
    """

    best: str
    runner_up: str
    overall: Interval
    flipped: tuple[str, ...]
    agreed: tuple[str, ...]
    judged: int
    by_chance: float

    @property
    def share(self) -> float:
        """The share of judged scenarios that flip the top two."""
        return len(self.flipped) / self.judged if self.judged and self.overall.excludes_zero else 0.0


def ranking(costs: Costs) -> tuple[str, ...]:
    """Return the controllers by mean cost, the best first; equal ones by name."""
    means = costs.values.mean(axis=1)
    return tuple(name for _, name in sorted(zip(means.tolist(), costs.controllers, strict=True)))


def halving_taus(costs: Costs, seed: int, halvings: int = HALVINGS) -> NDArray[np.float64]:
    """Return Kendall's tau-b between the rankings of two halves, (halvings,). NaN where a half ties all controllers.

    A family with an odd number of scenarios leaves one out, a different one each time.
    """
    generator = np.random.Generator(np.random.Philox([seed, _STREAM]))
    groups = [np.flatnonzero(np.array(costs.families) == family) for family in sorted(set(costs.families))]
    found = np.empty(halvings)
    for number in range(halvings):
        halves: tuple[list[int], list[int]] = ([], [])
        for group in groups:
            drawn = generator.permutation(group).tolist()
            half = len(drawn) // 2
            halves[0].extend(drawn[:half])
            halves[1].extend(drawn[half : 2 * half])
        first, second = (costs.values[:, half].mean(axis=1) for half in halves)
        found[number] = float(np.asarray(kendalltau(first, second))[0])
    return found


def flips(costs: Costs, differences: Mapping[str, NDArray[np.float64]], bootstrap: ScenarioBootstrap) -> Flips:
    """Return how often single scenarios rank the top two the other way.

    differences: by scenario, the runner-up's cost minus the best one's on each of its replications, two or more.
    """
    best, runner_up = ranking(costs)[:2]
    overall = bootstrap.interval(costs.of(runner_up) - costs.of(best))
    flipped: list[str] = []
    agreed: list[str] = []
    for scenario, values in sorted(differences.items()):
        found = mean_interval(values, bootstrap.confidence)
        if found.excludes_zero:
            (flipped if found.estimate < 0.0 else agreed).append(scenario)
    return Flips(
        best=best,
        runner_up=runner_up,
        overall=overall,
        flipped=tuple(flipped),
        agreed=tuple(agreed),
        judged=len(differences),
        by_chance=(1.0 - bootstrap.confidence) / 2.0,
    )


def discrimination(costs: Costs) -> NDArray[np.float64]:
    """Return the discrimination of each scenario, (scenarios,) in [-1, 1]; 0 where all controllers cost the same."""
    count = len(costs.scenarios)
    if count < 2:
        return np.zeros(count)
    rest = (costs.values.sum(axis=1, keepdims=True) - costs.values) / (count - 1)
    return rank_correlation(costs.values, rest)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Spearman's correlation along the first axis; 0 where one of the two does not vary."""
    here, there = (_centred(rankdata(values, axis=0)) for values in (first, second))
    above = (here * there).sum(axis=0)
    below = np.sqrt((here**2).sum(axis=0) * (there**2).sum(axis=0))
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)


def difficulty(costs: Costs, reference: str) -> NDArray[np.float64]:
    """Return the difficulty of each scenario, (scenarios,) >= 0."""
    regret = costs.values - costs.values.min(axis=0)
    return np.median(regret, axis=0) / np.abs(costs.of(reference))


def tiers(difficulties: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the word of DIFFICULTIES of each scenario: thirds by rank, equal ones together."""
    ranks = rankdata(difficulties, method="min")
    thirds = np.minimum((ranks - 1.0) * len(DIFFICULTIES) / max(1, len(difficulties)), len(DIFFICULTIES) - 1)
    return tuple(DIFFICULTIES[int(third)] for third in thirds)


def costs_of(
    values: Mapping[str, Mapping[str, float]], scenarios: Sequence[str], families: Sequence[str]
) -> tuple[Costs, tuple[str, ...]]:
    """Return the costs of the controllers that completed every scenario, and the names of those that did not.

    values: by controller, cost by scenario.
    """
    whole = {name: found for name, found in values.items() if all(one in found for one in scenarios)}
    return (
        Costs(
            controllers=tuple(whole),
            scenarios=tuple(scenarios),
            families=tuple(families),
            values=np.array([[found[one] for one in scenarios] for found in whole.values()], dtype=np.float64).reshape(
                len(whole), len(scenarios)
            ),
        ),
        tuple(name for name in values if name not in whole),
    )


def _centred(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    return ranks - ranks.mean(axis=0)
