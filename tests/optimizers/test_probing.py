"""Annealing by probes: what a generation of single changes around one point leads to."""

import numpy as np
import pytest

from optimizers.archive import Points
from optimizers.contract import Candidate, SearchSpace
from optimizers.probing import CENTRE, Probing

SPACE = SearchSpace(epochs=4, levers=("a", "b", "c"), parameters=("x", "y"))
TARGET = np.random.default_rng(3).random((4, 3)) < 0.5


def cost(bits: np.ndarray, values: np.ndarray) -> float:
    return float(np.sum(bits != TARGET)) + float(np.sum((values - 0.3) ** 2))


def begun(seed: int = 1) -> Probing:
    return Probing(SPACE, np.random.default_rng(seed), ~TARGET, np.array([0.9, 0.9]))


def round_of(probing: Probing, n: int, *, fail: tuple[int, ...] = ()) -> Points:
    points = probing.propose(n)
    assert points.origin is not None
    told = [
        (int(origin), one, cost(one.bits, one.values))
        for row, (origin, one) in enumerate(zip(points.origin, points.candidates(), strict=True))
        if row not in fail
    ]
    probing.learn(told, 1.0)
    return points


def test_a_generation_is_the_point_and_single_changes_of_it() -> None:
    points = begun().propose(15)
    assert points.origin is not None and points.origin[0] == CENTRE
    assert np.array_equal(points.bits[0], ~TARGET)
    assert sorted(points.origin.tolist()) == list(range(15)), "a sweep visits every dimension once"
    for bits, values, origin in zip(points.bits[1:], points.values[1:], points.origin[1:], strict=True):
        changed = np.flatnonzero((bits != ~TARGET).ravel()).tolist() + (12 + np.flatnonzero(values != 0.9)).tolist()
        assert changed == [origin - 1]


def test_all_accepted_changes_are_merged() -> None:
    probing = begun()
    round_of(probing, 15)
    assert np.array_equal(probing.bits, TARGET), "every bit was wrong, and each change of one was accepted"


def test_mutant_that_takes_only_the_best_change_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Probing, "_merge", lambda self, accepted, value: self._go(*min(accepted, key=lambda one: one[1]))
    )
    probing = begun()
    round_of(probing, 15)
    assert np.sum(probing.bits != TARGET) == 11


def test_a_merge_that_is_worse_than_its_best_part_gives_way_to_it() -> None:
    probing = begun()
    points = probing.propose(3)
    candidates = points.candidates()
    probing.learn([(0, candidates[0], 10.0), (1, candidates[1], 8.0), (2, candidates[2], 9.0)], 1.0)
    merged = probing.propose(1).candidates()[0]
    probing.learn([(CENTRE, merged, 50.0)], 1.0)
    assert np.array_equal(probing.bits, candidates[1].bits) and np.array_equal(probing.values, candidates[1].values)
    assert probing.value == 8.0


def test_a_point_that_fails_gives_way_to_the_best_of_its_changes() -> None:
    probing = begun()
    points = round_of(probing, 6, fail=(0,))
    costs = [cost(bits, values) for bits, values in zip(points.bits[1:], points.values[1:], strict=True)]
    assert probing.value == min(costs)


def test_nothing_told_changes_nothing() -> None:
    probing = begun()
    probing.propose(5)
    probing.learn([], 0.5)
    assert np.array_equal(probing.bits, ~TARGET) and probing.value is None


def test_worse_changes_are_accepted_while_it_is_hot() -> None:
    def accepted(progress: float) -> int:
        probing, count = begun(), 0
        here = Candidate(bits=TARGET.copy(), values=np.array([0.3, 0.3]))
        for _ in range(400):
            probing._go(here, 0.0)
            count += probing._judge(1, 1.0, progress)
        return count

    assert accepted(1.0) < accepted(0.0) < 400
