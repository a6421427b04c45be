"""Randomness: the published generator, open intervals, and keys that belong to the scenario."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_core import seeding
from sim_core.generate import paths, recipe
from sim_core.seeding import canonical_json, content_id, normal, philox_4x32, scenario_number, uniform

# Known-answer vectors of Random123 (Salmon and others, SC 2011), file kat_vectors: philox4x32, 10 rounds.
KNOWN = {
    "zeros": ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    "ones": ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    "pi": ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
}


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def check_known_answer(name: str) -> None:
    counter, key, expected = (words(text) for text in KNOWN[name])
    found = philox_4x32([np.array([word], dtype=np.uint64) for word in counter], (key[0], key[1]))
    assert [int(word[0]) for word in found] == expected


@pytest.mark.parametrize("name", KNOWN)
def test_the_generator_gives_the_published_numbers(name: str):
    check_known_answer(name)


def test_a_generator_with_a_wrong_key_schedule_is_found(monkeypatch):
    monkeypatch.setattr(seeding, "_WEYL_0", np.uint64(0x9E3779B8))
    with pytest.raises(AssertionError):
        check_known_answer("zeros")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), scenario=st.integers(0, 2**64 - 1), stream=st.text(max_size=8))
def test_uniforms_lie_in_the_open_interval_and_depend_on_their_key_only(seed: int, scenario: int, stream: str):
    draw = uniform(seed, scenario, stream, 3, 5)
    assert draw.shape == (5, 3) and (draw > 0.0).all() and (draw < 1.0).all()
    assert np.array_equal(uniform(seed, scenario, stream, 7, 9)[:5, :3], draw)
    for other in (
        uniform(seed ^ 1, scenario, stream, 3, 5),
        uniform(seed ^ (1 << 40), scenario, stream, 3, 5),
        uniform(seed, scenario ^ 1, stream, 3, 5),
        uniform(seed, scenario ^ (1 << 40), stream, 3, 5),
        uniform(seed, scenario, stream + "x", 3, 5),
    ):
        assert not np.intersect1d(other, draw).size


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_the_ends_of_the_generator_stay_inside_the_interval(monkeypatch, word: int):
    monkeypatch.setattr(seeding, "philox_4x32", lambda counter, key: [np.full((1, 1, 1), word, dtype=np.uint64)] * 4)
    draw = uniform(1, 2, "ends", 1, 1)
    assert 0.0 < draw[0, 0] < 1.0
    assert np.isfinite(normal(1, 2, "ends", 1, 1)).all()


def check_fifty_two_bits(draw: np.ndarray) -> None:
    """Each is an odd multiple of 2**-53, and its low half is as random as its high one."""
    bits = draw * 2.0**52 - 0.5
    assert np.array_equal(bits, np.floor(bits))
    low = bits.astype(np.int64) & 0xFFFFF
    assert np.unique(low).size > 0.99 * low.size
    assert low.mean() == pytest.approx(2.0**19, rel=0.05)


def test_uniforms_have_fifty_two_bits():
    check_fifty_two_bits(uniform(3, 4, "bits", 50, 40))


def test_uniforms_of_thirty_two_bits_are_found():
    with pytest.raises(AssertionError):
        check_fifty_two_bits((np.floor(uniform(3, 4, "bits", 50, 40) * 2.0**32) + 0.5) * 2.0**-32)


def test_uniforms_and_normals_have_their_moments():
    flat, bell = uniform(3, 4, "moments", 100, 200), normal(3, 4, "moments", 100, 200)
    error = 1.0 / np.sqrt(flat.size)
    assert abs(flat.mean() - 0.5) < 4 * error * np.sqrt(1 / 12) and abs(flat.var() - 1 / 12) < 0.002
    assert abs(bell.mean()) < 4 * error and abs(bell.var() - 1.0) < 4 * error * np.sqrt(2.0)


def check_same_numbers_in_any_row(layout, build) -> None:
    """The same scenario draws the same paths whatever stands before it in its block."""
    alone, block = build(layout, ["eu_tariff/3"]), build(layout, ["eu_baseline/0", "eu_baseline/1", "eu_tariff/3"])
    for name in paths.Paths.__slots__:
        assert np.array_equal(getattr(alone[0].paths, name), getattr(block[2].paths, name)), name


def build_block(layout, ids):
    from sim_core.scenario import build_scenario

    return [build_scenario(layout, one) for one in ids]


def test_a_scenario_draws_the_same_numbers_in_any_row_of_a_block(small):
    check_same_numbers_in_any_row(small, build_block)


def test_a_key_by_block_row_is_found(small, monkeypatch):
    def keyed_by_row(layout, ids):
        found = []
        for row, one in enumerate(ids):
            monkeypatch.setattr(recipe, "scenario_number", lambda family, index, row=row: scenario_number(family, row))
            found += build_block(layout, [one])
        return found

    with pytest.raises(AssertionError):
        check_same_numbers_in_any_row(small, keyed_by_row)


def test_content_ids_do_not_depend_on_order_or_number_type():
    assert canonical_json({"b": (1, 2.5), "a": np.float64(0.1)}) == '{"a":0.1,"b":[1,2.5]}'
    assert content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1})
    assert content_id("a", "b") != content_id("ab")
    for bad in (float("nan"), float("inf"), np.float64("nan")):
        with pytest.raises(ValueError, match="canonical JSON"):
            canonical_json([bad])


def test_scenario_numbers_differ_by_family_and_index():
    numbers = {scenario_number(family, index) for family in ("a", "b", "a/1") for index in range(100)}
    assert len(numbers) == 300 and max(numbers) < 2**64
