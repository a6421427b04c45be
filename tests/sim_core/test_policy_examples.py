"""Every worked example of docs/policies.md, through the code of a simulation; none of the vocabulary is left out."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from sim_core.errors import ModelError
from sim_core.policy import shapes
from sim_core.policy.arithmetic import MASSES, value_on
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.kinds import TYPES
from sim_core.policy.revisions import KINDS
from sim_core.policy.timeline import PolicyTimeline, compile_timeline, require_scope
from sim_core.policy.views import announced, enacted, realised
from sim_core.units import parse_month
from tests.sim_core.example_law import CELLS, EXAMPLES, FACTS, PAGE, read, settle


def array(law: PolicyTimeline, where: dict[str, Any], first: str) -> float:
    value = getattr(law, where["name"])[parse_month(str(where["month"])) - parse_month(first)]
    for axis, known in (("route", FACTS.routes), ("product", FACTS.products), ("material", FACTS.materials)):
        if axis in where:
            value = value[known.index(where[axis])]
    return float(value)


def check_steps(instrument: PolicyInstrument, wanted: list[dict[str, Any]]) -> None:
    views = {"announced": announced, "enacted": enacted}
    for one in wanted:
        named = one["view"] != "realised"
        steps = views[one["view"]](instrument, one["seen"].toordinal()) if named else realised(instrument)
        assert value_on(steps, np.array([one["day"].toordinal()]), 0.0)[0] == pytest.approx(one["value"]), one


def check_arrays(instrument: PolicyInstrument, wanted: list[dict[str, Any]]) -> None:
    months = sorted(str(one["month"]) for one in wanted)
    periods = parse_month(months[-1]) - parse_month(months[0]) + 1
    law = compile_timeline((instrument,), FACTS, parse_month(months[0]), periods)
    for one in wanted:
        assert array(law, one, months[0]) == pytest.approx(one["value"], rel=1e-9), one


AMOUNTS = ("duty", "delivered", "short", "certificates", "carried")
CHARGES = {"charge": "shortfall_charge", "certificate_charge": "certificate_charge"}


def check_book(instrument: PolicyInstrument, book: dict[str, Any]) -> None:
    years = settle(instrument, book)
    assert len(years) == len(next(iter(book["flows"].values())))
    for name in AMOUNTS:
        if name in book:
            values = np.array([getattr(year, name)[0] for year in years])
            assert values == pytest.approx(np.repeat(np.array(book[name])[:, None], CELLS, axis=1), abs=1e-6), name
    for name, attribute in CHARGES.items():
        if name in book:
            values = np.array([getattr(year, attribute)[0] for year in years])
            assert values == pytest.approx(np.array(book[name]), rel=1e-9), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_arithmetic_of_every_example_holds(name: str):
    instrument, check = read(name), EXAMPLES[name]["check"]
    require_scope((instrument,), FACTS)
    assert check and set(check) <= {"steps", "arrays", "book"}
    check_steps(instrument, check.get("steps", []))
    if "arrays" in check:
        check_arrays(instrument, check["arrays"])
    if "book" in check:
        assert set(check["book"]) <= {"start", "flows", "carbon_price", *AMOUNTS, *CHARGES}
        check_book(instrument, check["book"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_written_form_is_kept_by_reading_and_writing(name: str):
    instrument = read(name)
    assert PolicyInstrument.from_json(instrument.to_json()) == instrument


def test_every_type_shape_revision_and_flexibility_has_an_example():
    forms = [block["instrument"] for block in EXAMPLES.values()]
    assert {form["type"] for form in forms} == set(TYPES)
    assert {form["schedule"]["shape"] for form in forms} == {*shapes.SHAPES, "staircase_of_scope"}
    kinds = {revision.get("kind") for form in forms for revision in form.get("revisions", [])} - {None}
    assert {*kinds, "tighten"} == set(KINDS)  # tighten is strengthen
    rules = {rule for form in forms for rule in form.get("flexibility", {})}
    assert rules == {"banking", "carry_forward", "certificates", "de_minimis"}


def test_every_field_of_an_instrument_is_on_the_page():
    fields = {"schedule", "entry_into_force", "announced", "adopted"} | {
        field.name for field in dataclasses.fields(PolicyInstrument)
    } - {"wider", "name", "status", "provenance"}
    table = PAGE.split("## 2. Fields")[1].split("## 3.")[0]
    assert [name for name in sorted(fields) if f"`{name}`" not in table] == []


def test_a_relative_date_that_is_taken_as_absolute_is_found(monkeypatch):
    """Six years after the entry into force is not the year 6, nor the day of entry itself."""
    for wrong in (lambda _entry, months: months // 12 * 365, lambda entry, _months: entry):
        monkeypatch.setattr(shapes, "add_months", wrong)
        with pytest.raises((AssertionError, ModelError)):
            check_steps(read("RELATIVE"), EXAMPLES["RELATIVE"]["check"]["steps"])


def test_a_kilogram_that_is_taken_for_a_tonne_is_found(monkeypatch):
    monkeypatch.setitem(MASSES, "t", 1.0)
    with pytest.raises(AssertionError):
        check_arrays(read("LANDFILL-TAX"), EXAMPLES["LANDFILL-TAX"]["check"]["arrays"])
