"""mpc plans over a rolling horizon under a view, acts by stated rules, and gains by knowing announced law."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from optimizers.controllers import build, mpc
from optimizers.controllers.acting import acting_defaults, control_of, levers_of
from optimizers.controllers.base_stock import base_stock_target
from optimizers.controllers.feed_cover import recycled_covers
from optimizers.controllers.planning import Plan, lane_shares, outlook_of, plan_of, planned_layout
from optimizers.controllers.views import terms_ahead
from sim_core.control import Control, ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.orders import _virgin_share
from sim_core.engine.rollout import LANE_WIDTH, Simulation, observe
from sim_core.engine.settings import M, S, Settings
from sim_core.errors import ModelError
from sim_core.metrics import measure
from sim_core.network import LaneGroup, NodeKind
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

ANNOUNCED = ControllerRecord(kind="mpc", parameters={"view": "announced"})
NICKEL = {
    "id": "NICKEL", "type": "recycled_content_mandate", "scope": {"material": ["nickel"]},
    "announced": "2031-01-01", "adopted": "2031-01-01", "penalty": {"value": 200.0, "unit": "EUR/kg"},
    "schedule": {"shape": "staircase", "steps": [["2033-01-01", 0.3]]},
}  # fmt: skip
SHORT_LIVES = (("lifetime.scale", 2.0), ("invest.build_months", 12.0), ("recycling.wet.capacity", 4000.0))


@cache
def layout_of(*, law: bool = False, overrides: tuple[tuple[str, float], ...] = SHORT_LIVES, **changes: Any) -> Layout:
    """Batteries in a loop of 12 nodes over four years; with law a nickel duty is announced two years ahead."""
    suite = SuiteDefinition(
        name="mpc",
        products=(ProductShare(archetype="ev_battery", overrides=dict(overrides)),),
        network="loop",
        seed=5,
        start="2031-01",
        warm_up=0,
        scored=48,
        run_out=0,
        splits={"train": SplitDefinition(families=("none",), scenarios=1)},
        epoch_months=12,
        instruments=(NICKEL,) if law else (),
    )
    return build_layout(replace(suite, **changes))


class Spy:
    """Keeps what a controller says, by period."""

    def __init__(self, layout: Layout, record: ControllerRecord) -> None:
        self._inner = build(layout, [record] * LANE_WIDTH)
        self.said: dict[int, Control] = {}

    def decide(self, observation: Observation) -> Control:
        self.said[observation.period] = self._inner.decide(observation)
        return self.said[observation.period]


def simulation(layout: Layout, record: ControllerRecord = ANNOUNCED) -> tuple[Simulation, Spy]:
    spy = Spy(layout, record)
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    return Simulation(layout, [build_scenario(layout, "none/0")], rows, spy, ["cell"] * LANE_WIDTH), spy


@cache
def outcome(view: str) -> tuple[float, dict[int, Control]]:
    """J of a run with the duty, and what was said."""
    layout = layout_of(law=True)
    run, spy = simulation(layout, replace(ANNOUNCED, parameters={"view": view}))
    run.advance()
    return float(measure(layout, run.ledger)["objective"][0]), spy.said


@cache
def a_plan() -> Plan:
    """A plan of the first two years."""
    run, _ = simulation(layout_of())
    now = run._situation()
    return plan_of(outlook_of(now, 0, terms_ahead(now, 0, "announced", 24), 24))


def changed(plan: Plan, **flows: float) -> Plan:
    """The plan with all columns of a name set to a number."""
    values = plan.values.copy()
    for name, value in flows.items():
        values[plan.model.columns[name]] = value
    return replace(plan, values=values)


# ---- foresight


def test_who_knows_announced_law_pays_less_than_who_waits_for_it():
    assert outcome("announced")[0] < 0.998 * outcome("myopic")[0]


def test_feed_is_bought_before_the_duty_by_those_who_see_it_come():
    layout = layout_of(law=True)
    plant = layout.targets[NodeKind.PLANT]
    covers = {view: outcome(view)[1][12].targets[M, plant] for view in ("myopic", "announced")}
    assert covers["announced"] == pytest.approx(base_stock_target(layout, NodeKind.PLANT, M))
    assert not covers["myopic"].any(), "the duty lies a year ahead"


def test_a_horizon_that_is_shorter_than_the_time_of_building_builds_nothing():
    layout = layout_of(law=True, overrides=(*SHORT_LIVES[:2], ("recycling.wet.capacity", 100.0)))
    built = {}
    for horizon in (12, 48):
        run, spy = simulation(layout, replace(ANNOUNCED, parameters={"view": "announced", "horizon": horizon}))
        run.advance(1)
        built[horizon] = bool(spy.said[0].levers[layout.suite.levers.index("invest_recycler"), 0])
    assert built == {12: False, 48: True}


# ---- planning


def test_cells_of_one_scenario_are_planned_once(monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(mpc, "plan_of", lambda outlook: calls.append(outlook.cell) or plan_of(outlook))
    run, spy = simulation(layout_of())
    run.advance(1)
    assert len(calls) == 1
    said = spy.said[0]
    assert (said.targets == said.targets[..., :1]).all() and (said.levers == said.levers[..., :1]).all()


def test_after_the_scored_months_nothing_is_planned(monkeypatch):
    layout = layout_of(scored=12, run_out=12)
    run, spy = simulation(layout)
    run.advance(12)
    monkeypatch.setattr(mpc, "plan_of", lambda outlook: pytest.fail(f"planned at {outlook.first}"))
    run.advance()
    assert not spy.said[12].levers.any()


def test_the_plan_leaves_out_what_the_programme_has_almost_free():
    layout = layout_of()
    assert "design_for_disassembly" in layout.suite.levers
    assert set(planned_layout(layout).suite.levers) == set(layout.suite.levers) - {"design_for_disassembly"}
    assert "design_for_disassembly" not in a_plan().model.columns
    assert "design_for_disassembly" not in levers_of(a_plan())


@pytest.mark.parametrize("lever", [0.0, 1.0])
@pytest.mark.parametrize("legal", [0.0, 1.0])
def test_lane_shares_are_the_engines(lever: float, legal: float):
    layout = layout_of()
    run, spy = simulation(layout)
    run.advance(1)
    said = spy.said[0]
    levers = said.levers.copy()
    levers[layout.suite.levers.index("second_source")] = lever
    p = run._open(0, Settings(layout, replace(said, levers=levers), LANE_WIDTH))
    p.terms.import_legal[...] = legal
    mine = lane_shares(layout, np.full((1, len(layout.facts.materials)), legal), lever)[0]
    assert mine == pytest.approx(_virgin_share(p)[..., 0])


def test_virgin_feed_keeps_to_the_lanes_shares():
    plan = a_plan()
    lanes = plan.model.layout.lanes[LaneGroup.VIRGIN]
    bought = plan.flow("virgin") + plan.flow("virgin_fast")
    near = bought[:, lanes.overseas == 0.0].sum(axis=(0, 1)) / bought.sum(axis=(0, 1))
    legal = np.ones((1, plan.model.materials))
    low, high = (
        lane_shares(plan.model.layout, legal, lever)[0][lanes.overseas == 0.0].sum(axis=0) for lever in (0.0, 1.0)
    )
    assert (near >= low - 1e-4).all() and (near <= high + 1e-4).all() and (low < high).all()


def test_a_plan_is_made_where_no_month_is_as_usual():
    """Who knows of outages in every month ahead has no month in which the lanes' shares hold."""
    run, _ = simulation(layout_of())
    now = run._situation()
    terms = dict(terms_ahead(now, 0, "announced", 12))
    terms["supplier_available"] = np.full_like(terms["supplier_available"], 0.5)
    plan = plan_of(outlook_of(now, 0, terms, 12))
    assert plan.flow("virgin").sum() > 0.0 and "first_source" not in plan.model.columns
    assert not levers_of(plan)["second_source"]


