"""Gang: moves the shards of a mesh on together, window by window, and brings all of them back when one is lost.

A few windows are in flight, so that no shard waits for the driver. Every few windows all shards are snapshot at the
same window. When one dies, it is replaced, the epoch is raised, all go back to the last snapshot that is whole, and
what followed it is computed again, law injected on the way included.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.mesh import Kill, Windows
from orchestrator.mesh_seats import Seat
from orchestrator.mesh_shard import Ack, ShardDiedError
from orchestrator.mesh_snapshot import GangSnapshot, read_head
from orchestrator.work import Cell, Injection
from sim_core.errors import FenceError, InfrastructureError, IntegrityError

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD = 3  # windows in flight
SNAPSHOT_EVERY = 4  # windows
_KEPT = 2
_DEATHS = 3  # at one window, after which it isn't tried again

# Called before a window is handed out, with its first period: the law to be injected at its start.
Arrivals = Callable[[int], tuple[Injection, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A window that was handed out: what each seat's `receive` takes; and, if it ends with one, of its snapshot."""

    window: int
    advances: tuple[Any, ...]
    snapshots: tuple[Any, ...]


class Gang:
    """The members of a mesh, for one load of cells after the other.

    kills: faults on demand, each of which happens once. note: tells the user that a shard was replaced.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        windows: Windows,
        *,
        kills: Sequence[Kill] = (),
        every: int = SNAPSHOT_EVERY,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._seats = tuple(seats)
        self._windows, self._every, self._note = windows, every, note
        self._kills = list(kills)
        self.epoch = 0
        self._load: tuple[tuple[Cell, ...], ...] = ()
        self._law: dict[int, tuple[Injection, ...]] = {}
        self._kept: deque[GangSnapshot] = deque(maxlen=_KEPT)
        self._flying: deque[_Flight] = deque()
        self._issued = self._collected = 0

    def run(
        self,
        load: Sequence[tuple[Cell, ...]],
        injections: tuple[Injection, ...] = (),
        arrivals: Arrivals = lambda _: (),
    ) -> "list[pa.Table]":
        """Simulate cells, those of each shard, from start to end; return their rows, shard by shard.

        injections: known before the start. arrivals: asks for more of them. Raises InfrastructureError when shards die
        more than 3 times at one window, and what a shard raises: BalanceError, FenceError.
        """
        self._load = tuple(load)
        self._law = {0: injections} if injections else {}
        self._kept.clear()
        deaths: dict[int, int] = {}
        while True:
            try:
                self._begin()
                while self._collected < self._windows.count:
                    self._hand_out(arrivals)
                    self._collect()
                return self._everyone("rows", self.epoch, self._windows.count)
            except ShardDiedError as error:
                deaths[self._collected] = deaths.get(self._collected, 0) + 1
                if deaths[self._collected] > _DEATHS:
                    raise InfrastructureError(
                        f"shards died {deaths[self._collected]} times at window {self._collected}; repeat the command "
                        f"to resume, with more scenario shards or fewer runs if memory ran out: {error.message}"
                    ) from error
                self._note(f"{error.message}; its gang goes back to the last snapshot")

    def check(self, injection: Injection) -> str:
        """Return why law can't be injected into the runs under way, or nothing where it can."""
        return next((answer for answer in self._everyone("check", injection) if answer), "")

    def close(self) -> None:
        """Let all members go."""
        for seat in self._seats:
            seat.close()

    # ---- how it is done

    @property
    def _members(self) -> tuple[Seat, ...]:
        """The seats that hold cells of this load: the last load may be smaller than the mesh."""
        return self._seats[: len(self._load)]

    def _begin(self) -> None:
        """Bring all members to the last snapshot that is whole, or to the start, as a new incarnation."""
        self.epoch += 1
        self._flying.clear()
        new = [seat for seat in self._members if not seat.alive]
        for seat in new:
            seat.start()
        for seat in new:
            seat.settle()
        snapshot = self._last_whole()
        window = 0 if snapshot is None else snapshot.window
        parts = (None,) * len(self._load) if snapshot is None else snapshot.parts
        sent = [
            seat.send("take_up", self.epoch, window, cells, part)
            for seat, cells, part in zip(self._members, self._load, parts, strict=True)
        ]
        self._acknowledged(sent, window)
        self._issued = self._collected = window

    def _last_whole(self) -> GangSnapshot | None:
        while self._kept:
            try:
                for part in self._kept[-1].parts:
                    read_head(part)
            except IntegrityError as error:
                self._note(f"{error.message}; the one before is taken")
                self._kept.pop()
            else:
                return self._kept[-1]
        return None

    def _hand_out(self, arrivals: Arrivals) -> None:
        while self._issued < self._windows.count and len(self._flying) < AHEAD:
            window = self._issued
            if window not in self._law:  # else it was handed out before, under this law
                self._law[window] = arrivals(self._windows.start(window))
            self._flying.append(self._flight(window))
            self._issued += 1

    def _flight(self, window: int) -> _Flight:
        killed = {kill.shard for kill in self._kills if kill.window == window}
        for shard in killed:
            self._kills.remove(Kill(shard=shard, window=window))  # one of them, if it is there more than once
        advances = [
            seat.send("advance", self.epoch, window, self._law[window], die=shard in killed)
            for shard, seat in enumerate(self._members)
        ]
        then = window + 1
        wanted = then % self._every == 0 and then < self._windows.count
        snapshots = [seat.send("snapshot", self.epoch, then) for seat in self._members] if wanted else []
        return _Flight(window=window, advances=tuple(advances), snapshots=tuple(snapshots))

    def _collect(self) -> None:
        """Wait for the oldest window in flight."""
        flight = self._flying.popleft()
        self._acknowledged(flight.advances, flight.window + 1)
        if flight.snapshots:
            parts = [seat.receive(sent) for seat, sent in zip(self._members, flight.snapshots, strict=True)]
            snapshot = GangSnapshot.of(parts)
            if snapshot.window != flight.window + 1:
                raise FenceError(f"snapshots of window {snapshot.window} came where {flight.window + 1} was asked for")
            self._kept.append(snapshot)
        self._collected = flight.window + 1

    def _acknowledged(self, sent: Sequence[Any], window: int) -> None:
        """Wait until all members stand at a window. Raises FenceError for one that says otherwise."""
        for shard, (seat, one) in enumerate(zip(self._members, sent, strict=True)):
            ack = seat.receive(one)
            if ack != Ack(shard=shard, epoch=self.epoch, window=window):
                raise FenceError(f"shard {shard} was to stand at window {window} of epoch {self.epoch}; it says {ack}")

    def _everyone(self, call: str, *arguments: Any) -> list[Any]:
        """Return what all members answer, in their order."""
        sent = [seat.send(call, *arguments) for seat in self._members]
        return [seat.receive(one) for seat, one in zip(self._members, sent, strict=True)]
