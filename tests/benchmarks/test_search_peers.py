"""These need what `make bench-search` installs, and are skipped where it wasn't run."""

import itertools
import sys

import numpy as np
import pytest

from benchmarks.bench_search import PACKAGES
from benchmarks.search import exact
from benchmarks.search.landscapes import neighbour_nk
from benchmarks.search.peers import split
from benchmarks.search.pseudo_boolean import LABS_ENERGY, MixedInteger, PseudoBoolean
from benchmarks.search.runs import Job
from benchmarks.search.schedules import published
from optimizers.contract import SearchSpace

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(PACKAGES)])


def every(rows: int, columns: int) -> np.ndarray:
    flat = np.array(list(itertools.product([False, True], repeat=rows * columns)))
    return flat.reshape(-1, rows, columns)


@pytest.mark.parametrize(
    ("function", "rows", "columns"),
    [
        ("LeadingOnes", 4, 3),
        ("IsingTorus", 3, 3),
        ("ConcatenatedTrap", 2, 5),
        ("MIS", 4, 3),
        ("NQueens", 4, 4),
        ("LABS", 13, 1),
    ],
)
def test_the_optimum_is_that_of_trying_all(function: str, rows: int, columns: int):
    pytest.importorskip("ioh")
    problem = PseudoBoolean(function=function, rows=rows, columns=columns)
    bits = every(rows, columns)
    values = problem.evaluate(bits, np.zeros((len(bits), 0)))
    assert values.min() == problem.optimum
    assert values.mean() == pytest.approx(problem.mean_random, rel=0.02)


def test_an_optimum_that_nobody_knows_is_refused():
    pytest.importorskip("ioh")
    with pytest.raises(ValueError, match="NKLandscapes"):
        PseudoBoolean(function="NKLandscapes", rows=5, columns=4)
    assert 15 not in LABS_ENERGY
    with pytest.raises(KeyError):
        PseudoBoolean(function="LABS", rows=5, columns=3)


def test_energies_of_sequences_by_definition():
    pytest.importorskip("ioh")
    problem = PseudoBoolean(function="LABS", rows=5, columns=4)
    bits = np.random.default_rng(0).random((50, 5, 4)) < 0.5
    spins = np.where(bits.reshape(50, 20), 1, -1)
    energy = sum((spins[:, k:] * spins[:, :-k]).sum(axis=1) ** 2 for k in range(1, 20))
    assert np.array_equal(problem.evaluate(bits, np.zeros((50, 0))), energy)


def test_a_mixed_integer_function_has_its_optimum_on_a_level():
    pytest.importorskip("ioh")
    problem = MixedInteger(function="Sphere", whole=2, continuous=1, number=1)
    x = (np.array(problem._call.optimum.x[2:]) + 5.0) / 10.0
    bits = every(2, 4)
    values = problem.evaluate(bits, np.tile(x, (len(bits), 1)))
    assert values.min() == pytest.approx(0.0, abs=1e-12)
    assert (values < 1e-9).sum() == 1
    assert len(np.unique(values.round(6))) == 50  # of 256; the others are as far from the optimum in the sphere


def test_what_a_peer_proposes_beyond_the_budget_does_not_count(monkeypatch: pytest.MonkeyPatch):
    problem = neighbour_nk(5, 4, 2, 0)

    class Generous:
        def ask(self, _n: int) -> tuple[np.ndarray, np.ndarray]:
            return every(5, 4)[:: 1 << 10], np.zeros((1 << 10, 0))

        def tell(self, values: np.ndarray) -> None:
            assert len(values) == 1 << 10

    monkeypatch.setattr(exact, "start", lambda *_: Generous())
    run = exact.search(Job(method="pymoo GA", problem=problem.name, budget=3, seed=0), problem)
    values = problem.evaluate(every(5, 4)[:: 1 << 10], np.zeros((1 << 10, 0)))
    assert run.score == (values[:3].min() - problem.optimum) / (problem.mean_random - problem.optimum)


@pytest.mark.parametrize("method", ["nevergrad DiscreteOnePlusOne", "pymoo GA", "optuna TPE"])
def test_a_peer_learns(method: str):
    pytest.importorskip(method.split(" ", maxsplit=1)[0])
    problem = neighbour_nk(5, 4, 2, 0)
    run = exact.search(Job(method=method, problem=problem.name, budget=160, seed=0), problem)
    drawn = exact.search(Job(method="random", problem=problem.name, budget=16, seed=0), problem)
    assert run.score is not None and drawn.score is not None
    assert run.score < drawn.score


def test_a_peer_searches_parameters_too():
    pytest.importorskip("nevergrad")
    problem = published()[1]
    run = exact.search(Job(method="nevergrad DiscreteOnePlusOne", problem=problem.name, budget=48, seed=0), problem)
    assert run.score is not None and 0.0 < run.score < run.trace[0][1]


def test_points_are_split_in_the_spaces_order():
    space = SearchSpace(epochs=2, levers=("a", "b"), parameters=("x",))
    bits, values = split(space, np.array([[0.0, 1.0, 1.0, 0.0, 0.25]]))
    assert bits.tolist() == [[[False, True], [True, False]]]
    assert values.tolist() == [[0.25]]
