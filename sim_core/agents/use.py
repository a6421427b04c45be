"""The use phase of agents: every unit draws, when it is sold, the month in which it will leave.

A lifetime is drawn by inverting the survival function at whole months, so that a unit of age a leaves in the coming
month with the hazard of that age. Sales before the horizon are thinned to those that are still in use.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.passport import Ids, Units
from sim_core.agents.pool import Pool, join, pools
from sim_core.agents.states import LifeEvent
from sim_core.engine.layout import Layout
from sim_core.engine.lifetime import survival
from sim_core.units import MONTHS_PER_YEAR, parse_month

Parcel = tuple[int, int, Ids]  # market, product, units
_Stay = tuple[NDArray[np.int64], NDArray[np.int64], Ids]  # markets, periods of leaving, units
_Whereabouts = tuple[NDArray[np.int64], Ids]  # markets, units


class InUse:
    """Units with their users. stock: units in use by product; those that failed as they were sold are not in use."""

    def __init__(self, layout: Layout, units: Units) -> None:
        products, markets = layout.products, len(layout.market_share)
        self._units = units
        self._periods = layout.suite.periods
        ages = np.arange(self._periods + 1, dtype=np.float64)
        self._left = [[survival(a, int(life), ages) for life in products.life] for a in products.archetypes]
        self._markets = markets
        self._new: list[list[_Stay]] = [[] for _ in products.archetypes]  # not yet filed, by product
        self._leaving: dict[int, list[tuple[int, _Whereabouts]]] = defaultdict(list)  # by period: product, who
        self._failed: dict[int, list[Parcel]] = defaultdict(list)
        self.stock = np.zeros(len(products.archetypes), dtype=np.int64)
        self.asleep: list[list[Pool]] = pools(markets, len(products.archetypes))

    def found(self, layout: Layout, demand: NDArray[np.float64], places: list[int], draw: np.random.Generator) -> None:
        """Bring in what is left in use of the sales before the horizon. demand: (K, P) units of the first period."""
        start = parse_month(layout.suite.start)
        for p, product in enumerate(layout.products.archetypes):
            months = max(0, start - int(product.value("history.first_year")) * MONTHS_PER_YEAR)
            age = np.arange(1, months + 1)
            left = survival(product, 0, np.arange(months + self._periods + 1, dtype=np.float64))
            level = (1.0 + product.value("history.growth")) ** (-age / MONTHS_PER_YEAR) * left[age]
            for market, place in enumerate(places):
                still = draw.poisson(demand[market, p] * level)
                ages = np.repeat(age, still)
                ids = self._units.create(
                    LifeEvent.FOUND_IN_USE, len(ages), t=0, product=p, place=place, born=(-ages).astype(np.int32)
                )
                lasts = _whole_months(left, draw.random(len(ages)) * left[ages]) - ages
                self._keep(market, p, ids, np.maximum(0, lasts), 0)

    def sell(self, t: int, market: int, product: int, ids: Ids, draw: np.random.Generator) -> None:
        """Put units sold in period t into use, each for the lifetime of its class. They leave from t + 1 on."""
        category = self._units.category[ids]
        for c in np.unique(category):
            mine, left = ids[category == c], self._left[product][c]
            u = draw.random(len(mine))
            broken = u >= left[0]
            if broken.any():
                self._failed[t + 1].append((market, product, mine[broken]))
                mine, u = mine[~broken], u[~broken]
            self._keep(market, product, mine, _whole_months(left, u), t + 1)

    def outflow(self, t: int) -> list[Parcel]:
        """Return the units whose use ends in period t."""
        self._file()
        parcels = self._failed.pop(t, [])
        for product, (markets, ids) in self._leaving.pop(t, []):
            self.stock[product] -= len(ids)
            parcels += [(m, product, part) for m, part in _split(markets, ids, np.arange(self._markets)) if len(part)]
        together: dict[tuple[int, int], list[Ids]] = defaultdict(list)
        for market, product, ids in parcels:
            together[market, product].append(ids)
        return [(market, product, join(parts)) for (market, product), parts in together.items()]

    def hibernate(
        self, ended: list[Parcel], share: NDArray[np.float64], release: NDArray[np.float64], draw: np.random.Generator
    ) -> tuple[list[Parcel], Ids]:
        """Put a share of what ended away, wake a share of what was kept; return what is offered, and what was put away.

        share, release: (P,).
        """
        woken: list[Parcel] = []
        for market, row in enumerate(self.asleep):
            for product, pool in enumerate(row):
                if len(pool):
                    ids = pool.take_where(draw.random(len(pool)) < release[product])
                    woken.append((market, product, ids))
        offered, kept = list[Parcel](), list[Ids]()
        for market, product, ids in ended:
            sleeps = draw.random(len(ids)) < share[product] if share[product] > 0.0 else np.zeros(len(ids), bool)
            self.asleep[market][product].add(ids[sleeps])
            kept.append(ids[sleeps])
            offered.append((market, product, ids[~sleeps]))
        return [*offered, *woken], join(kept)

    def _keep(self, market: int, product: int, ids: Ids, months: NDArray[np.int64], first: int) -> None:
        """Note that units leave `months` after the first period in which they may."""
        self.stock[product] += len(ids)
        self._new[product].append((np.full(len(ids), market), months + first, ids))

    def _file(self) -> None:
        """File all new units under the period in which they leave."""
        for product, stays in enumerate(self._new):
            if not stays:
                continue
            markets, when, ids = (np.concatenate(column) for column in zip(*stays, strict=True))
            stays.clear()
            periods = np.arange(self._periods)
            for (period, some), (_, places) in zip(
                _split(when, ids, periods), _split(when, markets, periods), strict=True
            ):
                if len(some):
                    self._leaving[period].append((product, (places, some)))


def _split(keys: NDArray[np.int64], values: NDArray[np.int64], wanted: NDArray[np.int64]) -> Iterator[tuple[int, Ids]]:
    """Return the values of each wanted key."""
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts, ends = np.searchsorted(keys, wanted, side="left"), np.searchsorted(keys, wanted, side="right")
    for key, start, end in zip(wanted.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield key, values[start:end]


def _whole_months(left: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many whole months a unit lasts that has drawn u: the ages a >= 1 with survival above u."""
    return np.searchsorted(-left[1:], -u, side="left").astype(np.int64)
