"""Recycling: routes in order, lines shared, law that closes them, what is won, and what is landfilled."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core.engine import recycling
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.period import Period
from sim_core.engine.recycling import recycle, route
from sim_core.engine.settings import M
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind
from sim_core.suite import ProductShare
from tests.sim_core import tiny

CELLS = 8
ROUTES = ("export", "pyro", "hydro", "hydro_high")
BATTERY = ProductShare(archetype="ev_battery")


def site(*products: ProductShare, plants: bool = True, landfill: bool = True, count: int = 1, **fields: Any) -> Layout:
    """Recyclers y, y2, ... of one region; a plant that takes what they win."""
    nodes: dict[str, Any] = {"v": "supplier", "f": "plant", "m": ("market", {"demand": tiny.demand(100.0)})}
    lanes: dict[str, Any] = {"v > f": {"lead": 1}, "f > m": {}}
    for name in ("y", "y2", "y3")[:count]:
        nodes[name] = ("recycler", {"max_target": {"U": 1e9}, **fields})
        lanes |= {f"{name} > f": {"lead": 1}} if plants else {}
        lanes |= {f"{name} > d": {}} if landfill else {}
    nodes |= {"d": "landfill"} if landfill else {}
    return build_layout(tiny.suite(tiny.net(nodes, lanes), products or (BATTERY,)))


def only(*names: str, products: int = 1) -> np.ndarray:
    """Legality of routes (Q, P) where only these are open."""
    return np.array([[float(name in names)] * products for name in ROUTES])


def recycled(
    layout: Layout,
    used: float | Sequence[float],
    scrap: float = 0.0,
    *,
    levers: tuple[str, ...] = (),
    keep: float = 0.0,
    **terms: Any,
) -> Period:
    """Recycle so many units of each product at each recycler at full throughput, keeping `keep` kg of what is left."""
    names = [node.name for node in layout.network.nodes if node.kind is NodeKind.RECYCLER]
    p = tiny.period(
        layout, {f"{name}.M": 1.0 for name in names} | {f"{name}.U": keep for name in names}, levers,
        **{"recycler_available": np.ones(len(names)), **terms},
    )  # fmt: skip
    p.state.recycler_feed[:, :, 0] = np.broadcast_to(np.asarray(used, dtype=float), p.state.recycler_feed.shape[1:2])[
        None, :, None
    ]
    p.state.recycler_feed[:, :, 1] = scrap
    recycle(p)
    return p


def lines(layout: Layout) -> dict[str, float]:
    """Capacity of each line in the region, kg."""
    return dict(zip(layout.products.lines, layout.rates.line.sum(axis=1), strict=True))


def test_recycling_wins_back_material_by_origin():
    layout = site()
    p = recycled(layout, 300.0, 100.0, route_legal=only("hydro"))
    won = tiny.on_lanes(p, LaneGroup.SECONDARY)[0]
    expected = layout.products.bom[0] * layout.products.recovery[ROUTES.index("hydro"), 0]
    assert won[:, 0] == pytest.approx(300.0 * expected) and won[:, 1] == pytest.approx(100.0 * expected)
    mass = layout.products.mass[0]
    cost = 400.0 * mass * layout.common("recycling.hydro.cost")
    assert p.ledger.money[Account.RECYCLING][0] == pytest.approx(cost)
    assert p.left[0, 0] == pytest.approx(400.0) and p.ledger.money[Account.DISPOSAL][0] == 0.0
    assert p.recovered[:, 0] == pytest.approx(400.0 * expected)
    assert p.ledger.flow[Flow.TO_RECYCLING][0] == pytest.approx(300.0 * mass) == p.register["treated_mass"][0, 0]
    assert (
        p.register["recovered_mass"][0, 0] == pytest.approx(300.0 * expected.sum()) == p.ledger.flow[Flow.RECOVERED][0]
    )


def test_a_subsidy_pays_for_post_consumer_material_alone():
    layout = site()
    p = recycled(layout, 300.0, 100.0, route_legal=only("hydro"), subsidy_recycled=[0.5])
    assert p.ledger.money[Account.SUBSIDY][0] == pytest.approx(-0.5 * p.register["recovered_mass"][0, 0])


def test_a_recyclers_own_cost_stands_for_all_its_routes():
    p = recycled(site(cost=2.0), 10.0, route_legal=only("hydro"))
    assert p.ledger.money[Account.RECYCLING][0] == pytest.approx(2.0 * 10.0 * p.layout.products.mass[0])


def test_units_made_for_disassembly_cost_less_to_treat_but_earn_no_more():
    saving = {"disassembly.recycling_saving": 0.4}
    layout = site(replace(BATTERY, overrides=saving))
    for name in ("hydro", "export"):
        p = tiny.period(layout, {"y.M": 1.0}, route_legal=only(name), recycler_available=[1.0])
        p.state.recycler_feed[0, 0, 0] = 10.0
        p.state.use.easy_share[...] = 0.5
        recycle(p)
        cost = layout.common(f"recycling.{name}.cost")
        assert cost > 0.0 or name == "export"
        share = 0.8 if cost > 0.0 else 1.0
        found = p.ledger.money[Account.RECYCLING][0]
        assert found == pytest.approx(10.0 * layout.products.mass[0] * cost * share)


def test_routes_run_in_order_of_cost_and_in_reverse_with_the_lever():
    """Pyro first, up to its line; hydro takes the rest, or the other way round."""
    layout = site()
    mass, room = layout.products.mass[0], lines(layout)
    units = 1.25 * room["thermal"] / mass
    legal = only("pyro", "hydro", "hydro_high")
    p = recycled(layout, units, route_legal=legal)
    products = layout.products
    pyro, hydro, high = (products.recovery[ROUTES.index(q), 0] * products.bom[0] / mass for q in ROUTES[1:])
    won = tiny.on_lanes(p, LaneGroup.SECONDARY)[0, :, 0]
    assert won == pytest.approx(room["thermal"] * pyro + 0.25 * room["thermal"] * hydro)
    p = recycled(layout, 0.5 * room["wet"] / mass, levers=("alternative_route",), route_legal=legal)
    assert tiny.on_lanes(p, LaneGroup.SECONDARY)[0, :, 0] == pytest.approx(0.5 * room["wet"] * high)


@pytest.mark.parametrize(("throughput", "available", "share"), [(1.0, 0.5, 0.5), (0.25, 1.0, 0.25), (0.5, 0.5, 0.25)])
def test_lines_work_at_their_capacity_times_availability_and_throughput(
    throughput: float, available: float, share: float
):
    layout = site()
    p = tiny.period(layout, {"y.M": throughput, "y.U": 1e9}, route_legal=only("pyro"), recycler_available=[available])
    p.state.recycler_feed[...] = 1e7
    recycle(p)
    expected = share * lines(layout)["thermal"] / layout.products.mass[0]
    assert p.left[0, 0] == pytest.approx(expected)
    assert p.register["treated_mass"][0, 0] == pytest.approx(0.5 * share * lines(layout)["thermal"]), "half is scrap"


def test_a_recyclers_own_capacity_stands_for_each_line():
    layout = site(capacity=120.0)
    assert layout.rates.line[:, 0].tolist() == [120.0] * 3


def two_products() -> Layout:
    """Two packs that share recyclers: the second has half the materials."""
    base = site().products.archetypes[0]
    half = {f"bom.{name}": 0.5 * base.value(f"bom.{name}") for name in base.materials}
    return site(BATTERY, ProductShare(archetype="ev_battery", name="half", overrides=half))


def test_products_share_a_line_in_proportion_to_their_mass():
    layout = two_products()
    mass = layout.products.mass
    assert mass[1] == pytest.approx(0.5 * mass[0])
    room = lines(layout)["thermal"]
    assert room == pytest.approx(2.0 * site().rates.line[1, 0]), "both bring their capacity to the region"
    p = recycled(layout, [3.0 * room / mass[0], 1.0 * room / mass[1]], route_legal=only("pyro", products=2), keep=1e9)
    assert p.register["treated_mass"][:, 0] == pytest.approx([0.75 * room, 0.25 * room])


def test_a_route_may_be_closed_to_one_product_alone():
    layout = two_products()
    legal = only("pyro", products=2)
    legal[1, 0] = 0.0
    p = recycled(layout, 10.0, route_legal=legal, keep=1e9)
    assert p.left[:, 0].tolist() == pytest.approx([0.0, 10.0])
    assert p.state.recycler_feed[0, :, 0, 0].tolist() == pytest.approx([10.0, 0.0])


def test_an_investment_widens_the_line_of_the_best_route_of_its_product():
    layout = site(count=2)
    p = tiny.period(layout, {"y.M": 1.0}, ("invest_recycler",), recycler_available=np.ones(2))
    p.capacity.review(0, p.settings)
    p.t = int(layout.common("invest.build_months"))
    if p.t >= layout.suite.periods:
        layout = build_layout(replace(layout.suite, scored=p.t + 1))
        p = tiny.period(layout, {"y.M": 1.0}, ("invest_recycler",), recycler_available=np.ones(2))
        p.capacity.review(0, p.settings)
        p.t = layout.suite.periods - 1
    found = recycling._capacity(p)[:, :, 0] - layout.rates.line
    step = layout.common("invest.recycler.step") / 2
    assert dict(zip(layout.products.lines, found.tolist(), strict=True)) == {
        "export": [0.0, 0.0], "thermal": [0.0, 0.0], "wet": pytest.approx([step, step])
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
def test_what_leaves_the_jurisdiction_keeps_to_its_quota(count: int):
    """40 units a month may go abroad: the sites share them in proportion."""
    p = recycled(site(count=count), 300.0 / count, route_legal=only("export"), export_quota=[40.0], keep=1e9)
    assert p.register["exported"][0, 0] == pytest.approx(40.0) == p.left[0, 0]
    assert p.state.recycler_feed[:, 0, 0, 0] == pytest.approx([260.0 / count] * count)
    assert not tiny.on_lanes(p, LaneGroup.SECONDARY).any() or p.recovered.any()


def test_an_exported_route_that_ignores_the_quota_is_found(monkeypatch):
    full = recycling.route

    def free(p: Period, *rest: Any) -> np.ndarray:
        p.terms = replace(p.terms, export_quota=np.full_like(p.terms.export_quota, np.inf))
        return full(p, *rest)

    monkeypatch.setattr(recycling, "route", free)
    with pytest.raises(AssertionError):
        test_what_leaves_the_jurisdiction_keeps_to_its_quota(1)


def test_the_quota_is_one_for_all_exported_routes():
    layout = site()
    abroad = replace(layout, products=replace(layout.products, exported=np.array([True, True, False, False])))
    p = recycled(abroad, 300.0, route_legal=only("export", "pyro"), export_quota=[40.0], keep=1e9)
    assert p.register["exported"][0, 0] == pytest.approx(40.0)


def test_feed_above_its_level_is_landfilled_and_taxed():
    layout = site()
    mass = layout.products.mass[0]
    p = recycled(layout, 100.0, 100.0, route_legal=only(), keep=50.0 * mass, landfill_tax=[0.1])
    assert p.register["landfilled"][0, 0] == pytest.approx(150.0) == p.left[0, 0]
    assert p.state.recycler_feed[0, 0, :, 0].tolist() == pytest.approx([25.0, 25.0])
    assert p.ledger.money[Account.LANDFILL_TAX][0] == pytest.approx(15.0 * mass)
    assert p.ledger.money[Account.DISPOSAL][0] == pytest.approx(150.0 * mass * layout.common("disposal.cost"))


def test_a_landfill_ban_keeps_feed_in_stock():
    p = recycled(site(), 100.0, route_legal=only(), landfill_legal=[0.0])
    assert p.state.recycler_feed.sum() / CELLS == pytest.approx(100.0) and not p.left.any()
    assert not p.register["landfilled"].any() and not p.ledger.money[Account.DISPOSAL].any()


def test_the_level_counts_months_of_all_lines_closed_ones_too():
    layout = site()
    layout.absolute[...] = np.nan
    p = recycled(layout, 1e7, route_legal=only(), keep=0.5)
    kept = p.mass(p.state.recycler_feed.sum(axis=2)).sum() / CELLS
    assert kept == pytest.approx(0.5 * layout.rates.line.sum())


def test_what_no_plant_takes_is_sold():
    layout = site(plants=False)
    price = np.array([30.0, 20.0, 10.0, 5.0, 1.0])
    p = recycled(layout, 100.0, route_legal=only("hydro"), virgin_price=price)
    won = 100.0 * layout.products.bom[0] * layout.products.recovery[ROUTES.index("hydro"), 0]
    assert p.sold_off[:, 0] == pytest.approx(won) == p.recovered[:, 0]
    assert p.ledger.money[Account.MATERIALS][0] == pytest.approx(-layout.common("external.sale") * float(won @ price))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_routes_never_exceed_feed_line_law_or_quota(seed: int, backwards: bool, limited: bool):
    draw = np.random.default_rng(seed)
    layout = SHARED
    products = layout.products
    stock, usable = draw.random((2, 2, CELLS)) * 100, draw.random((3, 2, CELLS)) * 60
    legal = (draw.random((len(ROUTES), 2, CELLS)) < 0.7).astype(float)
    quota = draw.random((2, CELLS)) * 40 / products.mass[:, None] if limited else np.full((2, CELLS), np.inf)
    p = SimpleNamespace(
        layout=layout, terms=SimpleNamespace(route_legal=legal, export_quota=quota),
        mass=lambda units: units * products.mass[:, None],
    )  # fmt: skip
    flows = route(p, stock, usable, range(len(ROUTES))[:: -1 if backwards else 1])  # pyright: ignore[reportArgumentType]
    assert (flows >= 0).all() and not flows[(legal[:, None] == 0).repeat(2, axis=1)].any()
    assert (flows.sum(axis=0) <= stock + 1e-9).all()
    for line in range(3):
        used = sum(flows[number].sum(axis=1) for number, on in enumerate(products.route_line) if on == line)
        assert (used <= usable[line] + 1e-9).all()
    assert (flows[0].sum(axis=0) <= quota * products.mass[:, None] + 1e-9).all()
    left = stock - flows.sum(axis=0)
    free = usable - np.stack(
        [sum(flows[n].sum(axis=1) for n, on in enumerate(products.route_line) if on == line) for line in range(3)]
    )
    for number, on in enumerate(products.route_line):
        if not products.exported[number]:
            idle = np.minimum(left * legal[number], free[on][:, None])
            assert (idle < 1e-9).all(), "feed waits only where every legal line is full"


SHARED = two_products()


def test_a_target_of_recyclers_is_the_share_of_lines_in_use():
    p = tiny.period(site(), {"y.M": 0.25})
    assert p.settings.share(NodeKind.RECYCLER, M).tolist() == [[0.25] * CELLS]
