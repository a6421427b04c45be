"""QIEA, UMDA, the fast GA and the literal sketch: their models of bits, by hand."""

import math

import numpy as np
import pytest

from optimizers import fast_ga, qiea
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.fast_ga import FastGa, power_law_changes
from optimizers.qiea import Qiea
from optimizers.random_search import RandomSearch
from optimizers.seed_literal import SeedLiteral
from optimizers.umda import Umda

SPACE = SearchSpace(epochs=2, levers=("a", "b"), parameters=("x",))


def candidate(*bits: int, x: float = 0.5) -> Candidate:
    return Candidate(bits=np.array(bits, dtype=np.bool_).reshape(2, 2), values=np.array([x]))


def evaluation(one: Candidate, value: float, violation: float = 0.0) -> Evaluation:
    return Evaluation(candidate=one, value=value, standard_error=0.0, n=1, violation=violation)


@pytest.mark.parametrize(("method", "share"), [(Qiea, 0.5), (Umda, 0.5), (FastGa, 0.5)])
def test_beats_random_on_schedules(schedule_problem, method, share) -> None:
    pairs = np.array(
        [
            [schedule_problem(seed).regret(one, budget=1500, width=16, seed=seed) for one in (method, RandomSearch)]
            for seed in range(4)
        ]
    )
    assert np.all(pairs[:, 0] < pairs[:, 1])
    assert pairs[:, 0].mean() < share * pairs[:, 1].mean()


# ---------------------------------------------------------------------------------------------------- QIEA


def check_rotation_table() -> None:
    measured, attractor = np.array([0, 0, 1, 1], dtype=np.bool_), np.array([0, 1, 0, 1], dtype=np.bool_)
    assert qiea.rotation(measured, attractor, 0.03).tolist() == [0.0, 0.03, -0.03, 0.0]


def test_rotation_table() -> None:
    check_rotation_table()


def test_mutant_that_turns_away_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = qiea.rotation
    monkeypatch.setattr(qiea, "rotation", lambda measured, attractor, step: rotation(attractor, measured, step))
    with pytest.raises(AssertionError):
        check_rotation_table()


def test_a_worse_measurement_turns_and_a_better_one_attracts() -> None:
    search = Qiea(SPACE, 100, 2, 1, settings={"individuals": 2.0, "rotation": 0.01, "migration": 1000.0})
    search.tell([evaluation(candidate(1, 1, 0, 0), 5.0)])
    assert search.attractor_bits[0].reshape(-1).tolist() == [True, True, False, False]
    assert np.all(search.angles == np.pi / 4)
    search.tell([evaluation(candidate(0, 1, 1, 0), 7.0)])
    turned = (search.angles[0].reshape(-1) - np.pi / 4) / np.pi
    assert turned == pytest.approx([0.01, 0.0, -0.01, 0.0])
    assert search.attractor_energy[0] == (0.0, 5.0)


def test_amplitudes_keep_their_margin() -> None:
    search = Qiea(SPACE, 100, 2, 1, settings={"individuals": 1.0, "rotation": 0.5, "migration": 1000.0})
    search.tell([evaluation(candidate(1, 1, 0, 0), 5.0), evaluation(candidate(0, 0, 1, 1), 7.0)])
    assert np.sin(search.angles[0].reshape(-1)) ** 2 == pytest.approx([0.99, 0.99, 0.01, 0.01])


def test_attractors_migrate_in_groups_and_then_to_all() -> None:
    search = Qiea(SPACE, 100, 10, 1, settings={"individuals": 10.0, "migration": 2.0})
    asked = search.ask(10)
    search.tell([evaluation(one, float(10 - i)) for i, one in enumerate(asked)])
    assert [energy[1] for energy in search.attractor_energy] == [6.0] * 5 + [1.0] * 5
    search.tell([evaluation(one, 50.0) for one in search.ask(10)])
    assert [energy[1] for energy in search.attractor_energy] == [1.0] * 10


# ---------------------------------------------------------------------------------------------------- UMDA


def umda_population(search: Umda) -> None:
    points = [candidate(1, 1, 0, 0, x=0.2), candidate(1, 0, 0, 0, x=0.4), candidate(0, 0, 1, 1, x=0.9)]
    search.tell([evaluation(points[0], 1.0), evaluation(points[2], -9.0, violation=1.0)])
    assert np.all(search.probability == 0.5)  # the population isn't complete
    search.tell([evaluation(points[1], 2.0), evaluation(candidate(1, 1, 1, 1), math.nan)])


