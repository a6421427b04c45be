"""Paths: shapes, keyed randomness, means and spreads of the processes, exogenous demand and returns."""

from dataclasses import replace

import numpy as np
import pytest

from sim_core.catalogue import Archetype, archetype, with_overrides
from sim_core.errors import ModelError
from sim_core.exogenous import Process
from sim_core.generate import paths as paths_module
from sim_core.generate.families import FAMILY_NAMES, family
from sim_core.generate.paths import Paths, draw_paths, mean_demand
from sim_core.generate.recipe import draw_recipe
from sim_core.network import Lane, LaneGroup, Network, Node, NodeKind, arrange
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

LAWFUL = tuple(name for name in FAMILY_NAMES if name != "none")
BATTERY = archetype("ev_battery")
SUITE = SuiteDefinition(
    name="paths",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=7,
    start="2026-01",
    warm_up=0,
    scored=240,
    run_out=0,
    splits={"test": SplitDefinition(families=("eu_baseline",), scenarios=1)},
)


def chain(*, suppliers: int = 2, plants: int = 1, warehouses: int = 1, recyclers: int = 1, **market) -> Network:
    """As few lanes as paths have something to say about: virgin and goods lanes, two markets, one of each return."""
    nodes = [
        Node(name="north", kind=NodeKind.MARKET),
        Node(name="south", kind=NodeKind.MARKET, **market),
        Node(name="collector", kind=NodeKind.COLLECTOR, returns=Process(kind="poisson", mean=3.0)),
        Node(name="remanufacturer", kind=NodeKind.REMANUFACTURER, returns=Process(kind="constant", mean=2.0)),
        *(Node(name=f"supplier {i}", kind=NodeKind.SUPPLIER) for i in range(suppliers)),
        *(Node(name=f"plant {i}", kind=NodeKind.PLANT) for i in range(plants)),
        *(Node(name=f"warehouse {i}", kind=NodeKind.WAREHOUSE) for i in range(warehouses)),
        *(Node(name=f"recycler {i}", kind=NodeKind.RECYCLER) for i in range(recyclers)),
    ]
    place = {node.name: i for i, node in enumerate(nodes)}

    def lane(group: LaneGroup, sender: str, receiver: str, lead: int, share: float = 1.0) -> Lane:
        return Lane(group=group, sender=place[sender], receiver=place[receiver], lead=lead, share=share)

    virgin = [
        lane(LaneGroup.VIRGIN, f"supplier {i}", f"plant {j}", 2, 1.0 / suppliers)
        for i in range(suppliers)
        for j in range(plants)
    ]
    goods = [
        lane(LaneGroup.GOODS, f"plant {j}", f"warehouse {i}", 1, 1.0 / plants)
        for i in range(warehouses)
        for j in range(plants)
    ]
    back = lane(LaneGroup.REMAN_GOODS, "remanufacturer", "plant 0", 1)
    sales = [lane(LaneGroup.SALES, "warehouse 0", name, 0) for name in ("north", "south")]
    return arrange(nodes, [*virgin, *goods, *sales, back])


def paths(suite: SuiteDefinition, name: str, index: int, network: Network | None = None) -> Paths:
    return draw_paths(suite, draw_recipe(suite, name, index), products(suite), network or chain())


def products(suite: SuiteDefinition) -> tuple[Archetype, ...]:
    return tuple(with_overrides(archetype(one.archetype), one.overrides) for one in suite.products)


def with_demand(process: Process, **share: float) -> tuple[SuiteDefinition, Network]:
    suite = replace(SUITE, products=(ProductShare(archetype="ev_battery", **share),))
    return suite, chain(demand=process)


