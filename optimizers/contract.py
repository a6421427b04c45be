"""What every search method owes: ask, tell, recommend, save.

A method proposes candidates of a SearchSpace, is told what they cost, and recommends one. It is deterministic given
(space, budget, width, seed, settings) and the values it is told, in candidate order: the same generations always
follow from the same evaluations. Lower values are better.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.space import Constraint, Domain, Point, SearchSpace

__all__ = ["MOST_ASKED", "Candidate", "Constraint", "Domain", "Evaluation", "Optimizer", "Point", "SearchSpace"]

MOST_ASKED = 256  # candidates that one ask may want


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One point of a SearchSpace, as methods see it.

    bits: bool, shape (epochs, columns); a lever of two states is one column. values: float64 in [0, 1], shape
    (parameters,). SearchSpace.decode gives it in its own units.
    """

    bits: NDArray[np.bool_]
    values: NDArray[np.float64]

    @cached_property
    def key(self) -> str:
        """The candidate's content id (16 hex digits): equal exactly when bits and values are equal."""
        return _keys(self.bits[None], self.values[None])[0]

    @classmethod
    def rows(cls, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> "list[Candidate]":
        """Return one candidate a row of bits (n, epochs, columns) and values (n, parameters), keys and all."""
        found: list[Candidate] = []
        for row, key in enumerate(_keys(bits, values)):
            candidate = cls(bits=bits[row], values=values[row])
            candidate.__dict__["key"] = key  # where cached_property would put it: a batch is hashed faster
            found.append(candidate)
        return found


def _keys(bits: NDArray[np.bool_], values: NDArray[np.float64]) -> list[str]:
    shape = np.asarray(bits.shape[1:], dtype="<i8").tobytes()
    packed = np.packbits(bits.reshape(len(bits), math.prod(bits.shape[1:])), axis=1)
    plain = np.ascontiguousarray(values, dtype="<f8")
    found = (shape + some.tobytes() + more.tobytes() for some, more in zip(packed, plain, strict=True))
    return [hashlib.sha256(content).hexdigest()[:16] for content in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a candidate cost: mean value and its standard error over n scenarios, constraint violation >= 0.

    n is the evaluation's fidelity: of two evaluations of a candidate the one over more scenarios counts. A failed
    evaluation has failed=True and any value; it must never poison a method's model. objectives: what a method for
    several objectives is told beside the value, all to be minimised.
    """

    candidate: Candidate
    value: float
    standard_error: float
    n: int
    violation: float = 0.0
    failed: bool = False
    objectives: tuple[float, ...] = ()


class Optimizer(ABC):
    """Base of all search methods.

    The caller alternates ask(n) and tell(all n evaluations, in the order asked). `budget` is the number of
    evaluations planned, `width` the usual batch; both may set a method's schedule. `settings` names what a method
    leaves to be tuned. A search that isn't `reproducible` may be told late, out of order and in part; one that is
    refuses such a tell, since what follows from it would depend on who was faster.
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
        self.space = space
        self.budget = budget
        self.width = width
        self.seed = seed
        self.settings = dict(settings or {})
        self.reproducible = reproducible

    @abstractmethod
    def ask(self, n: int) -> list[Candidate]:
        """Return n new candidates, at most MOST_ASKED; none was asked before by this instance unless all were.

        Candidates keep the space's constraints wherever a few changes can make them. Raises ValueError for a larger n.
        """

    @abstractmethod
    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from a whole generation, in candidate order.

        Candidates that were never asked, or were told before, may be told at any time: what is known already, or a
        better estimate. Raises ValueError where a reproducible search is told some of the candidates in flight and
        not all, or not in the order asked.
        """

    @abstractmethod
    def finalists(self, n: int) -> list[Candidate]:
        """Return up to n distinct candidates, best first, by the method's stated rule."""

    @abstractmethod
    def save(self) -> dict[str, Any]:
        """Return the search's state, candidates in flight included, as plain data; see optimizers.restore."""

    def recommend(self) -> Candidate:
        """Return the first finalist. Raises LookupError before any successful evaluation."""
        best = self.finalists(1)
        if not best:
            raise LookupError("nothing to recommend: no evaluation has succeeded yet")
        return best[0]
