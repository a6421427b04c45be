"""The units of work that a plan hands to shards and searches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sim_core.control import ControllerRecord
from sim_core.seeding import content_id

ENGINES = ("kernel", "numpy")  # what computes a run: compiled code, or the text of the model that it must equal
MEASURES = ("run", "pair")  # what a cell gives: a run's metrics, or what shocks cost it against a twin without them
BOUND = ControllerRecord(kind="bound")  # of a cell that holds the least cost of its scenario, under no controller
LINEAR = ControllerRecord(kind="linear")  # no recovery: what the handprint compares with


class Work(Protocol):
    """What a pool hands to one of its runners: a block of cells, or a batch of scenarios to be drawn."""

    @property
    def label(self) -> str:
        """What a message calls it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run to be simulated: a scenario under a controller. `key` identifies its result for ever.

    measure: one of MEASURES. A scenario under BOUND is its bound, no run.
    """

    key: str
    scenario: str  # "family/index"
    controller: ControllerRecord
    measure: str = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Cells that one shard simulates together, all of them bounds, pairs or runs.

    Its size may vary from run to run; results do not depend on it.
    """

    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """What a message calls it."""
        first = self.cells[0]
        return f"block of {len(self.cells)} cells that starts with {first.controller.kind} on {first.scenario}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """An instrument, in its JSON form, that comes into force at the start of a period of a run under way."""

    instrument: Mapping[str, Any]
    period: int

    @property
    def id(self) -> str:
        """What tells injections apart."""
        return content_id("injection", self.instrument, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """One search of one Entry: a method, its space's controller kind, its budget, and its common training scenarios.

    width: candidates per generation. actors: shard actors that the trial holds (1: an in-process shard).
    finalists: how many controllers it hands over, to a race or to be judged on validation scenarios. settings: of the
    method. cpu_seconds: where it ends before its budget; spent_s: what of them earlier runs of it took.
    """

    search: str  # content id
    entry: str
    controller: str  # kind of ControllerRecord that the search space belongs to
    method: str
    budget: int
    width: int
    seed: int
    scenarios: tuple[str, ...]
    finalists: int
    actors: int = 1
    settings: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float | None = None
    spent_s: float = 0.0
