"""What users write of law: each slip is refused with its place, the remedy and a near name."""

from copy import deepcopy
from typing import Any

import pytest

from sim_core.errors import ModelError
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.obligation import obligations
from sim_core.policy.timeline import binding, require_scope
from sim_core.units import day, parse_month
from tests.sim_core.example_law import EXAMPLES, FACTS, read

CONTENT: dict[str, Any] = {
    "id": "X",
    "type": "recycled_content_mandate",
    "scope": {"product": "pack", "material": "cobalt"},
    "schedule": {"shape": "step", "from": "2030-01-01", "value": 0.2},
}


def changed(**changes: Any) -> dict[str, Any]:
    form = deepcopy(CONTENT) | changes
    return {name: value for name, value in form.items() if value is not None}


def scheduled(**schedule: Any) -> dict[str, Any]:
    return changed(schedule=schedule)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            changed(type="recycled_content"),
            r"instrument 'X'.type: unknown 'recycled_content', did you mean 'recycled_content_mandate'\?",
        ),
        (changed(id=None), "instrument: id is missing"),
        (changed(schedule=None), "instrument 'X': schedule is missing"),
        (changed(penalti={"value": 1, "unit": "EUR/kg"}), r"unknown entry 'penalti', did you mean 'penalty'\?"),
        (
            changed(scope={"materiel": "cobalt"}),
            r"instrument 'X'.scope: unknown entry 'materiel', did you mean 'material'\?",
        ),
        (
            changed(scope={"process": "sale"}),
            r"instrument 'X'.scope.process: unknown 'sale'; known are \['production'\]",
        ),
        (changed(scope={"material": 3}), "instrument 'X'.scope.material: write a name or a list of names, not 3"),
        (scheduled(shape="stairs", steps=[]), r"instrument 'X'.schedule.shape: unknown 'stairs'"),
        (
            scheduled(**{"from": "2030-13-01", "value": 0.2}),
            "instrument 'X'.schedule.from: '2030-13-01' is no date; write YYYY-MM-DD",
        ),
        (
            scheduled(**{"from": "EIF+6y", "value": 0.2}),
            "'EIF[+]6y' counts from the entry into force; add entry_into_force",
        ),
        (scheduled(value=0.2), "'EIF' counts from the entry into force"),
        (
            scheduled(**{"from": "2030-01-01", "value": 1.2}),
            "instrument 'X'.schedule: 1.2 is above 1, the most it can be",
        ),
        (scheduled(**{"from": "2030-01-01", "value": -0.1}), "instrument 'X'.schedule.value: -0.1 must be at least 0"),
        (scheduled(**{"from": "2030-01-01", "value": float("nan")}), "instrument 'X'.schedule.value: nan is no number"),
        (scheduled(**{"from": "2030-01-01", "value": True}), "instrument 'X'.schedule.value: True is no number"),
        (
            scheduled(shape="staircase", steps=[["2030-01-01", 0.2], ["2030-01-01", 0.3]]),
            r"schedule.steps\[1\]: the steps must lie in increasing order",
        ),
        (scheduled(shape="staircase", steps=[["2030-01-01"]]), r"schedule.steps\[0\]: a step is \[date, value\]"),
        (
            scheduled(shape="ramp", **{"from": "2030-01-01", "value": 0.2, "increase": -0.15, "count": 3}),
            "schedule: step 3 falls to -0.1; end before it falls below 0",
        ),
        (
            scheduled(shape="window", **{"from": "2030-01-01", "until": "2029-01-01", "value": 0.2}),
            "schedule.until: the window ends before it begins",
        ),
        (
            scheduled(shape="ceiling", **{"from": "2030-01-01", "value": 0.2}),
            "a ceiling is a largest value; this type knows",
        ),
        (changed(adopted="2031-01-01"), "instrument 'X'.adopted: it is in force before it is adopted"),
        (
            changed(announced="2030-01-01", adopted="2029-01-01"),
            "instrument 'X'.announced: it is adopted before it is announced",
        ),
        (
            changed(window="calender_year"),
            r"instrument 'X'.window: unknown 'calender_year', did you mean 'calendar_year'\?",
        ),
        (changed(eligible_origins=["scrap"]), "instrument 'X'.eligible_origins: unknown 'scrap'"),
        (changed(lag=3), "'content' has no past windows"),
        (
            changed(penalty={"value": 1, "unit": "EUR per kg"}),
            "penalty.unit: 'EUR per kg' is no price; write CURRENCY/AMOUNT",
        ),
        (changed(penalty={"value": 1, "unit": "YEN/kg"}), "penalty.unit: 'YEN/kg' is no price"),
        (changed(unit="EUR/kg"), r"instrument 'X'.unit: unknown 'EUR/kg'; known are \['fraction'\]"),
        (
            changed(flexibility={"bank": {}}),
            r"instrument 'X'.flexibility: unknown entry 'bank', did you mean 'banking'\?",
        ),
        (
            changed(flexibility={"carry_forward": {"share": 1.5}}),
            r"flexibility.carry_forward.share: 1.5 must be in \[0, 1\]",
        ),
        (changed(flexibility={"certificates": {}}), "flexibility.certificates: price is missing"),
        (
            changed(revisions=[{"kind": "delai", "amount": 12, "announced": "2029-01-01"}]),
            r"revisions\[0\].kind: unknown 'delai', did you mean 'delay'\?",
        ),
        (
            changed(revisions=[{"kind": "delay", "amount": 0.5, "announced": "2029-01-01"}]),
            "delay needs a whole number of months, at least 1",
        ),
        (
            changed(revisions=[{"kind": "weaken", "amount": 1.5, "announced": "2029-01-01"}]),
            "to weaken a value that is at_least, multiply by at most 1, not 1.5",
        ),
        (
            changed(revisions=[{"kind": "extend", "amount": 12, "announced": "2029-01-01"}]),
            "extend: the instrument has no end",
        ),
        (
            changed(revisions=[{"kind": "freeze", "announced": "2029-01-01", "adopted": "2028-01-01"}]),
            "can't be adopted before it is announced",
        ),
        (changed(revisions=[{"kind": "freeze"}]), r"revisions\[0\]: announced is missing"),
        ([], "instrument: write a mapping"),
    ],
)
def test_a_slip_is_refused_with_its_place_and_a_remedy(form: Any, message: str):
    with pytest.raises(ModelError, match=message):
        PolicyInstrument.from_json(form)


