import math

import numpy as np
import pytest

from benchmarks.search.statistics import (
    expected_running_time,
    first_hit,
    mean_regret,
    paired,
    ratio_interval,
)


def pairs(values: list[float], problem: str = "a") -> dict[tuple[str, int], float]:
    return {(problem, seed): value for seed, value in enumerate(values)}


def test_the_signed_ranks_by_hand():
    # Differences -1, -2, -3, -4, +5: ranks 1..5, of which only 5 is positive. Sums of at most 5 over subsets of 1..5:
    # {}, 1, 2, 3, 4, 5, 1+2, 1+3, 1+4, 2+3: 10 of 32.
    found = paired(pairs([0.0, 0.0, 0.0, 0.0, 5.0]), pairs([1.0, 2.0, 3.0, 4.0, 0.0]))
    assert found is not None
    assert (found.statistic, found.p, found.n) == (5.0, pytest.approx(10 / 32), 5)
    assert (found.wins, found.losses, found.ties) == (4, 1, 0)


def test_the_test_has_a_side():
    better, worse = pairs([0.0] * 10), pairs([float(k) for k in range(1, 11)])
    ahead, behind = paired(better, worse), paired(worse, better)
    assert ahead is not None and behind is not None
    assert ahead.p == pytest.approx(1 / 1024)
    assert behind.p == 1.0


def test_only_shared_pairs_count_and_ties_alone_say_nothing():
    ours, theirs = pairs([0.0, 0.0, 3.0]), pairs([1.0, 0.0])
    found = paired(ours, theirs)
    assert found is not None
    assert (found.n, found.ties, found.wins) == (2, 1, 1)
    assert paired(pairs([1.0, 2.0]), pairs([1.0, 2.0])) is None
    assert paired(pairs([1.0]), pairs([2.0], "b")) is None


def test_pairs_are_matched_by_problem_and_seed_whatever_their_order():
    ours = {("a", 0): 1.0, ("b", 0): 10.0}
    theirs = {("b", 0): 11.0, ("a", 0): 2.0}
    found = paired(ours, theirs)
    assert found is not None and (found.wins, found.losses) == (2, 0)


def test_the_mean_is_over_problems_of_means_over_seeds():
    regrets = {**pairs([1.0, 3.0]), **pairs([10.0], "b")}
    assert mean_regret(regrets, ["a", "b"]) == 6.0  # the mean of all three runs is 4.67
    assert mean_regret(regrets, ["a"]) == 2.0
    assert mean_regret(regrets, ["a", "c"]) is None
    assert mean_regret(regrets, []) is None


def test_a_ratio_that_is_the_same_everywhere_has_no_spread():
    ours = {**pairs([1.0, 3.0]), **pairs([5.0], "b"), **pairs([2.0], "c")}
    theirs = {pair: 2.5 * value for pair, value in ours.items()}
    assert ratio_interval(theirs, ours) == pytest.approx((2.5, 2.5))
    assert ratio_interval(pairs([1.0]), pairs([2.0])) is None


def test_the_interval_resamples_problems_not_runs():
    # Two problems of 1,000 runs each, ratios 1 and 3: runs alone would leave next to no spread.
    ours = {(name, seed): 1.0 for name in "ab" for seed in range(1_000)}
    theirs = {(name, seed): 1.0 if name == "a" else 3.0 for name, seed in ours}
    assert ratio_interval(theirs, ours) == pytest.approx((1.0, 3.0))


def test_running_time_by_hand():
    assert expected_running_time([100, None, 300], 1_000) == (100 + 1_000 + 300) / 2
    assert expected_running_time([50, 70], 1_000) == 60.0
    assert math.isinf(expected_running_time([None, None], 1_000))


def test_a_hit_is_the_first_improvement_at_or_below_the_target():
    trace = [(1, 0.9), (10, 0.5), (40, 0.1), (90, 0.01)]
    assert [first_hit(trace, target) for target in (1.0, 0.5, 0.2, 0.001)] == [1, 10, 40, None]
    assert np.isfinite(expected_running_time([first_hit(trace, 0.2)], 100))
