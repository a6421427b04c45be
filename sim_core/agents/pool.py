"""Pools: the units that lie in one place, from which some are taken without preference."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.chance import choose
from sim_core.agents.passport import Ids

NONE: Ids = np.zeros(0, dtype=np.int64)


class Pool:
    """Unit numbers, in the order in which they came."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids = NONE

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Ids:
        """The units."""
        return self._ids

    def add(self, ids: Ids) -> None:
        """Put units in."""
        if len(ids):
            self._ids = np.concatenate([self._ids, ids]) if len(self._ids) else ids

    def take(self, number: int, draw: np.random.Generator) -> Ids:
        """Take out `number` units (or all there are), every one with the same chance."""
        if number <= 0:
            return NONE
        if number >= len(self._ids):
            taken, self._ids = self._ids, NONE
            return taken
        return self.take_where(choose(number, len(self._ids), draw))

    def take_where(self, picked: NDArray[np.bool_]) -> Ids:
        """Take out the units of a mask."""
        taken, self._ids = self._ids[picked], self._ids[~picked]
        return taken


def pools(places: int, products: int) -> list[list[Pool]]:
    """Return empty pools by place and product."""
    return [[Pool() for _ in range(products)] for _ in range(places)]


def sizes(stock: list[list[Pool]], products: int) -> NDArray[np.float64]:
    """Return how many units lie in each pool, (places, products)."""
    return np.array([[len(pool) for pool in row] for row in stock], dtype=np.float64).reshape(len(stock), products)


def join(parts: Iterable[Ids]) -> Ids:
    """Return several groups of units as one."""
    some = [part for part in parts if len(part)]
    return np.concatenate(some) if some else NONE
