"""The backend of a simulation over a mesh: loads of cells through one gang, with law that is injected on the way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.controllers import NEEDS_STATE
from orchestrator.compilation import compile_kernel
from orchestrator.mailbox import Mailbox, Request, opened
from orchestrator.mesh import AUTO, Kill, Mesh, Windows, auto, injected
from orchestrator.plan import Plan
from orchestrator.progress import Progress
from orchestrator.work import Block, Cell, Injection
from sim_core.control import ControllerRecord
from sim_core.errors import InputError
from sim_core.units import MONTHS_PER_YEAR, parse_month

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.gang import Gang
    from orchestrator.mesh_seats import Seat


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """What the user asks for. mesh: "SxN" or "auto". faults: as Kill reads them. address: of a Ray cluster."""

    mesh: str
    in_process: bool = False
    faults: tuple[str, ...] = ()
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSettings:
    """How to run over a mesh. address: of a Ray cluster; None: a local one."""

    mesh: Mesh
    in_process: bool
    kills: tuple[Kill, ...] = ()
    address: str | None = None


def settle(options: MeshOptions, plan: Plan, controller: ControllerRecord) -> MeshSettings:
    """Return how the runs of a controller go over a mesh. Raises InputError for what can't be done."""
    if plan.engine != "kernel" or controller.kind in NEEDS_STATE:
        why = f"engine {plan.engine!r}" if plan.engine != "kernel" else f"controller {controller.kind!r}"
        raise InputError(f"{why} runs on the NumPy engine, which can't be cut into shards; leave out --mesh")
    mesh, in_process = Mesh(), options.in_process
    if options.mesh != AUTO:
        mesh = Mesh.parse(options.mesh)
    elif options.address is not None:
        raise InputError("--mesh auto counts the CPUs of this machine; with --address say how many shards: --mesh 8x1")
    elif not in_process:
        choice = auto(plan.suite, plan.node_periods)
        mesh, in_process = choice.mesh, choice.in_process
    if in_process and options.address is not None:
        raise InputError("--in-process uses no Ray; leave out --address")
    windows = Windows.of(plan.suite)
    kills = tuple(Kill.parse(text, mesh, windows) for text in options.faults)
    return MeshSettings(mesh=mesh, in_process=in_process, kills=kills, address=options.address)


