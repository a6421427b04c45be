"""QIEA: individuals of probability amplitudes, each rotated towards the best it has measured."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import NOWHERE, Energy, energy_of
from optimizers.archive import Points
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import UNKNOWN, Generational
from optimizers.moves import reflect
from optimizers.settings import Setting
from optimizers.space import Domain

_EPSILON = 0.01  # no amplitude's probability leaves [epsilon, 1 - epsilon]: the H-epsilon gate
_GROUP = 5  # individuals that share their best in a local migration
_SPREAD, _LEAST_SPREAD = 0.3, 0.005  # standard deviation of the values around their attractor: at the start, at the end


class Qiea(Generational):
    """Quantum-inspired evolutionary algorithm (Han and Kim 2002). No quantum physics is simulated.

    Each individual holds one angle theta a bit, measured as on with probability sin^2(theta), and the best point that
    it has measured or been given, its attractor. The rotation gate's table: where a measurement is worse than the
    attractor and they differ in a bit, its angle turns by `rotation` towards the attractor's; else it stays. Migration:
    every `migration` generations all attractors become the best of all, and in between the best of their group of five.

    Changed from the paper, which has bits only and maximises: values are drawn from a Gaussian around the attractor's,
    whose spread falls geometrically from 0.3 to 0.005 over the budget; individuals take turns where fewer candidates
    are asked than there are individuals.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "individuals": Setting(
            usual=4.0, domain=Domain(low=1.0, high=1024.0, integer=True, log=True), meaning="individuals"
        ),
        "rotation": Setting(usual=0.01, domain=Domain(low=1e-4, high=0.5, log=True), meaning="step, in units of pi"),
        "migration": Setting(
            usual=20.0,
            domain=Domain(low=1.0, high=10000.0, integer=True, log=True),
            meaning="generations between two global migrations",
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
        individuals = round(self.number("individuals"))
        self.angles = np.full((individuals, space.epochs, space.columns), np.pi / 4)
        self.attractor_bits = np.zeros(self.angles.shape, dtype=np.bool_)
        start = space.start or (0.5,) * len(space.parameters)
        self.attractor_values = np.tile(np.array(start, dtype=np.float64), (individuals, 1))
        self.attractor_energy: list[Energy] = [NOWHERE] * individuals
        self._turn = 0
        self._generation, self._measured = 0, 0

    def propose(self, n: int) -> Points:
        """Return n measurements, the individuals taking turns."""
        which = (self._turn + np.arange(n)) % len(self.angles)
        self._turn = int((self._turn + n) % len(self.angles))
        bits = self.rng.random((n, *self.angles.shape[1:])) < np.sin(self.angles[which]) ** 2
        progress = min(1.0, self.told / max(1, self.budget))
        spread = _SPREAD * (_LEAST_SPREAD / _SPREAD) ** progress
        values = self.attractor_values[which] + spread * self.rng.standard_normal((n, len(self.space.parameters)))
        return Points(bits=bits, values=reflect(values), origin=which)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Rotate each individual by its measurements, then let attractors migrate."""
        for evaluation, origin in zip(evaluations, origins.tolist(), strict=True):
            energy = energy_of(evaluation)
            if energy == NOWHERE:
                continue
            self._measurement(evaluation, 0 if origin == UNKNOWN else origin, energy)
        self._measured += len(evaluations)
        while self._measured >= len(self.angles):
            self._measured -= len(self.angles)
            self._generation += 1
            self._migrate(_GROUP if self._generation % round(self.number("migration")) else len(self.angles))

    def _measurement(self, evaluation: Evaluation, which: int, energy: Energy) -> None:
        bits = evaluation.candidate.bits
        if energy > self.attractor_energy[which]:
            turn = rotation(bits, self.attractor_bits[which], self.number("rotation") * np.pi)
            least = np.arcsin(np.sqrt(_EPSILON))
            self.angles[which] = np.clip(self.angles[which] + turn, least, np.pi / 2 - least)
        else:
            self._attract(which, bits, evaluation.candidate.values, energy)

    def _attract(self, which: int, bits: NDArray[np.bool_], values: NDArray[np.float64], energy: Energy) -> None:
        self.attractor_bits[which], self.attractor_values[which] = bits, values
        self.attractor_energy[which] = energy

    def _migrate(self, group: int) -> None:
        for first in range(0, len(self.angles), group):
            members = range(first, min(first + group, len(self.angles)))
            best = min(members, key=lambda one: self.attractor_energy[one])
            for member in members:
                self._attract(
                    member, self.attractor_bits[best], self.attractor_values[best], self.attractor_energy[best]
                )


def rotation(measured: NDArray[np.bool_], attractor: NDArray[np.bool_], step: float) -> NDArray[np.float64]:
    """Return the gate's turns of a worse measurement: towards the attractor where they differ, else none.

    These are the lines theta_3 = step and theta_5 = -step of the paper's table, the others being 0.
    """
    return step * (attractor.astype(np.float64) - measured.astype(np.float64))
