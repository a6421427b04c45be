"""MeshShard: one shard of a mesh, moved on window by window. Plain Python: no Ray, no journal.

Fences. Every call that changes a shard's state says of which incarnation of the gang it is (epoch, which each recovery
raises) and which window it is about. A shard does what follows its state, answers a repeated call from what it did, and
refuses all else: a shard that lost its state, one that a delayed call reaches, and one that is ahead of its gang can't
give an answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.mesh import Windows
from orchestrator.mesh_snapshot import Arrays, Head, cells_id, checksum, pack, unpack
from orchestrator.records import CellRow
from orchestrator.shard import Shard, failed_row
from orchestrator.tables import table, with_cpu_seconds
from orchestrator.work import Cell, Injection
from sim_core.errors import FenceError, InfrastructureError, IntegrityError, ModelError
from sim_core.seeding import content_id
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa

    from sim_core.kernel.simulation import KernelSimulation

_NOWHERE = None  # the window of a shard without a state: no call is about it


class ShardDiedError(InfrastructureError):
    """The process of a shard ended; what it held is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A call was done. window: the next one to be computed."""

    shard: int
    epoch: int
    window: int


@dataclass(slots=True, kw_only=True)
class _Lot:
    """Cells that go through the kernel together; or one cell whose controller was at fault, with the message."""

    cells: tuple[Cell, ...]
    simulation: "KernelSimulation | None" = None
    message: str = ""


class MeshShard:
    """The runs of one shard under way. die: called in the middle of a window that is to end this process."""

    def __init__(self, suite: SuiteDefinition, windows: Windows, number: int, die: Callable[[], None]) -> None:
        """Start without a state. number: of the shard in its gang."""
        self._shard = Shard(suite)
        self._windows, self._number, self._die = windows, number, die
        self._epoch = 0
        self._window: int | None = _NOWHERE
        self._done: dict[tuple[int, str], tuple[str, Ack]] = {}
        self._cells: tuple[Cell, ...] = ()
        self._lots: list[_Lot] = []
        self._injections: list[Injection] = []
        self._cpu_s = 0.0

    # ---- calls that change the state

    def take_up(self, epoch: int, window: int, cells: tuple[Cell, ...], snapshot: bytes | None) -> Ack:
        """Become a member of incarnation `epoch`: at the start of `window` by a snapshot, or of window 0 without one.

        Raises FenceError for an older epoch and for a snapshot of another shard, window or other cells, and
        IntegrityError for a damaged one.
        """
        call = content_id("take up", window, cells_id(cells), checksum(snapshot) if snapshot is not None else None)
        known = self._repeated((epoch, "take up"), call)
        if known is not None:
            return known
        if epoch <= self._epoch:
            raise FenceError(f"shard {self._number} is of epoch {self._epoch}; it can't become one of epoch {epoch}")
        if snapshot is None and window:
            raise FenceError(f"shard {self._number} can't start at window {window} without a snapshot of it")
        held = None if snapshot is None else self._fitting(snapshot, window, cells)
        self._window = _NOWHERE  # until all is done: what is half done is no state
        self._epoch, self._cells, self._done = epoch, cells, {}
        if held is None:
            self._injections = []
            batches = self._shard.batches(cells, "kernel")
            self._lots = [lot for batch in batches for lot in self._opened(tuple(batch), 0)]
        else:
            self._restore(*held)
        return self._note((epoch, "take up"), call, window)

    def advance(self, epoch: int, window: int, injections: tuple[Injection, ...], *, die: bool = False) -> Ack:
        """Compute a window, after bringing law into force that was injected at its start.

        Raises FenceError unless the shard is of this epoch and at this window, or did just this, and BalanceError if
        mass is created or lost: then its state is gone.
        """
        call = content_id("advance", [one.id for one in injections])
        known = self._repeated((epoch, f"window {window}"), call)
        if known is not None:
            return known
        self._follow(epoch, window)
        if window >= self._windows.count:
            raise FenceError(f"shard {self._number} is at the end; there is no window {window} to compute")
        began = time.process_time()
        self._window = _NOWHERE
        for injection in injections:
            self._inject(injection)
        first, until = self._windows.start(window), self._windows.start(window + 1)
        if die:
            self._advance((first + until) // 2)
            self._die()
        self._advance(until)
        self._cpu_s += time.process_time() - began
        return self._note((epoch, f"window {window}"), call, window + 1)

    # ---- calls that read it

    def snapshot(self, epoch: int, window: int) -> bytes:
        """Return the state at the start of a window. Raises FenceError unless the shard is of this epoch and there."""
        self._follow(epoch, window)
        head = Head(
            shard=self._number,
            window=window,
            cells=cells_id(self._cells),
            lots=tuple((len(lot.cells), lot.message) for lot in self._lots),
            injections=tuple(self._injections),
        )
        return pack(head, [lot.simulation.state() if lot.simulation else {} for lot in self._lots])

    def rows(self, epoch: int, window: int) -> "pa.Table":
        """Return one row per cell, in their order, with CPU seconds beside them, as orchestrator.shard.Shard does.

        window: the one after the last. Raises FenceError unless the shard is of this epoch and there.
        """
        self._follow(epoch, window)
        if window != self._windows.count:
            raise FenceError(f"shard {self._number} stands at window {window} of {self._windows.count}: no run is over")
        found: list[CellRow] = []
        seconds: dict[str, float] = {}
        for lot in self._lots:
            if lot.simulation is None:
                found += [failed_row(cell, lot.message) for cell in lot.cells]
            else:
                found += self._shard.rows(lot.cells, lot.simulation.ledger)
        for cell in self._cells:
            digest = cell.controller.digest
            seconds[digest] = seconds.get(digest, 0.0) + self._cpu_s / len(self._cells)
        self._cpu_s = 0.0
        return with_cpu_seconds(table(found), seconds)

    def check(self, injection: Injection) -> str:
        """Return why law can't be injected into this shard's runs, or nothing where it can."""
        for lot in self._lots:
            try:
                if lot.simulation is not None:
                    lot.simulation.amended(injection.instrument, injection.period)
            except ModelError as error:
                return error.message
        return ""

    # ---- how it is done

    def _follow(self, epoch: int, window: int) -> None:
        """Let through what follows the state."""
        if (epoch, window) != (self._epoch, self._window):
            raise FenceError(
                f"shard {self._number} was called for window {window} of epoch {epoch}; it stands at window "
                f"{self._window} of epoch {self._epoch}; no answer of it may be used"
            )

    def _repeated(self, key: tuple[int, str], call: str) -> Ack | None:
        """Return what was answered to a call that was done; None for a new one."""
        known = self._done.get(key)
        if known is not None and known[0] != call:
            raise FenceError(
                f"shard {self._number} did {key[1]} of epoch {key[0]} with something else; see who calls it"
            )
        return None if known is None else known[1]

    def _note(self, key: tuple[int, str], call: str, window: int) -> Ack:
        """Stand at a window, and keep the answer to a call that led there."""
        self._window = window
        ack = Ack(shard=self._number, epoch=self._epoch, window=window)
        self._done[key] = (call, ack)
        return ack

    def _fitting(self, snapshot: bytes, window: int, cells: tuple[Cell, ...]) -> tuple[Head, list[Arrays]]:
        """Return what a snapshot holds. Raises FenceError unless it is this shard's, at this window, of these cells."""
        head, states = unpack(snapshot)
        if (head.shard, head.window, head.cells) != (self._number, window, cells_id(cells)):
            raise FenceError(
                f"shard {self._number} can't start at window {window} from a snapshot of shard {head.shard} at window "
                f"{head.window}, or of other cells"
            )
        return head, states

    def _restore(self, head: Head, states: list[Arrays]) -> None:
        self._injections = list(head.injections)
        self._lots = []
        first = 0
        for (count, message), state in zip(head.lots, states, strict=True):
            cells = self._cells[first : first + count]
            first += count
            simulation = None if message else self._begun(cells)
            if simulation is not None:
                simulation.take_up(state)
            self._lots.append(_Lot(cells=cells, simulation=simulation, message=message))

    def _begun(self, cells: tuple[Cell, ...]) -> "KernelSimulation":
        """Return a simulation at its start, under the law that was injected so far."""
        simulation = self._shard.begin(cells)
        for one in self._injections:
            simulation.inject(one.instrument, one.period)
        return simulation

    def _opened(self, cells: tuple[Cell, ...], until: int) -> list[_Lot]:
        """Return lots of cells, simulated anew up to a period; halved until controllers at fault are alone."""

        def start() -> _Lot:
            simulation = self._begun(cells)
            simulation.advance(until)
            return _Lot(cells=cells, simulation=simulation)

        return self._guarded(cells, until, start)

    def _inject(self, injection: Injection) -> None:
        for lot in self._lots:
            if lot.simulation is not None:
                lot.simulation.inject(injection.instrument, injection.period)
        self._injections.append(injection)

    def _advance(self, until: int) -> None:
        def moved(lot: _Lot) -> _Lot:
            if lot.simulation is not None:
                lot.simulation.advance(until)
            return lot

        self._lots = [one for lot in self._lots for one in self._guarded(lot.cells, until, partial(moved, lot))]

    def _guarded(self, cells: tuple[Cell, ...], until: int, work: Callable[[], _Lot]) -> list[_Lot]:
        """Return what `work` gives; where a controller raises, the halves of the cells, run anew up to `until`."""
        try:
            return [work()]
        except (IntegrityError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001, whatever a controller raises is that cell's result
            if len(cells) == 1:
                return [_Lot(cells=cells, message=f"{type(error).__name__}: {error}")]
        middle = len(cells) // 2
        return self._opened(cells[:middle], until) + self._opened(cells[middle:], until)
