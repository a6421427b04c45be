"""Parity: on any network, law and control the kernel books and holds what the NumPy engine does, to 1e-9."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.network import NodeKind
from sim_core.suite import ProductShare
from tests.sim_core.kernel.parity import apart, doubtful_windows, kernel, rich, unlike
from tests.sim_core.random_models import KEYS, PERIODS, SIZES, Case, Size, case
from tests.sim_core.test_properties import quick

EVERYTHING = Size(dict.fromkeys(NodeKind, 2), 2, 6, 0)


def check_parity(one: Case, halfway: int, *, look_back: bool = False) -> None:
    with doubtful_windows(len(KEYS)) as doubtful:
        numpy_run, kernel_run = one.simulation(KEYS), kernel(one, KEYS, look_back=look_back)
        for until in (0, halfway, None):
            numpy_run.advance(until)
            kernel_run.advance(until)
            found = apart(numpy_run.ledger, kernel_run.ledger, doubtful), unlike(numpy_run, kernel_run)
            assert found == ([], [])


@quick(70)
@given(SIZES, st.integers(1, PERIODS - 1), st.booleans())
def test_any_model_is_simulated_as_by_the_numpy_engine(size: Size, halfway: int, look_back: bool):
    check_parity(rich(size), halfway, look_back=look_back)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("merged", [1, 5, 12])
def test_a_network_of_everything_is_simulated_as_by_the_numpy_engine(seed: int, merged: int):
    size = Size(EVERYTHING.nodes, 2, 6, 10 * seed + merged)
    check_parity(case(size, vintage_periods=merged, epoch_months=3), 13)


@pytest.mark.parametrize("basis", ["marketed", "collected", "ended"])
def test_a_duty_may_look_back_on_any_register(basis: str):
    duty: dict[str, Any] = {
        "id": "reuse",
        "type": "repair_reuse_quota",
        "schedule": {"shape": "staircase", "steps": [["2030-05-01", 0.9]]},
        "basis": basis,
        "lag": 2,
        "window": {"months": 3},
        "penalty": {"value": 5.0, "unit": "EUR/unit"},
    }
    size = Size(dict.fromkeys(NodeKind, 1), 1, 0, 5)
    one = case(size, instruments=(duty,), start="2030-01", products=(ProductShare(archetype="smartphone"),))
    check_parity(one, 13)
    run = one.simulation(KEYS)
    run.advance()
    assert any(mean.any() for mean in run._compliance._looked_back.values())
