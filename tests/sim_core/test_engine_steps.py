"""Single steps of a period against hand calculations: transport, take-back, collection."""

from dataclasses import replace

import numpy as np
import pytest

from sim_core.engine import lanes as lanes_module
from sim_core.engine import period as period_module
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.orders import order
from sim_core.engine.period import Period
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.reverse import consolidate, remanufacture, take_back
from sim_core.engine.settings import ratio
from sim_core.engine.state import BY_CLASS, BY_PRODUCT, MATERIAL
from sim_core.ledger import Account, Flow
from sim_core.network import IMMEDIATE, LaneGroup
from sim_core.suite import ProductShare
from tests.sim_core import tiny

CELLS = 8


@pytest.fixture(scope="module")
def regional(bench):
    return bench.layout(network="regional")


@pytest.fixture
def at_start(small, bench):
    """A period of the small loop at its first scored month, so that the discount weight is 1."""
    return lambda **choices: bench.period(small, bench.scenario(small), t=small.suite.warm_up, **choices)


# ---- transport


def check_lead_times(pipeline: Pipeline, lead: np.ndarray) -> None:
    """What is sent on lane e at the end of t arrives at the start of t + lead[e], neither before nor after."""
    flow = np.arange(1.0, len(lead) + 1)[:, None] * np.ones(CELLS)
    for t in range(20):
        arrived = pipeline.arrive(t)
        due = pipeline.lanes.to_receiver @ (flow * ((t >= lead) & (t - lead < 10))[:, None])
        assert np.array_equal(arrived, due), t
        if t < 10:
            pipeline.send(t, flow)


@pytest.mark.parametrize("group", [LaneGroup.VIRGIN, LaneGroup.GOODS, LaneGroup.EXTERNAL, LaneGroup.RETURNS])
def test_an_order_at_the_end_of_t_arrives_at_the_start_of_t_plus_lead(regional, group: LaneGroup):
    lanes = regional.lanes[group]
    assert len(set(lanes.lead.tolist())) > 1 or group is LaneGroup.EXTERNAL, "the lanes differ in lead time"
    check_lead_times(Pipeline(lanes, lanes.lead, (), CELLS), lanes.lead)


def test_a_lead_time_that_is_one_month_longer_is_found(regional):
    lanes = regional.lanes[LaneGroup.GOODS]
    with pytest.raises(AssertionError):
        check_lead_times(Pipeline(lanes, lanes.lead + 1, (), CELLS), lanes.lead)


def test_what_is_in_transit_is_counted_whenever_cargo_moves(regional):
    lanes = regional.lanes[LaneGroup.GOODS]
    pipe = Pipeline(lanes, lanes.lead, (), CELLS)
    assert pipe.on_lanes().sum() == 0.0
    pipe.send(0, np.ones((lanes.count, CELLS)))
    assert pipe.on_lanes().sum() == lanes.count * CELLS == pipe.inbound().sum()
    pipe.take(1)
    assert pipe.on_lanes().sum() == CELLS * (lanes.lead > 1).sum() == pipe.inbound().sum()


def test_expedited_goods_come_sooner_but_never_at_once(regional):
    lanes = regional.lanes[LaneGroup.VIRGIN]
    pipe = Pipeline(lanes, lanes.lead, (), CELLS)
    pipe.send(0, np.ones((lanes.count, CELLS)), sooner=9)
    assert pipe.arrive(1).sum() == lanes.count * CELLS and pipe.inbound().sum() == 0.0


def test_orders_are_placed_with_the_lane_they_leave_on(small, at_start):
    p = at_start(targets=0.5)
    tiny.clear(p.state)
    order(p)
    lanes, pipe = small.lanes[LaneGroup.VIRGIN], p.state.pipes[LaneGroup.VIRGIN]
    sent = pipe.on_lanes()[:, :, 0].copy()
    assert (sent > 0).all()
    for step in range(1, 4):
        expected = sent[lanes.lead == step].sum(axis=0)
        assert pipe.arrive(p.t + step)[0, :, 0] == pytest.approx(expected)


