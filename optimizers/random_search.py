"""Uniform random search: the baseline that every other method must beat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.contract import Evaluation
from optimizers.generational import Generational
from optimizers.moves import around, uniform_bits


class RandomSearch(Generational):
    """Draws candidates that don't depend on anything told.

    Bits: each candidate draws a density from U(0, 1), then switches every bit on with that probability.
    Values: U(0, 1), or, for every second candidate of a space with a start, around it.
    """

    def propose(self, n: int) -> Points:
        """Return n random points."""
        values = self.rng.random((n, len(self.space.parameters)))
        if self.space.start:
            values[::2] = around(self.rng, self.space.start, len(values[::2]))
        return Points(bits=uniform_bits(self.rng, self.space, n), values=values)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Learn nothing."""
