"""CMA-ES with margin, through the `cmaes` package: the method of choice for continuous parameters."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from cmaes import CMAwM
from numpy.typing import NDArray

from optimizers import restore
from optimizers.annealing import Energy
from optimizers.contract import SearchSpace
from optimizers.settings import Setting
from optimizers.space import Domain
from optimizers.unit_cube import UnitCube

_STEPS = 64  # an integer of more numbers is searched as a real one, and so is one that is even in logarithms
_SIGMA_FROM_PRACTICE = 0.15


class CmaEs(UnitCube):
    """Covariance matrix adaptation with a margin that keeps bits and integers moving (Hamano et al. 2022).

    A generation of the package's is told once all of it is; candidates that failed rank last, and feasible ones before
    others, so that only ranks reach the model, never values. Where the model has converged it begins anew at a random
    point with twice the population (IPOP; Auger and Hansen 2005). The covariance has dimension^2 entries: beyond some
    hundred bits the method is slow, and weak.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "sigma": Setting(usual=0.25, domain=Domain(low=1e-3, high=1.0, log=True), meaning="step at the start"),
        "population": Setting(
            usual=None,
            domain=Domain(low=4.0, high=4096.0, integer=True, log=True),
            meaning="candidates of a generation; usually 4 + 3 ln(dimension), or half the width where that is more",
        ),
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
        self._population = self._first_population()
        self.model = self._begun(self._middle())
        self._generation: list[tuple[Energy, NDArray[np.float64]]] = []
        self._raw: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._samples = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as events to replay: the package's own pickle leaves out its generator and rounds the covariance."""
        return restore, ("cma_es", self.space, self.save())

    def draw(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return n samples of the model."""
        places, tags = np.zeros((n, self.space.dimension)), np.arange(self._samples, self._samples + n)
        for row, tag in enumerate(tags.tolist()):
            exact, raw = self.model.ask()
            places[row] = exact[: self.space.dimension]
            self._raw[tag] = (places[row], raw)
        self._samples += n
        return places, tags

    def judge(self, place: NDArray[np.float64], tag: int, energy: Energy) -> None:
        """Hand a generation to the model once it is complete, and begin anew where the model has converged."""
        if tag not in self._raw:  # drawn from a model that has converged since
            return
        exact, raw = self._raw.pop(tag)
        told = raw.copy()
        told[: len(place)] = np.where(place == exact, raw[: len(place)], place)
        self._generation.append((energy, told))
        if len(self._generation) < self.model.population_size:
            return
        ranks = {energy: rank for rank, energy in enumerate(sorted({one for one, _ in self._generation}))}
        self.model.tell([(told, float(ranks[energy])) for energy, told in self._generation])
        self._generation = []
        if self.model.should_stop():
            self._population *= 2
            self._raw.clear()
            self.model = self._begun(self.rng.random(max(2, self.space.dimension)))

    def _first_population(self) -> int:
        usual = max(self.width // 2, 4 + int(3 * np.log(max(2, self.space.dimension))))
        return round(self.setting["population"] or usual)

    def _middle(self) -> NDArray[np.float64]:
        middle = np.full(max(2, self.space.dimension), 0.5)
        if self.space.start:
            middle[: self.space.bits] = 0.25
            middle[self.space.bits : self.space.dimension] = self.space.start
        return middle

    def _begun(self, mean: NDArray[np.float64]) -> CMAwM:
        sigma = self.number("sigma")
        bounds, steps = _grid(self.space, len(mean))
        return CMAwM(
            mean=np.clip(mean, bounds[:, 0], bounds[:, 1]),
            sigma=min(sigma, _SIGMA_FROM_PRACTICE) if self.space.start else sigma,
            bounds=bounds,
            steps=steps,
            seed=int(self.rng.integers(2**32)),
            population_size=self._population,
        )


def _grid(space: SearchSpace, dimension: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bounds, (dimension, 2), and steps, (dimension,), 0 for an axis of real numbers."""
    bounds, steps = np.tile([0.0, 1.0], (dimension, 1)), np.zeros(dimension)
    steps[: space.bits] = 1.0
    for axis, domain in enumerate(space.domains, start=space.bits):
        numbers = domain.high - domain.low + 1.0
        if domain.integer and not domain.log and 2 <= numbers <= _STEPS:
            steps[axis] = 1.0 / numbers
            bounds[axis] = (0.5 / numbers, 1.0 - 0.5 / numbers)
    return bounds, steps
