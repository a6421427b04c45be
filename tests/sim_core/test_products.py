"""Products compiled: classes by life and grade, grade shares by quality, materials and lines in common."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from sim_core.catalogue import archetype, with_overrides
from sim_core.engine.layout import build_layout
from sim_core.engine.products import (
    A,
    B,
    C,
    D,
    class_quality,
    compile_products,
    grade_shares,
    remanufactured,
    reused,
)
from sim_core.suite import ProductShare
from tests.sim_core import tiny

LIFE = np.array([0, 1, 1, 2, 2])
BASE = {"grade.A": 0.1, "grade.B": 0.5, "grade.C": 0.25, "grade.D": 0.15}
WEAR = {"quality.loss": 0.1, "quality.spread": 0.2, "quality.restore_gap": 0.05}


def worn(**changes: float):
    return with_overrides(archetype("plain"), {**BASE, **WEAR, **tiny.dotted(changes)})


def test_classes_are_lives_by_the_way_they_began():
    """0; then reused as is and remanufactured, of life 1 and of life 2."""
    assert [(reused(c), remanufactured(c)) for c in range(5)] == [(1, 2), (3, 4), (3, 4), (5, 6), (5, 6)]
    found = compile_products((archetype("ev_battery"),), ("x",), [1.0])
    assert found.life.tolist() == LIFE.tolist() and found.classes == 5
    assert found.again[0].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]
    health = [archetype("ev_battery").value(f"soh.life{n}") for n in LIFE]
    assert found.health[0].tolist() == health


def test_a_product_with_fewer_lives_has_classes_that_stay_empty():
    found = compile_products((archetype("ev_battery"), archetype("pet_bottle")), ("x", "y"), [1.0, 1.0])
    assert found.again[1].tolist() == [0.0] * 5 and found.health[1].tolist() == [
        archetype("pet_bottle").value("soh.life0"), 0.0, 0.0, 0.0, 0.0
    ]  # fmt: skip


@pytest.mark.parametrize(("more", "classes"), [({}, 1), ({"r": "remanufacturer"}, 3), ({"i": "inspection"}, 3)])
def test_where_nobody_gives_units_another_life_class_0_is_the_only_one(more: dict[str, str], classes: int):
    nodes = {"v": "supplier", "a": "warehouse", "m": "market", **more}
    lanes = {"v > a": {"lead": 1}, "a > m": {}, **{f"{name} > a": {"lead": 1} for name in more}}
    layout = build_layout(tiny.suite(tiny.net(nodes, lanes), (tiny.plain(),)))
    assert layout.products.classes == classes
    assert layout.products.again[0, 0] == 1.0  # by itself it could have one


def test_classes_that_nobody_reaches_change_no_account(request: pytest.FixtureRequest):
    """A market, a collector and a recycler: units come back, and none is sold again."""
    nodes = {"v": "supplier", "p": "plant", "m": "market", "c": "collector", "i": "inspection", "y": "recycler"}
    lanes = {"v > p": {"lead": 1}, "p > m": {}, "m > c": {}, "c > i": {}, "i > y": {}, "y > p": {"lead": 1}}
    battery = ProductShare(archetype="ev_battery", name="battery")

    def accounts() -> tuple[int, dict[str, list[float]]]:
        run = tiny.simulated(tiny.net(nodes, lanes), {"p.S": 0.5, "y.M": 1.0}, products=(battery,))
        ledger = {**run.ledger.money, **run.ledger.flow}
        return run.layout.products.classes, {str(name): values.tolist() for name, values in ledger.items()}

    classes, found = accounts()
    request.getfixturevalue("all_classes")
    all_classes, expected = accounts()
    assert (classes, all_classes) == (1, 5)
    assert found == {name: pytest.approx(values, rel=1e-12) for name, values in expected.items()}
    assert sum(found["end_of_life"]) > 0.0 and sum(found["to_recycling"]) > 0.0


def test_quality_falls_with_every_life_and_a_little_in_remanufacture():
    assert class_quality(worn(), LIFE).tolist() == pytest.approx([1.0, 0.9, 0.9 * 0.95, 0.81, 0.81 * 0.95])


def test_new_units_are_graded_with_the_base_shares():
    assert grade_shares(worn(), LIFE)[:, 0].tolist() == pytest.approx([0.1, 0.5, 0.25, 0.15])


def test_worn_units_are_graded_by_the_same_thresholds():
    """Grade A above the 90 % quantile of a new unit's quality, which a unit of quality 0.9 exceeds less often."""
    found = grade_shares(worn(), LIFE)
    threshold = 1.0 + 0.2 * norm.ppf(0.9)
    assert found[A, 1] == pytest.approx(1.0 - norm.cdf((threshold - 0.9) / 0.2))
    lowest = 1.0 + 0.2 * norm.ppf(0.15)
    assert found[D, 4] == pytest.approx(norm.cdf((lowest - 0.81 * 0.95) / 0.2))


