"""What the generational search methods share: own randomness, an archive, and no candidate twice."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Archive, Points
from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace
from optimizers.moves import jolt
from sim_core.seeding import content_id

_FINALISTS = 512  # the archive's least capacity: as many finalists as anyone is likely to re-rank
_ATTEMPTS = 12  # rounds of ever stronger changes before a small space is searched from end to end
_ENUMERABLE_BITS = 20


class Generational(Optimizer):
    """A method that draws a whole generation at once; subclasses write `propose`, and `learn` where they have a model.

    A proposal that was asked or told before is replaced by another, with bits flipped and values moved at random, ever
    more of them with each attempt. Where that fails too, a space of at most 20 bits and no values is searched from a
    random start for points not yet asked, and points repeat only once all have been asked.
    """

    def __init__(self, space: SearchSpace, *, budget: int, width: int, seed: int) -> None:
        super().__init__(space, budget=budget, width=width, seed=seed)
        key = int(content_id("optimizer", type(self).__name__, seed)[:32], 16)
        self.rng = np.random.Generator(np.random.Philox(key=key))
        self.archive = Archive(space, max(_FINALISTS, 4 * width))
        self.told = 0
        self._asked = False
        self._seen: set[str] = set()

    @abstractmethod
    def propose(self, n: int) -> Points:
        """Return n proposals, which may repeat earlier ones, in arrays that the caller may change."""

    @abstractmethod
    def learn(self, evaluations: Sequence[Evaluation]) -> None:
        """Update the method's own model from a generation; the archive already holds it."""

    def ask(self, n: int) -> list[Candidate]:
        """Return n new candidates; none was asked before by this instance unless the space is exhausted."""
        chosen = self._unseen(self._practice()) if n and self.space.start and not self._asked else []
        self._asked = self._asked or n > 0
        for attempt in range(_ATTEMPTS):
            if len(chosen) == n:
                return chosen
            points = self.propose(n - len(chosen))
            if attempt:
                points = jolt(self.rng, points, attempt / max(1, self.space.dimension))
            chosen += self._unseen(points)
        return chosen + self._enumerated(n - len(chosen))

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from a whole generation, in candidate order; failures and NaN or infinite values are only counted."""
        self.told += len(evaluations)
        self._seen.update(evaluation.candidate.key for evaluation in evaluations)
        self.archive.add(evaluations)
        self.learn(evaluations)

    def finalists(self, n: int) -> list[Candidate]:
        """Return up to n distinct candidates, best first, at most the archive's capacity (512 or more).

        The rule is the best told: least violation, then least value, then first told; the standard error is not used.
        """
        return self.archive.best(n)

    def _practice(self) -> Points:
        bits = np.zeros((1, self.space.epochs, len(self.space.levers)), dtype=np.bool_)
        return Points(bits=bits, values=np.array([self.space.start], dtype=np.float64))

    def _unseen(self, points: Points) -> list[Candidate]:
        fresh: list[Candidate] = []
        for candidate in points.candidates():
            if candidate.key not in self._seen:
                self._seen.add(candidate.key)
                fresh.append(candidate)
        return fresh

    def _enumerated(self, n: int) -> list[Candidate]:
        if n == 0:
            return []
        chosen: list[Candidate] = []
        if not self.space.parameters and self.space.bits <= _ENUMERABLE_BITS:
            size = 1 << self.space.bits
            start = int(self.rng.integers(size))
            for block in range(0, size, 256):
                numbers = (start + np.arange(block, min(size, block + 256))) % size
                fresh = [point for point in self._numbered(numbers).candidates() if point.key not in self._seen]
                chosen += fresh[: n - len(chosen)]
                if len(chosen) == n:
                    break
            self._seen.update(candidate.key for candidate in chosen)
        return chosen + (self.propose(n - len(chosen)).candidates() if len(chosen) < n else [])

    def _numbered(self, numbers: NDArray[np.int64]) -> Points:
        bits = (numbers[:, None] >> np.arange(self.space.bits)) & 1
        shape = (len(numbers), self.space.epochs, len(self.space.levers))
        return Points(bits=bits.astype(np.bool_).reshape(shape), values=np.zeros((len(numbers), 0)))
