"""Races: a dominated member drops out, the best one stays, and who was faster makes no difference."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_ind, ttest_rel

from orchestrator import racing
from orchestrator.racing import Race, Standing, kept, p_values, standing

INF = float("inf")


def race(scenarios: int = 64, **changed: Any) -> Race:
    return Race(
        **{"scenarios": tuple(f"s{i}" for i in range(scenarios)), "first": 8, "p": 0.05, "finalists": 1, **changed}
    )


def costs_of(rules: Race, table: NDArray[np.float64]) -> dict[str, dict[str, float | None]]:
    return {
        f"m{i}": {one: float(value) for one, value in zip(rules.scenarios, row, strict=True)}
        for i, row in enumerate(table)
    }


def members(table: NDArray[np.float64]) -> list[str]:
    return [f"m{i}" for i in range(len(table))]


# ------------------------------------------------------------------------------------------------ rungs


@pytest.mark.parametrize(
    ("scenarios", "first", "rungs"),
    [
        (128, 16, (16, 32, 64, 128)),
        (100, 16, (16, 32, 64, 100)),
        (16, 16, (16,)),
        (5, 16, (5,)),
        (2, 1, (1, 2)),
        (2000, 16, (16, 32, 64, 128, 256, 512, 1024, 2000)),
    ],
)
def test_rungs_double_and_the_last_holds_all(scenarios: int, first: int, rungs: tuple[int, ...]) -> None:
    assert race(scenarios, first=first).rungs == rungs


# ------------------------------------------------------------------------------------------------ the test


def test_the_p_value_of_a_worked_example() -> None:
    # Differences 1 to 5: mean 3, standard deviation sqrt(2.5), t = 3 / sqrt(0.5) = 4.243 on 4 degrees of freedom.
    best = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    (p,) = p_values(best[None] + np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), best)
    assert p == pytest.approx(0.006618, abs=1e-6)


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_p_values_are_those_of_the_paired_t_test(seed: int, scenarios: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    costs, best = rng.normal(5.0, 2.0, (count, scenarios)), rng.normal(5.0, 2.0, scenarios)
    expected = [ttest_rel(one, best, alternative="greater").pvalue for one in costs]
    assert p_values(costs, best) == pytest.approx(expected, abs=1e-12)


def test_differences_without_spread_decide_by_their_sign() -> None:
    best = np.array([1.0, 2.0, 3.0])
    assert p_values(best + np.array([[0.0], [1.0], [-1.0]]), best).tolist() == [1.0, 0.0, 1.0]


def test_one_scenario_decides_nothing() -> None:
    assert kept(np.array([[1.0], [9.0]]), 0.05, 1).tolist() == [True, True]


@pytest.mark.parametrize(
    ("costs", "least", "stays"),
    [
        ([[1.0, 2.0, 1.5], [9.0, 9.5, 9.2], [8.0, 8.0, 8.1]], 1, [True, False, False]),
        ([[1.0, 2.0, 1.5], [9.0, 9.5, 9.2], [8.0, 8.0, 8.1]], 2, [True, False, True]),  # so many stay in any case
        ([[1.0, 2.0, INF], [9.0, 9.5, 9.2], [9.1, 9.4, 9.2]], 1, [False, True, True]),  # one that failed drops out
        ([[1.0, INF, INF], [9.0, 9.5, INF]], 1, [True, True]),  # unless all did
        ([[2.0, 2.0], [2.0, 2.0]], 1, [True, True]),  # equals stay together
    ],
)
def test_who_stays(costs: list[list[float]], least: int, stays: list[bool]) -> None:
    assert kept(np.array(costs), 0.05, least).tolist() == stays


# ------------------------------------------------------------------------------------------------ whole races


def check_a_dominated_member_drops_out(seed: int) -> None:
    """One costs 1 more in every scenario, give or take 1; scenarios differ by hundreds."""
    rng, rules = np.random.default_rng(seed), race()
    scenarios = rng.normal(0.0, 300.0, 64)
    table = np.stack([scenarios, scenarios + 1.0 + rng.normal(0.0, 1.0, 64)])
    found = standing(rules, members(table), costs_of(rules, table))
    assert found.over and found.members == ("m0",) and found.dropped[0][0] == "m1"


@pytest.mark.parametrize("seed", range(10))
def test_a_dominated_member_drops_out_whatever_scenarios_differ_by(seed: int) -> None:
    check_a_dominated_member_drops_out(seed)


def test_an_unpaired_test_fails_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpaired(costs: NDArray[np.float64], best: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([ttest_ind(one, best, alternative="greater").pvalue for one in costs])

    monkeypatch.setattr(racing, "p_values", unpaired)
    with pytest.raises(AssertionError):
        check_a_dominated_member_drops_out(0)


def lost(repeats: int, edge: float) -> int:
    """Return how often the truly best of 32 drops out of a race of 5 rungs; the others cost `edge` more on average."""
    rules, count = race(128), 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        table = rng.normal(0.0, 50.0, 128) + rng.normal(0.0, 10.0, (32, 128))
        table[1:] += edge
        found = standing(rules, members(table), costs_of(rules, table))
        count += "m0" not in found.members
    return count


@pytest.mark.parametrize("edge", [0.01, 3.0])
def test_the_truly_best_member_survives(edge: float) -> None:
    # p is 0.05: of 200 races 10 may lose it, and 17 or more have a probability below 2 %.
    assert lost(200, edge) <= 16


def test_tests_without_correction_lose_it_far_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = kept
    monkeypatch.setattr(racing, "kept", lambda costs, _, least: judge(costs, 0.05, least))
    assert lost(40, 0.01) > 16


def test_clear_differences_end_a_race_early() -> None:
    rng, rules = np.random.default_rng(1), race(512)
    table = rng.normal(0.0, 100.0, 512) + 5.0 * np.arange(16)[:, None] + rng.normal(0.0, 1.0, (16, 512))
    found = standing(rules, members(table), costs_of(rules, table))
    assert found.members == ("m0",) and max(rung for _, rung in found.dropped) <= 16


def test_finalists_run_to_the_end_and_are_ranked_by_their_means_there() -> None:
    rng, rules = np.random.default_rng(1), race(64, finalists=3)
    table = rng.normal(0.0, 100.0, 64) + np.array([[5.0], [0.0], [9.0], [7.0]]) + rng.normal(0.0, 0.1, (4, 64))
    found = standing(rules, members(table), costs_of(rules, table))
    assert found.members == ("m1", "m0", "m3") and found.dropped == (("m2", 8),)


def test_failed_runs_are_costs_of_nobodys_finalist() -> None:
    rules = race(8)
    costs = costs_of(rules, np.array([np.full(8, 1.0), np.arange(8.0) + 5.0]))
    costs["m0"]["s3"] = None
    assert standing(rules, ["m0", "m1"], costs).members == ("m1",)


def test_a_single_member_needs_no_race() -> None:
    assert standing(race(), ["m0"], {}) == Standing(members=("m0",), wanted=(), dropped=())


# ------------------------------------------------------------------------------------------------ order of arrival


def run(rules: Race, table: NDArray[np.float64], order: Sequence[int]) -> tuple[Standing, list[Standing]]:
    """Run a race whose runs end one at a time, in an order; return its end and all standings on the way."""
    whole, known = costs_of(rules, table), {name: {} for name in members(table)}
    seen: list[Standing] = []
    while True:
        now = standing(rules, members(table), known)
        if now.over:
            return now, seen
        wanted = [(member, one) for member in now.members for one in now.wanted if one not in known[member]]
        for place in sorted(range(len(wanted)), key=lambda i: order[i % len(order)]):
            seen.append(standing(rules, members(table), known))
            member, one = wanted[place]
            known[member][one] = whole[member][one]


def check_who_is_faster_makes_no_difference() -> None:
    rng, rules = np.random.default_rng(4), race(32, p=0.4)
    table = rng.normal(0.0, 20.0, 32) + rng.normal(0.0, 4.0, (6, 32)) + 2.0 * np.arange(6)[:, None]
    ends = []
    for order in ([0], [3, 1, 2, 0], [7, 1, 6, 0, 5, 2, 4]):
        end, seen = run(rules, table, order)
        ends.append(end)
        for before, after in pairwise(seen):
            # Nobody leaves while a rung is open.
            assert before.members == after.members or before.wanted != after.wanted
    assert ends[0] == ends[1] == ends[2]
    assert ends[0].dropped


def test_who_is_faster_makes_no_difference() -> None:
    check_who_is_faster_makes_no_difference()


def test_a_rung_that_is_judged_before_all_are_in_fails_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(left: Sequence[str], scenarios: Sequence[str], costs: Mapping[str, Any]) -> bool:
        return all(sum(one in costs[member] for one in scenarios) >= len(scenarios) / 2 for member in left)

    class Partly(dict[str, Any]):
        def __missing__(self, key: str) -> float:
            return 0.0

    original = racing.standing
    monkeypatch.setattr(racing, "_complete", some)

    def partly(rules: Race, entered: Sequence[str], costs: Mapping[str, Any]) -> Standing:
        return original(rules, entered, {name: Partly(found) for name, found in costs.items()})

    monkeypatch.setitem(globals(), "standing", partly)
    with pytest.raises(AssertionError):
        check_who_is_faster_makes_no_difference()
