"""Metropolis chains: what they accept, how they cool, what they change."""

import math

import numpy as np
import pytest

from optimizers import annealing
from optimizers.annealing import NOWHERE, Annealing, energy_of
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.random_search import RandomSearch
from optimizers.simulated_annealing import SimulatedAnnealing
from optimizers.simulated_annealing_best_of import SimulatedAnnealingBestOf
from optimizers.simulated_annealing_chains import SimulatedAnnealingChains

BITS = SearchSpace(epochs=6, levers=("a", "b", "c"), parameters=())
MIXED = SearchSpace(epochs=12, levers=("a", "b"), parameters=("x", "y"))


def evaluation(candidate: Candidate, value: float, violation: float = 0.0) -> Evaluation:
    return Evaluation(candidate=candidate, value=value, standard_error=0.0, n=1, violation=violation)


def begun(space: SearchSpace = BITS, *, unit: float = 1.0) -> SimulatedAnnealing:
    """A chain at a point of value 0, at a temperature of 1 where the unit is 1."""
    search = SimulatedAnnealing(space, 1000, 1, 5, settings={"start_temperature": 1.0, "end_temperature": 0.1})
    search.tell([evaluation(one, 0.0) for one in search.ask(1)])
    search._differences, search._counted = 64.0 * unit, 64
    return search


def check_accepts_by_metropolis() -> None:
    search = begun()
    chain = search.chains[0]
    for rise in (0.3, 1.0, 2.5):
        share = np.mean([search.accepts(chain, (0.0, rise), chain.bits) for _ in range(4000)])
        assert share == pytest.approx(math.exp(-rise / search.temperature), abs=0.03)
    assert all(search.accepts(chain, (0.0, value), chain.bits) for value in (0.0, -0.1, -9.0) for _ in range(50))


def check_violation_comes_first() -> None:
    search = begun()
    chain = search.chains[0]
    assert not any(search.accepts(chain, (0.1, -1e9), chain.bits) for _ in range(50))
    chain.energy = (0.5, 0.0)
    assert all(search.accepts(chain, (0.1, 1e9), chain.bits) for _ in range(50))


def test_accepts_by_metropolis() -> None:
    check_accepts_by_metropolis()


def test_violation_comes_first() -> None:
    check_violation_comes_first()


def test_mutant_that_only_descends_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Annealing, "accepts", lambda self, chain, energy, bits: energy <= chain.energy)
    with pytest.raises(AssertionError):
        check_accepts_by_metropolis()


def test_mutant_that_ignores_violations_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Annealing, "accepts", lambda self, chain, energy, bits: energy[1] <= chain.energy[1])
    with pytest.raises(AssertionError):
        check_violation_comes_first()


def test_cools_geometrically_in_units_of_the_first_differences() -> None:
    search = begun(unit=7.0)
    found = []
    for told in (0, 500, 1000, 5000):
        search.told = told
        found.append(search.temperature)
    assert found == pytest.approx([7.0, 7.0 * math.sqrt(0.1), 0.7, 0.7])


def test_unit_is_the_mean_of_the_first_differences() -> None:
    search = SimulatedAnnealing(BITS, 1000, 1, 5)
    values = [3.0, 5.0, 4.0, 8.0]
    current, differences = math.inf, []
    for value in values:
        if current < math.inf:
            differences.append(abs(value - current))
        search.tell([evaluation(one, value) for one in search.ask(1)])
        current = search.chains[0].energy[1]
    assert search._differences == pytest.approx(sum(differences))
    assert search._counted == 3


def test_changes_one_bit_or_one_value_a_step() -> None:
    search = begun(MIXED)
    kinds = set()
    for value in range(30):
        one, chain = search.ask(1)[0], search.chains[0]
        kinds.add((int(np.sum(one.bits.reshape(-1) != chain.bits)), int(np.sum(one.values != chain.values))))
        search.tell([evaluation(one, float(value))])
    assert kinds == {(1, 0), (0, 1)}


def test_sweeps_visit_every_dimension_once() -> None:
    search = begun()
    start = search.chains[0].bits.copy()
    search.told = 0
    changed = []
    for _ in range(BITS.bits):
        one = search.ask(1)[0]
        changed.append(int(np.flatnonzero(one.bits.reshape(-1) != start)[0]))
        search.tell([evaluation(one, 1e9)])
    assert sorted(changed) == list(range(BITS.bits))


