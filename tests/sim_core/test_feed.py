"""Feed of plants: virgin material by source, recycled material for announced law, and what law charges on imports."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.engine import orders
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.orders import order
from sim_core.engine.period import Period
from sim_core.engine.production import produce
from sim_core.ledger import Account
from sim_core.network import LaneGroup
from sim_core.suite import ProductShare
from tests.sim_core import tiny

# ---- feed of plants


BATTERY = ProductShare(archetype="ev_battery", overrides={"scrap.2025": 0.0, "scrap.2030": 0.0})


def factory(share: ProductShare = BATTERY, *, external: dict[str, Any] | None = None, **lane: Any) -> Layout:
    """A plant with a source at home (share 0.2, lead 1) and one overseas (lead 3), and a market for recycled feed."""
    nodes: dict[str, Any] = {
        "near": "supplier", "far": "supplier", "f": "plant", "m": ("market", {"demand": tiny.demand(100.0)}),
        "x": ("external", external or {}),
    }  # fmt: skip
    lanes: dict[str, Any] = {
        "near > f": {"lead": 1, "share": 0.2}, "far > f": {"lead": 3, "share": 0.8, "overseas": True, **lane},
        "f > m": {}, "x > f": {"lead": 2},
    }  # fmt: skip
    return build_layout(tiny.suite(tiny.net(nodes, lanes), (share,)))


def needs(layout: Layout) -> np.ndarray:
    """Material for a month's demand, (M,) kg."""
    return 100.0 * layout.products.bom[0]


def virgin(layout: Layout, levers: tuple[str, ...] = (), level: float = 1.0, **terms: Any) -> tuple[Period, np.ndarray]:
    """What is ordered from near and far, in months of use."""
    p = tiny.period(layout, {"f.S": level}, levers, **terms)
    order(p)
    return p, tiny.on_lanes(p, LaneGroup.VIRGIN) / needs(layout)


def test_virgin_feed_is_ordered_up_to_its_lead_time_demand():
    """Mean lead 0.2 x 1 + 0.8 x 3 = 2.6 months of use, split by share."""
    _, months = virgin(factory())
    assert months[0] == pytest.approx(0.2 * 2.6) and months[1] == pytest.approx(0.8 * 2.6)
    _, months = virgin(factory(information=2))
    assert np.concatenate([months, factory_requests()]).sum(axis=0) == pytest.approx(0.2 * 4.2 + 0.8 * 4.2)


def factory_requests() -> np.ndarray:
    """What the order to the far source holds while it is on its way, in months of use."""
    layout = factory(information=2)
    p = tiny.period(layout, {"f.S": 1.0})
    order(p)
    return p.state.requests[LaneGroup.VIRGIN].on_lanes()[..., 0] / needs(layout)


def test_recycled_feed_on_hand_and_inbound_saves_virgin_feed():
    layout = factory()
    p = tiny.period(layout, {"f.S": 1.0})
    p.state.feed[0, :, 1] = (needs(layout) * 1.0)[:, None]
    order(p)
    assert tiny.on_lanes(p, LaneGroup.VIRGIN).sum(axis=0) / needs(layout) == pytest.approx(1.6)


def test_a_second_source_moves_part_of_the_order_home():
    moved = factory().common("second_source.share")
    _, months = virgin(factory(), ("second_source",))
    near = 0.2 * (1.0 - moved) + moved
    assert months[0] / months.sum(axis=0) == pytest.approx(near)
    assert months.sum(axis=0) == pytest.approx(near * 1.0 + (1.0 - near) * 3.0)


def test_a_banned_import_is_ordered_at_home():
    legal = np.ones(5)
    legal[0] = 0.0
    _, months = virgin(factory(), import_legal=legal)
    assert months[:, 0].tolist() == pytest.approx([1.0, 0.0]), "all from the near source, a month away"
    assert months[:, 1].tolist() == pytest.approx([0.52, 2.08])


def test_expedited_feed_is_ordered_for_a_shorter_lead_and_paid():
    layout = factory()
    p, months = virgin(layout, ("expedite",))
    fast = int(layout.common("expedite.months"))
    assert fast == 1 and months.sum(axis=0) == pytest.approx(0.2 * 1.0 + 0.8 * 2.0)
    usual, _ = virgin(layout)
    arrived = p.state.pipes[LaneGroup.VIRGIN].take(2)[1, :, 0] / needs(layout)
    assert arrived == pytest.approx(months[1]), "two months instead of three"
    paid = p.ledger.money[Account.TRANSPORT][0] - usual.ledger.money[Account.TRANSPORT][0] * 1.8 / 2.6
    assert paid == pytest.approx(layout.common("expedite.cost") * float((months[1] * needs(layout)).sum()))


def test_an_outage_or_a_closed_lane_cuts_what_a_supplier_sends():
    layout = factory()
    _, months = virgin(layout, virgin_open=[1.0, 0.0])
    assert months[:, 0].tolist() == pytest.approx([0.52, 0.0])
    _, months = virgin(layout, supplier_available=[0.0, 1.0])
    assert months[:, 0].tolist() == pytest.approx([0.0, 2.08])


