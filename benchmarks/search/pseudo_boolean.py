"""Functions of the IOHprofiler: PBO over bits, and BBOB over bits and parameters together.

Package `ioh` (de Nobel et al. 2024, "IOHexperimenter: Benchmarking Platform for Iterative Optimization Heuristics")
evaluates them. PBO is maximised there and the negative minimised here.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.problem import sampled_mean
from optimizers.contract import SearchSpace

Floats = NDArray[np.float64]

# Least energies of low-autocorrelation binary sequences by length: Packebusch and Mertens (2016), "Low autocorrelation
# binary sequences", table 1; found by exhaustive search.
LABS_ENERGY = {13: 6.0, 20: 26.0, 32: 64.0, 48: 140.0, 64: 208.0}
LEVELS = 16  # of an integer coordinate
_EDGE = 5.0  # BBOB is searched in [-5, 5]


def pbo(function: str, size: int) -> Any:
    """Return ioh's first instance (the one without a transformation of its own) of a PBO function."""
    import ioh

    return ioh.get_problem(function, instance=1, dimension=size, problem_class=ioh.ProblemClass.PBO)


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoBoolean:
    """A PBO function, named as in ioh, over rows * columns bits.

    LABS is minimised as its energy, n^2 / (2 merit factor). The optimum is ioh's own but for LABS; KeyError for a
    length of LABS whose least energy isn't listed here, ValueError for a function without a known optimum.
    """

    function: str
    rows: int
    columns: int
    name: str = field(init=False)
    space: SearchSpace = field(init=False)
    optimum: float = field(init=False)
    mean_random: float = field(init=False)
    _call: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = self.rows * self.columns
        call = pbo(self.function, size)
        optimum = LABS_ENERGY[size] if self.function == "LABS" else -float(call.optimum.y)
        if not np.isfinite(optimum):
            raise ValueError(f"the optimum of {self.function} isn't known to ioh")
        levers = tuple(f"bit_{c}" for c in range(self.columns))
        object.__setattr__(self, "name", f"{self.function}{size}")
        object.__setattr__(self, "space", SearchSpace(epochs=self.rows, levers=levers, parameters=()))
        object.__setattr__(self, "optimum", optimum)
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "mean_random", sampled_mean(self)[0])

    def evaluate(self, bits: NDArray[np.bool_], _values: Floats) -> Floats:
        flat = bits.reshape(len(bits), -1).astype(int)
        found = np.array(self._call(flat.tolist()), dtype=float)
        return np.rint(flat.shape[1] ** 2 / (2.0 * found)) if self.function == "LABS" else -found


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedInteger:
    """A BBOB function, named as in ioh, with its first coordinates whole and the others continuous.

    After Tusar, Brockhoff and Hansen (2019), "Mixed-integer benchmark problems for single- and bi-objective
    optimization": a whole coordinate takes one of 16 levels, 10 / 16 apart, moved so that the function's optimum lies
    on one of them; so the optimum of the mixed problem is the function's own. A level is coded in binary by the four
    levers of one epoch. evaluate subtracts the optimal value, and the optimum is 0.
    """

    function: str
    whole: int
    continuous: int
    number: int
    name: str = field(init=False)
    space: SearchSpace = field(init=False)
    mean_random: float = field(init=False)
    optimum: float = field(init=False, default=0.0)
    _call: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import ioh

        size = self.whole + self.continuous
        call = ioh.get_problem(self.function, instance=self.number, dimension=size, problem_class=ioh.ProblemClass.BBOB)
        levers = tuple(f"digit_{b}" for b in range(LEVELS.bit_length() - 1))
        parameters = tuple(f"x_{i}" for i in range(self.continuous))
        object.__setattr__(self, "name", f"mixed {self.function}{self.whole}+{self.continuous}#{self.number}")
        object.__setattr__(self, "space", SearchSpace(epochs=self.whole, levers=levers, parameters=parameters))
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "mean_random", sampled_mean(self)[0])

    def evaluate(self, bits: NDArray[np.bool_], values: Floats) -> Floats:
        step = 2.0 * _EDGE / LEVELS
        best = np.array(self._call.optimum.x[: self.whole])
        offset = np.mod(best + _EDGE, step) - _EDGE
        level = bits @ (1 << np.arange(bits.shape[2])[::-1])
        point = np.concatenate([offset + step * level, 2.0 * _EDGE * values - _EDGE], axis=1)
        return np.array(self._call(point.tolist()), dtype=float) - self._call.optimum.y
