"""A family's world: neutral where nothing is said, and what it says where something is."""

from dataclasses import replace

import numpy as np
import pytest

from sim_core import suite as suite_module
from sim_core.errors import ModelError
from sim_core.generate import families
from sim_core.generate import world as worlds
from sim_core.generate.paths import Paths, draw_many
from sim_core.generate.recipe import Recipe, draw_recipe, draw_recipes
from sim_core.generate.world import NEUTRAL, World
from sim_core.seeding import scenario_number, uniforms
from tests.sim_core.test_paths import BATTERY, SUITE, chain

_WORLDLY = ("delay", "mixed_markets", "mixed_crises", "turmoil")  # families of a product with a world of their own
COUNT = 150


def in_world(monkeypatch: pytest.MonkeyPatch, world: World, count: int = 1, *, shocks: bool = True, **network) -> list:
    """Paths of the family eu_baseline as if it named this world."""
    monkeypatch.setattr(suite_module, "family", lambda name: replace(families.family(name), world=world))
    recipes = [Recipe(family="eu_baseline", index=i, seed=SUITE.seed, events=()) for i in range(count)]
    return draw_many(SUITE, recipes, (BATTERY,), chain(**network), shocks=shocks)


def moved(one: Paths, two: Paths) -> set[str]:
    return {name for name in Paths.__slots__ if not np.array_equal(getattr(one, name), getattr(two, name))}


@pytest.mark.parametrize(
    ("world", "fields"),
    [
        (World(), set()),
        (World(carbon_levels=(-0.2, 0.3), carbon_switches=(0.3, 0.3)), {"carbon_price"}),
        (World(carbon_jumps=2.0, carbon_jump=0.2), {"carbon_price"}),
        (World(slumps=1.0, slump_depth=(0.1, 0.3)), {"demand"}),
        (World(price_correlation=0.5), {"virgin_price", "external_price"}),
        (World(premium_correlation=0.5), {"external_price"}),
        (World(collection_drift=(0.1, 0.1)), {"collection_share"}),
        (World(collection_noise=0.1), {"collection_share"}),
        (
            World(crises=2.0, crisis_reach=1.0),
            {name for name in Paths.__slots__ if name.endswith(("_available", "_open"))},
        ),
    ],
)
def test_a_world_moves_what_it_names_and_nothing_else(monkeypatch: pytest.MonkeyPatch, world: World, fields: set[str]):
    (usual,), (other,) = in_world(monkeypatch, NEUTRAL), in_world(monkeypatch, world)
    assert moved(usual, other) == fields


def test_families_without_a_world_are_neutral():
    worldly = {one.name for one in families.FAMILIES if one.world != NEUTRAL}
    of_products = {f"{one}_{name}" for one in ("ev", "phone", "pv") for name in _WORLDLY}
    assert worldly == {"eu_markets", "eu_crises", "eu_turmoil", *of_products}


def test_the_carbon_price_spends_its_time_in_regimes_as_its_switches_say(monkeypatch: pytest.MonkeyPatch):
    world = World(carbon_levels=(-0.4, 0.8), carbon_switches=(1.0, 2.0))
    usual, other = in_world(monkeypatch, NEUTRAL, COUNT), in_world(monkeypatch, world, COUNT)
    away = np.log(np.stack([b.carbon_price / a.carbon_price for a, b in zip(usual, other, strict=True)]))
    late = away[:, 180:]  # the pull has a time constant of four years
    assert late.mean() == pytest.approx(-0.4 * 2 / 3 + 0.8 / 3, abs=0.04)
    assert late.min() > -0.4 and late.max() < 0.8 and late.std() > 0.05


def test_jumps_of_the_carbon_price_are_shocks(monkeypatch: pytest.MonkeyPatch):
    world = World(carbon_jumps=0.5, carbon_jump=0.3)
    usual, other = in_world(monkeypatch, NEUTRAL, COUNT), in_world(monkeypatch, world, COUNT)
    first = np.array(
        [not np.array_equal(a.carbon_price[:24], b.carbon_price[:24]) for a, b in zip(usual, other, strict=True)]
    )
    assert first.mean() == pytest.approx(1.0 - (1.0 - 0.5 / 12) ** 24, abs=0.16)
    calm = in_world(monkeypatch, world, 3, shocks=False)
    for one, two in zip(usual[:3], calm, strict=True):
        assert np.array_equal(one.carbon_price, two.carbon_price)


def test_a_slump_falls_by_its_depth_and_is_half_over_after_its_months(monkeypatch: pytest.MonkeyPatch):
    world = World(slumps=0.05, slump_depth=(0.2, 0.2), slump_months=6.0)
    usual, other = in_world(monkeypatch, NEUTRAL, COUNT), in_world(monkeypatch, world, COUNT)
    log = np.log(np.stack([b.demand[:, 0, 0] / a.demand[:, 0, 0] for a, b in zip(usual, other, strict=True)]))
    assert log.max() <= 1e-12 and (log < -0.1).any()
    slumps = np.round((log[:, 1:] - log[:, :-1] * 0.5 ** (1 / 6)) / np.log(0.8), 6)
    assert set(np.unique(np.abs(slumps))) == {0.0, 1.0}
    assert slumps.mean() == pytest.approx(0.05 / 12, rel=0.3)


