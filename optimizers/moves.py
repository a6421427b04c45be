"""Random moves on schedules and parameter values, a whole generation at a time.

Every function takes the method's generator first and returns new arrays. A schedule's bits have shape
(n, epochs, levers); a block is a window of epochs x a subset of levers, as a mask of that shape.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optimizers.archive import Points
from optimizers.contract import SearchSpace

Bits = NDArray[np.bool_]
Values = NDArray[np.float64]
AROUND = 0.15  # standard deviation of values drawn around a known practice


def uniform_bits(rng: Generator, space: SearchSpace, n: int) -> Bits:
    """Return n schedules: each draws a density from U(0, 1), then every bit is on with that probability.

    The number of bits on is so uniform from none to all, not close to a half in every candidate.
    """
    density = rng.random((n, 1, 1))
    return rng.random((n, space.epochs, space.columns)) < density


def run_bits(rng: Generator, space: SearchSpace, n: int) -> Bits:
    """Return n schedules in which each lever keeps one state for all epochs but one window."""
    levers = space.columns
    inside = windows(rng, n * levers, space.epochs).reshape(n, levers, space.epochs).transpose(0, 2, 1)
    return inside ^ (rng.random((n, 1, levers)) < 0.5)


def stratified(rng: Generator, n: int, parameters: int) -> Values:
    """Return n points in [0, 1], one in each n-th of every axis (Latin hypercube). Shape (n, parameters)."""
    rows = rng.permuted(np.tile(np.arange(n)[:, None], (1, parameters)), axis=0)
    return (rows + rng.random((n, parameters))) / max(1, n)


def windows(rng: Generator, n: int, epochs: int) -> Bits:
    """Return n windows of epochs, shape (n, epochs): length log-uniform from 1 to all, start uniform."""
    length = np.minimum(np.floor(max(1, epochs + 1) ** rng.random(n)), epochs)
    start = np.floor(rng.random(n) * (epochs - length + 1))
    epoch = np.arange(epochs)
    return (epoch >= start[:, None]) & (epoch < (start + length)[:, None])


def single_levers(rng: Generator, n: int, levers: int) -> Bits:
    """Return n subsets of exactly one lever, shape (n, levers)."""
    return np.arange(levers) == rng.integers(max(1, levers), size=n)[:, None]


def lever_subsets(rng: Generator, n: int, levers: int) -> Bits:
    """Return n non-empty subsets of levers, shape (n, levers): a density from U(0, 1), and one lever for certain."""
    return (rng.random((n, levers)) < rng.random((n, 1))) | single_levers(rng, n, levers)


def copy_block(rng: Generator, bits: Bits, donor: Bits) -> Bits:
    """Return the schedules with a block, a random window x a random lever subset, copied from their donors."""
    n, epochs, levers = bits.shape
    block = windows(rng, n, epochs)[:, :, None] & lever_subsets(rng, n, levers)[:, None, :]
    return np.where(block, donor, bits)


def flip_bits(rng: Generator, bits: Bits, mean: float) -> Bits:
    """Return the schedules with at least one bit flipped, `mean` + 1 on average."""
    n, epochs, levers = bits.shape
    flat = rng.random((n, epochs * levers)) < mean / max(1, epochs * levers)
    certain = np.arange(epochs * levers) == rng.integers(max(1, epochs * levers), size=n)[:, None]
    return bits ^ (flat | certain).reshape(bits.shape)


def flip_likely(rng: Generator, bits: Bits, probability: NDArray[np.float64], least: float) -> Bits:
    """Return the schedules with one bit flipped, drawn in proportion to `least` plus its probability of being wrong.

    probability: of being on, shape (epochs, levers).
    """
    n, epochs, levers = bits.shape
    weight = np.cumsum(least + np.where(bits, 1.0 - probability, probability).reshape(n, epochs * levers), axis=1)
    chosen = np.sum(weight <= rng.random((n, 1)) * weight[:, -1:], axis=1)
    return bits ^ (np.arange(epochs * levers) == chosen[:, None]).reshape(bits.shape)


def set_window(rng: Generator, bits: Bits) -> Bits:
    """Return the schedules with one lever switched on, or off, throughout a window."""
    n, epochs, levers = bits.shape
    block = windows(rng, n, epochs)[:, :, None] & single_levers(rng, n, levers)[:, None, :]
    return np.where(block, (rng.random(n) < 0.5)[:, None, None], bits)


def flip_window(rng: Generator, bits: Bits) -> Bits:
    """Return the schedules with one lever's states in a window turned to their opposites."""
    n, epochs, levers = bits.shape
    return bits ^ (windows(rng, n, epochs)[:, :, None] & single_levers(rng, n, levers)[:, None, :])


