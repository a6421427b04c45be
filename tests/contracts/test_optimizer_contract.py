"""What every search method owes, whatever its algorithm."""

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optimizers
from optimizers import annealing, archive, decomposition, nevergrad_adapter, optuna_adapter, quantum_inspired, umda
from optimizers.contract import SearchSpace
from optimizers.evolution import Evolution
from optimizers.generational import Generational
from optimizers.random_search import RandomSearch
from tests.contracts.optimizer_cases import LEVERS, METHODS, MIXED, Make, cost, evaluation, generation, keys

SPACES = {
    "mixed": MIXED,
    "bits_only": SearchSpace(epochs=6, levers=LEVERS, parameters=()),
    "values_only": SearchSpace(epochs=0, levers=(), parameters=("x", "y", "z")),
    "levers_without_epochs": SearchSpace(epochs=0, levers=LEVERS, parameters=("x",)),
    "epochs_without_levers": SearchSpace(epochs=4, levers=(), parameters=("x",)),
    "one_lever": SearchSpace(epochs=24, levers=("a",), parameters=()),
    "one_epoch": SearchSpace(epochs=1, levers=LEVERS, parameters=("x",)),
    "from_practice": SearchSpace(epochs=5, levers=LEVERS, parameters=("x", "y"), start=(0.275, 1.0)),
}
PRACTICE = (0.275, 1.0)
STARTED = {
    "levers": SearchSpace(epochs=5, levers=LEVERS, parameters=("x", "y"), start=PRACTICE),
    "values_only": SearchSpace(epochs=0, levers=(), parameters=("x", "y"), start=PRACTICE),
}
ALL_ON = "seed_literal"  # begins with everything on, whatever the seed
SMALL = SearchSpace(epochs=3, levers=("a", "b"), parameters=())


def check_distinct_until_exhausted(make: Make) -> None:
    search = make(SMALL, budget=128, width=7, seed=2)
    asked: list[str] = []
    while len(asked) < 64:
        asked += keys(generation(search, min(7, 64 - len(asked))))
    assert len(set(asked)) == 64
    assert len(generation(search, 7)) == 7


def check_reproducible(make: Make, *, fixed_start: bool = False) -> None:
    runs: list[tuple[list[str], list[str]]] = []
    for seed in (7, 7, 8):
        search = make(MIXED, budget=200, width=10, seed=seed)
        asked = [key for _ in range(20) for key in keys(generation(search, 10))]
        runs.append((asked, keys(search.finalists(30))))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    if not fixed_start:
        assert not set(runs[0][0]) & set(runs[2][0])


def check_practice_comes_first(make: Make) -> None:
    """All searches of a space start from the same knowledge: the practice, levers off, whatever seed and width."""
    for space in STARTED.values():
        for seed, width, first in ((1, 10, 10), (2, 10, 1), (3, 4, 4)):
            search = make(space, budget=60, width=width, seed=seed)
            assert search.ask(0) == []
            asked = generation(search, first)
            assert len(asked) == first
            assert asked[0].values.tolist() == list(PRACTICE) and not asked[0].bits.any()
            asked += [one for _ in range(4) for one in generation(search, width)]
            assert len(set(keys(asked))) == len(asked), "it is asked once"


