"""Passports: the units of one run as a struct of arrays, and what happened to each of them.

A unit's number is its index. The columns hold what a unit is now; the history holds one record per event, appended in
the order of the run. Every change goes through `create` or `happen`, so no unit can change its state unseen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.states import BIRTHS, EVENT_CODE, EVENTS, STATE_CODE, STATES, LifeEvent, MaterialState, next_states

OUTSIDE = -1  # the place of a unit that left the system
_FIRST_ROOM = 1024

Ids = NDArray[np.int64]
Places = NDArray[np.int32] | int

_COLUMNS: dict[str, np.dtype] = {
    "product": np.dtype(np.int16),
    "category": np.dtype(np.int16),  # the model's class: life and the grade it was sold from
    "state": np.dtype(np.int8),
    "place": np.dtype(np.int32),
    "born": np.dtype(np.int32),
    "easy": np.dtype(np.bool_),  # made for disassembly
    "quality": np.dtype(np.float64),
    "carbon": np.dtype(np.float64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Events in the order in which they happened; columns of equal length.

    period: months from the start. event, state: codes of `EVENTS` and `STATES`, the state after the event. place: a
    node's index, or the number of nodes plus a lane's index, or OUTSIDE. quality in [0, 1]. carbon: kgCO2e so far.
    """

    unit: NDArray[np.int64]
    period: NDArray[np.int32]
    event: NDArray[np.int8]
    state: NDArray[np.int8]
    place: NDArray[np.int32]
    category: NDArray[np.int16]
    quality: NDArray[np.float64]
    carbon: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self.unit)


class Units:
    """All units of one run: columns by unit number, and their history where it is recorded."""

    def __init__(self, *, record: bool) -> None:
        """record: keep every event. Without it only the columns are kept, which is several times faster."""
        self._record = record
        self._room = _FIRST_ROOM
        self._column = {name: np.zeros(self._room, dtype=kind) for name, kind in _COLUMNS.items()}
        self._chunks: list[tuple[NDArray[np.generic], ...]] = []
        self.count = 0

    def column(self, name: str) -> NDArray[np.generic]:
        """Return a column of all units: product, category, state, place, born, easy, quality or carbon."""
        return self._column[name][: self.count]

    @property
    def category(self) -> NDArray[np.int16]:
        """The class of each unit: (units,)."""
        return self._column["category"][: self.count]

    @property
    def easy(self) -> NDArray[np.bool_]:
        """Which units were made for disassembly: (units,)."""
        return self._column["easy"][: self.count]

    def lives(self) -> NDArray[np.int64]:
        """Return how many lives each unit has begun or is ready for, the first included."""
        return (self.category.astype(np.int64) + 1) // 2 + 1

    def in_state(self, state: MaterialState) -> int:
        """Return how many units are in a state."""
        return int(np.count_nonzero(self.column("state") == STATE_CODE[state]))

    def create(
        self,
        event: LifeEvent,
        number: int,
        *,
        t: int,
        product: int,
        place: int,
        category: NDArray[np.int16] | int = 0,
        born: NDArray[np.int32] | int | None = None,
        carbon: float = 0.0,
    ) -> Ids:
        """Bring `number` units into being by one of the BIRTHS in period t (or, sold before the horizon, at `born`)."""
        ids = np.arange(self.count, self.count + number, dtype=np.int64)
        self._grow(self.count + number)
        self.count += number
        values = {
            "product": product,
            "category": category,
            "state": STATE_CODE[BIRTHS[event]],
            "place": place,
            "born": t if born is None else born,
            "easy": False,
            "quality": 1.0,
            "carbon": carbon,
        }
        for name, value in values.items():
            self._column[name][ids] = value
        self._note(event, ids, t)
        return ids

    def happen(
        self,
        event: LifeEvent,
        ids: Ids,
        *,
        t: int,
        place: Places | None = None,
        category: NDArray[np.int16] | int | None = None,
        quality: NDArray[np.float64] | None = None,
        carbon: NDArray[np.float64] | float = 0.0,
    ) -> None:
        """Let an event happen to units in period t, adding `carbon` (kgCO2e a unit) to their account.

        Raises TransitionError for an event that can't happen in the state of one of them.
        """
        if not len(ids):
            return
        self._column["state"][ids] = next_states(self._column["state"][ids], event, ids)
        for name, value in (("place", place), ("category", category), ("quality", quality)):
            if value is not None:
                self._column[name][ids] = value
        self._column["carbon"][ids] += carbon
        self._note(event, ids, t)

    def sell(self, ids: Ids, *, t: int, place: int, easy: NDArray[np.bool_], carbon: float) -> None:
        """Sell units to users. easy: which of them are made for disassembly."""
        self._column["easy"][ids] = easy
        self.happen(LifeEvent.SOLD, ids, t=t, place=place, carbon=carbon)

    def history(self) -> History:
        """Return all recorded events, by time."""
        names = ("unit", "period", "event", "state", "place", "category", "quality", "carbon")
        kinds = (np.int64, np.int32, np.int8, np.int8, np.int32, np.int16, np.float64, np.float64)
        empty = tuple(np.zeros(0, dtype=kind) for kind in kinds)
        columns = [np.concatenate(parts) for parts in zip(empty, *self._chunks, strict=True)]
        return History(**dict(zip(names, columns, strict=True)))

    def _note(self, event: LifeEvent, ids: Ids, t: int) -> None:
        if not self._record:
            return
        period = np.full(len(ids), t, dtype=np.int32)
        code = np.full(len(ids), EVENT_CODE[event], dtype=np.int8)
        now = [self._column[name][ids] for name in ("state", "place", "category", "quality", "carbon")]
        self._chunks.append((ids, period, code, *now))

    def _grow(self, needed: int) -> None:
        if needed <= self._room:
            return
        self._room = max(needed, 2 * self._room)
        for name, column in self._column.items():
            wider = np.zeros(self._room, dtype=column.dtype)
            wider[: self.count] = column[: self.count]
            self._column[name] = wider


@dataclass(frozen=True, slots=True, kw_only=True)
class Passports:
    """The passports of one run, ready to be written: its units, their history, and what the codes in them mean.

    start: the month of period 0. products, places, states, events: names by code (places: nodes, then lanes).
    """

    run: str
    start: str
    units: Units
    history: History
    products: tuple[str, ...]
    places: tuple[str, ...]
    states: tuple[str, ...] = STATES
    events: tuple[str, ...] = EVENTS
