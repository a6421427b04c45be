"""The catalogue: every number has a source or is an assumption, all archetypes say the same things, in sane sizes."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from sim_core.catalogue import (
    ARCHETYPES,
    GRADES,
    LIFETIMES,
    Archetype,
    archetype,
    material_names,
    objections,
    with_lifetime,
    with_overrides,
)
from sim_core.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]
CONFIDENCE = {"high", "derived", "medium", "low", "definition", "assumption"}
COMPLETE = ("ev_battery", "smartphone", "pv_module")
REAL = tuple(name for name in ARCHETYPES if name != "plain")
UNITS = {  # {u}: the functional unit
    "1", "year", "month", "month on average", "calendar year", "year after 2026", "shape", "km", "kg/kg",
    "kg/kg of feed", "kg/month", "kg/{u}", "{u}/month", "{u}/{u}", "{u}/{u} produced gross", "EUR/{u}", "EUR/kg",
    "EUR/kg of feed", "EUR/t", "EUR/t-km", "EUR per {u}/month", "EUR per kg/month", "kgCO2e/{u}", "kgCO2e/kg",
    "kgCO2e/kg of feed", "kgCO2e/t-km", "1/year", "1/month", "1/sqrt(year)", "1/year of value", "1/year per node",
    "1/year per lane", "share of virgin price", "x trend demand of 2046", "x material demand of 2031",
    "x material demand of 2046", "x life of a new unit", "x quality of a new unit",
}  # fmt: skip


def pattern(product: Archetype, name: str) -> str:
    """A parameter's name with its material, route, line or life left open."""
    parts = name.split(".")
    if parts[0] in ("bom", "price", "recovery") or parts[:2] == ["carbon", "virgin"]:
        parts[-1] = "MATERIAL" if parts[-1] in product.materials else parts[-1]
    if parts[0] in ("recovery", "recycling") and parts[1] in {route.name for route in product.routes}:
        parts[1] = "ROUTE" if parts[-1] != "capacity" else parts[1]
    if parts[0] == "recycling" and parts[-1] == "capacity" and parts[1] in product.lines:
        parts[1] = "LINE"
    return re.sub(r"^soh\.life\d+$", "soh.lifeN", ".".join(parts))


def spelt_out(product: Archetype, patterns: Iterable[str]) -> set[str]:
    """Every name that a product needs by these patterns."""
    names = set(patterns)
    for word, choices in (
        ("MATERIAL", product.materials),
        ("ROUTE", [route.name for route in product.routes]),
        ("LINE", product.lines),
        ("lifeN", [f"life{n}" for n in range(product.lives)]),
    ):
        names = {name.replace(word, choice) for name in names for choice in (choices if word in name else [""])}
    return names


@pytest.mark.parametrize("name", ARCHETYPES)
def test_every_parameter_has_a_source_or_is_an_assumption_with_a_range(name: str):
    for entry in archetype(name).parameters.values():
        assert entry.confidence in CONFIDENCE and entry.source, entry.name
        assert ("assumption" in entry.source) == entry.assumed, entry.name
        assert (entry.low is None) == (entry.high is None), entry.name
        if entry.low is not None and entry.high is not None:
            assert entry.low <= entry.value <= entry.high, entry.name
            assert entry.low < entry.high, f"{entry.name}: a range of no width is no range"
        assert not entry.assumed or entry.low is not None, entry.name


@pytest.mark.parametrize("name", ARCHETYPES)
def test_all_archetypes_have_the_same_parameters(name: str):
    model, product = archetype("ev_battery"), archetype(name)
    patterns = {pattern(model, parameter) for parameter in model.parameters}
    assert {"bom.MATERIAL", "recovery.ROUTE.MATERIAL", "recycling.LINE.capacity", "soh.lifeN"} < patterns
    assert set(product.parameters) == spelt_out(product, patterns)


@pytest.mark.parametrize("name", ARCHETYPES)
def test_units_are_of_a_closed_vocabulary_and_the_same_for_all_archetypes(name: str):
    model, product = archetype("ev_battery"), archetype(name)
    forms = {pattern(model, entry.name): entry.unit.replace("kWh", "{u}") for entry in model.parameters.values()}
    assert set(forms.values()) <= UNITS
    for entry in product.parameters.values():
        form = LIFETIMES[product.lifetime] if entry.name == "lifetime.shape" else forms[pattern(product, entry.name)]
        assert entry.unit == form.replace("{u}", product.functional_unit), entry


@pytest.mark.parametrize("name", ARCHETYPES)
def test_what_the_catalogue_says_is_possible(name: str):
    """The catalogue's own values meet what overrides must meet, the ends of ranges too."""
    product = archetype(name)
    assert objections(product, {key: entry.value for key, entry in product.parameters.items()}) == []
    for entry in product.parameters.values():
        for end in (entry.low, entry.high):
            found = objections(product, {entry.name: end}) if end is not None else []
            assert [wrong for wrong in found if "grades" not in wrong[1]] == []


