"""For methods that search real numbers: a space as the unit cube, one axis a bit and one a value."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import Energy, energy_of
from optimizers.archive import Points
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.generational import Generational


class UnitCube(Generational):
    """A bit is on where its axis is above 0.5. Subclasses write `draw` and `judge`.

    A candidate that was settled, repaired or replaced on its way is judged where it is, not where it was drawn.
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
        self._drawn: dict[int, tuple[NDArray[np.float64], int]] = {}
        self._draws = 0

    @abstractmethod
    def draw(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return n places in the cube, shape (n, dimension), each with a tag of the method's own."""

    @abstractmethod
    def judge(self, place: NDArray[np.float64], tag: int, energy: Energy) -> None:
        """Learn what a place costs. energy: infinite where the evaluation can't be learnt from."""

    def propose(self, n: int) -> Points:
        """Return n points drawn."""
        origin = np.arange(self._draws, self._draws + n)
        self._draws += n
        places, tags = self.draw(n)
        self._drawn.update(zip(origin.tolist(), zip(places, tags.tolist(), strict=True), strict=True))
        bits, values = self._split(places)
        return Points(bits=bits, values=values, origin=origin)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Judge each place drawn; what the method did not draw it does not learn from."""
        for evaluation, origin in zip(evaluations, origins.tolist(), strict=True):
            if origin in self._drawn:
                place, tag = self._drawn.pop(origin)
                self.judge(self._where(place, evaluation.candidate), tag, energy_of(evaluation))
        asked = set(self._in_flight.values())
        self._drawn = {number: drawn for number, drawn in self._drawn.items() if number in asked}

    def _split(self, places: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        bits = places[:, : self.space.bits] > 0.5
        return bits.reshape(len(places), self.space.epochs, self.space.columns), places[:, self.space.bits :].copy()

    def _where(self, place: NDArray[np.float64], candidate: Candidate) -> NDArray[np.float64]:
        bits, values = self._split(place[None])
        if np.array_equal(candidate.bits, bits[0]) and np.array_equal(candidate.values, values[0]):
            return place
        settled = self.space.settle(bits, values)[1] if self.space.coded else values
        told_bits = candidate.bits.reshape(-1)
        on_side = np.where(told_bits == bits.reshape(-1), place[: self.space.bits], 0.25 + 0.5 * told_bits)
        told_values = np.where(candidate.values == settled[0] + 0.0, values[0], candidate.values)
        return np.concatenate([on_side, told_values])
