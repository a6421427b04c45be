"""The shipped suites: large enough, test apart from train, every pair of law covered, no dead law, no leaks."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from orchestrator.plan import instruments as described
from orchestrator.spec import load
from sim_core.engine.layout import build_layout
from sim_core.generate.coverage import revised_pairs
from sim_core.generate.family import Family
from sim_core.generate.leaks import check_leaks
from sim_core.generate.recipe import Recipe, draw_recipes, instruments, recipes_of
from sim_core.policy.timeline import binding
from sim_core.scenario import from_recipes
from sim_core.suite import SPLITS, SplitDefinition, SuiteDefinition
from sim_core.units import parse_month

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
SHIPPED = ("suite_eu", "suite_smartphone", "suite_pv")
Pairs = frozenset[tuple[str, str]]

shipped = pytest.mark.parametrize("name", SHIPPED)


@cache
def suite(name: str) -> SuiteDefinition:
    return load(FOLDER / f"{name}.yaml").to_suite()


def revisable(one: Family) -> Pairs:
    """The pairs of instruments that a family may revise together, each in alphabetical order."""
    ruled = combinations(sorted({key for rule in one.rules for key in rule.targets}), 2)
    return frozenset(ruled) | (one.process.pairs if one.process else frozenset())


def admissible(of: SuiteDefinition, split: str) -> Pairs:
    return frozenset(pair for name in of.splits[split].families for pair in revisable(of.family(name)))


def known_to_tuning(of: SuiteDefinition) -> Pairs:
    """Pairs of instruments that test revises together and train or validation too."""
    return admissible(of, "test") & (admissible(of, "train") | admissible(of, "validation"))


@cache
def recipes(name: str, split: str) -> list[Recipe]:
    return recipes_of(suite(name), suite(name).scenarios(split))


@shipped
def test_a_suite_is_large_and_test_holds_families_of_its_own(name: str):
    of = suite(name)
    assert [of.splits[split].scenarios for split in SPLITS] == [3000, 600, 1500]
    assert len({one for split in SPLITS for one in of.scenarios(split)}) == 5100
    seen = {*of.splits["train"].families, *of.splits["validation"].families}
    assert not seen & set(of.splits["test"].families)
    worlds = {of.family(one).world for one in seen}
    assert {of.family(one).world for one in of.splits["test"].families} - worlds, "a world that nothing was tuned on"


@shipped
def test_no_pair_that_test_revises_together_is_revised_together_in_train_or_validation(name: str):
    of = suite(name)
    assert known_to_tuning(of) == frozenset()
    assert len(admissible(of, "train")) == 12 and len(admissible(of, "test")) == 54


@shipped
def test_a_pool_of_test_in_train_would_be_found(name: str):
    of = suite(name)
    split = of.splits["train"]
    mixed = next(one for one in of.splits["test"].families if one.endswith("_mixed_crises"))
    families = (*split.families, mixed)
    test = SplitDefinition(
        families=tuple(one for one in of.splits["test"].families if one != mixed), scenarios=1500
    )  # no family is in both, yet turmoil revises the same pairs
    moved = replace(of, splits={**of.splits, "train": replace(split, families=families), "test": test})
    assert len(known_to_tuning(moved)) == 18


@shipped
def test_the_suite_covers_the_admissible_pairs(name: str):
    """Both instruments of a pair are revised in one scenario: in at least 95 % of all pairs, and of those of test."""
    for splits in (SPLITS, ("test",)):
        pairs = frozenset(pair for split in splits for pair in admissible(suite(name), split))
        met = {pair for split in splits for one in recipes(name, split) for pair in revised_pairs(one)}
        assert met <= pairs
        assert len(met) >= 0.95 * len(pairs), sorted(pairs - met)


@shipped
def test_a_recipe_is_small(name: str):
    assert max(len(one.to_json().encode()) for split in SPLITS for one in recipes(name, split)) <= 1024


@shipped
def test_no_split_leaks(name: str):
    report = check_leaks(suite(name), sample=300)
    assert report.leaks == () and [one.scenarios for one in report.splits] == [300, 300]


@shipped
def test_every_instrument_of_a_family_binds(name: str):
    of = suite(name)
    layout = build_layout(of)
    for one in of.listed_families:
        bound: set[str] = set()
        for recipe in draw_recipes(of, one.name, range(24)):
            if set(one.law) <= bound:
                break
            law = instruments(of, recipe)
            months = binding(law, layout.facts, parse_month(of.start), of.periods)
            bound |= {key for key, binds in months.items() if binds}
        assert bound == set(one.law), one.name


@shipped
def test_every_family_s_scenarios_compile(name: str):
    of = suite(name)
    layout = build_layout(of)
    for one in of.listed_families:
        for scenario in from_recipes(layout, draw_recipes(of, one.name, range(3))):
            assert scenario.timeline.theta.shape == (of.periods, len(layout.obligations))
            assert scenario.paths.demand.min() >= 0.0


@shipped
def test_a_price_stands_for_every_duty(name: str):
    of = suite(name)
    law = {key for one in of.listed_families for key in one.law}
    owed = {one.id: one.phi for one in build_layout(of).obligations if one.id in law}
    assert owed and min(owed.values()) > 0.0


@shipped
def test_a_plan_shows_the_law_of_the_suite_and_no_other(name: str):
    of = suite(name)
    shown = [row["id"] for row in described(of)]
    assert set(shown) == {key for one in of.listed_families for key in one.law} and len(set(shown)) == len(shown)