@pytest.mark.parametrize("name", ARCHETYPES)
def test_masses_shares_and_grades_add_up(name: str):
    product = archetype(name)
    assert product.lifetime in LIFETIMES and product.lives >= 1
    assert sum(product.value(f"grade.{grade}") for grade in GRADES) == pytest.approx(1.0)
    assert product.lives > 1 or product.value("grade.D") == 1.0
    health = [product.value(f"soh.life{life}") for life in range(product.lives)]
    assert health[0] == 1.0 and health == sorted(health, reverse=True)
    bom = product.by_material("bom")
    assert all(kg > 0 for kg in bom)
    for route in product.routes:
        won = sum(kg * share for kg, share in zip(bom, product.by_material(f"recovery.{route.name}"), strict=True))
        assert won / sum(bom) + product.value(f"recycling.{route.name}.credit") <= 1.0
        assert won == 0.0 or not route.exported


@pytest.mark.parametrize("name", REAL)
def test_sizes_are_economically_sane(name: str):
    """A new product pays, a remanufactured one costs less, and treatment can hold what the 2030s bring."""
    product = archetype(name)
    material = sum(a * b for a, b in zip(product.by_material("bom"), product.by_material("price"), strict=True))
    cost = material + product.value("production.cost")
    assert product.value("product.price") > 1.1 * cost
    assert product.value("reman.cost") < cost
    assert product.value("second_life.price") >= product.value("second_life.cost")
    costs = [product.value(f"recycling.{route.name}.cost") for route in product.routes]
    assert costs == sorted(costs), "routes stand cheapest first"
    assert product.value("inspection.capacity") >= product.value("collection.capacity")
    assert product.value("demand.start") > 0 and product.value("demand.saturation") > 0


def test_three_archetypes_are_complete_and_may_rank():
    assert [name for name in ARCHETYPES if archetype(name).ranked] == [*COMPLETE, "plain"]
    for name in COMPLETE:
        entries = archetype(name).parameters.values()
        assert sum(not entry.assumed for entry in entries) >= 0.2 * len(entries)


def test_the_plain_product_has_no_costs_no_limits_and_no_end_of_life():
    plain = archetype("plain")
    assert plain.materials == plain.routes == () and plain.lifetime == "none" and plain.lives == 2
    for name, entry in plain.parameters.items():
        assert not entry.assumed
        if entry.unit.startswith(("EUR", "kgCO2e")):
            assert entry.value == 0.0, name
        if name.endswith(".capacity"):
            assert entry.value == 1e12, name
        if name.endswith(".yield"):
            assert entry.value == 1.0, name


def test_every_parameter_of_the_plain_product_can_be_shaped():
    plain = archetype("plain")
    grades = {"grade.A": 0.1, "grade.B": 0.2, "grade.C": 0.3, "grade.D": 0.4}
    values = {name: 0.9 if name.startswith("scrap.") else 1.0 for name in plain.parameters}
    shaped = with_overrides(plain, values | grades)
    assert {entry.source for entry in shaped.parameters.values()} == {"experiment"}


