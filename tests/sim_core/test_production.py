"""Production: output up to S within capacity and feed, recycled material by duty, surplus feed sold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.engine import production
from sim_core.engine.layout import ORIGINS, Layout, build_layout
from sim_core.engine.period import Period
from sim_core.engine.production import produce, scrap_share
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup
from sim_core.suite import ProductShare
from tests.sim_core import tiny

CELLS = 8
NO_SCRAP = {"scrap.2025": 0.0, "scrap.2030": 0.0}
BATTERY = ProductShare(archetype="ev_battery", overrides=NO_SCRAP)
TARGETS = {"S": 1e9, "M": 1.0, "U": 1e9}


def factory(*products: ProductShare, plants: int = 1, surplus: bool = True, **fields: Any) -> Layout:
    """Plants f, f2 with a market of 100 units each, a recycler for scrap and an external market for surplus."""
    nodes: dict[str, Any] = {"v": "supplier", "y": "recycler", "x": "external"}
    lanes: dict[str, Any] = {}
    for i, name in enumerate(("f", "f2")[:plants]):
        nodes |= {
            name: ("plant", {"max_target": TARGETS, **fields}),
            f"m{i}": ("market", {"demand": tiny.demand(100.0)}),
        }
        lanes |= {f"v > {name}": {"lead": 1}, f"{name} > m{i}": {}, f"{name} > y": {"lead": 1}}
        lanes |= {f"{name} > x": {}} if surplus else {}
    return build_layout(tiny.suite(tiny.net(nodes, lanes), products or (BATTERY,)))


def produced(
    layout: Layout, goods: float, *, virgin: Any = 1e9, recycled: Any = 0.0, keep: float = 1e9,
    levers: tuple[str, ...] = (), **terms: Any,
) -> Period:  # fmt: skip
    """Produce up to `goods` units from so much feed, (M,) or the same of every material; recycled: of three origins."""
    p = tiny.period(layout, {"f.S": goods, "f.U": keep}, levers, **terms)
    p.state.feed[0, :, 0] = np.broadcast_to(virgin, p.state.feed.shape[1:2])[:, None]
    p.state.feed[0, :, 1:] = np.broadcast_to(np.asarray(recycled, float).reshape(-1, 1), (p.state.feed.shape[1], 3))[
        :, :, None
    ]
    produce(p)
    return p


def made(p: Period) -> np.ndarray:
    """Units produced at the first plant, by product."""
    return p.state.goods[0, :, 0, 0]


def test_a_plant_fills_its_position_from_feed_by_the_bill_of_materials():
    layout = factory()
    p = produced(layout, 40.0)
    bom = layout.products.bom[0]
    assert made(p).tolist() == [40.0] and p.made[0, 0] == 40.0
    assert 1e9 - p.state.feed[0, :, 0, 0] == pytest.approx(40.0 * bom)
    assert p.register["content"][0, 0, :, 0] == pytest.approx(40.0 * bom) and not p.register["recycled"].any()
    assert p.ledger.money[Account.PRODUCTION][0] == pytest.approx(40.0 * layout.common("production.cost"))


def test_a_plant_that_has_its_level_makes_nothing_and_one_with_a_backlog_makes_more():
    p = tiny.period(factory(), {"f.S": 40.0})
    p.state.feed[...] = 1e9
    p.state.goods[0, 0, 0] = 30.0
    produce(p)
    assert made(p).tolist() == [40.0] and p.made[0, 0] == 10.0
    p = tiny.period(factory(), {"f.S": 40.0})
    p.state.feed[...], p.state.backlog[...] = 1e9, 25.0
    produce(p)
    assert p.made[0, 0] == 65.0


def test_scrap_is_made_beside_goods_and_goes_to_recyclers():
    layout = factory(ProductShare(archetype="ev_battery", overrides={"scrap.2025": 0.3, "scrap.2030": 0.2}))
    p = produced(layout, 40.0)
    assert scrap_share(p.layout, p.t)[0, 0] == 0.2, "2032"
    assert p.made[0, 0] == pytest.approx(50.0) and made(p).tolist() == [40.0]
    assert tiny.on_lanes(p, LaneGroup.SCRAP).sum() == pytest.approx(10.0)
    assert 1e9 - p.state.feed[0, :, 0, 0] == pytest.approx(50.0 * layout.products.bom[0])
    assert p.register["content"][0, 0, :, 0] == pytest.approx(40.0 * layout.products.bom[0]), "law reads good output"


@pytest.mark.parametrize(("start", "share"), [("2020-01", 0.3), ("2025-01", 0.3), ("2027-07", 0.25), ("2030-01", 0.2)])
def test_scrap_falls_between_its_years(start: str, share: float):
    layout = factory(ProductShare(archetype="ev_battery", overrides={"scrap.2025": 0.3, "scrap.2030": 0.2}))
    p = tiny.period(build_layout(replace(layout.suite, start=start)))
    assert scrap_share(p.layout, p.t)[0, 0] == pytest.approx(share)


@pytest.mark.parametrize(("available", "expected"), [(1.0, 25.0), (0.4, 10.0), (0.0, 0.0)])
def test_output_keeps_to_capacity_and_outages(available: float, expected: float):
    p = produced(factory(capacity=25.0), 40.0, plant_available=[available])
    assert made(p).tolist() == pytest.approx([expected])


def test_a_ban_on_production_stops_it_and_leaves_the_stock():
    p = tiny.period(factory(), {"f.S": 40.0}, production_legal=[0.0])
    p.state.feed[...] = 1e9
    p.state.goods[0, 0, 0] = 30.0
    produce(p)
    assert not p.made.any() and made(p).tolist() == [30.0]


def test_the_scarcest_material_sets_the_output():
    bom = factory().products.bom[0]
    have = 1e9 * np.ones(5)
    have[1], have[3] = 12.0 * bom[1], 30.0 * bom[3]
    p = produced(factory(), 40.0, virgin=have)
    assert made(p).tolist() == pytest.approx([12.0])


def twins(**other: float) -> Layout:
    """Two packs of one plant; the second is made of cobalt and nickel alone, unless said."""
    zero = {f"bom.{name}": 0.0 for name in BATTERY_MATERIALS if name not in ("cobalt", "nickel")}
    return factory(BATTERY, ProductShare(archetype="ev_battery", name="two", overrides={**NO_SCRAP, **zero, **other}))


BATTERY_MATERIALS = factory().products.materials


def test_products_share_a_scarce_material_in_proportion_and_others_go_on():
    """Both want 40 units' cobalt and there is half; lithium, which only one needs, allows that one a quarter."""
    layout = twins()
    bom = layout.products.bom
    have = np.full(5, 1e9)
    have[BATTERY_MATERIALS.index("cobalt")] = 0.5 * 40.0 * bom[:, BATTERY_MATERIALS.index("cobalt")].sum()
    p = produced(layout, 40.0, virgin=have)
    assert made(p).tolist() == pytest.approx([20.0, 20.0])
    have[BATTERY_MATERIALS.index("lithium")] = 0.25 * 40.0 * bom[0, BATTERY_MATERIALS.index("lithium")]
    p = produced(layout, 40.0, virgin=have)
    assert made(p).tolist() == pytest.approx([10.0, 20.0])


