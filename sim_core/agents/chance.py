"""Chance: the random numbers of agents, and how real quantities become whole units without bias.

The numbers come from streams of their own (Philox 4x64, counter-based), keyed by suite seed, scenario, replication,
purpose and period: a step that draws more or less than before leaves all other steps' numbers as they were. The shocks
that agents share with the expected-flow engine are not here: they are the scenario's paths.
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

_BEFORE = 2**32  # counters are not negative, periods before the horizon are
_NO_BUFFER = np.zeros(4, dtype=np.uint64)


class Chance:
    """The random numbers of one replication."""

    def __init__(self, *, seed: int, scenario: int, replication: int) -> None:
        """seed: of the suite; scenario: its 64-bit number; replication: 0, 1, ..."""
        words = hashlib.sha256(f"agents/{seed}/{scenario}/{replication}".encode()).digest()
        self._key = np.frombuffer(words[:16], dtype=np.uint64)
        self._draws: dict[str, np.random.Generator] = {}

    def of(self, purpose: str, t: int) -> np.random.Generator:
        """Return the generator of a purpose, set to the start of period t: the same pair gives the same numbers again.

        There is one generator a purpose: a new period takes it away from the last.
        """
        if purpose not in self._draws:
            self._draws[purpose] = np.random.Generator(np.random.Philox(0))
        draw = self._draws[purpose]
        # Ten times as fast as a new generator.
        draw.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": np.array([0, t + _BEFORE, _word(purpose), 0], dtype=np.uint64), "key": self._key},
            "buffer": _NO_BUFFER,
            "buffer_pos": len(_NO_BUFFER),
            "has_uint32": 0,
            "uinteger": 0,
        }
        return draw


@cache
def _word(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


def whole(amount: float, draw: np.random.Generator) -> int:
    """Return an amount >= 0 rounded up with the probability of its fraction: E = amount, never above its ceiling."""
    down = int(amount)
    return down + int(draw.random() < amount - down)


def whole_parts(amounts: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.int64]:
    """Return whole parts, each E = amount, each and their sum within 1 of it (systematic rounding).

    One uniform shifts a comb of unit steps over the running sum of the amounts; a part is the number of teeth in it.
    """
    edges = np.floor(np.cumsum(amounts) + draw.random())
    return np.diff(edges, prepend=0.0).astype(np.int64)


def spread(number: int, shares: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.int64]:
    """Return how many of `number` units choose each of the shares (which add up to 1), each unit for itself."""
    if len(shares) == 1:
        return np.array([number], dtype=np.int64)
    return draw.multinomial(number, shares / shares.sum())


def choose(number: int, size: int, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask over `size` units that picks `number` of them, every set with the same probability."""
    picked = np.zeros(size, dtype=np.bool_)
    if number >= size:
        picked[:] = True
    elif number:
        picked[draw.choice(size, number, replace=False, shuffle=False)] = True
    return picked
