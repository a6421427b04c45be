"""Samples schedules of low energy from a learned Energy, hot and cold; no evaluation is spent on it.

A schedule of up to 11 columns is a chain of epochs, each in one of 2^columns states: samples of its Boltzmann
distribution exp(-E / T) are exact, by summing over states forwards in time and drawing them backwards (Baum et al.
1970). Wider and flat spaces are cooled down by heat-bath sweeps instead.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optimizers.energy import Energy, Real

_MOST_COLUMNS = 11
_TEMPERATURES = (1.0, 0.3, 0.1)  # in root mean squares of the fields
_HALVINGS = 3  # of the interval that holds the cap's share
_PROBES = 8
_SWEEPS = 24
_TINY = 1e-300  # keeps the logarithm of what can't be reached finite

Bits = NDArray[np.bool_]


def sampled(energy: Energy, rng: Generator, n: int) -> Bits:
    """Return about n schedules, (m, epochs, columns), the same number at each of three temperatures, the hottest first.

    A cap enters by a share of its slope, 0 to 1, found by halving so that samples just meet it: as the multiplier of a
    constraint. A third of a temperature's samples has that share, the others those at both ends of the last interval.
    """
    heat = float(np.sqrt(np.mean(energy.fields(np.zeros(1, dtype=np.float32)) ** 2))) or 1.0
    temperatures = np.array([heat * one for one in _TEMPERATURES], dtype=np.float32)
    low, high = np.zeros(len(temperatures), dtype=np.float32), np.ones(len(temperatures), dtype=np.float32)
    draw = _exact if energy.epochs > 1 and 1 < energy.columns <= _MOST_COLUMNS else _cooled
    if not energy.capped:
        return draw(energy, rng, low, temperatures, max(1, n // len(temperatures))).reshape(
            -1, energy.epochs, energy.columns
        )
    for _ in range(_HALVINGS):
        middle = (0.5 * (low + high)).astype(np.float32)
        over = energy.excess(draw(energy, rng, middle, temperatures, _PROBES)).mean(axis=1) > 0.0
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    shares = np.stack([low, high, 0.5 * (low + high)], axis=1).ravel().astype(np.float32)
    each = max(1, n // len(shares))
    return draw(energy, rng, shares, np.repeat(temperatures, 3), each).reshape(-1, energy.epochs, energy.columns)


def _exact(energy: Energy, rng: Generator, shares: Real, temperatures: Real, n: int) -> Bits:
    """Return n samples for each of k shares and temperatures, shape (k, n, epochs, columns)."""
    epochs, columns = energy.epochs, energy.columns
    states = np.arange(1 << columns)
    codes = np.where((states[:, None] >> np.arange(columns)) & 1, np.float32(1.0), np.float32(-1.0))
    left, right = np.triu_indices(columns, 1)
    within = epochs * len(left)
    local = energy.fields(shares).reshape(-1, epochs, columns) @ codes.T
    local += energy.couplings[:within].reshape(epochs, -1) @ (codes[:, left] * codes[:, right]).T
    local /= -temperatures[:, None, None]
    along = energy.couplings[within:].reshape(epochs - 1, columns) / temperatures[:, None, None]
    # Columns' bonds are independent: a sum over 2^c states is one over the high half and one over the low half.
    half = columns // 2
    low, high = _bonds(along[:, :, :half]), _bonds(along[:, :, half:])
    weights: list[NDArray[np.float64]] = []  # of an epoch's states by those before it: (k, high halves, low halves)
    summed: list[NDArray[np.float64]] = []  # over the low half, by the next epoch's low half
    forward = local[:, 0]  # logarithms, so that a cold chain does not run out of numbers
    for epoch in range(epochs):
        weight = np.exp((forward - forward.max(axis=1, keepdims=True)).astype(np.float64))
        weights.append(weight.reshape(len(shares), 1 << (columns - half), 1 << half))
        if epoch + 1 < epochs:
            summed.append(weights[-1] @ low[:, epoch])
            passed = (high[:, epoch] @ summed[-1]).reshape(len(shares), -1)
            forward = (np.log(passed + _TINY) + local[:, epoch + 1]).astype(np.float32)
    bits = np.zeros((len(shares) * n, epochs, columns), dtype=np.bool_)
    row = np.repeat(np.arange(len(shares)), n)
    upper = _drawn(rng, weights[-1].sum(axis=2)[row])
    lower = _drawn(rng, weights[-1][row, upper])
    for epoch in range(epochs - 1, -1, -1):
        bits[:, epoch] = codes[(upper << half) + lower] > 0.0
        if epoch:
            after = lower
            upper = _drawn(rng, summed[epoch - 1][row, :, after] * high[row, epoch - 1, upper])
            lower = _drawn(rng, weights[epoch - 1][row, upper] * low[row, epoch - 1, after])
    return bits.reshape(len(shares), n, epochs, columns)


def _drawn(rng: Generator, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a place in each row of weights, (m, k), drawn in proportion to them, shape (m,)."""
    summed = np.cumsum(weights, axis=1)
    drawn = rng.random((len(weights), 1)) * summed[:, -1:]
    return np.minimum(np.sum(summed <= drawn, axis=1), weights.shape[1] - 1)


def _bonds(along: Real) -> NDArray[np.float64]:
    """Return the weights between the states of neighbouring epochs, (..., 2^c, 2^c), couplings (..., c) over T."""
    strength = np.abs(along)
    alike, unlike = np.exp(-along - strength), np.exp(along - strength)
    pair = np.stack([np.stack([alike, unlike], axis=-1), np.stack([unlike, alike], axis=-1)], axis=-2)
    found = np.ones((*along.shape[:-1], 1, 1))
    for column in range(along.shape[-1]):
        wider = pair[..., column, :, None, :, None] * found[..., None, :, None, :]
        size = 2 * found.shape[-1]
        found = wider.reshape(*along.shape[:-1], size, size)
    return found


def _cooled(energy: Energy, rng: Generator, shares: Real, temperatures: Real, n: int) -> Bits:
    """Return n samples for each of k shares and temperatures: heat-bath sweeps from hot to the temperature."""
    k, size = len(shares), energy.spins
    coupling = np.zeros((size, size), dtype=np.float32)
    coupling[energy.first, energy.second] = energy.couplings
    coupling += coupling.T
    fields = np.repeat(energy.fields(shares), n, axis=0)
    target = np.repeat(temperatures, n)[:, None]
    spins = np.where(rng.random((k * n, size)) < 0.5, np.float32(1.0), np.float32(-1.0))
    hottest = max(float(np.abs(coupling).sum(axis=1).mean()), float(np.max(temperatures)))
    for sweep in range(_SWEEPS):
        heat = hottest * (target / hottest) ** ((sweep + 1) / _SWEEPS)
        for group in _groups(energy.epochs, energy.columns):
            pull = fields[:, group] + spins @ coupling[:, group]
            on = rng.random(pull.shape, dtype=np.float32) * (1.0 + np.exp(np.minimum(2.0 * pull / heat, 60.0))) < 1.0
            spins[:, group] = np.where(on, np.float32(1.0), np.float32(-1.0))
    return (spins > 0.0).reshape(k, n, energy.epochs, energy.columns)


def _groups(epochs: int, columns: int) -> list[NDArray[np.int64]]:
    """Return the bits in groups without couplings inside, so that a group is drawn at once."""
    place = np.arange(epochs * columns).reshape(epochs, columns)
    if epochs < 2 or columns < 2:
        return list(place.reshape(-1, 1))
    return [place[start::2, column] for column in range(columns) for start in (0, 1)]
