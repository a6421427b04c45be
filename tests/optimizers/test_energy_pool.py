"""When the energy is learnt, what is proposed from it, and how large a share that gets."""

import math

import numpy as np
import pytest

from optimizers import energy_pool
from optimizers.archive import Points
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.energy_pool import EnergyPool
from optimizers.quantum_inspired import QuantumInspired

SPACE = SearchSpace(epochs=6, levers=("a", "b", "c"), parameters=())
FIELD = np.random.default_rng(8).normal(size=(6, 3))


def cost(bits: np.ndarray) -> float:
    return float(np.sum(np.where(bits, FIELD, -FIELD))) + 0.8 * float(np.sum(bits[1:] != bits[:-1]))


def told(bits: np.ndarray, value: float | None = None) -> Evaluation:
    candidate = Candidate(bits=bits, values=np.zeros(0))
    return Evaluation(candidate=candidate, value=cost(bits) if value is None else value, standard_error=0.0, n=1)


def filled(n: int = 120, budget: int = 400, **more: float) -> EnergyPool:
    pool, rng = EnergyPool(SPACE, budget, 0.5), np.random.default_rng(1)
    for _ in range(n // 12):
        pool.learn([told(rng.random((6, 3)) < 0.5, **more) for _ in range(12)], [False] * 12, rng)
    return pool


def test_it_fits_once_there_are_as_many_points_as_features_and_fills_the_pool() -> None:
    size = EnergyPool(SPACE, 400, 0.5).energy.size
    assert len(filled(12 * (size // 12 - 1))) == 0
    assert len(filled(12 * (size // 12 + 1))) > 0


def test_a_short_budget_fits_earlier() -> None:
    assert len(filled(24, budget=50)) > 0


def test_the_first_taken_are_the_best_there_are() -> None:
    pool = filled()
    first = pool.take(5)
    known = np.array([[bool(int(c)) for c in f"{number:018b}"] for number in range(1 << 18)]).reshape(-1, 6, 3)
    spins = np.where(known, 1.0, -1.0)
    best = ((spins * FIELD).sum((1, 2)) + 0.8 * (known[:, 1:] != known[:, :-1]).sum((1, 2))).min()
    assert min(cost(bits) for bits in first) == pytest.approx(best)
    assert pool.take(1000).shape[1:] == (6, 3) and len(pool) == 0


def test_failures_and_violations_are_not_learnt_from() -> None:
    assert len(filled(value=math.nan)) == 0


def test_equal_values_teach_nothing_and_break_nothing() -> None:
    assert len(filled(value=3.0)) == 0


def test_the_share_follows_success() -> None:
    rng = np.random.default_rng(2)
    for good, bounds in ((True, (0.6, 0.75)), (False, (0.1, 0.3))):
        pool = EnergyPool(SPACE, 400, 0.5)
        marks = [i % 2 == 0 for i in range(60)]
        values = [(-10.0 if mark == good else 10.0) + i * 1e-3 for i, mark in enumerate(marks)]
        pool.learn([told(rng.random((6, 3)) < 0.5, value) for value in values], marks, rng)
        assert bounds[0] <= pool.share <= bounds[1]


def test_a_space_that_cannot_be_modelled_leaves_the_pool_empty() -> None:
    pool = EnergyPool(SearchSpace(epochs=0, levers=(), parameters=("x",)), 100, 0.5)
    candidate = Candidate(bits=np.zeros((0, 0), dtype=bool), values=np.zeros(1))
    pool.learn([Evaluation(candidate=candidate, value=1.0, standard_error=0.0, n=1)], [False], np.random.default_rng(1))
    assert len(pool) == 0


def best_of(budget: int = 600) -> float:
    search = QuantumInspired(SPACE, budget, 12, 5)
    found = math.inf
    for _ in range(budget // 12):
        asked = search.ask(12)
        values = [cost(one.bits) for one in asked]
        found = min(found, *values)
        search.tell([told(one.bits) for one in asked])
    return found


def test_the_flagship_takes_from_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant that never takes leaves the flagship without its best proposals."""
    taken: list[int] = []
    take = EnergyPool.take

    def noted(self: EnergyPool, n: int) -> np.ndarray:
        found = take(self, n)
        taken.append(len(found))
        return found

    monkeypatch.setattr(EnergyPool, "take", noted)
    best_of()
    assert sum(taken) > 20


def test_thinning_keeps_later_points_at_a_falling_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_pool, "_LEARNT", 40)
    kept: list[int] = []
    learn = EnergyPool(SPACE, 400, 0.5).energy.__class__.learn

    def noted(self, points: Points, values: np.ndarray) -> None:
        kept.append(len(points))
        learn(self, points, values)

    monkeypatch.setattr("optimizers.energy.Energy.learn", noted)
    filled(360, budget=2000)
    assert kept[0] >= 40 and kept[-1] < 60
