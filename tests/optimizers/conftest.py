"""A small search problem with a known optimum, shared by the methods' tests."""

from collections.abc import Callable

import numpy as np
import pytest

from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace


class ScheduleProblem:
    """Levers with a cost per epoch and per switch, plus a rotated quadratic in the values; the optimum is exact.

    The bits are masked by a random XOR, so that neither all on nor all off is a good start.
    """

    def __init__(self, seed: int, *, epochs: int = 12, levers: int = 6, parameters: int = 6) -> None:
        rng = np.random.default_rng(seed)
        self.space = SearchSpace(
            epochs=epochs,
            levers=tuple(f"lever_{i}" for i in range(levers)),
            parameters=tuple(f"parameter_{i}" for i in range(parameters)),
        )
        self._cost = rng.normal(size=(epochs, levers)) + np.cumsum(rng.normal(size=(epochs, levers)), axis=0)
        self._switch = rng.uniform(1.0, 3.0, levers)
        self._mask = rng.random((epochs, levers)) < 0.5
        self._best = rng.uniform(0.1, 0.9, parameters)
        self._rotation = np.linalg.qr(rng.normal(size=(parameters, parameters)))[0] * rng.uniform(2.0, 8.0, parameters)
        self.optimum = self._least_cost()

    def value(self, candidate: Candidate) -> float:
        on = (candidate.bits ^ self._mask).astype(float)
        switches = np.abs(np.diff(on, axis=0, prepend=0.0)) @ self._switch
        return float(
            (on * self._cost).sum() + switches.sum() + (((candidate.values - self._best) @ self._rotation) ** 2).sum()
        )

    def regret(self, method: type[Optimizer], *, budget: int, width: int, seed: int) -> float:
        """Run a search and return how far what it recommends is from the optimum."""
        search = method(self.space, budget=budget, width=width, seed=seed)
        for start in range(0, budget, width):
            asked = search.ask(min(width, budget - start))
            search.tell([Evaluation(candidate=one, value=self.value(one), standard_error=0.0, n=1) for one in asked])
        return self.value(search.recommend()) - self.optimum

    def _least_cost(self) -> float:
        off, on = np.zeros_like(self._switch), np.full_like(self._switch, np.inf)
        for cost in self._cost:
            off, on = np.minimum(off, on + self._switch), np.minimum(on, off + self._switch) + cost
        return float(np.minimum(off, on).sum())


@pytest.fixture
def schedule_problem() -> Callable[..., ScheduleProblem]:
    """The problem's class: call it with a seed and, if wanted, a shape."""
    return ScheduleProblem
