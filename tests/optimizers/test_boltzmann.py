"""Samples of a learned energy against the distribution that brute force gives."""

import itertools

import numpy as np
import pytest

from optimizers import boltzmann
from optimizers.boltzmann import _cooled, _exact, sampled
from optimizers.contract import SearchSpace
from optimizers.energy import Energy

ONE = np.ones(1, dtype=np.float32)


def known(epochs: int, columns: int, *, cap: bool = False, seed: int = 3) -> Energy:
    """An energy whose numbers are drawn, not fitted."""
    found = Energy(SearchSpace(epochs=epochs, levers=tuple(f"l{i}" for i in range(columns)), parameters=()))
    rng = np.random.default_rng(seed)
    found.weights = rng.normal(size=found.size).astype(np.float32)
    found.unit = 1.0
    if cap:
        found.cap = np.full(1 + found.spins, 2.0, dtype=np.float32)  # costs 4 for each bit on beyond ...
        found.cap[0] = 2.0 * (found.spins - 2 * 2)  # ... two of them
    return found


def all_schedules(epochs: int, columns: int) -> np.ndarray:
    rows = list(itertools.product([False, True], repeat=epochs * columns))
    return np.array(rows).reshape(-1, epochs, columns)


def marginals(found: Energy, temperature: float) -> np.ndarray:
    bits = all_schedules(found.epochs, found.columns)
    weight = np.exp(-energies(found, bits) / temperature)
    return np.einsum("n,nij->ij", weight / weight.sum(), bits)


def energies(found: Energy, bits: np.ndarray) -> np.ndarray:
    from optimizers.archive import Points

    return found.predict(Points(bits=bits, values=np.zeros((len(bits), 0))))


@pytest.mark.parametrize(("epochs", "columns"), [(3, 3), (4, 2), (2, 5)])
def test_exact_samples_have_the_boltzmann_marginals(epochs: int, columns: int) -> None:
    found = known(epochs, columns)
    for temperature in (2.0, 0.7):
        drawn = _exact(found, np.random.default_rng(1), 0 * ONE, temperature * ONE, 8000)[0]
        assert np.allclose(drawn.mean(axis=0), marginals(found, temperature), atol=0.03)


def test_heat_bath_sweeps_come_near_them() -> None:
    found = known(1, 7)
    drawn = _cooled(found, np.random.default_rng(1), 0 * ONE, 2.0 * ONE, 6000)[0]
    assert np.allclose(drawn.mean(axis=0), marginals(found, 2.0), atol=0.08)


@pytest.mark.parametrize(("epochs", "columns"), [(4, 3), (1, 10), (10, 1)])
def test_the_coldest_sample_is_the_least_energy(epochs: int, columns: int) -> None:
    found = known(epochs, columns)
    drawn = sampled(found, np.random.default_rng(2), 150)
    assert drawn.shape[1:] == (epochs, columns)
    assert energies(found, drawn).min() == pytest.approx(
        energies(found, all_schedules(epochs, columns)).min(), abs=1e-4
    )


def test_a_long_cold_chain_stays_finite() -> None:
    found = known(60, 6)
    found.weights *= 1e3
    drawn = sampled(found, np.random.default_rng(2), 30)
    assert np.isfinite(energies(found, drawn)).all()
    assert energies(found, drawn[-10:]).mean() < energies(found, drawn[:10]).mean()


def test_samples_meet_a_cap_instead_of_ignoring_it() -> None:
    free, capped = known(4, 3), known(4, 3, cap=True)
    ignoring = sampled(free, np.random.default_rng(4), 90)
    meeting = sampled(capped, np.random.default_rng(4), 90)
    assert ignoring.sum(axis=(1, 2)).mean() > 4.0
    assert meeting.sum(axis=(1, 2)).mean() < ignoring.sum(axis=(1, 2)).mean() - 1.0
    least = energies(capped, all_schedules(4, 3)).min()
    assert energies(capped, meeting).min() == pytest.approx(least, abs=1e-4)


def test_mutant_that_forgets_time_misses_the_marginals(monkeypatch: pytest.MonkeyPatch) -> None:
    found = known(3, 3)
    bonds = boltzmann._bonds
    monkeypatch.setattr(boltzmann, "_bonds", lambda along: bonds(0.0 * along))
    drawn = _exact(found, np.random.default_rng(1), 0 * ONE, 0.7 * ONE, 8000)[0]
    assert not np.allclose(drawn.mean(axis=0), marginals(found, 0.7), atol=0.03)
