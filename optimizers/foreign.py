"""For methods of other packages: which are at hand, and what was proposed in their own terms."""

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from optimizers.contract import Candidate, SearchSpace
from sim_core.errors import InputError

Spelt = tuple[NDArray[np.int64], NDArray[np.float64]]  # states (epochs, levers), values (parameters,)


def optional(package: str) -> ModuleType:
    """Return an optional package. Raises InputError, naming the extra that has it, where it isn't installed."""
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(
            f"search method {package!r} needs the package {package}: pip install 'circularbench[search]'"
        ) from error


def spelt(space: SearchSpace, candidate: Candidate) -> Spelt:
    """Return a candidate's lever states and values."""
    return space.states_of(candidate.bits[None])[0], candidate.values


def same(space: SearchSpace, candidate: Candidate, proposed: Spelt) -> bool:
    """Return whether a candidate is the point that was proposed, and not one that took its place on the way."""
    states, values = proposed
    if not np.array_equal(space.states_of(candidate.bits[None])[0], states):
        return False
    return bool(np.array_equal(space.settle(candidate.bits[None], values[None])[1][0] + 0.0, candidate.values))


def joined(space: SearchSpace, points: Sequence[Spelt]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return points as bits, (n, epochs, columns), and values, (n, parameters)."""
    states = np.array([states for states, _ in points], dtype=np.int64)
    values = np.array([values for _, values in points], dtype=np.float64)
    n = len(points)
    bits = space.bits_of(states.reshape(n, space.epochs, len(space.levers)))
    return bits, values.reshape(n, len(space.parameters))
