"""Lateral transfer: surplus stock moves to neighbours that are below their level, with the lever alone."""

from typing import Any

import numpy as np
import pytest

from sim_core.engine import orders
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.orders import order
from sim_core.engine.period import Period
from sim_core.ledger import Account
from sim_core.network import LaneGroup
from tests.sim_core import tiny


def shops(count: int = 2, **lane: Any) -> Layout:
    """Shops a, b, ... that all have lateral lanes to each other, of lead 1, at 0.5 EUR a unit."""
    names = "abc"[:count]
    nodes: dict[str, Any] = {"v": ("supplier", {"capacity": 0.0})}
    nodes |= {name: ("warehouse", {"max_target": {"S": 100.0}}) for name in names}
    nodes |= {f"m{name}": ("market", {"demand": tiny.demand(0.0)}) for name in names}
    lanes: dict[str, Any] = {f"v > {name}": {"lead": 1} for name in names}
    lanes |= {f"{name} > m{name}": {} for name in names}
    for one in names:
        share = 1.0 / (count - 1)
        lanes |= {f"{one} > {o}": {"lateral": True, "lead": 1, "share": share, **lane} for o in names if o != one}
    return build_layout(tiny.suite(tiny.net(nodes, lanes), (tiny.plain(lateral__cost=0.5),)))


def moved(layout: Layout, stock: list[float], levels: list[float], *, lever: bool = True) -> tuple[Period, np.ndarray]:
    targets = {f"{name}.S": level for name, level in zip("abc", levels, strict=False)}
    p = tiny.period(layout, targets, ("lateral_transfer",) if lever else ())
    p.state.goods[:, 0, 0] = np.array(stock)[:, None]
    order(p)
    return p, p.state.pipes[LaneGroup.LATERAL].inbound()[:, 0, :, 0].sum(axis=1)


def test_without_the_lever_nothing_moves():
    p, arriving = moved(shops(), [30.0, 0.0], [10.0, 10.0], lever=False)
    assert not arriving.any() and p.state.goods[:, 0, 0, 0].tolist() == [30.0, 0.0]


@pytest.mark.parametrize(
    ("stock", "levels", "arriving"),
    [
        ([30.0, 0.0], [10.0, 10.0], [0.0, 10.0]),  # what is missing
        ([14.0, 0.0], [10.0, 10.0], [0.0, 4.0]),  # no more than the surplus
        ([10.0, 0.0], [10.0, 10.0], [0.0, 0.0]),  # what is at its level keeps it
        ([30.0, 12.0], [10.0, 10.0], [0.0, 0.0]),  # nobody needs it
        ([0.0, 50.0], [25.0, 20.0], [25.0, 0.0]),
    ],
)
def test_surplus_moves_to_what_is_missing(stock: list[float], levels: list[float], arriving: list[float]):
    p, found = moved(shops(), stock, levels)
    assert found.tolist() == pytest.approx(arriving)
    assert p.state.goods[:, 0, 0, 0].tolist() == pytest.approx([have - found[1 - i] for i, have in enumerate(stock)])
    assert p.ledger.money[Account.TRANSPORT][0] == pytest.approx(0.5 * sum(arriving))


def test_a_scarce_surplus_is_shared_in_proportion_to_what_is_missing():
    """a has 30 too many; b misses 40 and c 20, and each asks its two neighbours for half."""
    _, found = moved(shops(3), [40.0, 0.0, 0.0], [10.0, 40.0, 20.0])
    assert found.tolist() == pytest.approx([0.0, 20.0, 10.0])
    _, found = moved(shops(3), [25.0, 0.0, 0.0], [10.0, 40.0, 20.0])
    assert found.tolist() == pytest.approx([0.0, 10.0, 5.0])


@pytest.mark.usefixtures("all_classes")
def test_what_moves_keeps_its_classes():
    p = tiny.period(shops(), {"b.S": 10.0}, ("lateral_transfer",))
    p.state.goods[0, 0] = np.array([30.0, 10.0, 0.0])[:, None]
    order(p)
    assert p.state.pipes[LaneGroup.LATERAL].inbound()[1, 0, :, 0].tolist() == pytest.approx([7.5, 2.5, 0.0])


def test_a_lateral_lane_keeps_to_its_capacity():
    _, found = moved(shops(capacity=3.0), [30.0, 0.0], [10.0, 10.0])
    assert found.tolist() == pytest.approx([0.0, 3.0])


def test_goods_on_their_way_from_a_neighbour_are_not_ordered_twice():
    layout = shops()
    layout.rates.goods_supplier[...] = 1e9
    p, _ = moved(layout, [30.0, 0.0], [10.0, 25.0])
    bought = p.state.pipes[LaneGroup.PURCHASE].inbound()[:, 0, :, 0].sum(axis=1)
    assert bought.tolist() == pytest.approx([0.0, 5.0])


def test_goods_arrive_with_the_lanes_lead_time():
    run = tiny.begin(shops(), {"b.S": 10.0}, ("lateral_transfer",))
    run.state.goods[0, 0, 0] = 30.0
    run.advance(1)
    assert run.state.goods[:, 0, 0, 0].tolist() == pytest.approx([20.0, 0.0])
    run.advance(2)
    assert run.state.goods[:, 0, 0, 0].tolist() == pytest.approx([20.0, 10.0])


def test_a_transfer_of_more_than_the_surplus_is_found(monkeypatch):
    """The mutant takes a sender's level for 0: all that it has counts as surplus."""
    target, whose = orders._warehouse_target, np.array([0.0, 1.0])[:, None, None]
    monkeypatch.setattr(orders, "_warehouse_target", lambda p: whose * target(p))
    _, found = moved(shops(), [14.0, 0.0], [10.0, 10.0])
    assert found[1] == pytest.approx(10.0)
