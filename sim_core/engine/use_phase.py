"""The use phase: units in use by vintage and life, with a discretised Weibull lifetime.

Sales of the current year are followed month by month (the exact head); at the year's end they merge into one yearly
vintage. Outflow is the remaining stock times a hazard made of differences of the lifetime's distribution function,
so that no mass is created or lost. Sales before the horizon enter as one precomputed remaining stock per month.
"""

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import LIVES, Layout
from sim_core.units import MONTHS_PER_YEAR, parse_month


def survival(shape: float, scale_months: float, ages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 - F(age) of a Weibull lifetime; ages in months, 1.0 below age 0."""
    return np.exp(-((np.maximum(ages, 0.0) / scale_months) ** shape))


class Lifetime:
    """Monthly hazards. head: by age in months. vintage: of a year's even sales, by months since the year's end.

    A hazard is the share of what is left at the start of a month that leaves in that month.
    """

    def __init__(self, shape: float, scale_years: float, months: int) -> None:
        scale = scale_years * MONTHS_PER_YEAR
        ages = np.arange(months + MONTHS_PER_YEAR + 1, dtype=np.float64)
        left = survival(shape, scale, ages)
        self.head = _hazard(left)
        cohorts = [left[offset : offset + months + 1] for offset in range(MONTHS_PER_YEAR)]
        even = sum(cohorts[1:], cohorts[0].copy()) / MONTHS_PER_YEAR
        self.vintage = _hazard(even)


def _hazard(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of what is left that leaves in each month; 1 where nothing is left."""
    return 1.0 - np.divide(left[1:], left[:-1], out=np.zeros(len(left) - 1), where=left[:-1] > 0.0)


class UsePhase:
    """Units in use of B cells in K markets: this year's sales by month, (12, K, LIVES, B), and (years, K, LIVES, B)."""

    def __init__(self, layout: Layout, start_demand: NDArray[np.float64]) -> None:
        """Start with the remaining stock of past sales. start_demand: (B,) regional demand of the first period, kWh."""
        periods, cells = layout.suite.periods, len(start_demand)
        markets = len(layout.market_share)
        years = -(-periods // MONTHS_PER_YEAR)
        self._lifetime = Lifetime(layout.value("lifetime.shape"), layout.value("lifetime.scale"), periods)
        self._recent = np.zeros((MONTHS_PER_YEAR, markets, LIVES, cells))
        self._vintages = np.zeros((years, markets, LIVES, cells))
        start_level = layout.market_share[:, None] * start_demand
        self._position = 0
        self._past = past_sales_left(layout)[:, None, None] * start_level[None]

    def outflow(self, t: int) -> NDArray[np.float64]:
        """Remove and return the units that reach their end of life in period t: (K, LIVES, B) kWh."""
        month, year = t % MONTHS_PER_YEAR, t // MONTHS_PER_YEAR
        if month == 0 and year > 0:
            self._vintages[year - 1] = self._recent.sum(axis=0)
            self._recent[...] = 0.0
        left = np.zeros(self._recent.shape[1:])
        left[:, 0] += self._past[t] - self._past[t + 1]
        for bucket in range(month):
            leaving = self._recent[bucket] * self._lifetime.head[month - bucket - 1]
            self._recent[bucket] -= leaving
            left += leaving
        leaving = (
            self._vintages[:year]
            * self._lifetime.vintage[t - MONTHS_PER_YEAR * np.arange(1, year + 1)][:, None, None, None]
        )
        self._vintages[:year] -= leaving
        left += leaving.sum(axis=0)
        self._position = t + 1
        return left

    def sell(self, t: int, sold: NDArray[np.float64]) -> None:
        """Add the units sold in period t: (K, LIVES, B) kWh. They may leave from the next period on."""
        self._recent[t % MONTHS_PER_YEAR] += sold

    def total(self) -> NDArray[np.float64]:
        """Return all units in use: (B,) kWh."""
        cells = self._recent.shape[-1]
        recent = self._recent.reshape(-1, cells).sum(axis=0)
        return recent + self._vintages.reshape(-1, cells).sum(axis=0) + self._past[self._position].sum(axis=0)


def past_sales_left(layout: Layout) -> NDArray[np.float64]:
    """Return what is left in use of sales before the horizon, per kWh/month of start demand: (periods + 1,).

    Past sales grew at a constant rate from the first year of the product's history to the start demand.
    """
    suite = layout.suite
    months = parse_month(suite.start) - int(layout.value("history.first_year")) * MONTHS_PER_YEAR
    age = np.arange(1, months + 1, dtype=np.float64)[:, None]
    sold = (1.0 + layout.value("history.growth")) ** (-age / MONTHS_PER_YEAR)
    later = np.arange(suite.periods + 1, dtype=np.float64)[None, :]
    scale = layout.value("lifetime.scale") * MONTHS_PER_YEAR
    return (sold * survival(layout.value("lifetime.shape"), scale, age + later)).sum(axis=0)