# ---- from plan to control

FLOWS = {
    "invest_recycler": "invest_recycler", "invest_collector": "invest_collector", "buy_back": "out",
    "premium_inspection": "inspect", "second_source": "first_source", "expedite": "virgin",
}  # fmt: skip
PART = {"expedite": "virgin_fast"}


@pytest.mark.parametrize("lever", FLOWS)
def test_a_lever_is_on_from_a_half_on(lever: str):
    part, whole = PART.get(lever, lever), FLOWS[lever]
    for share, on in ((0.3, False), (0.7, True)):
        beside = {} if part == whole else {whole: 1.0 - share if whole in ("virgin", "first_source") else 1.0}
        assert levers_of(changed(a_plan(), **beside, **{part: share}))[lever] is on


def test_stock_is_held_ahead_where_the_plan_holds_more_than_it_uses_under_way():
    used = {"recycled": 1.0, "produce": 0.0}
    assert not levers_of(changed(a_plan(), feed=0.0, **used))["stock_ahead"]
    assert levers_of(changed(a_plan(), feed=100.0, **used))["stock_ahead"]


def test_routes_follow_the_plan():
    plan = a_plan()
    columns, names = plan.model.columns["route"], plan.model.layout.products.routes
    for name, best in (("export", False), ("hydro_high", True)):
        values = plan.values.copy()
        values[columns] = 0.0
        values[columns[:, names.index(name)]] = 1.0
        assert levers_of(replace(plan, values=values))["alternative_route"] is best