def test_prices_of_materials_are_as_correlated_as_stated(monkeypatch: pytest.MonkeyPatch):
    world = World(price_correlation=0.6, premium_correlation=-0.5)
    found = in_world(monkeypatch, world, COUNT)
    virgin = np.concatenate([np.diff(np.log(one.virgin_price), axis=0) for one in found])
    assert np.corrcoef(virgin.T)[np.triu_indices(5, 1)] == pytest.approx(np.full(10, 0.6), abs=0.03)
    premium = np.concatenate([np.diff(np.log(one.external_price / one.virgin_price - 1.0), axis=0) for one in found])
    for m in range(5):
        assert np.corrcoef(virgin[:, m], premium[:, m])[0, 1] == pytest.approx(-0.5, abs=0.03)
    spread = BATTERY.value("price.volatility") / np.sqrt(2 * BATTERY.value("price.reversion"))
    late = np.log(np.stack([one.virgin_price[120:] / BATTERY.by_material("price") for one in found]))
    assert late.std() == pytest.approx(spread, rel=0.1), "correlation changes no material's own spread"


def test_collection_drifts_in_log_odds_and_stays_a_share(monkeypatch: pytest.MonkeyPatch):
    def odds(one: Paths) -> np.ndarray:
        return np.log(one.collection_share / (1.0 - one.collection_share))[:, 0]

    (usual,), (up,) = in_world(monkeypatch, NEUTRAL), in_world(monkeypatch, World(collection_drift=(0.2, 0.2)))
    assert odds(up) - odds(usual) == pytest.approx(0.2 * np.arange(240) / 12)
    many = in_world(monkeypatch, World(collection_drift=(-0.3, 0.3), collection_noise=0.5), COUNT)
    away = np.stack([odds(one) - odds(one)[0] for one in many])
    assert away[:, 200:].std() == pytest.approx(np.sqrt(0.5**2 + (0.3 * 18.3 / np.sqrt(3)) ** 2), rel=0.2)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_product_of_which_nothing_or_all_comes_back_stays_so(share: float):
    world, number = World(collection_drift=(0.1, 0.2), collection_noise=0.3), np.ones(1, dtype=np.uint64)
    found = worlds.drifting(
        world,
        np.array([[share, 0.5]]),
        np.arange(24) / 12,
        lambda stream, n: uniforms(3, number, stream, n, 24),
        lambda stream, n: uniforms(3, number, stream, n, 24),
    )
    assert (found[..., 0] == share).all() and (found[:, 1:, 1] > 0.5).all()


def crisis_counts(world: World) -> np.ndarray:
    numbers = np.array([scenario_number("crises", i) for i in range(400)], dtype=np.uint64)
    marks = worlds.crises(world, lambda stream, n: uniforms(3, numbers, stream, n, 600))
    assert marks is not None and (marks >= 0.0).all() and marks.max() <= world.crisis_reach
    return (marks > 0.0).sum(axis=1)


def check_branching() -> None:
    """Each crisis causes crisis_branching further ones, so that there are base / (1 - branching) in the long run."""
    usual = World(crises=0.12, crisis_months=4.0, crisis_reach=0.5)
    plain, excited = crisis_counts(usual), crisis_counts(replace(usual, crisis_branching=0.5))
    assert plain.mean() == pytest.approx(600 * 0.01, rel=0.05) and plain.var() == pytest.approx(6.0, rel=0.25)
    assert excited.mean() == pytest.approx(12.0, rel=0.1)
    assert excited.var() > 2.0 * excited.mean(), "crises come in clusters"


def test_crises_excite_each_other():
    check_branching()


def test_crises_that_excite_nothing_are_found(monkeypatch: pytest.MonkeyPatch):
    crises = worlds.crises
    monkeypatch.setattr(worlds, "crises", lambda world, draw: crises(replace(world, crisis_branching=0.0), draw))
    with pytest.raises(AssertionError):
        check_branching()


def test_a_crisis_strikes_many_nodes_at_once_and_a_node_more_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    world = World(crises=1.0, crisis_reach=1.0)
    (one,), (wider,) = (in_world(monkeypatch, world, suppliers=n) for n in (4, 9))
    assert np.array_equal(one.supplier_available, wider.supplier_available[:, :4])
    down = (wider.supplier_available < 1.0).sum(axis=1)
    assert down.max() >= 4 and np.bincount(down)[0] > 0
    (calm,) = in_world(monkeypatch, world, shocks=False)
    assert (calm.supplier_available == 1.0).all() and (calm.goods_open == 1.0).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"crisis_branching": 1.0},
        {"price_correlation": -0.1},
        {"premium_correlation": 1.1},
        {"slump_depth": (0.1, 1.0)},
        {"slump_depth": (0.3, 0.2)},
        {"slump_months": 0.0},
        {"crisis_months": 0.0},
    ],
)
def test_a_world_that_can_not_be_is_refused(wrong: dict):
    with pytest.raises(ModelError):
        World(**wrong)


@pytest.mark.parametrize("name", ["eu_markets", "eu_crises", "eu_turmoil"])
def test_the_calm_twin_keeps_markets_and_loses_crises(name: str):
    recipe = draw_recipe(SUITE, name, 0)
    (one,), (calm,) = (draw_many(SUITE, [recipe], (BATTERY,), chain(), shocks=shocks) for shocks in (True, False))
    shocked = {field for field in Paths.__slots__ if field.endswith(("_available", "_open"))} | {"carbon_price"}
    assert moved(one, calm) <= shocked
    assert draw_recipes(SUITE, name, [0]) == [recipe]
