"""Annealing by probes: a generation of single changes around one point, those that are accepted merged into the next.

The parallel form of sequential annealing for schedules: changes of different bits seldom depend on each other, so that
a generation of them, judged against one point and merged, goes nearly as far as the same number one after another.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.contract import Candidate, SearchSpace
from optimizers.moves import reflect

_START, _END = 0.2, 0.03  # temperatures, in mean differences that a change makes
_MEASURED = 64  # changes whose differences set that unit
_FIRST_STEP, _LEAST_STEP, _WIDEST_STEP = 0.25, 1e-3, 0.5  # standard deviation of a value's changes
_WANTED, _ADAPTED = 0.4, 0.3  # share of a value's changes to be accepted, and how fast its step follows
CENTRE = 0  # origin of the point itself; that of a change is its dimension + 1


class Probing:
    """One point, its sweep of changes and their judgement. Values are compared among candidates without violation.

    Sweeps visit every dimension once, in a random order. A change is accepted by Metropolis at a temperature that
    falls with the progress told, and all accepted ones of a generation are merged. A merged point that turns out worse
    than the best of its parts gives way to that one.
    """

    def __init__(
        self, space: SearchSpace, rng: Generator, bits: NDArray[np.bool_], values: NDArray[np.float64]
    ) -> None:
        self._space, self._rng = space, rng
        self.bits, self.values = bits.copy(), values.copy()
        self.value: float | None = None  # of the point; None until it is told
        self._part: tuple[Candidate, float] | None = None  # the best that the point was merged from
        self._steps = np.full(len(space.parameters), _FIRST_STEP)
        self._order: list[int] = []
        self._differences, self._counted = 0.0, 0

    def propose(self, n: int) -> Points:
        """Return n points: the point itself, while its value isn't known, and single changes of it."""
        bits = np.repeat(self.bits[None], n, axis=0)
        values = np.repeat(self.values[None], n, axis=0)
        flat = bits.reshape(n, -1)
        origin = np.zeros(n, dtype=np.int64)
        for row in range(0 if self.value is not None else 1, n):
            if not self._order:
                self._order = self._rng.permutation(self._space.dimension).tolist()
            place = self._order.pop()
            origin[row] = place + 1
            if place < self._space.bits:
                flat[row, place] ^= True
            else:
                column = place - self._space.bits
                values[row, column] += self._steps[column] * self._rng.standard_normal()
        return Points(bits=bits, values=reflect(values), origin=origin)

    def learn(self, told: Sequence[tuple[int, Candidate, float]], progress: float) -> None:
        """Judge a generation and move on. told: origin, candidate and value of each that may be learnt from."""
        for origin, _, value in told:
            if origin == CENTRE:
                self.value = value
        if self._part is not None and (self.value is None or self.value > self._part[1]):
            self._go(*self._part)
            return
        if self.value is None:  # the point itself failed: the best of its changes takes its place
            if told:
                self._go(*min(((one, value) for _, one, value in told), key=lambda item: item[1]))
            return
        here = self.value
        rises = [(origin, one, value) for origin, one, value in told if origin > CENTRE]
        accepted = [(one, value) for origin, one, value in rises if self._judge(origin, value - here, progress)]
        if len(accepted) == 1:
            self._go(*accepted[0])
        elif accepted:
            self._merge(accepted, here)

    def _judge(self, origin: int, rise: float, progress: float) -> bool:
        if self._counted < _MEASURED:
            self._differences += abs(rise)
            self._counted += 1
        temperature = self._differences / self._counted * _START * (_END / _START) ** progress
        accepted = rise <= 0.0 or (temperature > 0.0 and float(self._rng.random()) < math.exp(-rise / temperature))
        column = origin - 1 - self._space.bits
        if column >= 0:
            step = self._steps[column] * math.exp(_ADAPTED * (accepted - _WANTED))
            self._steps[column] = min(max(step, _LEAST_STEP), _WIDEST_STEP)
        return accepted

    def _go(self, candidate: Candidate, value: float) -> None:
        self.bits, self.values, self.value = candidate.bits.copy(), candidate.values.copy(), value
        self._part = None

    def _merge(self, accepted: Sequence[tuple[Candidate, float]], value: float) -> None:
        best = min(accepted, key=lambda item: item[1])
        here = Candidate(bits=self.bits.copy(), values=self.values.copy())
        self._part = best if best[1] < value else (here, value)
        for one, _ in accepted:
            self.bits ^= one.bits ^ here.bits
            self.values = np.where(one.values != here.values, one.values, self.values)
        self.value = None