# ---- recycled material


def recycled_of(p: Period) -> np.ndarray:
    """Recycled material in good output, (P, M) kg."""
    return p.register["recycled"][0, :, :, :, 0].sum(axis=2)


def test_recycled_feed_is_used_first_by_origin():
    layout = factory()
    p = produced(layout, 40.0, recycled=[[1.0]] * 5)
    used = 40.0 * layout.products.bom[0]
    assert recycled_of(p)[0] == pytest.approx(np.minimum(3.0, used))
    by_origin = p.register["recycled"][0, 0, :, :, 0]
    assert by_origin == pytest.approx(np.repeat(np.minimum(3.0, used)[:, None] / 3.0, 3, axis=1))
    assert len(ORIGINS) == 4
    assert p.ledger.flow[Flow.RECYCLED_FEED][0] == pytest.approx(np.minimum(3.0, used).sum())


def check_duties_come_first() -> None:
    """Recycled cobalt for 30 of the 80 % that both use: the product with a duty of a half gets its own first."""
    layout = twins()
    cobalt = BATTERY_MATERIALS.index("cobalt")
    use = 40.0 * layout.products.bom[:, cobalt]
    duty = np.zeros((2, 5))
    duty[1, cobalt] = 0.5
    have = np.zeros(5)
    have[cobalt] = 0.4 * use[1] / 3.0
    p = produced(layout, 40.0, recycled=have, content_duty=duty)
    assert recycled_of(p)[:, cobalt] == pytest.approx([0.0, 0.4 * use[1]]), "less than the duty: all of it"
    have[cobalt] = (0.5 * use[1] + 0.3 * (use[0] + 0.5 * use[1])) / 3.0
    p = produced(layout, 40.0, recycled=have, content_duty=duty)
    expected = [0.3 * use[0], 0.5 * use[1] + 0.3 * 0.5 * use[1]]
    assert recycled_of(p)[:, cobalt] == pytest.approx(expected), "the rest in proportion to what is left of each"


