"""Draws inside compiled code: the numbers of sim_core.seeding for a row of cells at once, and the demand made of them.

A row holds one number of every cell of a block. Each function fills a row `out`, (W,) float64 or float32. Its cells are
told by the low and high words of their scenarios' numbers (`scenario_words`), the stream by its key (`stream_key`), and
what is drawn by period and node. A float64 row gets the numbers of sim_core.seeding: words 0 and 1 of the generator, 52
bits. A float32 row gets u = (word 0 + 1/2) 2^-32, the leading 32 bits of the same number; normals reach to 6.2 standard
deviations and are good to 1e-6 wherever they fall.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from sim_core.kernel.functions import (
    OPTIONS,
    bits_of,
    exp,
    float_of,
    inlined,
    normal_quantile_32,
    normal_quantile_at,
    tail_place,
)
from sim_core.kernel.jit import entry

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_UNIT_EXPONENT = np.uint64(0x3FF0000000000000)  # of numbers in [1, 2)
_BELOW_ONE = 1.0 - 2.0**-53
_BELOW_ONE_32, _PER_WORD_32, _HALF_32 = np.float32(1.0 - 2.0**-24), np.float32(2.0**-32), np.float32(0.5)


def stream_key(seed: int, stream: str) -> tuple[int, int]:
    """Return the generator's two key words for a stream of a suite, as sim_core.seeding has them."""
    word = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "little")
    return seed & 0xFFFFFFFF, (word ^ (seed >> 32)) & 0xFFFFFFFF