def test_a_supplier_gives_each_material_up_to_its_capacity():
    layout = factory()
    layout.rates.supplier[1] = 0.25 * needs(layout)
    _, months = virgin(layout)
    assert months[1] == pytest.approx(0.25)


def check_recycled_feed_follows_announced_law(layout: Layout) -> None:
    """A duty of 0.2 announced for the months ahead: two months of use (the lane's lead) x 0.2 x M of 0.5."""
    duty = np.zeros((1, 5))
    duty[0, 0] = 0.2
    p = tiny.period(layout, {"f.M": 0.5}, duty_soon=duty, content_duty=np.ones((1, 5)))
    order(p)
    bought = tiny.on_lanes(p, LaneGroup.EXTERNAL)[0] / needs(layout)
    assert bought.tolist() == pytest.approx([0.5 * 0.2 * 2.0, 0.0, 0.0, 0.0, 0.0])


def test_recycled_feed_is_bought_for_the_duty_that_is_announced():
    check_recycled_feed_follows_announced_law(factory())


def test_buying_for_the_realised_duty_is_found(monkeypatch):
    """Law before its announcement is nobody's to know."""
    buy = orders._order_external

    def peeking(p: Period) -> np.ndarray:
        p.terms = replace(p.terms, duty_soon=p.terms.content_duty)
        return buy(p)

    monkeypatch.setattr(orders, "_order_external", peeking)
    with pytest.raises(AssertionError):
        check_recycled_feed_follows_announced_law(factory())


def test_stocking_ahead_buys_for_duties_further_off():
    layout = factory()
    far = np.full((1, 5), 0.3)
    for levers, expected in (((), 0.0), (("stock_ahead",), 0.3 * 2.0)):
        p = tiny.period(layout, {"f.M": 1.0}, levers, duty_ahead=far, duty_soon=np.zeros((1, 5)))
        order(p)
        assert tiny.on_lanes(p, LaneGroup.EXTERNAL)[0] / needs(layout) == pytest.approx(expected)


def test_the_external_market_sells_no_more_than_it_has():
    duty = np.full((1, 5), 0.3)
    limits = np.array([1.0, 1e9, 1e9, 1e9, 1e9])
    p = tiny.period(factory(), {"f.M": 1.0}, duty_soon=duty, external_capacity=limits)
    order(p)
    assert tiny.on_lanes(p, LaneGroup.EXTERNAL)[0, 0] == pytest.approx(1.0)
    p = tiny.period(factory(external={"capacity": 2.5}), {"f.M": 1.0}, duty_soon=duty, external_capacity=limits)
    order(p)
    assert tiny.on_lanes(p, LaneGroup.EXTERNAL)[0] == pytest.approx(2.5), "a market's own number stands"


# ---- what law charges on imports


PRICE = np.array([30.0, 20.0, 10.0, 5.0, 1.0])


def test_a_tariff_at_departure_is_paid_for_what_leaves():
    layout = factory()
    p, _ = virgin(layout, virgin_price=PRICE, tariff_departure=np.full(5, 0.1))
    overseas = tiny.on_lanes(p, LaneGroup.VIRGIN)[1]
    assert p.ledger.money[Account.TARIFF][0] == pytest.approx(0.1 * float(overseas @ PRICE))


def test_a_tariff_at_entry_is_paid_when_goods_come_in_at_the_price_of_that_day():
    layout = factory()
    p, _ = virgin(layout, virgin_price=PRICE, tariff_entry=np.full(5, 0.1))
    overseas = tiny.on_lanes(p, LaneGroup.VIRGIN)[1].copy()
    assert not p.ledger.money[Account.TARIFF].any()
    p = entering(layout, p, tariff_entry=np.full(5, 0.1), virgin_price=2.0 * PRICE)
    assert p.ledger.money[Account.TARIFF][0] == pytest.approx(0.2 * float(overseas @ PRICE))


def test_a_border_adjustment_charges_the_carbon_of_what_comes_in():
    """5 kgCO2e charged per kg, at 80 EUR/t, on the overseas lane alone."""
    layout = factory()
    p, _ = virgin(layout)
    overseas = tiny.on_lanes(p, LaneGroup.VIRGIN)[1].sum()
    p = entering(layout, p, cbam=np.full(5, 5.0), carbon_price=80.0)
    assert p.ledger.money[Account.CARBON_CHARGE][0] == pytest.approx(overseas * 5.0 / 1000.0 * 80.0)


def entering(layout: Layout, before: Period, **terms: Any) -> Period:
    """The production step of the period in which overseas goods that were ordered in period 0 arrive."""
    p = tiny.period(layout, {"f.S": 0.0}, t=3, emission_charge=0.0, **terms)
    p.state = before.state
    p.state.pipes[LaneGroup.VIRGIN].take(1)
    produce(p)
    return p


def test_what_is_bought_is_measured_for_law():
    layout = factory()
    p, _ = virgin(layout)
    near, far = tiny.on_lanes(p, LaneGroup.VIRGIN)
    assert p.register["virgin"][:, 0] == pytest.approx(near + far) and p.register["imported"][:, 0] == pytest.approx(
        far
    )
    assert p.entered[:, 0] == pytest.approx(near + far)
