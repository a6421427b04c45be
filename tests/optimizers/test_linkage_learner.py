"""The linkage tree and the pyramid: which bits belong together, and what that is good for."""

import numpy as np
import pytest

from optimizers import linkage_learner
from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace
from optimizers.linkage_learner import Climber, LinkageLearner
from optimizers.linkage_tree import distances, linkage_tree
from optimizers.umda import Umda

BLOCK, BLOCKS = 5, 6


def trap(candidate: Candidate, mask: np.ndarray) -> float:
    """Concatenated traps of five bits, scattered over the schedule: all on is best, and all else leads to none on."""
    bits = (candidate.bits.reshape(-1) ^ mask).reshape(BLOCK, BLOCKS)
    on = bits.sum(axis=0)
    return float(np.sum(np.where(on == BLOCK, 0, on + 1)))


def best_of_trap(method: type[Optimizer], seed: int, budget: int, width: int) -> float:
    space = SearchSpace(epochs=BLOCK, levers=tuple("abcdef"), parameters=())
    mask = np.random.default_rng(seed).random(space.bits) < 0.5
    search = method(space, budget, width, seed)
    for _ in range(budget // width):
        search.tell(
            [Evaluation(candidate=one, value=trap(one, mask), standard_error=0.0, n=1) for one in search.ask(width)]
        )
    return trap(search.recommend(), mask)


def check_tree() -> None:
    rng = np.random.default_rng(1)
    source = rng.random((200, 3)) < 0.5
    members = source[:, [0, 1, 2, 0, 1, 2, 0]]
    members[:, 6] ^= rng.random(200) < 0.1
    groups = [sorted(group.tolist()) for group in linkage_tree(members)]
    assert [1, 4] in groups
    assert [2, 5] in groups
    assert [0, 3] in groups
    assert [0, 3, 6] in groups
    assert [6] in groups
    assert not {1, 2, 4, 5} & {bit for group in groups if len(group) == 1 for bit in group}
    assert [len(group) for group in groups] == sorted(len(group) for group in groups)
    assert max(len(group) for group in groups) < 7


def test_bits_that_agree_are_grouped() -> None:
    check_tree()


def test_mutant_that_groups_by_number_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_number(members: np.ndarray) -> np.ndarray:
        place = np.arange(members.shape[1], dtype=float)
        return np.abs(place[:, None] - place[None])

    monkeypatch.setattr("optimizers.linkage_tree.distances", by_number)
    with pytest.raises(AssertionError):
        check_tree()


def test_distance_is_that_of_shared_information() -> None:
    members = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], dtype=np.bool_)
    found = distances(members)
    assert found[0, 1] == pytest.approx(0.0, abs=1e-12)  # equal
    assert found[0, 2] == pytest.approx(1.0)  # independent
    assert found[0, 3] == pytest.approx(1.0)  # a constant tells nothing
    assert np.allclose(found, found.T)


@pytest.mark.parametrize("members", [np.zeros((4, 0), dtype=np.bool_), np.ones((4, 1), dtype=np.bool_)])
def test_trees_of_few_bits(members: np.ndarray) -> None:
    assert [group.tolist() for group in linkage_tree(members)] == [[bit] for bit in range(members.shape[1])]


def check_solves_traps() -> None:
    for seed in range(3):
        assert best_of_trap(LinkageLearner, seed, 6400, 64) == 0.0


def test_solves_concatenated_traps_that_marginals_do_not() -> None:
    check_solves_traps()
    assert all(best_of_trap(Umda, seed, 6400, 64) > 0.0 for seed in range(3))


def test_mutant_without_linkage_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        linkage_learner, "linkage_tree", lambda members: [np.array([bit]) for bit in range(members.shape[1])]
    )
    with pytest.raises(AssertionError):
        check_solves_traps()


def test_a_climb_ends_where_no_flip_helps() -> None:
    space = SearchSpace(epochs=4, levers=("a", "b"), parameters=())
    search = LinkageLearner(space, 400, 1, 2)
    while not search.levels:
        asked = search.ask(1)
        search.tell(
            [
                Evaluation(
                    candidate=one, value=float(np.sum(one.bits[:2]) - np.sum(one.bits[2:])), standard_error=0.0, n=1
                )
                for one in asked
            ]
        )
    assert search.levels[0].bits.tolist() == [[False] * 4 + [True] * 4]


def test_improvements_after_the_first_are_tried_again() -> None:
    space = SearchSpace(epochs=8, levers=("a", "b"), parameters=())
    search = LinkageLearner(space, 400, 4, 2)
    search.tell([Evaluation(candidate=one, value=9.0, standard_error=0.0, n=1) for one in search.ask(1)])
    climber: Climber = search.climbers[0]
    asked = search.ask(3)
    left = len(climber.trials)
    values = (10.0, 8.0, 7.0)
    search.tell(
        [Evaluation(candidate=one, value=v, standard_error=0.0, n=1) for one, v in zip(asked, values, strict=True)]
    )
    assert climber.point is not None
    assert np.array_equal(climber.point[0], asked[1].bits.reshape(-1))
    assert climber.energy == (0.0, 8.0)
    assert len(climber.trials) == left + 1  # the third helped too, but from a state that is gone
    again = search.ask(1)[0]
    assert int(np.sum(again.bits != asked[1].bits)) == 1
    assert int(np.sum(again.bits != asked[2].bits)) == 1  # the same flip, of the new state