def test_a_tax_in_another_measure_is_refused():
    form = EXAMPLES["LANDFILL-TAX"]["instrument"] | {"unit": "GBP/unit"}
    with pytest.raises(ModelError, match="'GBP/unit' is a price per unit; this type is priced in"):
        PolicyInstrument.from_json(form)


def test_a_largest_value_is_weakened_upwards():
    form = EXAMPLES["CRMA"]["instrument"]
    weaker = form | {"revisions": [{"kind": "weaken", "amount": 1.2, "announced": "2025-06-01"}]}
    assert PolicyInstrument.from_json(weaker).revisions[1].steps == ((day("2026-01-01"), 0.78),)
    with pytest.raises(ModelError, match=r"to weaken a value that is at_most, multiply by at least 1, not 0\.9"):
        PolicyInstrument.from_json(form | {"revisions": [{"kind": "weaken", "amount": 0.9, "announced": "2025-06-01"}]})


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (
            {"material": "cobolt"},
            r"instrument 'X' matches nothing in this suite: scope.material is \['cobolt'\].*did you mean 'cobalt'\?",
        ),
        ({"product": "packs", "material": "cobalt"}, r"scope.product is \['packs'\].*did you mean 'pack'\?"),
        (
            {"archetype": "wind_blade"},
            r"scope.archetype is \['wind_blade'\], the suite has \['ev_battery', 'smartphone'\]",
        ),
        ({"jurisdiction": "CN"}, r"scope.jurisdiction is \['CN'\], the suite has \['EU'\]"),
        ({"product": "pack", "material": "plastic"}, "no product in its scope holds a material in its scope"),
    ],
)
def test_an_instrument_that_matches_nothing_is_refused(scope: dict, message: str):
    with pytest.raises(ModelError, match=message):
        require_scope((PolicyInstrument.from_json(changed(scope=scope)),), FACTS)


def test_one_id_stands_for_one_duty():
    with pytest.raises(ModelError, match=r"instruments \['X'\]: an id stands for one instrument"):
        obligations((PolicyInstrument.from_json(CONTENT),) * 2, FACTS, {})


def test_a_penalty_in_another_measure_than_the_duty_is_refused():
    odd = PolicyInstrument.from_json(changed(penalty={"value": 1, "unit": "EUR/unit"}))
    with pytest.raises(ModelError, match="the duty is in kg, the penalty per unit"):
        obligations((odd,), FACTS, {})


def test_a_duty_in_units_has_no_carbon_price():
    odd = EXAMPLES["WEEE"]["instrument"] | {"flexibility": {"certificates": {"price": "carbon_price"}}}
    with pytest.raises(ModelError, match="a duty in unit has no carbon price; give a number, EUR/unit"):
        obligations((PolicyInstrument.from_json(odd),), FACTS, {})


def test_a_shortfall_costs_the_penalty_else_what_the_suite_declares_for_id_or_material():
    prices = {"X": 7.0, "cobalt": 5.0}
    fined = PolicyInstrument.from_json(changed(penalty={"value": 2, "unit": "EUR/t"}))
    plain = PolicyInstrument.from_json(CONTENT)

    def phi(one: PolicyInstrument, declared: dict[str, float]) -> float:
        return obligations((one,), FACTS, declared)[0].phi

    assert phi(fined, prices) == pytest.approx(0.002)
    assert [phi(plain, prices), phi(plain, {"cobalt": 5.0}), phi(plain, {})] == [7.0, 5.0, 0.0]


def test_what_binds_is_said_for_each_instrument():
    law = tuple(read(name) for name in ("STAIRCASE", "LITHIUM", "CEILING", "BLACK-MASS", "QUOTA", "TARIFF"))
    assert binding(law, FACTS, parse_month("2026-01"), 24) == {
        "STAIRCASE": False, "LITHIUM": False, "CEILING": True, "BLACK-MASS": True, "QUOTA": True, "TARIFF": False,
    }  # fmt: skip