POSITIVE = ("demand", "virgin_price", "external_price", "external_capacity", "carbon_price", "product_price")


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_paths_are_repeatable_finite_and_of_the_stated_shapes(name: str):
    one, again = paths(SUITE, name, 3), paths(SUITE, name, 3)
    shapes = {
        "demand": (2, 1),
        **dict.fromkeys(("virgin_price", "external_price", "external_capacity"), (5,)),
        "carbon_price": (),
        **dict.fromkeys(("product_price", "collection_share"), (1,)),
        "supplier_available": (2,),
        **dict.fromkeys(("plant_available", "remanufacturer_available", "recycler_available"), (1,)),
        "virgin_open": (2,),
        "goods_open": (1,),
        **dict.fromkeys(("collector_returns", "remanufacturer_returns"), (1, 1)),
    }
    assert set(shapes) == set(Paths.__slots__)
    for field, shape in shapes.items():
        value = getattr(one, field)
        assert value.tobytes() == getattr(again, field).tobytes(), field
        assert value.shape == (240, *shape) and value.dtype == np.float64, field
        assert np.isfinite(value).all() and (value >= 0.0).all(), field
        assert field not in POSITIVE or (value > 0.0).all(), field
    assert (one.external_price > one.virgin_price).all()


def test_paths_do_not_change_with_the_size_of_the_network_or_the_horizon():
    one = paths(SUITE, "eu_tariff", 0)
    wider = paths(SUITE, "eu_tariff", 0, chain(suppliers=5, recyclers=3, warehouses=4))
    shorter = paths(replace(SUITE, scored=24), "eu_tariff", 0)
    for field in Paths.__slots__:
        value, wide, short = (getattr(each, field) for each in (one, wider, shorter))
        assert np.array_equal(value[:24], short), field
        lanes = field in ("virgin_open", "goods_open")  # numbered in edge order, which more senders move
        assert lanes or np.array_equal(value, wide[:, : value.shape[1]] if value.ndim > 1 else wide), field


def check_a_product_more_leaves_the_first_one_as_it_was() -> None:
    both = replace(SUITE, products=(*SUITE.products, ProductShare(archetype="ev_battery", name="van", share=0.25)))
    alone, together = paths(SUITE, "eu_delay", 1), paths(both, "eu_delay", 1)
    for field in ("demand", "product_price", "collection_share", "collector_returns"):
        assert np.array_equal(getattr(alone, field)[..., 0], getattr(together, field)[..., 0]), field
    for field in ("virgin_price", "carbon_price", "plant_available", "goods_open"):
        assert np.array_equal(getattr(alone, field), getattr(together, field)), field


def test_a_product_more_leaves_the_first_one_as_it_was():
    check_a_product_more_leaves_the_first_one_as_it_was()


def test_random_numbers_that_hang_on_the_number_of_products_are_found(monkeypatch):
    drawn = paths_module.uniforms
    monkeypatch.setattr(
        paths_module, "uniforms", lambda seed, number, stream, n, periods: drawn(seed + n, number, stream, n, periods)
    )
    with pytest.raises(AssertionError):
        check_a_product_more_leaves_the_first_one_as_it_was()


def test_products_share_materials_and_prices_but_not_demand():
    both = replace(SUITE, products=(*SUITE.products, ProductShare(archetype="ev_battery", name="van", share=0.25)))
    one = paths(both, "eu_baseline", 0)
    assert one.virgin_price.shape == (240, 5) and one.demand.shape == (240, 2, 2)
    ratio = one.demand[:, 0, 1] / one.demand[:, 0, 0]
    assert ratio.std() > 0.01 and ratio.mean() == pytest.approx(0.25, rel=0.3)
    alone = paths(SUITE, "eu_baseline", 0)
    assert (one.external_capacity > alone.external_capacity).all(), "two products use more of each material"


def test_a_material_has_the_price_of_the_first_product_that_holds_it():
    dear = ProductShare(archetype="ev_battery", name="van", overrides={"price.cobalt": 99.0, "price.volatility": 0.0})
    both = replace(SUITE, products=(*SUITE.products, dear))
    assert np.array_equal(paths(both, "none", 0).virgin_price, paths(SUITE, "none", 0).virgin_price)
    turned = paths(replace(SUITE, products=(dear, *SUITE.products)), "none", 0)
    assert (turned.virgin_price[:, BATTERY.materials.index("cobalt")] == 99.0).all()


@pytest.mark.parametrize("name", LAWFUL)
def test_paths_hang_on_no_revision_of_the_law(name: str):
    drawn = draw_recipe(SUITE, name, 2)
    calm = replace(drawn, events=())
    for field in Paths.__slots__:
        with_law, without = (getattr(draw_paths(SUITE, one, (BATTERY,), chain()), field) for one in (drawn, calm))
        assert np.array_equal(with_law, without), field