def test_duties_are_met_before_recycled_material_is_shared():
    check_duties_come_first()


def test_sharing_by_use_alone_is_found(monkeypatch):
    use_feed = production._use_feed

    def by_use(p: Period, used: np.ndarray) -> np.ndarray:
        p.terms = replace(p.terms, content_duty=np.zeros_like(p.terms.content_duty))
        return use_feed(p, used)

    monkeypatch.setattr(production, "_use_feed", by_use)
    with pytest.raises(AssertionError):
        check_duties_come_first()


def test_stock_ahead_uses_recycled_feed_only_up_to_the_duty():
    layout = factory()
    duty = np.zeros((1, 5))
    duty[0, 0] = 0.16
    p = produced(layout, 40.0, recycled=[1e9] * 5, levers=("stock_ahead",), content_duty=duty)
    assert recycled_of(p)[0] == pytest.approx(40.0 * layout.products.bom[0] * np.array([0.16, 0.0, 0.0, 0.0, 0.0]))


def test_held_feed_is_used_rather_than_nothing():
    """Without virgin feed, what was kept for later duties is used: a lost sale costs more."""
    layout = factory()
    p = produced(layout, 40.0, virgin=0.0, recycled=[1e9] * 5, levers=("stock_ahead",))
    assert made(p).tolist() == [40.0] and recycled_of(p)[0] == pytest.approx(40.0 * layout.products.bom[0])


def test_recycled_feed_above_its_level_is_sold():
    """900 kg of each material less what is used, above 100 kg."""
    layout = factory()
    price = np.array([30.0, 20.0, 10.0, 5.0, 1.0])
    p = produced(layout, 40.0, recycled=[300.0] * 5, keep=100.0, virgin_price=price)
    used = np.minimum(900.0, 40.0 * layout.products.bom[0])
    sold = np.maximum(0.0, 900.0 - used - 100.0)
    assert p.sold_off[:, 0] == pytest.approx(sold) and sold.any()
    assert p.state.feed[0, :, 1:, 0].sum(axis=1) == pytest.approx(900.0 - used - sold)
    assert p.ledger.money[Account.MATERIALS][0] == pytest.approx(-layout.common("external.sale") * float(sold @ price))


def test_without_a_way_to_a_market_surplus_feed_stays():
    p = produced(factory(surplus=False), 40.0, recycled=[1e6] * 5, keep=0.0)
    assert not p.sold_off.any() and p.state.feed[0, 0, 1:, 0].sum() > 2.9e6


def test_the_level_of_surplus_is_in_years_of_expected_use():
    layout = factory()
    layout.absolute[...] = np.nan
    p = produced(layout, 0.0, recycled=[1e9] * 5, keep=0.5)
    assert p.state.feed[0, :, 1:, 0].sum(axis=1) == pytest.approx(0.5 * 12.0 * 100.0 * layout.products.bom[0])


def test_plants_keep_their_own_feed():
    p = tiny.period(factory(plants=2), {"f.S": 40.0, "f2.S": 40.0})
    p.state.feed[0, :, 0] = 1e9
    produce(p)
    assert p.state.goods[:, 0, 0, 0].tolist() == [40.0, 0.0]


def test_design_for_disassembly_costs_by_unit_made():
    dear = replace(BATTERY, overrides={**NO_SCRAP, "disassembly.cost": 3.0})
    costs = [
        produced(factory(dear), 40.0, levers=levers).ledger.money[Account.PRODUCTION][0]
        for levers in ((), ("design_for_disassembly",))
    ]
    assert costs[1] - costs[0] == pytest.approx(120.0)


def test_what_arrives_is_there_to_be_used():
    layout = factory()
    p = tiny.period(layout, {"f.S": 40.0}, t=1)
    p.state.pipes[LaneGroup.VIRGIN].send(0, np.repeat((40.0 * layout.products.bom)[:, :, None], CELLS, axis=2))
    produce(p)
    assert made(p).tolist() == pytest.approx([40.0]) and p.state.feed[0, :, 0, 0] == pytest.approx(
        np.zeros(5), abs=1e-9
    )
