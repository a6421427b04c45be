"""Circularity as functions of flows against known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.circularity import (
    chained_lives,
    economy_index,
    expected_lives,
    handprint,
    material_circularity,
    value_retained,
)

NAMES = {"FR": "recycled_feed", "FU": "reused_feed", "CR": "to_recycling", "CU": "to_reuse"}
NAMES |= {"EF": "feed_efficiency", "EC": "collection_efficiency", "X": "utility"}
# MCI version 2 (Ellen MacArthur Foundation and ANSYS Granta, 2019), recomputed by hand.
KNOWN = [
    ({}, 0.1),
    ({"X": 2}, 0.55),
    ({"X": 0.9}, 0.0),
    ({"X": 0.5}, 0.0),
    ({"FR": 1, "CR": 1}, 1.0),
    ({"FU": 1, "CU": 1}, 1.0),
    ({"FR": 0.5, "CR": 0.5}, 0.55),
    ({"FR": 0.25, "CR": 0.25, "EF": 0.8, "EC": 0.8}, 0.301869159),
    ({"FR": 0.3, "CR": 0.5}, 0.46),
    ({"FR": 0.9, "EF": 0.75}, 0.476744186),
]


@pytest.mark.parametrize(("inputs", "expected"), KNOWN)
def test_the_circularity_indicator_gives_the_known_answer(inputs: dict[str, float], expected: float):
    found = material_circularity(**{NAMES[name]: value for name, value in inputs.items()})
    assert float(found) == pytest.approx(expected, abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 1), st.floats(0.05, 1))
def test_the_indicator_lies_between_none_and_full(fr: float, fu: float, cr: float, cu: float, ef: float, ec: float):
    found = material_circularity(
        recycled_feed=fr * (1 - fu), reused_feed=fu, to_recycling=cr * (1 - cu), to_reuse=cu,
        feed_efficiency=ef, collection_efficiency=ec,
    )  # fmt: skip
    assert 0.0 <= float(found) <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("transition", "lives"),
    [
        ([[0.30, 0.50], [0.45, 0.0]], 3.157895),  # new, remanufactured
        ([[0.7 * 0.85]], 2.469136),
        ([[0.776]], 4.464286),  # 0.8 collected; of these 0.7 remanufactured, 0.9 of the rest recycled
        ([[0.0, 1.0], [0.0, 0.0]], 2.0),
        ([[0.0]], 1.0),
    ],
)
def test_expected_lives_are_those_of_the_absorbing_chain(transition: list[list[float]], lives: float):
    assert expected_lives(np.array(transition)) == pytest.approx(lives, abs=5e-7)


def test_lives_counted_within_a_horizon_are_censored():
    """Units live 5 of 20 periods and come back with 0.6: the chain says 2.5, a horizon has room for four of them."""
    assert chained_lives(np.array([0.6]), 4)[0] == pytest.approx(2.176, abs=1e-9)
    assert chained_lives(np.array([0.6, np.nan]), 4)[1] == 1.0
    assert expected_lives(np.array([[0.6]])) == pytest.approx(2.5, abs=1e-9)


def test_the_economy_index_is_undefined_where_nothing_came_to_its_end():
    found = economy_index(np.array([30.0, 0.0, 0.0]), np.array([120.0, 50.0, 0.0]))
    assert found[:2].tolist() == [0.25, 0.0] and np.isnan(found[2])


def test_value_is_retained_by_units_and_by_material():
    found = value_retained(np.array([40.0, 0.0]), np.array([20.0, 0.0]), np.array([100.0, 0.0]))
    assert found[0] == pytest.approx(0.6) and np.isnan(found[1])


def test_the_handprint_is_taken_at_equal_service():
    """The linear system emits 100 t for 50 units, 2 t each; own service of 60 units would take it 120 t."""
    own, served = np.array([90.0, 130.0, 90.0]), np.array([60.0, 60.0, 60.0])
    found = handprint(own, served, np.full(3, 100.0), np.array([50.0, 50.0, 0.0]))
    assert found[:2] == pytest.approx([30.0, -10.0]) and np.isnan(found[2])
    assert handprint(own, served, own, served)[:2] == pytest.approx([0.0, 0.0]), "the linear system's own is 0"