@given(
    st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any),
    st.floats(0.0, 0.5),
    st.floats(0.01, 1.0),
    st.floats(0.0, 0.5),
)
def test_shares_of_grades_add_up_and_get_worse_with_every_life(
    weights: list[int], loss: float, spread: float, gap: float
):
    total = float(sum(weights))
    base = {f"grade.{name}": weight / total for name, weight in zip("ABCD", weights, strict=True)}
    one = with_overrides(
        archetype("plain"), {**base, "quality.loss": loss, "quality.spread": spread, "quality.restore_gap": gap}
    )
    found = grade_shares(one, LIFE)
    assert (found >= 0.0).all() and found.sum(axis=0) == pytest.approx(np.ones(5))
    assert found[:, 0] == pytest.approx([base[f"grade.{name}"] for name in "ABCD"], abs=1e-9)
    better = np.cumsum(found, axis=0)[:3]
    for earlier, later in ((0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4)):
        assert (better[:, later] <= better[:, earlier] + 1e-12).all()


def test_a_threshold_that_moves_with_the_class_is_found(monkeypatch):
    """The mutant: every class graded with the base shares, as if quality were never lost."""
    monkeypatch.setitem(globals(), "grade_shares", lambda one, life: np.tile(grade_shares_of(one), (len(life), 1)).T)
    grade_shares_of = lambda one: np.array([one.value(f"grade.{name}") for name in "ABCD"])  # noqa: E731
    with pytest.raises(AssertionError):
        test_worn_units_are_graded_by_the_same_thresholds()


def test_all_products_share_the_materials_and_the_lines_of_the_region():
    battery, phone = archetype("ev_battery"), archetype("smartphone")
    found = compile_products((battery, phone), ("car", "phone"), [1.0, 0.5])
    assert found.materials[: len(battery.materials)] == battery.materials
    assert set(found.materials) == {*battery.materials, *phone.materials}
    for i, one in enumerate((battery, phone)):
        for m, material in enumerate(found.materials):
            expected = one.value(f"bom.{material}") if material in one.materials else 0.0
            assert found.bom[i, m] == expected
    assert found.routes[:4] == ("export", "pyro", "hydro", "hydro_high") and "smelting" in found.routes
    assert found.offered[found.routes.index("hydro")].tolist() == [1.0, 0.0]
    assert found.offered[found.routes.index("export")].tolist() == [1.0, 1.0]
    assert found.lines[found.best_line[0]] == "wet" and found.lines[found.best_line[1]] == "leaching"
    export = battery.value("recycling.export.capacity") + phone.value("recycling.export.capacity")
    assert found.line_capacity("export") == export


def test_a_price_that_two_products_state_is_the_first_ones():
    first = ProductShare(archetype="ev_battery", name="first", overrides={"price.cobalt": 11.0})
    second = ProductShare(archetype="ev_battery", name="second", overrides={"price.cobalt": 99.0})
    layout = build_layout(tiny.suite("loop", (first, second)))
    assert layout.products.by_material("price")[layout.products.materials.index("cobalt")] == 11.0


def test_a_product_without_materials_weighs_a_kilogram():
    assert compile_products((archetype("plain"),), ("x",), [1.0]).mass.tolist() == [1.0]


def test_grades_are_in_their_order():
    assert (A, B, C, D) == (0, 1, 2, 3)
