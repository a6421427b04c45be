"""Replicas in a ring: what holds them together, and that nothing else does."""

import math

import numpy as np
import pytest

from optimizers.annealing import Chain
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.path_integral_annealing import PathIntegralAnnealing, coupling
from optimizers.simulated_annealing_chains import SimulatedAnnealingChains

SPACE = SearchSpace(epochs=5, levers=("a", "b"), parameters=("x",))


def value(candidate: Candidate) -> float:
    return float(candidate.bits.sum()) + float((candidate.values**2).sum())


def trace(search: SimulatedAnnealingChains | PathIntegralAnnealing, rounds: int = 50) -> list[str]:
    keys = []
    for _ in range(rounds):
        asked = search.ask(4)
        search.tell([Evaluation(candidate=one, value=value(one), standard_error=0.0, n=1) for one in asked])
        keys += [one.key for one in asked]
    return keys


def check_ring() -> None:
    """Flipping a bit costs 4 J where both neighbours agree with it, and wins 4 J where neither does."""
    search = PathIntegralAnnealing(SPACE, 400, 4, 1, settings={"replicas": 4.0})
    trace(search, 3)
    search._differences, search._counted = 1.0, 1
    for chain in search.chains:
        chain.bits[:] = False
    search.chains[1].bits[:] = [False, True, True, *[False] * 7]
    search.chains[3].bits[:] = [False, False, True, *[False] * 7]
    unit = 4.0 * search.coupling * search.temperature
    assert unit > 0.0
    for place, rise in ((0, unit), (1, 0.0), (2, -unit)):
        bits = search.chains[0].bits.copy()
        bits[place] = True
        assert search.pull(search.chains[0], bits) == pytest.approx(rise)


def test_coupling_is_the_trotter_formula() -> None:
    for field in (0.01, 0.5, 2.0):
        assert coupling(field) == pytest.approx(-0.5 * math.log(math.tanh(field)))
    assert coupling(50.0) == pytest.approx(0.0, abs=1e-12)
    assert coupling(0.0) == coupling(1e-3) < 4.0


def test_field_falls_and_coupling_grows_over_the_budget() -> None:
    search = PathIntegralAnnealing(SPACE, 400, 4, 1, settings={"field": 2.0})
    found = []
    for told in (0, 100, 200, 399, 400, 800):
        search.told = told
        found.append(search.coupling)
    assert found[0] == pytest.approx(coupling(2.0))
    assert found[2] == pytest.approx(coupling(1.0))
    assert found == sorted(found)


def test_neighbours_in_the_ring_attract() -> None:
    check_ring()


def test_mutant_with_an_open_chain_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PathIntegralAnnealing.pull

    def cut(self: PathIntegralAnnealing, chain: Chain, bits: np.ndarray) -> float:
        return 0.5 * ring(self, chain, bits)

    monkeypatch.setattr(PathIntegralAnnealing, "pull", cut)
    with pytest.raises(AssertionError):
        check_ring()


def test_without_attraction_replicas_are_independent_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"start_temperature": 1.0, "end_temperature": 1.0}
    twin = type("PathIntegralAnnealing", (SimulatedAnnealingChains,), {})  # its own stream hangs on the class's name
    independent = trace(twin(SPACE, 200, 4, 7, settings=settings))
    held = trace(PathIntegralAnnealing(SPACE, 200, 4, 7, settings={**settings, "replicas": 4.0}))
    assert held != independent
    monkeypatch.setattr(PathIntegralAnnealing, "coupling", 0.0)
    free = trace(PathIntegralAnnealing(SPACE, 200, 4, 7, settings={**settings, "replicas": 4.0}))
    assert free == independent


def test_replicas_end_closer_to_each_other_than_free_chains() -> None:
    def apart(field: float) -> float:
        space = SearchSpace(epochs=12, levers=("a", "b", "c"), parameters=())
        settings = {"start_temperature": 5.0, "end_temperature": 5.0, "field": field}
        search = PathIntegralAnnealing(space, 1200, 4, 2, settings=settings)
        trace(search, 300)
        bits = np.array([chain.bits for chain in search.chains])
        return float(np.mean(bits != np.roll(bits, 1, axis=0)))

    assert apart(1.0) < 0.5 * apart(1000.0)
