"""Reverse flows against hand calculations: inspection, reuse, second life, remanufacture."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.engine.layout import Layout
from sim_core.engine.period import Period
from sim_core.engine.reverse import inspect, remanufacture
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup
from sim_core.suite import ProductShare
from tests.sim_core import tiny

CELLS = 8

# ---- inspection, reuse, second life


def inspected(layout: Layout, units: list[float], *, offer: float = 1.0, levers: tuple[str, ...] = ()) -> Period:
    """Inspect so many units of each class."""
    p = tiny.period(layout, {"i.M": offer}, levers)
    p.state.queue[0, 0] = np.array(units)[:, None]
    inspect(p)
    return p


def test_grades_go_their_ways():
    """100 new units: 40 reused, 30 remanufactured, 20 offered to a second life that takes 6, the rest recycled."""
    p = inspected(tiny.loop(), [100.0, 0.0, 0.0])
    assert tiny.on_lanes(p, LaneGroup.REUSE)[0, 0].tolist() == pytest.approx([0.0, 40.0, 0.0])
    assert tiny.on_lanes(p, LaneGroup.REMAN_FEED)[0, 0].tolist() == pytest.approx([30.0, 0.0, 0.0])
    assert p.state.second_life[0, 0, 0] == pytest.approx(6.0)
    assert tiny.on_lanes(p, LaneGroup.RECYCLE_FEED)[0].tolist() == pytest.approx([14.0 + 10.0])
    assert p.register["reused"][0, 0] == pytest.approx(46.0)


def test_what_is_not_offered_for_reuse_goes_to_remanufacture_or_recycling():
    p = inspected(tiny.loop(), [100.0, 0.0, 0.0], offer=0.25)
    assert tiny.on_lanes(p, LaneGroup.REUSE).sum() == pytest.approx(10.0)
    assert tiny.on_lanes(p, LaneGroup.REMAN_FEED).sum() == pytest.approx(60.0)
    assert p.state.second_life[0, 0, 0] == pytest.approx(5.0)
    assert tiny.on_lanes(p, LaneGroup.RECYCLE_FEED).sum() == pytest.approx(25.0)


def test_inspection_yields_and_costs_are_per_unit():
    product = replace(
        tiny.GRADED, overrides={**tiny.GRADED.overrides, "reuse.yield": 0.9, "reuse.cost": 2.0, "inspection.cost": 0.5}
    )
    p = inspected(tiny.loop(product), [100.0, 0.0, 0.0])
    assert tiny.on_lanes(p, LaneGroup.REUSE).sum() == pytest.approx(36.0)
    assert tiny.on_lanes(p, LaneGroup.RECYCLE_FEED).sum() == pytest.approx(28.0), "what reuse loses is recycled"
    assert p.ledger.money[Account.REMANUFACTURE][0] == pytest.approx(80.0)
    assert p.ledger.money[Account.COLLECTION][0] == pytest.approx(50.0)


def test_inspection_takes_what_its_capacity_allows_and_the_rest_waits():
    p = inspected(tiny.loop(i={"capacity": 60.0}), [80.0, 10.0, 10.0])
    assert p.state.queue.sum() / CELLS == pytest.approx(40.0)
    assert p.state.queue[0, 0, :, 0].tolist() == pytest.approx([32.0, 4.0, 4.0])


def test_a_premium_inspection_finds_cores_among_the_worse_units():
    product = replace(tiny.GRADED, overrides={**tiny.GRADED.overrides, "inspection.premium_shift": 0.5})
    p = inspected(tiny.loop(product), [100.0, 0.0, 0.0], levers=("premium_inspection",))
    assert tiny.on_lanes(p, LaneGroup.REMAN_FEED).sum() == pytest.approx(30.0 + 10.0)


def check_last_lives_are_not_used_again(layout: Layout) -> None:
    """Classes 1 and 2 of a product with two lives have had both, whatever they are graded."""
    p = inspected(layout, [0.0, 50.0, 50.0])
    assert not tiny.on_lanes(p, LaneGroup.REUSE).any() and not tiny.on_lanes(p, LaneGroup.REMAN_FEED).any()
    second = p.state.second_life[0, 0, 0]
    assert second == pytest.approx(6.0), "the last use of all is a second life elsewhere"
    assert tiny.on_lanes(p, LaneGroup.RECYCLE_FEED).sum() == pytest.approx(100.0 - second)


def test_units_in_their_last_life_get_no_other_one():
    check_last_lives_are_not_used_again(tiny.loop())


def test_a_last_life_that_is_followed_by_another_is_found():
    layout = tiny.loop()
    endless = replace(layout, products=replace(layout.products, again=np.ones_like(layout.products.again)))
    with pytest.raises(AssertionError):
        check_last_lives_are_not_used_again(endless)


def test_each_life_leads_to_the_class_of_the_next_one(small, bench):
    """Three lives, five classes: 0 -> 1 or 2 -> 3 or 4."""
    p = bench.period(small, bench.scenario(small), t=small.suite.warm_up, targets=1.0)
    tiny.clear(p.state)
    p.state.queue[0, 0] = np.array([100.0, 10.0, 0.0, 1000.0, 0.0])[:, None]
    inspect(p)
    share = small.products.grade_share[0]
    good = small.common("reuse.yield")
    reused = p.state.pipes[LaneGroup.REUSE].on_lanes().sum(axis=0)[0, :, 0]
    assert reused == pytest.approx([0.0, good * 100.0 * share[0, 0], 0.0, good * 10.0 * share[0, 1], 0.0])
    cores = p.state.pipes[LaneGroup.REMAN_FEED].on_lanes().sum(axis=0)[0, :, 0]
    assert cores == pytest.approx([100.0 * share[1, 0], 10.0 * share[1, 1], 0.0, 0.0, 0.0])


def test_without_a_way_on_units_are_disposed_of_at_a_price():
    """No recycler: what can't be used again leaves at the cost of disposal, by weight (1 kg without materials)."""
    product = replace(tiny.GRADED, overrides={**tiny.GRADED.overrides, "disposal.cost": 4.0})
    p = inspected(tiny.loop(product, without="yz"), [100.0, 0.0, 0.0])
    assert p.left[0, 0] == pytest.approx(30.0) and p.ledger.money[Account.DISPOSAL][0] == pytest.approx(120.0)
    p = inspected(tiny.loop(product, without="yzr"), [100.0, 0.0, 0.0])
    assert p.left[0, 0] == pytest.approx(60.0)


