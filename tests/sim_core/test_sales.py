"""Sales against hand calculations: shares, backlog and lost sales, state of health, bans, forecasts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.engine.layout import build_layout
from sim_core.engine.period import Period
from sim_core.engine.sales import sell
from sim_core.ledger import Account, Flow
from sim_core.suite import Forecast, ProductShare
from tests.sim_core import tiny

CELLS = 8

# ---- sales


TWO_SHOPS: dict[str, Any] = {
    "v": "supplier", "a": "warehouse", "b": "warehouse",
    "m": ("market", {"demand": tiny.demand(60.0), "backlog": True, "shortage_cost": 2.0}),
    "n": ("market", {"demand": tiny.demand(20.0), "shortage_cost": 5.0}),
}  # fmt: skip
TO_MARKETS: dict[str, Any] = {
    "v > a": {"lead": 1}, "v > b": {"lead": 1}, "a > m": {"share": 0.5}, "b > m": {"share": 0.5}, "a > n": {},
}  # fmt: skip


def sold(lanes: dict[str, Any], goods: list[float], *, product: ProductShare = tiny.GRADED, **terms: Any) -> Period:
    p = tiny.period(build_layout(tiny.suite(tiny.net(TWO_SHOPS, lanes), (product,))), **terms)
    p.state.goods[:, 0, 0] = np.array(goods)[:, None]
    sell(p)
    return p


def test_a_point_short_of_goods_serves_in_proportion():
    """Market m asks both shops for 30, market n shop a for 20: a's 25 serve half of what it is asked."""
    p = sold(TO_MARKETS, [25.0, 100.0])
    assert p.ledger.flow[Flow.SERVED][0] == pytest.approx(15.0 + 30.0 + 10.0)
    assert p.state.goods[:, 0, 0, 0].tolist() == pytest.approx([0.0, 70.0])
    assert p.state.backlog[:, 0, 0].tolist() == pytest.approx([15.0, 0.0]), "one market waits, the other doesn't"
    assert p.ledger.money[Account.BACKLOG][0] == pytest.approx(15.0 * 2.0)
    assert p.ledger.money[Account.LOST_SALES][0] == pytest.approx(10.0 * 5.0)


def test_a_backlog_is_asked_for_again_and_charged_in_every_period():
    p = sold(TO_MARKETS, [25.0, 100.0])
    p.state.goods[:, 0, 0] = np.array([100.0, 100.0])[:, None]
    sell(p)
    assert p.ledger.flow[Flow.SERVED][0] == pytest.approx(55.0 + 75.0 + 20.0) and not p.state.backlog.any()
    assert p.ledger.flow[Flow.DEMAND][0] == 160.0


def test_a_lane_with_a_capacity_leaves_the_rest_of_demand_waiting():
    lanes = {**TO_MARKETS, "a > m": {"share": 0.5, "capacity": 12.0}}
    p = sold(lanes, [100.0, 100.0])
    assert p.state.goods[:, 0, 0, 0].tolist() == pytest.approx([68.0, 70.0])
    assert p.state.backlog[:, 0, 0].tolist() == pytest.approx([18.0, 0.0])


def test_what_may_not_be_sold_stays_in_stock():
    p = sold(TO_MARKETS, [25.0, 100.0], sale_legal=[0.0])
    assert p.state.goods.sum() / CELLS == 125.0 and p.state.backlog[0, 0, 0] == 60.0
    assert p.ledger.flow[Flow.SERVED][0] == 0.0 and not p.register["placed"].any()


def test_lost_sales_cost_price_and_goodwill_where_a_market_names_no_cost():
    product = replace(tiny.GRADED, overrides={**tiny.GRADED.overrides, "product.goodwill": 30.0})
    nodes = {**TWO_SHOPS, "n": ("market", {"demand": tiny.demand(20.0)})}
    p = tiny.period(build_layout(tiny.suite(tiny.net(nodes, TO_MARKETS), (product,))), product_price=[90.0])
    sell(p)
    assert p.ledger.money[Account.LOST_SALES][0] == pytest.approx(20.0 * 120.0)


def test_a_unit_serves_its_state_of_health():
    """40 reused units at 80 % health serve 32, and all goods leave in proportion to what they can do."""
    p = tiny.period(tiny.loop(m={"demand": tiny.demand(50.0)}))
    p.state.goods[1, 0] = np.array([0.0, 40.0, 0.0])[:, None]
    sell(p)
    assert p.ledger.flow[Flow.SERVED][0] == pytest.approx(32.0) and not p.state.goods.any()
    assert p.register["placed_again"][0, 0] == pytest.approx(40.0) and p.register["placed"][0, 0] == 0.0
    p = tiny.period(tiny.loop(m={"demand": tiny.demand(36.0)}))
    p.state.goods[1, 0] = np.array([40.0, 40.0, 0.0])[:, None]
    sell(p)
    assert p.state.goods[1, 0, :, 0].tolist() == pytest.approx([20.0, 20.0, 0.0])


def test_consumed_products_leave_as_they_are_sold():
    p = sold(TO_MARKETS, [100.0, 100.0])
    assert p.left[0, 0] == pytest.approx(80.0) and not p.state.use.total().any()


def test_new_units_pay_what_law_asks_of_them():
    p = sold(TO_MARKETS, [100.0, 100.0], epr_fee=[0.5], traceability=[0.25])
    assert p.ledger.money[Account.FEE][0] == pytest.approx(80.0 * 0.75)


def test_forecasts_are_smoothed_or_moving_averages():
    network = tiny.net(TWO_SHOPS, TO_MARKETS)
    for forecast, expected in (
        (Forecast(), 60.0 + 0.2 * (100.0 - 60.0)),
        (Forecast(method="moving_average", periods=4), (3 * 60.0 + 100.0) / 4),
    ):
        p = tiny.period(build_layout(tiny.suite(network, forecast=forecast)), demand=[[100.0], [20.0]])
        sell(p)
        assert p.state.forecast[0, 0, 0] == pytest.approx(expected)
        assert p.state.at_goods[:, 0, 0].tolist() == pytest.approx([0.5 * expected + 20.0, 0.5 * expected])
