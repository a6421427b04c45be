"""The leak check: scenarios of one split that are those of another are found, whatever they are called."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sim_core.errors import ModelError
from sim_core.generate import leaks
from sim_core.generate.leaks import check_leaks
from sim_core.generate.recipe import Recipe, recipes_of
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="leaks",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=3,
    start="2026-01",
    warm_up=0,
    scored=60,
    run_out=0,
    splits={
        "train": SplitDefinition(families=("ev_content", "ev_trade"), scenarios=120),
        "validation": SplitDefinition(families=("ev_content",), scenarios=40),
        "test": SplitDefinition(families=("ev_mixed", "ev_turmoil"), scenarios=60),
    },
)
TRAINED_ON = {"ev_mixed": "ev_content", "ev_turmoil": "ev_trade"}


def under_another_name(one: str) -> str:
    """The scenario of train that stands behind one of test, in another order."""
    family, _, index = one.rpartition("/")
    return f"{TRAINED_ON[family]}/{29 - int(index)}" if family in TRAINED_ON else one


def leaking(suite: SuiteDefinition, ids: Sequence[str]) -> list[Recipe]:
    """A generator whose test scenarios are those of train."""
    return recipes_of(suite, [under_another_name(one) for one in ids])


def a_little_different(one: Recipe) -> Recipe:
    first, *others = one.events or (None,)
    if first is None:
        return one
    return replace(one, events=(replace(first, amount=1.01 * first.amount), *others))


def test_splits_of_different_scenarios_do_not_leak():
    report = check_leaks(SUITE)
    assert report.leaks == () and report.scenarios == 120
    assert [(one.split, one.scenarios, one.same) for one in report.splits] == [
        ("validation", 40, 0.0),
        ("test", 60, 0.0),
    ]
    assert report.split("test").median > 1.0, "combinations that train never saw lie farther from it than its own"
    with pytest.raises(KeyError):
        report.split("train")


def test_test_scenarios_that_are_train_s_under_another_name_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaks, "recipes_of", leaking)
    report = check_leaks(SUITE)
    assert report.leaks == ("test",)
    found = report.split("test")
    assert found.same == 1.0 and found.distance == 0.0
    assert found.nearest[1] == under_another_name(found.nearest[0])


def test_one_copied_scenario_is_enough(monkeypatch: pytest.MonkeyPatch):
    def one_copied(suite: SuiteDefinition, ids: Sequence[str]) -> list[Recipe]:
        return recipes_of(suite, ["ev_content/7" if one == "ev_mixed/11" else one for one in ids])

    monkeypatch.setattr(leaks, "recipes_of", one_copied)
    report = check_leaks(SUITE)
    assert report.leaks == ("test",) and report.split("test").nearest == ("ev_mixed/11", "ev_content/7")


def test_scenarios_almost_like_train_s_are_found(monkeypatch: pytest.MonkeyPatch):
    """Other names for the same law and paths, with one factor a little different."""

    def nudged(suite: SuiteDefinition, ids: Sequence[str]) -> list[Recipe]:
        copies = zip(ids, leaking(suite, ids), strict=True)
        return [a_little_different(copy) if under_another_name(one) != one else copy for one, copy in copies]

    monkeypatch.setattr(leaks, "recipes_of", nudged)
    assert check_leaks(SUITE).split("test").near < leaks.LEAST_RATIO


def test_without_training_scenarios_there_is_nothing_to_compare_with():
    alone = replace(SUITE, splits={"test": SUITE.splits["test"]})
    with pytest.raises(ModelError, match="two or more scenarios of train; it has 0: add some"):
        check_leaks(alone)
