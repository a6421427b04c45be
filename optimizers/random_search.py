"""Uniform random search: the baseline that every other method must beat."""

from collections.abc import Sequence

from optimizers.archive import Points
from optimizers.contract import Evaluation
from optimizers.generational import Generational
from optimizers.moves import uniform_bits


class RandomSearch(Generational):
    """Draws candidates that don't depend on anything told.

    Bits: each candidate draws a density from U(0, 1), then switches every bit on with that probability.
    Values: U(0, 1).
    """

    def propose(self, n: int) -> Points:
        """Return n random points."""
        return Points(
            bits=uniform_bits(self.rng, self.space, n), values=self.rng.random((n, len(self.space.parameters)))
        )

    def learn(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn nothing."""
