"""Brings points back within the constraints of their space, by few and random changes."""

import numpy as np
from numpy.random import Generator

from optimizers.archive import Points
from optimizers.contract import SearchSpace

_TRIED = 24  # changes tried on a point in a round, the best of which is kept


def repaired(rng: Generator, space: SearchSpace, points: Points) -> Points:
    """Return the points, those that break a constraint changed until they keep all.

    In each round such a point tries 24 random changes, of one bit or one value, and keeps one that leaves the least
    violation (min-conflicts; Minton et al. 1992). Rounds end after twice as many as the space has dimensions: a point
    that still breaks a constraint then, as where none can be kept, is returned as it is.
    """
    broken = np.flatnonzero(space.violation(points.bits, points.values) > 0.0) if space.constraints else []
    if not len(broken) or not space.dimension:
        return points
    bits, values = points.bits.copy(), points.values.copy()
    for _ in range(2 * space.dimension):
        if not len(broken):
            break
        rows = np.repeat(broken, _TRIED)
        tried_bits, tried_values = bits[rows], values[rows]
        place = rng.integers(space.dimension, size=len(rows))
        flat = tried_bits.reshape(len(rows), space.bits)
        in_bits = np.flatnonzero(place < space.bits)
        flat[in_bits, place[in_bits]] ^= True
        in_values = np.flatnonzero(place >= space.bits)
        tried_values[in_values, place[in_values] - space.bits] = rng.random(len(in_values))
        settled_bits, settled_values = space.settle(flat.reshape(tried_bits.shape), tried_values)
        left = space.violation(settled_bits, settled_values).reshape(len(broken), _TRIED)
        best = np.argmin(left, axis=1) + _TRIED * np.arange(len(broken))
        bits[broken], values[broken] = settled_bits[best], settled_values[best]
        broken = broken[left.min(axis=1) > 0.0]
    return Points(bits=bits, values=values, origin=points.origin)
