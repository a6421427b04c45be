"""Several objectives: weights, fronts, and a front that is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import decomposition
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.decomposition import Decomposition, nondominated, scalarised, simplex
from optimizers.random_search import RandomSearch

SPACE = SearchSpace(epochs=5, levers=("a", "b", "c"), parameters=())
COST = np.random.default_rng(4).normal(size=(2, 5, 3))
MASK = np.random.default_rng(5).random((5, 3)) < 0.5


def objectives(candidate: Candidate) -> tuple[float, float]:
    """Two costs of a schedule, each with a charge for every switch of a lever."""
    on = (candidate.bits ^ MASK).astype(float)
    switches = np.abs(np.diff(on, axis=0, prepend=0.0)).sum(axis=0)
    first, second = (COST * on).sum(axis=(1, 2)).tolist()
    return first + 0.3 * float(switches.sum()), second + float(switches[0])


def evaluation(candidate: Candidate, *costs: float, value: float = 0.0, violation: float = 0.0) -> Evaluation:
    return Evaluation(
        candidate=candidate, value=value, standard_error=0.0, n=1, violation=violation, objectives=tuple(costs)
    )


def hypervolume(points: np.ndarray, corner: np.ndarray) -> float:
    """The area that points dominate below a corner."""
    area, floor = 0.0, corner[1]
    for first, second in sorted(points[(points < corner).all(axis=1)].tolist()):
        if second < floor:
            area += (corner[0] - first) * (floor - second)
            floor = second
    return area


def exact_front() -> np.ndarray:
    every = np.array(list(itertools.product((False, True), repeat=15))).reshape(-1, 5, 3)
    on = (every ^ MASK).astype(float)
    switches = np.abs(np.diff(on, axis=1, prepend=0.0)).sum(axis=1)
    costs = np.einsum("oel,nel->no", COST, on) + np.column_stack([switches.sum(axis=1) * 0.3, switches[:, 0]])
    order = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
    return order[np.concatenate([[True], order[1:, 1] < np.minimum.accumulate(order[:, 1])[:-1]])]


def run(search: Decomposition, rounds: int, n: int = 16) -> None:
    for _ in range(rounds):
        search.tell([evaluation(one, *objectives(one), value=objectives(one)[0]) for one in search.ask(n)])


def check_reaches_the_front() -> None:
    exact = exact_front()
    corner = exact.max(axis=0) + 0.1 * np.ptp(exact, axis=0)
    shares = []
    for seed in range(3):
        search = Decomposition(SPACE, 600, 16, seed)
        run(search, 37)
        found = np.array([costs for _, costs in search.front()])
        shares.append(hypervolume(found, corner) / hypervolume(exact, corner))
        assert shares[-1] <= 1.0 + 1e-9
    assert min(shares) > 0.99


def test_reaches_nearly_all_of_a_known_front() -> None:
    check_reaches_the_front()


def test_mutant_with_one_weight_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decomposition, "simplex", lambda objectives, count: np.array([[1.0, 0.001]]))
    with pytest.raises(AssertionError):
        check_reaches_the_front()


def test_front_holds_what_was_told_and_nothing_dominated() -> None:
    search = Decomposition(SPACE, 400, 16, 1)
    told: dict[str, tuple[float, float]] = {}
    for _ in range(12):
        asked = search.ask(16)
        told |= {one.key: objectives(one) for one in asked}
        search.tell([evaluation(one, *objectives(one), value=1.0) for one in asked])
    front = search.front()
    assert all(told[one.key] == costs for one, costs in front)
    for costs in told.values():
        assert any(one[0] <= costs[0] and one[1] <= costs[1] for _, one in front)
    points = [costs for _, costs in front]
    assert points == sorted(points)
    assert all(before[1] > after[1] for before, after in itertools.pairwise(points))


def test_recommends_the_best_by_value_whatever_the_objectives() -> None:
    search = Decomposition(SPACE, 400, 16, 1)
    asked = search.ask(4)
    search.tell([evaluation(one, float(i), float(i), value=float(-i)) for i, one in enumerate(asked)])
    assert search.recommend().key == asked[3].key
    assert [one.key for one, _ in search.front()] == [asked[0].key]


def test_points_with_violations_and_failures_are_not_in_the_front() -> None:
    search = Decomposition(SPACE, 400, 16, 1)
    asked = search.ask(4)
    search.tell(
        [
            evaluation(asked[0], -9.0, -9.0, violation=1.0),
            evaluation(asked[1], np.nan, -9.0),
            evaluation(asked[2], -9.0, -9.0, value=np.inf),
            evaluation(asked[3], 1.0, 1.0),
        ]
    )
    assert [one.key for one, _ in search.front()] == [asked[3].key]


def test_values_alone_are_searched_as_one_objective(schedule_problem) -> None:
    own, random = (
        np.mean([schedule_problem(seed).regret(method, budget=800, width=16, seed=seed) for seed in range(4)])
        for method in (Decomposition, RandomSearch)
    )
    assert own < random / 4


def test_another_number_of_objectives_is_refused() -> None:
    search = Decomposition(SPACE, 400, 16, 1)
    asked = search.ask(2)
    with pytest.raises(ValueError, match="told 3 objectives, after 2"):
        search.tell([evaluation(asked[0], 1.0, 2.0), evaluation(asked[1], 1.0, 2.0, 3.0)])


@pytest.mark.parametrize(("objectives_", "count"), [(1, 12), (2, 12), (2, 30), (3, 12), (4, 20)])
def test_weights_are_spread_over_the_simplex(objectives_: int, count: int) -> None:
    weights = simplex(objectives_, count)
    assert weights.shape == (len(weights), objectives_)
    assert len(weights) == 1 if objectives_ == 1 else len(weights) >= count
    assert np.unique(weights, axis=0).shape == weights.shape
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=0.005)
    assert weights.min() > 0.0
    assert np.all(weights.max(axis=0) == 1.0)


def test_scalarised_costs_by_hand() -> None:
    costs = np.array([[0.2, 0.8], [0.5, 0.5]])
    weights = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert scalarised(costs, weights, 0.0) == pytest.approx(np.array([[0.4, 0.25], [0.18, 0.45]]))
    assert scalarised(costs, weights, 2.0) == pytest.approx(np.array([[1.4, 1.25], [0.7, 1.45]]))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(1, 3))
def test_nondominated_rows_are_those_of_the_definition(seed: int, rows: int, columns: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 5, (rows, columns)).astype(float)
    found = nondominated(costs).tolist()
    for row, mine in enumerate(costs):
        beaten = any(np.all(other <= mine) and np.any(other < mine) for other in costs)
        repeated = any(np.array_equal(other, mine) for other in costs[:row])
        assert (row in found) == (not beaten and not repeated)