def check_failures_never_poison(make: Make) -> None:
    """Equal searches, told of the same failures with other values, go on alike and recommend none of them."""
    marks: list[dict[str, Any]] = [
        {"value": math.nan},
        {"value": -math.inf},
        {"value": -1e9, "failed": True},
        {"value": -1e9, "violation": math.nan},
    ]
    runs: list[list[str]] = []
    for mark in marks:
        search = make(MIXED, budget=240, width=12, seed=4)
        trace: list[str] = []
        broken: set[str] = set()
        for _ in range(16):
            asked = search.ask(12)
            broken |= {one.key for one in asked[::3]}
            good = (evaluation(one, cost(one)) for one in asked)
            search.tell([replace(one, **mark) if i % 3 == 0 else one for i, one in enumerate(good)])
            trace += keys(asked)
        runs.append(trace + keys(search.finalists(20)))
        assert not broken & set(keys(search.finalists(1000)))
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize("name", METHODS)
class TestOptimizerContract:
    @pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
    def test_candidates_are_new_points_of_the_space(self, name: str, space: SearchSpace) -> None:
        search = optimizers.get(name)(space, budget=200, width=10, seed=1)
        asked = [one for _ in range(20) for one in generation(search, 10)]
        for one in asked:
            assert one.bits.shape == (space.epochs, len(space.levers))
            assert one.values.shape == (len(space.parameters),)
            assert (one.bits.dtype, one.values.dtype) == (np.dtype(np.bool_), np.dtype(np.float64))
            assert np.all((one.values >= 0.0) & (one.values <= 1.0))
        assert len(set(keys(asked))) == len(asked)

    def test_answers_as_many_as_asked_for_whatever_the_width(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, budget=800, width=10, seed=1)
        for n in (1, 256, 0, 3, 40):
            assert len(generation(search, n)) == n

    def test_small_space_is_searched_to_its_end_without_repeats(self, name: str) -> None:
        check_distinct_until_exhausted(optimizers.get(name))

    def test_empty_space_has_one_point(self, name: str) -> None:
        search = optimizers.get(name)(SearchSpace(epochs=0, levers=(), parameters=()), budget=9, width=3, seed=1)
        assert len(set(keys(generation(search, 3) + generation(search, 3)))) == 1

    def test_told_candidates_are_not_asked(self, name: str) -> None:
        search, other = (optimizers.get(name)(SMALL, budget=64, width=8, seed=seed) for seed in (1, 2))
        known = other.ask(40)
        search.tell([evaluation(one, cost(one)) for one in known])
        assert not set(keys(known)) & set(keys(search.ask(24)))

    def test_same_seed_and_values_give_the_same_candidates(self, name: str) -> None:
        check_reproducible(optimizers.get(name), fixed_start=name == ALL_ON)

    def test_a_known_practice_is_the_first_candidate(self, name: str) -> None:
        check_practice_comes_first(optimizers.get(name))

    def test_without_a_practice_nothing_is_proposed_in_its_place(self, name: str) -> None:
        first = {optimizers.get(name)(MIXED, budget=60, width=10, seed=seed).ask(1)[0].key for seed in range(5)}
        assert len(first) == (1 if name == ALL_ON else 5)

    def test_a_practice_that_fails_is_not_recommended(self, name: str) -> None:
        search = optimizers.get(name)(STARTED["levers"], budget=60, width=10, seed=1)
        asked = search.ask(10)
        told = [evaluation(one, -9.0 if i == 0 else cost(one)) for i, one in enumerate(asked)]
        search.tell([replace(told[0], failed=True), *told[1:]])
        assert asked[0].key not in keys(search.finalists(100))

    def test_a_practice_is_recommended_where_nothing_beats_it(self, name: str) -> None:
        search = optimizers.get(name)(STARTED["levers"], budget=60, width=10, seed=1)
        asked = search.ask(10)
        search.tell([evaluation(one, float(i)) for i, one in enumerate(asked)])
        assert search.recommend().values.tolist() == list(PRACTICE)

    def test_failures_never_poison(self, name: str) -> None:
        check_failures_never_poison(optimizers.get(name))

    def test_nothing_but_failures_leaves_the_search_alive(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, budget=100, width=10, seed=1)
        for _ in range(12):
            search.tell([evaluation(one, math.nan) for one in search.ask(10)])
        with pytest.raises(LookupError, match="no evaluation has succeeded"):
            search.recommend()
        alive = search.ask(1)
        search.tell([evaluation(alive[0], 1.0)])
        assert search.recommend().key == alive[0].key
        assert len(generation(search, 10)) == 10

    def test_no_recommendation_before_anything_is_told(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, budget=100, width=10, seed=1)
        assert search.finalists(3) == []
        search.ask(10)
        with pytest.raises(LookupError):
            search.recommend()

    def test_finalists_are_the_best_told(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, budget=200, width=10, seed=1)
        asked = [one for _ in range(15) for one in generation(search, 10)]
        ranked = sorted(asked, key=cost)
        assert keys(search.finalists(10)) == keys(ranked[:10])
        assert len(search.finalists(1000)) == 150
        assert search.recommend().key == ranked[0].key

    def test_feasible_before_infeasible(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, budget=200, width=10, seed=1)
        asked = search.ask(4)
        told = zip(asked, (-5.0, -9.0, 3.0, -7.0), (1.0, 2.0, 0.0, 1.0), strict=True)
        search.tell([evaluation(one, value, violation=violation) for one, value, violation in told])
        assert keys(search.finalists(4)) == [asked[i].key for i in (2, 3, 0, 1)]

    @pytest.mark.parametrize("rounds", [0, 1, 14])
    def test_pickle_with_candidates_in_flight_goes_on_alike(self, name: str, rounds: int) -> None:
        search = optimizers.get(name)(MIXED, budget=200, width=10, seed=1)
        for _ in range(rounds):
            generation(search, 10)
        in_flight = search.ask(10)
        copy = pickle.loads(pickle.dumps(search))
        for one in (search, copy):
            one.tell([evaluation(candidate, cost(candidate)) for candidate in in_flight])
        for _ in range(4):
            assert keys(generation(search, 10)) == keys(generation(copy, 10))
        assert keys(search.finalists(20)) == keys(copy.finalists(20))


@pytest.mark.parametrize("start", [(0.5,), (0.5, 0.5, 0.5)])
def test_a_start_of_the_wrong_length_is_refused(start: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=rf"start has {len(start)} values for 2 parameters"):
        SearchSpace(epochs=1, levers=LEVERS, parameters=("x", "y"), start=start)


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_starts_anywhere_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generational, "_practice", lambda self: self.propose(1))
    with pytest.raises(AssertionError):
        check_practice_comes_first(optimizers.get(name))


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_starts_with_levers_on_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    practice = Generational._practice

    def switched_on(self: Generational) -> archive.Points:
        points = practice(self)
        points.bits[...] = True
        return points

    monkeypatch.setattr(Generational, "_practice", switched_on)
    with pytest.raises(AssertionError):
        check_practice_comes_first(optimizers.get(name))


def test_mutant_without_memory_repeats_itself() -> None:
    class Forgetful(RandomSearch):
        def tell(self, evaluations) -> None:
            super().tell(evaluations)
            self._seen.clear()

    with pytest.raises(AssertionError):
        check_distinct_until_exhausted(Forgetful)


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_learns_from_failures_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archive, annealing, decomposition, nevergrad_adapter, optuna_adapter, quantum_inspired, umda):
        monkeypatch.setattr(module, "usable", lambda _: True)
    with pytest.raises((AssertionError, UserWarning)):  # Optuna warns of NaN itself
        check_failures_never_poison(optimizers.get(name))


def test_mutant_with_global_randomness_is_not_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np.random, "Philox", lambda key: np.random.PCG64())
    with pytest.raises(AssertionError):
        check_reproducible(Evolution)
