"""Program: a linear programme put together block by block, with index arrays in place of names.

A block of columns or rows is an integer array of its shape; `put` and `charge` broadcast over such arrays, so a block's
terms are written once for all periods, nodes and products.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from sim_core.engine.layout import UNLIMITED

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class Sum:
    """A block of linear expressions: constants and terms of columns. at: positions, to be sliced like the block."""

    def __init__(self, *shape: int) -> None:
        self.constant = np.zeros(shape)
        self.at: Index = np.arange(self.constant.size, dtype=np.intp).reshape(shape)
        self.terms: list[tuple[Index, Index, Array]] = []

    def add(self, at: Any, columns: Any, coefficient: Any) -> None:
        """Add coefficient x columns to the expressions at positions; the three broadcast."""
        place, column, value = np.broadcast_arrays(at, columns, np.asarray(coefficient, dtype=np.float64))
        some = value != 0.0
        if some.any():
            self.terms.append((place[some], column[some], value[some]))

    def value(self, values: Array) -> Array:
        """Return the expressions' values for those of all columns."""
        total = self.constant.copy().ravel()
        for at, column, coefficient in self.terms:
            np.add.at(total, at, coefficient * values[column])
        return total.reshape(self.at.shape)


class Program:
    """minimise cost @ x + constant, lower <= A x <= upper, x within bounds. Grows until it is solved."""

    def __init__(self) -> None:
        self.constant = 0.0
        self._lower: list[Array] = []
        self._upper: list[Array] = []
        self._implied: list[Array] = []
        self._row_lower: list[Array] = []
        self._row_upper: list[Array] = []
        self._terms: list[tuple[Index, Index, Array]] = []
        self._costs: list[tuple[Index, Array]] = []
        self._shift: list[tuple[Index, Array]] = []
        self.defined: list[tuple[Index, Index]] = []  # blocks of rows and the columns that they define
        self.width = 0
        self.height = 0

    def columns(self, *shape: int, upper: Any = np.inf, implied: Any = np.inf) -> Index:
        """Add a block of columns from 0 to `upper`.

        implied: limits that follow from the rows anyway, which the solver is better off without and the dual bound
        needs; both broadcast to the shape.
        """
        size = int(np.prod(shape))
        self._lower.append(np.zeros(size))
        for kept, limit in ((self._upper, upper), (self._implied, np.minimum(upper, implied))):
            kept.append(np.broadcast_to(np.asarray(limit, dtype=np.float64), shape).ravel().copy())
        self.width += size
        return np.arange(self.width - size, self.width, dtype=np.intp).reshape(shape)

    def rows(self, *shape: int, lower: Any = 0.0, upper: Any = 0.0) -> Index:
        """Add a block of rows, equal to 0 unless limits (broadcast to the shape) are given."""
        size = int(np.prod(shape))
        for kept, limit in ((self._row_lower, lower), (self._row_upper, upper)):
            kept.append(np.broadcast_to(np.asarray(limit, dtype=np.float64), shape).ravel().copy())
        self.height += size
        return np.arange(self.height - size, self.height, dtype=np.intp).reshape(shape)

    def put(self, rows: Any, columns: Any, coefficient: Any) -> None:
        """Add coefficient x columns to rows; the three broadcast."""
        place, column, value = np.broadcast_arrays(rows, columns, np.asarray(coefficient, dtype=np.float64))
        some = value != 0.0
        if some.any():
            self._terms.append((place[some], column[some], value[some]))

    def define(self, rows: Index, columns: Index) -> None:
        """Subtract columns from rows of the same shape, equations that say what they are made of.

        What they are made of is defined before.
        """
        self.put(rows, columns, -1.0)
        self.defined.append((rows.ravel(), columns.ravel()))

    def put_constant(self, rows: Any, value: Any) -> None:
        """Add a constant to rows' left sides; the two broadcast."""
        place, amount = np.broadcast_arrays(rows, np.asarray(value, dtype=np.float64))
        self._shift.append((place.ravel(), amount.ravel()))

    def put_sum(self, rows: Index, total: Sum, factor: Any = 1.0) -> None:
        """Add factor x expressions to the rows of the same shape (rows and factor broadcast to the block's shape)."""
        place = np.broadcast_to(rows, total.at.shape).ravel()
        scale = np.broadcast_to(np.asarray(factor, dtype=np.float64), total.at.shape).ravel()
        for at, column, value in total.terms:
            self.put(place[at], column, value * scale[at])
        self.put_constant(place, total.constant.ravel() * scale)

    def charge(self, columns: Any, coefficient: Any) -> None:
        """Add coefficient x columns to the objective; the two broadcast."""
        column, value = np.broadcast_arrays(columns, np.asarray(coefficient, dtype=np.float64))
        self._costs.append((column.ravel(), value.ravel()))

    def charge_sum(self, total: Sum, factor: Any = 1.0) -> None:
        """Add factor x expressions (factor broadcasts to the block's shape) to the objective."""
        scale = np.broadcast_to(np.asarray(factor, dtype=np.float64), total.at.shape).ravel()
        for at, column, value in total.terms:
            self.charge(column, value * scale[at])
        self.constant += float((total.constant.ravel() * scale).sum())

    def limit(self, total: Sum, most: Any) -> None:
        """Hold expressions to at most `most` (broadcast to the block's shape); UNLIMITED and more limits nothing."""
        limits = np.broadcast_to(np.asarray(most, dtype=np.float64), total.at.shape)
        limits = np.where(limits < UNLIMITED, limits, np.inf)
        if np.isfinite(limits).any():
            self.put_sum(self.rows(*total.at.shape, lower=-np.inf, upper=limits), total)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the columns."""
        return np.concatenate(self._lower), np.concatenate(self._upper)

    @property
    def implied(self) -> Array:
        """The least known upper bound of each column, from its own or from rows."""
        return np.concatenate(self._implied)

    @property
    def row_bounds(self) -> tuple[Array, Array]:
        """Lower and upper limits of the rows, with the constants on their side."""
        moved = np.zeros(self.height)
        for place, amount in self._shift:
            np.add.at(moved, place, amount)
        return np.concatenate(self._row_lower) - moved, np.concatenate(self._row_upper) - moved

    @property
    def cost(self) -> Array:
        """The objective's coefficients."""
        total = np.zeros(self.width)
        for column, value in self._costs:
            np.add.at(total, column, value)
        return total

    @property
    def matrix(self) -> csc_array:
        """A, duplicates added up."""
        rows = np.concatenate([part[0] for part in self._terms])
        columns = np.concatenate([part[1] for part in self._terms])
        values = np.concatenate([part[2] for part in self._terms])
        return csc_array((values, (rows, columns)), shape=(self.height, self.width))
