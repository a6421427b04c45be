"""When a search learns an energy, from what, and the schedules that it draws from it."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optimizers.archive import Points, stack, usable
from optimizers.boltzmann import sampled
from optimizers.contract import Evaluation, SearchSpace
from optimizers.energy import Energy

_LEARNT = 3000  # points learnt one and all; of as many more every second one, then every third, and so on
_LATEST_FIRST = 0.4  # of the budget: the first fit is no later, however few the points
_GROWTH = 1.5  # of the number told, from one fit to the next
_LAST_FIT = 0.8  # of the budget: later, too little is left to propose
_DRAWN = 240  # samples of a fit, the best of which are proposed
_USED = 0.3  # of the candidates until the next fit come from the pool, at most
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.75  # of a generation that comes from the pool
_TOP = 0.2  # what counts as success: to be among the best fifth since the last fit

Bits = NDArray[np.bool_]


class EnergyPool:
    """Collects what is told, fits the energy at growing intervals and hands out its samples, best predicted first.

    The first fit comes when there are as many points as features, and at 0.4 of the budget at the latest; then each
    time that the number told has grown by 1.5, up to 0.8 of the budget. The share of a generation that comes from the
    pool follows its success: how often its candidates were among the best fifth since the last fit, against all others.
    """

    def __init__(self, space: SearchSpace, budget: int, share: float) -> None:
        self.energy = Energy(space)
        self.share = share
        self._space = space
        self._last = _LAST_FIT * budget
        self._due = max(8.0, min(float(self.energy.size), _LATEST_FIRST * budget)) if self.energy.possible else np.inf
        self._told: list[tuple[Points, NDArray[np.float64]]] = []
        self._count = 0
        self._learnt = 0
        self._recent: list[tuple[float, bool]] = []  # value of each point since the last fit, and whether from the pool
        self._pool: list[Bits] = []  # in the order in which they are taken

    def __len__(self) -> int:
        return len(self._pool)

    def learn(self, evaluations: Sequence[Evaluation], pooled: Sequence[bool], rng: Generator) -> None:
        """Take in a generation, and fit and sample when it is time. pooled: which candidates came from the pool."""
        if not self.energy.possible:
            return
        told = zip(evaluations, pooled, strict=True)
        kept = [(one, own) for one, own in told if usable(one) and one.violation <= 0.0]
        values = np.array([one.value for one, _ in kept])
        self._told.append((stack(self._space, [one.candidate for one, _ in kept]), values))
        self._count += len(kept)
        self._recent += [(one.value, own) for one, own in kept]
        if self._due <= self._count <= self._last:
            self._due = _GROWTH * self._count
            self._weigh_success()
            self._refill(rng)

    def take(self, n: int) -> Bits:
        """Return up to n schedules and remove them from the pool."""
        taken, self._pool = self._pool[:n], self._pool[n:]
        return np.array(taken, dtype=np.bool_).reshape(-1, self._space.epochs, self._space.columns)

    def _weigh_success(self) -> None:
        values = np.array([value for value, _ in self._recent])
        own = np.array([pooled for _, pooled in self._recent])
        self._recent = []
        if not own.any() or own.all():
            return
        top = values <= np.quantile(values, _TOP)
        pooled, others = float(np.mean(top[own])), float(np.mean(top[~own]))
        self.share = float(np.clip(pooled / max(pooled + others, 1e-9), _LEAST_SHARE, _MOST_SHARE))

    def _refill(self, rng: Generator) -> None:
        told = np.concatenate([values for _, values in self._told])
        points = Points(
            bits=np.concatenate([points.bits for points, _ in self._told]),
            values=np.concatenate([points.values for points, _ in self._told]),
        )
        if float(np.ptp(told)) == 0.0:  # nothing to learn yet
            return
        self._told = []
        kept = np.flatnonzero(np.arange(self._learnt, self._learnt + len(told)) % (1 + self._learnt // _LEARNT) == 0)
        self._learnt += len(told)
        self.energy.learn(points.take(kept), told[kept])
        self.energy.fit()
        drawn = sampled(self.energy, rng, _DRAWN)
        packed = np.packbits(drawn.reshape(len(drawn), -1), axis=1)
        drawn = drawn[np.sort(np.unique(packed, axis=0, return_index=True)[1])]
        centre = np.broadcast_to(self.energy.best_values(), (len(drawn), points.values.shape[1]))
        predicted = self.energy.predict(Points(bits=drawn, values=centre))
        self._pool = list(drawn[np.argsort(predicted, kind="stable")][: round(_USED * (self._due - self._count))])
