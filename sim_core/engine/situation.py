"""Situation: the state of a simulation at a review, for controllers that plan from it. The NumPy engine's alone."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Observation
from sim_core.engine.compliance import ComplianceBook
from sim_core.engine.layout import Layout
from sim_core.engine.pipeline import add_up
from sim_core.engine.settings import Capacity
from sim_core.engine.state import State
from sim_core.engine.terms import TermsTable
from sim_core.errors import ModelError
from sim_core.network import LaneGroup
from sim_core.scenario import Scenario

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A batch of simulations at the start of period t, before anything of that period has happened.

    state, capacity, compliance: as the engine holds them, for all its cells, in read-only arrays; they stand only until
    the controller has decided. cells: (B,) which of the engine's cells the controller decides for: the last index of
    every array. table: the terms of all periods, of every engine cell, the coming and the realised ones too: what a
    controller may use of it is a part of its description. rows: (engine cells,) the scenario of each in `scenarios`.
    """

    layout: Layout
    t: int
    table: TermsTable
    scenarios: tuple[Scenario, ...]
    rows: NDArray[np.intp]
    cells: NDArray[np.intp]
    under_way: tuple[State, Capacity, ComplianceBook]  # the engine's own, not to be touched

    @property
    def state(self) -> State:
        """All stocks and forecasts."""
        return read_only(self.under_way[0])

    @property
    def capacity(self) -> Capacity:
        """Capacity that was built or is being built."""
        return read_only(self.under_way[1])

    @property
    def compliance(self) -> ComplianceBook:
        """The open windows of all obligations."""
        return read_only(self.under_way[2])

    def position(self) -> NDArray[np.float64]:
        """Return each goods point's inventory position, (G, P, B), of the controller's own cells."""
        return inventory_position(self.layout, self.under_way[0])[..., self.cells]

    def of(self, cells: Sequence[int]) -> "Situation":
        """Return the situation of some of the cells; nothing is copied."""
        return replace(self, cells=self.cells[cells])


def situation_of(observation: Observation, kind: str) -> Situation:
    """Return the state that a controller of a kind plans from. Raises ModelError where the engine doesn't show it."""
    if observation.situation is None:
        raise ModelError(
            f"controller {kind} plans from the state of the simulation, which this engine doesn't show: "
            "simulate it with `engine: numpy`"
        )
    return observation.situation


def inventory_position(layout: Layout, state: State) -> NDArray[np.float64]:
    """Return each goods point's inventory position, (G, P, B).

    On hand + inbound + ordered and on its way to the sender - what its markets wait for.
    """
    total = state.goods.sum(axis=2)
    for group in (LaneGroup.REUSE, LaneGroup.REMAN_GOODS):
        if layout.lanes[group].count:
            total = total + state.pipes[group].inbound().sum(axis=2)
    below = total[layout.plants :]  # warehouses alone are receivers of what is ordered
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL):
        if layout.lanes[group].count:
            below += state.pipes[group].inbound().sum(axis=2)
        if group in state.requests:
            below += state.requests[group].inbound()
    sales = layout.lanes[LaneGroup.SALES]
    owed = sales.share[:, None, None] * state.backlog[sales.receiver]
    return total - add_up(sales.to_sender, owed)


def read_only(value: T) -> T:
    """Return a shallow copy of something of the engine whose arrays, at any depth, are read-only views."""
    return _frozen(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(item) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if not _changes(value):
        return value
    found = copy.copy(value)
    for name in getattr(type(value), "__slots__", ()) or vars(value):
        setattr(found, name, _frozen(getattr(value, name)))
    return found


def _changes(value: Any) -> bool:
    """Tell whether something is a part of the engine that changes as it runs; constants are frozen dataclasses."""
    kind = type(value)
    constant = is_dataclass(kind) and kind.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
    return kind.__module__.startswith("sim_core.engine.") and not constant
