"""The three views of an instrument, and their values month by month.

    announced   what a controller may see on a day: the newest revision announced by then
    enacted     what the law says on a day: the newest revision adopted by then
    realised    what in fact applies: each revision from its adoption to the next one's

Duties, charges and prices are day-weighted within a month (`mean`); masks bind from the first full month (`mask`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sim_core.policy.arithmetic import Steps, month_means, share_in_force, value_on
from sim_core.policy.instrument import PolicyInstrument
from sim_core.units import month_starts

LOOKAHEAD = 48  # months of announced law that a controller and a plant's purchasing may see


def announced(instrument: PolicyInstrument, on: int) -> Steps:
    """Return the staircase that is announced on a day; no steps where nothing is yet."""
    index = int(newest(instrument, np.array([on]), by="announced")[0])
    return instrument.revisions[index].steps if index >= 0 else ()


def enacted(instrument: PolicyInstrument, on: int) -> Steps:
    """Return the staircase that is law on a day; no steps where nothing is adopted yet."""
    index = int(newest(instrument, np.array([on]), by="adopted")[0])
    return instrument.revisions[index].steps if index >= 0 else ()


def realised(instrument: PolicyInstrument) -> Steps:
    """Return the staircase that in fact applies, day by day, after all revisions."""
    steps: Steps = instrument.revisions[0].steps
    for revision in instrument.revisions[1:]:
        start = revision.adopted
        kept = tuple(step for step in steps if step[0] < start)
        at_start = float(value_on(revision.steps, np.array([start]), instrument.neutral)[0])
        steps = (*kept, (start, at_start), *(step for step in revision.steps if step[0] > start))
    return steps


def newest(instrument: PolicyInstrument, days: NDArray[np.int64], *, by: str) -> NDArray[np.int64]:
    """Return the index of the newest revision `by` (announced or adopted) each day; -1 before the first."""
    index = np.full(len(days), -1, dtype=np.int64)
    for number, revision in enumerate(instrument.revisions):
        index[days >= getattr(revision, by)] = number
    return index


@dataclass(frozen=True, slots=True)
class RealisedView:
    """What applies in each of `periods` months from month number `first`; every array has shape (T,)."""

    first: int
    periods: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(T,)."""
        return (self.periods,)

    def mean(self, part: PolicyInstrument, steps: Steps | None = None) -> NDArray[np.float64]:
        """Return day-weighted means, days out of force counting 0. steps: a staircase made of the realised one."""
        found = realised(part) if steps is None else steps
        return month_means(found, _starts(self.first, self.periods), part.neutral)

    def in_force(self, part: PolicyInstrument) -> NDArray[np.float64]:
        """Return the share of each month in which the instrument is in force."""
        return share_in_force(realised(part), _starts(self.first, self.periods), part.neutral)

    def mask(self, part: PolicyInstrument) -> NDArray[np.float64]:
        """Return the value on each month's first day."""
        return value_on(realised(part), _starts(self.first, self.periods)[:-1], part.neutral)


@dataclass(frozen=True, slots=True)
class AnnouncedView:
    """What is announced, at the start of each of T months, for it and the H - 1 months after; arrays (T, H)."""

    first: int
    periods: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H)."""
        return (self.periods, LOOKAHEAD)

    def mean(self, part: PolicyInstrument) -> NDArray[np.float64]:
        """Return announced day-weighted means."""
        starts = _starts(self.first, self.periods + LOOKAHEAD)
        means = [month_means(revision.steps, starts, part.neutral) for revision in part.revisions]
        return self._known(part, starts, [*means, np.zeros(len(starts) - 1)])

    def mask(self, part: PolicyInstrument) -> NDArray[np.float64]:
        """Return announced values on months' first days."""
        starts = _starts(self.first, self.periods + LOOKAHEAD)
        values = [value_on(revision.steps, starts[:-1], part.neutral) for revision in part.revisions]
        return self._known(part, starts, [*values, np.full(len(starts) - 1, part.neutral)])

    def _known(
        self, part: PolicyInstrument, starts: NDArray[np.int64], by_revision: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Read each month's row of the revision known at its start; the last row is that of nothing announced."""
        known = newest(part, starts[: self.periods], by="announced")
        ahead = np.arange(self.periods)[:, None] + np.arange(LOOKAHEAD)[None, :]
        return np.stack(by_revision)[known[:, None], ahead]


@lru_cache(maxsize=64)
def _starts(first: int, count: int) -> NDArray[np.int64]:
    starts = month_starts(first, count)
    starts.setflags(write=False)
    return starts
