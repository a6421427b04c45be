"""Agents: the same model by chance. A rule or shock that the engines do not share is an error that stays."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import agent_fluid
from benchmarks.agent_fluid import (
    MOST_SES,
    OUTCOMES,
    SCENARIO,
    SLOPE,
    TOLERANCE,
    Case,
    case_of,
    errors,
    expected_outcomes,
    one_more_period,
    root_mean_square,
    schedules,
    slope_of,
    standard_errors_off,
    suite_of,
    unshared_shocks,
)
from sim_core.agents import reverse
from sim_core.agents.pool import Pool
from sim_core.agents.run import AgentRun
from sim_core.agents.scale import scaled, scaled_to
from sim_core.agents.states import EVENTS, STATES, TRANSITIONS, LifeEvent, MaterialState
from sim_core.engine.layout import build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.trace import SERIES
from sim_core.errors import ModelError
from sim_core.network import NodeKind
from sim_core.scenario import build_scenario
from tests.sim_core.random_models import Alert, Size
from tests.sim_core.random_models import suite_of as any_suite

SIZES = (300, 3_000, 30_000)
MONTHS = 10  # after the warm-up
SEED = 1
NETWORKS = range(12)
UNITS = 30_000


@pytest.fixture(scope="module")
def cases() -> dict[int, Case]:
    return {size: case_of("loop", SEED, size, MONTHS) for size in SIZES}


@pytest.fixture(scope="module")
def found(cases: dict[int, Case]) -> list[np.ndarray]:
    return [errors(cases[size], 30) for size in SIZES]


def small_run(*, replication: int = 0, record: bool = False, size: float = 400.0) -> AgentRun:
    layout = build_layout(scaled_to(suite_of("regional", SEED, MONTHS), SCENARIO, size))
    controller = schedules(layout, ("buy_back", "premium_inspection"), 1)
    return AgentRun(layout, build_scenario(layout, SCENARIO), controller, replication, record=record)


def series(run: AgentRun) -> dict[str, bytes]:
    return {name: run.trace[name].tobytes() for name in SERIES}


# ---- agents against expected flows


def test_the_error_falls_with_the_square_root_of_the_number_of_units(found: list[np.ndarray]):
    assert slope_of(SIZES, map(root_mean_square, found)) == pytest.approx(SLOPE, abs=TOLERANCE)


def test_the_mean_of_many_runs_is_the_expectation(found: list[np.ndarray]):
    off = {name: z for name, z in zip(OUTCOMES, standard_errors_off(found[-1]), strict=True) if not np.isnan(z)}
    assert len(off) >= 16
    assert {name: z for name, z in off.items() if abs(z) > MOST_SES} == {}


def test_mutant_one_period_more_lead_time_is_an_error_that_stays(cases: dict[int, Case]):
    wrong = [errors(cases[size], 4, one_more_period) for size in SIZES[1:]]
    assert slope_of(SIZES[1:], map(root_mean_square, wrong)) > SLOPE + TOLERANCE
    assert np.nanmax(np.abs(standard_errors_off(wrong[-1]))) > MOST_SES


def test_mutant_shocks_that_are_not_shared_are_an_error_that_stays(cases: dict[int, Case]):
    wrong = [errors(cases[size], 10, unshared_shocks) for size in SIZES[1:]]
    assert slope_of(SIZES[1:], map(root_mean_square, wrong)) > SLOPE + TOLERANCE


def test_mutant_grades_that_are_not_the_model_s_are_a_bias(cases: dict[int, Case], monkeypatch: pytest.MonkeyPatch):
    thresholds = reverse._thresholds
    monkeypatch.setattr(reverse, "_thresholds", lambda archetype: thresholds(archetype) + 0.02)
    off = standard_errors_off(errors(cases[SIZES[-1]], 6))
    assert abs(off[OUTCOMES.index("reused")]) > MOST_SES


def test_outcomes_at_a_bound_are_not_compared():
    low, expected, high = np.array([99.0, 50.0, 9.9]), np.array([100.0, 50.0, 10.0]), np.array([101.0, 51.0, 10.0])
    assert agent_fluid.near_a_kink(low, expected, high).tolist() == [False, True, True]


def any_size(seed: int) -> Size:
    draw = np.random.default_rng(seed)
    nodes = {kind: int(draw.choice((1, 2) if kind is NodeKind.MARKET else (1, 2, 0))) for kind in NodeKind}
    return Size(nodes, int(draw.integers(1, 3)), int(draw.integers(0, 7)), int(draw.integers(2**32)))


def compare_on_any_network(seed: int, change: Callable = agent_fluid.as_it_is) -> list[str]:
    """Name the series of a random network, law and controls that differ by more than chance, and near bounds, can."""
    size = any_size(seed)
    suite = replace(any_suite(size, np.random.default_rng(size.seed)), vintage_periods=1)
    layout = build_layout(scaled_to(suite, SCENARIO, UNITS))
    scenario = build_scenario(layout, SCENARIO)
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    fluid = Simulation(layout, [scenario], rows, Alert(layout, [5] * LANE_WIDTH), ["-"] * LANE_WIDTH, trace=True)
    fluid.advance()
    assert fluid.trace is not None
    mine, own = change(layout, scenario, 0)
    agents = AgentRun(mine, own, Alert(mine, [5]))
    agents.advance()
    totals = [
        (name, fluid.trace[name][:, 0].sum(), agents.trace[name][:, 0].sum()) for name in SERIES if name != "cost"
    ]
    return [name for name, flow, count in totals if abs(count - flow) > 0.04 * flow + 8.0 * np.sqrt(flow) + 40.0]


@pytest.mark.parametrize("seed", NETWORKS)
def test_both_engines_follow_the_same_rules_on_any_network(seed: int):
    assert compare_on_any_network(seed) == []


def test_mutant_one_period_more_lead_time_shows_on_some_network():
    assert any(compare_on_any_network(seed, one_more_period) for seed in NETWORKS)


# ---- scale


def test_expected_flows_grow_with_the_scale():
    suite = suite_of("regional", SEED, MONTHS)
    one, ten = (build_layout(scaled(suite, factor)) for factor in (1.0, 10.0))
    levers = agent_fluid.TOPOLOGIES["regional"].levers
    small, large = (expected_outcomes(layout, build_scenario(layout, SCENARIO), levers) for layout in (one, ten))
    assert large == pytest.approx(10.0 * small, rel=1e-9)


def test_a_scale_counts_units_in_the_horizon():
    layout = build_layout(scaled_to(suite_of("loop", SEED), SCENARIO, 5_000))
    assert build_scenario(layout, SCENARIO).paths.demand.sum() == pytest.approx(5_000.0)


def test_nothing_can_be_scaled_to_nothing():
    with pytest.raises(ModelError, match="above 0"):
        scaled(suite_of("loop", SEED), 0.0)


# ---- units


def held(pools: list[list[Pool]]) -> int:
    return sum(len(pool) for row in pools for pool in row)


def test_every_unit_is_somewhere_and_in_the_state_of_its_place():
    run = small_run()
    for t in range(1, run.layout.suite.periods + 1):
        run.advance(t)
        s, units = run.stocks, run.units
        goods = units.in_state(MaterialState.VIRGIN) + units.in_state(MaterialState.REMANUFACTURED)
        assert goods == held(s.goods) + run.in_transit(MaterialState.VIRGIN, MaterialState.REMANUFACTURED)
        back = held(s.collected) + held(s.queue) + held(s.cores) + held(s.waste)
        assert units.in_state(MaterialState.RETURNED) == back + run.in_transit(MaterialState.RETURNED)
        assert units.in_state(MaterialState.IN_USE) == s.use.stock.sum() + held(s.use.asleep) + held(s.second_life)


def test_every_history_is_a_walk_through_the_table():
    run = small_run(record=True)
    run.advance()
    history = run.passports().history
    order = np.argsort(history.unit, kind="stable")
    unit, event, state = history.unit[order], history.event[order], history.state[order]
    again = unit[1:] == unit[:-1]
    for before, happened, after in set(
        zip(state[:-1][again].tolist(), event[1:][again].tolist(), state[1:][again].tolist(), strict=True)
    ):
        assert TRANSITIONS[STATES[before]][EVENTS[happened]] is STATES[after]
    assert len(np.unique(unit)) == run.units.count
    assert {EVENTS[code] for code in np.unique(event)} >= set(LifeEvent) - {
        LifeEvent.BOUGHT,
        LifeEvent.TAKEN_IN,
        LifeEvent.LANDFILLED,
    }
    last = np.flatnonzero(np.append(~again, True))
    assert np.array_equal(state[last], run.units.column("state"))
    assert (np.diff(history.carbon[order])[again] >= 0.0).all()


def test_quality_stays_in_bounds_and_later_lives_are_worse():
    run = small_run(record=True, size=4_000.0)
    run.advance()
    history = run.passports().history
    graded = history.event == EVENTS.index(LifeEvent.GRADED)
    quality, life = history.quality[graded], (history.category[graded] + 1) // 2
    assert ((quality >= 0.0) & (quality <= 1.0)).all()
    assert quality[life == 1].mean() < quality[life == 0].mean()


def test_recording_changes_no_number():
    plain, recorded = small_run(), small_run(record=True)
    plain.advance()
    recorded.advance()
    assert series(plain) == series(recorded)
    assert plain.units.history().count == 0


# ---- randomness, live law


def test_a_replication_is_the_same_again_in_pieces_and_unlike_another():
    whole, pieces, other = small_run(), small_run(), small_run(replication=1)
    whole.advance()
    for t in range(0, whole.layout.suite.periods + 3, 3):
        pieces.advance(t)
    other.advance()
    assert series(whole) == series(pieces)
    assert series(whole) != series(other)


def test_live_law_acts_from_its_period_on():
    ban = {"id": "ban", "type": "export_ban", "scope": {"process": "export"}, "schedule": {"value": 1.0}}
    usual, changed = small_run(size=20_000.0), small_run(size=20_000.0)
    usual.advance()
    changed.advance(8)
    changed.inject(ban)
    changed.advance()
    for name in SERIES:
        assert np.array_equal(usual.trace[name][:8], changed.trace[name][:8])
    assert usual.trace["secondary"][10:].sum() != changed.trace["secondary"][10:].sum()
    with pytest.raises(ModelError, match="is over"):
        changed.inject({**ban, "id": "later"}, 3)
