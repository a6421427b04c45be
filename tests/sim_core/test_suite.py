"""Suites: splits that don't leak, ids that identify, digests that hold."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sim_core.errors import ModelError
from sim_core.exogenous import Process
from sim_core.network import Lane, LaneGroup, Node, NodeKind, arrange
from sim_core.suite import Forecast, ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="small",
    products=(ProductShare(archetype="ev_battery"),),
    network="loop",
    seed=7,
    start="2026-01",
    warm_up=2,
    scored=10,
    run_out=0,
    splits={
        "train": SplitDefinition(families=("eu_baseline", "eu_tariff"), scenarios=4),
        "validation": SplitDefinition(families=("eu_baseline", "eu_tariff"), scenarios=3),
        "test": SplitDefinition(families=("eu_tighten",), scenarios=2),
    },
    shortfall_price={"cobalt": 150.0, "nickel": 40.0, "lithium": 120.0},
    epoch_months=6,
)
OWN = arrange(
    [
        Node(name="shop", kind=NodeKind.MARKET, demand=Process(kind="pmf", values=(0, 2), probabilities=(0.5, 0.5))),
        Node(name="works", kind=NodeKind.PLANT, holding=1.5, max_target={"S": 40.0}),
    ],
    [Lane(group=LaneGroup.SALES, sender=1, receiver=0, lead=0, share=1.0)],
)


def small(**changes: Any) -> SuiteDefinition:
    return replace(SUITE, **changes)


def products(*overrides: dict[str, float]) -> tuple[ProductShare, ...]:
    return tuple(
        ProductShare(archetype="ev_battery", name=f"pack {i}", overrides=one) for i, one in enumerate(overrides)
    )


def check_a_test_family_in_train_is_refused(suite: SuiteDefinition) -> None:
    leaking = SplitDefinition(families=("eu_baseline", *suite.splits["test"].families), scenarios=4)
    refused = ""
    try:
        replace(suite, splits={**suite.splits, "train": leaking})
    except ModelError as error:
        refused = error.message
    assert "eu_tighten" in refused and "in train and in test" in refused


def test_a_family_of_the_test_split_may_not_be_trained_on():
    check_a_test_family_in_train_is_refused(small())


def test_a_suite_without_that_check_is_found(monkeypatch):
    suite = small()
    monkeypatch.setattr(SuiteDefinition, "__post_init__", lambda self: None)
    with pytest.raises(AssertionError):
        check_a_test_family_in_train_is_refused(suite)


def test_a_family_of_the_test_split_may_not_be_chosen_on():
    suite = small()
    leaking = SplitDefinition(families=suite.splits["test"].families, scenarios=4)
    with pytest.raises(ModelError, match="eu_tighten"):
        replace(suite, splits={**suite.splits, "validation": leaking})


def test_an_unknown_lever_is_refused():
    with pytest.raises(ModelError, match="unknown levers"):
        small(levers=("buy_back", "teleport"))


def test_splits_deal_scenarios_over_families_and_share_none():
    suite = small()
    train, validation, test = (suite.scenarios(split) for split in ("train", "validation", "test"))
    assert train == ("eu_baseline/0", "eu_tariff/0", "eu_baseline/1", "eu_tariff/1")
    assert len(validation) == 3 and {name.rpartition("/")[0] for name in validation} == {"eu_baseline", "eu_tariff"}
    assert not set(train) & set(validation) and not set(train) & set(test) and not set(validation) & set(test)


def test_a_split_that_grows_keeps_its_scenarios_and_the_digest():
    suite = small()
    more = {name: replace(split, scenarios=50) for name, split in suite.splits.items()}
    larger = replace(suite, splits=more)
    assert larger.digest == suite.digest
    assert all(set(suite.scenarios(split)) <= set(larger.scenarios(split)) for split in suite.splits)


def test_other_splits_of_one_suite_are_the_same_scenarios():
    """What a cell costs does not hang on the split that asks for it: its key may not either."""
    suite = small()
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
        {"products": products({"price.cobalt": 1.0})},
        {"products": products({}, {})},
        {"products": (ProductShare(archetype="ev_battery", share=2.0),)},
        {"network": OWN},
        {"forecast": Forecast(method="moving_average", periods=3)},
        {"forecast": Forecast(periods=6)},
        {"vintage_periods": 1},
        {"instruments": ({"id": "mine"},)},
        {"jurisdiction": "CN"},
    ],
)
def test_anything_that_changes_results_changes_the_digest(change: dict):
    assert small(**change).digest != small().digest


def test_a_suite_survives_its_json_form():
    suite = small(
        products=products({"price.cobalt": 33.5}, {}),
        network=OWN,
        targets="kind",
        forecast=Forecast(method="moving_average", periods=3),
        instruments=({"id": "mine", "revisions": [{"steps": [["2027-01-01", 0.5]]}]},),
    )
    again = SuiteDefinition.from_json(json.loads(json.dumps(suite.to_json())))
    assert again == suite and again.digest == suite.digest


def test_a_suites_digest_hangs_on_its_own_networks_numbers():
    nodes = tuple(replace(node, holding=1.6) if node.name == "works" else node for node in OWN.nodes)
    assert small(network=OWN).digest != small(network=replace(OWN, nodes=nodes)).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"products": ()}, "name one or more"),
        ({"products": (ProductShare(archetype="ev_battery"),) * 2}, "each once"),
        ({"targets": "all"}, r"it is one of \['node', 'kind'\]"),
        ({"forecast": Forecast(method="guess")}, "moving_average"),
    ],
)
def test_a_suite_that_contradicts_itself_is_refused(change: dict, message: str):
    with pytest.raises(ModelError, match=message):
        small(**change)


def test_two_products_of_one_archetype_are_told_apart_by_name():
    one, two = ProductShare(archetype="ev_battery"), ProductShare(archetype="ev_battery", name="van")
    assert (one.label, two.label) == ("ev_battery", "van")


def test_a_suite_may_have_a_test_split_alone():
    suite = small(splits={"test": SplitDefinition(families=("none",), scenarios=2)})
    assert suite.scenarios("train") == suite.scenarios("validation") == ()
    assert suite.scenarios("test") == ("none/0", "none/1")


def test_epochs_cover_the_simulated_months():
    assert small(warm_up=2, scored=10, epoch_months=6).epochs == 2
    assert small(warm_up=2, scored=11, epoch_months=6).epochs == 3
    assert small(warm_up=2, scored=10, run_out=5).periods == 17
