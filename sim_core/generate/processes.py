"""Processes that paths are made of, for a batch of scenarios: axis 0 is the scenario, axis 1 the period.

Every number is computed by itself, in an order that hangs on neither the batch's size nor the place in it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue import Archetype
from sim_core.units import MONTHS_PER_YEAR

Array = NDArray[np.float64]


def autoregressive(decay: float | Array, shocks: Array) -> Array:
    """Return x with x[:, t] = decay x[:, t - 1] + shocks[:, t], x[:, -1] = 0. shocks: (B, T, ...).

    scipy.signal has this filter, at more than a second of import time for every start of the command.
    """
    path = shocks.copy()
    if not path.any():  # of a process without noise, as in an inventory problem: nothing to filter
        return path
    for t in range(1, path.shape[1]):
        path[:, t] += decay * path[:, t - 1]
    return path


def outages(starts: NDArray[np.bool_], months: float, lasts: Callable[..., Array]) -> NDArray[np.bool_]:
    """Return where something is out, (B, T, n), given where outages start; each lasts a geometric number of months.

    months: the mean. lasts: returns the uniforms of the lengths at (scenarios, periods, columns), (k,) each.
    """
    places = np.nonzero(starts)
    length = np.ones(len(places[0]), dtype=np.int64)
    if months > 1.0:
        length += np.floor(np.log(lasts(*places)) / np.log(1.0 - 1.0 / months)).astype(np.int64)
    until = np.zeros(starts.shape, dtype=np.int64)
    until[places] = places[1] + length
    return np.arange(starts.shape[1])[:, None] < np.maximum.accumulate(until, axis=1)


def chance(rate: float | Array) -> float | Array:
    """Return the probability of a start in a month, at `rate` starts a year."""
    return rate / MONTHS_PER_YEAR


def triangular(product: Archetype, name: str, u: Array) -> Array:
    """Draw an uncertain parameter from a triangular distribution over its range with its value as mode."""
    entry = product.parameters[name]
    if entry.low is None or entry.high is None or entry.high <= entry.low:
        return np.full(u.shape, entry.value)
    cut = (entry.value - entry.low) / (entry.high - entry.low)
    rising = entry.low + np.sqrt(u * (entry.high - entry.low) * (entry.value - entry.low))
    falling = entry.high - np.sqrt((1.0 - u) * (entry.high - entry.low) * (entry.high - entry.value))
    return np.where(u < cut, rising, falling)
