"""A genetic algorithm with operators that know schedules, joined to differential evolution on the values."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import Generational
from optimizers.moves import (
    around,
    copy_block,
    differential,
    either_or_both,
    flip_bits,
    flip_window,
    mixture,
    run_bits,
    set_window,
    shift_switch,
    stratified,
    swap_window,
    uniform_bits,
)

_RANDOM = 24  # points at the start
_POOL = 60  # the best candidates whose differences move the values
_CROSSOVER = 0.5
_ALSO_MUTATED = 0.5  # of the crossed children
_MUTATIONS = (partial(flip_bits, mean=0.5), flip_window, set_window, shift_switch, swap_window)
_SHARES = (0.6, 0.1, 0.1, 0.15, 0.05)
_BITS_ONLY, _VALUES_ONLY = 0.6, 0.2  # the rest of the children change in both
_MOVED = 0.9  # of a child's values, where they change


class Evolution(Generational):
    """(mu + lambda) evolution: the mu best distinct candidates told so far are the parents of each generation.

    mu is a 400th of the budget, between 4 and 40: a short search has to be greedy.

    Start: 24 random points; half of their schedules have a random density, half one window per lever; values are
    stratified, or, for every second point of a space with a start, drawn around it. Then each child has a parent
    won by a tournament of two. Its schedule takes a block (time window x
    lever subset) from a second parent with probability 0.5. It mutates if it took none, and half the time if it did: it
    flips bits, flips or sets a window, shifts a switch point, or swaps two levers in a window. Its values move by a
    scaled difference of two of the 60 best, with Gaussian noise. Where the space has bits and values, a child
    changes one part or both.
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
        self.parents = int(np.clip(budget // 400, 4, 40))

    def propose(self, n: int) -> Points:
        """Return n children, or random points until enough have been told."""
        if self.told < _RANDOM or len(self.archive) < 2:
            return self._start(n)
        parent = self.archive.winners(self.rng, n, self.parents)
        return either_or_both(self.rng, parent, self._children(parent), _BITS_ONLY, _VALUES_ONLY)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Learn nothing beyond the archive, which holds the parents."""

    def _start(self, n: int) -> Points:
        bits = uniform_bits(self.rng, self.space, n)
        bits[1::2] = run_bits(self.rng, self.space, n // 2)
        values = stratified(self.rng, n, len(self.space.parameters))
        if self.space.start:
            values[::2] = around(self.rng, self.space.start, len(values[::2]))
        return Points(bits=bits, values=values)

    def _children(self, parent: Points) -> Points:
        first, second = (self.archive.drawn(self.rng, len(parent), _POOL) for _ in range(2))
        values = differential(self.rng, parent.values, first.values, second.values, _MOVED)
        return Points(bits=self._schedules(parent) if self.space.bits else parent.bits, values=values)

    def _schedules(self, parent: Points) -> NDArray[np.bool_]:
        donor = self.archive.drawn(self.rng, len(parent), self.parents)
        crossed = (self.rng.random(len(parent)) < _CROSSOVER)[:, None, None]
        bits = np.where(crossed, copy_block(self.rng, parent.bits, donor.bits), parent.bits)
        mutated = ~crossed | (self.rng.random(len(parent)) < _ALSO_MUTATED)[:, None, None]
        return np.where(mutated, mixture(self.rng, bits, _MUTATIONS, _SHARES), bits)
