"""Differential evolution and CMA-ES: what they draw in the unit cube, and what they learn of it."""

import math

import numpy as np
import pytest

from optimizers.annealing import NOWHERE
from optimizers.cma_es import CmaEs
from optimizers.contract import Candidate, Domain, Evaluation, SearchSpace
from optimizers.differential_evolution import DifferentialEvolution
from optimizers.generational import Generational
from optimizers.random_search import RandomSearch
from optimizers.unit_cube import UnitCube

CUBE = SearchSpace(epochs=0, levers=(), parameters=("x", "y", "z"))


def evaluation(candidate: Candidate, value: float, violation: float = 0.0) -> Evaluation:
    return Evaluation(candidate=candidate, value=value, standard_error=0.0, n=1, violation=violation)


@pytest.mark.parametrize(("method", "share"), [(CmaEs, 1e-4), (DifferentialEvolution, 0.1)])
def test_beats_random_in_continuous_parameters(schedule_problem, method: type[UnitCube], share: float) -> None:
    problems = [schedule_problem(seed, epochs=0, levers=0, parameters=5) for seed in range(4)]
    own, random = (
        np.mean([p.regret(one, budget=900, width=12, seed=1) for p in problems]) for one in (method, RandomSearch)
    )
    assert own < share * random


@pytest.mark.parametrize("method", [CmaEs, DifferentialEvolution])
def test_finds_integers_and_bits_beside_values(method: type[UnitCube]) -> None:
    space = SearchSpace(
        epochs=2, levers=("a", "b"), parameters=("lots", "x"), domains=(Domain(low=0, high=20, integer=True), Domain())
    )
    search = method(space, 1200, 12, 3)
    for _ in range(100):
        asked = search.ask(12)
        told = []
        for one in asked:
            point = space.decode(one)
            off = int(np.sum(point.states != [[1, 0], [0, 1]]))
            value = 0.3 * off + 0.02 * abs(point.parameters["lots"] - 13) + (point.parameters["x"] - 0.7) ** 2
            told.append(evaluation(one, value))
        search.tell(told)
    best = space.decode(search.recommend())
    assert best.states.tolist() == [[1, 0], [0, 1]]
    assert best.parameters["lots"] == 13
    assert best.parameters["x"] == pytest.approx(0.7, abs=0.02)


def check_judged_where_it_is() -> None:
    """A candidate that took the place of a repeated one is judged as itself."""

    class Repeating(UnitCube):
        judged: list[tuple[list[float], float]]

        def draw(self, n: int):
            return np.full((n, 3), [0.9, 0.2, 0.4]), np.arange(n)

        def judge(self, place, tag, energy) -> None:
            self.judged.append((place.tolist(), energy[1]))

    space = SearchSpace(epochs=1, levers=("a", "b"), parameters=("x",))
    search = Repeating(space, 100, 4, 1)
    search.judged = []
    asked = search.ask(4)
    search.tell([evaluation(one, float(i)) for i, one in enumerate(asked)])
    assert search.judged[0] == ([0.9, 0.2, 0.4], 0.0)
    for (place, value), one in zip(search.judged, asked, strict=True):
        assert value == float(asked.index(one))
        assert [axis > 0.5 for axis in place[:2]] == one.bits.reshape(-1).tolist()
        assert place[2] == one.values[0]


def test_replaced_candidates_are_judged_where_they_are() -> None:
    check_judged_where_it_is()


def test_mutant_that_judges_them_where_they_were_drawn_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UnitCube, "_where", lambda self, place, candidate: place)
    with pytest.raises(AssertionError):
        check_judged_where_it_is()


@pytest.mark.parametrize("method", [CmaEs, DifferentialEvolution])
def test_proposals_in_flight_are_kept_and_others_forgotten(method: type[UnitCube]) -> None:
    space = SearchSpace(epochs=2, levers=("a",), parameters=())  # four points: most draws repeat
    search = method(space, 100, 4, 1)
    for _ in range(20):
        asked = search.ask(4)
        search.tell([evaluation(one, 1.0) for one in asked])
        assert not search._drawn


# ---------------------------------------------------------------------------------------- differential evolution


