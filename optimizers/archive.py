"""The memory of a search: the best distinct candidates it was told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizers.contract import Candidate, Evaluation, SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of one space, stacked. bits: bool (n, epochs, columns). values: float64 in [0, 1], (n, parameters).

    origin: int (n,), where a method's proposals came from, in its own numbers, or None.
    """

    bits: NDArray[np.bool_]
    values: NDArray[np.float64]
    origin: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.bits)

    def take(self, rows: NDArray[np.int64]) -> "Points":
        """Return the chosen rows as new arrays, in the order given."""
        return Points(bits=self.bits[rows], values=self.values[rows])

    def candidates(self) -> list[Candidate]:
        """Return one Candidate a row, whose arrays can't be written to."""
        values = self.values + 0.0  # turns -0.0 into 0.0: equal values must have equal keys
        self.bits.flags.writeable = False
        values.flags.writeable = False
        return Candidate.rows(self.bits, values)


def usable(evaluation: Evaluation) -> bool:
    """Return whether an evaluation may be learnt from: it did not fail, and value and violation are finite."""
    return not evaluation.failed and math.isfinite(evaluation.value) and math.isfinite(evaluation.violation)


def stack(space: SearchSpace, candidates: Sequence[Candidate]) -> Points:
    """Return candidates as Points; an empty sequence gives arrays of length 0."""
    shape = (len(candidates), space.epochs, space.columns)
    if not candidates:
        return Points(bits=np.zeros(shape, dtype=np.bool_), values=np.zeros((0, len(space.parameters))))
    return Points(
        bits=np.concatenate([candidate.bits for candidate in candidates]).reshape(shape),
        values=np.concatenate([candidate.values for candidate in candidates]).reshape(len(candidates), -1),
    )


class Archive:
    """The best `capacity` distinct candidates, best first.

    Order: least violation first (0 for a feasible candidate), then least value, then first told. Evaluations that
    aren't `usable` are left out. A candidate told again keeps the evaluation over more scenarios, and the later
    one of equals. What is added is sorted in when the archive is next looked at.
    """

    def __init__(self, space: SearchSpace, capacity: int) -> None:
        self._space = space
        self._capacity = capacity
        self._points = stack(space, [])
        self._rank = np.zeros((0, 3))  # violation, value, number of the telling
        self._n = np.zeros(0, dtype=np.int64)
        self._keys = np.array([], dtype=np.object_)
        self._known: set[str] = set()  # keys of all that was ever sorted in, among them those that dropped out
        self._told = 0
        self._added: list[tuple[Evaluation, int]] = []

    def __len__(self) -> int:
        self._sort_in()
        return len(self._keys)

    @property
    def points(self) -> Points:
        """The candidates, best first."""
        self._sort_in()
        return self._points

    @property
    def values(self) -> NDArray[np.float64]:
        """The candidates' values, in the order of `points`."""
        self._sort_in()
        return self._rank[:, 1]

    @property
    def violations(self) -> NDArray[np.float64]:
        """The candidates' violations, in the order of `points`."""
        self._sort_in()
        return self._rank[:, 0]

    def add(self, evaluations: Sequence[Evaluation]) -> None:
        """Take in a generation, in candidate order."""
        for evaluation in evaluations:
            self._told += 1
            if usable(evaluation):
                self._added.append((evaluation, self._told))
        if len(self._added) > 4 * self._capacity:
            self._sort_in()

    def best(self, n: int) -> list[Candidate]:
        """Return the first n candidates, or all where there are fewer."""
        return self.points.take(np.arange(min(n, len(self)))).candidates()

    def finalists(self, n: int) -> list[Candidate]:
        """Return up to n candidates: least violation, then most scenarios, then least value, then first told."""
        self._sort_in()
        order = np.lexsort((self._rank[:, 2], self._rank[:, 1], -self._n, self._rank[:, 0]))
        return self._points.take(order[:n]).candidates()

    def drawn(self, rng: np.random.Generator, n: int, count: int) -> Points:
        """Return n of the best `count`, each drawn uniformly, with repeats. Needs a candidate."""
        return self.points.take(rng.integers(min(count, len(self)), size=n))

    def winners(self, rng: np.random.Generator, n: int, count: int) -> Points:
        """Return n of the best `count`, each the better of two drawn uniformly, with repeats. Needs a candidate."""
        return self.points.take(np.min(rng.integers(min(count, len(self)), size=(2, n)), axis=0))

    def _sort_in(self) -> None:
        if not self._added:
            return
        latest: dict[str, tuple[Evaluation, int]] = {}
        for evaluation, number in self._added:
            key = evaluation.candidate.key
            known = latest.get(key)
            if known is None or evaluation.n >= known[0].n:
                latest[key] = (evaluation, number)
        self._added = []
        kept = np.arange(len(self._keys))
        if not self._known.isdisjoint(latest):
            held = {key: row for row, key in enumerate(self._keys.tolist())}
            latest = {key: item for key, item in latest.items() if key not in held or item[0].n >= self._n[held[key]]}
            kept = np.array([row for key, row in held.items() if key not in latest], dtype=np.int64)
        self._known.update(latest)
        self._merge(kept, latest)

    def _merge(self, kept: NDArray[np.int64], fresh: dict[str, tuple[Evaluation, int]]) -> None:
        told = [evaluation for evaluation, _ in fresh.values()]
        new = stack(self._space, [evaluation.candidate for evaluation in told])
        rank = [
            (max(evaluation.violation, 0.0), evaluation.value, float(number)) for evaluation, number in fresh.values()
        ]
        ranks = np.concatenate([self._rank[kept], np.array(rank, dtype=np.float64).reshape(-1, 3)])
        order = np.lexsort((ranks[:, 2], ranks[:, 1], ranks[:, 0]))[: self._capacity]
        bits = np.concatenate([self._points.bits[kept], new.bits])
        values = np.concatenate([self._points.values[kept], new.values])
        keys = np.concatenate([self._keys[kept], np.array(list(fresh), dtype=np.object_)])
        n = np.concatenate([self._n[kept], np.array([evaluation.n for evaluation in told], dtype=np.int64)])
        self._points = Points(bits=bits[order], values=values[order])
        self._rank, self._n = ranks[order], n[order]
        self._keys = keys[order]
