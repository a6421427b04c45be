"""The use phase: units in use by vintage and class, with a discretised lifetime, and units that hibernate after use.

Sales of the current vintage are followed month by month (the exact head); when it closes they merge into one.
Outflow is the remaining stock times a hazard made of differences of the lifetime's distribution function, so that no
mass is created or lost. Sales before the horizon enter as one precomputed remaining stock per month.
"""

import copy
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue import Archetype
from sim_core.engine.layout import Layout
from sim_core.engine.lifetime import hazard, survival, vintage_hazard
from sim_core.units import MONTHS_PER_YEAR, parse_month

_CONSTANT = ("durable", "_head", "_closed", "_at_once")  # arrays without an axis of cells


class UsePhase:
    """Units in use of B cells in K markets by product and class, (K, P, C, B), for each month or vintage of sale.

    hibernating: units out of use that their owners keep, (K, P, C, B).
    """

    def __init__(self, layout: Layout, start_demand: NDArray[np.float64]) -> None:
        """Start with what is left of past sales. start_demand: (K, P, B) of the first period, units."""
        suite, products = layout.suite, layout.products
        merged = suite.vintage_periods
        shape = (start_demand.shape[0], len(products.archetypes), products.classes, start_demand.shape[-1])
        self._merged = merged
        self.durable = np.array([[float(a.lifetime != "none")] for a in products.archetypes])  # (P, 1)
        self._head, self._closed, at_once = hazards(layout)
        self._at_once = at_once[:, :, None]
        self._recent = np.zeros((merged, *shape))
        self._vintages = np.zeros((-(-suite.periods // merged), *shape))
        self._easy = np.zeros((len(self._vintages), *start_demand.shape[1:]))
        self._easy_units = np.zeros((2, *start_demand.shape[1:]))  # this vintage: easy to disassemble, all
        self._failed = np.zeros(shape)  # left as they were sold; they come back next month
        self._position = 0
        self._past = past_sales_left(layout)[:, None, :, None] * start_demand[None]  # (T + 1, K, P, B)
        self.hibernating = np.zeros(shape)
        self.easy_share = np.zeros(start_demand.shape[1:])  # (P, B) of this month's outflow

    def outflow(self, t: int) -> NDArray[np.float64]:
        """Remove and return the units that reach their end of life in period t: (K, P, C, B)."""
        block, month = divmod(t, self._merged)
        if month == 0 and block > 0:
            self._close(block - 1)
        left = self._failed.copy()
        self._failed[...] = 0.0
        left[:, :, 0] += self._past[t] - self._past[t + 1]
        leaving = self._recent[:month] * self._head[:month][::-1, None, :, :, None]
        self._recent[:month] -= leaving
        left += leaving.sum(axis=0)
        since = t - self._merged * np.arange(1, block + 1)
        leaving = self._vintages[:block] * self._closed[since][:, None, :, :, None]
        self._vintages[:block] -= leaving
        total = left + leaving.sum(axis=0)
        easy = (leaving[:, :, :, 0].sum(axis=1) * self._easy[:block]).sum(axis=0)  # only new units were made so
        out = total.sum(axis=(0, 2))
        self.easy_share = easy / np.where(out > 0.0, out, 1.0)
        self._position = t + 1
        return total

    def hibernate(
        self, out: NDArray[np.float64], share: NDArray[np.float64], release: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Put a share (P, 1) of what left use away; return what is offered: the rest and a share of what was kept."""
        leaving = self.hibernating * release[:, None]
        kept = out * share[:, None]
        self.hibernating += kept - leaving
        return out - kept + leaving

    def sell(self, t: int, sold: NDArray[np.float64], easy: NDArray[np.float64]) -> None:
        """Add the units sold in period t, (K, P, C, B). easy: (B,) share of new ones made for disassembly.

        Products without a lifetime are consumed: they leave with the sale.
        """
        sold = sold * self.durable[:, None]
        at_once = sold * self._at_once
        self._failed += at_once
        self._recent[t % self._merged] += sold - at_once
        new = sold[:, :, 0].sum(axis=0)
        self._easy_units[0] += new * easy
        self._easy_units[1] += new

    def of_cell(self, cell: int) -> "UsePhase":
        """Return a copy that holds one cell alone and may be run on."""
        own = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and name not in _CONSTANT:
                setattr(own, name, value[..., cell : cell + 1].copy())
        return own

    def any_easy(self) -> bool:
        """Return whether any unit that is sold was made easy to take apart."""
        return bool(self._easy.any() or self._easy_units[0].any())

    def in_use(self) -> NDArray[np.float64]:
        """Return the units in use by product, (P, B)."""
        closed = self._vintages[: self._position // self._merged]
        stock = self._recent.sum(axis=(0, 1, 3)) + closed.sum(axis=(0, 1, 3))
        return stock + self._past[self._position].sum(axis=0)

    def total(self) -> NDArray[np.float64]:
        """Return all units with their users by product, (P, B): in use, just failed and hibernating."""
        return self.in_use() + self._failed.sum(axis=(0, 2)) + self.hibernating.sum(axis=(0, 2))

    def _close(self, block: int) -> None:
        self._vintages[block] = self._recent.sum(axis=0)
        self._recent[...] = 0.0
        easy, units = self._easy_units
        self._easy[block] = easy / np.where(units > 0.0, units, 1.0)
        self._easy_units[...] = 0.0


def hazards(layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what share of remaining units leaves: by age in the open vintage, (merged, P, C), by age of a closed one,
    (periods, P, C), and as they are sold, (P, C).
    """
    merged, periods = layout.suite.vintage_periods, layout.suite.periods
    head = _by_class(layout, lambda a, life: hazard(survival(a, life, np.arange(merged + 1.0))))
    closed = _by_class(layout, lambda a, life: vintage_hazard(a, life, periods, merged))
    at_once = _by_class(layout, lambda a, life: 1.0 - survival(a, life, np.zeros(1)))
    return head, closed, at_once[0]


def past_sales_left(layout: Layout) -> NDArray[np.float64]:
    """Return what is left in use of sales before the horizon, per unit of start demand: (periods + 1, P).

    Past sales grew at a constant rate from the first year of the product's history to the start demand.
    """
    suite, columns = layout.suite, list[NDArray[np.float64]]()
    later = np.arange(suite.periods + 1, dtype=np.float64)[None, :]
    for product in layout.products.archetypes:
        months = parse_month(suite.start) - int(product.value("history.first_year")) * MONTHS_PER_YEAR
        age = np.arange(1, max(0, months) + 1, dtype=np.float64)[:, None]
        sold = (1.0 + product.value("history.growth")) ** (-age / MONTHS_PER_YEAR)
        columns.append((sold * survival(product, 0, age + later)).sum(axis=0))
    return np.stack(columns, axis=1)


def _by_class(layout: Layout, read: Callable[[Archetype, int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return read(archetype, life) -> (n,) for every product and class, (n, P, C)."""
    products = layout.products
    rows = [[read(a, int(life)) for life in products.life] for a in products.archetypes]
    return np.moveaxis(np.array(rows), -1, 0)
