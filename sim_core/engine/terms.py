"""Terms: the exogenous numbers of one period for every cell, gathered from the scenarios of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.scenario import Scenario

_PURCHASE_MONTHS = 6  # how far ahead a plant's purchasing reads announced duties
_STOCK_AHEAD_MONTHS = 30  # how far ahead it reads them while the stock-ahead lever is on


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is given in a period. B cells last; units as in Paths and PolicyTimeline. route_legal: 0.0 or 1.0."""

    demand: NDArray[np.float64]
    virgin_price: NDArray[np.float64]
    external_price: NDArray[np.float64]
    external_capacity: NDArray[np.float64]
    carbon_price: NDArray[np.float64]
    pack_price: NDArray[np.float64]
    collection_share: NDArray[np.float64]
    supplier_available: NDArray[np.float64]
    recycler_available: NDArray[np.float64]
    duty: NDArray[np.float64]
    duty_soon: NDArray[np.float64]
    duty_ahead: NDArray[np.float64]
    route_legal: NDArray[np.float64]
    tariff: NDArray[np.float64]


class TermsTable:
    """All periods' terms of a batch: one row a scenario, gathered to cells period by period."""

    def __init__(self, scenarios: Sequence[Scenario], rows: NDArray[np.intp]) -> None:
        """scenarios: the distinct ones; rows: (B,) the scenario of each cell."""
        self._rows = rows
        self._paths = {
            name: np.stack([getattr(scenario.paths, name) for scenario in scenarios], axis=-1)
            for name in Terms.__slots__
            if hasattr(scenarios[0].paths, name) and name != "carbon_price"
        }
        laws = [scenario.timeline for scenario in scenarios]
        ahead = np.stack([law.announced_duty for law in laws], axis=-1)
        self._paths["carbon_price"] = np.stack(
            [scenario.paths.carbon_price * scenario.timeline.carbon_multiple for scenario in scenarios], axis=-1
        )
        self._paths["duty"] = np.stack([law.duty for law in laws], axis=-1)
        self._paths["duty_soon"] = ahead[:, :_PURCHASE_MONTHS].max(axis=1)
        self._paths["duty_ahead"] = ahead[:, :_STOCK_AHEAD_MONTHS].max(axis=1)
        self._paths["route_legal"] = np.stack([law.route_legal for law in laws], axis=-1).astype(np.float64)
        self._paths["tariff"] = np.stack([law.tariff for law in laws], axis=-1)
        self._announced_duty = ahead
        self._announced_legal = np.stack([law.announced_legal for law in laws], axis=-1)

    def at(self, t: int) -> Terms:
        """Return period t's terms."""
        return Terms(**{name: values[t][..., self._rows] for name, values in self._paths.items()})

    def announced_duty(self, t: int) -> NDArray[np.float64]:
        """Return the duty announced at the start of t for each coming month: (H, M, B)."""
        return self._announced_duty[t][..., self._rows]

    def announced_legal(self, t: int) -> NDArray[np.bool_]:
        """Return the route legality announced at the start of t for each coming month: (H, Q, B)."""
        return self._announced_legal[t][..., self._rows]
