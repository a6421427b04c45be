"""Nonsense is the controller's fault: the kernel refuses what the NumPy engine refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_core.control import Control, Observation
from sim_core.engine.flows import flow_index
from sim_core.errors import ModelError
from sim_core.kernel.period import set_control
from sim_core.network import NodeKind
from tests.sim_core.kernel.parity import cell_bytes, kernel, rich
from tests.sim_core.random_models import Alert, Case, Size

ONE = rich(Size(dict.fromkeys(NodeKind, 1), 1, 2, 5), epoch_months=2)
CELLS = list(range(24))


class Changed(Alert):
    """Sets what a change makes of a good control, from a period on."""

    def __init__(self, one: Case, name: str, change: Any, since: int) -> None:
        super().__init__(one.layout, CELLS)
        self._name, self._change, self._since = name, change, since

    def decide(self, observation: Observation) -> Control:
        good = super().decide(observation)
        if observation.period < self._since:
            return good
        return replace(good, **{self._name: self._change(getattr(good, self._name))})


def number(value: float, cell: int) -> Any:
    def change(values: np.ndarray) -> np.ndarray:
        values[-1, ..., cell] = value
        return values

    return change


@pytest.mark.parametrize("since", [0, 4])
@pytest.mark.parametrize("name", ["targets", "levers"])
@pytest.mark.parametrize("cell", [0, 7, 8, 23])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0 + 1e-15, -1e-300, 7.0])
def test_a_number_outside_0_to_1_is_refused_wherever_it_stands(name: str, cell: int, value: float, since: int):
    run = kernel(ONE, CELLS, Changed(ONE, name, number(value, cell), since), lanes=8)
    run.advance(since)
    with pytest.raises(ModelError, match=r"not all numbers in \[0, 1\]"):
        run.advance()
    assert run.t == since


@pytest.mark.parametrize("name", ["targets", "levers"])
@pytest.mark.parametrize(
    "change", [lambda one: one[:-1], lambda one: one[..., :-1], lambda one: one[None], lambda one: one[..., 0]]
)
def test_another_shape_is_refused(name: str, change: Any):
    with pytest.raises(ModelError, match=f"a controller set {name} of shape .*; this suite takes"):
        kernel(ONE, CELLS, Changed(ONE, name, change, 0)).advance()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one[1:],
        lambda one: one[:, 1:],
        lambda one: one[None],
        *(number(value, cell) for value in (np.nan, np.inf, -1e-9, 1e200) for cell in (0, 7, 8, 23)),
    ],
)
def test_flows_that_are_no_amounts_are_refused(change: Any):
    flows = np.zeros((flow_index(ONE.layout).rows, len(CELLS)))
    with pytest.raises(ModelError, match="a controller set flows"):
        kernel(ONE, CELLS, Changed(ONE, "flows", lambda _: change(flows), 0), lanes=8).advance()


def frozen(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values


@pytest.mark.parametrize(
    "change",
    [frozen, np.asfortranarray, lambda one: np.repeat(one, 2, axis=-1)[..., ::2], lambda one: one.astype(bool)],
)
def test_any_array_of_such_numbers_is_taken_without_compiling_anew(change: Any):
    plain = kernel(ONE, CELLS, Changed(ONE, "levers", lambda one: one, 0))
    plain.advance()
    known = len(set_control.signatures)
    other = kernel(ONE, CELLS, Changed(ONE, "levers", change, 0))
    other.advance()
    assert [i for i in range(len(CELLS)) if cell_bytes(plain, i) != cell_bytes(other, i)] == []
    assert len(set_control.signatures) == known
