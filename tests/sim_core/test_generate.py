"""Recipes: small and exact, with dates relative to the law that they revise."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from sim_core.generate import recipe as recipe_module
from sim_core.generate.families import FAMILIES, FAMILY_NAMES, family
from sim_core.generate.family import BASE_LAW
from sim_core.generate.recipe import draw_recipe, instruments, law_rows
from sim_core.policy.views import realised
from sim_core.suite import SuiteDefinition
from sim_core.units import day, parse_month
from tests.sim_core.test_paths import SUITE


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_recipe_is_small_exact_and_repeatable(name: str):
    texts = [draw_recipe(SUITE, name, index).to_json() for index in range(40)]
    assert max(len(text.encode()) for text in texts) <= 1024
    assert texts == [draw_recipe(SUITE, name, index).to_json() for index in range(40)]
    assert all(json.loads(text)["family"] == name for text in texts)


def test_another_seed_draws_other_revisions():
    one, two = (draw_recipe(replace(SUITE, seed=seed), "eu_delay", 0) for seed in (1, 2))
    assert one.events != two.events


def test_every_rule_acts_on_law_that_exists():
    for one in FAMILIES:
        for rule in one.rules:
            assert set(rule.targets) <= set(one.law), one.name
            assert 0.0 < rule.probability <= 1.0 and rule.amount[0] <= rule.amount[1]


def test_an_unknown_family_is_refused():
    with pytest.raises(KeyError, match="known are"):
        family("eu_nonsense")


def months_before(announced: str, in_force: int) -> float:
    return (in_force - day(announced)) / 30.44


def check_dates_are_relative(suite: SuiteDefinition) -> None:
    """A revision is announced a stated number of months before the step that it changes comes into force."""
    for index in range(20):
        delayed = draw_recipe(suite, "eu_delay", index).events[0]
        first = law_rows(BASE_LAW)["EUBAT-RC-CO"][0].applies_on
        assert 5.9 <= months_before(delayed.announced, day(first)) <= 30.1
        tariff = draw_recipe(suite, "eu_tariff", index).events
        enacted = next(one for one in tariff if one.kind == "enact")
        assert 0.9 <= months_before(enacted.announced, day(enacted.adopted)) <= 6.2
        assert 35.5 <= (day(enacted.ends) - day(enacted.adopted)) / 30.44 <= 144.5


def test_the_dates_of_a_revision_are_relative_to_entry_into_force():
    check_dates_are_relative(SUITE)


def test_a_relative_date_taken_as_absolute_is_found(monkeypatch):
    begin = day("2026-01-01")
    relative = recipe_module.add_months
    monkeypatch.setattr(recipe_module, "add_months", lambda ordinal, months: relative(begin, months))
    with pytest.raises(AssertionError):
        check_dates_are_relative(SUITE)


def test_no_revision_changes_what_lies_before_its_adoption():
    for name in FAMILY_NAMES:
        for index in range(20):
            for one in instruments(SUITE, draw_recipe(SUITE, name, index)):
                for earlier, later in pairwise(one.revisions):
                    past = [[step for step in found.steps if step[0] < later.adopted] for found in (earlier, later)]
                    assert past[0] == past[1]


def test_a_tariff_is_law_only_where_a_family_enacts_it():
    def ids(name: str) -> set[str]:
        return {one.id for one in instruments(SUITE, draw_recipe(SUITE, name, 0))}

    assert "CF-TARIFF" not in ids("eu_baseline") and "CF-TARIFF" in ids("eu_tariff")


def test_the_family_none_has_no_law_and_no_revisions():
    for index in range(5):
        recipe = draw_recipe(SUITE, "none", index)
        assert recipe.events == () and instruments(SUITE, recipe) == ()


def test_an_export_delay_moves_the_ban_and_nothing_else():
    ban = law_rows(BASE_LAW)["EU-BM"][0]
    for index in range(20):
        recipe = draw_recipe(SUITE, "eu_export_delay", index)
        delayed = next(one for one in recipe.events if one.targets == ("EU-BM",))
        assert delayed.kind == "delay" and 24 <= delayed.amount <= 120
        assert day(delayed.announced) <= day(delayed.adopted) <= day(ban.applies_on)
        law = {one.id: one for one in instruments(SUITE, recipe)}
        (first, value) = realised(law["EU-BM"])[-1]
        assert value == ban.value and 23.9 <= (first - day(ban.applies_on)) / 30.44 <= 120.1
        others = {one.id for one in law.values() if len(one.revisions) > 1} - {"EU-BM"}
        assert others <= {"EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI"}


def test_base_law_is_sorted_by_date():
    for rows in law_rows(BASE_LAW).values():
        dates = [row.applies_on for row in rows]
        assert dates == sorted(dates)
    assert parse_month(law_rows(BASE_LAW)["EU-BM"][0].applies_on[:7]) == parse_month("2026-11")
