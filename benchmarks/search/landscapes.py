"""Two random landscapes with exact optima: a spin glass on a cylinder and an NK landscape of neighbours."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.problem import stream
from optimizers.contract import SearchSpace

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """The Edwards-Anderson glass with Gaussian couplings: minimise the energy - sum J s s' over neighbours.

    Rows are periodic, columns end at the first and the last row. across: (rows, columns), between a spin and the next
    in its row; down: (rows - 1, columns). mean_random is exactly 0: couplings meet independent spins of mean zero.
    """

    name: str
    across: Floats
    down: Floats
    space: SearchSpace = field(init=False)
    optimum: float = field(init=False)
    mean_random: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", _grid(*self.across.shape))
        object.__setattr__(self, "optimum", _ground_state(self.across, self.down))

    def evaluate(self, bits: NDArray[np.bool_], _values: Floats) -> Floats:
        """Return energies; a bit that is on is a spin of +1."""
        spins = np.where(bits, 1.0, -1.0)
        energy = np.einsum("rc,nrc->n", self.across, spins * np.roll(spins, -1, axis=2))
        energy += np.einsum("rc,nrc->n", self.down, spins[:, 1:] * spins[:, :-1])
        return -energy


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourNK:
    """An NK landscape in which a bit meets those that follow it, in a ring: minimise minus the mean contribution.

    table: (n, 2^(k+1)), uniform in [0, 1]; bit i's row is read at the number that bits i .. i+k spell, i the highest.
    Wright, Thompson and Zhang (2000), "The computational complexity of N-K fitness functions", solve this form by
    dynamic programming.
    """

    name: str
    table: Floats
    rows: int
    space: SearchSpace = field(init=False)
    optimum: float = field(init=False)
    mean_random: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", _grid(self.rows, len(self.table) // self.rows))
        object.__setattr__(self, "optimum", -_best_ring(self.table) / len(self.table))
        object.__setattr__(self, "mean_random", -float(self.table.mean()))

    def evaluate(self, bits: NDArray[np.bool_], _values: Floats) -> Floats:
        flat = bits.reshape(len(bits), -1).astype(np.int64)
        n, size = self.table.shape
        code = np.zeros_like(flat)
        for shift in range(size.bit_length() - 1):
            code = 2 * code + np.roll(flat, -shift, axis=1)
        return -self.table[np.arange(n), code].mean(axis=1)


def glass(rows: int, columns: int, number: int) -> Glass:
    """Return the glass of a number with standard normal couplings."""
    draws = stream("glass", rows, columns, number)
    across, down = draws.normal(size=(rows, columns)), draws.normal(size=(rows - 1, columns))
    return Glass(name=f"glass{rows}x{columns}#{number}", across=across, down=down)


def neighbour_nk(rows: int, columns: int, k: int, number: int) -> NeighbourNK:
    """Return the NK landscape of a number with rows * columns bits of k neighbours each."""
    draws = stream("nk", rows, columns, k, number)
    table = draws.random((rows * columns, 2 ** (k + 1)))
    return NeighbourNK(name=f"nk{rows * columns}k{k}#{number}", table=table, rows=rows)


def _grid(rows: int, columns: int) -> SearchSpace:
    return SearchSpace(epochs=rows, levers=tuple(f"bit_{c}" for c in range(columns)), parameters=())


def _ground_state(across: Floats, down: Floats) -> float:
    """Return the least energy, row by row; a new row's spins take the place of the old row's one at a time."""
    rows, columns = across.shape
    spins = 2.0 * ((np.arange(1 << columns)[:, None] >> np.arange(columns)[::-1]) & 1) - 1.0
    within = -(spins * np.roll(spins, -1, axis=1)) @ across.T
    least = within[:, 0]
    for row in range(1, rows):
        for column in range(columns):
            old = least.reshape(1 << column, 2, -1)
            bond = down[row - 1, column]
            least = np.minimum(old - bond, old[:, ::-1] + bond).reshape(-1)
        least = least + within[:, row]
    return float(least.min())


def _best_ring(table: Floats) -> float:
    """Return the largest sum of contributions; the state is the first k bits and the last k."""
    n, size = table.shape
    window = size // 2
    best = np.where(np.eye(window, dtype=bool), 0.0, -np.inf)  # (bits 0..k-1, bits i..i+k-1) at i = 0
    for i in range(n):
        longer = np.repeat(best, 2, axis=1) + table[i]  # (first, bits i..i+k)
        best = np.maximum(longer[:, :window], longer[:, window:])  # bit i is forgotten
    return float(best.diagonal().max())