def test_prices_and_demand_keep_to_their_means_and_spreads():
    many = [paths(SUITE, "eu_baseline", index) for index in range(80)]
    base = np.array(BATTERY.by_material("price"))
    late = np.stack([one.virgin_price[120:] / base for one in many])
    spread = BATTERY.value("price.volatility") / np.sqrt(2 * BATTERY.value("price.reversion"))
    assert late.mean() == pytest.approx(1.0, abs=0.03)
    assert np.log(late).std() == pytest.approx(spread, rel=0.1)
    entry = BATTERY.parameters["collection.share"]
    assert entry.low is not None and entry.high is not None
    share = np.array([one.collection_share[0, 0] for one in many])
    assert share.min() >= entry.low and share.max() <= entry.high
    assert share.mean() == pytest.approx((entry.low + entry.value + entry.high) / 3, abs=0.04)


OUTAGES = {
    "supplier_available": "disruption",
    "plant_available": "disruption",
    "remanufacturer_available": "disruption",
    "recycler_available": "disruption",
    "virgin_open": "lane_disruption",
    "goods_open": "lane_disruption",
}


@pytest.mark.parametrize(("field", "name"), OUTAGES.items())
def test_outages_are_as_frequent_and_as_long_as_stated(field: str, name: str):
    stress = {f"{name}.rate": 0.6, f"{name}.months": 3.0}
    suite = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides=stress),))
    network = chain(suppliers=2, plants=2, warehouses=2, recyclers=2)
    values = np.stack([getattr(paths(suite, "none", index, network), field) for index in range(60)])
    down = values.min()
    assert down == (BATTERY.value("disruption.availability") if name == "disruption" else 0.0)
    assert set(np.unique(values)) == {down, 1.0}
    # Starts at p a month that last geometric months of mean m: a month is up when no start in reach still lasts.
    p, m, ages = 0.6 / 12, 3.0, np.arange(200)
    up = np.prod(1.0 - p * (1.0 - 1.0 / m) ** ages)
    share = (values[:, 60:] == down).mean(axis=(1, 2))
    assert share.mean() == pytest.approx(1.0 - up, abs=4.0 * share.std() / np.sqrt(len(share)))
    calm = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides={f"{name}.rate": 0.0}),))
    assert (getattr(paths(calm, "none", 0), field) == 1.0).all()


def test_nodes_and_lanes_fail_apart():
    stress = {"disruption.rate": 2.0, "lane_disruption.rate": 2.0, "lane_disruption.months": 2.0}
    suite = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides=stress),))
    one = paths(suite, "none", 0, chain(suppliers=2, plants=1, warehouses=2, recyclers=2))
    columns = np.concatenate([getattr(one, field) < 1.0 for field in OUTAGES], axis=1)
    assert len({column.tobytes() for column in columns.T}) == columns.shape[1]


def test_a_price_shock_is_a_jump_for_good():
    calm, moved = (paths(SUITE, name, 0).virgin_price for name in ("eu_baseline", "eu_price_shock"))
    assert calm.shape == moved.shape
    shocked = {name for name in FAMILY_NAMES if family(name).price_shock != (1.0, 1.0)}
    assert shocked == {"eu_price_shock", "ev_shock", "phone_shock", "pv_shock"}
    level = np.array([[0, 0, 0, 0, 1.0, 0.5, 0, 0]])
    (jump,) = paths_module._price_jump(np.array([family("eu_price_shock").price_shock]), level, np.arange(240.0))
    assert (jump[:96] == 1.0).all() and jump[96:] == pytest.approx(1.9)


def test_demand_grows_along_its_trend():
    mean = np.mean([paths(SUITE, "eu_baseline", index).demand.sum(axis=(1, 2)) for index in range(60)], axis=0)
    trend = mean_demand(BATTERY, np.arange(240) / 12)
    assert trend[0] == BATTERY.value("demand.start") and (np.diff(trend) > 0).all()
    yearly = mean.reshape(20, 12).mean(axis=1) / trend.reshape(20, 12).mean(axis=1)
    assert yearly == pytest.approx(np.ones(20), abs=0.06)


