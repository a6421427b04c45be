"""Solve a linear programme with HiGHS, and read a lower bound off its dual, whatever the solver's tolerance."""

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, diags_array

from sim_core.bound.program import Index, Program
from sim_core.errors import ModelError

Array = NDArray[np.float64]
_LARGE = 0.5  # quantile of the costs of a usual quantity that money is counted in for the solver
GAP = 1e-5  # relative, between what the solution costs and its dual value
_FEASIBLE = 1e-10  # of a vertex, scaled: one material may be a millionth of the mass of another
_CRUMB = 1e-7  # of scaled coefficients: a month's failures of new units are less
_FAR = 1e-4  # relative, of a bound from the cost
_ROUNDS = 10
_SOLVED = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kUnknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """values: of the columns. cost: of these values. lower: no feasible values cost less."""

    values: Array
    cost: float
    lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A programme as arrays.

    implied: the least known upper bounds of the columns, those that follow from rows too. defined: blocks of rows and
    columns, see Program.define.
    """

    cost: Array
    constant: float
    lower: Array
    upper: Array
    implied: Array
    row_lower: Array
    row_upper: Array
    matrix: csc_array
    defined: Sequence[tuple[Index, Index]] = ()


def problem_of(program: Program) -> Problem:
    """Put a programme's blocks together."""
    lower, upper = program.bounds
    row_lower, row_upper = program.row_bounds
    return Problem(
        cost=program.cost,
        constant=program.constant,
        lower=lower,
        upper=upper,
        implied=program.implied,
        row_lower=row_lower,
        row_upper=row_upper,
        matrix=program.matrix,
        defined=program.defined,
    )


def solve_closely(problem: Problem, *, unit: float) -> Solution:
    """Minimise; where the bound turns out far below the cost, again with the least coefficients too."""
    found = solve(problem, unit=unit)
    return found if found.cost - found.lower <= _FAR * abs(found.cost) else solve(problem, unit=unit, least=0.0)


def solve(problem: Problem, *, unit: float, gap: float = GAP, least: float = _CRUMB, simplex: bool = False) -> Solution:
    """Minimise. unit: the usual size of quantities, which are scaled to about 1 for the solver. gap: relative.

    Interior point without crossover, which is spared scaled coefficients below `least`; simplex where a vertex is asked
    for, with all of them. Raises ModelError where there is no solution.
    """
    scale = _scale(problem, unit)
    highs = highspy.Highs()
    for name, value in _options(gap, simplex=simplex).items():
        highs.setOptionValue(name, value)
    highs.passModel(_model(problem, scale, 0.0 if simplex else least))
    highs.run()
    status = highs.getModelStatus()
    solution = highs.getSolution()
    if status not in _SOLVED or not solution.dual_valid:
        raise ModelError(f"the linear programme has no solution: HiGHS says {highs.modelStatusToString(status)}")
    values = np.clip(np.array(solution.col_value) * scale.columns, problem.lower, problem.upper)
    dual = np.array(solution.row_dual) * scale.money * scale.rows
    return Solution(
        values=values,
        cost=float(problem.cost @ values) + problem.constant,
        lower=dual_bound(problem, dual, values, unit),
    )


def dual_bound(problem: Problem, dual: Array, values: Array, unit: float) -> float:
    """Return the value of a dual vector, (rows,), as a lower bound on the objective.

    A multiplier whose side of a row has no limit is set to 0, and that of a row that defines a column such that the
    column's reduced cost is 0. A column whose reduced cost is below 0, by the solver's tolerance, pays it up to its
    implied bound; one without stays within a hundred times its value in the solution, and within the thousandfold of
    the usual quantity at least (an assumption: such reduced costs are roundings). Source: A. Neumaier and O.
    Shcherbina, "Safe bounds in linear and mixed-integer linear programming", Mathematical Programming 99, 2004,
    section 3.
    """
    side = np.where(dual > 0.0, problem.row_lower, problem.row_upper)
    y = np.where(np.isfinite(side), dual, 0.0)
    for rows, columns in reversed(problem.defined):
        y[rows] -= problem.cost[columns] - problem.matrix[:, columns].T @ y
    rest = problem.cost - problem.matrix.T @ y
    most = np.where(np.isfinite(problem.implied), problem.implied, np.maximum(1e3 * unit, 100.0 * values))
    corner = np.where(rest > 0.0, problem.lower, most)
    return float(np.where(np.isfinite(side), side, 0.0) @ y + rest @ corner) + problem.constant


def _options(gap: float, *, simplex: bool) -> dict[str, bool | int | float | str]:
    return {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "solver": "simplex" if simplex else "ipx",
        "run_crossover": "off",
        "ipm_optimality_tolerance": gap,
        "primal_feasibility_tolerance": _FEASIBLE if simplex else 1e-7,
        "dual_feasibility_tolerance": _FEASIBLE if simplex else 1e-7,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What a column's value, a row's multiplier and an amount of money are multiplied by to get them back."""

    rows: Array
    columns: Array
    money: float


def _scale(problem: Problem, unit: float) -> _Scale:
    """Return factors that bring the largest number of each row and column near 1, and quantities too.

    Source: D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", RAL-TR-2001-034.
    """
    matrix = problem.matrix
    rows, columns = np.ones(problem.row_lower.size), np.ones(problem.lower.size)
    size = abs(matrix)
    for _ in range(_ROUNDS):
        now = diags_array(rows) @ size @ diags_array(columns)
        across, down = now.max(axis=1).toarray().ravel(), now.max(axis=0).toarray().ravel()
        rows /= np.sqrt(np.where(across > 0.0, across, 1.0))
        columns /= np.sqrt(np.where(down > 0.0, down, 1.0))
    costs = np.abs(problem.cost * columns * unit)
    some = costs[costs > 0.0]
    money = float(np.quantile(some, _LARGE)) if some.size else 1.0
    return _Scale(rows=rows / unit, columns=columns * unit, money=money)


def _model(problem: Problem, scale: _Scale, least: float) -> highspy.HighsLp:
    """Return the scaled programme for the solver. least: of scaled coefficients, smaller ones are left out."""
    matrix = csc_array(diags_array(scale.rows) @ problem.matrix @ diags_array(scale.columns))
    matrix.data[np.abs(matrix.data) < least] = 0.0
    matrix.eliminate_zeros()
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = problem.row_lower.size, problem.lower.size
    model.col_cost_ = problem.cost * scale.columns / scale.money
    model.col_lower_, model.col_upper_ = problem.lower / scale.columns, problem.upper / scale.columns
    model.row_lower_, model.row_upper_ = problem.row_lower * scale.rows, problem.row_upper * scale.rows
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.asarray(matrix.indptr, dtype=np.int32)
    model.a_matrix_.index_ = np.asarray(matrix.indices, dtype=np.int32)
    model.a_matrix_.value_ = np.asarray(matrix.data, dtype=np.float64)
    return model