def check_marginals() -> None:
    search = Umda(SPACE, 100, 2, 1, settings={"population": 4.0, "selected": 0.67})
    umda_population(search)
    assert search.probability.reshape(-1).tolist() == [0.75, 0.5, 0.25, 0.25]  # shares 1, 1/2, 0, 0 within 1/4
    assert search.centre == pytest.approx([0.3])
    assert search.spread == pytest.approx([0.1])


def test_marginals_are_those_of_the_best() -> None:
    check_marginals()


def test_mutant_that_selects_by_value_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Umda.learn

    def lawless(self: Umda, evaluations: list[Evaluation], origins: np.ndarray) -> None:
        learn(self, [evaluation(one.candidate, one.value) for one in evaluations], origins)

    monkeypatch.setattr(Umda, "learn", lawless)
    with pytest.raises(AssertionError):
        check_marginals()


def test_population_follows_from_budget_and_width() -> None:
    assert [Umda(SPACE, budget, 16, 1).population for budget in (100, 8000, 80000)] == [16, 100, 1000]


# ---------------------------------------------------------------------------------------------------- fast GA


def test_number_of_changes_follows_the_power_law() -> None:
    changed = power_law_changes(np.random.default_rng(1), 40_000, 100, 1.5).sum(axis=1)
    alpha = np.arange(1, 51)
    chance = alpha**-1.5 / np.sum(alpha**-1.5)
    none = np.sum(chance * (1.0 - alpha / 100.0) ** 100)
    assert changed.min() == 1
    assert changed.mean() == pytest.approx(np.sum(chance * alpha) + none, rel=0.02)
    assert np.mean(changed > 20) == pytest.approx(np.sum(chance[alpha > 20]), abs=0.02)


def check_newest_of_equals_is_the_parent() -> None:
    search = FastGa(SPACE, 100, 2, 1)
    search.tell([evaluation(candidate(1, 1, 0, 0), 1.0), evaluation(candidate(0, 0, 0, 1), 4.0)])
    search.tell([evaluation(candidate(1, 0, 0, 0), 1.0), evaluation(candidate(0, 1, 1, 1), 2.0)])
    assert search._parent is not None
    assert search._parent.bits.reshape(-1).tolist() == [True, False, False, False]


def test_an_equal_child_takes_its_parents_place() -> None:
    check_newest_of_equals_is_the_parent()


def test_mutant_that_keeps_the_oldest_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = fast_ga.stack
    first: list[Candidate] = []

    def oldest(space: SearchSpace, candidates: list[Candidate]):
        first.extend(candidates)
        return stack(space, first[:1])

    monkeypatch.setattr(fast_ga, "stack", oldest)
    with pytest.raises(AssertionError):
        check_newest_of_equals_is_the_parent()


# ---------------------------------------------------------------------------------------------------- the sketch


def test_the_sketch_begins_with_everything_on() -> None:
    for seed in range(3):
        search = SeedLiteral(SPACE, 1000, 10, seed)
        assert np.all(search.population == 1.0)
        first = search.ask(1)[0]
        assert first.bits.all()
        assert first.values.tolist() == [1.0]


def test_the_sketch_cools_a_temperature_that_nothing_reads() -> None:
    traces = []
    for temperature in (1.0, 1e-9):
        search = SeedLiteral(SearchSpace(epochs=8, levers=("a", "b"), parameters=()), 1000, 50, 3)
        search.temperature = temperature
        keys = []
        for _ in range(12):
            asked = search.ask(50)
            search.tell([evaluation(one, 1.0) for one in asked])
            keys += [one.key for one in asked]
        assert search.temperature < temperature
        traces.append(keys)
    assert traces[0] == traces[1]


def test_the_sketch_answers_from_another_generation_than_its_fitness() -> None:
    search = SeedLiteral(SPACE, 1000, 10, 1)
    best, drawn = candidate(0, 1, 0, 1), search.population.copy()
    drawn[7] = [0.0, 1.0, 0.0, 1.0, 0.5]
    search.population = drawn
    search.tell([evaluation(best, -5.0), evaluation(candidate(1, 1, 1, 1, x=1.0), 3.0)])
    search.rng = np.random.default_rng(1)
    search._next_generation()
    assert int(np.argmax(search._fitness)) == 7
    search.population = np.ones_like(drawn)
    assert search.answer().bits.all()  # whatever now stands in its place


def test_the_sketch_is_worse_than_random(schedule_problem) -> None:
    pairs = np.array(
        [
            [
                schedule_problem(seed, epochs=24, levers=8, parameters=0).regret(one, budget=1000, width=50, seed=seed)
                for one in (SeedLiteral, RandomSearch)
            ]
            for seed in range(6)
        ]
    )
    assert pairs[:, 0].mean() > pairs[:, 1].mean()
