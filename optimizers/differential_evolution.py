"""Differential evolution: every trial is a member plus the scaled difference of two others, crossed with a target."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import NOWHERE, Energy
from optimizers.contract import SearchSpace
from optimizers.moves import around, reflect
from optimizers.settings import Setting
from optimizers.space import Domain
from optimizers.unit_cube import UnitCube


class DifferentialEvolution(UnitCube):
    """DE/rand/1/bin (Storn and Price 1997) in the unit cube.

    Members are targets in turn. A trial is r1 + F (r2 - r3), F drawn from U(0.5, 1) for each, reflected into the cube,
    crossed with its target: each value comes from it with probability `crossover`, each bit with probability
    `crossover_bits`, and at least one of all. It takes the target's
    place where it isn't worse. SciPy's implementation calls the function itself and can't be asked and told, so this
    one is the project's own.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "population": Setting(
            usual=16.0, domain=Domain(low=4.0, high=1024.0, integer=True, log=True), meaning="members"
        ),
        "crossover": Setting(usual=0.5, domain=Domain(low=0.0, high=1.0), meaning="share of values from the mutant"),
        "crossover_bits": Setting(usual=0.05, domain=Domain(low=0.0, high=1.0), meaning="the same, of bits"),
    }

    def __init__(
        self,
        space: SearchSpace,
        budget: int,
        width: int,
        seed: int,
        *,
        settings: Mapping[str, float] | None = None,
        reproducible: bool = True,
    ) -> None:
        super().__init__(space, budget, width, seed, settings=settings, reproducible=reproducible)
        self.members = self.rng.random((round(self.number("population")), space.dimension))
        if space.start:
            self.members[::2, space.bits :] = around(self.rng, space.start, len(self.members[::2]))
        self.energies: list[Energy | None] = [None] * len(self.members)  # None until asked
        self._crossover = np.full(space.dimension, self.number("crossover"))
        self._crossover[: space.bits] = self.number("crossover_bits")
        self._turn = 0

    def draw(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return trials against the next n members; a member that hasn't been asked yet comes first."""
        targets = (self._turn + np.arange(n)) % len(self.members)
        self._turn = int((self._turn + n) % len(self.members))
        others = np.argsort(self.rng.random((n, len(self.members) - 1)), axis=1)[:, :3]
        first, second, third = self.members[(others + (others >= targets[:, None])).T]
        mutants = reflect(first + self.rng.uniform(0.5, 1.0, (n, 1)) * (second - third))
        certain = np.arange(self.space.dimension) == self.rng.integers(max(1, self.space.dimension), size=n)[:, None]
        crossed = (self.rng.random(mutants.shape) < self._crossover) | certain
        places = np.where(crossed, mutants, self.members[targets])
        for row, target in enumerate(targets.tolist()):
            if self.energies[target] is None:
                self.energies[target] = NOWHERE
                places[row] = self.members[target]
        return places, targets

    def judge(self, place: NDArray[np.float64], tag: int, energy: Energy) -> None:
        """Let a trial take its target's place where it isn't worse."""
        if energy != NOWHERE and energy <= (self.energies[tag] or NOWHERE):
            self.members[tag], self.energies[tag] = place, energy
