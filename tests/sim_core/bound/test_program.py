import numpy as np
import pytest

from sim_core.bound.model import add_to
from sim_core.bound.program import Program, Sum
from sim_core.bound.solver import problem_of
from sim_core.engine.layout import UNLIMITED


def test_blocks_are_numbered_on_and_keep_their_shape():
    program = Program()
    first, second = program.columns(2, 3), program.columns(4)
    assert first.shape == (2, 3) and first.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert second.tolist() == [6, 7, 8, 9]
    rows = program.rows(2), program.rows(1, 2)
    assert [row.ravel().tolist() for row in rows] == [[0, 1], [2, 3]]
    assert (program.width, program.height) == (10, 4)


def test_terms_broadcast_and_add_up():
    program = Program()
    x, rows = program.columns(2, 3), program.rows(2)
    program.put(rows[:, None], x, [1.0, 2.0, 3.0])
    program.put(rows[0], x[0, 0], 0.5)
    assert program.matrix.toarray().tolist() == [[1.5, 2.0, 3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]]
    program.charge(x, [[10.0], [20.0]])
    program.charge(x[0], 1.0)
    assert program.cost.tolist() == [11.0, 11.0, 11.0, 20.0, 20.0, 20.0]


def test_a_coefficient_of_nothing_leaves_no_term():
    program = Program()
    program.put(program.rows(2), program.columns(2), [0.0, 1.0])
    assert program.matrix.nnz == 1
    total = Sum(2)
    total.add(total.at, np.arange(2), 0.0)
    assert total.terms == []


def test_bounds_and_what_follows_from_rows():
    program = Program()
    program.columns(2, upper=[1.0, np.inf], implied=[4.0, 3.0])
    assert [values.tolist() for values in program.bounds] == [[0.0, 0.0], [1.0, np.inf]]
    assert program.implied.tolist() == [1.0, 3.0]  # the lesser of the two


def test_constants_go_to_the_other_side():
    program = Program()
    rows = program.rows(2, lower=[0.0, -np.inf], upper=[0.0, 7.0])
    program.put_constant(rows, 2.0)
    program.put_constant(rows[1], 1.0)
    assert [side.tolist() for side in program.row_bounds] == [[-2.0, -np.inf], [-2.0, 4.0]]


def test_expressions_carry_their_terms_and_constants_into_rows_and_cost():
    program = Program()
    x, rows = program.columns(3), program.rows(3)
    total = Sum(3)
    total.add(total.at, x, [1.0, 2.0, 3.0])
    total.add(total.at[2], x[0], 5.0)
    total.constant += [0.0, 10.0, 100.0]
    program.put_sum(rows, total, -1.0)
    assert program.matrix.toarray().tolist() == [[-1.0, 0.0, 0.0], [0.0, -2.0, 0.0], [-5.0, 0.0, -3.0]]
    assert program.row_bounds[0].tolist() == [0.0, 10.0, 100.0]
    program.charge_sum(total, [1.0, 1.0, 2.0])
    assert program.cost.tolist() == [11.0, 2.0, 6.0]
    assert program.constant == 210.0


def test_an_expression_is_added_to_another_at_places():
    target, source = Sum(2), Sum(3)
    source.add(source.at, np.array([7, 8, 9]), [1.0, 1.0, 2.0])
    source.constant += [1.0, 2.0, 4.0]
    add_to(target, np.array([0, 1, 1]), source, [1.0, 1.0, 10.0])
    assert target.constant.tolist() == [1.0, 42.0]
    ((at, columns, values),) = target.terms
    assert (at.tolist(), columns.tolist(), values.tolist()) == ([0, 1, 1], [7, 8, 9], [1.0, 1.0, 20.0])


@pytest.mark.parametrize(("most", "rows"), [(UNLIMITED, 0), (np.inf, 0), (5.0, 2), ([5.0, UNLIMITED], 2)])
def test_a_limit_without_end_makes_no_rows(most: object, rows: int):
    program = Program()
    total = Sum(2)
    total.add(total.at, program.columns(2), 1.0)
    program.limit(total, most)
    assert program.height == rows
    if rows:
        assert program.row_bounds[1][0] == 5.0 and np.isneginf(program.row_bounds[0]).all()


def test_a_problem_is_the_program_in_arrays():
    program = Program()
    x = program.columns(2, upper=3.0)
    program.put(program.rows(1, lower=1.0, upper=np.inf), x, 1.0)
    program.charge(x, [1.0, 2.0])
    program.constant = 5.0
    problem = problem_of(program)
    assert (problem.cost.tolist(), problem.constant) == ([1.0, 2.0], 5.0)
    assert (problem.row_lower.tolist(), problem.row_upper.tolist()) == ([1.0], [np.inf])
    assert problem.matrix.toarray().tolist() == [[1.0, 1.0]]
    assert problem.upper.tolist() == problem.implied.tolist() == [3.0, 3.0]
