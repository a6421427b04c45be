"""What the benchmark asks of a problem, and the mask that hides its bits from the methods."""

import zlib
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optimizers.contract import SearchSpace

SAMPLES = 100_000  # uniform candidates behind a mean_random of ours
_ROUNDING = 1e-9  # of a regret
_CHUNK = 2_000  # of them evaluated at a time, to keep memory small


class Problem(Protocol):
    """Minimise evaluate(bits, values) over a SearchSpace.

    optimum: the least value, exact unless the problem's own docstring says otherwise. mean_random: the mean value of
    a uniform candidate. A Problem is immutable, and evaluate is a pure function.
    """

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> SearchSpace: ...

    @property
    def optimum(self) -> float: ...

    @property
    def mean_random(self) -> float: ...

    def evaluate(self, bits: NDArray[np.bool_], values: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return n values for bits, shape (n, epochs, levers), and values in [0, 1], shape (n, parameters)."""
        ...


def regret(problem: Problem, best: float) -> float:
    """Return (best - optimum) / (mean_random - optimum): 0 at the optimum, 1 where a random candidate is.

    Raises ValueError for a value below the optimum by more than rounding: then the optimum is wrong.
    """
    found = (best - problem.optimum) / (problem.mean_random - problem.optimum)
    if found < -_ROUNDING:
        raise ValueError(f"{problem.name}: {best!r} is below the optimum, {problem.optimum!r}")
    return max(found, 0.0)


def stream(name: str, *more: int) -> np.random.Generator:
    """Return a generator that belongs to a name and some numbers, the same on every machine."""
    return np.random.default_rng([zlib.crc32(name.encode()), *more])


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A problem whose bits are those of another, each flipped or not by a draw that belongs to (problem, seed).

    Flipping is a bijection of the candidates, so optimum and mean_random stay. It is drawn for every bit by itself:
    a method that starts with ones, or moves whole levers to ones, gains nothing from an optimum near all ones.
    """

    problem: Problem
    seed: int
    flips: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        space = self.problem.space
        drawn = stream(f"mask of {self.problem.name}", self.seed).random((space.epochs, len(space.levers))) < 0.5
        object.__setattr__(self, "flips", drawn)

    @property
    def name(self) -> str:
        return self.problem.name

    @property
    def space(self) -> SearchSpace:
        return self.problem.space

    @property
    def optimum(self) -> float:
        return self.problem.optimum

    @property
    def mean_random(self) -> float:
        return self.problem.mean_random

    def evaluate(self, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.problem.evaluate(bits ^ self.flips, values)


def sampled_mean(problem: Problem, samples: int = SAMPLES) -> tuple[float, float]:
    """Return the mean value of uniform candidates and its standard error; the draws belong to the problem's name."""
    space, draws = problem.space, stream(f"uniform candidates of {problem.name}")
    found: list[NDArray[np.float64]] = []
    for start in range(0, samples, _CHUNK):
        n = min(_CHUNK, samples - start)
        bits = draws.random((n, space.epochs, len(space.levers))) < 0.5
        found.append(problem.evaluate(bits, draws.random((n, len(space.parameters)))))
    values = np.concatenate(found)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(samples))
