"""Methods of other packages: what they are told, and what happens where they are missing."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optimizers
from optimizers import foreign
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.foreign import joined, same, spelt
from sim_core.errors import InputError

SPACE = SearchSpace(epochs=3, levers=("a", "b"), states=(3, 2), parameters=("x", "y"))


def evaluation(candidate: Candidate, value: float, violation: float = 0.0) -> Evaluation:
    return Evaluation(candidate=candidate, value=value, standard_error=0.0, n=1, violation=violation)


@pytest.mark.parametrize("name", ["optuna", "nevergrad"])
def test_a_missing_package_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> Any:
        raise ModuleNotFoundError(f"No module named {package!r}")

    monkeypatch.setattr(foreign, "import_module", missing)
    with pytest.raises(InputError, match=rf"needs the package {name}: pip install 'circularbench\[search\]'"):
        optimizers.get(name)(SPACE, 100, 10, 1)


def test_points_are_spelt_and_joined_again() -> None:
    rng = np.random.default_rng(1)
    bits, values = SPACE.settle(rng.random((6, 3, SPACE.columns)) < 0.5, rng.random((6, 2)))
    points = [spelt(SPACE, Candidate(bits=one, values=value)) for one, value in zip(bits, values, strict=True)]
    again = joined(SPACE, points)
    assert np.array_equal(again[0], bits)
    assert np.array_equal(again[1], values)
    for row in range(6):
        one = Candidate(bits=bits[row], values=values[row])
        assert [same(SPACE, one, point) for point in points] == [row == other for other in range(6)]
        assert not same(SPACE, one, (points[row][0], points[row][1] + [0.0, 0.1]))


@pytest.fixture
def nevergrad() -> Any:
    return pytest.importorskip("nevergrad", reason="nevergrad isn't installed")


@pytest.fixture
def optuna() -> Any:
    return pytest.importorskip("optuna", reason="optuna isn't installed")


def trace(name: str, between: Callable[[], object]) -> list[str]:
    search = optimizers.get(name)(SPACE, 700, 8, 1)
    keys = []
    for _ in range(6):
        asked = search.ask(8)
        between()
        search.tell([evaluation(one, float(one.bits.sum()) + float(one.values.sum())) for one in asked])
        keys += [one.key for one in asked]
    return keys


def check_global_randomness_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    quiet = trace("nevergrad", lambda: None)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert trace("nevergrad", lambda: np.random.random(7)) == quiet  # noqa: NPY002


def test_nevergrad_and_global_randomness_leave_each_other_alone(nevergrad: Any) -> None:
    check_global_randomness_is_left_alone()


def told_to_nevergrad(values: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    search: Any = optimizers.get("nevergrad")(SPACE, 700, 8, 1)
    heard: list[float] = []
    tell = search._method.tell
    monkeypatch.setattr(search._method, "tell", lambda candidate, loss: (heard.append(loss), tell(candidate, loss)))
    asked = search.ask(len(values))
    search.tell([evaluation(one, *pair) for one, pair in zip(asked, values, strict=True)])
    return heard


def test_nevergrad_hears_numbers_only(nevergrad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [(np.nan, 0.0), (5.0, 0.0), (-3.0, 2.0), (-np.inf, 0.0), (8.0, 0.0)]
    assert told_to_nevergrad(told, monkeypatch) == [5.0, 5.0, 7.0, 7.0, 8.0]
    assert told_to_nevergrad([(np.nan, 0.0), (np.nan, 0.0)], monkeypatch) == []


def test_optuna_hears_of_violations_and_failures(optuna: Any) -> None:
    search: Any = optimizers.get("optuna")(SPACE, 100, 8, 1)
    asked = search.ask(3)
    search.tell([evaluation(asked[0], 5.0), evaluation(asked[1], -9.0, 2.0), evaluation(asked[2], np.nan)])
    trials = search._study.trials
    states = optuna.trial.TrialState
    assert [one.state for one in trials] == [states.COMPLETE, states.COMPLETE, states.FAIL]
    assert search._study.best_trial.number == 0


def test_optuna_hears_of_a_candidate_that_took_anothers_place(optuna: Any) -> None:
    space = SearchSpace(epochs=1, levers=("a", "b"), parameters=())
    search: Any = optimizers.get("optuna")(space, 100, 4, 1)
    asked = search.ask(4)
    search.tell([evaluation(one, float(i)) for i, one in enumerate(asked)])
    complete = [one for one in search._study.trials if one.state == optuna.trial.TrialState.COMPLETE]
    told = {(one.params["0/0"], one.params["0/1"]): one.value for one in complete}
    assert told == {tuple(one.bits[0].astype(int).tolist()): float(i) for i, one in enumerate(asked)}


def test_methods_are_loaded_when_asked_for() -> None:
    assert importlib.import_module("optimizers.optuna_adapter")  # without the package behind it
    assert importlib.import_module("optimizers.nevergrad_adapter")
