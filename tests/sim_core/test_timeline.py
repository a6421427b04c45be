"""A user's own law as a family: what the form says, revisions around it, and errors that help."""

from dataclasses import replace
from typing import Any

import pytest

from sim_core.engine.layout import build_layout
from sim_core.errors import ModelError
from sim_core.generate.families import family
from sim_core.generate.process_generator import ProcessGenerator
from sim_core.generate.recipe import draw_recipes, instruments, provenance
from sim_core.generate.timeline import family_of
from sim_core.suite import SplitDefinition, SuiteDefinition
from sim_core.units import day
from tests.sim_core.test_paths import SUITE

MANDATE: dict[str, Any] = {
    "id": "MY-RC-CO",
    "type": "recycled_content_mandate",
    "scope": {"material": "cobalt"},
    "unit": "fraction",
    "schedule": {"shape": "staircase", "steps": [["2028-01-01", 0.1], ["2031-01-01", 0.2]]},
    "announced": "2024-06-01",
    "adopted": "2025-01-01",
    "revisions": [{"kind": "delay", "amount": 12, "announced": "2025-06-01", "adopted": "2025-09-01"}],
}
FEE: dict[str, Any] = {
    "id": "MY-FEE",
    "type": "epr_fee",
    "unit": "EUR/unit",
    "schedule": {"shape": "step", "from": "2027-01-01", "value": 0.5},
    "announced": "2026-01-01",
}
FORM: dict[str, Any] = {
    "name": "my_law",
    "instruments": [MANDATE, FEE],
    "revisions": {"intensity": 4.0, "from": "2026-01-01", "to": "2035-12-31"},
}


def suite(**change: Any) -> SuiteDefinition:
    form = {**FORM, **change}
    return replace(
        SUITE,
        timelines=(form,),
        splits={"test": SplitDefinition(families=(form["name"],), scenarios=8)},
    )


def test_the_users_law_is_what_a_scenario_starts_from():
    recipes = draw_recipes(suite(revisions={"most": 0}), "my_law", range(3))
    assert all(one.events == () for one in recipes)
    law = {one.id: one for one in instruments(suite(), recipes[0])}
    assert set(law) == {"MY-RC-CO", "MY-FEE"}
    assert law["MY-RC-CO"].revisions[-1].steps == ((day("2029-01-01"), 0.1), (day("2032-01-01"), 0.2)), "its history"


def test_revisions_are_drawn_around_it_in_the_days_that_it_names():
    recipes = draw_recipes(suite(), "my_law", range(200))
    events = [event for one in recipes for event in one.events]
    assert {target for event in events for target in event.targets} == {"MY-RC-CO", "MY-FEE"}
    assert all("2026-01-01" <= event.announced <= "2035-12-31" for event in events)
    assert {"delay", "weaken", "tighten"} <= {event.kind for event in events}
    calm = draw_recipes(suite(revisions={"intensity": 0.1}), "my_law", range(200))
    assert sum(len(one.events) for one in calm) < len(events) / 3
    assert draw_recipes(suite(), "my_law", [7]) == [recipes[7]], "the same alone"


def test_a_revision_starts_from_the_newest_text_of_a_law():
    """A delay moves the dates that history left, not those that were adopted first."""
    for one in draw_recipes(suite(), "my_law", range(300)):
        first = [event for event in one.events if event.targets == ("MY-RC-CO",)][:1]
        if first and first[0].kind == "delay" and first[0].adopted < "2029-01-01":
            law = next(each for each in instruments(suite(), one) if each.id == "MY-RC-CO")
            assert law.revisions[2].steps[0][0] > day("2029-01-01")
            return
    raise AssertionError("no such scenario")


def test_its_scenarios_run_like_any_other():
    one = suite(law=["CF-CARBON", "CF-TARIFF"], world="eu_turmoil")
    layout = build_layout(one)
    batch = ProcessGenerator(layout).sample_batch("my_law", range(4))
    assert "MY-RC-CO" in {obligation.id for obligation in batch[0].obligations}
    ids = {each.id for each in batch[0].instruments}
    assert ids == {"CF-CARBON", "MY-RC-CO", "MY-FEE"}, "a tariff that nobody enacts is no law"
    assert one.family("my_law").world == family("eu_turmoil").world
    assert provenance(one, batch[0].recipe).get("MY-RC-CO", ()) == ()
    assert SuiteDefinition.from_json(one.to_json()) == one and one.digest != suite().digest


def test_two_meanings_of_one_id_are_refused():
    other = {**FORM, "name": "other", "instruments": [{**FEE, "id": "MY-RC-CO"}]}
    both = replace(
        SUITE,
        timelines=(FORM, other),
        splits={"test": SplitDefinition(families=("my_law", "other"), scenarios=2)},
    )
    with pytest.raises(ModelError, match="'MY-RC-CO' of family 'other' is another one"):
        build_layout(both)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "eu_delay"}, "a shipped family is called so"),
        ({"instruments": []}, "list one or more instruments"),
        ({"instruments": [MANDATE, MANDATE]}, r"\['MY-RC-CO'\] stand there twice"),
        ({"law": "CF-CARBN"}, "did you mean 'CF-CARBON'"),
        ({"world": "eu_turmoi"}, "did you mean 'eu_turmoil'"),
        ({"revisions": {"instruments": ["MY-RC"]}}, "did you mean 'MY-RC-CO'"),
        ({"revisions": {"most": 3}}, r"revisions.most: 3 must be in \[0, 2\]"),
        ({"revisions": {"least": 0.5}}, "revisions.least"),
        ({"revisions": {"from": "2040-01-01", "to": "2030-01-01"}}, "swap from and to"),
        ({"revisions": {"from": "next year"}}, "is no date"),
        ({"revision": {}}, "unknown entry 'revision', did you mean 'revisions'"),
        ({"instruments": [{**MANDATE, "typ": 1}]}, "unknown entry 'typ'"),
    ],
)
def test_a_slip_is_refused_with_its_place(change: dict[str, Any], message: str):
    with pytest.raises(ModelError, match=message):
        family_of({**FORM, **change})
