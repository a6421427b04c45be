"""Flows in the kernel: what is set to move moves as in the NumPy engine, decision by decision."""

import numpy as np
import pytest
from hypothesis import given

from sim_core.engine.rollout import Simulation
from tests.sim_core.kernel.parity import apart, kernel, unlike
from tests.sim_core.random_models import KEYS, SIZES, Alert, Case, Size
from tests.sim_core.test_flows import EVERYTHING, NAMES, Replay, recorded, replayed, simulation
from tests.sim_core.test_properties import quick


def acting(one: Case, flows: np.ndarray) -> Replay:
    return Replay(Alert(one.layout, KEYS), flows, one.layout.suite.levers)


def in_numpy(one: Case, flows: np.ndarray) -> Simulation:
    run = simulation(one, acting(one, flows))
    run.advance()
    return run


def flows_of(one: Case) -> np.ndarray:
    """Flows of a run, some of them halved and some more than there is."""
    record = recorded(one).record
    assert record
    factor = np.random.default_rng(7).choice((0.5, 1.0, 1.5), size=record.values.shape[1:])
    return record.values * factor


@quick(20)
@given(SIZES)
def test_flows_move_what_they_move_in_the_numpy_engine(size: Size):
    one = replayed(size)
    flows = flows_of(one)
    numpy_run, kernel_run = in_numpy(one, flows), kernel(one, KEYS, acting(one, flows))
    kernel_run.advance()
    assert (apart(numpy_run.ledger, kernel_run.ledger, 1.0), unlike(numpy_run, kernel_run)) == ([], [])


@pytest.fixture(scope="module")
def everything() -> tuple[Case, np.ndarray, Simulation]:
    one = replayed(EVERYTHING)
    flows = flows_of(one)
    return one, flows, in_numpy(one, flows)


@pytest.mark.parametrize("name", NAMES)
def test_a_block_that_the_kernel_does_not_get_is_found(everything: tuple[Case, np.ndarray, Simulation], name: str):
    one, flows, numpy_run = everything
    record = recorded(one).record
    assert record
    without = flows.copy()
    record.index.block(without, name)[...] = 0.0
    kernel_run = kernel(one, KEYS, acting(one, without))
    kernel_run.advance()
    assert apart(numpy_run.ledger, kernel_run.ledger, 1.0)
