"""Controllers: what acts on a network, what it may see, and what it may set.

Controls are targets, not raw orders. Each node has up to three numbers in [0, 1] that the network scales:
S order-up-to, M remanufacture-up-to (at a plant recycled-feed-up-to, at a recycler route throughput, at inspection the
share offered to second life), U keep-up-to.
Levers are switched on or off per review epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sim_core.seeding import content_id

if TYPE_CHECKING:
    from sim_core.engine.situation import Situation

LEVERS = (
    "buy_back",
    "expedite",
    "second_source",
    "stock_ahead",
    "premium_inspection",
    "alternative_route",
    "lateral_transfer",
    "design_for_disassembly",
    "invest_recycler",
    "invest_remanufacturer",
    "invest_collector",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerRecord:
    """A controller as data: what kind it is and the numbers that fix it.

    Two records with equal kind and parameters are the same controller, whatever Entry names it.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The sha256 content id."""
        return content_id(self.kind, self.parameters)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": self.kind, "parameters": dict(self.parameters)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a record from its JSON form."""
        return cls(kind=value["kind"], parameters=value["parameters"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a controller may see at a review: announced law, never the realised law.

    H coming months, B cells last. announced_duty: the recycled-content share that is announced, at this date, for each
    of them. announced_route_legal: which recycling routes announced law leaves open in each. announced_collection: the
    largest share that is to be collected. situation: the state of the simulation, which the NumPy engine alone gives;
    see sim_core.engine.situation.
    """

    period: int
    epoch: int
    announced_duty: NDArray[np.float64]  # (H, materials, B)
    announced_route_legal: NDArray[np.bool_]  # (H, routes, B)
    announced_collection: NDArray[np.float64]  # (H, B)
    situation: "Situation | None" = None

    def of(self, cells: Sequence[int]) -> "Observation":
        """Return what the controllers of some cells see."""
        return Observation(
            period=self.period,
            epoch=self.epoch,
            announced_duty=self.announced_duty[..., cells],
            announced_route_legal=self.announced_route_legal[..., cells],
            announced_collection=self.announced_collection[..., cells],
            situation=None if self.situation is None else self.situation.of(cells),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a controller sets for one review epoch, in [0, 1]: targets (3, nodes, B), levers (levers, B).

    flows: for tests, (F, B): what to do in each period of the epoch, in units or kg, instead of what targets and levers
    that steer flows would ask for, as far as stock, capacity and law allow. Rows: sim_core.engine.flows.
    """

    targets: NDArray[np.float64]
    levers: NDArray[np.float64]
    flows: NDArray[np.float64] | None = None


class Controller(Protocol):
    """A batch of B controllers, one per cell, that act together."""

    def decide(self, observation: Observation) -> Control:
        """Return the control for the coming review epoch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSchedule:
    """Review epochs x levers plus decision-rule parameters: what the optimizers search.

    levers: bool, (epochs, levers). targets: float64 in [0, 1], (3, nodes); entries without a meaning are ignored.
    """

    levers: NDArray[np.bool_]
    targets: NDArray[np.float64]


class ScheduleBatch:
    """B ControlSchedules acting on B cells; the last epoch's levers stay in force to the end."""

    def __init__(self, schedules: Sequence[ControlSchedule]) -> None:
        self._levers = np.stack([schedule.levers for schedule in schedules], axis=-1).astype(np.float64)
        self._targets = np.stack([schedule.targets for schedule in schedules], axis=-1)

    def decide(self, observation: Observation) -> Control:
        """Return the scheduled control; what is observed does not change it."""
        epoch = min(observation.epoch, len(self._levers) - 1)
        return Control(targets=self._targets, levers=self._levers[epoch])
