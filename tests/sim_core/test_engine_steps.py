"""Single steps of a period against hand calculations."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.engine import layout as layout_module
from sim_core.engine import period as period_module
from sim_core.engine import reverse
from sim_core.engine.forward import order, produce, scrap_share, sell
from sim_core.engine.layout import ROUTE_LINE, ROUTES, build_layout
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.reverse import inspect, recycle, remanufacture, route, take_back
from sim_core.engine.settings import ratio
from sim_core.engine.state import PRODUCT_CARGO
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup

CELLS = 8


@pytest.fixture(scope="module")
def regional(bench):
    return bench.layout(network="regional")


@pytest.fixture
def at_start(small, bench):
    """A period of the small loop at its first scored month, so that the discount weight is 1."""
    return lambda **choices: bench.period(small, bench.scenario(small), t=small.suite.warm_up, **choices)


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
    assert len(set(lanes.lead.tolist())) > 1, "the lanes differ in lead time"
    check_lead_times(Pipeline(lanes, (), CELLS), lanes.lead)


def test_a_lead_time_that_is_one_month_longer_is_found(regional):
    lanes = regional.lanes[LaneGroup.GOODS]
    with pytest.raises(AssertionError):
        check_lead_times(Pipeline(replace(lanes, lead=lanes.lead + 1), (), CELLS), lanes.lead)


def test_expedited_goods_come_sooner_but_never_at_once(regional):
    lanes = regional.lanes[LaneGroup.VIRGIN]
    pipe = Pipeline(lanes, (), CELLS)
    pipe.send(0, np.ones((lanes.count, CELLS)), sooner=9)
    assert pipe.arrive(1).sum() == lanes.count * CELLS and pipe.inbound().sum() == 0.0


def test_orders_are_placed_with_the_lane_they_leave_on(small, at_start):
    p = at_start(targets=0.5)
    for pipe in p.state.pipes.values():
        pipe._slots[...] = 0.0
    p.state.feed[...] = 0.0
    order(p)
    lanes, pipe = small.lanes[LaneGroup.VIRGIN], p.state.pipes[LaneGroup.VIRGIN]
    sent = pipe.on_lanes()[:, :, 0]
    assert (sent > 0).all()
    for step in range(1, 4):
        expected = sent[lanes.lead == step].sum(axis=0)
        assert pipe.arrive(p.t + step)[0, :, 0] == pytest.approx(expected)


def check_carbon_charge(p) -> None:
    """2,500 kg at 80 EUR/t cost 200 EUR and are 2.5 t in the metrics."""
    p.emit(np.full(CELLS, 2500.0))
    assert p.ledger.money[Account.CARBON_CHARGE] == pytest.approx(np.full(CELLS, 200.0))
    assert p.ledger.flow[Flow.CARBON] == pytest.approx(np.full(CELLS, 2500.0))


def test_the_carbon_price_is_per_tonne(at_start):
    check_carbon_charge(at_start(carbon_price=np.full(CELLS, 80.0)))


def test_kilograms_taken_for_tonnes_are_found(at_start, monkeypatch):
    monkeypatch.setattr(period_module, "KG_PER_T", 1.0)
    with pytest.raises(AssertionError):
        check_carbon_charge(at_start(carbon_price=np.full(CELLS, 80.0)))


def check_freight(layout) -> None:
    """Dangerous goods cost 4.7311 EUR/t-km, ocean freight 0.0151 over 18,000 km."""
    for lane, cost in zip(
        layout.network.in_group(LaneGroup.RETURNS), layout.lanes[LaneGroup.RETURNS].cost, strict=True
    ):
        assert cost == pytest.approx(4.7311e-3 * lane.km)
    ocean = layout.lanes[LaneGroup.VIRGIN]
    assert ocean.cost[ocean.overseas > 0] == pytest.approx(0.0151 * 18_000 / 1000)
    assert ocean.carbon[ocean.overseas > 0] == pytest.approx(0.012 * 18_000 / 1000)


def test_freight_is_per_tonne_kilometre(regional):
    check_freight(regional)


def test_freight_per_kilogram_kilometre_is_found(small, monkeypatch):
    monkeypatch.setattr(layout_module, "KG_PER_T", 1.0)
    with pytest.raises(AssertionError):
        check_freight(build_layout(small.suite))


def test_nothing_is_booked_outside_the_scored_months(small, bench):
    p = bench.period(small, bench.scenario(small), t=0)
    p.emit(np.ones(CELLS))
    assert not p.ledger.money[Account.CARBON_CHARGE].any() and not p.ledger.flow[Flow.CARBON].any()


def test_units_leave_use_through_the_collectors_or_the_system(small, at_start):
    p = at_start(collection_share=np.full(CELLS, 0.6))
    held = p.state.use._past[0].sum()
    take_back(p)
    out = p.ledger.flow[Flow.END_OF_LIFE][0] / small.bom.sum()
    caught = p.state.pipes[LaneGroup.RETURNS].on_lanes().sum(axis=(0, 1))[0]
    assert 0 < out < held and caught == pytest.approx(0.6 * out) and p.left[0] == pytest.approx(0.4 * out)
    assert p.ledger.money[Account.COLLECTION][0] == pytest.approx(small.value("collection.cost") * caught)


def test_a_buy_back_brings_in_half_of_the_rest_and_is_paid_for_every_pack(small, at_start):
    plain, bought = (at_start(collection_share=np.full(CELLS, 0.6), levers=levers) for levers in ((), ("buy_back",)))
    for p in (plain, bought):
        take_back(p)
    out = plain.ledger.flow[Flow.END_OF_LIFE][0] / small.bom.sum()
    assert bought.ledger.flow[Flow.END_OF_LIFE][0] / small.bom.sum() == out, "the lifetime stays as it is"
    assert bought.left[0] == pytest.approx(0.2 * out)
    cost = small.value("collection.cost") + small.value("collection.buy_back_cost")
    assert bought.ledger.money[Account.COLLECTION][0] == pytest.approx(cost * 0.8 * out)


def test_production_uses_feed_by_the_bill_of_materials_and_makes_scrap(small, at_start):
    p = at_start(targets=1.0)
    p.state.plant_goods[...] = 0.0
    for pipe in p.state.pipes.values():
        pipe._slots[...] = 0.0
    p.state.feed[...] = 0.0
    p.state.feed[:, :, 0] = 1e9
    p.state.feed[:, 0, 1:] = 10.0  # 30 kg recycled cobalt
    content, recycled = produce(p)
    scrap = scrap_share(p)
    made, used = p.state.plant_goods[0, 0], 1e9 - p.state.feed[0, 1, 0, 0]
    assert used == pytest.approx(made / (1 - scrap) * small.bom[1])
    assert p.made[0] == pytest.approx(made / (1 - scrap))
    assert content[0, :, 0] == pytest.approx(made * small.bom)
    assert recycled[0, :, 0] == pytest.approx(np.array([30.0 * (1 - scrap), 0, 0, 0, 0]))
    assert p.state.pipes[LaneGroup.SCRAP].on_lanes().sum(axis=0)[0] == pytest.approx(made * scrap / (1 - scrap))


def test_stock_ahead_uses_recycled_feed_only_up_to_the_duty(small, at_start):
    duty = np.zeros((5, CELLS))
    duty[0] = 0.16
    p = at_start(targets=1.0, levers=("stock_ahead",), duty=duty)
    p.state.plant_goods[...] = 0.0
    p.state.feed[...] = 1e9
    content, recycled = produce(p)
    assert recycled[0, :, 0] == pytest.approx(content[0, :, 0] * np.array([0.16, 0, 0, 0, 0]))


def test_sales_follow_demand_by_state_of_health_and_lost_sales_cost_price_and_goodwill(small, at_start):
    demand = np.full(CELLS, 1000.0)
    p = at_start(demand=demand, pack_price=np.full(CELLS, 90.0))
    p.state.goods[...] = 0.0
    p.state.goods[0, 1] = 500.0  # remanufactured once: 92 % of a new pack's capacity
    sell(p)
    assert p.ledger.flow[Flow.SERVED][0] == pytest.approx(460.0)
    assert p.ledger.money[Account.LOST_SALES][0] == pytest.approx(540.0 * (90.0 + small.value("pack.goodwill")))
    assert p.state.goods.sum() == 0.0 and p.state.use._recent[p.t, 0, 1, 0] == pytest.approx(500.0)


def test_remanufacture_adds_a_life_and_rejects_the_rest(small, at_start):
    p = at_start(targets=1.0)
    p.state.goods[...] = 0.0
    p.state.cores[0] = np.array([100.0, 50.0, 10.0])[:, None]
    remanufacture(p)
    assert p.state.pipes[LaneGroup.REMAN_GOODS].on_lanes()[0, :, 0] == pytest.approx([0.0, 85.0, 42.5])
    assert p.state.pipes[LaneGroup.REJECTS].on_lanes()[0, 0] == pytest.approx(15.0 + 7.5 + 10.0)
    assert p.state.cores.sum() == pytest.approx(0.0, abs=1e-9)


def check_last_lives_go_to_recyclers(p) -> None:
    """Whatever the keep-up-to level: a core that may not be made again is of no use in the store."""
    p.state.goods[...] = 0.0
    p.state.cores[0] = np.array([0.0, 0.0, 10.0])[:, None]
    remanufacture(p)
    assert p.state.pipes[LaneGroup.REJECTS].on_lanes()[0, 0] == pytest.approx(10.0)
    assert not p.state.cores.any() and not p.state.pipes[LaneGroup.REMAN_GOODS].on_lanes().any()
    assert not p.ledger.money[Account.REMANUFACTURE].any()
    assert not p.ledger.flow[Flow.TO_REUSE].any() and not p.ledger.flow[Flow.REUSED].any()


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_cores_in_their_last_life_go_to_recyclers(at_start, target: float):
    check_last_lives_go_to_recyclers(at_start(targets=target))


def test_a_last_life_that_is_worked_on_is_found(at_start, monkeypatch):
    monkeypatch.setattr(reverse, "LIVES", 2)  # the guard then misses the third life
    with pytest.raises(AssertionError):
        check_last_lives_go_to_recyclers(at_start(targets=1.0))


def check_second_life_ends_as_end_of_life(small, p) -> None:
    """Packs that leave their second use are waste that somebody must take: they count, collected or not."""
    p.state.second_life[...] = 1200.0
    inspect(p)
    leaving = 1200.0 / (12 * small.value("second_life.years"))
    back = leaving * small.value("second_life.collection")
    assert p.ledger.flow[Flow.END_OF_LIFE][0] == pytest.approx(leaving * small.mass)
    assert p.state.pipes[LaneGroup.SECOND_LIFE_RETURNS].on_lanes().sum(axis=0)[0] == pytest.approx(back)
    assert p.left[0] == pytest.approx(leaving - back)
    assert p.state.second_life[0, 0] == pytest.approx(1200.0 - leaving)
    assert not p.ledger.flow[Flow.TO_REUSE].any()


def test_what_leaves_a_second_life_is_at_its_end_of_life(small, at_start):
    check_second_life_ends_as_end_of_life(small, at_start())


def test_a_second_life_without_end_is_found(small, at_start, monkeypatch):
    move = Ledger.move
    keep = lambda self, flow, amount: None if flow is Flow.END_OF_LIFE else move(self, flow, amount)  # noqa: E731
    monkeypatch.setattr(Ledger, "move", keep)
    with pytest.raises(AssertionError):
        check_second_life_ends_as_end_of_life(small, at_start())


def test_recycling_wins_back_material_by_origin(small, at_start):
    only_hydro = np.zeros((len(ROUTES), CELLS))
    only_hydro[ROUTES.index("hydro")] = 1.0
    p = at_start(targets=1.0, route_legal=only_hydro, recycler_available=np.ones((1, CELLS)))
    p.state.recycler_feed[0, 0], p.state.recycler_feed[0, 1] = 300.0, 100.0
    recycle(p)
    won = p.state.pipes[LaneGroup.SECONDARY].on_lanes().sum(axis=0)[:, :, 0]
    expected = small.bom * small.recovery[ROUTES.index("hydro")]
    assert won[:, 0] == pytest.approx(300.0 * expected) and won[:, 1] == pytest.approx(100.0 * expected)
    assert p.ledger.money[Account.RECYCLING][0] == pytest.approx(
        400.0 * small.bom.sum() * small.value("recycling.hydro.cost")
    )
    assert p.left[0] == pytest.approx(400.0) and p.ledger.money[Account.DISPOSAL][0] == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_routes_never_exceed_feed_line_or_law(seed: int, backwards: bool):
    draw = np.random.default_rng(seed)
    stock, usable = draw.random((2, CELLS)) * 100, draw.random((3, 2, CELLS)) * 60
    legal = (draw.random((len(ROUTES), CELLS)) < 0.7).astype(float)
    flows = route(stock, usable, legal, range(len(ROUTES))[:: -1 if backwards else 1])
    assert (flows >= 0).all() and not flows[legal[:, None].repeat(2, axis=1) == 0].any()
    assert (flows.sum(axis=0) <= stock + 1e-9).all()
    for line in range(3):
        used = sum(flows[number] for number, on in enumerate(ROUTE_LINE) if on == line)
        assert (used <= usable[line] + 1e-9).all()
    left = stock - flows.sum(axis=0)
    free = usable - np.stack([sum(flows[n] for n, on in enumerate(ROUTE_LINE) if on == line) for line in range(3)])
    idle = np.stack([free[on] * legal[number] for number, on in enumerate(ROUTE_LINE)]).max(axis=0)
    assert (np.minimum(left, idle) < 1e-9).all(), "feed waits only where every legal line is full"


def test_a_share_of_nothing_is_all_of_it():
    assert ratio(np.array([0.0, 1.0, 4.0, 0.0]), np.array([0.0, 2.0, 2.0, 5.0])).tolist() == [1.0, 0.5, 1.0, 0.0]


def test_every_product_lane_has_a_pipeline(small, at_start):
    immediate = {LaneGroup.SALES, LaneGroup.DISPOSAL, LaneGroup.REPURPOSE}
    materials = {LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.SECONDARY}
    assert set(PRODUCT_CARGO) | immediate | materials == set(LaneGroup)
    assert set(at_start().state.pipes) == set(PRODUCT_CARGO) | materials
