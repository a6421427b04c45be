"""What every search method owes when it is stopped, brought back, or told late."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optimizers
from optimizers import event_log
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.generational import Generational
from sim_core.errors import IntegrityError
from tests.contracts.optimizer_cases import METHODS, MIXED, evaluation, generation, keys, told

CODED = SearchSpace(epochs=3, levers=("a", "b"), states=(3, 2), parameters=("x",))


def restored(name: str, search: Generational, space: SearchSpace = MIXED) -> Generational:
    return optimizers.restore(name, space, json.loads(json.dumps(search.save(), allow_nan=False)))


def begun(name: str, rounds: int, *, space: SearchSpace = MIXED, reproducible: bool = True) -> Generational:
    search = optimizers.get(name)(space, 200, 10, 3, reproducible=reproducible)
    for _ in range(rounds):
        generation(search, 10)
    return search


def check_goes_on_alike(name: str, rounds: int, space: SearchSpace = MIXED) -> None:
    search = begun(name, rounds, space=space)
    flying = search.ask(10)
    broken = [replace(one, value=float("nan")) if i == 3 else one for i, one in enumerate(told(flying))]
    copy = restored(name, search, space)
    assert copy.save() == search.save()
    for _ in range(2):
        for one in (search, copy):
            one.tell(broken)
        assert keys(copy.finalists(50)) == keys(search.finalists(50))
        flying, again = search.ask(10), copy.ask(10)
        assert keys(flying) == keys(again)
        broken = told(flying)
        copy = restored(name, search, space)


def check_late_tells(name: str) -> None:
    """A reproducible search refuses what depends on who was faster, and goes on as if it had not been told."""
    for late in (lambda all_told: all_told[1:], lambda all_told: all_told[::-1], lambda all_told: all_told[:1]):
        search = begun(name, 2)
        flying = told(search.ask(6))
        with pytest.raises(ValueError, match="reproducible=False"):
            search.tell(late(flying))
        assert search.told == 20
        search.tell(flying)
        assert search.told == 26


def stranger() -> Evaluation:
    bits = np.zeros((5, 3), dtype=np.bool_)
    return evaluation(Candidate(bits=bits, values=np.array([0.1, 0.9])), -3.0)


@pytest.mark.parametrize("name", METHODS)
class TestOptimizerState:
    @pytest.mark.parametrize("rounds", [0, 1, 12])
    def test_restored_through_json_with_candidates_in_flight(self, name: str, rounds: int) -> None:
        check_goes_on_alike(name, rounds)

    def test_restored_in_a_space_of_codes(self, name: str) -> None:
        check_goes_on_alike(name, 3, CODED)

    def test_restored_with_candidates_it_never_asked(self, name: str) -> None:
        search = begun(name, 1)
        search.tell([stranger()])
        copy = restored(name, search)
        assert keys(copy.finalists(20)) == keys(search.finalists(20))
        assert keys(generation(copy, 10)) == keys(generation(search, 10))

    def test_late_and_partial_tells_are_refused(self, name: str) -> None:
        check_late_tells(name)

    def test_late_and_partial_tells_are_taken_where_marked(self, name: str) -> None:
        search = begun(name, 2, reproducible=False)
        flying = told(search.ask(10))
        search.tell(flying[7:])
        more = told(search.ask(5))
        search.tell([*more[::-1], *flying[:3]])
        for _ in range(4):
            generation(search, 10)
        search.tell(flying[3:7])
        assert search.told == 75
        assert {one.candidate.key for one in flying + more} <= set(keys(search.finalists(100)))

    def test_what_is_known_already_may_be_told_at_any_time(self, name: str) -> None:
        search = begun(name, 1)
        flying = search.ask(10)
        search.tell([stranger()])
        assert search.recommend().key == stranger().candidate.key
        search.tell(told(flying))
        assert len(search.finalists(100)) == 21

    def test_another_space_is_refused(self, name: str) -> None:
        with pytest.raises(IntegrityError, match="another space"):
            optimizers.restore(name, CODED, begun(name, 1).save())


def test_another_format_is_refused():
    with pytest.raises(IntegrityError, match="format 99"):
        optimizers.restore("random", MIXED, {**begun("random", 1).save(), "format": 99})


def test_a_state_that_tells_of_what_was_never_asked_is_refused():
    state = begun("random", 1).save()
    state["events"][1][1][0][0] = 4000
    with pytest.raises(IntegrityError, match="isn't its own"):
        optimizers.restore("random", MIXED, state)


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_forgets_a_tell_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = event_log.EventLog.events

    def short(self: event_log.EventLog) -> list[list[Any]]:
        events = full(self)
        return [one for i, one in enumerate(events) if one[0] == "ask" or i != len(events) - 2]

    monkeypatch.setattr(event_log.EventLog, "events", short)
    with pytest.raises((AssertionError, ValueError)):
        check_goes_on_alike(name, 2)


def test_mutant_that_forgets_what_is_in_flight_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = optimizers.restore

    def landed(name: str, space: SearchSpace, state: Mapping[str, Any]) -> Generational:
        search = restore(name, space, state)
        search._in_flight.clear()
        return search

    monkeypatch.setattr(optimizers, "restore", landed)
    with pytest.raises((AssertionError, ValueError)):
        check_goes_on_alike("simulated_annealing_chains", 2)


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_takes_late_tells_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generational, "_check_order", lambda self, told_keys: None)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_late_tells(name)
