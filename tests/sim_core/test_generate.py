"""The process generator: recipes small and exact, dates relative to the law they revise, paths in their ranges."""

import json
from itertools import pairwise

import numpy as np
import pytest

from sim_core.catalogue import archetype, with_overrides
from sim_core.engine import layout as layout_module
from sim_core.errors import ModelError
from sim_core.generate import process
from sim_core.generate.families import FAMILIES, FAMILY_NAMES, family
from sim_core.generate.process import Recipe, base_law, draw_paths, draw_recipe, instruments
from sim_core.scenario import build_scenario, from_recipe
from sim_core.units import day, parse_month


@pytest.fixture(scope="module")
def long(bench):
    """Twenty years, for statistics of paths."""
    return bench.suite(warm_up=0, scored=240)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_recipe_is_small_exact_and_repeatable(small, name: str):
    texts = [draw_recipe(small.suite, name, index).to_json() for index in range(40)]
    assert max(len(text.encode()) for text in texts) <= 1024
    assert texts == [draw_recipe(small.suite, name, index).to_json() for index in range(40)]
    assert all(json.loads(text)["family"] == name for text in texts)


def test_another_seed_draws_other_revisions(bench):
    one, two = (draw_recipe(bench.suite(seed=seed), "eu_delay", 0) for seed in (1, 2))
    assert one.events != two.events


def test_every_rule_acts_on_law_that_exists():
    for one in FAMILIES:
        for rule in one.rules:
            assert set(rule.targets) <= set(base_law()), one.name
            assert 0.0 < rule.probability <= 1.0 and rule.amount[0] <= rule.amount[1]


def test_an_unknown_family_is_refused():
    with pytest.raises(KeyError, match="known are"):
        family("eu_nonsense")


def months_before(announced: str, in_force: int) -> float:
    return (in_force - day(announced)) / 30.44


def check_dates_are_relative(suite) -> None:
    """A revision is announced a stated number of months before the step that it changes comes into force."""
    for index in range(20):
        delayed = draw_recipe(suite, "eu_delay", index).events[0]
        first = base_law()["EUBAT-RC-CO"][0].applies_on
        assert 5.9 <= months_before(delayed.announced, day(first)) <= 30.1
        tariff = draw_recipe(suite, "eu_tariff", index).events
        enacted = next(one for one in tariff if one.kind == "enact")
        assert 0.9 <= months_before(enacted.announced, day(enacted.adopted)) <= 6.2
        assert 35.5 <= (day(enacted.ends) - day(enacted.adopted)) / 30.44 <= 144.5


def test_the_dates_of_a_revision_are_relative_to_entry_into_force(small):
    check_dates_are_relative(small.suite)


def test_a_relative_date_taken_as_absolute_is_found(small, monkeypatch):
    begin = day("2026-01-01")
    relative = process.add_months
    monkeypatch.setattr(process, "add_months", lambda ordinal, months: relative(begin, months))
    with pytest.raises(AssertionError):
        check_dates_are_relative(small.suite)


def test_no_revision_changes_what_lies_before_its_adoption(small):
    for name in FAMILY_NAMES:
        for index in range(20):
            for one in instruments(draw_recipe(small.suite, name, index)):
                for earlier, later in pairwise(one.revisions):
                    past = [[step for step in found.steps if step[0] < later.adopted] for found in (earlier, later)]
                    assert past[0] == past[1]


def test_a_tariff_is_law_only_where_a_family_enacts_it(small):
    def ids(name: str) -> set[str]:
        return {one.id for one in instruments(draw_recipe(small.suite, name, 0))}

    assert "CF-TARIFF" not in ids("eu_baseline") and "CF-TARIFF" in ids("eu_tariff")


def paths(suite, name: str, index: int, *, suppliers: int = 2, recyclers: int = 1):
    return draw_paths(
        suite, draw_recipe(suite, name, index), archetype("ev_battery"), suppliers=suppliers, recyclers=recyclers
    )


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_paths_are_repeatable_positive_and_of_the_stated_shapes(long, name: str):
    one, again = paths(long, name, 3), paths(long, name, 3)
    shapes = {"demand": (240,), "virgin_price": (240, 5), "external_capacity": (240, 5), "supplier_available": (240, 2)}
    for field in process.Paths.__slots__:
        value = getattr(one, field)
        assert np.array_equal(value, getattr(again, field)), field
        assert np.isfinite(value).all() and (value > 0.0).all(), field
        assert value.shape == shapes.get(field, value.shape)
    assert (one.external_price > one.virgin_price).all()


def test_paths_do_not_change_with_the_size_of_the_network_or_the_horizon(long, bench):
    one, wider = paths(long, "eu_tariff", 0), paths(long, "eu_tariff", 0, suppliers=5, recyclers=3)
    shorter = paths(bench.suite(warm_up=0, scored=24), "eu_tariff", 0)
    assert np.array_equal(one.supplier_available, wider.supplier_available[:, :2])
    assert np.array_equal(one.demand, wider.demand)
    assert np.array_equal(one.virgin_price[:24], shorter.virgin_price)


def test_prices_and_demand_keep_to_their_means_and_spreads(long):
    many = [paths(long, "eu_baseline", index) for index in range(80)]
    base = np.array(archetype("ev_battery").by_material("price"))
    late = np.stack([one.virgin_price[120:] / base for one in many])
    spread = 0.18 / np.sqrt(2 * 0.35)  # of an Ornstein-Uhlenbeck process at rest
    assert late.mean() == pytest.approx(1.0, abs=0.03)
    assert np.log(late).std() == pytest.approx(spread, rel=0.1)
    outages = np.stack([one.supplier_available < 1.0 for one in many])
    assert outages.mean() == pytest.approx(1.0 - np.exp(-0.1 * 4 / 12), rel=0.4)
    share = np.array([one.collection_share[0] for one in many])
    assert (
        share.min() >= 0.45 and share.max() <= 0.92 and share.mean() == pytest.approx((0.45 + 0.7 + 0.92) / 3, abs=0.04)
    )


