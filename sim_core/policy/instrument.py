"""PolicyInstrument: one regulation whose value is a right-continuous staircase in days, revised while time runs.

Each Revision, once announced, replaces the staircase from its announcement on; what lay before stays. Three views
follow from the revisions alone (a value comes into force on a day and stays, nothing is interpolated):

    announced   what a controller may see on a day: the newest revision announced by then (`newest(by="announced")`)
    enacted     what the law says on a day: the newest revision adopted by then (`newest(by="adopted")`)
    realised    what in fact applies: each revision from its adoption to the next one's (`realised_steps`)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A staircase with the days on which it was announced and adopted.

    steps: (first day in force, value), in order; before the first step the value is 0. announced <= adopted, and no
    step that a revision changes lies before its adoption.
    """

    announced: int
    adopted: int
    steps: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        if self.announced > self.adopted:
            raise ModelError("a revision can't be adopted before it is announced")
        if any(later[0] <= earlier[0] for earlier, later in pairwise(self.steps)):
            raise ModelError("the steps of a revision must lie in increasing order of days")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInstrument:
    """One regulation with its scope and all its revisions, the original first.

    type: the catalogue's vocabulary. material: a material's name or "all". process: what it acts on.
    eligible_origins: for a recycled-content mandate, the feed origins that count.
    """

    id: str
    name: str
    type: str
    material: str
    process: str
    window: str
    eligible_origins: tuple[str, ...]
    basis: str
    revisions: tuple[Revision, ...]

    def __post_init__(self) -> None:
        for earlier, later in pairwise(self.revisions):
            if later.announced < earlier.announced or later.adopted < earlier.adopted:
                raise ModelError(f"{self.id}: revisions must lie in order of announcement and of adoption")

    def mean_by_month(self, revision: int, starts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the day-weighted mean value of a revision's staircase in each month, shape (len(starts) - 1,)."""
        return _month_means(self.revisions[revision].steps, starts)

    def in_force_by_month(self, revision: int, starts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the value in force on the first day of each month: for masks, which bind from the first full month."""
        return _value_on(self.revisions[revision].steps, starts[:-1])

    def newest(self, days: NDArray[np.int64], *, by: str) -> NDArray[np.int64]:
        """Return the index of the newest revision `by` (announced or adopted) each day; the original at least."""
        dates = [getattr(revision, by) for revision in self.revisions]
        index = np.zeros(len(days), dtype=np.int64)
        for number, date in enumerate(dates):
            index[days >= date] = number
        return index

    def realised_steps(self) -> tuple[tuple[int, float], ...]:
        """Return the staircase that in fact applies: each revision from its adoption to the next one's."""
        steps: list[tuple[int, float]] = []
        for number, revision in enumerate(self.revisions):
            start = revision.adopted if number else -(10**9)
            kept = [step for step in steps if step[0] < start]
            at_start = _value_on(revision.steps, np.array([start]))[0] if number else 0.0
            steps = kept + ([(start, float(at_start))] if number else [])
            steps += [step for step in revision.steps if step[0] > start]
        return tuple(steps)

    def realised_by_month(self, starts: NDArray[np.int64], *, mask: bool = False) -> NDArray[np.float64]:
        """Return what applies in each month: day-weighted, or for a mask the value on the month's first day."""
        steps = self.realised_steps()
        return _value_on(steps, starts[:-1]) if mask else _month_means(steps, starts)


def _value_on(steps: Sequence[tuple[int, float]], days: NDArray[np.int64]) -> NDArray[np.float64]:
    value = np.zeros(len(days))
    for first, level in steps:
        value[days >= first] = level
    return value


def _month_means(steps: Sequence[tuple[int, float]], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    low, high = starts[:-1], starts[1:]
    total = np.zeros(len(low))
    for number, (first, level) in enumerate(steps):
        last = steps[number + 1][0] if number + 1 < len(steps) else np.iinfo(np.int64).max
        total += level * np.clip(np.minimum(high, last) - np.maximum(low, first), 0, None)
    return total / (high - low)
