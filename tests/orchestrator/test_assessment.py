"""The power of a suite, on costs made by hand: what tells controllers apart, and what chance would show."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from orchestrator import assessment
from orchestrator.assessment import (
    Costs,
    costs_of,
    difficulty,
    discrimination,
    flips,
    halving_taus,
    rank_correlation,
    ranking,
    tiers,
)
from orchestrator.statistics import ScenarioBootstrap

BOOTSTRAP = ScenarioBootstrap(seed=1, resamples=500, confidence=0.95)


def costs(values: NDArray[np.float64], families: int = 4) -> Costs:
    controllers, count = values.shape
    return Costs(
        controllers=tuple(f"c{i}" for i in range(controllers)),
        scenarios=tuple(f"f{i % families}/{i // families}" for i in range(count)),
        families=tuple(f"f{i % families}" for i in range(count)),
        values=values,
    )


def noisy(spread: float, controllers: int = 10, count: int = 40) -> Costs:
    """Controllers a unit apart, each scenario with noise of its own."""
    noise = np.random.default_rng(3).normal(size=(controllers, count))
    return costs(100.0 + np.arange(controllers)[:, None] + spread * noise)


def test_a_ranking_is_by_mean_cost_and_equal_ones_by_name():
    assert ranking(costs(np.array([[3.0, 3.0], [1.0, 1.0], [3.0, 3.0]]))) == ("c1", "c0", "c2")


def test_halves_agree_where_scenarios_rank_alike_and_not_where_they_are_noise():
    assert np.allclose(halving_taus(noisy(0.0), 1), 1.0)
    assert np.mean(halving_taus(noisy(1.0), 1)) > 0.8
    pure = costs(np.random.default_rng(5).normal(size=(10, 400)))
    assert abs(np.mean(halving_taus(pure, 1))) < 0.3
    assert np.array_equal(halving_taus(noisy(1.0), 1), halving_taus(noisy(1.0), 1))
    assert not np.array_equal(halving_taus(noisy(1.0), 1), halving_taus(noisy(1.0), 2))


def test_halves_hold_every_family_alike():
    """Controllers that differ between families alone: unstratified halves would mix the families at random."""
    of_family = np.random.default_rng(7).normal(size=(10, 4))
    one = costs(np.tile(of_family, (1, 6)))
    assert np.allclose(halving_taus(one, 1), 1.0)
    blind = Costs(controllers=one.controllers, scenarios=one.scenarios, families=("all",) * 24, values=one.values)
    assert np.mean(halving_taus(blind, 1)) < 1.0


def test_a_tau_is_that_of_kendall():
    one = noisy(2.0, count=8)
    (tau,) = halving_taus(one, 4, halvings=1)
    generator = np.random.Generator(np.random.Philox([4, assessment._STREAM]))
    halves = ([], [])
    for family in range(4):
        drawn = generator.permutation(np.arange(family, 8, 4))
        halves[0].append(drawn[0])
        halves[1].append(drawn[1])
    first, second = (one.values[:, half].mean(axis=1) for half in halves)
    assert tau == pytest.approx(kendalltau(first, second).statistic)


def test_a_flip_needs_both_intervals():
    values = np.vstack([np.full(40, 100.0), np.full(40, 101.0) + 0.1 * np.arange(40) % 1, np.full(40, 150.0)])
    one = costs(values)
    clear, unsure, against = np.array([1.0, 1.1, 0.9]), np.array([3.0, -3.0, 0.1]), np.array([-1.0, -1.1, -0.9])
    found = flips(one, {"f0/0": clear, "f1/0": unsure, "f2/0": against, "f3/0": against}, BOOTSTRAP)
    assert (found.best, found.runner_up) == ("c0", "c1")
    assert found.flipped == ("f2/0", "f3/0") and found.agreed == ("f0/0",)
    assert found.share == 0.5 and found.by_chance == pytest.approx(0.025)
    tied = values.copy()
    tied[1] = 100.0 + np.tile([1.0, -0.9], 20)
    assert flips(costs(tied), {"f2/0": against}, BOOTSTRAP).share == 0.0, "nobody leads, so nothing flips"


def test_chance_alone_flips_as_often_as_it_says():
    """Without any effect of law, intervals exclude 0 on either side as often as their confidence says."""
    generator = np.random.default_rng(11)
    one = noisy(0.0, controllers=2, count=1000)
    differences = {name: generator.normal(size=6) for name in one.scenarios}
    found = flips(one, differences, BOOTSTRAP)
    assert found.share == pytest.approx(found.by_chance, abs=0.015)


def test_a_scenario_discriminates_as_far_as_it_ranks_like_the_others():
    values = np.tile(np.arange(10.0)[:, None], (1, 12))
    values[:, 3] = values[::-1, 3]  # ranks upside down
    values[:, 5] = 7.0  # tells nothing
    found = discrimination(costs(values))
    assert found[3] == -1.0 and found[5] == 0.0 and np.all(np.delete(found, [3, 5]) == 1.0)
    noise = noisy(3.0)
    rest = (noise.values.sum(axis=1) - noise.values[:, 2]) / 39
    assert discrimination(noise)[2] == pytest.approx(spearmanr(noise.values[:, 2], rest).statistic)
    assert discrimination(costs(values[:, :1])).tolist() == [0.0]


def test_a_scenario_that_is_part_of_its_own_yardstick_is_found():
    """One scenario of huge costs would seem to rank like all, were it not left out of the rest."""
    values = np.tile(np.arange(10.0)[:, None], (1, 12))
    values[:, 0] = 1e6 * np.arange(10.0)[::-1]
    assert discrimination(costs(values))[0] == -1.0
    whole = np.tile(values.mean(axis=1, keepdims=True), (1, 12))
    assert rank_correlation(values, whole)[0] == 1.0


def test_difficulty_is_the_median_regret_and_tiers_are_its_thirds():
    values = np.array([[10.0, 10.0, 20.0], [10.0, 12.0, 20.0], [10.0, 18.0, 80.0]])
    found = difficulty(costs(values), "c0")
    assert found.tolist() == [0.0, 0.2, 0.0]
    assert tiers(np.array([0.3, 0.1, 0.2])) == ("hard", "easy", "medium")
    assert tiers(np.zeros(5)) == ("easy",) * 5, "equal ones are in one tier"
    assert sorted(tiers(np.arange(9.0))).count("medium") == 3


def test_controllers_with_a_failed_run_are_left_out():
    found, failed = costs_of({"a": {"x/0": 1.0, "x/1": 2.0}, "b": {"x/0": 1.0}}, ["x/0", "x/1"], ["x", "x"])
    assert found.controllers == ("a",) and failed == ("b",) and found.values.tolist() == [[1.0, 2.0]]
