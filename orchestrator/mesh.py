"""The mesh: how the plane of (runs x nodes) is cut into shards, and time into windows. Pure arithmetic."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from orchestrator.work import Cell, Injection
from sim_core.errors import InputError
from sim_core.seeding import content_id
from sim_core.suite import SuiteDefinition

AUTO = "auto"
NODE_PERIODS_PER_S = 5_000_000  # of one core on the kernel, in the batches that a mesh shard holds
LEAST_SHARD_WINDOW_S = 0.040  # below it, what calls between processes cost shows
_LEAST_WINDOW_MONTHS = 12
_FORM = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")
_FAULT_FORM = re.compile(r"kill:shard=([0-9]{1,4}),window=([0-9]{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """How many shards the runs are cut into, and how many the nodes of each."""

    scenario_shards: int = 1
    node_shards: int = 1

    def __str__(self) -> str:
        return f"{self.scenario_shards}x{self.node_shards}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "SxN". Raises InputError with a remedy."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} is no mesh; write SCENARIOSxNODES, for instance 2x1, or {AUTO}")
        scenario_shards, node_shards = int(found[1]), int(found[2])
        if node_shards > 1:
            raise InputError(
                f"mesh {text}: the nodes of a network can't be cut yet; write {scenario_shards}x1, which cuts the runs"
            )
        return cls(scenario_shards=scenario_shards, node_shards=node_shards)

    def shares(self, cells: Sequence[Cell]) -> list[tuple[Cell, ...]]:
        """Return the cells of each shard, in their order: as many shards as the mesh has, or one a cell if fewer."""
        shards = min(self.scenario_shards, len(cells))
        bounds = [len(cells) * number // shards for number in range(shards + 1)] if shards else []
        return [tuple(cells[low:high]) for low, high in pairwise(bounds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The horizon, cut into windows of whole review epochs, after each of which shards may be stopped and compared.

    periods: of the horizon; length: periods of a window, the last one may be shorter.
    """

    periods: int
    length: int

    @classmethod
    def of(cls, suite: SuiteDefinition, least_months: int = _LEAST_WINDOW_MONTHS) -> Self:
        """Return the windows of a suite: the fewest review epochs that hold so many months."""
        epochs = max(1, -(-least_months // suite.epoch_months))
        return cls(periods=suite.periods, length=min(epochs * suite.epoch_months, suite.periods))

    @property
    def count(self) -> int:
        """How many windows there are."""
        return -(-self.periods // self.length)

    def start(self, window: int) -> int:
        """Return the first period of a window; the number of periods for the window after the last."""
        return min(window * self.length, self.periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A fault on demand: the process of a shard ends while it computes a window, once."""

    shard: int
    window: int

    @classmethod
    def parse(cls, text: str, mesh: Mesh, windows: Windows) -> Self:
        """Read "kill:shard=I,window=J". Raises InputError for another text, and for what the run doesn't have."""
        found = _FAULT_FORM.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} is no fault; write kill:shard=I,window=J, for instance kill:shard=0,window=1")
        fault = cls(shard=int(found[1]), window=int(found[2]))
        if fault.shard >= mesh.scenario_shards * mesh.node_shards or fault.window >= windows.count:
            raise InputError(
                f"fault {text}: mesh {mesh} has shards 0 to {mesh.scenario_shards * mesh.node_shards - 1}, "
                f"this run windows 0 to {windows.count - 1}"
            )
        return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What `auto` chooses. window_s: estimated compute of a window on one shard, seconds. reason: in words."""

    mesh: Mesh
    in_process: bool
    window_s: float
    reason: str = ""

    def __str__(self) -> str:
        estimate = f"a window takes a shard about {1e3 * self.window_s:,.0f} ms"
        if not self.in_process:
            return f"{self.mesh} over Ray ({estimate})"
        return f"{self.mesh} in this process ({self.reason or f'{estimate}; below 40 ms calls would cost too much'})"


def choose(cells: int, node_periods: int, windows: Windows, cpus: int) -> Choice:
    """Return a scenario shard for each CPU as long as its windows take LEAST_SHARD_WINDOW_S, else this process.

    node_periods: of one run, whole horizon.
    """
    whole = cells * node_periods * windows.length / windows.periods / NODE_PERIODS_PER_S
    shards = min(cpus, cells, int(whole / LEAST_SHARD_WINDOW_S))
    if shards > 1:
        return Choice(mesh=Mesh(scenario_shards=shards), in_process=False, window_s=whole / shards)
    reason = f"{cpus} CPU" if cpus == 1 else f"{cells} run" if cells == 1 else ""
    return Choice(mesh=Mesh(), in_process=True, window_s=whole, reason=reason)


def auto(suite: SuiteDefinition, node_periods: int) -> Choice:
    """Return the mesh that `auto` takes for one controller's runs on the test scenarios, on this machine."""
    return choose(len(suite.scenarios("test")), node_periods, Windows.of(suite), os.cpu_count() or 1)


def injected(cells: Sequence[Cell], injections: Sequence[Injection]) -> list[Cell]:
    """Return the cells under the keys that they have with law injected, which no plan promises."""
    if not injections:
        return list(cells)
    forms = [[one.instrument, one.period] for one in injections]
    return [replace(cell, key=content_id("injected", cell.key, forms)) for cell in cells]
