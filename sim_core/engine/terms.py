"""Terms: the exogenous numbers of one period for every cell, gathered from the scenarios of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.scenario import Scenario

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is given in a period. B cells last; units as in Paths and PolicyTimeline; masks are 0.0 or 1.0."""

    demand: Array  # (K, P, B)
    virgin_price: Array  # (M, B)
    external_price: Array
    external_capacity: Array
    carbon_price: Array  # (B,) EUR/t
    product_price: Array  # (P, B)
    collection_share: Array  # (P, B)
    supplier_available: Array  # (S, B)
    plant_available: Array
    remanufacturer_available: Array
    recycler_available: Array
    virgin_open: Array  # (lanes, B)
    goods_open: Array
    collector_returns: Array  # (collectors, P, B)
    remanufacturer_returns: Array  # (R, P, B)
    theta: Array  # (obligations, B)
    in_force: Array  # (obligations, B) share of the month
    content_duty: Array  # (P, M, B)
    duty_soon: Array  # (P, M, B) the highest announced for the months that purchasing reads
    duty_ahead: Array  # likewise with stock-ahead
    route_legal: Array  # (Q, P, B)
    landfill_legal: Array  # (P, B)
    import_legal: Array  # (M, B)
    import_goods_legal: Array  # (P, B)
    production_legal: Array
    sale_legal: Array
    export_quota: Array
    tariff_departure: Array  # (M, B)
    tariff_entry: Array
    tariff_goods: Array  # (P, B)
    cbam: Array  # (M, B)
    landfill_tax: Array  # (P, B)
    epr_fee: Array
    subsidy_recycled: Array
    subsidy_reuse: Array
    traceability: Array
    emission_charge: Array  # (B,) EUR/t


_COMPUTED = ("duty_soon", "duty_ahead", "emission_charge")


class TermsTable:
    """All periods' terms of a batch: one row a scenario, gathered to cells period by period."""

    def __init__(self, layout: Layout, scenarios: Sequence[Scenario], rows: NDArray[np.intp]) -> None:
        """scenarios: the distinct ones; rows: (B,) the scenario of each cell."""
        self._rows = rows
        laws = [scenario.timeline for scenario in scenarios]
        self._paths: dict[str, Array] = {}
        for name in (field.name for field in fields(Terms) if field.name not in _COMPUTED):
            sources = [s.paths if hasattr(s.paths, name) else s.timeline for s in scenarios]
            stacked = np.stack([getattr(source, name) for source in sources], axis=-1)
            self._paths[name] = stacked.astype(np.float64)
        ahead = np.stack([law.announced_content_duty for law in laws], axis=-1)
        for name, months in (("duty_soon", "purchase.months"), ("duty_ahead", "purchase.ahead_months")):
            self._paths[name] = ahead[:, : int(layout.common(months))].max(axis=1)
        self._paths["emission_charge"] = np.stack(
            [s.paths.carbon_price * s.timeline.carbon_multiple + s.timeline.carbon_tax for s in scenarios], axis=-1
        )
        self._announced_duty = ahead.max(axis=2)  # a material's highest over products
        self._announced_collection = np.stack([_announced_collection(one) for one in scenarios], axis=-1)
        self._announced_legal = np.any(np.stack([law.announced_route_legal for law in laws], axis=-1), axis=3)

    @property
    def paths(self) -> Mapping[str, Array]:
        """All terms by name, (T, ..., scenarios)."""
        return self._paths

    def at(self, t: int) -> Terms:
        """Return period t's terms."""
        return Terms(**{name: values[t][..., self._rows] for name, values in self._paths.items()})

    def announced_duty(self, t: int) -> Array:
        """Return the duty announced at the start of t for each coming month: (H, M, B)."""
        return self._announced_duty[t][..., self._rows]

    def announced_legal(self, t: int) -> NDArray[np.bool_]:
        """Return the route legality announced at the start of t for each coming month: (H, Q, B)."""
        return self._announced_legal[t][..., self._rows]

    def announced_collection(self, t: int) -> Array:
        """Return the largest collection target announced at the start of t for each coming month: (H, B)."""
        return self._announced_collection[t][..., self._rows]


def _announced_collection(scenario: Scenario) -> Array:
    """Return the largest share that announced law wants collected, (T, H)."""
    columns = [column for column, duty in enumerate(scenario.obligations) if duty.type == "collection_target"]
    return scenario.timeline.announced_theta[..., columns].max(axis=-1, initial=0.0)