def check_second_life_ends_as_end_of_life(p: Period) -> None:
    """Units that leave their second use are waste that somebody must take: they count, collected or not."""
    p.state.second_life[...] = 1200.0
    inspect(p)
    leaving = 1200.0 / (12 * 10.0)
    assert p.ledger.flow[Flow.END_OF_LIFE][0] == pytest.approx(leaving)
    assert tiny.on_lanes(p, LaneGroup.SECOND_LIFE_RETURNS).sum() == pytest.approx(0.7 * leaving)
    assert p.left[0, 0] == pytest.approx(0.3 * leaving)
    assert p.state.second_life[0, 0, 0] == pytest.approx(1200.0 - leaving)
    assert not p.ledger.flow[Flow.TO_REUSE].any()


SECOND = tiny.plain(
    second_life__years=10.0, second_life__collection=0.7, second_life__displacement=0.25, second_life__price=9.0,
    second_life__cost=2.0, carbon__production=40.0, grade__C=1.0, grade__D=0.0,
)  # fmt: skip


def test_what_leaves_a_second_life_is_at_its_end_of_life():
    check_second_life_ends_as_end_of_life(tiny.period(tiny.loop(SECOND)))


def test_a_second_life_without_end_is_found(monkeypatch):
    move = Ledger.move
    keep = lambda self, flow, amount: None if flow is Flow.END_OF_LIFE else move(self, flow, amount)  # noqa: E731
    monkeypatch.setattr(Ledger, "move", keep)
    with pytest.raises(AssertionError):
        check_second_life_ends_as_end_of_life(tiny.period(tiny.loop(SECOND)))


def test_a_second_life_earns_its_price_and_displaces_new_units():
    """6 of 100 units are taken, at 9 - 2 EUR; each stands for a quarter of a new unit's 40 kg elsewhere."""
    p = inspected(tiny.loop(SECOND), [100.0, 0.0, 0.0])
    assert p.ledger.money[Account.SECOND_LIFE][0] == pytest.approx(-6.0 * 7.0)
    assert p.ledger.flow[Flow.DISPLACED][0] == pytest.approx(6.0 * 0.25 * 40.0)
    assert p.ledger.flow[Flow.CARBON][0] == 0.0, "displaced carbon is no part of the system's own"


# ---- remanufacture


REMADE = {"max_target": {"M": 100.0, "U": 100.0}}


def remade(layout: Layout, cores: list[float], targets: dict[str, float], goods: float = 0.0, **terms: Any) -> Period:
    p = tiny.period(layout, targets, **terms)
    p.state.cores[0, 0] = np.array(cores)[:, None]
    p.state.goods[1, 0, 0] = goods
    remanufacture(p)
    return p


def rejects(p: Period) -> float:
    return float(tiny.on_lanes(p, LaneGroup.REJECTS).sum())


