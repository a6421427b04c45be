"""Orders: order-up-to levels in chains of goods points, delays, limits, and feed for plants."""

from typing import Any

import numpy as np
import pytest

from sim_core.engine import orders
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.orders import order
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.reverse import goods_position
from sim_core.ledger import Account
from sim_core.network import LaneGroup, Network
from tests.sim_core import tiny

CELLS = 8


def chain(stages: int, *, leads: list[int], information: list[int] | None = None, **market: Any) -> Network:
    """A vendor, warehouses s1 (next to the customers) to sN, and a market; leads from s1 upwards."""
    delays = information or [0] * stages
    names = [f"s{i}" for i in range(1, stages + 1)]
    nodes: dict[str, Any] = {"v": "supplier"}
    nodes |= {name: ("warehouse", {"max_target": {"S": 1000.0}}) for name in names}
    nodes["m"] = ("market", {"demand": tiny.demand(5.0), "backlog": True, "shortage_cost": 1.0, **market})
    lanes: dict[str, Any] = {"s1 > m": {}}
    for name, above, lead, delay in zip(names, [*names[1:], "v"], leads, delays, strict=True):
        lanes[f"{above} > {name}"] = {"lead": lead, "information": delay}
    return tiny.net(nodes, lanes)


def test_an_order_covers_the_demand_until_it_arrives():
    """Lead 3 and no stock: with S = 15, the order of t arrives as t + 3 begins and serves it."""
    run = tiny.begin(chain(1, leads=[3], demand=tiny.demand(5.0)), {"s1.S": 15.0})
    run.advance(9)
    # The first order of 15 + 5 waiting arrives in period 3, the orders of 5 after it from period 4 on.
    assert tiny.series(run, "ordered") == pytest.approx([20.0] + [5.0] * 8)
    assert tiny.series(run, "served") == pytest.approx([0.0, 0.0, 0.0, 20.0, 5.0, 5.0, 5.0, 5.0, 5.0])
    assert tiny.series(run, "backlog")[2:] == pytest.approx([15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_lost_demand_is_not_ordered_again():
    run = tiny.begin(chain(1, leads=[3], backlog=False), {"s1.S": 15.0})
    run.advance(6)
    assert tiny.series(run, "ordered") == pytest.approx([15.0, 0.0, 0.0, 5.0, 5.0, 5.0])
    assert tiny.series(run, "lost") == pytest.approx([5.0, 5.0, 5.0, 0.0, 0.0, 0.0])


def test_in_a_chain_each_stage_orders_what_was_asked_of_it_downstream_first():
    """All stages see a demand of 5 in the period in which it occurs: the chain keeps its levels."""
    network = chain(3, leads=[1, 1, 2])
    run = tiny.begin(network, {"s1.S": 6.0, "s2.S": 5.0, "s3.S": 10.0})
    for row, stock in enumerate((6.0, 5.0, 10.0)):
        run.state.goods[row, 0, 0] = stock
    run.advance(1)
    sent = {group: run.state.pipes[group].on_lanes()[..., 0].sum() for group in (LaneGroup.GOODS, LaneGroup.PURCHASE)}
    assert sent[LaneGroup.PURCHASE] == pytest.approx(5.0) and sent[LaneGroup.GOODS] == pytest.approx(10.0)
    assert run.state.goods[:, 0, 0, 0].tolist() == pytest.approx([1.0, 0.0, 5.0])


def check_unfilled_requests_pass_upstream(network: Network) -> None:
    """s2 has nothing: what s1 asks of it is owed, so that s2 orders its own level and what it owes, once."""
    run = tiny.begin(network, {"s1.S": 10.0, "s2.S": 20.0})
    run.advance(1)
    owed = 10.0 + 5.0  # s1's level and its customers
    assert run.state.pipes[LaneGroup.PURCHASE].on_lanes()[0, 0, 0, 0] == pytest.approx(20.0 + owed)
    run.advance(2)
    bought = run.state.pipes[LaneGroup.PURCHASE].on_lanes()[0, 0, 0, 0]
    assert bought == pytest.approx(20.0 + owed + 5.0), "the second period's demand alone is ordered anew"


def test_what_a_stage_could_not_fill_it_orders_once():
    check_unfilled_requests_pass_upstream(chain(2, leads=[1, 4]))


def test_a_position_that_forgets_what_was_asked_is_found(monkeypatch):
    fill = orders._fill_goods
    monkeypatch.setattr(orders, "_fill_goods", lambda p, requests: 0.0 * fill(p, requests))
    with pytest.raises(AssertionError):
        check_unfilled_requests_pass_upstream(chain(2, leads=[1, 4]))


def test_local_levels_make_an_echelon_policy():
    """Whatever the start, each echelon's position is the sum of the levels up to it, less what those above owe it."""
    network = chain(3, leads=[2, 1, 3], demand=tiny.demand(5.0, 9.0, 0.0, 14.0, 3.0, 3.0, 3.0, 8.0))
    run = tiny.begin(network, {"s1.S": 12.0, "s2.S": 7.0, "s3.S": 20.0})
    run.advance(8)
    state = run.state
    in_transit = state.pipes[LaneGroup.GOODS].inbound()[:, 0, :, 0].sum(axis=1)
    bought = state.pipes[LaneGroup.PURCHASE].inbound()[:, 0, :, 0].sum(axis=1)
    stock = state.goods[:, 0, :, 0].sum(axis=1) + in_transit + bought
    position = np.cumsum(stock) - state.backlog[0, 0, 0]
    assert position[2] == pytest.approx(12.0 + 7.0 + 20.0), "the vendor owes nothing"
    assert position[1] <= 19.0 + 1e-9 and position[0] <= 12.0 + 1e-9


# ---- information delays


def totals(network: Network, targets: dict[str, float], name: str, periods: int = 10) -> list[float]:
    run = tiny.begin(network, targets)
    run.advance(periods)
    return tiny.series(run, name)


def check_a_slow_order_acts_as_a_longer_lead() -> None:
    """Where the sender always fills, an order that takes 2 periods over a lane of 1 is one over a lane of 3."""
    demand = tiny.demand(5.0, 9.0, 0.0, 14.0, 3.0, 2.0)
    slow = chain(1, leads=[1], information=[2], demand=demand)
    far = chain(1, leads=[3], demand=demand)
    for name in ("ordered", "served", "backlog"):
        assert totals(slow, {"s1.S": 20.0}, name) == pytest.approx(totals(far, {"s1.S": 20.0}, name))
    run = tiny.begin(slow, {"s1.S": 20.0})
    run.advance(1)
    assert not run.state.pipes[LaneGroup.PURCHASE].on_lanes().any()
    assert run.state.requests[LaneGroup.PURCHASE].on_lanes()[0, 0, 0] == pytest.approx(25.0)


def test_an_order_that_takes_time_to_arrive_is_a_longer_lead_time():
    check_a_slow_order_acts_as_a_longer_lead()


def test_a_position_that_forgets_orders_on_their_way_is_found(monkeypatch):
    inbound = Pipeline.inbound

    def blind(self: Pipeline) -> np.ndarray:
        return 0.0 * inbound(self) if self._slots.ndim == 4 else inbound(self)  # requests have no classes

    monkeypatch.setattr(Pipeline, "inbound", blind)
    with pytest.raises(AssertionError):
        check_a_slow_order_acts_as_a_longer_lead()


def test_forecast_levels_count_the_time_that_orders_take():
    """A multiple of lead-time demand: 2 periods for the order and 1 for the goods make 3 demands of 5."""
    nodes: dict[str, Any] = {"v": "supplier", "w": "warehouse", "m": ("market", {"demand": tiny.demand(5.0)})}
    p = tiny.period(
        build_layout(tiny.suite(tiny.net(nodes, {"v > w": {"lead": 1, "information": 2}, "w > m": {}}))), {"w.S": 1.0}
    )
    order(p)
    assert p.state.requests[LaneGroup.PURCHASE].on_lanes()[0, 0, 0] == pytest.approx(15.0)


def test_late_orders_of_two_levels_are_filled_beside_those_of_today():
    """The top stage has 12; an order of 12 from two periods ago and one of 12 of today share it evenly."""
    nodes: dict[str, Any] = {
        "v": "supplier", "top": ("warehouse", {"max_target": {"S": 100.0}}),
        "mid": ("warehouse", {"max_target": {"S": 12.0}}), "low": ("warehouse", {"max_target": {"S": 12.0}}),
        "m": ("market", {"demand": tiny.demand(0.0)}), "n": ("market", {"demand": tiny.demand(0.0)}),
    }  # fmt: skip
    lanes: dict[str, Any] = {
        "v > top": {"lead": 1}, "top > mid": {"lead": 1}, "top > low": {"lead": 1, "information": 2},
        "mid > m": {}, "low > n": {},
    }  # fmt: skip
    p = tiny.period(build_layout(tiny.suite(tiny.net(nodes, lanes))), {"mid.S": 12.0})
    p.state.goods[0, 0, 0] = 12.0
    request = np.zeros((2, 1, CELLS))
    request[1] = 12.0
    p.state.requests[LaneGroup.GOODS].send(-2, request)
    order(p)
    assert tiny.on_lanes(p, LaneGroup.GOODS).sum(axis=(1, 2)).tolist() == pytest.approx([6.0, 6.0])


# ---- limits and outages


def two_shops(**lane: Any) -> Layout:
    nodes: dict[str, Any] = {
        "v": "supplier", "top": "warehouse", "a": ("warehouse", {"max_target": {"S": 100.0}}),
        "b": ("warehouse", {"max_target": {"S": 100.0}}), "m": ("market", {"demand": tiny.demand(10.0)}),
    }  # fmt: skip
    lanes: dict[str, Any] = {
        "v > top": {"lead": 1}, "top > a": {"lead": 2, **lane}, "top > b": {"lead": 1},
        "a > m": {"share": 0.5}, "b > m": {"share": 0.5},
    }  # fmt: skip
    return build_layout(tiny.suite(tiny.net(nodes, lanes)))


def ordered(layout: Layout, stock: float, **terms: Any) -> list[float]:
    """What leaves for a and b, which ask for 60 and 20, from so much stock."""
    p = tiny.period(layout, {"a.S": 60.0, "b.S": 20.0}, **terms)
    p.state.goods[0, 0] = np.array([stock / 2.0, stock / 2.0, 0.0])[:, None]
    order(p)
    sent = tiny.on_lanes(p, LaneGroup.GOODS).sum(axis=(1, 2))
    assert p.state.goods[0, 0, :, 0].sum() == pytest.approx(stock - sent.sum())
    return sent.tolist()


@pytest.mark.usefixtures("all_classes")
def test_short_stock_is_shared_in_proportion_to_what_is_asked():
    assert ordered(two_shops(), 100.0) == pytest.approx([60.0, 20.0])
    assert ordered(two_shops(), 40.0) == pytest.approx([30.0, 10.0])


@pytest.mark.usefixtures("all_classes")
def test_a_lane_carries_no_more_than_its_capacity():
    assert ordered(two_shops(capacity=25.0), 100.0) == pytest.approx([25.0, 20.0])


@pytest.mark.usefixtures("all_classes")
def test_a_closed_lane_carries_nothing_and_its_order_stays_unfilled():
    assert ordered(two_shops(), 100.0, goods_open=[0.0, 1.0]) == pytest.approx([0.0, 20.0])


def test_orders_are_split_over_senders_by_share():
    nodes: dict[str, Any] = {
        "v": ("supplier", {"cost": 2.0}), "u": ("supplier", {"cost": 3.0, "capacity": 4.0}),
        "w": ("warehouse", {"max_target": {"S": 40.0}}), "m": ("market", {"demand": tiny.demand(0.0)}),
    }  # fmt: skip
    lanes: dict[str, Any] = {
        "v > w": {"lead": 1, "share": 0.75}, "u > w": {"lead": 2, "share": 0.25, "overseas": True}, "w > m": {}
    }  # fmt: skip
    layout = build_layout(tiny.suite(tiny.net(nodes, lanes)))
    p = tiny.period(layout, {"w.S": 40.0}, tariff_goods=[0.5])
    order(p)
    assert tiny.on_lanes(p, LaneGroup.PURCHASE).sum(axis=(1, 2)).tolist() == pytest.approx([30.0, 4.0])
    assert p.ledger.money[Account.MATERIALS][0] == pytest.approx(30.0 * 2.0 + 4.0 * 3.0)
    assert p.ledger.money[Account.TARIFF][0] == pytest.approx(0.5 * 12.0)
    assert p.register["imported_goods"][0, 0] == pytest.approx(4.0) and p.made[0, 0] == pytest.approx(34.0)
    banned = tiny.period(layout, {"w.S": 40.0}, import_goods_legal=[0.0])
    order(banned)
    assert tiny.on_lanes(banned, LaneGroup.PURCHASE).sum(axis=(1, 2)).tolist() == pytest.approx([30.0, 0.0])


@pytest.mark.usefixtures("all_classes")
def test_the_position_counts_all_that_comes_and_all_that_is_owed():
    layout = two_shops()
    p = tiny.period(layout)
    state = p.state
    state.goods[1, 0, 1] = 7.0
    state.pipes[LaneGroup.GOODS].send(0, np.full((2, 1, 3, CELLS), 1.0))
    state.backlog[...] = 4.0
    assert goods_position(p)[:, 0, 0].tolist() == pytest.approx([0.0, 7.0 + 3.0 - 2.0, 3.0 - 2.0])
