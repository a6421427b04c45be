"""compliance_greedy closes the gap to announced law by what closes it cheapest, and by no more than it takes."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from optimizers.controllers import build
from optimizers.controllers.compliance_greedy import OUTSIDE, WAYS, ComplianceGreedy, Estimates
from optimizers.controllers.schedule import usual_targets
from sim_core.control import Control, ControllerRecord, Observation
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation, observe
from sim_core.engine.settings import M
from sim_core.metrics import measure
from sim_core.network import NodeKind
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

GREEDY = ControllerRecord(kind="compliance_greedy")


@cache
def layout_of(**changes: Any) -> Layout:
    """Batteries in a loop of 12 nodes from 2031, when duties of recycled content are announced and in force."""
    overrides = changes.pop("overrides", ())
    suite = SuiteDefinition(
        name="greedy",
        products=(ProductShare(archetype="ev_battery", overrides=dict(overrides)),),
        network="loop",
        seed=5,
        start="2031-01",
        warm_up=12,
        scored=84,
        run_out=0,
        splits={"train": SplitDefinition(families=("eu_baseline",), scenarios=1)},
        shortfall_price={"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0},
        epoch_months=12,
    )
    return build_layout(replace(suite, **changes))


def simulation(layout: Layout, record: ControllerRecord = GREEDY, family: str = "eu_baseline") -> Simulation:
    scenario = build_scenario(layout, f"{family}/0")
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    controller = build(layout, [record] * LANE_WIDTH)
    return Simulation(layout, [scenario], rows, controller, [f"cell {i}" for i in range(LANE_WIDTH)])


def view(run: Simulation) -> Observation:
    return observe(run.layout, run._table, run.t, run._situation())


def greedy(layout: Layout, **parameters: float) -> ComplianceGreedy:
    made = build(layout, [replace(GREEDY, parameters=parameters)] * LANE_WIDTH)
    assert isinstance(made, ComplianceGreedy)
    return made


def on(layout: Layout, control: Control) -> set[str]:
    """The ways that the first cell takes."""
    levers = {name for name, state in zip(layout.suite.levers, control.levers[:, 0], strict=True) if state}
    buys = control.targets[M, layout.targets[NodeKind.PLANT], 0].all()
    return levers | ({OUTSIDE} if buys else set())


# ---- what it chooses from its estimates


def estimates(closes: dict[str, float], cost: dict[str, float], gap: float = 10.0) -> Estimates:
    """One material of which `gap` kg lack; what each way closes, in kg, and costs, in EUR per kg of it."""
    found = np.zeros((len(WAYS), 1, 1)), np.zeros((len(WAYS), 1)), np.zeros((len(WAYS), 1, 1))
    for name, kilograms in closes.items():
        way = WAYS.index(name)
        found[0][way] = kilograms
        if name == OUTSIDE:
            found[2][way] = cost[name]
        else:
            found[1][way] = cost[name] * kilograms
    return Estimates(gap=np.full((1, 1), gap), closes=found[0], fixed=found[1], price=found[2])


def chosen(found: Estimates, levers: tuple[str, ...] = WAYS[1:]) -> set[str]:
    taken = greedy(layout_of(levers=levers))._choose(found)[:, 0]
    return {name for name, state in zip(WAYS, taken, strict=True) if state}


COST = {OUTSIDE: 3.0, "alternative_route": 1.0, "buy_back": 2.0, "invest_recycler": 4.0}


@pytest.mark.parametrize(
    ("gap", "ways"),
    [
        (0.0, set()),
        (5.0, {"alternative_route"}),
        (12.0, {"alternative_route", "buy_back"}),
        (16.0, {"alternative_route", "buy_back", OUTSIDE}),
        (99.0, set(WAYS)),
    ],
)
def test_the_cheapest_way_comes_first_and_no_more_are_taken_than_close_the_gap(gap: float, ways: set[str]):
    assert (
        chosen(estimates({"alternative_route": 6.0, "buy_back": 8.0, OUTSIDE: 9.0, "invest_recycler": 5.0}, COST, gap))
        == ways
    )


def test_a_way_is_judged_by_what_it_closes_of_the_gap():
    """A step that wins a hundred times what lacks is dear, whatever a kilogram of all it wins costs."""
    found = estimates({"invest_recycler": 1000.0, OUTSIDE: 1000.0}, {"invest_recycler": 0.5, OUTSIDE: 3.0})
    assert chosen(found) == {OUTSIDE}


def test_what_closes_nothing_or_is_no_lever_of_the_suite_is_left():
    closes = {"alternative_route": 0.0, "buy_back": 10.0, OUTSIDE: 20.0}
    assert chosen(estimates(closes, COST)) == {"buy_back"}
    assert chosen(estimates(closes, COST), levers=("alternative_route",)) == {OUTSIDE}


# ---- what it estimates


def test_the_gap_is_need_times_duty_less_what_is_won_at_home():
    layout = layout_of(overrides=(("scrap.2025", 0.0), ("scrap.2030", 0.0)))
    run = simulation(layout)
    seen = view(run)
    found = greedy(layout, margin=0.5, planning=1.0).estimate(seen)
    need = layout.products.bom[0][:, None] * run.state.plant_forecast.sum(axis=(0, 1))
    duty = seen.announced_duty.max(axis=0)
    assert duty.max() > 0.0 and not run.state.returns_forecast.any(), "nothing has come back yet"
    assert found.gap == pytest.approx(1.5 * duty * need)
    assert not found.closes[1:].any(), "without returns no lever wins anything"
    assert found.closes[0, :3].all() and not found.closes[0, 3:].any(), "recycled graphite counts towards no duty"


def test_only_duties_within_the_planning_count():
    layout = layout_of(start="2028-01")
    run = simulation(layout)
    none, all_seen = (greedy(layout, planning=share).estimate(view(run)).gap for share in (0.0, 1.0))
    assert not none.any() and all_seen.any()


def test_a_margin_aims_at_more():
    run = simulation(layout_of())
    low, high = (greedy(run.layout, margin=share).estimate(view(run)).gap for share in (0.0, 1.0))
    assert (high >= low).all() and (high > low).any()


def test_capacity_that_is_short_is_worth_a_step_and_capacity_to_spare_is_not():
    small = (("recycling.wet.capacity", 100.0),)
    for overrides, worth in ((small, True), ((), False)):
        run = simulation(layout_of(overrides=overrides), ControllerRecord(kind="local_base_stock"))
        run.advance(36)
        closes = greedy(run.layout).estimate(view(run)).closes[WAYS.index("invest_recycler")]
        assert bool((closes > 1.0).any()) is worth


def test_returns_that_were_bought_back_are_not_bought_back_again():
    """What it bought at the last review is no part of the returns that come by themselves."""
    run = simulation(layout_of())
    run.advance(36)
    fresh, buying = greedy(run.layout), greedy(run.layout)
    buying._bought_back = np.ones(LANE_WIDTH)
    without, made_up = (one._flows_of(run._situation())[1] for one in (fresh, buying))
    share = run._table.at(36).collection_share
    assert made_up * (buying._lifted(share) / share) == pytest.approx(without)


# ---- what it does


def test_without_a_duty_it_does_nothing():
    layout = layout_of()
    run = simulation(layout, family="none")
    assert on(layout, greedy(layout).decide(view(run))) == set()


def test_with_a_duty_it_buys_outside_what_it_can_not_win():
    layout = layout_of()
    assert on(layout, greedy(layout).decide(view(simulation(layout)))) == {OUTSIDE}


@cache
def outcome(kind: str, **parameters: float) -> dict[str, float]:
    run = simulation(layout_of(), ControllerRecord(kind=kind, parameters=parameters))
    run.advance()
    return {name: float(values[0]) for name, values in measure(run.layout, run.ledger).items()}


def test_it_complies_better_than_practice_for_less_than_all_ways_at_once():
    found, practice = outcome("compliance_greedy"), outcome("local_base_stock")
    assert found["compliance"] > practice["compliance"]
    assert found["shortfall_charge"] < practice["shortfall_charge"]
    layout = layout_of()
    everything = ["".join(str(int(name in WAYS)) for name in layout.suite.levers)]
    record = ControllerRecord(kind="schedule", parameters={"levers": everything, "targets": usual_targets(layout)})
    run = simulation(layout, record)
    run.advance()
    assert found["objective"] < measure(layout, run.ledger)["objective"][0]


def dearest_first(self: ComplianceGreedy, found: Estimates) -> np.ndarray:
    upside_down = Estimates(gap=found.gap, closes=found.closes, fixed=-found.fixed, price=-found.price)
    return ComplianceGreedy.__dict__["_right"](self, upside_down)


def test_a_greedy_that_takes_the_dearest_first_is_found(monkeypatch):
    monkeypatch.setattr(ComplianceGreedy, "_right", ComplianceGreedy._choose, raising=False)
    monkeypatch.setattr(ComplianceGreedy, "_choose", dearest_first)
    assert chosen(estimates({"alternative_route": 9.0, OUTSIDE: 9.0}, COST, 5.0)) == {OUTSIDE}
