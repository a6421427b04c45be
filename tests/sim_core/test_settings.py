"""Settings and built capacity: a control is checked before it acts, and what is built is there when it is paid."""

from collections.abc import Callable

import numpy as np
import pytest

from sim_core.control import Control
from sim_core.engine import settings as settings_module
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.settings import M, S, Settings
from sim_core.errors import BalanceError, ModelError
from sim_core.network import NodeKind
from tests.sim_core import tiny

CELLS = 8


def control(layout: Layout, *, target: float = 0.5, lever: float = 1.0, cells: int = CELLS, nodes: int = 0) -> Control:
    return Control(
        targets=np.full((3, len(layout.network.nodes) + nodes, cells), target),
        levers=np.full((len(layout.suite.levers), cells), lever),
    )


def spoilt(layout: Layout, part: str, value: float) -> Control:
    """A control whose one number, of one cell, is nonsense."""
    one = control(layout)
    getattr(one, part)[..., -1, 3] = value
    return one


def check_nonsense_is_refused(layout: Layout, part: str, value: float) -> None:
    refused = ""
    try:
        Settings(layout, spoilt(layout, part, value), CELLS)
    except ModelError as error:
        refused = error.message
    assert refused == f"a controller set {part} that are not all numbers in [0, 1]"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-9, 1.0 + 1e-9])
@pytest.mark.parametrize("part", ["targets", "levers"])
def test_a_number_outside_the_unit_interval_is_refused(small, part: str, value: float):
    check_nonsense_is_refused(small, part, value)


def test_settings_that_take_what_they_get_are_found(small, monkeypatch):
    def trusting(self: Settings, layout: Layout, one: Control, cells: int) -> None:
        self._layout, self._control, self._row = layout, one, {}

    monkeypatch.setattr(settings_module.Settings, "__init__", trusting)
    with pytest.raises(AssertionError):
        check_nonsense_is_refused(small, "targets", np.nan)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_ends_of_the_interval_are_in_it(small, value: float):
    Settings(small, control(small, target=value, lever=value), CELLS)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda one: Control(targets=one.targets[:2], levers=one.levers), "targets"),
        (lambda one: Control(targets=one.targets[:, 1:], levers=one.levers), "targets"),
        (lambda one: Control(targets=one.targets[..., :1], levers=one.levers), "targets"),
        (lambda one: Control(targets=one.targets[..., 0], levers=one.levers), "targets"),
        (lambda one: Control(targets=one.targets, levers=one.levers[1:]), "levers"),
        (lambda one: Control(targets=one.targets, levers=one.levers[:, :1]), "levers"),
        (lambda one: Control(targets=one.targets, levers=one.levers[:, 0]), "levers"),
    ],
)
def test_a_control_of_another_shape_is_refused(small, change: Callable[[Control], Control], name: str):
    """Also one that NumPy would stretch: a target meant for one cell may not act on eight."""
    with pytest.raises(ModelError, match=rf"a controller set {name} of shape \(.*\); this suite takes \("):
        Settings(small, change(control(small)), CELLS)


def test_a_controller_that_answers_for_another_network_stops_the_run_as_its_own_fault(small, bench):
    class Elsewhere:
        def decide(self, observation) -> Control:
            return control(small, nodes=1)

    with pytest.raises(ModelError, match="this suite takes") as caught:
        bench.run(small, [bench.scenario(small)], Elsewhere())
    assert not isinstance(caught.value, BalanceError)


def test_targets_are_scaled_by_the_suite_and_levers_are_not(bench):
    layout = bench.layout(max_cover=3.0, levers=("expedite",))
    found = Settings(layout, control(layout, target=0.25, lever=0.5), CELLS)
    plants = layout.targets[NodeKind.PLANT]
    usual = np.full((len(plants), 1, CELLS), 200.0)
    assert (found.level(S, plants, usual) == 0.75 * 200.0).all()
    assert (found.share(NodeKind.RECYCLER, M) == 0.25).all()
    assert (found.lever("expedite") == 0.5).all()
    assert found.lever("buy_back").tolist() == [0.0] * CELLS, "a lever that the suite leaves out is off"


def test_a_target_in_units_is_no_multiple_of_the_forecast():
    network = tiny.net(
        {
            "v": "supplier",
            "a": ("warehouse", {"max_target": {"S": 80.0}}),
            "b": "warehouse",
            "m": ("market", {"demand": tiny.demand(10.0)}),
        },
        {
            "v > a": {"lead": 1},
            "v > b": {"lead": 1},
            "a > m": {"share": 0.5},
            "b > m": {"share": 0.5},
        },
    )
    layout = build_layout(tiny.suite(network, max_cover=4.0))
    found = Settings(layout, control(layout, target=0.25), CELLS)
    usual = np.full((2, 1, CELLS), 7.0)
    level = found.level(S, layout.targets[NodeKind.WAREHOUSE], usual)
    assert level[:, 0, 0].tolist() == [0.25 * 80.0, 0.25 * 4.0 * 7.0]
