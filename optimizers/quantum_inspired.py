"""Quantum-inspired annealing: a probability-amplitude model, block moves among the elites, and a learned energy.

"Quantum-inspired" means that each on/off decision is held as an amplitude, an angle theta with probability
sin^2(theta) of being on, which is measured in batches and rotated, and that an Ising energy is learnt from what is told
and annealed. No quantum physics is simulated and no quantum hardware is used or needed; "tunnelling" is a name for
moves that change many bits at once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, stack, usable
from optimizers.contract import Evaluation, SearchSpace
from optimizers.energy_pool import EnergyPool
from optimizers.generational import UNKNOWN, Generational
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
from optimizers.probing import Probing
from optimizers.settings import Setting
from optimizers.space import Domain

_SHORT = 16  # evaluations a dimension, below which a search is short
_PROBED, _SWEEPS = 0.9, 12  # of a short search's budget, and sweeps, that probes take at most
_UNSURE = 0.25  # the amplitudes' chance that a bit is wrong after probes
_RECENT = 4  # generations whose best fifth the model turns to
_BEST = 0.2
_EPSILON = 0.01  # no decision's probability leaves [epsilon, 1 - epsilon]
_SPREAD, _LEAST_SPREAD = 0.3, 0.02  # standard deviation of the values' Gaussians: at the start, and at least
_MODEL_SHARE = 0.6  # of the budget, at most, is spent on phase 1
_DECIDED = 0.1  # phase 1 ends when the mean of 4 p (1 - p), or the widest spread against its start, is below
_POOL = 24  # the best candidates whose differences move the values
_SWEPT = 0.35  # of phase 2's candidates are the best one with a bit flipped, every bit in its turn
_COPIED = 0.4  # of phase 2's schedules take a block from a donor; the others make one of the moves below
_RUN_MOVES = (partial(flip_bits, mean=0.5), flip_window, set_window, shift_switch, swap_window)
_LIKELY_SHARE, _RUN_SHARES = 0.65, (0.1, 0.1, 0.05, 0.08, 0.02)
_LEAST_WEIGHT = 0.05  # of a bit that the model has decided, among the likely flips
_BITS_ONLY, _VALUES_ONLY = 0.6, 0.2  # the rest of phase 2's candidates change in both
_MOVED = 0.9  # of a candidate's values, where they change
_MOVED_HERE, _POOLED = 0, 1  # origins


class QuantumInspired(Generational):
    """Amplitudes, tunnelling and a learned energy; for short searches, probes and tunnelling.

    A search is short with fewer evaluations than 16 times the dimensions: too few to learn a model of pairs. It anneals
    by probes (optimizers.probing), for 0.9 of its budget but no more than 12 sweeps, and then tunnels. Otherwise:

    Phase 1, amplitudes: decisions are measured independently, p = sin^2(theta), and values drawn from one Gaussian
    each. After each generation the angles, means and spreads go a share of the way, `rotation_rate`, to those of the
    best fifth of the last four generations; p stays within [0.01, 0.99]. The phase ends when the model has
    decided, or at 0.6 of the budget.

    Phase 2, tunnelling: each candidate starts from one of the elites, the best told, won by a tournament of two. Its
    schedule takes a block (time window x lever subset) from another elite; or flips the bit that the amplitudes
    hold likely to be wrong; or flips bits, flips or sets a window, shifts a switch point, or swaps two levers in a
    window. Its values move by a scaled difference of two of the 24 best, with Gaussian noise. The number of elites is
    a 400th of the budget, between 3 and 40.

    Annealing in a learned energy, in both phases, once enough is told: fields, couplings of pairs and one cap are
    fitted to what was told, and schedules sampled from them, hot and cold, take a share of each generation that follows
    their success (optimizers.energy_pool). Their values are half the elites', half around what the energy holds best.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "rotation_rate": Setting(
            usual=None,
            domain=Domain(low=0.01, high=1.0, log=True),
            meaning="share of its way that the model goes after a generation; follows from their number",
        ),
        "pool_share": Setting(
            usual=0.5,
            domain=Domain(low=0.1, high=0.75),
            meaning="share of a generation that the first samples of the energy take",
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
        self.rate = self.setting["rotation_rate"] or rotation_rate(budget / max(1, width))
        self.elites = int(np.clip(budget // 400, 3, 40))
        self.angles = np.full((space.epochs, space.columns), np.pi / 4)
        self.centre = np.array(space.start) if space.start else np.full(len(space.parameters), 0.5)
        self.spread = np.full(len(space.parameters), AROUND if space.start else _SPREAD)
        self.tunnelling = False
        short = space.bits > 0 and budget < _SHORT * space.dimension
        self.probes = min(_PROBED * budget, _SWEEPS * space.dimension) if short else 0.0
        self.probing = Probing(space, self.rng, self._first_bits(), self.centre)
        self.pool = EnergyPool(space, budget, self.setting["pool_share"] or 0.0)
        self._recent: list[list[Evaluation]] = []
        self._order: list[int] = []

    def propose(self, n: int) -> Points:
        """Return n proposals: probes, or samples of the learned energy and measurements or moves from the elites."""
        if self.told < self.probes:
            return self.probing.propose(n)
        others = self._tunnelled(n) if self.tunnelling and len(self.archive) > 1 else self._measured(n)
        bits = self.pool.take(round(self.pool.share * n)) if len(self.pool) else others.bits[:0]
        origin = np.full(n, _MOVED_HERE)
        if len(bits):
            origin[: len(bits)] = _POOLED
            others.bits[: len(bits)] = bits
            others.values[: len(bits)] = self._values(len(bits))
        return Points(bits=others.bits, values=others.values, origin=origin)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Judge the probes; or teach the energy, and rotate the amplitudes towards the best fifth until they decide."""
        if self.told - len(evaluations) < self.probes:
            self._judge_probes(evaluations, origins)
            return
        self.pool.learn(evaluations, (origins == _POOLED).tolist(), self.rng)
        if self.tunnelling:
            return
        self._recent = [*self._recent, [e for e in evaluations if usable(e)]][-_RECENT:]
        ranked = sorted((e for told in self._recent for e in told), key=lambda e: (max(e.violation, 0.0), e.value))
        if len(ranked) > 1:
            best = ranked[: max(2, round(_BEST * len(ranked)))]
            self._rotate(stack(self.space, [e.candidate for e in best]))
        self.tunnelling = self._undecided() < _DECIDED or self.told >= _MODEL_SHARE * self.budget

    def _first_bits(self) -> NDArray[np.bool_]:
        bits = self.rng.random((self.space.epochs, self.space.columns)) < 0.5
        return np.zeros_like(bits) if self.space.start else bits

    def _judge_probes(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        told = [
            (origin, one.candidate, one.value)
            for one, origin in zip(evaluations, origins.tolist(), strict=True)
            if origin != UNKNOWN and usable(one) and one.violation <= 0.0
        ]
        self.probing.learn(told, min(1.0, self.told / self.probes))
        if self.told >= self.probes and len(self.archive):
            best = self.archive.best(1)[0]
            self.angles = np.arcsin(np.sqrt(np.where(best.bits, 1.0 - _UNSURE, _UNSURE)))
            self.tunnelling = True

    def _values(self, n: int) -> NDArray[np.float64]:
        """Return values for samples of the energy: half elites' moved, half around what the energy holds best."""
        elite = self.archive.winners(self.rng, n, self.elites).values
        first, second = (self.archive.drawn(self.rng, n, _POOL).values for _ in range(2))
        moved = differential(self.rng, elite, first, second, _MOVED)
        noise = (first - second) * self.rng.standard_normal((n, 1))
        modelled = reflect(self.pool.energy.best_values() + 0.5 * noise)
        return np.where((self.rng.random(n) < 0.5)[:, None], moved, modelled)

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
        swept = self._swept(round(_SWEPT * n) if self.space.bits else 0)
        parent = self.archive.winners(self.rng, n - len(swept), self.elites)
        first, second = (self.archive.drawn(self.rng, len(parent), _POOL) for _ in range(2))
        values = differential(self.rng, parent.values, first.values, second.values, _MOVED)
        changed = Points(bits=self._schedules(parent) if self.space.bits else parent.bits, values=values)
        moved = either_or_both(self.rng, parent, changed, _BITS_ONLY, _VALUES_ONLY)
        best = np.broadcast_to(self.archive.points.values[0], (len(swept), len(self.space.parameters)))
        return Points(bits=np.concatenate([swept, moved.bits]), values=np.concatenate([best, moved.values]))

    def _swept(self, n: int) -> NDArray[np.bool_]:
        """Return n schedules that differ from the best one by a bit each, every bit in its turn."""
        while len(self._order) < n:
            self._order += self.rng.permutation(self.space.bits).tolist()
        places, self._order = self._order[:n], self._order[n:]
        bits = np.repeat(self.archive.points.bits[:1], n, axis=0)
        bits.reshape(n, self.space.bits)[np.arange(n), places] ^= True
        return bits

    def _schedules(self, parent: Points) -> NDArray[np.bool_]:
        bits = parent.bits.copy()
        draw = self.rng.random(len(parent)) < _COPIED
        copied, moved = np.flatnonzero(draw), np.flatnonzero(~draw)
        donor = self.archive.drawn(self.rng, len(copied), self.elites)
        bits[copied] = copy_block(self.rng, bits[copied], donor.bits)
        likely = partial(flip_likely, probability=np.sin(self.angles) ** 2, least=_LEAST_WEIGHT)
        bits[moved] = mixture(self.rng, bits[moved], (likely, *_RUN_MOVES), (_LIKELY_SHARE, *_RUN_SHARES))
        return bits


def rotation_rate(rounds: float) -> float:
    """Return the share of its way that the model goes after each of `rounds` generations.

    0.5 up to 80 rounds, falling to 0.4 at 150 and as 60 / rounds beyond.
    """
    return float(np.interp(rounds, (80.0, 150.0), (0.5, 0.4))) if rounds <= 150.0 else 60.0 / rounds
