"""Tuning a method's settings: the better ones are found, and fresh seeds decide."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.contract import Domain, Evaluation, SearchSpace
from optimizers.generational import Generational
from optimizers.random_search import RandomSearch
from optimizers.settings import Setting
from orchestrator.optimizer_tuning import Tuning, _rows, regret_of, tune_settings
from orchestrator.runtime import Connection
from sim_core.errors import InputError


@dataclass(frozen=True)
class Bowl:
    """Least at `centre`, in 4 numbers."""

    centre: float
    optimum: float = 0.0
    mean_random: float = 1.0

    @property
    def name(self) -> str:
        return f"bowl {self.centre}"

    @property
    def space(self) -> SearchSpace:
        return SearchSpace(epochs=0, levers=(), parameters=("a", "b", "c", "d"))

    def evaluate(self, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((values - self.centre) ** 2).sum(axis=1)


class Wanderer(Generational):
    """Steps around the best one told, by a distance that is its setting: the usual one is far too long."""

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "step": Setting(usual=0.9, domain=Domain(low=0.001, high=1.0, log=True), meaning="length of a step"),
        "ignored": Setting(usual=None, domain=Domain(low=1, high=3, integer=True), meaning="nothing"),
    }

    def propose(self, n: int) -> Points:
        step = self.setting["step"]
        assert step is not None
        if self.setting["ignored"] == 3:
            raise ValueError("three is not possible")
        values = self.rng.random((n, 4))
        if len(self.archive):
            best = self.archive.best(1)[0].values
            values = np.clip(best + step * self.rng.standard_normal((n, 4)), 0.0, 1.0)
        return Points(bits=np.zeros((n, 0, 0), dtype=np.bool_), values=values)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        pass


PROBLEMS = (Bowl(0.3), Bowl(0.6))
ARGUMENTS: dict[str, Any] = {"trials": 12, "budget": 40, "width": 4, "seeds": (1, 2), "fresh_seeds": (11, 12, 13)}


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """Workers can't import a test module, so its classes travel as code."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def tuned(ray_runtime: Connection) -> Tuning:
    return tune_settings(Wanderer, PROBLEMS, outer="random", **ARGUMENTS)


def test_better_settings_are_found_and_beat_the_usual_ones_on_fresh_seeds(tuned: Tuning) -> None:
    usual = next(row for row in tuned.decided if not row.settings)
    assert tuned.best == tuned.decided[0].settings != {}
    assert tuned.decided[0].regret < 0.3 * usual.regret
    assert 0.01 < tuned.best["step"] < 0.5
    assert len(tuned.decided) == 5  # four finalists and the usual settings
    assert {row.runs for row in tuned.decided} == {6} and {row.runs for row in tuned.tried} == {4}


def test_settings_that_cannot_be_run_are_left_out(tuned: Tuning) -> None:
    assert 0 < len(tuned.tried) < ARGUMENTS["trials"]
    assert {row.settings["ignored"] for row in tuned.tried} == {1, 2}


def test_what_decides_can_be_run_again_alone(tuned: Tuning) -> None:
    row = tuned.decided[0]
    regrets = [
        regret_of(problem, Wanderer, row.settings, budget=40, width=4, seed=seed)
        for problem in PROBLEMS
        for seed in ARGUMENTS["fresh_seeds"]
    ]
    assert row.regret == float(np.mean(regrets))
    assert row.standard_error == pytest.approx(np.std(regrets, ddof=1) / np.sqrt(6))


def test_the_table_ranks_within_each_run() -> None:
    rows = _rows([{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], [[0.1, 0.9, 0.2], [0.2, 0.1, 0.3], [0.3, 0.2, 0.3]], fresh=False)
    assert [(row.settings["a"], row.rank) for row in rows] == [
        (2.0, pytest.approx((2 + 1 + 2.5) / 3)),
        (3.0, pytest.approx((3 + 2 + 2.5) / 3)),
        (1.0, pytest.approx((1 + 3 + 1) / 3)),
    ]


def test_a_regret_is_zero_at_the_optimum_and_one_at_the_random_mean() -> None:
    class Exact(RandomSearch):
        def propose(self, n: int) -> Points:
            return Points(bits=np.zeros((n, 0, 0), dtype=np.bool_), values=np.full((n, 4), 0.3))

    assert regret_of(Bowl(0.3), Exact, {}, budget=1, width=1, seed=1) == 0.0
    assert regret_of(Bowl(0.8, mean_random=1.0), Exact, {}, budget=1, width=1, seed=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "random"}, "no settings to tune"),
        ({"problems": ()}, "at least one problem"),
        ({"seeds": ()}, "at least one problem, one seed"),
        ({"fresh_seeds": (2, 3)}, r"seeds \[2\] would both"),
        ({"method": "randm"}, "did you mean 'random'"),
    ],
)
def test_what_cannot_be_tuned_is_refused(changed: dict[str, Any], message: str) -> None:
    arguments = {"method": Wanderer, "problems": PROBLEMS, **ARGUMENTS, **changed}
    with pytest.raises(InputError, match=message):
        tune_settings(arguments.pop("method"), arguments.pop("problems"), **arguments)
