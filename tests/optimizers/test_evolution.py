import numpy as np
import pytest

from optimizers.contract import Evaluation, SearchSpace
from optimizers.evolution import Evolution
from optimizers.random_search import RandomSearch


@pytest.mark.parametrize(("budget", "width"), [(800, 16), (1000, 32)])
def test_beats_random_on_schedules(schedule_problem, budget, width):
    pairs = []
    for seed in range(6):
        problem = schedule_problem(seed)
        pairs.append(
            [problem.regret(method, budget=budget, width=width, seed=seed) for method in (Evolution, RandomSearch)]
        )
    regret = np.array(pairs)
    assert np.all(regret >= -1e-9)
    assert np.all(regret[:, 0] < regret[:, 1])
    assert regret[:, 0].mean() < regret[:, 1].mean() / 4


def test_beats_random_in_a_few_continuous_parameters(schedule_problem):
    problems = [schedule_problem(seed, epochs=0, levers=0, parameters=5) for seed in range(6)]
    evolution, random = (
        np.mean([p.regret(method, budget=200, width=12, seed=1) for p in problems])
        for method in (Evolution, RandomSearch)
    )
    assert evolution < random / 4


def test_best_parents_survive_worse_generations():
    space = SearchSpace(epochs=6, levers=("a", "b"), parameters=())
    search = Evolution(space, budget=400, width=24, seed=3)
    first = search.ask(24)
    search.tell([Evaluation(candidate=c, value=float(i), standard_error=0.0, n=1) for i, c in enumerate(first)])
    later = search.ask(24)
    search.tell([Evaluation(candidate=c, value=100.0 + i, standard_error=0.0, n=1) for i, c in enumerate(later)])
    assert [c.key for c in search.finalists(search.parents)] == [c.key for c in first[: search.parents]]
    parents = np.stack([c.bits for c in first[: search.parents]])
    children = np.stack([c.bits for c in search.ask(24)])
    distance = (children[:, None] != parents[None]).sum(axis=(2, 3)).min(axis=1)
    assert np.median(distance) <= 3  # children stay close to the parents that survived
