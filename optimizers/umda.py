"""UMDA: independent marginals, learnt from the best of each population."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, stack, usable
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import Generational
from optimizers.moves import AROUND, reflect
from optimizers.settings import Setting
from optimizers.space import Domain

_SPREAD = 0.3  # standard deviation of the values' Gaussians at the start
_LEAST_SPREAD = 1e-3


class Umda(Generational):
    """Univariate marginal distribution algorithm (Muehlenbein and Paass 1996; Gaussian for values: UMDAc).

    A population is drawn from one probability for each bit and one Gaussian for each value. Once it has all been told,
    its best share gives the next probabilities, held within [1/n, 1 - 1/n] for n bits, and the next Gaussians.
    Changed from the paper: the margins, without which a bit that is lost stays lost (Witt 2017), and a population
    that may span several asks.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "population": Setting(
            usual=None,
            domain=Domain(low=4.0, high=65536.0, integer=True, log=True),
            meaning="candidates told between two updates; the budget decides: an 80th of it, and at least the width",
        ),
        "selected": Setting(usual=0.2, domain=Domain(low=0.05, high=0.9), meaning="share of them that is learnt from"),
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
        self.population = round(self.setting["population"] or max(width, budget // 80, 4))
        self.probability = np.full((space.epochs, space.columns), 0.5)
        self.centre = np.array(space.start) if space.start else np.full(len(space.parameters), 0.5)
        self.spread = np.full(len(space.parameters), AROUND if space.start else _SPREAD)
        self._population: list[Evaluation] = []
        self._counted = 0

    def propose(self, n: int) -> Points:
        """Return n draws from the marginals."""
        bits = self.rng.random((n, *self.probability.shape)) < self.probability
        noise = self.spread * self.rng.standard_normal((n, len(self.centre)))
        return Points(bits=bits, values=reflect(self.centre + noise))

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:  # noqa: ARG002
        """Update the marginals once a population has been told."""
        self._counted += len(evaluations)
        self._population += [one for one in evaluations if usable(one)]
        if self._counted < self.population:
            return
        ranked = sorted(self._population, key=lambda one: (max(one.violation, 0.0), one.value))
        self._population, self._counted = [], 0
        if len(ranked) < 2:
            return
        share = self.number("selected")
        best = stack(self.space, [one.candidate for one in ranked[: max(2, round(share * len(ranked)))]])
        margin = 1.0 / max(2, self.space.bits)
        self.probability = np.clip(best.bits.mean(axis=0), margin, 1.0 - margin)
        self.centre = best.values.mean(axis=0)
        self.spread = np.maximum(best.values.std(axis=0), _LEAST_SPREAD)
