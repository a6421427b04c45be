import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest

from benchmarks.search.landscapes import Glass, glass, neighbour_nk
from benchmarks.search.problem import Masked, Problem, regret, sampled_mean
from benchmarks.search.schedules import published
from optimizers.contract import SearchSpace

LEVERS = tuple("abcdefgh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ones:
    """Minimise minus the number of ones."""

    name: str = "ones"
    space: SearchSpace = field(default_factory=lambda: SearchSpace(epochs=16, levers=LEVERS, parameters=("x",)))
    optimum: float = -128.0
    mean_random: float = -64.0

    def evaluate(self, bits: np.ndarray, _values: np.ndarray) -> np.ndarray:
        return -bits.sum(axis=(1, 2)).astype(float)


class Transparent(Masked):
    """The mutant: a mask that hides nothing."""

    def evaluate(self, bits: np.ndarray, values: np.ndarray) -> np.ndarray:
        return self.problem.evaluate(bits, values)


def all_ones(problem: Problem) -> float:
    bits = np.ones((1, problem.space.epochs, len(problem.space.levers)), dtype=bool)
    return regret(problem, float(problem.evaluate(bits, np.zeros((1, 1)))[0]))


def every(rows: int, columns: int) -> np.ndarray:
    flat = np.array(list(itertools.product([False, True], repeat=rows * columns)))
    return flat.reshape(-1, rows, columns)


def test_a_start_with_ones_is_no_triumph():
    found = [all_ones(Masked(problem=Ones(), seed=seed)) for seed in range(20)]
    assert min(found) > 0.5
    assert np.mean(found) == pytest.approx(1.0, abs=0.15)
    assert all_ones(Transparent(problem=Ones(), seed=0)) == 0.0


def test_a_mask_flips_bits_one_by_one_and_can_be_taken_off():
    problem = published()[0]
    masked, other = Masked(problem=problem, seed=1), Masked(problem=problem, seed=2)
    assert 0.35 < masked.flips.mean() < 0.65
    assert (masked.flips.any(axis=0) & ~masked.flips.all(axis=0)).all()  # no lever is flipped as a whole
    assert not np.array_equal(masked.flips, other.flips)
    assert np.array_equal(masked.flips, Masked(problem=problem, seed=1).flips)
    bits = np.random.default_rng(0).random((8, 24, 8)) < 0.5
    none = np.zeros((8, 0))
    assert np.array_equal(masked.evaluate(bits ^ masked.flips, none), problem.evaluate(bits, none))
    assert (masked.evaluate(bits, none) != problem.evaluate(bits, none)).all()
    assert (masked.optimum, masked.mean_random, masked.name) == (problem.optimum, problem.mean_random, problem.name)


def test_regret_is_zero_at_the_optimum_and_one_at_a_random_candidate():
    assert [regret(Ones(), value) for value in (-128.0, -96.0, -64.0, 0.0)] == [0.0, 0.5, 1.0, 2.0]


def test_a_value_below_the_optimum_is_a_wrong_optimum():
    assert regret(Ones(), -128.0 - 1e-9) == 0.0
    with pytest.raises(ValueError, match=r"ones: -129\.0 is below the optimum, -128\.0"):
        regret(Ones(), -129.0)


def test_a_sampled_mean_lies_within_its_error():
    mean, error = sampled_mean(Ones(), 5_000)
    assert abs(mean + 64.0) < 4.0 * error
    assert error == pytest.approx(np.sqrt(128 / 4 / 5_000), rel=0.05)


def test_a_glass_has_the_ground_state_of_trying_all():
    for number in range(3):
        problem = glass(4, 3, number)
        spins = every(4, 3)
        energy = problem.evaluate(spins, np.zeros((len(spins), 0)))
        assert problem.optimum == pytest.approx(energy.min(), abs=1e-9)
        assert energy.mean() == pytest.approx(problem.mean_random, abs=1e-9)


def test_energy_by_hand():
    problem = Glass(name="hand", across=np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]), down=np.array([[0.5, 8.0, 16.0]]))
    bits = np.array([[[True, True, False], [True, False, False]]])
    # across: 1 between the two alike, 2 and 4 (round the ring) between unlike; down: alike, unlike, alike.
    assert problem.evaluate(bits, np.zeros((1, 0)))[0] == -(1.0 - 2.0 - 4.0 + 0.5 - 8.0 + 16.0)


def test_an_nk_landscape_has_the_optimum_of_trying_all():
    for number in range(3):
        problem = neighbour_nk(5, 2, 3, number)
        values = problem.evaluate(every(5, 2), np.zeros((1 << 10, 0)))
        assert problem.optimum == pytest.approx(values.min(), abs=1e-12)
        assert problem.mean_random == pytest.approx(values.mean(), abs=1e-12)


def test_nk_by_hand():
    problem = neighbour_nk(3, 1, 1, 0)
    bits = np.array([[[True], [False], [False]]])
    expected = problem.table[0, 0b10] + problem.table[1, 0b00] + problem.table[2, 0b01]
    assert problem.evaluate(bits, np.zeros((1, 0)))[0] == pytest.approx(-expected / 3)
