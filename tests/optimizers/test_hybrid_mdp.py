"""The exact hybrid system: the optimum of K1 to K3, and how near (S, M, U) comes to it."""

from dataclasses import replace

import numpy as np
import pytest

from optimizers.controllers import hybrid_mdp
from optimizers.controllers.hybrid_mdp import HybridProblem, best_smu, rule_cost, smu_rule, solve

USUAL = HybridProblem(
    demand=(0.1, 0.2, 0.4, 0.2, 0.1),
    returns=(0.2, 0.4, 0.3, 0.1),
    make=10.0,
    remake=4.0,
    dispose=1.0,
    hold_goods=1.0,
    hold_cores=0.3,
    shortage=20.0,
    room=8,
)
CASES = {
    "k1": USUAL,
    "k2": replace(USUAL, remake=8.0, dispose=0.0, hold_cores=0.8),
    "k3": replace(USUAL, make=13.0, remake=4.8),
}
OPTIMUM = {"k1": 14.432277, "k2": 19.855789, "k3": 17.575139}
BEST = {"k1": (14.433054, (4, 4, 8)), "k2": (19.855789, (4, 4, 1)), "k3": (17.578181, (4, 4, 8))}
PUSH = {"k1": (14.931459, 9), "k2": (19.908421, 5), "k3": (18.082416, 10)}


@pytest.mark.parametrize("case", CASES)
def test_the_optimum_is_known(case: str):
    found = solve(CASES[case])
    assert found.cost == pytest.approx(OPTIMUM[case], abs=1e-6)
    assert rule_cost(CASES[case], found.decisions) == pytest.approx(found.cost, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_rules_cost_what_is_known(case: str):
    cost, (s, m, u) = BEST[case]
    assert rule_cost(CASES[case], smu_rule(CASES[case], s, m, u)) == pytest.approx(cost, abs=1e-6)
    cost, most = PUSH[case]
    assert rule_cost(CASES[case], smu_rule(CASES[case], 4, most, 0)) == pytest.approx(cost, abs=1e-6)


def test_the_best_smu_of_all_is_within_a_fiftieth_of_a_per_cent():
    cost, levels = best_smu(USUAL)
    assert levels == BEST["k1"][1] and cost == pytest.approx(BEST["k1"][0], abs=1e-6)
    assert OPTIMUM["k1"] <= cost <= OPTIMUM["k1"] * 1.0002


@pytest.mark.parametrize("case", CASES)
def test_no_rule_beats_the_optimum(case: str):
    draw = np.random.default_rng(3)
    problem = CASES[case]
    for _ in range(20):
        s, m, u = draw.integers(0, (9, 14, 9))
        assert rule_cost(problem, smu_rule(problem, s, m, u)) >= OPTIMUM[case] - 1e-6


def test_overflow_that_costs_nothing_is_found():
    """The mutant: returns for which there is no room vanish. K1 then costs 14.430470."""

    class Free(HybridProblem):
        @property
        def cores_cost(self):
            return self.hold_cores * np.arange(self.room + 1)

    free = Free(**{name: getattr(USUAL, name) for name in HybridProblem.__dataclass_fields__})
    assert solve(free).cost == pytest.approx(14.430470, abs=1e-6)


def test_a_state_space_that_is_too_small_would_show(monkeypatch):
    """The bounds of net stock do not matter: a wider space gives the same cost."""
    monkeypatch.setattr(HybridProblem, "high", property(lambda _: 20))
    monkeypatch.setattr(HybridProblem, "low", property(lambda _: -12))
    solve.cache_clear()
    assert solve(replace(USUAL)).cost == pytest.approx(OPTIMUM["k1"], abs=1e-6)
    solve.cache_clear()


def test_what_does_not_settle_is_said(monkeypatch):
    monkeypatch.setattr(hybrid_mdp, "_MOST_SWEEPS", 3)
    with pytest.raises(hybrid_mdp.ModelError, match="did not settle in 3 sweeps"):
        solve(replace(USUAL, make=11.0))
