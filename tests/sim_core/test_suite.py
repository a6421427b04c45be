"""Suites: splits that don't leak, ids that identify, digests that hold."""

import json
from dataclasses import replace

import pytest

from sim_core.errors import ModelError
from sim_core.scenario import build_scenario
from sim_core.suite import SplitDefinition, SuiteDefinition


def check_a_test_family_in_train_is_refused(suite: SuiteDefinition) -> None:
    leaking = SplitDefinition(families=("eu_baseline", *suite.splits["test"].families), scenarios=4)
    refused = ""
    try:
        replace(suite, splits={**suite.splits, "train": leaking})
    except ModelError as error:
        refused = error.message
    assert "eu_tighten" in refused and "in train and in test" in refused


def test_a_family_of_the_test_split_may_not_be_trained_on(bench):
    check_a_test_family_in_train_is_refused(bench.suite())


def test_a_suite_without_that_check_is_found(bench, monkeypatch):
    suite = bench.suite()
    monkeypatch.setattr(SuiteDefinition, "__post_init__", lambda self: None)
    with pytest.raises(AssertionError):
        check_a_test_family_in_train_is_refused(suite)


def test_a_family_of_the_test_split_may_not_be_chosen_on(bench):
    suite = bench.suite()
    leaking = SplitDefinition(families=suite.splits["test"].families, scenarios=4)
    with pytest.raises(ModelError, match="eu_tighten"):
        replace(suite, splits={**suite.splits, "validation": leaking})


def test_an_unknown_lever_is_refused(bench):
    with pytest.raises(ModelError, match="unknown levers"):
        bench.suite(levers=("buy_back", "teleport"))


def test_splits_deal_scenarios_over_families_and_share_none(bench):
    suite = bench.suite()
    train, validation, test = (suite.scenarios(split) for split in ("train", "validation", "test"))
    assert train == ("eu_baseline/0", "eu_tariff/0", "eu_baseline/1", "eu_tariff/1")
    assert len(validation) == 3 and {name.rpartition("/")[0] for name in validation} == {"eu_baseline", "eu_tariff"}
    assert not set(train) & set(validation) and not set(train) & set(test) and not set(validation) & set(test)


def test_a_split_that_grows_keeps_its_scenarios_and_the_digest(bench):
    suite = bench.suite()
    more = {name: replace(split, scenarios=50) for name, split in suite.splits.items()}
    larger = replace(suite, splits=more)
    assert larger.digest == suite.digest
    assert all(set(suite.scenarios(split)) <= set(larger.scenarios(split)) for split in suite.splits)


def test_other_splits_of_one_suite_are_the_same_scenarios(bench):
    """What a cell costs does not hang on the split that asks for it: its key may not either."""
    suite = bench.suite()
    other = replace(suite.splits["test"], families=("eu_weaken", "eu_export_delay"))
    assert replace(suite, splits={**suite.splits, "test": other}).digest == suite.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"start": "2026-02"},
        {"levers": ("expedite",)},
        {"targets": "kind"},
        {"max_cover": 5.0},
        {"epoch_months": 12},
        {"scored": 11},
        {"discount_rate": 0.08},
        {"shortfall_price": {"cobalt": 151.0}},
        {"overrides": {"price.cobalt": 1.0}},
    ],
)
def test_anything_that_changes_results_changes_the_digest(bench, change: dict):
    assert bench.suite(**change).digest != bench.suite().digest


def test_a_suite_survives_its_json_form(bench):
    suite = bench.suite(overrides={"price.cobalt": 33.5}, targets="kind")
    again = SuiteDefinition.from_json(json.loads(json.dumps(suite.to_json())))
    assert again == suite and again.digest == suite.digest


def test_epochs_cover_the_simulated_months(bench):
    assert bench.suite(warm_up=2, scored=10, epoch_months=6).epochs == 2
    assert bench.suite(warm_up=2, scored=11, epoch_months=6).epochs == 3
    assert bench.suite(warm_up=2, scored=10, run_out=5).periods == 17


@pytest.mark.parametrize("name", ["eu_baseline", "eu_baseline/x", "/3", ""])
def test_a_bad_scenario_id_is_refused(small, name: str):
    with pytest.raises(ModelError, match="is not a scenario id"):
        build_scenario(small, name)
