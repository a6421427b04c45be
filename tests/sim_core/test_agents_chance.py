"""Chance: keyed numbers, and whole numbers without bias."""

import numpy as np
import pytest

from sim_core.agents.chance import Chance, choose, spread, whole, whole_parts

CHANCE = Chance(seed=7, scenario=11, replication=0)


def test_numbers_are_keyed_not_drawn_in_turn():
    first = CHANCE.of("sales", 3).random(4)
    CHANCE.of("returns", 3).random(1000)
    assert np.array_equal(CHANCE.of("sales", 3).random(4), first)


@pytest.mark.parametrize(
    ("other", "purpose", "t"),
    [
        (CHANCE, "sales", 4),
        (CHANCE, "returns", 3),
        (CHANCE, "sales", -1),
        (Chance(seed=8, scenario=11, replication=0), "sales", 3),
        (Chance(seed=7, scenario=12, replication=0), "sales", 3),
        (Chance(seed=7, scenario=11, replication=1), "sales", 3),
    ],
)
def test_every_part_of_the_key_matters(other: Chance, purpose: str, t: int):
    assert not np.isin(other.of(purpose, t).random(1000), CHANCE.of("sales", 3).random(1000)).any()


def test_streams_of_neighbouring_periods_do_not_overlap():
    assert not np.isin(CHANCE.of("sales", 4).random(50_000), CHANCE.of("sales", 3).random(50_000)).any()


def test_rounding_is_unbiased_and_within_one():
    draw = CHANCE.of("rounding", 0)
    found = np.array([whole(2.3, draw) for _ in range(20_000)])
    assert set(found.tolist()) == {2, 3}
    assert found.mean() == pytest.approx(2.3, abs=0.01)
    assert whole(5.0, draw) == 5


def test_parts_are_unbiased_and_add_up():
    draw = CHANCE.of("parts", 0)
    amounts = np.array([0.25, 3.5, 0.0, 1.75, 0.4])
    found = np.stack([whole_parts(amounts, draw) for _ in range(20_000)])
    assert found.mean(axis=0) == pytest.approx(amounts, abs=0.015)
    assert (np.abs(found - amounts) < 1.0).all()
    assert set(found.sum(axis=1).tolist()) == {5, 6}
    assert (found[:, 2] == 0).all()


def test_whole_amounts_stay_what_they_are():
    amounts = np.array([3.0, 0.0, 9.0])
    assert whole_parts(amounts, CHANCE.of("parts", 1)).tolist() == [3, 0, 9]


def test_units_choose_and_are_chosen_evenly():
    draw = CHANCE.of("choice", 0)
    assert spread(10, np.array([1.0]), draw).tolist() == [10]
    assert spread(10_000, np.array([0.7, 0.3]), draw)[0] == pytest.approx(7000, abs=150)
    picked = np.sum([choose(3, 10, draw) for _ in range(10_000)], axis=0)
    assert picked == pytest.approx(np.full(10, 3000), abs=200)
    assert choose(20, 4, draw).all()