class MeshBackend:
    """Simulates cells over a mesh. It connects, and opens the mailbox of its run, when there is something to simulate.

    injections: the law that was injected so far, in order. Where `blocks` takes up more of it, the rows of the load
    that is under way bear keys of their own, and the loads behind it are left out: whoever called asks again, for all
    cells as `under_law` returns them.
    """

    def __init__(
        self, plan: Plan, settings: MeshSettings, *, results: Path, stack: ExitStack, progress: Progress
    ) -> None:
        self.workers = settings.mesh.scenario_shards
        self.injections: tuple[Injection, ...] = ()
        self._windows = Windows.of(plan.suite)
        self._plan, self._settings, self._results, self._progress = plan, settings, results, progress
        self._stack = stack
        self._open: tuple[Gang, Mailbox] | None = None
        self._first_keys: dict[str, str] = {}

    def __call__(self) -> "MeshBackend":
        """Return itself: it connects when it has work."""
        return self

    def searches(self, *_: object, **__: object) -> None:
        """Refuse: searches go over orchestrator.backend.RayBackend."""
        raise InputError("a mesh simulates chosen controllers; search with `circularbench run`")

    def under_law(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return cells of the plan under the keys that they have with the law that was injected so far."""
        found = injected(cells, self.injections)
        self._first_keys |= {new.key: cell.key for new, cell in zip(found, cells, strict=True)}
        return found

    def blocks(self, work: Sequence[Block], on_table: "Callable[[Block, pa.Table], None]") -> None:
        """Simulate the cells of all blocks, a load after the other; see the class for what an injection changes."""
        gang, _ = self._opened()
        before = self.injections
        for load in self._loads([cell for block in work for cell in block.cells]):
            shares = self._settings.mesh.shares(load)
            tables = gang.run(shares, before, self._arrivals)
            for share, table in zip(shares, tables, strict=True):
                if self.injections == before:
                    on_table(Block(cells=share), table)
                else:
                    plain = [replace(cell, key=self._first_keys.get(cell.key, cell.key)) for cell in share]
                    new = self.under_law(plain)
                    on_table(Block(cells=tuple(new)), _with_keys(table, new))
            if self.injections != before:
                return

    def _loads(self, cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
        """Cut cells into loads: what the shards of the mesh hold at once."""
        from orchestrator.shard import cells_at_once

        size = self._settings.mesh.scenario_shards * cells_at_once(self._plan.node_periods // self._plan.suite.periods)
        for first in range(0, len(cells), size):
            yield cells[first : first + size]

    def _opened(self) -> "tuple[Gang, Mailbox]":
        from orchestrator.gang import Gang  # what simulates: only where there is something to simulate

        if self._open is None:
            seats = list(self._seats())
            gang = Gang(seats, self._windows, kills=self._settings.kills, note=self._progress.note)
            self._stack.callback(gang.close)
            self._open = gang, self._stack.enter_context(opened(self._results))
        return self._open

    def _seats(self) -> "Iterator[Seat]":
        suite, shards = self._plan.suite, self._settings.mesh.scenario_shards
        if self._settings.in_process:
            from orchestrator.mesh_seats import InProcessSeat

            compile_kernel(self._progress.note)
            yield from (InProcessSeat(suite, self._windows, number) for number in range(shards))
            return
        from orchestrator.runtime import connect, on_each_node

        self._stack.enter_context(connect(workers=None, address=self._settings.address))
        compile_kernel(self._progress.note, on_each_node)
        from orchestrator.mesh_actor import ActorSeat  # after connect, which sets what Ray reads when it is imported

        yield from (ActorSeat(suite, self._windows, number, shards) for number in range(shards))

    # ---- law that is injected

    def _arrivals(self, first: int) -> tuple[Injection, ...]:
        """Return the law to be injected before a window that starts with period `first`: at most one instrument."""
        gang, mailbox = self._opened()
        periods = self._windows.periods
        for request in mailbox.pending():
            period = parse_month(request.month) - parse_month(self._plan.suite.start)
            injection = Injection(instrument=request.instrument, period=period)
            known = injection.id in {one.id for one in self.injections}
            reason = "" if known else self._outside(request, period, first) or _reworded(gang.check(injection))
            if reason:
                mailbox.refuse(request, reason)
                continue
            if not known:
                self.injections += (injection,)
                self._progress.note(
                    f"injected {request.instrument.get('id')} from {request.month} on (period {period})"
                )
            mailbox.accept(request, period, periods)
            if not known:
                return (injection,)
        return ()

    def _outside(self, request: Request, period: int, first: int) -> str:
        """Return why a period can't be changed any more, or nothing where it can."""
        start, periods = parse_month(self._plan.suite.start), self._windows.periods
        if first <= period < periods:
            return ""
        what = "is over" if period < first else "is beyond the end of the run"
        return f"{request.month} {what}: possible now are {_month(start + first)} to {_month(start + periods - 1)}"


def _with_keys(found: "pa.Table", cells: Sequence[Cell]) -> "pa.Table":
    """Return a table of rows under the keys of these cells, which are in its order."""
    from orchestrator.tables import rows, table, with_cpu_seconds, without_cpu_seconds

    plain, seconds = without_cpu_seconds(found)
    renamed = [replace(row, key=cell.key) for row, cell in zip(rows(plain), cells, strict=True)]
    return with_cpu_seconds(table(renamed), seconds)


def _reworded(reason: str) -> str:
    """Return a shard's reason in the words of a command line."""
    if "look_back" not in reason:
        return reason
    return "a duty that looks back on past windows can't be injected into this run: write it into the experiment file"


def _month(number: int) -> str:
    return f"{number // MONTHS_PER_YEAR:04d}-{number % MONTHS_PER_YEAR + 1:02d}"
