"""What every search method owes: ask, tell, recommend.

A method proposes candidates in [0, 1] and on/off bits, is told what they cost, and recommends one. It is
deterministic given (space, budget, width, seed) and the values it is told, in candidate order: the same
generations always follow from the same evaluations. Lower values are better.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Review epochs x levers (on or off) plus continuous parameters, each in [0, 1].

    start: values of a known practice, one per parameter, or empty. With every lever off it is the first candidate
    that any method proposes, so that all searches of a space start from the same knowledge.
    """

    epochs: int
    levers: tuple[str, ...]
    parameters: tuple[str, ...]
    start: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.start and len(self.start) != len(self.parameters):
            raise ValueError(f"start has {len(self.start)} values for {len(self.parameters)} parameters")
        if not all(0.0 <= value <= 1.0 for value in self.start):
            raise ValueError(f"start must lie in [0, 1]: {self.start}")

    @property
    def bits(self) -> int:
        """Number of on/off decisions."""
        return self.epochs * len(self.levers)

    @property
    def dimension(self) -> int:
        """Number of bits plus number of continuous parameters."""
        return self.bits + len(self.parameters)


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One point of a SearchSpace.

    bits: bool, shape (epochs, levers). values: float64 in [0, 1], shape (parameters,).
    """

    bits: NDArray[np.bool_]
    values: NDArray[np.float64]

    @cached_property
    def key(self) -> str:
        """The candidate's content id (16 hex digits): equal exactly when bits and values are equal."""
        digest = hashlib.sha256(np.asarray(self.bits.shape, dtype="<i8").tobytes())
        digest.update(np.packbits(self.bits).tobytes())
        digest.update(np.ascontiguousarray(self.values, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a candidate cost: mean value and its standard error over n scenarios, constraint violation >= 0.

    A failed evaluation has failed=True and any value; it must never poison a method's model.
    """

    candidate: Candidate
    value: float
    standard_error: float
    n: int
    violation: float = 0.0
    failed: bool = False


class Optimizer(ABC):
    """Base of all search methods.

    The caller alternates ask(n) and tell(all n evaluations, in the order asked). `budget` is the number of
    evaluations planned, `width` the usual batch; both may set a method's schedule.
    """

    def __init__(self, space: SearchSpace, *, budget: int, width: int, seed: int) -> None:
        self.space = space
        self.budget = budget
        self.width = width
        self.seed = seed

    @abstractmethod
    def ask(self, n: int) -> list[Candidate]:
        """Return n new candidates; none was asked before by this instance unless the space is exhausted."""

    @abstractmethod
    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from a whole generation, in candidate order."""

    @abstractmethod
    def finalists(self, n: int) -> list[Candidate]:
        """Return up to n distinct candidates, best first, by the method's stated rule."""

    def recommend(self) -> Candidate:
        """Return the first finalist. Raises LookupError before any successful evaluation."""
        best = self.finalists(1)
        if not best:
            raise LookupError("nothing to recommend: no evaluation has succeeded yet")
        return best[0]