def de_after(values: list[float]) -> DifferentialEvolution:
    """Two rounds of four members: the first at 1.0, the trials at the values."""
    search = DifferentialEvolution(CUBE, 100, 4, 2, settings={"population": 4.0})
    search.tell([evaluation(one, 1.0) for one in search.ask(4)])
    before = search.members.copy()
    asked = search.ask(4)
    search.tell([evaluation(one, value) for one, value in zip(asked, values, strict=True)])
    for member, old, one, value in zip(search.members, before, asked, values, strict=True):
        kept = not value <= 1.0
        assert np.array_equal(member, old if kept else one.values)
    return search


def test_trials_take_their_targets_places_where_not_worse() -> None:
    search = de_after([0.5, 1.0, 2.0, math.nan])
    assert search.energies == [(0.0, 0.5), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]


def test_mutant_that_takes_every_trial_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(self: DifferentialEvolution, place: np.ndarray, tag: int, energy: tuple[float, float]) -> None:
        self.members[tag] = place

    monkeypatch.setattr(DifferentialEvolution, "judge", greedy)
    with pytest.raises(AssertionError):
        de_after([0.5, 1.0, 2.0, 3.0])


def test_crossover_takes_its_share_of_axes() -> None:
    names = tuple(f"x{i}" for i in range(200))
    space = SearchSpace(epochs=10, levers=tuple("abcdefghij"), parameters=names)
    settings = {"population": 10.0, "crossover": 0.6, "crossover_bits": 0.1}
    search = DifferentialEvolution(space, 1000, 10, 2, settings=settings)
    search.tell([evaluation(one, 1.0) for one in search.ask(10)])
    places, targets = search.draw(50)
    moved = places != search.members[targets]
    assert moved[:, : space.bits].mean() == pytest.approx(0.1, abs=0.02)
    assert moved[:, space.bits :].mean() == pytest.approx(0.6, abs=0.02)


# ---------------------------------------------------------------------------------------------------- CMA-ES


def told_generation(search: CmaEs, values: list[float], violations: list[float]) -> np.ndarray:
    asked = search.ask(len(values))
    search.tell([evaluation(one, *pair) for one, pair in zip(asked, zip(values, violations, strict=True), strict=True)])
    return search.model.mean.copy()


def check_only_ranks_count() -> None:
    means = []
    for values, violations in (
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 6),
        ([-1e9, 0.0, 1e-9, 1e8, 1e9, math.nan], [0.0] * 6),
        ([10.0, 11.0, 12.0, 13.0, -1e9, -1e10], [0.0, 0.0, 0.0, 0.0, 0.1, 0.2]),
    ):
        search = CmaEs(CUBE, 100, 6, 3, settings={"population": 6.0})
        start = search.model.mean.copy()
        means.append(told_generation(search, values, violations))
        assert not np.array_equal(start, means[-1])
    assert all(np.array_equal(mean, means[0]) for mean in means)


def test_only_ranks_reach_the_model() -> None:
    check_only_ranks_count()


def test_mutant_that_tells_values_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = CmaEs.judge
    monkeypatch.setattr(
        CmaEs,
        "judge",
        lambda self, place, tag, energy: judge(self, place, tag, (0.0, energy[1]) if energy != NOWHERE else energy),
    )
    with pytest.raises(AssertionError):
        check_only_ranks_count()


def test_a_generation_is_told_once_it_is_complete() -> None:
    search = CmaEs(CUBE, 100, 4, 3, settings={"population": 6.0})
    start = search.model.mean.copy()
    assert np.array_equal(told_generation(search, [1.0, 2.0, 3.0, 4.0], [0.0] * 4), start)
    assert not np.array_equal(told_generation(search, [1.0, 2.0, 3.0, 4.0], [0.0] * 4), start)
    assert len(search._generation) == 2


def test_begins_anew_with_twice_the_population_where_it_has_converged() -> None:
    search = CmaEs(CUBE, 4000, 8, 3)
    first = search.model.population_size
    for _ in range(400):
        asked = search.ask(8)
        search.tell([evaluation(one, float(np.sum((one.values - 0.4) ** 2))) for one in asked])
        if search.model.population_size > first:
            break
    assert search.model.population_size == 2 * first
    assert float(np.sum((search.recommend().values - 0.4) ** 2)) < 1e-9


def test_practice_is_where_the_model_begins() -> None:
    space = SearchSpace(epochs=1, levers=("a",), parameters=("x",), start=(0.9,))
    search: Generational = CmaEs(space, 100, 4, 3)
    assert isinstance(search, CmaEs)
    assert search.model.mean.tolist() == [0.25, 0.9]