def test_overrides_replace_values_and_nothing_else():
    base = archetype("ev_battery")
    changed = with_overrides(base, {"price.cobalt": 33.0})
    assert changed.value("price.cobalt") == 33.0 and changed.parameters["price.cobalt"].source == "experiment"
    assert {**changed.parameters, "price.cobalt": None} == {**base.parameters, "price.cobalt": None}
    assert replace(changed, parameters={}) == replace(base, parameters={})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"price.kobalt": 1.0}, r"override price.kobalt: .* no such parameter; did you mean 'price.cobalt'\?"),
        ({"grade.E": 1.0}, r"no such parameter; did you mean 'grade.[A-D]'\?"),
        ({"xyz": 1.0}, "no such parameter; see"),
        ({"bom.tin": 1.0}, r"has no material 'tin'; its materials are \['cobalt'"),
        ({"recovery.hydro.cobalt": 1.01}, r"share in \[0, 1\], not 1.01"),
        ({"soh.life3": 0.5}, "did you mean 'soh.life"),
        ({"collection.share": 1.5}, r"share in \[0, 1\], not 1.5"),
        ({"forecast.smoothing": 1.1}, r"share in \[0, 1\], not 1.1"),
        ({"bom.cobalt": -0.1}, "at least 0 kg/kWh"),
        ({"scrap.2030": 0.91}, "too little good output"),
        ({"lifetime.scale": 0.08}, "at least 0.0833333 year"),
        ({"second_life.years": 0.01}, "at least 0.0833333 year"),
        ({"quality.spread": 0.0}, "at least 0.001 x quality"),
        ({"disruption.months": 0.5}, "at least 1 month on average"),
        ({"distance.region": -5.0}, "at least 1 km"),
        ({"invest.build_months": 2.5}, "whole number of months"),
        ({"invest.build_months": 0.0}, "whole number of months, at least 1"),
        ({"history.growth": -0.95}, "at least -0.9 1/year"),
        ({"price.reversion": -0.1}, "at least 0 1/year"),
        ({"product.price": float("nan")}, "must be a finite number"),
        ({"reman.capacity": float("inf")}, "must be a finite number"),
        ({"grade.A": 0.9}, "grades must add up to 1, not 1.8: override A, B, C and D together"),
    ],
)
def test_an_override_that_no_product_can_have_is_refused(overrides: dict[str, float], message: str):
    with pytest.raises(ModelError, match=message):
        with_overrides(archetype("ev_battery"), overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {"collection.share": 1.0},
        {"collection.share": 0.0},
        {"scrap.2030": 0.9},
        {"lifetime.scale": 1.0 / 12.0},
        {"invest.build_months": 1.0},
        {"history.growth": -0.9},
        {"external.premium": -0.5},
        {"recycling.hydro.cost": -3.0},
        {"demand.midpoint": -4.0},
        {"grade.A": 0.5, "grade.B": 0.2, "grade.C": 0.3, "grade.D": 0.0},
    ],
)
def test_an_override_at_the_edge_is_taken(overrides: dict[str, float]):
    changed = with_overrides(archetype("ev_battery"), overrides)
    assert {name: changed.value(name) for name in overrides} == overrides


def test_a_material_that_a_product_lacks_cannot_be_added():
    with pytest.raises(ModelError, match=r"'plain' has no material 'steel'; its materials are \[\]"):
        with_overrides(archetype("plain"), {"bom.steel": 1.0})


def test_the_lifetime_of_a_product_can_be_another_distribution():
    base = archetype("ev_battery")
    assert with_lifetime(base, "") == base
    normal = with_lifetime(base, "normal")
    assert normal.lifetime == "normal" and normal.parameters["lifetime.shape"].unit == "year"
    assert replace(normal, lifetime=base.lifetime, parameters=base.parameters) == base
    geometric = with_lifetime(base, "geometric")
    assert with_overrides(geometric, {"lifetime.shape": 0.02}).value("lifetime.shape") == 0.02
    with pytest.raises(ModelError, match=r"share in \[0, 1\], not 1.2"):
        with_overrides(geometric, {"lifetime.shape": 1.2})
    with pytest.raises(ModelError, match=r"leaving probability per month, not 4\.2305: set it"):
        with_overrides(geometric, {"price.cobalt": 1.0})
    with pytest.raises(ModelError, match="unknown lifetime 'gamma'; known are"):
        with_lifetime(base, "gamma")


def test_materials_of_several_products_are_listed_once_in_order():
    products = [archetype("smartphone"), archetype("ev_battery"), archetype("smartphone")]
    assert material_names(products) == (
        "cobalt", "gold", "copper", "aluminium", "plastics_glass", "nickel", "lithium", "other",
    )  # fmt: skip
    assert material_names([archetype("plain")]) == ()


def test_products_that_share_a_name_mean_the_same_by_it():
    """A suite of several products joins materials, routes and lines by name."""
    routes, prices = dict[str, object](), dict[str, tuple[float, float]]()
    for product in map(archetype, REAL):
        for route in product.routes:
            assert routes.setdefault(route.name, route) == route
        for material in product.materials:
            facts = (product.value(f"price.{material}"), product.value(f"carbon.virgin.{material}"))
            price, carbon = prices.setdefault(material, facts)
            assert price == pytest.approx(facts[0]) and carbon == pytest.approx(facts[1], rel=0.1), material


def test_an_unknown_archetype_is_refused():
    with pytest.raises(ModelError, match="unknown archetype"):
        archetype("toaster")


def test_the_table_of_archetypes_is_what_the_catalogue_holds():
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", (ROOT / "docs/archetypes.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(ARCHETYPES)
    for name, cells in rows:
        product = archetype(name)
        entries = product.parameters.values()
        counts = [sum(entry.confidence in kinds for entry in entries) for kinds in _KINDS]
        share = f"{100.0 * counts[-1] / len(entries):.0f} %"
        ranked = "yes" if product.ranked else "no"
        facts = [product.functional_unit, product.lifetime, product.lives, len(product.materials), len(product.routes)]
        assert [cell.strip() for cell in cells.split("|")] == [str(x) for x in (*facts, *counts, share, ranked)]


_KINDS = ({"high", "derived"}, {"medium", "low"}, {"definition"}, {"assumption"})