def swap_window(rng: Generator, bits: Bits) -> Bits:
    """Return the schedules with two levers' states exchanged within a window."""
    n, epochs, levers = bits.shape
    first = rng.integers(max(1, levers), size=n)
    second = (first + 1 + rng.integers(max(1, levers - 1), size=n)) % max(1, levers)
    order = np.tile(np.arange(levers), (n, 1))
    rows = np.arange(n)
    order[rows, first], order[rows, second] = second, first
    exchanged = np.take_along_axis(bits, order[:, None, :], axis=2)
    return np.where(windows(rng, n, epochs)[:, :, None], exchanged, bits)


def shift_switch(rng: Generator, bits: Bits) -> Bits:
    """Return the schedules with one switch point of one lever moved by a few epochs, earlier or later.

    A lever that never switches has the states before, or from, a random epoch on turned for that many epochs.
    """
    n, epochs, levers = bits.shape
    rows, lever = np.arange(n), rng.integers(max(1, levers), size=n)
    track = bits[rows, :, lever]
    weight = rng.random((n, epochs))
    weight[:, 1:] += track[:, 1:] != track[:, :-1]  # a switch outranks every other epoch
    weight[:, :1] = 0.0
    point = np.argmax(weight, axis=1)
    distance = rng.geometric(0.5, size=n)
    later = rng.random(n) < 0.5
    start = np.where(later, point, point - distance)[:, None]
    epoch = np.arange(epochs)
    moved = (epoch >= start) & (epoch < start + distance[:, None])
    before = track[rows, np.maximum(point - 1, 0)]
    switches = before != track[rows, point]
    state = np.where(later, before, track[rows, point])
    result = bits.copy()
    result[rows, :, lever] = np.where(moved, np.where(switches[:, None], state[:, None], ~track), track)
    return result


def reflect(values: Values) -> Values:
    """Return values folded back into [0, 1] at its ends."""
    folded = np.mod(np.abs(values), 2.0)
    return np.where(folded > 1.0, 2.0 - folded, folded)


def differential(rng: Generator, values: Values, first: Values, second: Values, share: float) -> Values:
    """Return the values moved by a scaled difference of two others plus a little Gaussian noise.

    Each parameter moves with probability `share`, and at least one does. The scale is drawn from U(0.3, 1) for each
    row; the noise is a tenth of the difference, and at least 0.002.
    """
    n, parameters = values.shape
    moved = (rng.random((n, parameters)) < share) | single_levers(rng, n, parameters)
    step = (first - second) * rng.uniform(0.3, 1.0, (n, 1))
    step += rng.standard_normal((n, parameters)) * np.maximum(0.1 * np.abs(first - second), 0.002)
    return reflect(values + np.where(moved, step, 0.0))


def jolt(rng: Generator, points: Points, rate: float) -> Points:
    """Return the points with each bit flipped, and each value moved by N(0, 0.05), with probability min(rate, 1)."""
    bits = points.bits ^ (rng.random(points.bits.shape) < rate)
    noise = 0.05 * rng.standard_normal(points.values.shape)
    moved = reflect(points.values + np.where(rng.random(noise.shape) < rate, noise, 0.0))
    return Points(bits=bits, values=moved, origin=points.origin)


def mixture(
    rng: Generator, bits: Bits, moves: tuple[Callable[[Generator, Bits], Bits], ...], shares: tuple[float, ...]
) -> Bits:
    """Return the schedules with one move each, drawn with the given shares (which sum to 1)."""
    kind = rng.choice(len(moves), size=len(bits), p=shares)
    result = bits.copy()
    for index, move in enumerate(moves):
        rows = np.flatnonzero(kind == index)
        if len(rows):
            result[rows] = move(rng, bits[rows])
    return result


def either_or_both(rng: Generator, parent: Points, changed: Points, bits_only: float, values_only: float) -> Points:
    """Return the parents with changed bits, changed values, or both, with the given shares and the rest.

    Where a point has only bits, or only values, these always change.
    """
    draw = rng.random(len(parent))
    take_bits = (draw >= values_only) | (parent.values.size == 0)
    take_values = (draw < 1.0 - bits_only) | (parent.bits.size == 0)
    return Points(
        bits=np.where(take_bits[:, None, None], changed.bits, parent.bits),
        values=np.where(take_values[:, None], changed.values, parent.values),
    )


def around(rng: Generator, start: Sequence[float], n: int) -> Values:
    """Return n points around a known practice: Gaussian, standard deviation AROUND, reflected into [0, 1]."""
    return reflect(np.array(start) + AROUND * rng.standard_normal((n, len(start))))