def test_markets_without_a_process_share_the_trend_equally():
    one = paths(SUITE, "eu_baseline", 0)
    assert np.array_equal(one.demand[:, 0], one.demand[:, 1])


def test_a_market_with_its_own_process_follows_it():
    suite, network = with_demand(Process(kind="series", values=(5.0, 7.0, 11.0)), share=0.5)
    one = paths(suite, "eu_baseline", 0, network)
    assert one.demand[:4, 1, 0].tolist() == [2.5, 3.5, 5.5, 5.5] and (one.demand[3:, 1, 0] == 5.5).all()
    other = paths(replace(SUITE, products=suite.products), "eu_baseline", 0)
    assert np.array_equal(one.demand[:, 0], other.demand[:, 0]), "the other market keeps its share of the trend"


def test_exogenous_demand_has_its_mean_and_is_drawn_anew_for_each_scenario_and_market():
    suite, network = with_demand(Process(kind="poisson", mean=20.0))
    nodes = tuple(
        replace(node, demand=Process(kind="poisson", mean=20.0)) if node.kind is NodeKind.MARKET else node
        for node in network.nodes
    )
    network = replace(network, nodes=nodes)
    many = np.stack([paths(suite, "none", index, network).demand[:, :, 0] for index in range(40)])
    assert many.mean() == pytest.approx(20.0, rel=0.01) and many.var() == pytest.approx(20.0, rel=0.05)
    flat = many.transpose(0, 2, 1).reshape(80, -1)
    assert abs(np.corrcoef(flat) - np.eye(80)).max() < 0.35


def test_exogenous_returns_reach_their_node_alone():
    one = paths(SUITE, "none", 0)
    assert (one.remanufacturer_returns == 2.0).all() and one.collector_returns.mean() == pytest.approx(3.0, rel=0.15)
    nodes = tuple(replace(node, returns=None) for node in chain().nodes)
    bare = paths(SUITE, "none", 0, replace(chain(), nodes=nodes))
    assert not bare.remanufacturer_returns.any() and not bare.collector_returns.any()


def test_a_volatile_price_without_reversion_is_refused():
    suite = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides={"price.reversion": 0.0}),))
    with pytest.raises(ModelError, match=r"price\.reversion must be above 0"):
        paths(suite, "none", 0)
    still = {"price.reversion": 0.0, "price.volatility": 0.0}
    suite = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides=still),))
    assert np.array_equal(paths(suite, "none", 0).virgin_price[0], BATTERY.by_material("price"))


def test_a_product_without_materials_has_paths_too():
    bare = replace(BATTERY, materials=())
    one = draw_paths(SUITE, draw_recipe(SUITE, "none", 0), (bare,), chain())
    assert one.virgin_price.shape == one.external_capacity.shape == (240, 0)
    assert np.array_equal(one.demand, paths(SUITE, "none", 0).demand)


YEARS_ON = ("demand", "carbon_price", "product_price")


def check_years_count_from_2026() -> None:
    """A suite that starts later starts further along the same trends."""
    still = {"demand.volatility": 0.0, "carbon_price.volatility": 0.0}
    quiet = replace(SUITE, products=(ProductShare(archetype="ev_battery", overrides=still),))
    whole, later = (
        paths(replace(quiet, start=start, scored=scored), "eu_baseline", 0)
        for start, scored in (("2026-01", 144), ("2031-01", 84))
    )
    for name in YEARS_ON:
        path = getattr(whole, name)
        assert getattr(later, name) == pytest.approx(path[60:], rel=1e-12), name
        assert path[60].ravel()[0] != pytest.approx(path[0].ravel()[0], rel=0.05), f"{name} moves in five years"


def test_demand_and_product_and_carbon_prices_count_years_from_2026():
    check_years_count_from_2026()


def test_years_that_count_from_the_suites_start_are_found(monkeypatch):
    monkeypatch.setattr(paths_module, "years_of", lambda suite, first, last: np.arange(first, last) / 12)
    with pytest.raises(AssertionError):
        check_years_count_from_2026()


def test_product_prices_fall_until_2035_and_no_further():
    price = paths(replace(SUITE, scored=180), "eu_baseline", 0).product_price[:, 0]
    assert (np.diff(price[:109]) < 0).all() and (price[108:] == price[108]).all()
