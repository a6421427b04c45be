"""The catalogue: every number has a source or is an assumption, and no law row claims more than was checked."""

from datetime import date

import pytest

from sim_core.catalogue import ARCHETYPES, archetype, law, material_names, with_overrides
from sim_core.errors import ModelError
from sim_core.generate.families import FAMILIES

CONFIDENCE = {"high", "derived", "medium", "low", "assumption"}
TYPES = {"recycled_content_mandate", "import_tariff", "carbon_tax", "recovery_efficiency", "export_ban"}


@pytest.mark.parametrize("name", ARCHETYPES)
def test_every_parameter_has_a_source_or_is_an_assumption_with_a_range(name: str):
    for parameter in archetype(name).parameters.values():
        assert parameter.confidence in CONFIDENCE, parameter.name
        assert parameter.source and parameter.unit, parameter.name
        if parameter.assumed:
            assert parameter.low is not None and parameter.high is not None, parameter.name
            assert parameter.low <= parameter.value <= parameter.high, parameter.name
            assert parameter.low < parameter.high, f"{parameter.name}: a range of no width is no range"


@pytest.mark.parametrize("name", ARCHETYPES)
def test_masses_shares_and_grades_add_up(name: str):
    product = archetype(name)
    for life in range(3):
        assert sum(product.value(f"grade.life{life}.{grade}") for grade in "abc") == pytest.approx(1.0)
    for route in ("hydro", "pyro", "hydro_high"):
        assert all(0.0 <= share <= 1.0 for share in product.by_material(f"recovery.{route}"))
    assert material_names(name) == product.materials and all(kg > 0 for kg in product.by_material("bom"))


def test_an_unverified_law_row_is_low_at_most():
    for row in law():
        assert row.confidence in {"high", "medium", "low"}, row.row
        if row.verification == "unverified":
            assert row.confidence == "low", row.row


def test_law_rows_are_dated_typed_and_sourced():
    rows = law()
    assert len({row.row for row in rows}) == len(rows)
    for row in rows:
        assert row.type in TYPES and row.basis in {"law", "counterfactual"} and row.source and row.reference, row.row
        assert (
            date.fromisoformat(row.announced_on)
            <= date.fromisoformat(row.adopted_on)
            <= date.fromisoformat(row.applies_on)
        )
        assert row.material in (*material_names("ev_battery"), "all") and row.value >= 0.0
    assert {row.instrument for row in rows if row.basis == "counterfactual"} == {"CF-TARIFF", "CF-CARBON"}


def test_families_name_only_law_that_the_catalogue_holds():
    known = {row.instrument for row in law()}
    assert all(set(rule.targets) <= known for family in FAMILIES for rule in family.rules)


def test_overrides_replace_values_and_nothing_else():
    base = archetype("ev_battery")
    changed = with_overrides(base, {"price.cobalt": 33.0})
    assert changed.value("price.cobalt") == 33.0 and changed.parameters["price.cobalt"].source == "experiment"
    assert {**changed.parameters, "price.cobalt": None} == {**base.parameters, "price.cobalt": None}
    with pytest.raises(ModelError, match=r"override price.kobalt: .* has no such parameter"):
        with_overrides(base, {"price.kobalt": 1.0})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"collection.share": 1.5}, r"share in \[0, 1\], not 1.5"),
        ({"bom.cobalt": -0.1}, "at least 0 kg/kWh"),
        ({"scrap.2030": 1.0}, "too little good output"),
        ({"lifetime.scale": 0.0}, "at least 0.1 year"),
        ({"second_life.years": 0.01}, "at least 0.1 year"),
        ({"distance.region": -5.0}, "at least 1 km"),
        ({"invest.build_months": 2.5}, "whole number of months"),
        ({"grade.life0.a": 0.9}, "must add up to 1"),
    ],
)
def test_an_override_that_no_product_can_have_is_refused(overrides, message):
    with pytest.raises(ModelError, match=message):
        with_overrides(archetype("ev_battery"), overrides)


def test_grades_may_be_overridden_together():
    grades = {"grade.life0.a": 0.5, "grade.life0.b": 0.2, "grade.life0.c": 0.3}
    assert with_overrides(archetype("ev_battery"), grades).value("grade.life0.a") == 0.5


def test_an_unknown_archetype_is_refused():
    with pytest.raises(ModelError, match="unknown archetype"):
        archetype("toaster")


def test_every_parameter_is_used(bench):
    """A number that nothing reads promises a mechanism that isn't there."""
    read: set[str] = set()

    class Watched(dict):
        def __getitem__(self, name):
            read.add(name)
            return super().__getitem__(name)

    base = archetype("ev_battery")
    watched = type(base)(name=base.name, materials=base.materials, parameters=Watched(base.parameters))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim_core.engine.layout.with_overrides", lambda product, overrides: watched)
        layout = bench.layout(scored=30)
        bench.run(layout, [bench.scenario(layout)], bench.random_schedules(layout, 1))
    assert set(base.parameters) - read == set()
