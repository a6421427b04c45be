import math

import numpy as np
import pytest

from optimizers.archive import Archive, Points
from optimizers.contract import Candidate, Evaluation, SearchSpace

SPACE = SearchSpace(epochs=1, levers=(), parameters=("x",))


def point(x: float) -> Candidate:
    return Candidate(bits=np.zeros((1, 0), dtype=np.bool_), values=np.array([x]))


def told(x: float, value: float, *, violation: float = 0.0, n: int = 1, failed: bool = False) -> Evaluation:
    return Evaluation(candidate=point(x), value=value, standard_error=0.0, n=n, violation=violation, failed=failed)


def order(archive: Archive) -> list[float]:
    return [float(one.values[0]) for one in archive.best(100)]


def test_feasible_first_then_violation_then_value_then_first_told():
    archive = Archive(SPACE, 10)
    archive.add(
        [
            told(0.1, -99.0, violation=2.0),
            told(0.2, 5.0),
            told(0.3, -50.0, violation=1.0),
            told(0.4, 3.0),
            told(0.5, 3.0),
        ]
    )
    archive.add([told(0.6, 3.0), told(0.7, 4.0, violation=-1.0)])
    assert order(archive) == [0.4, 0.5, 0.6, 0.7, 0.2, 0.3, 0.1]


def test_keeps_the_best_of_its_capacity():
    archive = Archive(SPACE, 3)
    for start in (0, 5):
        archive.add([told((start + i) / 10, -float(start + i)) for i in range(5)])
    assert order(archive) == [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("value", "violation"), [(math.nan, 0.0), (-math.inf, 0.0), (math.inf, 0.0), (1.0, math.nan), (1.0, -math.inf)]
)
def test_leaves_out_what_is_not_finite(value, violation):
    archive = Archive(SPACE, 3)
    archive.add([told(0.1, value, violation=violation), told(0.2, 2.0)])
    assert order(archive) == [0.2]


def test_leaves_out_failures_whatever_their_value():
    archive = Archive(SPACE, 3)
    archive.add([told(0.1, -1e9, failed=True), told(0.2, 2.0)])
    assert order(archive) == [0.2]


@pytest.mark.parametrize(("n", "expected"), [(3, [0.2, 0.1]), (4, [0.1, 0.2]), (9, [0.1, 0.2])])
@pytest.mark.parametrize("together", [True, False])
def test_a_candidate_told_again_keeps_the_evaluation_over_more_scenarios(n, expected, together):
    archive = Archive(SPACE, 5)
    generations = [[told(0.1, 7.0, n=4), told(0.2, 5.0, n=4)], [told(0.1, 1.0, n=n)]]
    for generation in [[*generations[0], *generations[1]]] if together else generations:
        archive.add(generation)
    assert order(archive) == expected


def test_negative_zero_has_the_key_of_zero_and_candidates_are_read_only():
    points = Points(bits=np.zeros((2, 1, 0), dtype=np.bool_), values=np.array([[0.0], [-0.0]]))
    first, second = points.candidates()
    assert first.key == second.key
    with pytest.raises(ValueError, match="read-only"):
        first.values[0] = 0.5