def check_carbon_charge(p: Period) -> None:
    """2,500 kg at 80 EUR/t cost 200 EUR and are 2.5 t in the metrics."""
    p.emit(np.full(CELLS, 2500.0))
    assert p.ledger.money[Account.CARBON_CHARGE] == pytest.approx(np.full(CELLS, 200.0))
    assert p.ledger.flow[Flow.CARBON] == pytest.approx(np.full(CELLS, 2500.0))
    assert p.register["emissions"] == pytest.approx(np.full(CELLS, 2500.0))


def test_the_carbon_price_is_per_tonne(at_start):
    check_carbon_charge(at_start(emission_charge=np.full(CELLS, 80.0)))


def test_kilograms_taken_for_tonnes_are_found(at_start, monkeypatch):
    monkeypatch.setattr(period_module, "KG_PER_T", 1.0)
    with pytest.raises(AssertionError):
        check_carbon_charge(at_start(emission_charge=np.full(CELLS, 80.0)))


def check_freight(layout: Layout) -> None:
    """Used packs are dangerous goods at 4.7311 EUR/t-km, ocean freight is 0.0151 over 18,000 km."""
    mass = layout.products.mass[0]
    lanes = layout.network.in_group(LaneGroup.RETURNS)
    for lane, cost in zip(lanes, layout.lanes[LaneGroup.RETURNS].cost, strict=True):
        assert cost == pytest.approx(layout.common("transport.reverse") * 1e-3 * lane.km * mass)
    ocean = layout.lanes[LaneGroup.VIRGIN]
    assert ocean.cost[ocean.overseas > 0] == pytest.approx(0.0151 * 18_000 / 1000)
    assert ocean.carbon[ocean.overseas > 0] == pytest.approx(0.012 * 18_000 / 1000)


def test_freight_is_per_tonne_kilometre(regional):
    check_freight(regional)


def test_freight_per_kilogram_kilometre_is_found(small, monkeypatch):
    monkeypatch.setattr(lanes_module, "KG_PER_T", 1.0)
    with pytest.raises(AssertionError):
        check_freight(build_layout(small.suite))


def test_nothing_is_booked_outside_the_scored_months(small, bench):
    p = bench.period(small, bench.scenario(small), t=0)
    p.emit(np.ones(CELLS))
    assert not p.ledger.money[Account.CARBON_CHARGE].any() and not p.ledger.flow[Flow.CARBON].any()


def test_every_lane_group_has_a_pipeline_or_takes_no_time(at_start):
    assert {*BY_CLASS, *BY_PRODUCT, *MATERIAL, *IMMEDIATE} == set(LaneGroup)
    assert set(at_start().state.pipes) == {*BY_CLASS, *BY_PRODUCT, *MATERIAL}


def test_a_share_of_nothing_is_all_of_it():
    assert ratio(np.array([0.0, 1.0, 4.0, 0.0]), np.array([0.0, 2.0, 2.0, 5.0])).tolist() == [1.0, 0.5, 1.0, 0.0]


# ---- take-back and collection


def test_units_leave_use_through_the_collectors_or_the_system(small, at_start):
    p = at_start(collection_share=np.full((1, CELLS), 0.6))
    take_back(p)
    out, kept = p.register["ended"][0, 0], p.register["collected"][0, 0]
    caught = p.state.pipes[LaneGroup.RETURNS].on_lanes().sum(axis=(0, 1, 2))[0]
    assert out > 0 and caught == kept == pytest.approx(0.6 * out) and p.left[0, 0] == pytest.approx(0.4 * out)
    assert p.ledger.flow[Flow.END_OF_LIFE][0] == pytest.approx(out * small.products.mass[0])


def test_a_buy_back_brings_in_more_of_the_rest_and_is_paid_for_every_unit(small, at_start):
    plain, bought = (
        at_start(collection_share=np.full((1, CELLS), 0.6), levers=levers) for levers in ((), ("buy_back",))
    )
    for p in (plain, bought):
        take_back(p)
    out = plain.register["ended"][0, 0]
    assert bought.register["ended"][0, 0] == out, "the lifetime stays as it is"
    share = 0.6 + 0.4 * small.common("collection.buy_back_share")
    assert bought.register["collected"][0, 0] == pytest.approx(share * out)
    cost = small.common("collection.buy_back_cost")
    assert bought.ledger.money[Account.COLLECTION][0] == pytest.approx(cost * share * out)
    assert not plain.ledger.money[Account.COLLECTION].any()


