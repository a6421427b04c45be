"""The bootstrap is paired and resamples scenarios: checks that the real one passes and its mutants fail."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from orchestrator.statistics import (
    Interval,
    ScenarioBootstrap,
    paired_differences,
    probability_of_improvement,
    scenario_means,
)

Compare = Callable[[Sequence[str], NDArray[np.float64], NDArray[np.float64]], Interval]
"""(scenario of each cell, J of each cell under an Entry, J of each cell under the reference) -> difference."""


def bootstrap(resamples: int = 1000, *, seed: int = 7) -> ScenarioBootstrap:
    return ScenarioBootstrap(seed=seed, resamples=resamples, confidence=0.95)


def compare(scenarios: Sequence[str], entry: NDArray[np.float64], reference: NDArray[np.float64]) -> Interval:
    """The real thing, as the leaderboard does it."""
    differences = paired_differences(scenario_means(scenarios, entry), scenario_means(scenarios, reference))
    return bootstrap().interval(differences)


def unpaired(scenarios: Sequence[str], entry: NDArray[np.float64], reference: NDArray[np.float64]) -> Interval:
    """Mutant: resamples the scenarios of the two Entries apart."""
    one = np.array(list(scenario_means(scenarios, entry).values()))
    other = np.array(list(scenario_means(scenarios, reference).values()))
    means = bootstrap(seed=1).means(one) - bootstrap(seed=2).means(other)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(estimate=float(one.mean() - other.mean()), low=float(low), high=float(high), n=len(one))


def over_cells(scenarios: Sequence[str], entry: NDArray[np.float64], reference: NDArray[np.float64]) -> Interval:
    """Mutant: takes each replication for a scenario of its own."""
    return bootstrap().interval(entry - reference)


def check_strong_scenario_effects_cancel(difference: Compare) -> None:
    """Scenarios differ by 100, Entries by 1, noise is 1: the paired difference is plain to see with 40 scenarios."""
    generator = np.random.Generator(np.random.Philox(11))
    scenarios = [f"family/{i}" for i in range(40)]
    effect = generator.normal(scale=100.0, size=40)
    entry, reference = (effect + shift + generator.normal(size=40) for shift in (-1.0, 0.0))
    found = difference(scenarios, entry, reference)
    assert found.low is not None
    assert found.high is not None
    assert found.high < 0.0
    assert found.high - found.low == pytest.approx(2.0 * 1.96 * np.sqrt(2.0 / 40), rel=0.35)


def check_the_truth_is_covered_as_often_as_said(difference: Compare) -> None:
    """Eight replications of a scenario share its difference: they are one observation, not eight."""
    generator = np.random.Generator(np.random.Philox(12))
    scenarios = [f"family/{i}" for i in range(30) for _ in range(8)]
    covered = 0
    for _ in range(200):
        reference = np.repeat(generator.normal(scale=100.0, size=30), 8) + generator.normal(scale=0.2, size=240)
        entry = reference - 1.0 + np.repeat(generator.normal(size=30), 8) + generator.normal(scale=0.2, size=240)
        found = difference(scenarios, entry, reference)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= -1.0 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize("check", [check_strong_scenario_effects_cancel, check_the_truth_is_covered_as_often_as_said])
def test_the_bootstrap_is_paired_over_scenarios(check: Callable[[Compare], None]) -> None:
    check(compare)


@pytest.mark.parametrize(
    ("mutant", "check"),
    [(unpaired, check_strong_scenario_effects_cancel), (over_cells, check_the_truth_is_covered_as_often_as_said)],
)
def test_a_mutant_fails_its_check(mutant: Compare, check: Callable[[Compare], None]) -> None:
    with pytest.raises(AssertionError):
        check(mutant)


def test_the_interval_is_scipys_bca() -> None:
    values = np.random.Generator(np.random.Philox(3)).lognormal(sigma=1.2, size=37)
    ours = bootstrap(20_000).interval(values)
    generator = np.random.Generator(np.random.Philox(5))
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=generator)
    spread = float(theirs.standard_error)
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.06 * spread)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.06 * spread)
    # Skewed to the right, so the plain percentile interval would lie visibly further left.
    assert theirs.confidence_interval.high > np.quantile(theirs.bootstrap_distribution, 0.975) + 0.2 * spread


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    values = np.linspace(0.0, 1.0, 20) ** 3
    assert bootstrap().interval(values) == bootstrap().interval(values)
    assert bootstrap(seed=8).interval(values) != bootstrap().interval(values)


def test_intervals_without_spread_or_scenarios() -> None:
    assert bootstrap().interval(np.zeros(5)) == Interval(estimate=0.0, low=0.0, high=0.0, n=5)
    assert not bootstrap().interval(np.zeros(5)).excludes_zero
    alone = bootstrap().interval(np.array([-3.0]))
    assert alone == Interval(estimate=-3.0, low=None, high=None, n=1)
    assert not alone.excludes_zero
    assert bootstrap().interval(np.array([1.0, 2.0])).excludes_zero
    assert bootstrap().interval(np.array([-1.0, -2.0])).excludes_zero


def test_replications_are_averaged_whatever_their_order() -> None:
    found = scenario_means(["b/1", "a/1", "b/1"], [1.0, 5.0, 2.0])
    assert found == {"a/1": 5.0, "b/1": 1.5}
    assert list(found) == ["a/1", "b/1"]
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    assert scenario_means(["s"] * 5, values) == scenario_means(["s"] * 5, values[::-1])


def test_differences_are_taken_where_both_ran() -> None:
    found = paired_differences({"a": 1.0, "b": 5.0, "c": 7.0}, {"b": 3.0, "a": 4.0, "d": 9.0})
    assert found.tolist() == [-3.0, 2.0]


def test_probability_of_improvement_counts_scenarios() -> None:
    assert probability_of_improvement(np.array([-1.0, -5.0, 3.0, 0.0])) == 0.625
    assert probability_of_improvement(np.zeros(0)) is None


def test_ranks_are_resampled_jointly() -> None:
    generator = np.random.Generator(np.random.Philox(2))
    effect = generator.normal(scale=100.0, size=60)
    costs = np.array([effect + shift + generator.normal(scale=0.5, size=60) for shift in (5.0, 0.0, 0.02, -5.0)])
    found = bootstrap().rank_intervals(costs)
    # The middle two can't be told apart; the outer ones can, but only as the scenarios' own spread cancels.
    assert found == [(4, 4), (2, 3), (2, 3), (1, 1)]
    apart = np.array([bootstrap(seed=i).means(row) for i, row in enumerate(costs)])
    assert np.mean(apart[3] < apart[0]) < 0.8  # what resampling each Entry alone would say of the outer ones


def test_equal_rows_share_their_ranks() -> None:
    row = np.arange(5.0)
    assert bootstrap().rank_intervals(np.array([row, row, row + 1.0])) == [(1, 2), (1, 2), (3, 3)]
