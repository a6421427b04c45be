import numpy as np
import pytest

from optimizers.contract import Evaluation, SearchSpace
from optimizers.quantum_inspired import QuantumInspired, rotation_rate
from optimizers.random_search import RandomSearch

SPACE = SearchSpace(epochs=4, levers=("a", "b"), parameters=("x",))


def told(search: QuantumInspired, rounds: int) -> None:
    """Tell that all bits on and a value of 0.7 are best."""
    for _ in range(rounds):
        asked = search.ask(40)
        values = [float(np.sum(~one.bits)) + 10.0 * float((one.values[0] - 0.7) ** 2) for one in asked]
        search.tell(
            [Evaluation(candidate=c, value=v, standard_error=0.0, n=1) for c, v in zip(asked, values, strict=True)]
        )


@pytest.mark.parametrize(("budget", "width"), [(800, 16), (1000, 32)])
def test_beats_random_on_schedules(schedule_problem, budget, width):
    pairs = []
    for seed in range(6):
        problem = schedule_problem(seed)
        pairs.append(
            [
                problem.regret(method, budget=budget, width=width, seed=seed)
                for method in (QuantumInspired, RandomSearch)
            ]
        )
    regret = np.array(pairs)
    assert np.all(regret >= -1e-9)
    assert np.all(regret[:, 0] < regret[:, 1])
    assert regret[:, 0].mean() < regret[:, 1].mean() / 5


def test_beats_random_in_a_few_continuous_parameters(schedule_problem):
    problems = [schedule_problem(seed, epochs=0, levers=0, parameters=5) for seed in range(6)]
    quantum, random = (
        np.mean([p.regret(method, budget=200, width=12, seed=1) for p in problems])
        for method in (QuantumInspired, RandomSearch)
    )
    assert quantum < random / 5


def test_model_turns_towards_the_best_and_never_becomes_certain():
    search = QuantumInspired(SPACE, budget=4000, width=40, seed=1)
    assert np.allclose(np.sin(search.angles) ** 2, 0.5)
    told(search, 12)
    probability = np.sin(search.angles) ** 2
    assert np.all(probability > 0.9)
    assert np.all(probability <= 0.99 + 1e-12)
    assert abs(search.centre[0] - 0.7) < 0.1
    assert search.spread[0] >= 0.02


def test_second_phase_begins_once_the_model_has_decided():
    search = QuantumInspired(SPACE, budget=4000, width=40, seed=1)
    told(search, 1)
    assert not search.tunnelling
    told(search, 14)
    assert search.told < 0.6 * search.budget
    assert search.tunnelling


def test_second_phase_begins_at_its_share_of_the_budget():
    search = QuantumInspired(SPACE, budget=200, width=40, seed=1)
    told(search, 2)
    assert not search.tunnelling
    told(search, 1)
    assert search.tunnelling


@pytest.mark.parametrize(("rounds", "rate"), [(1.0, 0.5), (80.0, 0.5), (150.0, 0.4), (390.0, 60.0 / 390.0)])
def test_rotation_slows_down_as_rounds_allow(rounds, rate):
    assert rotation_rate(rounds) == pytest.approx(rate)
