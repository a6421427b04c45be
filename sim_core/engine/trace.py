"""Trace: named series of a simulation by period, for tests, exports and comparisons between engines."""

import numpy as np
from numpy.typing import NDArray

# Flows of a period and stocks at its end, summed over nodes, products and classes; units unless said.
SERIES = (
    "demand",
    "served",  # from stock, by state of health
    "lost",
    "backlog",  # stock of demand that waits
    "goods_on_hand",  # stock at plants and warehouses
    "goods_in_transit",
    "ordered",  # by the goods points that serve markets, from upstream
    "produced",
    "sold",  # units that went into use
    "in_use",  # stock
    "ended_use",  # units that reached their end of life
    "collected",
    "reused",
    "remanufactured",
    "second_life",  # units sold into second use
    "cores",  # stock at remanufacturers
    "treated",  # units that recyclers processed
    "landfilled",
    "disposed",  # units that left uncollected, spent or without a way on
    "secondary",  # kg of material recovered
    "virgin",  # kg bought
    "external",  # kg bought
    "emissions",  # kgCO2e of processes
    "cost",  # EUR of the period, undiscounted, terminal values left out
)


class Trace:
    """Series of B cells over T periods: `trace["demand"]` is (T, B)."""

    def __init__(self, periods: int, cells: int) -> None:
        self._values = {name: np.zeros((periods, cells)) for name in SERIES}

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._values[name]

    def add(self, name: str, t: int, value: NDArray[np.float64]) -> None:
        """Add to a series in period t, (B,). Raises KeyError for a name that is no series."""
        self._values[name][t] += value
