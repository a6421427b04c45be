"""A simulation's state at a period boundary: a new one that takes it up goes on with the same bytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.errors import BalanceError, ModelError
from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import NodeKind
from tests.sim_core.kernel.parity import cell_bytes, kernel, rich
from tests.sim_core.kernel.test_injection import PERIOD, any_law, duty
from tests.sim_core.random_models import KEYS, PERIODS, SIZES, Case, Size
from tests.sim_core.test_properties import quick

ORDINARY = Size(dict.fromkeys(NodeKind, 1), 1, 2, 5)
STOPS = st.lists(st.integers(0, PERIODS), min_size=1, max_size=4).map(sorted)
Law = tuple[Mapping[str, Any], int] | None


def begun(one: Case, law: Law = None, **options: Any) -> KernelSimulation:
    run = kernel(one, KEYS, look_back=True, **options)
    if law is not None:
        run.inject(*law)
    return run


def relayed(one: Case, stops: list[int], law: Law = None, drop: str = "") -> KernelSimulation:
    """Run with a new simulation from each stop on, in blocks of other sizes. drop: what is left out of each state."""
    run = begun(one)
    pending = law
    for number, stop in enumerate([*stops, PERIODS]):
        if pending is not None and stop > pending[1]:
            run.inject(*pending)
            pending = None
        run.advance(stop)
        state = {name: np.zeros_like(value) if name == drop else value for name, value in run.state().items()}
        run = begun(one, law if pending is None else None, lanes=(8, 256)[number % 2])
        run.take_up(state)
    return run


def check_the_bytes_of_one_go(one: Case, stops: list[int], law: Law = None, drop: str = "") -> None:
    whole, cut = begun(one, law), relayed(one, stops, law, drop)
    whole.advance()
    cut.advance()
    assert [i for i in KEYS if cell_bytes(whole, i) != cell_bytes(cut, i)] == []


@quick(12)
@given(SIZES, STOPS)
def test_whoever_takes_a_state_up_goes_on_with_the_same_bytes(size: Size, stops: list[int]):
    check_the_bytes_of_one_go(rich(size), stops)


@quick(12)
@given(SIZES, STOPS, PERIOD)
def test_a_state_holds_what_injected_law_needs(size: Size, stops: list[int], t: int):
    live, new = any_law(size)
    check_the_bytes_of_one_go(live, stops, (new, t))


@pytest.mark.parametrize("name", ["x", "control", "t", "decided"])
def test_a_state_with_one_array_left_out_is_found(name: str):
    one = rich(ORDINARY, epoch_months=6)
    check_the_bytes_of_one_go(one, [7, 11])
    with pytest.raises((AssertionError, BalanceError)):
        check_the_bytes_of_one_go(one, [7, 11], drop=name)


def check_a_state_between_an_injection_and_its_first_period(fresh: int | None = None) -> None:
    live, new = rich(ORDINARY), duty("live")
    runs = [begun(live) for _ in range(2)]
    for run in runs:
        run.advance(7)
        run.inject(new, 7)
    other = begun(live, (new, 7))
    state = runs[0].state()
    other.take_up(state if fresh is None else {**state, "fresh": np.array(fresh)})
    for run in (runs[1], other):
        run.advance()
    assert [i for i in KEYS if cell_bytes(runs[1], i) != cell_bytes(other, i)] == []


def test_a_state_between_an_injection_and_its_first_period_goes_on_alike():
    check_a_state_between_an_injection_and_its_first_period()


def test_a_state_that_forgets_which_duties_are_new_is_found():
    with pytest.raises(AssertionError):
        check_a_state_between_an_injection_and_its_first_period(fresh=1000)


def test_a_state_of_other_cells_law_or_precision_is_refused():
    live, new = any_law(ORDINARY)
    run = begun(live)
    run.advance(3)
    state = run.state()
    fewer = kernel(live, KEYS[:5], look_back=True)
    for other in (fewer, begun(live, dtype=np.float32)):
        with pytest.raises(ModelError, match="can't be taken up"):
            other.take_up(state)
    with pytest.raises(ModelError, match="controls of shape"):
        begun(live).take_up({**state, "control": state["control"][:-1]})
    wider = begun(live, (new, 5))
    if wider.state()["x"].shape != state["x"].shape:
        with pytest.raises(ModelError, match="can't be taken up"):
            wider.take_up(state)