def test_targets_follow_the_plan():
    layout, plan = layout_of(), a_plan()
    shop, sites = layout.targets[NodeKind.REMANUFACTURER], layout.targets[NodeKind.INSPECTION]
    recycler = layout.targets[NodeKind.RECYCLER]
    style = acting_defaults(layout)
    idle = changed(plan, remanufacture=0.0, reman_surplus=1.0, reuse=0.0, repurpose=0.0)
    none = control_of(idle, layout, style)[0]
    assert not none[M:, shop].any() and not none[M, sites].any()
    busy = changed(plan, remanufacture=1.0, reman_surplus=0.0, inspect=1.0, reuse=1.0, repurpose=1.0)
    full = control_of(busy, layout, style)[0]
    assert full[M:, shop].all() and (full[M, sites] == 1.0).all()
    assert control_of(changed(plan, landfill=0.0), layout, style)[0][M, recycler] == pytest.approx(1.0)
    assert control_of(changed(plan, landfill=1e6), layout, style)[0][M, recycler] < 0.5


def test_covers_are_as_given_and_the_margin_comes_on_top():
    layout = layout_of(law=True)
    plant, warehouse = (layout.targets[kind] for kind in (NodeKind.PLANT, NodeKind.WAREHOUSE))
    run, _ = simulation(layout)
    run.advance(24)
    now = run._situation()
    plan = plan_of(outlook_of(now, 0, terms_ahead(now, 0, "announced", 48), 48))
    usual = acting_defaults(layout)
    exact, more = (control_of(plan, layout, {**usual, "margin": margin})[0][M, plant] for margin in (0.0, 0.25))
    assert (exact > 0.0).all() and more == pytest.approx(np.minimum(1.0, 1.25 * exact))
    given = control_of(plan, layout, {**usual, "plant_cover": 0.31, "warehouse_cover": 0.42})[0]
    assert (given[S, plant] == 0.31).all() and (given[S, warehouse] == 0.42).all()


def test_recycled_feed_is_bought_as_the_plan_needs_it():
    """The rule with the cover found uses about as much in the year of the duty as the plan does; without, less."""
    layout = layout_of(law=True)
    run, spy = simulation(layout)
    run.advance(24)
    now = run._situation()
    plan = plan_of(outlook_of(now, 0, terms_ahead(now, 0, "announced", 48), 48))
    nickel = layout.facts.materials.index("nickel")
    planned = float(plan.flow("recycled")[:, :, :, nickel].sum())
    found = {}
    for share in (0.0, 1.0):
        again, _ = simulation(layout)
        again.advance(24)
        control = spy.said[12]
        targets = control.targets.copy()
        targets[M, layout.targets[NodeKind.PLANT]] = (
            share * recycled_covers(plan, layout, hold=False, margin=0.0)[:, None]
        )
        found[share] = used_nickel(again, replace(control, targets=targets), nickel)
    assert found[0.0] < 0.9 * planned
    assert found[1.0] == pytest.approx(planned, rel=0.15)


def used_nickel(run: Simulation, control: Control, nickel: int) -> float:
    """Recycled nickel in the output of the next twelve months under a control, kg."""
    counted: list[float] = []
    book = run._compliance
    record = book.record

    def spying(t: int, register, **terms):
        counted.append(float(register["recycled"][:, :, nickel, :, 0].sum()))
        return record(t, register, **terms)

    book.record = spying
    run._controller = type("Fixed", (), {"decide": lambda self, observation: control})()
    run._settings = None
    run.advance(run.t + 12)
    return sum(counted)


# ---- records


@pytest.mark.parametrize("view", ["psychic", None, 1])
def test_an_unknown_view_is_refused(view):
    with pytest.raises(ModelError, match="controller mpc: view must be one of"):
        build(layout_of(), [ControllerRecord(kind="mpc", parameters={"view": view})])


@pytest.mark.parametrize("horizon", [0, 241, 1.5, True, "24", None])
def test_a_horizon_is_a_number_of_months(horizon):
    with pytest.raises(ModelError, match="controller mpc: horizon must be a whole number of months from 1 to 240"):
        build(layout_of(), [ControllerRecord(kind="mpc", parameters={"horizon": horizon})])


def test_another_parameter_is_refused_with_the_nearest_known_one():
    with pytest.raises(ModelError, match="did you mean 'margin'"):
        build(layout_of(), [ControllerRecord(kind="mpc", parameters={"marge": 0.1})])


def test_views_differ_cell_by_cell():
    layout = layout_of(law=True)
    records = [replace(ANNOUNCED, parameters={"view": view}) for view in ("myopic", "announced")] * (LANE_WIDTH // 2)
    run, _ = simulation(layout)
    run.advance(12)
    said = build(layout, records).decide(observe(layout, run._table, 12, run._situation()))
    covers = said.targets[M, layout.targets[NodeKind.PLANT][0]]
    assert covers[0] != covers[1] and (covers[::2] == covers[0]).all() and (covers[1::2] == covers[1]).all()
