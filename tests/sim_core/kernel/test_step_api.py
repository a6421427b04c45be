"""Step by step: the kernel in pieces gives the bytes of one go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import NodeKind
from tests.sim_core.kernel.parity import cell_bytes, kernel, rich
from tests.sim_core.random_models import KEYS, PERIODS, SIZES, Alert, Case, Size
from tests.sim_core.test_properties import quick

ORDINARY = Size(dict.fromkeys(NodeKind, 1), 1, 2, 5)
STOPS = st.lists(st.integers(0, PERIODS + 2), min_size=1, max_size=6).map(sorted)


def in_steps(one: Case, stops: list[int]) -> KernelSimulation:
    run = kernel(one, KEYS)
    for stop in stops:
        run.advance(stop)
    assert run.t == min(PERIODS, stops[-1])
    run.advance()
    return run


def differing(run: KernelSimulation, other: KernelSimulation) -> list[int]:
    return [cell for cell in range(len(KEYS)) if cell_bytes(run, cell) != cell_bytes(other, cell)]


@quick(12)
@given(SIZES, STOPS)
def test_any_stops_give_the_bytes_of_one_go(size: Size, stops: list[int]):
    one = rich(size)
    assert differing(in_steps(one, stops), in_steps(one, [PERIODS])) == []


@quick(6)
@given(SIZES)
def test_a_controller_that_acts_every_period_has_the_bytes_of_one_go(size: Size):
    one = rich(size, epoch_months=1)
    assert differing(in_steps(one, list(range(1, PERIODS + 1))), in_steps(one, [PERIODS])) == []


@pytest.mark.parametrize("epoch_months", [1, 6])
def test_a_controller_is_asked_once_a_review_however_the_run_is_cut(epoch_months: int):
    one, asked = rich(ORDINARY, epoch_months=epoch_months), list[int]()

    class Noting(Alert):
        def decide(self, observation):
            asked.append(observation.period)
            return super().decide(observation)

    run = kernel(one, KEYS, Noting(one.layout, KEYS))
    for stop in (1, 1, 2, 3, 7, 8, 9, 12, 13, 19, 19, 30):
        run.advance(stop)
    assert asked == list(range(0, PERIODS, epoch_months))


def test_the_ledger_may_be_read_on_the_way_and_stays_as_it_was():
    run = kernel(rich(ORDINARY), KEYS)
    run.advance(12)
    before = run.ledger.objective()
    kept = before.copy()
    run.advance()
    assert (before == kept).all() and (run.ledger.objective() != before).any()


def test_a_stop_that_is_past_changes_nothing():
    run = kernel(rich(ORDINARY), KEYS)
    run.advance(5)
    before = [cell_bytes(run, cell) for cell in range(len(KEYS))]
    run.advance(3)
    assert run.t == 5 and [cell_bytes(run, cell) for cell in range(len(KEYS))] == before