def test_a_price_shock_is_a_jump_for_good(long):
    calm, moved = (paths(long, name, 0).virgin_price for name in ("eu_baseline", "eu_price_shock"))
    assert calm.shape == moved.shape
    factors = [family(name).price_shock for name in FAMILY_NAMES if name != "eu_price_shock"]
    assert set(factors) == {(1.0, 1.0)}
    jump = process._price_jump(
        draw_recipe(long, "eu_price_shock", 0), np.array([0, 0, 0, 0, 1.0, 0.5, 0, 0]), np.arange(240)
    )
    assert (jump[:96] == 1.0).all() and jump[96:] == pytest.approx(1.9)


def test_demand_grows_along_its_trend(long):
    mean = np.mean([paths(long, "eu_baseline", index).demand for index in range(60)], axis=0)
    trend = process.mean_demand(archetype("ev_battery"), np.arange(240) / 12)
    assert trend[0] == archetype("ev_battery").value("demand.start") and (np.diff(trend) > 0).all()
    yearly = mean.reshape(20, 12).mean(axis=1) / trend.reshape(20, 12).mean(axis=1)
    assert yearly == pytest.approx(np.ones(20), abs=0.06)


YEARS_ON = ("demand", "carbon_price", "pack_price")


def check_years_count_from_2026(bench) -> None:
    """A suite that starts later starts further along the same trends."""
    still = {"demand.volatility": 0.0, "carbon_price.volatility": 0.0}
    product = with_overrides(archetype("ev_battery"), still)
    both = []
    for start, scored in (("2026-01", 144), ("2031-01", 84)):
        suite = bench.suite(start=start, warm_up=0, scored=scored)
        recipe = draw_recipe(suite, "eu_baseline", 0)
        both.append(draw_paths(suite, recipe, product, suppliers=1, recyclers=1))
    whole, later = both
    for name in YEARS_ON:
        path = getattr(whole, name)
        assert getattr(later, name) == pytest.approx(path[60:], rel=1e-12), name
        assert path[60] != pytest.approx(path[0], rel=0.05), f"{name} moves in five years"


def test_demand_and_pack_and_carbon_prices_count_years_from_2026(bench):
    check_years_count_from_2026(bench)


def test_years_that_count_from_the_suites_start_are_found(bench, monkeypatch):
    monkeypatch.setattr(process, "_years", lambda suite: np.arange(suite.periods) / 12)
    with pytest.raises(AssertionError):
        check_years_count_from_2026(bench)


def test_pack_prices_fall_until_2035_and_no_further(bench):
    price = paths(bench.suite(warm_up=0, scored=180), "eu_baseline", 0).pack_price
    assert (np.diff(price[:109]) < 0).all() and (price[108:] == price[108]).all()


def check_capacities_do_not_hang_on_the_horizon(bench) -> None:
    """Else a longer run would be an easier one."""
    usual = bench.layout()
    peak = float(process.mean_demand(usual.product, 20.0))
    for other in (usual, bench.layout(scored=238), bench.layout(start="2034-01", scored=40, run_out=3)):
        assert other.production_capacity.sum() == pytest.approx(usual.value("production.capacity") * peak)
        assert other.supplier_capacity.sum(axis=1) == pytest.approx(
            np.full(2, usual.value("supplier.capacity") * peak * usual.mass)
        )


def test_capacities_are_set_for_the_demand_of_2046_whatever_the_horizon(bench):
    check_capacities_do_not_hang_on_the_horizon(bench)


def test_capacities_for_another_year_are_found(bench, monkeypatch):
    monkeypatch.setattr(layout_module, "_PEAK_YEARS", 5.0)
    with pytest.raises(AssertionError):
        check_capacities_do_not_hang_on_the_horizon(bench)


def test_an_export_delay_moves_the_ban_and_nothing_else(small):
    ban = base_law()["EU-BM"][0]
    for index in range(20):
        recipe = draw_recipe(small.suite, "eu_export_delay", index)
        delayed = next(one for one in recipe.events if one.targets == ("EU-BM",))
        assert delayed.kind == "delay" and 24 <= delayed.amount <= 120
        assert day(delayed.announced) <= day(delayed.adopted) <= day(ban.applies_on)
        law = {one.id: one for one in instruments(recipe)}
        (first, value) = law["EU-BM"].realised_steps()[-1]
        assert value == ban.value and 23.9 <= (first - day(ban.applies_on)) / 30.44 <= 120.1
        others = {one.id for one in law.values() if len(one.revisions) > 1} - {"EU-BM"}
        assert others <= {"EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI"}


def test_base_law_is_sorted_by_date():
    for rows in base_law().values():
        dates = [row.applies_on for row in rows]
        assert dates == sorted(dates)
    assert parse_month(base_law()["EU-BM"][0].applies_on[:7]) == parse_month("2026-11")


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_stored_recipe_gives_the_same_scenario(bench, name: str):
    layout = bench.layout()
    scenario = build_scenario(layout, f"{name}/3")
    again = from_recipe(layout, Recipe.from_json(scenario.recipe.to_json()))
    assert again.recipe == scenario.recipe and again.instruments == scenario.instruments
    assert (again.paths.virgin_price == scenario.paths.virgin_price).all()
    other = bench.layout(seed=layout.suite.seed + 1)
    with pytest.raises(ModelError, match="suite seed"):
        from_recipe(other, scenario.recipe)
