"""Fast GA: one parent, and a number of changes drawn from a power law."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, stack
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import Generational
from optimizers.moves import around, reflect, stratified, uniform_bits
from optimizers.settings import Setting
from optimizers.space import Domain

_WIDEST, _LEAST = 0.5, 1e-3  # standard deviation of a value's moves: log-uniform between


class FastGa(Generational):
    """(1 + lambda) with heavy-tailed mutation (Doerr, Le, Makhmara and Nguyen 2017).

    The parent is the best told. Each child draws alpha from 1 to half the dimension with probability proportional to
    alpha^-beta and changes every dimension with probability alpha / dimension, at least one of them. A changed bit is
    flipped. A changed value moves by a Gaussian whose standard deviation is drawn log-uniformly from 0.001 to 0.5,
    which carries the power law over to real numbers; the paper has bits only.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "beta": Setting(usual=1.5, domain=Domain(low=1.05, high=6.0), meaning="exponent of the power law"),
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
        self._parent: Points | None = None

    def propose(self, n: int) -> Points:
        """Return n mutants of the best, or random points before anything is known."""
        if self._parent is None:
            values = stratified(self.rng, n, len(self.space.parameters))
            if self.space.start:
                values[::2] = around(self.rng, self.space.start, len(values[::2]))
            return Points(bits=uniform_bits(self.rng, self.space, n), values=values)
        parent = self._parent.take(np.zeros(n, dtype=np.int64))
        changed = power_law_changes(self.rng, n, self.space.dimension, self.number("beta"))
        flips = changed[:, : self.space.bits].reshape(parent.bits.shape)
        width = _LEAST * (_WIDEST / _LEAST) ** self.rng.random(parent.values.shape)
        step = width * self.rng.standard_normal(parent.values.shape)
        values = reflect(parent.values + np.where(changed[:, self.space.bits :], step, 0.0))
        return Points(bits=parent.bits ^ flips, values=values)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:  # noqa: ARG002
        """Keep the newest of the best: a child as good as its parent takes its place, which crosses plateaus."""
        if not len(self.archive):
            return
        best = (self.archive.violations[0], self.archive.values[0])
        equals = [one.candidate for one in evaluations if (max(one.violation, 0.0), one.value) == best]
        if equals:
            self._parent = stack(self.space, equals[-1:])


def power_law_changes(rng: np.random.Generator, n: int, dimension: int, beta: float) -> NDArray[np.bool_]:
    """Return which dimensions each of n mutants changes, shape (n, dimension); at least one in every row."""
    alpha = np.arange(1, max(2, dimension // 2 + 1))
    chance = alpha**-beta
    drawn = rng.choice(alpha, size=(n, 1), p=chance / chance.sum())
    changed = rng.random((n, dimension)) < drawn / max(1, dimension)
    certain = np.arange(dimension) == rng.integers(max(1, dimension), size=n)[:, None]
    return np.where(changed.any(axis=1, keepdims=True), changed, certain)
