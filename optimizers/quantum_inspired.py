"""Quantum-inspired search: a probability-amplitude model, then block moves among the elites.

"Quantum-inspired" means that each on/off decision is held as an amplitude, an angle theta with probability
sin^2(theta) of being on, which is measured in batches and rotated. No quantum physics is simulated and no quantum
hardware is used or needed; "tunnelling" is a name for moves that change many bits at once.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, stack, usable
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import Generational
from optimizers.moves import (
    AROUND,
    copy_block,
    differential,
    either_or_both,
    flip_bits,
    flip_likely,
    flip_window,
    mixture,
    reflect,
    set_window,
    shift_switch,
    stratified,
    swap_window,
)

_RECENT = 4  # generations whose best fifth the model turns to
_BEST = 0.2
_EPSILON = 0.01  # no decision's probability leaves [epsilon, 1 - epsilon]
_SPREAD, _LEAST_SPREAD = 0.3, 0.02  # standard deviation of the values' Gaussians: at the start, and at least
_MODEL_SHARE = 0.6  # of the budget, at most, is spent on phase 1
_DECIDED = 0.1  # phase 1 ends when the mean of 4 p (1 - p), or the widest spread against its start, is below
_POOL = 24  # the best candidates whose differences move the values
_COPIED = 0.4  # of phase 2's schedules take a block from a donor; the others make one of the moves below
_RUN_MOVES = (partial(flip_bits, mean=0.5), flip_window, set_window, shift_switch, swap_window)
_LIKELY_SHARE, _RUN_SHARES = 0.65, (0.1, 0.1, 0.05, 0.08, 0.02)
_LEAST_WEIGHT = 0.05  # of a bit that the model has decided, among the likely flips
_BITS_ONLY, _VALUES_ONLY = 0.6, 0.2  # the rest of phase 2's candidates change in both
_MOVED = 0.9  # of a candidate's values, where they change


class QuantumInspired(Generational):
    """A hybrid of two phases.

    Phase 1, amplitudes: decisions are measured independently, p = sin^2(theta), and values drawn from one Gaussian
    each. After each generation the angles, means and spreads go a share of the way, `rotation_rate`, to those of the
    best fifth of the last four generations; p stays within [0.01, 0.99]. The phase ends when the model has
    decided, or at 0.6 of the budget.

    Phase 2, tunnelling: each candidate starts from one of the elites, the best told, won by a tournament of two. Its
    schedule takes a block (time window x lever subset) from another elite; or flips the bit that the amplitudes
    hold likely to be wrong; or flips bits, flips or sets a window, shifts a switch point, or swaps two levers in a
    window. Its values move by a scaled difference of two of the 24 best, with Gaussian noise. The number of elites is
    a 400th of the budget, between 3 and 40.
    """

    def __init__(self, space: SearchSpace, *, budget: int, width: int, seed: int) -> None:
        super().__init__(space, budget=budget, width=width, seed=seed)
        self.rate = rotation_rate(budget / max(1, width))
        self.elites = int(np.clip(budget // 400, 3, 40))
        self.angles = np.full((space.epochs, len(space.levers)), np.pi / 4)
        self.centre = np.array(space.start) if space.start else np.full(len(space.parameters), 0.5)
        self.spread = np.full(len(space.parameters), AROUND if space.start else _SPREAD)
        self.tunnelling = False
        self._recent: list[list[Evaluation]] = []

    def propose(self, n: int) -> Points:
        """Return n measurements of the model, or n moves from the elites once phase 2 has begun."""
        return self._tunnelled(n) if self.tunnelling and len(self.archive) > 1 else self._measured(n)

    def learn(self, evaluations: Sequence[Evaluation]) -> None:
        """Rotate the model towards the best fifth of the last generations, and end phase 1 when it has decided."""
        if self.tunnelling:
            return
        self._recent = [*self._recent, [e for e in evaluations if usable(e)]][-_RECENT:]
        ranked = sorted((e for told in self._recent for e in told), key=lambda e: (max(e.violation, 0.0), e.value))
        if len(ranked) > 1:
            best = ranked[: max(2, round(_BEST * len(ranked)))]
            self._rotate(stack(self.space, [e.candidate for e in best]))
        self.tunnelling = self._undecided() < _DECIDED or self.told >= _MODEL_SHARE * self.budget

    def _undecided(self) -> float:
        if self.space.bits:
            return float(np.mean(np.sin(2 * self.angles) ** 2))
        return float(np.max(self.spread, initial=0.0)) / _SPREAD

    def _measured(self, n: int) -> Points:
        bits = self.rng.random((n, *self.angles.shape)) < np.sin(self.angles) ** 2
        if not self.told and not self.space.start:
            return Points(bits=bits, values=stratified(self.rng, n, len(self.centre)))
        noise = self.spread * self.rng.standard_normal((n, len(self.centre)))
        return Points(bits=bits, values=reflect(self.centre + noise))

    def _rotate(self, best: Points) -> None:
        target = np.arcsin(np.sqrt(np.clip(best.bits.mean(axis=0), _EPSILON, 1.0 - _EPSILON)))
        self.angles = self.angles + self.rate * (target - self.angles)
        self.centre = self.centre + self.rate * (best.values.mean(axis=0) - self.centre)
        self.spread = self.spread + self.rate * (best.values.std(axis=0) - self.spread)
        self.spread = np.maximum(self.spread, _LEAST_SPREAD)

    def _tunnelled(self, n: int) -> Points:
        parent = self.archive.winners(self.rng, n, self.elites)
        first, second = (self.archive.drawn(self.rng, n, _POOL) for _ in range(2))
        values = differential(self.rng, parent.values, first.values, second.values, _MOVED)
        changed = Points(bits=self._schedules(parent) if self.space.bits else parent.bits, values=values)
        return either_or_both(self.rng, parent, changed, _BITS_ONLY, _VALUES_ONLY)

    def _schedules(self, parent: Points) -> NDArray[np.bool_]:
        donor = self.archive.drawn(self.rng, len(parent), self.elites)
        likely = partial(flip_likely, probability=np.sin(self.angles) ** 2, least=_LEAST_WEIGHT)
        moved = mixture(self.rng, parent.bits, (likely, *_RUN_MOVES), (_LIKELY_SHARE, *_RUN_SHARES))
        copied = (self.rng.random(len(parent)) < _COPIED)[:, None, None]
        return np.where(copied, copy_block(self.rng, parent.bits, donor.bits), moved)


def rotation_rate(rounds: float) -> float:
    """Return the share of its way that the model goes after each of `rounds` generations.

    0.5 up to 80 rounds, falling to 0.4 at 150 and as 60 / rounds beyond.
    """
    return float(np.interp(rounds, (80.0, 150.0), (0.5, 0.4))) if rounds <= 150.0 else 60.0 / rounds