def test_remanufacture_fills_its_goods_point_and_keeps_what_it_may():
    """20 in stock, filled up to 50: 30 of 90 cores; 40 of the rest are kept, 20 go to the recycler."""
    p = remade(tiny.loop(r=REMADE), [90.0, 0.0, 0.0], {"r.M": 50.0, "r.U": 40.0}, goods=20.0)
    assert tiny.on_lanes(p, LaneGroup.REMAN_GOODS)[0, 0].tolist() == pytest.approx([0.0, 0.0, 30.0])
    assert p.state.cores[0, 0, 0, 0] == pytest.approx(40.0) and rejects(p) == pytest.approx(20.0)


def test_the_total_reading_of_u_counts_the_serviceable_goods_too():
    """60 in all: 20 in stock and 30 made leave room for 10 cores."""
    layout = tiny.loop(r={**REMADE, "u_basis": "total"})
    p = remade(layout, [90.0, 0.0, 0.0], {"r.M": 50.0, "r.U": 60.0}, goods=20.0)
    assert p.state.cores.sum() / CELLS == pytest.approx(10.0) and rejects(p) == pytest.approx(50.0)
    p = remade(layout, [90.0, 0.0, 0.0], {"r.M": 50.0, "r.U": 45.0}, goods=20.0)
    assert p.state.cores.sum() / CELLS == pytest.approx(0.0, abs=1e-9), "no more than all of them leaves"
    assert rejects(p) == pytest.approx(60.0)


def test_a_backlog_lowers_the_position_that_remanufacture_fills():
    p = tiny.period(tiny.loop(m={"backlog": True}, r=REMADE), {"r.M": 50.0, "r.U": 100.0})
    p.state.cores[0, 0, 0], p.state.goods[1, 0, 0], p.state.backlog[...] = 90.0, 20.0, 15.0
    remanufacture(p)
    assert tiny.on_lanes(p, LaneGroup.REMAN_GOODS).sum() == pytest.approx(45.0)


@pytest.mark.parametrize(("available", "made"), [(1.0, 8.0), (0.25, 2.0), (0.0, 0.0)])
def test_remanufacture_keeps_to_its_capacity_and_availability(available: float, made: float):
    p = remade(
        tiny.loop(r={**REMADE, "capacity": 8.0, "cost": 5.0}), [20.0, 0.0, 0.0], {"r.M": 50.0, "r.U": 100.0},
        remanufacturer_available=[available],
    )  # fmt: skip
    assert tiny.on_lanes(p, LaneGroup.REMAN_GOODS).sum() == pytest.approx(made)
    assert p.ledger.money[Account.REMANUFACTURE][0] == pytest.approx(5.0 * made)


def test_what_a_store_of_cores_cannot_hold_is_disposed_of_as_it_arrives():
    p = remade(tiny.loop(r={**REMADE, "storage": 50.0}), [90.0, 0.0, 0.0], {"r.M": 20.0, "r.U": 100.0})
    assert rejects(p) == pytest.approx(40.0) and p.state.cores.sum() / CELLS == pytest.approx(30.0)


def test_a_yield_below_one_sends_the_rest_to_the_recycler():
    product = replace(tiny.GRADED, overrides={**tiny.GRADED.overrides, "reman.yield": 0.75})
    p = remade(tiny.loop(product, r=REMADE), [40.0, 0.0, 0.0], {"r.M": 100.0, "r.U": 100.0})
    assert tiny.on_lanes(p, LaneGroup.REMAN_GOODS).sum() == pytest.approx(30.0) and rejects(p) == pytest.approx(10.0)
    assert p.ledger.flow[Flow.REUSED][0] == pytest.approx(30.0) == p.ledger.flow[Flow.TO_REUSE][0]


def test_cores_of_a_product_with_one_life_are_not_made_again():
    """They can come from outside: with a neighbour that has lives left, they must not become its next class."""
    layout = tiny.loop(ProductShare(archetype="pet_bottle"), tiny.GRADED, r=REMADE)
    p = tiny.period(layout, {"r.M": 100.0, "r.U": 0.0})
    p.state.cores[0, :, 0] = 10.0
    remanufacture(p)
    made = tiny.on_lanes(p, LaneGroup.REMAN_GOODS)[0].sum(axis=1)
    assert made.tolist() == pytest.approx([0.0, 10.0])
    assert tiny.on_lanes(p, LaneGroup.REJECTS)[0].tolist() == pytest.approx([10.0, 0.0])


def test_units_made_for_disassembly_are_worth_more_effort():
    product = replace(
        tiny.GRADED, overrides={**tiny.GRADED.overrides, "reman.yield": 0.5, "disassembly.reman_gain": 0.4}
    )
    p = tiny.period(tiny.loop(product, r=REMADE), {"r.M": 100.0, "r.U": 100.0})
    p.state.cores[0, 0, 0] = 40.0
    p.state.use.easy_share[...] = 0.5
    remanufacture(p)
    assert tiny.on_lanes(p, LaneGroup.REMAN_GOODS).sum() == pytest.approx(40.0 * 0.5 * (1.0 + 0.4 * 0.5))
