"""The state that controllers may plan from: read-only, of their own cells, what the engine holds."""

from types import MappingProxyType

import numpy as np
import pytest

from sim_core.control import Control, Observation
from sim_core.engine import situation as situations
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.situation import Situation, situation_of
from sim_core.errors import ModelError
from tests.sim_core import tiny


class Spoiling:
    """Tries to change the state, then decides as another would."""

    def __init__(self, run: Simulation, spoil) -> None:
        self._inner, self._spoil = run._controller, spoil

    def decide(self, observation: Observation) -> Control:
        self._spoil(situation_of(observation, "spoiling"))
        return self._inner.decide(observation)


def under_way() -> Simulation:
    run = tiny.begin(tiny.loop(), {"w.S": 1.0, "f.S": 1.0, "r.M": 1.0}, empty=False, epoch_months=1)
    run.advance(3)
    return run


def put(array: np.ndarray) -> None:
    array[...] = 1.0


SPOIL = {
    "goods": lambda now: put(now.state.goods),
    "in use": lambda now: now.state.use.outflow(now.t),
    "lanes": lambda now: [pipe.take(now.t) for pipe in now.state.pipes.values()],
    "forecast": lambda now: put(now.state.forecast),
    "capacity": lambda now: put(next(iter(now.capacity._steps.values()))),
    "pipes": lambda now: now.state.pipes.clear(),
}


@pytest.mark.parametrize("what", SPOIL)
def test_a_controller_cannot_change_the_state(what: str):
    run = under_way()
    run._controller = Spoiling(run, SPOIL[what])
    with pytest.raises((ValueError, AttributeError), match=r"read-only|no attribute"):
        run._controller.decide(Observation(period=0, epoch=0, announced_duty=np.zeros((1, 0, 8)),
                                           announced_route_legal=np.zeros((1, 0, 8), dtype=bool),
                                           announced_collection=np.zeros((1, 8)),
                                           situation=run._situation()))  # fmt: skip


def test_what_is_replaced_on_a_copy_leaves_the_engine_alone():
    run = under_way()
    now = run._situation()
    state = now.state
    state.forecast = np.zeros_like(state.forecast)
    assert run.state.forecast.all() and now.state.forecast.all()


def test_a_state_that_can_be_changed_is_found(monkeypatch):
    monkeypatch.setattr(situations, "read_only", lambda value: value)
    run = under_way()
    put(run._situation().state.goods)
    assert (run.state.goods == 1.0).all(), "without the guard the engine's own stock changes"


def test_it_shows_what_the_engine_holds():
    run = under_way()
    now = run._situation()
    assert now.t == run.t == 3 and now.layout is run.layout
    for name in ("goods", "feed", "cores", "backlog", "forecast", "at_goods", "returns_forecast"):
        assert np.array_equal(getattr(now.state, name), getattr(run.state, name))
    assert np.shares_memory(now.state.goods, run.state.goods), "nothing is copied"
    assert isinstance(now.state.pipes, MappingProxyType) and set(now.state.pipes) == set(run.state.pipes)
    group = next(group for group, pipe in run.state.pipes.items() if pipe.on_lanes().any())
    assert np.array_equal(now.state.pipes[group].on_lanes(), run.state.pipes[group].on_lanes())
    assert now.state.product().tobytes() == run.state.product().tobytes()


def test_some_cells_are_an_index_not_a_copy():
    now = under_way()._situation()
    some = now.of([5, 2]).of([1])
    assert some.cells.tolist() == [2] and now.cells.tolist() == list(range(LANE_WIDTH))
    assert some.under_way is now.under_way and some.table is now.table
    assert some.position().shape[-1] == 1
    assert np.array_equal(some.position()[..., 0], now.position()[..., 2])


def test_an_observation_of_some_cells_goes_with_its_situation():
    run = under_way()
    seen = Observation(
        period=3,
        epoch=3,
        announced_duty=np.arange(8.0).reshape(1, 1, 8),
        announced_route_legal=np.ones((1, 1, 8), dtype=bool),
        announced_collection=np.zeros((1, 8)),
        situation=run._situation(),
    ).of([4, 6])
    assert seen.announced_duty.ravel().tolist() == [4.0, 6.0] and seen.period == seen.epoch == 3
    assert isinstance(seen.situation, Situation) and seen.situation.cells.tolist() == [4, 6]


def test_without_a_state_the_remedy_is_named():
    blind = Observation(
        period=0,
        epoch=0,
        announced_duty=np.zeros((1, 0, 1)),
        announced_route_legal=np.ones((1, 0, 1), dtype=bool),
        announced_collection=np.zeros((1, 1)),
    )
    with pytest.raises(ModelError, match=r"controller mpc plans from the state.*`engine: numpy`"):
        situation_of(blind, "mpc")
