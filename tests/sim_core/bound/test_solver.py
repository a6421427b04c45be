"""The solver: its optimum, and the lower bound read off its dual, which holds for any dual."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csc_array

from sim_core.bound.solver import Problem, dual_bound, solve
from sim_core.errors import ModelError

SEEDS = st.integers(0, 2**32 - 1)
_EUR = 1e8
_NEAR = 1e-3 * _EUR
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def problem(seed: int, *, columns: int = 6, rows: int = 4) -> Problem:
    """A random programme with a solution: rows hold around a point within the columns' bounds."""
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, columns)) * (draw.random((rows, columns)) < 0.7)
    upper = draw.uniform(1.0, 5.0, columns)
    middle = matrix @ draw.uniform(0.0, upper)
    kind = draw.integers(0, 3, rows)  # equal, at most, at least
    return Problem(
        cost=_EUR * draw.normal(size=columns),
        constant=_EUR * float(draw.normal()),
        lower=np.zeros(columns),
        upper=upper,
        implied=upper,
        row_lower=np.where(kind == 1, -np.inf, middle),
        row_upper=np.where(kind == 2, np.inf, middle),
        matrix=csc_array(matrix),
    )


def least(of: Problem) -> float:
    """The optimum by another road."""
    a, up, low = of.matrix.toarray(), np.isfinite(of.row_upper), np.isfinite(of.row_lower)
    found = linprog(
        of.cost,
        A_ub=np.vstack([a[up], -a[low]]),
        b_ub=np.concatenate([of.row_upper[up], -of.row_lower[low]]),
        bounds=list(zip(of.lower, of.upper, strict=True)),
    )
    return float(found.fun) + of.constant


@QUICK
@given(SEEDS, st.booleans())
def test_the_optimum_is_found_and_its_bound_lies_below(seed: int, simplex: bool):
    one = problem(seed)
    found, best = solve(one, unit=1.0, simplex=simplex), least(one)
    assert abs(found.cost - best) <= _NEAR
    assert best - _NEAR <= found.lower <= best + 1e-9 * _EUR


@QUICK
@given(SEEDS)
def test_any_dual_gives_a_lower_bound(seed: int):
    """No multiplier, however wrong, and of whatever sign, promises more than the optimum."""
    one, draw = problem(seed), np.random.default_rng(seed + 1)
    best = least(one)
    for size in (1e-6, 1e-2, 1.0, 1e3):
        dual = size * draw.normal(size=len(one.row_lower))
        assert dual_bound(one, dual, np.zeros(6), 1.0) <= best + 1e-9 * _EUR * max(1.0, size)


def test_a_bound_that_follows_from_rows_serves_where_the_column_has_none():
    """min -x, x <= 4 by a row: a multiplier that is a little short of 1 leaves x a reduced cost below 0."""
    one = Problem(
        cost=np.array([-1.0]),
        constant=0.0,
        lower=np.zeros(1),
        upper=np.full(1, np.inf),
        implied=np.full(1, 4.0),
        row_lower=np.full(1, -np.inf),
        row_upper=np.full(1, 4.0),
        matrix=csc_array(np.ones((1, 1))),
    )
    assert dual_bound(one, np.array([-0.999]), np.array([4.0]), 1.0) == pytest.approx(-4.0)
    loose = replace(one, implied=one.upper)
    assert dual_bound(loose, np.array([-0.999]), np.array([4.0]), 1.0) <= -4.0


def test_a_column_that_a_row_defines_has_no_reduced_cost():
    """min x - s / 1000, s = x: without a multiplier s alone seems to pay, as far as anyone knows without end."""
    one = Problem(
        cost=np.array([1.0, -1e-3]),
        constant=0.0,
        lower=np.zeros(2),
        upper=np.full(2, np.inf),
        implied=np.array([4.0, np.inf]),
        row_lower=np.zeros(1),
        row_upper=np.zeros(1),
        matrix=csc_array(np.array([[1.0, -1.0]])),
    )
    defined = replace(one, defined=[(np.array([0]), np.array([1]))])
    for dual in (0.0, 5.0, -5.0):
        assert dual_bound(one, np.array([dual]), np.zeros(2), 1.0) < -0.9
        assert dual_bound(defined, np.array([dual]), np.zeros(2), 1.0) == 0.0


def test_numbers_of_any_size_are_scaled_for_the_solver():
    """The same programme in units a million times as large and as small: kg beside t, cents beside millions."""
    one = problem(3)
    rows, columns = np.array([1e-6, 1.0, 1e6, 1e3]), np.array([1e6, 1e-3, 1.0, 1e3, 1e-6, 1.0])
    other = replace(
        one,
        cost=one.cost * columns,
        upper=one.upper / columns,
        implied=one.upper / columns,
        row_lower=one.row_lower * rows,
        row_upper=one.row_upper * rows,
        matrix=csc_array(one.matrix.toarray() * rows[:, None] * columns),
    )
    best = least(one)
    for simplex in (False, True):
        assert solve(other, unit=1.0, simplex=simplex).cost == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("euro", [1e-10, 1e-4, 1e3])
def test_small_amounts_of_money_are_told_as_well_as_large_ones(euro: float):
    """A shop's costs beside a continent's: the solver's tolerances are absolute, so money is scaled."""
    one = problem(3)
    other = replace(one, cost=one.cost * euro, constant=one.constant * euro)
    found = solve(other, unit=1.0)
    assert found.cost == pytest.approx(least(one) * euro, rel=1e-3)
    assert found.lower == pytest.approx(least(one) * euro, rel=1e-3)


@pytest.mark.parametrize("simplex", [False, True])
@pytest.mark.parametrize("upper", [np.inf, 1.0])
def test_a_programme_without_a_solution_is_refused(upper: float, simplex: bool):
    """Unbounded where nothing holds the column back; infeasible where a row asks for more than it can be."""
    one = Problem(
        cost=np.array([-_EUR, _EUR]),
        constant=0.0,
        lower=np.zeros(2),
        upper=np.array([upper, 1.0]),
        implied=np.array([upper, 1.0]),
        row_lower=np.array([5.0]),
        row_upper=np.array([np.inf]),
        matrix=csc_array(np.ones((1, 2))),
    )
    with pytest.raises(ModelError, match="has no solution"):
        solve(one, unit=1.0, simplex=simplex)