def test_proposals_of_one_state_are_judged_in_order() -> None:
    search = begun()
    asked = search.ask(4)
    search.tell([evaluation(one, value) for one, value in zip(asked, (-1.0, -3.0, -2.0, 1e9), strict=True)])
    assert search.chains[0].energy in {(0.0, -3.0), (0.0, -2.0)}
    search.chains[0].energy = (0.0, 0.0)
    search.told = 10**9  # as cold as it gets: only improvements
    search.settings["end_temperature"] = search.setting["end_temperature"] = 1e-6
    asked = search.ask(4)
    search.tell([evaluation(one, value) for one, value in zip(asked, (-1.0, -3.0, -2.0, 1e9), strict=True)])
    assert np.array_equal(search.chains[0].bits, asked[1].bits.reshape(-1))


def test_known_points_are_judged_from_memory() -> None:
    """With all neighbours known, the chain goes on to the best without asking for any of them again."""
    space = SearchSpace(epochs=4, levers=("a",), parameters=())
    search = begun(space)
    search.told = 10**9
    search.setting["end_temperature"] = 1e-6
    bits = search.chains[0].bits
    for place in range(space.bits):
        neighbour = bits.copy()
        neighbour[place] ^= True
        search._known[neighbour.tobytes()] = (0.0, -5.0 if place == 2 else 5.0)
    search.ask(1)
    assert search.chains[0].energy == (0.0, -5.0)


def test_failures_move_no_chain() -> None:
    search = begun()
    bits = search.chains[0].bits.copy()
    for value in (math.nan, -math.inf):
        one = search.ask(1)[0]
        assert energy_of(evaluation(one, value)) == NOWHERE
        search.tell([evaluation(one, value)])
    assert np.array_equal(search.chains[0].bits, bits)
    assert search.chains[0].energy == (0.0, 0.0)


def test_a_values_step_follows_its_acceptance() -> None:
    space = SearchSpace(epochs=0, levers=(), parameters=("x", "y"))
    steps = []
    for sign in (-1.0, 1.0):
        search = begun(space)
        for i in range(40):
            search.tell([evaluation(one, sign * 1e6 * (i + 1)) for one in search.ask(1)])
        steps.append(search._steps)
    assert np.all(steps[0] > annealing._FIRST_STEP)
    assert np.all(steps[1] < annealing._FIRST_STEP)


def test_chains_are_independent() -> None:
    search = SimulatedAnnealingChains(BITS, 1000, 4, 5)
    assert len(search.chains) == 4
    search.tell([evaluation(one, float(i)) for i, one in enumerate(search.ask(4))])
    before = [chain.bits.copy() for chain in search.chains]
    asked = search.ask(4)
    search.tell([evaluation(one, -1.0 if i == 2 else 1e9) for i, one in enumerate(asked)])
    for number, chain in enumerate(search.chains):
        wanted = asked[2].bits.reshape(-1) if number == 2 else before[number]
        assert np.array_equal(chain.bits, wanted)


def check_best_of() -> None:
    search = SimulatedAnnealingBestOf(BITS, 1000, 16, 5)
    assert len(search.chains) == 4
    search.tell([evaluation(one, 0.0) for one in search.ask(4)])
    asked = search.ask(16)
    values = np.random.default_rng(3).uniform(-9.0, -1.0, 16)
    search.tell([evaluation(one, value) for one, value in zip(asked, values, strict=True)])
    for number, chain in enumerate(search.chains):
        assert chain.energy[1] == values[number::4].min()


def test_each_chain_judges_the_best_of_its_neighbours() -> None:
    check_best_of()


def test_mutant_that_judges_all_of_them_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedAnnealingBestOf, "judged", lambda self, told: told)
    with pytest.raises(AssertionError):
        check_best_of()


@pytest.mark.parametrize(("method", "width"), [(SimulatedAnnealing, 1), (SimulatedAnnealingBestOf, 16)])
def test_beats_random_on_schedules(schedule_problem, method, width) -> None:
    pairs = np.array(
        [
            [schedule_problem(seed).regret(one, budget=1000, width=width, seed=seed) for one in (method, RandomSearch)]
            for seed in range(4)
        ]
    )
    assert pairs[:, 0].mean() < pairs[:, 1].mean() / 4
