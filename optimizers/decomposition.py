"""Several objectives at once: many weighted searches that help each other."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, stack, usable
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.front_pool import FrontPool
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
from optimizers.settings import Setting
from optimizers.space import Domain

_FRONT = 4096  # points of the front that are kept
_FEWEST = 8  # points told before the weights begin to draw
_COPIED = 0.5  # of the schedules take a block from a donor; the others make one of the moves below
_MOVES = (partial(flip_bits, mean=0.0), flip_window, set_window, shift_switch, swap_window)
_SHARES = (0.6, 0.1, 0.1, 0.15, 0.05)
_BITS_ONLY, _VALUES_ONLY = 0.8, 0.15  # the rest of the candidates change in both
_MOVED = 0.9  # of a candidate's values, where they change
_POOLED = 0.5  # of a generation are samples of learned energies, while there are any
_WEIGHTINGS = 24  # of the energies, about
_LEAST_WEIGHT = 1e-3  # of an objective, so that none is ignored


class Decomposition(Generational):
    """MOEA/D (Zhang and Li 2007) with elites for each weight: searches Evaluation.objectives, all to be minimised.

    Weights are spread evenly over the simplex of the objectives. Each ranks all points that any of them still holds by
    the weighted sum of its objectives, scaled from the ideal to the nadir of the front so far, or, with `sum` near 0,
    by their weighted Chebyshev distance from the ideal. Its best `elites` are its parents: a child comes from one of
    them, won by a tournament of two, takes a block (time window x lever subset) from an elite of its own weight or of
    a neighbour, or makes a run move; values move by differences of two points held. So a weight starts warm, from what
    its neighbours found.

    Half of a generation are schedules that learned energies draw, while there are any (optimizers.front_pool): one
    energy is fitted to each objective, and their weighted sums are annealed for some 24 weightings.

    Points with violations come after all without. An evaluation without objectives is searched by its value alone.
    `recommend` gives the best by value, `front` the nondominated points.
    """

    SEVERAL = True
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "weights": Setting(
            usual=12.0, domain=Domain(low=2.0, high=200.0, integer=True), meaning="weights, about, on the simplex"
        ),
        "elites": Setting(usual=3.0, domain=Domain(low=2.0, high=100.0, integer=True), meaning="parents of a weight"),
        "neighbours": Setting(
            usual=0.7, domain=Domain(low=0.0, high=1.0), meaning="share of donors from a neighbouring weight"
        ),
        "sum": Setting(
            usual=1000.0,
            domain=Domain(low=0.0, high=1000.0),
            meaning="weight of the weighted sum beside the distance: 0 for fronts with dents, 1000 for the sum alone",
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
        self.weights: NDArray[np.float64] = np.ones((1, 1))
        self._near = np.zeros((1, 1), dtype=np.int64)  # of each weight, the weights nearest to it
        self._held = stack(space, [])
        self._costs = np.zeros((0, 1))  # objectives of the points held
        self._violations = np.zeros(0)
        self._elites: NDArray[np.int64] = np.zeros((1, 0), dtype=np.int64)  # rows held, of each weight, best first
        self._front_points = stack(space, [])
        self._front_costs = np.zeros((0, 1))
        self._learnt = 0
        self._turn = 0
        self._pool: FrontPool | None = None
        self._weightings: NDArray[np.float64] = self.weights
        self._nearest = np.zeros(1, dtype=np.int64)  # of each weighting, the weight that is most like it

    def front(self) -> list[tuple[Candidate, tuple[float, ...]]]:
        """Return the nondominated points told, with their objectives, by the first one; feasible ones only."""
        order = np.lexsort(self._front_costs.T[::-1])
        candidates = self._front_points.take(order).candidates()
        return list(zip(candidates, map(tuple, self._front_costs[order].tolist()), strict=True))

    def propose(self, n: int) -> Points:
        """Return n children, the weights taking turns, or random points before enough is known."""
        if self._learnt < _FEWEST:
            return self._start(n)
        which = (self._turn + np.arange(n)) % len(self.weights)
        self._turn = int((self._turn + n) % len(self.weights))
        sampled_for, sampled_bits = self._sampled(n)
        which[: len(sampled_for)] = sampled_for
        parent = self._drawn(which, best=True)
        first, second = (self._held.take(self.rng.integers(len(self._held), size=n)) for _ in range(2))
        values = differential(self.rng, parent.values, first.values, second.values, _MOVED)
        bits = self._schedules(parent, which) if self.space.bits else parent.bits
        children = either_or_both(self.rng, parent, Points(bits=bits, values=values), _BITS_ONLY, _VALUES_ONLY)
        children.bits[: len(sampled_for)] = sampled_bits
        children.values[: len(sampled_for)] = values[: len(sampled_for)]
        return children

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:  # noqa: ARG002
        """Give every weight its best of all points, and the front its own."""
        told = [one for one in evaluations if usable(one) and all(map(np.isfinite, one.objectives))]
        if not told:
            return
        vectors = [one.objectives or (one.value,) for one in told]
        if not self._learnt:
            self._begin(len(vectors[0]))
        wanted = self.weights.shape[1]
        wrong = [len(one) for one in vectors if len(one) != wanted]
        if wrong:
            raise ValueError(f"told {wrong[0]} objectives, after {wanted}")
        costs = np.array(vectors, dtype=np.float64).reshape(len(told), wanted)
        self._learnt += len(told)
        points = stack(self.space, [one.candidate for one in told])
        violations = np.array([max(one.violation, 0.0) for one in told])
        self._extend_front(points, costs, violations)
        self._hold(points, costs, violations)
        self._teach(points, costs, violations)

    def _begin(self, objectives: int) -> None:
        self.weights = simplex(objectives, round(self.number("weights")))
        apart = np.abs(self.weights[:, None] - self.weights[None]).sum(axis=2)
        self._near = np.argsort(apart, axis=1, kind="stable")[:, 1 : 1 + 2 * max(1, objectives - 1)]
        self._costs = self._front_costs = np.zeros((0, objectives))
        self._pool = FrontPool(self.space, self.budget, objectives)
        self._weightings = simplex(objectives, _WEIGHTINGS)
        apart = np.abs(self._weightings[:, None] - self.weights[None]).sum(axis=2)
        self._nearest = np.argmin(apart, axis=1)

    def _teach(self, points: Points, costs: NDArray[np.float64], violations: NDArray[np.float64]) -> None:
        good = np.flatnonzero(violations == 0.0)
        if self._pool is None or not len(good):
            return
        known = self._front_costs if len(self._front_costs) else costs
        ranges = np.ptp(known, axis=0)
        scaled = self._weightings / np.where(ranges > 0.0, ranges, 1.0)
        self._pool.learn(points.take(good), costs[good], scaled, self.rng)

    def _sampled(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return up to half of n samples of the energies, and the weight whose elites lend each its values."""
        if self._pool is None:
            return np.zeros(0, dtype=np.int64), np.zeros((0, self.space.epochs, self.space.columns), dtype=np.bool_)
        numbers, bits = self._pool.take(round(_POOLED * n))
        return self._nearest[numbers], bits

    def _start(self, n: int) -> Points:
        bits = uniform_bits(self.rng, self.space, n)
        bits[1::2] = run_bits(self.rng, self.space, n // 2)
        values = stratified(self.rng, n, len(self.space.parameters))
        if self.space.start:
            values[::2] = around(self.rng, self.space.start, len(values[::2]))
        return Points(bits=bits, values=values)

    def _drawn(self, which: NDArray[np.int64], *, best: bool = False) -> Points:
        count = self._elites.shape[1]
        rank = self.rng.integers(count, size=(2, len(which)))
        return self._held.take(self._elites[which, rank.min(axis=0) if best else rank[0]])

    def _schedules(self, parent: Points, which: NDArray[np.int64]) -> NDArray[np.bool_]:
        if self._near.shape[1]:
            other = self._near[which, self.rng.integers(self._near.shape[1], size=len(which))]
            which = np.where(self.rng.random(len(which)) < self.number("neighbours"), other, which)
        copied = (self.rng.random(len(parent)) < _COPIED)[:, None, None]
        block = copy_block(self.rng, parent.bits, self._drawn(which).bits)
        return np.where(copied, block, mixture(self.rng, parent.bits, _MOVES, _SHARES))

    def _extend_front(self, points: Points, costs: NDArray[np.float64], violations: NDArray[np.float64]) -> None:
        good = np.flatnonzero(violations == 0.0)
        good = good[nondominated(costs[good])]
        good = good[~_covered(costs[good], self._front_costs)]
        old = np.flatnonzero(~_covered(self._front_costs, costs[good]))[: _FRONT - len(good)]
        bits = np.concatenate([self._front_points.bits[old], points.bits[good]])
        values = np.concatenate([self._front_points.values[old], points.values[good]])
        self._front_points = Points(bits=bits, values=values)
        self._front_costs = np.concatenate([self._front_costs[old], costs[good]])

    def _hold(self, points: Points, costs: NDArray[np.float64], violations: NDArray[np.float64]) -> None:
        bits = np.concatenate([self._held.bits, points.bits])
        values = np.concatenate([self._held.values, points.values])
        costs = np.concatenate([self._costs, costs])
        violations = np.concatenate([self._violations, violations])
        known = self._front_costs if len(self._front_costs) else costs
        low, high = known.min(axis=0), known.max(axis=0)
        distance = scalarised((costs - low) / np.where(high > low, high - low, 1.0), self.weights, self.number("sum"))
        count = min(round(self.number("elites")), len(costs))
        elites = np.lexsort((distance, np.broadcast_to(violations, distance.shape)))[:, :count]
        kept, places = np.unique(elites, return_inverse=True)
        self._held = Points(bits=bits[kept], values=values[kept])
        self._costs, self._violations = costs[kept], violations[kept]
        self._elites = places.reshape(elites.shape)


def simplex(objectives: int, count: int) -> NDArray[np.float64]:
    """Return weights that sum to 1, evenly spread (Das and Dennis 1998), shape (>= count, objectives) but for one."""
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while len(list(combinations(range(parts + objectives - 1), objectives - 1))) < count:
        parts += 1
    bars = np.array(list(combinations(range(parts + objectives - 1), objectives - 1)))
    edges = np.concatenate([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), parts + objectives - 1)], axis=1)
    return np.maximum((np.diff(edges, axis=1) - 1) / parts, _LEAST_WEIGHT)


def scalarised(costs: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the augmented weighted Chebyshev distance of scaled costs (n, m), for weights (k, m): shape (k, n)."""
    weighted = weights[:, None, :] * costs[None]
    return weighted.max(axis=2) + share * weighted.sum(axis=2)


def nondominated(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows that no other row is at most in all columns and below in one; of equal rows the first."""
    at_most = np.all(costs[:, None] <= costs[None], axis=2)  # row i is at most row j
    earlier = np.arange(len(costs))[:, None] < np.arange(len(costs))[None]
    return np.flatnonzero(~np.any(at_most & (~at_most.T | earlier), axis=0))


def _covered(costs: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each row of costs (n, m) is at least some row of `by` in all columns."""
    return np.any(np.all(by[None] <= costs[:, None], axis=2), axis=1)
