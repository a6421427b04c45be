"""The trace: its series add up to the run that they describe."""

import numpy as np
import pytest

from sim_core.engine.layout import build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.trace import SERIES, Trace
from sim_core.ledger import Account, Flow
from tests.sim_core import tiny


@pytest.fixture(scope="module")
def traced(bench):
    """Three years of the regional network, all scored, undiscounted, in two products."""
    layout = bench.layout(network="regional", start="2031-01", warm_up=0, scored=36, discount_rate=0.0)
    cells = [f"cell {i}" for i in range(LANE_WIDTH)]
    scenario = bench.scenario(layout)
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    run = Simulation(layout, [scenario], rows, bench.random_schedules(layout, 5), cells, trace=True)
    run.advance()
    assert run.trace is not None
    return run


def test_a_trace_has_a_row_for_every_period_and_refuses_other_names():
    trace = Trace(3, LANE_WIDTH)
    assert all(trace[name].shape == (3, LANE_WIDTH) for name in SERIES)
    trace.add("demand", 1, np.ones(LANE_WIDTH))
    trace.add("demand", 1, np.ones(LANE_WIDTH))
    assert trace["demand"][:, 0].tolist() == [0.0, 2.0, 0.0]
    with pytest.raises(KeyError):
        trace.add("profit", 0, np.ones(LANE_WIDTH))


def test_every_series_is_recorded(traced):
    silent = {name for name in SERIES if not traced.trace[name].any()}
    assert silent == {"backlog"}, "no market of a template waits"


def test_demand_is_served_or_lost(traced):
    trace = traced.trace
    assert trace["served"] + trace["lost"] == pytest.approx(trace["demand"], rel=1e-9)
    for name, flow in (("demand", Flow.DEMAND), ("served", Flow.SERVED)):
        assert trace[name].sum(axis=0) == pytest.approx(traced.ledger.flow[flow], rel=1e-12)


def test_costs_of_all_periods_are_the_objective_without_the_values_at_its_ends(traced):
    expected = traced.ledger.objective() - traced.ledger.money[Account.TERMINAL]
    assert traced.trace["cost"].sum(axis=0) == pytest.approx(expected, rel=1e-9)


def test_units_in_use_change_by_what_is_sold_and_what_ends(traced):
    trace = traced.trace
    change = np.diff(trace["in_use"], axis=0)
    assert change == pytest.approx((trace["sold"] - trace["ended_use"])[1:], abs=1e-6 * trace["in_use"].max())


def test_goods_on_hand_and_in_transit_change_by_what_comes_and_goes():
    demand = tiny.demand(5.0, 2.0, 9.0, 0.0, 4.0)
    network = tiny.net(
        {
            "v": "supplier",
            "f": ("plant", {"max_target": {"S": 100.0}}),
            "w": ("warehouse", {"max_target": {"S": 100.0}}),
            "m": ("market", {"demand": demand, "backlog": True, "shortage_cost": 1.0}),
        },
        {"v > f": {"lead": 1}, "f > w": {"lead": 2}, "w > m": {}},
    )
    run = tiny.simulated(build_layout(tiny.suite(network)), {"f.S": 20.0, "w.S": 10.0})
    get = {name: np.array(tiny.series(run, name)) for name in SERIES}
    held = get["goods_on_hand"] + get["goods_in_transit"]
    assert np.diff(held, prepend=0.0) == pytest.approx(get["produced"] - get["sold"])
    waiting = np.diff(get["backlog"], prepend=0.0)
    assert get["demand"] == pytest.approx(get["served"] + waiting) and get["backlog"].any()


def test_a_trace_changes_nothing(bench, small):
    results = []
    for trace in (False, True):
        run = Simulation(
            small, [bench.scenario(small)], np.zeros(LANE_WIDTH, dtype=np.intp), bench.reference(small),
            ["x"] * LANE_WIDTH, trace=trace,
        )  # fmt: skip
        run.advance()
        assert (run.trace is not None) == trace
        results.append(run.ledger.objective().tobytes())
    assert results[0] == results[1]
