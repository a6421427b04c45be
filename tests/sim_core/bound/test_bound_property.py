"""No control whatsoever costs less than the bound."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from optimizers.controllers import build as build_controllers
from sim_core.bound import bound
from sim_core.bound.solver import solve
from sim_core.control import LEVERS, ControllerRecord
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.errors import ModelError
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare
from tests.sim_core.bound_models import TOLERANCE, batteries, size_of, solved, supplied
from tests.sim_core.random_models import KEYS, SIZES, Size, case

RULES = ("linear", "compliance_base_stock", "local_base_stock", "push", "pull", "best_grade_first", "compliance_greedy")


def beaten(size: Size) -> tuple[int, int]:
    """How many scenarios of a random case are bounded, and how many of these some control beats."""
    found = supplied(size)
    run = found.simulation(KEYS)
    run.advance()
    costs = run.ledger.objective()
    bounded = wrong = 0
    for number, name in enumerate(found.names):
        try:
            lower = solved(found.layout, name).found.lower
        except ModelError:  # some price rises faster than money's, and a store has no end
            continue
        best = float(costs[number :: len(found.names)].min())
        bounded += 1
        wrong += best < lower - TOLERANCE * max(1.0, abs(lower), abs(best))
    return bounded, wrong


def test_no_control_of_a_random_model_costs_less_than_its_bound():
    """Networks, products, law and shocks of any kind; controls that react to everything they see."""
    seen = {"scenarios": 0, "bounded": 0}
    quick = settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )

    @quick
    @given(SIZES)
    def check(size: Size) -> None:
        bounded, wrong = beaten(size)
        assert wrong == 0
        seen["scenarios"] += 2
        seen["bounded"] += bounded

    check()
    assert seen["bounded"] >= seen["scenarios"] / 2


@pytest.mark.parametrize("family", ["eu_tighten", "eu_delay_tariff"])
def test_no_reference_controller_costs_less_than_the_bound_of_batteries(family: str):
    layout = batteries()
    run = solved(layout, f"{family}/1")
    for kind in RULES:
        controller = build_controllers(layout, [ControllerRecord(kind=kind)] * LANE_WIDTH)
        rows = np.zeros(LANE_WIDTH, dtype=np.intp)
        acted = Simulation(layout, [run.scenario], rows, controller, [kind] * LANE_WIDTH)
        acted.advance()
        assert acted.ledger.objective()[0] >= run.found.lower * (1.0 + TOLERANCE), kind


RANKED = {"ev_battery": "eu_tighten", "smartphone": "eu_baseline", "pv_module": "eu_baseline"}


@cache
def long_run(archetype: str) -> Layout:
    """Ten years of a product that is ranked, with all levers, as the shipped suites have it."""
    product = ProductShare(archetype=archetype)
    usual = batteries(products=(product,), start="2026-01", warm_up=12, scored=120, epoch_months=12, levers=LEVERS)
    return build_layout(replace(usual.suite, network="loop"))


@pytest.mark.parametrize("archetype", RANKED)
def test_a_bound_is_near_what_its_plan_costs(archetype: str):
    layout = long_run(archetype)
    found = bound(layout, build_scenario(layout, f"{RANKED[archetype]}/0"))
    assert 0.0 <= found.plan - found.lower <= 1e-4 * abs(found.plan)


def test_a_bound_that_came_out_loose_is_sought_again(monkeypatch):
    """Modules fail so late that the interior point, spared the smallest coefficients, leaves a loose bound."""
    layout = long_run("pv_module")
    monkeypatch.setattr("sim_core.bound.solve_closely", solve)
    found = bound(layout, build_scenario(layout, "eu_baseline/0"))
    assert found.plan - found.lower > 1e-4 * abs(found.plan)


def test_a_supplier_without_end_and_a_price_that_rises_leave_no_bound():
    """Buying without limit what will be worth more is a control, too: the programme says so, and gives no number."""
    endless = size_of(10)  # goods from outside, whose value follows the prices of their materials
    with pytest.raises(ModelError, match="has no solution"):
        solved(case(endless).layout, "none/0")
    assert np.isfinite(solved(supplied(endless).layout, "none/0").found.lower)
