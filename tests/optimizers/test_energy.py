"""The learned energy: does it find fields, couplings and a cap that are really there?"""

import numpy as np
import pytest

from optimizers import energy as module
from optimizers.archive import Points
from optimizers.contract import SearchSpace
from optimizers.energy import Energy

EPOCHS, LEVERS = 6, 4
SPACE = SearchSpace(epochs=EPOCHS, levers=("a", "b", "c", "d"), parameters=())


def drawn(n: int, parameters: int = 0, seed: int = 1) -> Points:
    rng = np.random.default_rng(seed)
    return Points(bits=rng.random((n, EPOCHS, LEVERS)) < 0.5, values=rng.random((n, parameters)))


def spins(points: Points) -> np.ndarray:
    return np.where(points.bits, 1.0, -1.0)


class Truth:
    """An energy with fields, couplings within epochs and along time, and a cap that binds for a sixth of the points."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.field = rng.normal(size=(EPOCHS, LEVERS))
        self.within = np.triu(rng.normal(size=(LEVERS, LEVERS)), 1)
        self.along = rng.normal(size=(EPOCHS - 1, LEVERS))
        self.cap = rng.integers(-2, 3, size=(EPOCHS, LEVERS)).astype(float)

    def smooth(self, points: Points) -> np.ndarray:
        s = spins(points)
        pairs = np.einsum("ntp,pq,ntq->n", s, self.within, s) + (s[:, 1:] * s[:, :-1] * self.along).sum((1, 2))
        return 50.0 + (s * self.field).sum((1, 2)) + pairs

    def over(self, points: Points) -> np.ndarray:
        return (spins(points) * self.cap).sum((1, 2)) - 6.0

    def __call__(self, points: Points) -> np.ndarray:
        return self.smooth(points) + 8.0 * np.maximum(self.over(points), 0.0)


def fitted(truth, points: Points, fits: int = 6) -> Energy:
    found = Energy(SPACE)
    for part in np.array_split(np.arange(len(points)), fits):
        found.learn(points.take(part), truth(points.take(part)))
        found.fit()
    return found


def error(found: Energy, truth) -> float:
    fresh = drawn(400, seed=9)
    told = truth(fresh)
    return float(np.sqrt(np.mean((found.predict(fresh) - told) ** 2)) / np.std(told))


def test_pairs_are_those_in_an_epoch_and_along_time() -> None:
    found = Energy(SPACE)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(pairs) == len(found.first) == EPOCHS * 6 + (EPOCHS - 1) * LEVERS
    assert {(0, 1), (0, 3), (0, 4), (19, 23), (22, 23)} <= pairs
    assert (0, 5) not in pairs and (3, 4) not in pairs


def test_a_flat_space_couples_every_pair() -> None:
    found = Energy(SearchSpace(epochs=1, levers=tuple("abcde"), parameters=()))
    assert len(found.first) == 10 and found.possible


def test_spaces_without_bits_or_with_too_many_are_not_modelled() -> None:
    assert not Energy(SearchSpace(epochs=0, levers=(), parameters=("x",))).possible
    assert not Energy(SearchSpace(epochs=1, levers=tuple(f"l{i}" for i in range(200)), parameters=())).possible


def test_fields_and_couplings_are_found() -> None:
    truth = Truth()
    found = fitted(truth.smooth, drawn(400))
    assert error(found, truth.smooth) < 0.02
    fields = found.fields(np.zeros(1, dtype=np.float32))[0] * found.unit
    assert np.corrcoef(fields, truth.field.ravel())[0, 1] > 0.98
    place = {pair: i for i, pair in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True))}
    along = [found.couplings[place[t * LEVERS, (t + 1) * LEVERS]] * found.unit for t in range(EPOCHS - 1)]
    assert np.corrcoef(along, truth.along[:, 0])[0, 1] > 0.98


def test_a_cap_is_found() -> None:
    truth = Truth()
    found = fitted(truth, drawn(1500))
    fresh = drawn(400, seed=9)
    assert 0.05 < float(np.mean(truth.over(fresh) > 0.0)) < 0.4
    assert found.capped
    assert np.mean((found.excess(fresh.bits) > 0.0) == (truth.over(fresh) > 0.0)) > 0.9
    assert np.corrcoef(found.cap[1:], truth.cap.ravel())[0, 1] > 0.95
    assert error(found, truth) < 0.15


def test_mutant_without_a_cap_predicts_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = Truth()
    with_cap = error(fitted(truth, drawn(1500)), truth)
    monkeypatch.setattr(Energy, "_turn", lambda self, over: None)
    assert error(fitted(truth, drawn(1500)), truth) > 1.5 * with_cap


def test_mutant_without_couplings_along_time_predicts_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = Truth()
    whole = module._pairs

    def without(epochs: int, columns: int):
        first, second = whole(epochs, columns)
        kept = second - first < columns
        return first[kept], second[kept]

    monkeypatch.setattr(module, "_pairs", without)
    assert error(fitted(truth.smooth, drawn(400)), truth.smooth) > 0.2


def test_learning_in_parts_is_learning_at_once() -> None:
    truth = Truth()
    points = drawn(300)
    parts, whole = fitted(truth.smooth, points, fits=5), fitted(truth.smooth, points, fits=1)
    fresh = drawn(50, seed=3)
    assert np.allclose(parts.predict(fresh), whole.predict(fresh), atol=0.1 * np.std(truth.smooth(points)))


def test_moments_follow_who_exceeds_the_cap() -> None:
    """However points come and go over the cap, the moments are those of the points that exceed it now."""
    truth = Truth()
    found = fitted(truth, drawn(1500), fits=9)
    over = np.flatnonzero(found._over)
    features = found._features(found._points.take(over))
    lines = features[: found._lines]
    assert np.allclose(found._cap_moments, features @ lines.T, atol=1e-2)
    assert np.allclose(found._cap_right, lines @ found._told[over], atol=1e-2)


def test_best_values_are_the_bottom_of_the_quadratic() -> None:
    space = SearchSpace(epochs=2, levers=("a", "b"), parameters=("x", "y", "z"))
    rng = np.random.default_rng(2)
    points = Points(bits=rng.random((300, 2, 2)) < 0.5, values=rng.random((300, 3)))
    bottom = np.array([0.2, 0.7, 0.4])
    away = points.values - bottom
    curve = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    found = Energy(space)
    found.learn(points, np.einsum("ni,ij,nj->n", away, curve, away))
    for _ in range(8):
        found.fit()
    assert np.allclose(found.best_values(), bottom, atol=0.1)


def test_values_far_from_zero_lose_nothing() -> None:
    truth = Truth()
    near = fitted(truth.smooth, drawn(400))
    far = fitted(lambda points: 1e9 + 3.0 * truth.smooth(points), drawn(400))
    fresh = drawn(50, seed=3)
    assert np.allclose((far.predict(fresh) - 1e9) / 3.0, near.predict(fresh), atol=0.5)
