"""What search methods share: own randomness, an archive, no candidate twice, constraints kept, and a log of events."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Archive, Points, stack
from optimizers.contract import MOST_ASKED, Candidate, Evaluation, Optimizer, SearchSpace
from optimizers.event_log import EventLog
from optimizers.moves import jolt
from optimizers.repair import repaired
from optimizers.settings import Setting, settings_of
from sim_core.seeding import content_id

STATE_FORMAT = 1
UNKNOWN = -1  # the origin of a candidate that the method did not propose itself
_FINALISTS = 512  # the archive's least capacity: as many finalists as anyone is likely to re-rank
_ATTEMPTS = 12  # rounds of ever stronger changes before a small space is searched from end to end
_ENUMERABLE_BITS = 20


class Generational(Optimizer):
    """A method that draws a whole generation at once; subclasses write `propose`, and `learn` where they have a model.

    A proposal that was asked or told before is replaced by another, with bits flipped and values moved at random, ever
    more of them with each attempt. Where that fails too, a space of at most 20 bits and no values is searched from a
    random start for points not yet asked, any other one by uniform draws; points repeat only after that.

    `self.setting` holds the value of each of the method's SETTINGS.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {}
    SEVERAL: ClassVar[bool] = False  # whether it is to be told several objectives

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
        self.setting = settings_of(type(self).__name__, self.SETTINGS, self.settings)
        key = int(content_id("optimizer", type(self).__name__, seed)[:32], 16)
        self.rng = np.random.Generator(np.random.Philox(key=key))
        self.archive = Archive(space, max(_FINALISTS, 4 * width))
        self.told = 0
        self._asked = False
        self._seen: set[str] = set()
        self._in_flight: dict[str, int] = {}  # key and origin, in the order asked
        self._log = EventLog()

    @abstractmethod
    def propose(self, n: int) -> Points:
        """Return n proposals, which may repeat earlier ones, in arrays that the caller may change.

        Their `origin` says, in the method's own numbers, where each came from; it comes back to `learn`.
        """

    @abstractmethod
    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Update the method's own model from a generation; the archive already holds it.

        origins: of each candidate, as proposed; UNKNOWN where the method did not propose it, or proposed none.
        """

    def ask(self, n: int) -> list[Candidate]:
        """Return n new candidates; none was asked before by this instance unless the space is exhausted."""
        if not 0 <= n <= MOST_ASKED:
            raise ValueError(f"one ask gives 0 to {MOST_ASKED} candidates, not {n}")
        chosen = self._unseen(self._practice()) if n and self.space.start and not self._asked else []
        self._asked = self._asked or n > 0
        for attempt in range(_ATTEMPTS):
            if len(chosen) == n:
                break
            points = self.propose(n - len(chosen))
            if attempt:
                points = jolt(self.rng, points, attempt / max(1, self.space.dimension))
            chosen += self._unseen(points)
        chosen += self._enumerated(n - len(chosen))
        self._in_flight.update((candidate.key, origin) for candidate, origin in chosen)
        candidates = [candidate for candidate, _ in chosen]
        self._log.asked(n, candidates)
        return candidates

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from a whole generation, in candidate order; failures and NaN or infinite values are only counted."""
        keys = [evaluation.candidate.key for evaluation in evaluations]
        self._check_order(keys)
        self._log.told(evaluations)
        origins = np.array([self._in_flight.pop(key, UNKNOWN) for key in keys], dtype=np.int64)
        self.told += len(evaluations)
        self._seen.update(keys)
        if self.space.constraints:
            evaluations = self._with_violations(evaluations)
        self.archive.add(evaluations)
        self.learn(evaluations, origins)

    def finalists(self, n: int) -> list[Candidate]:
        """Return up to n distinct candidates, best first, at most the archive's capacity (512 or more).

        The rule: least violation first, then those told over the most scenarios, then the least value, then the first
        told. After a race over fresh scenarios these are its survivors, whatever a lucky candidate was once told. The
        standard error is not used: under common random numbers it says little about differences.
        """
        return self.archive.finalists(n)

    def save(self) -> dict[str, Any]:
        """Return the search's state, candidates in flight included, as plain data; see optimizers.restore."""
        return {
            "format": STATE_FORMAT,
            "space": self.space.digest,
            "budget": self.budget,
            "width": self.width,
            "seed": self.seed,
            "settings": dict(self.settings),
            "reproducible": self.reproducible,
            "events": self._log.events(),
        }

    def number(self, name: str) -> float:
        """Return the value of a setting. Raises ValueError for one that follows from the budget and isn't given."""
        value = self.setting[name]
        if value is None:
            raise ValueError(f"setting {name!r} has no usual value")
        return value

    def _check_order(self, keys: Sequence[str]) -> None:
        if not self.reproducible or not self._in_flight:
            return
        told = [key for key in dict.fromkeys(keys) if key in self._in_flight]
        if told and told != list(self._in_flight):
            raise ValueError(
                f"told {len(told)} of {len(self._in_flight)} candidates in flight, or not in the order asked; a search "
                "that may be told late has to be made with reproducible=False"
            )

    def _with_violations(self, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        points = stack(self.space, [evaluation.candidate for evaluation in evaluations])
        added = self.space.violation(points.bits, points.values).tolist()
        return [
            replace(one, violation=max(one.violation, 0.0) + more) if more else one
            for one, more in zip(evaluations, added, strict=True)
        ]

    def _practice(self) -> Points:
        bits = np.zeros((1, self.space.epochs, self.space.columns), dtype=np.bool_)
        return Points(bits=bits, values=np.array([self.space.start], dtype=np.float64))

    def _kept(self, points: Points) -> Points:
        """Return points in the one code that the space settles on, within its constraints."""
        if self.space.coded:
            bits, values = self.space.settle(points.bits, points.values)
            points = Points(bits=bits, values=values, origin=points.origin)
        return repaired(self.rng, self.space, points) if self.space.constraints else points

    def _unseen(self, points: Points) -> list[tuple[Candidate, int]]:
        points = self._kept(points)
        origins = points.origin.tolist() if points.origin is not None else [UNKNOWN] * len(points)
        fresh: list[tuple[Candidate, int]] = []
        for candidate, origin in zip(points.candidates(), origins, strict=True):
            if candidate.key not in self._seen:
                self._seen.add(candidate.key)
                fresh.append((candidate, origin))
        return fresh

    def _enumerated(self, n: int) -> list[tuple[Candidate, int]]:
        if n == 0:
            return []
        chosen: list[tuple[Candidate, int]] = []
        if not self.space.parameters and self.space.bits <= _ENUMERABLE_BITS:
            size = 1 << self.space.bits
            start = int(self.rng.integers(size))
            for block in range(0, size, MOST_ASKED):
                numbers = (start + np.arange(block, min(size, block + MOST_ASKED))) % size
                chosen += self._unseen(self._numbered(numbers))
                if len(chosen) >= n:
                    break
            for candidate, _ in chosen[n:]:
                self._seen.discard(candidate.key)
            chosen = chosen[:n]
        for _ in range(_ATTEMPTS if self.space.dimension else 0):
            if len(chosen) == n:
                return chosen
            chosen += self._unseen(self._uniform(n - len(chosen)))
        repeated = self._kept(self.propose(n - len(chosen))).candidates() if len(chosen) < n else []
        return chosen + [(candidate, UNKNOWN) for candidate in repeated]

    def _uniform(self, n: int) -> Points:
        bits = self.rng.random((n, self.space.epochs, self.space.columns)) < 0.5
        return Points(bits=bits, values=self.rng.random((n, len(self.space.parameters))))

    def _numbered(self, numbers: NDArray[np.int64]) -> Points:
        bits = (numbers[:, None] >> np.arange(self.space.bits)) & 1
        shape = (len(numbers), self.space.epochs, self.space.columns)
        return Points(bits=bits.astype(np.bool_).reshape(shape), values=np.zeros((len(numbers), 0)))