def test_hibernating_units_are_no_end_of_life_until_they_are_let_go():
    layout = tiny.loop(
        ProductShare(
            archetype="plain",
            lifetime="geometric",
            overrides=tiny.dotted({"lifetime__shape": 0.5, "hibernation__share": 0.25, "hibernation__years": 5.0 / 12}),
        )
    )
    p = tiny.period(layout)
    p.state.use.sell(0, np.full((1, 1, 3, CELLS), [[80.0], [0.0], [0.0]]), np.zeros(CELLS))
    p.t = 1
    take_back(p)
    assert p.register["ended"][0, 0] == pytest.approx(30.0) and p.state.use.hibernating.sum() / CELLS == 10.0
    p.t = 2
    take_back(p)
    assert p.register["ended"][0, 0] == pytest.approx(0.75 * 20.0 + 10.0 / 5.0)


def test_collectors_keep_up_to_their_level_and_ship_up_to_capacity():
    layout = tiny.loop(c={"max_target": {"U": 100.0}, "capacity": 25.0, "cost": 3.0})
    for stock, level, shipped in ((70.0, 50.0, 20.0), (70.0, 10.0, 25.0), (30.0, 50.0, 0.0)):
        p = tiny.period(layout, {"c.U": level})
        p.state.pipes[LaneGroup.RETURNS].send(0, np.full((1, 1, 3, CELLS), stock / 3.0))
        consolidate(p)
        assert p.state.pipes[LaneGroup.CORES].on_lanes().sum() / CELLS == pytest.approx(shipped)
        assert p.state.collected.sum() / CELLS == pytest.approx(stock - shipped)
        assert p.ledger.money[Account.COLLECTION][0] == pytest.approx(3.0 * stock), "the node's own cost, as it arrives"


def test_a_lane_of_cores_with_a_capacity_leaves_the_rest_with_the_collector():
    nodes = {**tiny.LOOP, "j": "inspection"}
    lanes = {**tiny.LOOP_LANES, "c > i": {"share": 0.75, "capacity": 12.0}, "c > j": {"share": 0.25}, "j > y": {}}
    p = tiny.period(build_layout(tiny.suite(tiny.net(nodes, lanes), (tiny.GRADED,))))
    p.state.collected[0, 0, 0] = 40.0
    consolidate(p)
    assert tiny.on_lanes(p, LaneGroup.CORES).sum(axis=(1, 2)).tolist() == pytest.approx([12.0, 4.0])
    assert p.state.collected.sum() / CELLS == pytest.approx(24.0)


def test_exogenous_returns_enter_the_system_as_new_units():
    layout = tiny.loop(c={"returns": tiny.demand(7.0)}, r={"returns": tiny.demand(2.0)})
    p = tiny.period(layout)
    take_back(p)
    consolidate(p)
    assert p.made[0, 0] == 7.0 and p.register["collected"][0, 0] == 7.0
    remanufacture(p)
    assert p.made[0, 0] == 9.0 and p.register["collected"][0, 0] == 9.0


def test_a_lead_time_of_zero_is_served_in_the_same_period():
    """Returns of this month are collected, inspected, made again and sold in it."""
    layout = tiny.loop(
        replace(
            tiny.GRADED,
            overrides={**tiny.GRADED.overrides, "grade.A": 0.0, "grade.B": 1.0, "grade.C": 0.0, "grade.D": 0.0},
        ),
        r={"max_target": {"M": 100.0, "U": 100.0}},
        c={"returns": tiny.demand(4.0)},
    )
    run = tiny.begin(layout, {"r.M": 100.0, "r.U": 100.0})
    run.advance(1)
    assert tiny.series(run, "remanufactured") == [4.0] and tiny.series(run, "sold") == [4.0]


def test_a_network_needs_no_more_than_a_shop_and_its_customers():
    network = tiny.net(
        {"v": "supplier", "w": "warehouse", "m": ("market", {"demand": tiny.demand(3.0)})},
        {"v > w": {"lead": 1}, "w > m": {}},
    )
    run = tiny.simulated(network, {"w.S": 1.0})
    assert tiny.series(run, "served")[2:] == pytest.approx([3.0] * 10)
