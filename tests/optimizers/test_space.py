"""A space's codes: encode, decode, settle, violation and the domains of its parameters."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.contract import Constraint, Domain, Point, SearchSpace
from optimizers.space import UNIT

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    kind = draw(st.sampled_from(["unit", "real", "integer", "log", "log integer"]))
    low, span = draw(st.integers(-50, 50)), draw(st.integers(0, 60))
    if kind == "unit":
        return UNIT
    if "log" in kind:
        low = abs(low) + 1
    return Domain(low=low, high=low + span, integer="integer" in kind, log="log" in kind)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    levers = draw(st.integers(0, 4))
    states = tuple(draw(st.lists(st.integers(2, 9), min_size=levers, max_size=levers)))
    held = tuple(draw(st.lists(domains(), max_size=4)))
    return SearchSpace(
        epochs=draw(st.integers(0, 5)),
        levers=tuple(f"lever {i}" for i in range(levers)),
        states=states if draw(st.booleans()) else (),
        parameters=tuple(f"parameter {i}" for i in range(len(held))),
        domains=held,
    )


def codes(space: SearchSpace, seed: int, n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((n, space.epochs, space.columns)) < 0.5, rng.random((n, len(space.parameters)))


@UNHURRIED
@given(spaces(), st.integers(0, 2**32))
def test_settling_keeps_the_point_and_settles_once(space: SearchSpace, seed: int) -> None:
    bits, values = codes(space, seed)
    settled_bits, settled_values = space.settle(bits, values)
    again = space.settle(settled_bits, settled_values)
    assert np.array_equal(again[0], settled_bits)
    assert np.array_equal(again[1], settled_values)
    assert np.array_equal(space.states_of(bits), space.states_of(settled_bits))
    for column, domain in enumerate(space.domains):
        if domain.integer:
            before, after = domain.numbers(values[:, column]), domain.numbers(settled_values[:, column])
            assert np.array_equal(before, after)


@UNHURRIED
@given(spaces(), st.integers(0, 2**32))
def test_a_settled_candidate_survives_decode_and_encode(space: SearchSpace, seed: int) -> None:
    for bits, values in zip(*space.settle(*codes(space, seed)), strict=True):
        numbers = {
            name: float(domain.numbers(np.array(value)))
            for name, domain, value in zip(space.parameters, space.domains, values, strict=True)
        }
        told = space.encode(Point(states=space.states_of(bits[None])[0], parameters=numbers))
        assert np.array_equal(told.bits, bits)
        free = [column for column, one in enumerate(space.domains) if one.low < one.high]
        assert told.values[free] == pytest.approx(values[free], abs=1e-9)
        back = space.decode(told)
        assert np.array_equal(back.states, space.states_of(bits[None])[0])
        assert dict(back.parameters) == pytest.approx(numbers, rel=1e-9, abs=1e-9)


@UNHURRIED
@given(spaces(), st.integers(0, 2**32))
def test_states_and_numbers_lie_in_their_ranges(space: SearchSpace, seed: int) -> None:
    bits, values = codes(space, seed)
    states = space.states_of(bits)
    for lever, count in enumerate(space.states or (2,) * len(space.levers)):
        assert np.all((states[:, :, lever] >= 0) & (states[:, :, lever] < count))
    assert np.array_equal(space.states_of(space.bits_of(states)), states)
    for column, domain in enumerate(space.domains):
        numbers = domain.numbers(values[:, column])
        assert np.all((numbers >= domain.low) & (numbers <= domain.high))


@UNHURRIED
@given(domains())
def test_ends_of_a_domain_are_its_ends(domain: Domain) -> None:
    assert domain.numbers(np.array([0.0, 1.0])) == pytest.approx([domain.low, domain.high])


def test_an_integer_has_an_equal_share_for_each_number() -> None:
    numbers = Domain(low=3, high=7, integer=True).numbers((np.arange(10_000) + 0.5) / 10_000)
    assert np.unique(numbers, return_counts=True)[1].tolist() == [2000] * 5


def test_a_logarithm_is_even_in_decades() -> None:
    domain = Domain(low=0.01, high=100.0, log=True)
    assert domain.numbers(np.array([0.25, 0.5, 0.75])) == pytest.approx([0.1, 1.0, 10.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 1.0, "high": 0.0}, "the lower one first"),
        ({"low": 0.0, "high": np.inf}, "finite ends"),
        ({"low": 0.5, "high": 2.0, "integer": True}, "whole numbers"),
        ({"low": 0.0, "high": 2.0, "log": True}, "above 0"),
    ],
)
def test_domains_that_make_no_sense_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Domain(**arguments)


LIMITED = SearchSpace(
    epochs=2,
    levers=("mode", "on"),
    states=(3, 2),
    parameters=("lots",),
    domains=(Domain(low=0, high=10, integer=True),),
    constraints=(
        Constraint(name="a period", levers=(("mode", 1.0), ("on", 2.0)), at_most=2, each_epoch=True),
        Constraint(name="lots for modes", levers=(("mode", -3.0),), parameters=(("lots", 1.0),), at_most=1),
    ),
)


def violation(space: SearchSpace, states: list[list[int]], lots: float) -> float:
    one = space.encode(Point(states=np.array(states), parameters={"lots": lots}))
    return float(space.violation(one.bits[None], one.values[None])[0])


def test_violation_sums_what_exceeds_each_limit() -> None:
    assert violation(LIMITED, [[2, 0], [0, 1]], 7) == 0.0
    assert violation(LIMITED, [[2, 1], [0, 1]], 7) == 2.0  # 4 in the first period
    assert violation(LIMITED, [[2, 1], [1, 1]], 7) == 3.0  # and 3 in the second
    assert violation(LIMITED, [[1, 0], [0, 0]], 9) == 5.0  # 9 - 3 > 1


def test_mutant_that_counts_in_places_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Domain, "numbers", lambda self, places: places)
    with pytest.raises(AssertionError):
        test_violation_sums_what_exceeds_each_limit()


def test_digest_tells_spaces_apart() -> None:
    plain = SearchSpace(epochs=2, levers=("a",), parameters=("x",))
    others = [
        SearchSpace(epochs=2, levers=("a",), parameters=("x",), states=(3,)),
        SearchSpace(epochs=2, levers=("a",), parameters=("x",), domains=(Domain(high=2.0),)),
        SearchSpace(epochs=2, levers=("a",), parameters=("x",), start=(0.5,)),
        SearchSpace(epochs=2, levers=("a",), parameters=("x",), constraints=(Constraint(name="c", at_most=1.0),)),
    ]
    assert len({one.digest for one in [plain, *others]}) == 5
    assert SearchSpace(epochs=2, levers=("a",), parameters=("x",)).digest == plain.digest
