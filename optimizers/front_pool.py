"""Learned energies of several objectives, and the schedules that each weighting of them draws."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.boltzmann import sampled
from optimizers.contract import SearchSpace
from optimizers.energy import Energy

_LATEST_FIRST = 0.25  # of the budget: the first fit is no later, however few the points
_GROWTH = 1.4  # of the number told, from one fit to the next
_LAST_FIT = 0.9  # of the budget
_DRAWN, _PROPOSED = 60, 12  # samples of a weighting, and how many of them are proposed, best predicted first

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]


class FrontPool:
    """One energy for each objective; a weighted sum of energies is an energy, so one fit serves every weighting."""

    def __init__(self, space: SearchSpace, budget: int, objectives: int) -> None:
        self.energies = [Energy(space) for _ in range(objectives)]
        self._last = _LAST_FIT * budget
        possible = self.energies[0].possible
        self._due = max(8.0, min(float(self.energies[0].size), _LATEST_FIRST * budget)) if possible else np.inf
        self._waiting: list[tuple[Points, Floats]] = []
        self._count = 0
        self._pool: list[tuple[int, Bits]] = []  # weighting and schedule, in the order in which they are taken

    def __len__(self) -> int:
        return len(self._pool)

    def learn(self, points: Points, costs: Floats, weights: Floats, rng: Generator) -> None:
        """Take in points and costs, (n, objectives); when it is time, fit and sample weightings, (k, objectives)."""
        self._count += len(points)
        self._waiting.append((points, costs))
        if not self._due <= self._count <= self._last:
            return
        self._due = _GROWTH * self._count
        bits = np.concatenate([one.bits for one, _ in self._waiting])
        values = np.concatenate([one.values for one, _ in self._waiting])
        told = np.concatenate([one for _, one in self._waiting])
        self._waiting = []
        for energy, column in zip(self.energies, told.T, strict=True):
            energy.learn(Points(bits=bits, values=values), column)
            energy.fit()
        drawn = [self._sample(weight, rng) for weight in weights]
        self._pool = [
            (number, rows[place])
            for place in range(_PROPOSED)
            for number, rows in enumerate(drawn)
            if place < len(rows)
        ]

    def take(self, n: int) -> tuple[NDArray[np.int64], Bits]:
        """Return up to n weightings' numbers and schedules, and remove them from the pool."""
        taken, self._pool = self._pool[:n], self._pool[n:]
        numbers = np.array([number for number, _ in taken], dtype=np.int64)
        shape = (len(taken), self.energies[0].epochs, self.energies[0].columns)
        return numbers, np.array([bits for _, bits in taken], dtype=np.bool_).reshape(shape)

    def _sample(self, weight: Floats, rng: Generator) -> Bits:
        energy = Energy.weighted(self.energies, weight)
        drawn = sampled(energy, rng, _DRAWN)
        packed = np.packbits(drawn.reshape(len(drawn), -1), axis=1)
        drawn = drawn[np.sort(np.unique(packed, axis=0, return_index=True)[1])]
        values = np.broadcast_to(energy.best_values(), (len(drawn), energy.parameters))
        return drawn[np.argsort(energy.predict(Points(bits=drawn, values=values)), kind="stable")]
