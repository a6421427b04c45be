import numpy as np
import pytest
from numpy.typing import NDArray

from optimizers import moves
from optimizers.archive import Points
from optimizers.contract import SearchSpace

N, EPOCHS, LEVERS = 400, 10, 4
SPACE = SearchSpace(epochs=EPOCHS, levers=("a", "b", "c", "d"), parameters=("x", "y", "z"))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def is_window(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row's ones are one run at most."""
    return np.asarray(np.sum(np.diff(mask.astype(int), axis=-1, prepend=0) == 1, axis=-1) <= 1)


def test_windows_are_runs_of_every_length_at_every_place(rng):
    mask = moves.windows(rng, N * 5, EPOCHS)
    assert np.all(is_window(mask))
    assert set(mask.sum(axis=1).tolist()) == set(range(1, EPOCHS + 1))
    assert np.all(mask.any(axis=0))


def test_lever_subsets_are_never_empty(rng):
    size = moves.lever_subsets(rng, N, LEVERS).sum(axis=1)
    assert set(size.tolist()) == {1, 2, 3, 4}


def test_copied_block_is_a_window_times_levers(rng):
    receiver, donor = np.zeros((N, EPOCHS, LEVERS), dtype=np.bool_), np.ones((N, EPOCHS, LEVERS), dtype=np.bool_)
    copied = moves.copy_block(rng, receiver, donor)
    epochs, levers = np.asarray(copied.any(axis=2)), np.asarray(copied.any(axis=1))
    assert np.array_equal(copied, epochs[:, :, None] & levers[:, None, :])
    assert np.all(is_window(epochs))
    assert np.all(copied.any(axis=(1, 2)))


@pytest.mark.parametrize("name", ["set_window", "flip_window", "shift_switch"])
def test_run_moves_change_a_run_of_one_lever_at_most(rng, name):
    bits = rng.random((N, EPOCHS, LEVERS)) < 0.5
    before = bits.copy()
    moved = getattr(moves, name)(rng, bits)
    assert np.array_equal(bits, before)
    changed = moved ^ bits
    assert np.all(changed.any(axis=1).sum(axis=1) <= 1)
    if name == "flip_window":
        assert np.all(is_window(changed.any(axis=2)) & changed.any(axis=(1, 2)))
    assert np.mean(changed.any(axis=(1, 2))) > 0.6


def test_shift_moves_the_one_switch_point_and_adds_none(rng):
    bits = np.tile(np.arange(EPOCHS)[None, :, None] >= 5, (N, 1, LEVERS))
    moved = moves.shift_switch(rng, bits)
    assert np.all(np.diff(moved, axis=1).sum(axis=1) <= 1)
    point = np.sum(~moved, axis=1)
    assert {4, 5, 6} <= set(point.ravel().tolist())


def test_swap_exchanges_two_levers_and_keeps_the_count_of_each_epoch(rng):
    bits = rng.random((N, EPOCHS, LEVERS)) < 0.5
    moved = moves.swap_window(rng, bits)
    assert np.array_equal(moved.sum(axis=2), bits.sum(axis=2))
    assert np.all((moved != bits).any(axis=1).sum(axis=1) <= 2)
    assert np.mean((moved != bits).any(axis=(1, 2))) > 0.5


def test_flips_change_one_bit_at_least(rng):
    bits = rng.random((N, EPOCHS, LEVERS)) < 0.5
    count = (moves.flip_bits(rng, bits, 0.5) != bits).sum(axis=(1, 2))
    assert count.min() == 1
    assert 1.2 < count.mean() < 1.8


def test_likely_flips_are_where_the_model_disagrees(rng):
    probability = np.full((EPOCHS, LEVERS), 0.0)
    probability[2, 1] = 1.0
    bits = np.zeros((N, EPOCHS, LEVERS), dtype=np.bool_)
    flipped = moves.flip_likely(rng, bits, probability, 0.01)
    assert np.all(flipped.sum(axis=(1, 2)) == 1)
    assert 0.6 < flipped[:, 2, 1].mean() < 0.85  # 1.01 of a total weight of 1.4
    assert flipped.any(axis=0).sum() > 10


def test_run_bits_have_one_window_per_lever(rng):
    bits = moves.run_bits(rng, SPACE, N)
    assert np.all(np.diff(bits, axis=1).sum(axis=1) <= 2)


def test_stratified_has_one_value_per_stratum(rng):
    values = moves.stratified(rng, 20, 3)
    assert np.array_equal(np.sort(np.floor(values * 20), axis=0), np.tile(np.arange(20)[:, None], (1, 3)))


def test_reflect_folds_at_both_ends():
    assert np.allclose(moves.reflect(np.array([-0.2, 0.0, 0.4, 1.0, 1.3, 2.5])), [0.2, 0.0, 0.4, 1.0, 0.7, 0.5])


def test_differential_moves_at_least_one_value_and_stays_inside(rng):
    values, first, second = (rng.random((N, 3)) for _ in range(3))
    moved = moves.differential(rng, values, first, second, 0.0)
    assert np.all((moved != values).sum(axis=1) == 1)
    assert np.all((moved >= 0.0) & (moved <= 1.0))


@pytest.mark.parametrize(("levers", "parameters"), [(LEVERS, 0), (0, 3)])
def test_the_only_part_of_a_space_always_changes(rng, levers, parameters):
    parent = Points(bits=np.zeros((N, EPOCHS, levers), dtype=np.bool_), values=np.zeros((N, parameters)))
    changed = Points(bits=~parent.bits, values=parent.values + 1.0)
    result = moves.either_or_both(rng, parent, changed, 0.6, 0.2)
    assert np.all(result.bits)
    assert np.all(result.values == 1.0)


def test_either_or_both_in_the_given_shares(rng):
    parent = Points(bits=np.zeros((4000, 1, 1), dtype=np.bool_), values=np.zeros((4000, 1)))
    result = moves.either_or_both(rng, parent, Points(bits=~parent.bits, values=parent.values + 1.0), 0.6, 0.25)
    bits, values = result.bits[:, 0, 0], result.values[:, 0] == 1.0
    assert np.all(bits | values)
    assert abs(np.mean(bits & ~values) - 0.6) < 0.04
    assert abs(np.mean(values & ~bits) - 0.25) < 0.04


def test_mixture_makes_one_move_a_row_in_the_given_shares(rng):
    bits = np.zeros((4000, 1, 2), dtype=np.bool_)

    def first(_, rows):
        return rows ^ np.array([True, False])

    def second(_, rows):
        return rows ^ np.array([False, True])

    moved = moves.mixture(rng, bits, (first, second), (0.8, 0.2))
    assert np.all(moved.sum(axis=(1, 2)) == 1)
    assert abs(moved[:, 0, 0].mean() - 0.8) < 0.04
