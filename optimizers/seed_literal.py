"""A search as a well-known sketch draws it, to the letter: kept to show why the sketch must not be built."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import NOWHERE, Energy, energy_of
from optimizers.archive import Points
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.generational import Generational

_POPULATION = 100
_TUNNELLING = 0.1  # chance of a generation
_FLIPPED = 0.01  # share of all bits and values that a tunnelling turns into 1 - x
_COOLING = 0.995


class SeedLiteral(Generational):
    """The "quantum-inspired" sketch of the text that this project began with. Not for use: worse than random search.

    Why: (1) the population is |exp(ix)| of Gaussian numbers x, which is 1 for every x, so that all hundred members are
    the same point, everything on; (2) it calls a selection, a crossover and a mutation and draws none of them, so that
    only "tunnelling", a hundredth of the bits in a tenth of the generations, ever changes anything: a slow random
    walk away from one corner, which no fitness steers; (3) the temperature is cooled and read nowhere; (4) the answer
    is the member of the last generation at the place where the one before had its best (see `answer`).

    What is called and not drawn does nothing here. With a tournament and a crossover written in, the method is an
    ordinary genetic algorithm without mutation, and no longer what is drawn. As no search evaluates a point twice,
    members that repeat are not evaluated; random points near them are, in their stead, which flatters the method, as
    `finalists` ranks all that was told.
    """

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
        drawn = self.rng.standard_normal((_POPULATION, space.dimension))
        self.population: NDArray[np.float64] = np.abs(np.exp(1j * drawn)).round(12)  # but for rounding, 1
        self.temperature = 1.0
        self._fitness = np.full(_POPULATION, -np.inf)
        self._place = 0
        self._known: dict[str, Energy] = {}

    def propose(self, n: int) -> Points:
        """Return the next n members, which mostly are the same point."""
        return self._points(self.population[(self._place + np.arange(n)) % _POPULATION])

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:  # noqa: ARG002
        """Go on by as many members as were told; after the last one the next generation is made."""
        self._known.update((one.candidate.key, energy_of(one)) for one in evaluations)
        for _ in evaluations:
            self._place += 1
            if self._place == _POPULATION:
                self._place = 0
                self._next_generation()

    def answer(self) -> Candidate:
        """Return what the sketch returns: the newest generation's member at the last one's best place."""
        best = int(np.argmax(self._fitness))
        return self._points(self.population[best : best + 1]).candidates()[0]

    def _points(self, members: NDArray[np.float64]) -> Points:
        shape = (len(members), self.space.epochs, self.space.columns)
        bits = (members[:, : self.space.bits] > 0.5).reshape(shape)
        return Points(bits=bits, values=np.clip(members[:, self.space.bits :], 0.0, 1.0))

    def _next_generation(self) -> None:
        energies = [self._known.get(one.key, NOWHERE) for one in self._points(self.population).candidates()]
        self._fitness = np.array([-value if violation == 0.0 else -np.inf for violation, value in energies])
        offspring = self.population
        if self.rng.random() < _TUNNELLING:
            flipped = self.rng.random(offspring.shape) < _FLIPPED
            offspring = np.where(flipped, 1.0 - offspring, offspring)
        self.population = offspring
        self.temperature *= _COOLING
