"""What every search method owes in spaces of levers with many states, integers, logarithms and constraints."""

import numpy as np
import pytest

import optimizers
from optimizers import generational
from optimizers.archive import Points
from optimizers.contract import Candidate, Constraint, Domain, Optimizer, SearchSpace
from tests.contracts.optimizer_cases import METHODS, MIXED, generation, keys

STATES = (3, 2, 5)
CODED = SearchSpace(
    epochs=4,
    levers=("route", "on", "mode"),
    states=STATES,
    parameters=("lots", "rate", "share"),
    domains=(Domain(low=1, high=7, integer=True), Domain(low=1e-3, high=1e3, log=True), Domain()),
)
INTEGERS = SearchSpace(
    epochs=0,
    levers=(),
    parameters=("lots", "size"),
    domains=(Domain(low=-2, high=2, integer=True), Domain(low=1, high=1000, integer=True, log=True)),
)
ONE_CATEGORY = SearchSpace(epochs=1, levers=("mode",), states=(3,), parameters=())
LIMITED = SearchSpace(
    epochs=6,
    levers=("a", "b", "c"),
    parameters=("x", "y"),
    constraints=(
        Constraint(
            name="at most two a period", levers=(("a", 1.0), ("b", 1.0), ("c", 1.0)), at_most=2, each_epoch=True
        ),
        Constraint(name="a at least three times", levers=(("a", -1.0),), at_most=-3),
        Constraint(name="x + y", parameters=(("x", 1.0), ("y", 1.0)), at_most=0.8),
    ),
)


def asked_of(name: str, space: SearchSpace, *, rounds: int = 15, seed: int = 1) -> tuple[Optimizer, list[Candidate]]:
    search = optimizers.get(name)(space, 200, 10, seed)
    return search, [one for _ in range(rounds) for one in generation(search, 10)]


def check_settled(name: str, space: SearchSpace) -> None:
    """Equal points have equal keys: what is asked is the one code of its point that the space settles on."""
    _, asked = asked_of(name, space, rounds=5 if space is CODED else 3)
    for one in asked:
        bits, values = space.settle(one.bits[None], one.values[None])
        assert np.array_equal(bits[0], one.bits)
        assert np.array_equal(values[0], one.values)
        point = space.decode(one)
        for states, track in zip(space.states, point.states.T, strict=True):
            assert set(track.tolist()) <= set(range(states))
        for domain, number in zip(space.domains, point.parameters.values(), strict=True):
            assert domain.low <= number <= domain.high
            assert not domain.integer or number == round(number)


def check_constraints_kept(name: str) -> None:
    search, asked = asked_of(name, LIMITED)
    for one in asked:
        states = one.bits.astype(int)
        assert np.all(states.sum(axis=1) <= 2)
        assert states[:, 0].sum() >= 3
        assert one.values.sum() <= 0.8 + 1e-9
    assert len(set(keys(asked))) == len(asked)
    assert search.recommend().key in keys(asked)


@pytest.mark.parametrize("name", METHODS)
class TestOptimizerSpaces:
    def test_candidates_are_settled(self, name: str) -> None:
        check_settled(name, CODED)

    def test_candidates_of_integers_alone_are_settled(self, name: str) -> None:
        check_settled(name, INTEGERS)

    def test_a_finite_space_of_integers_is_asked_without_repeats(self, name: str) -> None:
        _, asked = asked_of(name, INTEGERS)
        assert len(set(keys(asked))) == 150

    def test_every_state_of_a_lever_is_reached(self, name: str) -> None:
        search = optimizers.get(name)(ONE_CATEGORY, 30, 3, 1)
        asked = [int(ONE_CATEGORY.decode(one).states[0, 0]) for _ in range(3) for one in generation(search, 1)]
        assert sorted(asked) == [0, 1, 2]

    def test_constraints_are_kept(self, name: str) -> None:
        check_constraints_kept(name)

    def test_a_constraint_that_nobody_can_keep_stops_nothing(self, name: str) -> None:
        impossible = Constraint(name="never", levers=(("a", 1.0),), at_most=-1)
        space = SearchSpace(epochs=3, levers=("a", "b"), parameters=("x",), constraints=(impossible,))
        search, asked = asked_of(name, space, rounds=4)
        assert len(asked) == 40
        assert search.recommend().bits[:, 0].sum() == 0  # the least violation

    def test_more_than_the_contract_allows_is_refused(self, name: str) -> None:
        search = optimizers.get(name)(MIXED, 800, 10, 1)
        for n in (257, -1):
            with pytest.raises(ValueError, match="one ask gives 0 to 256"):
                search.ask(n)
        assert len(generation(search, 10)) == 10


@pytest.mark.parametrize("name", METHODS)
def test_mutant_that_does_not_settle_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchSpace, "coded", property(lambda self: False))
    if name == "optuna":
        pytest.skip("spells states itself, so that its bits are settled already")
    with pytest.raises(AssertionError):
        check_settled(name, CODED)


@pytest.mark.parametrize("name", METHODS)
def test_mutant_without_repair_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unrepaired(rng: np.random.Generator, space: SearchSpace, points: Points) -> Points:
        return points

    monkeypatch.setattr(generational, "repaired", unrepaired)
    with pytest.raises(AssertionError):
        check_constraints_kept(name)


def test_mutant_that_answers_any_number_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generational, "MOST_ASKED", 300)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        TestOptimizerSpaces().test_more_than_the_contract_allows_is_refused("random")
