"""Coverage of admissible pairs: what counts as admissible, what as covered, and what is missing."""

from itertools import combinations

import pytest

from sim_core.generate import coverage as coverage_module
from sim_core.generate.coverage import Coverage, coverage, revised_pairs
from sim_core.generate.events import Event
from sim_core.generate.families import family
from sim_core.generate.family import Family
from sim_core.generate.recipe import Recipe, draw_recipes
from sim_core.generate.revision_process import RevisionProcess
from tests.sim_core.test_paths import SUITE

POOLS = (("A", "B", "C"), ("C", "D"))
PAIRS = {("A", "B"), ("A", "C"), ("B", "C"), ("C", "D")}


def made(*pools: tuple[str, ...], most: int = 2) -> Family:
    return Family(name="made", description="", process=RevisionProcess(pools=pools, least=1, most=most))


def recipe(*events: tuple[str, ...]) -> Recipe:
    drawn = tuple(Event(kind="repeal", targets=one, announced="2030-01-01", adopted="2030-06-01") for one in events)
    return Recipe(family="made", index=0, seed=1, events=drawn)


def test_pairs_of_one_pool_are_admissible_and_those_across_pools_are_not():
    found = coverage([made(*POOLS)], [])
    assert found == Coverage(admissible=frozenset(PAIRS), covered=frozenset())
    assert found.share == 0.0 and found.missing == tuple(sorted(PAIRS))


def check_what_is_covered() -> None:
    recipes = [recipe(("B",), ("A",)), recipe(("A", "D")), recipe(("C",)), recipe(), recipe(("D", "C"))]
    found = coverage([made(*POOLS)], recipes)
    assert found.covered == {("A", "B"), ("C", "D")}  # A with D is no admissible pair
    assert (found.share, found.missing) == (0.5, (("A", "C"), ("B", "C")))


def test_a_pair_is_covered_by_two_events_or_one_of_the_same_scenario():
    check_what_is_covered()


def test_mutant_pairs_across_scenarios_is_caught(monkeypatch: pytest.MonkeyPatch):
    seen: set[str] = set()

    def across(one: Recipe) -> frozenset[tuple[str, str]]:
        seen.update(target for event in one.events for target in event.targets)
        return frozenset(combinations(sorted(seen), 2))

    monkeypatch.setattr(coverage_module, "revised_pairs", across)
    with pytest.raises(AssertionError):
        check_what_is_covered()


def test_several_families_admit_the_union_and_those_without_a_process_nothing():
    plain = Family(name="plain", description="")
    assert coverage([made(("A", "B")), made(("B", "C")), plain], []).admissible == {("A", "B"), ("B", "C")}
    assert coverage([plain, made(("A", "B"), most=1)], [recipe(("A", "B"))]).share is None


def test_a_shipped_family_covers_its_pairs():
    found = coverage([family("eu_revised")], draw_recipes(SUITE, "eu_revised", range(2000)))
    assert found.share is not None and found.share >= 0.95, found.missing
    assert all(
        pair == tuple(sorted(pair))
        for one in draw_recipes(SUITE, "eu_revised", range(9))
        for pair in revised_pairs(one)
    )