def scenario_words(numbers: Sequence[int]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the low and high words of the cells' scenario numbers (sim_core.seeding.scenario_number), (W,) each."""
    wide = np.array(numbers, dtype=np.uint64)
    return (wide & _LOW).astype(np.uint32), (wide >> _SHIFT).astype(np.uint32)


def uniforms(seed: int, scenarios: NDArray[np.uint64], stream: str, nodes: int, periods: int) -> NDArray[np.float64]:
    """Return what sim_core.seeding.uniforms returns, compiled: (B, periods, nodes), the same bytes."""
    out = np.empty((len(scenarios), periods, nodes))
    low, high = (scenarios & _LOW).astype(np.uint32), (scenarios >> _SHIFT).astype(np.uint32)
    period, node = np.repeat(np.arange(periods), nodes), np.tile(np.arange(nodes), periods)
    columns = (period.astype(np.uint32), node.astype(np.uint32))
    fill_uniforms(out.reshape(len(scenarios), -1), low, high, *columns, *stream_key(seed, stream))
    return out


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four words of Philox 4x32-10; everything is held in uint64, counter words may have garbage above."""
    for _ in range(10):
        p0, p1 = _MULTIPLIER_0 * (c0 & _LOW), _MULTIPLIER_1 * (c2 & _LOW)
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1, (p0 >> _SHIFT) ^ c3 ^ k1, p0
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


@inlined
def _uniform(low, high, draw):
    period, node, key0, key1 = draw
    w0, w1, _, _ = philox(period, node, np.uint64(low), np.uint64(high), key0, key1)
    return float_of((w0 << np.uint64(20)) | (w1 >> np.uint64(12)) | _UNIT_EXPONENT) - _BELOW_ONE


@inlined
def _word(low, high, draw):
    period, node, key0, key1 = draw
    word, _, _, _ = philox(period, node, np.uint64(low), np.uint64(high), key0, key1)
    return np.uint32(word)


def _uniforms(out: Any, low: Any, high: Any, draw: Any) -> None:
    raise NotImplementedError  # compiled code takes the versions below


def _normals(out: Any, spare: Any, low: Any, high: Any, draw: Any) -> None:
    raise NotImplementedError  # likewise


def _uniforms_64(out, low, high, draw):
    for i in range(out.size):
        out[i] = _uniform(low[i], high[i], draw)


def _uniforms_32(out, low, high, draw):
    for i in range(out.size):
        u = (np.float32(_word(low[i], high[i], draw)) + _HALF_32) * _PER_WORD_32
        out[i] = u if u < _BELOW_ONE_32 else _BELOW_ONE_32


def _normals_64(out, spare, low, high, draw):
    for i in range(out.size):
        out[i] = _uniform(low[i], high[i], draw)
    for i in range(out.size):
        spare[i] = tail_place(out[i])
    for i in range(out.size):
        out[i] = normal_quantile_at(out[i], spare[i])


def _normals_32(out, spare, low, high, draw):  # noqa: ARG001
    for i in range(out.size):
        out[i] = float_of(_word(low[i], high[i], draw))
    for i in range(out.size):
        out[i] = normal_quantile_32(bits_of(out[i]))


@overload(_uniforms, jit_options=OPTIONS)
def _typed_uniforms(out, low, high, draw):  # noqa: ARG001
    return {types.float64: _uniforms_64, types.float32: _uniforms_32}.get(out.dtype)


@overload(_normals, jit_options=OPTIONS)
def _typed_normals(out, spare, low, high, draw):  # noqa: ARG001
    return {types.float64: _normals_64, types.float32: _normals_32}.get(out.dtype)


@inlined
def _draw(period, node, key0, key1):
    return np.uint64(period), np.uint64(node), np.uint64(key0), np.uint64(key1)


@entry
def fill_uniform(out, low, high, period, node, key0, key1):
    """Fill a row with uniforms in (0, 1); those of a float32 row are rounded, to 1 - 2^-24 at most."""
    _uniforms(out, low, high, _draw(period, node, key0, key1))


@entry
def fill_uniforms(out, low, high, period, node, key0, key1):
    """Fill a table of scenarios with uniforms, float64: row b, (C,), has those of scenario b.

    period, node: (C,) uint32, what each column stands for.
    """
    wide0, wide1 = np.uint64(key0), np.uint64(key1)
    for b in range(low.size):
        row = out[b]
        for i in range(row.size):
            row[i] = _uniform(low[b], high[b], (np.uint64(period[i]), np.uint64(node[i]), wide0, wide1))


@entry
def fill_normal(out, spare, low, high, period, node, key0, key1):
    """Fill a row with standard normals. spare: another row of its type, which is written over."""
    _normals(out, spare, low, high, _draw(period, node, key0, key1))


@entry
def fill_normal_demand(out, spare, low, high, period, node, key0, key1, mean, sd):
    """Fill a row with a period of a normal process, units: max(mean + sd z, 0). mean, sd: of all cells."""
    _normals(out, spare, low, high, _draw(period, node, key0, key1))
    number = out.dtype.type
    middle, spread, nothing = number(mean), number(sd), number(0.0)
    for i in range(out.size):
        demand = middle + spread * out[i]
        out[i] = demand if demand > nothing else nothing


@entry
def fill_ar1_demand(out, away, spare, low, high, period, node, key0, key1, mean, sd, rho):
    """Fill a row with the next period of an autoregressive process, units, started in its stationary distribution.

    away: the row of what the last period was away from the mean, 0 before period 0.
    """
    _normals(out, spare, low, high, _draw(period, node, key0, key1))
    number = out.dtype.type
    spread, keep = number(sd if period else sd / math.sqrt(1.0 - rho * rho)), number(rho)
    middle, nothing = number(mean), number(0.0)
    for i in range(out.size):
        left = keep * away[i] + spread * out[i]
        away[i] = left
        demand = middle + left
        out[i] = demand if demand > nothing else nothing


def growth_rows(
    *, start: float, saturation: NDArray[np.float64], midpoint: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Return three rows of what the trend of regional demand takes of each cell, (3, W): early, at_start, gain.

    trend = start + gain (1 / (1 + early fade) - at_start) with fade = exp(-years / width): the logistic of
    sim_core.generate.paths.mean_demand. saturation, midpoint: (W,) units/month and years after the base date.
    """
    early = np.exp(midpoint / width)
    at_start = 1.0 / (1.0 + early)
    return np.stack([early, at_start, (saturation - start) / (1.0 - at_start)])


@entry
def fill_regional_demand(
    out,
    noise,
    spare,
    early,
    at_start,
    gain,
    low,
    high,
    period,
    node,
    key0,
    key1,
    start,
    fade,
    season,
    sigma,
    persistence,
):
    """Fill a row with the next period of a product's demand in the region: trend x season x noise of mean 1.

    noise: the row of the logarithm's autoregressive part, 0 before period 0. early, at_start, gain: `growth_rows`, in
    the rows' type. node: the product's place in the suite. start: units/month. fade, season: of the period,
    exp(-years / width) and the seasonal factor; a factor common to all cells, say a market's share of the region, may
    be in the latter.
    """
    _normals(out, spare, low, high, _draw(period, node, key0, key1))
    number = out.dtype.type
    keep, spread = number(persistence), number(math.sqrt(1.0 - persistence * persistence) * sigma)
    bias, base, factor = number(0.5 * sigma * sigma), number(start), number(season)
    dying, one = number(fade), number(1.0)
    for i in range(out.size):
        log = keep * noise[i] + spread * out[i]
        noise[i] = log
        trend = base + gain[i] * (one / (one + early[i] * dying) - at_start[i])
        out[i] = trend * factor * exp(log - bias)
