"""Views: what a rolling-horizon controller takes the coming months to be, from knowing little to knowing all.

    myopic       the law of today stays as it is
    announced    the law comes as it is announced today
    law          the law comes as it will
    clairvoyant  so do demand, prices, outages and collection

The first three share one forecast. Demand: each market's own forecast, grown as the catalogue's trend grows from here,
times the season; a market with a process of its own, its forecast. Virgin prices and what external feed costs more
return from today's level to the catalogue's at `price.reversion`; the carbon price drifts; product prices fall as the
catalogue has them; the external market grows. All nodes are up, all lanes open, the share collected stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue import Archetype
from sim_core.engine.layout import Layout
from sim_core.engine.situation import Situation
from sim_core.engine.terms import Terms
from sim_core.generate.paths import Paths, mean_demand, price_fall, season, years_of
from sim_core.network import LaneGroup, NodeKind
from sim_core.policy.arithmetic import value_on
from sim_core.policy.instrument import PolicyInstrument, Revision
from sim_core.policy.timeline import PolicyTimeline, compile_timeline
from sim_core.policy.views import newest
from sim_core.units import month_start, parse_month

Array = NDArray[np.float64]
VIEWS = ("myopic", "announced", "law", "clairvoyant")
_GIVEN = tuple(field.name for field in fields(Paths))
_LAWS = tuple(field.name for field in fields(Terms) if field.name in PolicyTimeline.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """How a future leans away from the forecast. demand: its factor at the horizon's end, reached in a straight line.
    price: standard deviations by which the logarithm of virgin prices goes off, reached at their speed of reversion.
    """

    demand: float = 1.0
    price: float = 0.0


AS_FORECAST = Lean()


def terms_ahead(situation: Situation, cell: int, view: str, last: int) -> dict[str, Array]:
    """Return terms by name as a view has them for one engine cell up to period `last`, (last, ...).

    Months before the situation's are as they were.
    """
    if view in ("law", "clairvoyant"):
        scenario = situation.scenarios[situation.rows[cell]]
        law = _cut(scenario.timeline, situation.t, last)
    else:
        law = compiled(situation, cell, instruments_of(situation, cell, view), last)
    given = _given(situation, cell, last) if view == "clairvoyant" else forecast(situation, cell, last)
    return together(situation, cell, law, given)


def together(situation: Situation, cell: int, law: Mapping[str, Array], given: Mapping[str, Array]) -> dict[str, Array]:
    """Return terms, (last, ...), from coming law and paths, (last - t, ...), and the months that are over."""
    coming = {**law, **given}
    charge = coming["carbon_price"] * coming.pop("carbon_multiple") + coming.pop("carbon_tax")
    row = situation.rows[cell]
    found: dict[str, Array] = {}
    for name, values in {**coming, "emission_charge": charge}.items():
        past = situation.table.paths[name][: situation.t, ..., row]
        found[name] = np.ascontiguousarray(np.concatenate([past, values]))
    return found


def instruments_of(situation: Situation, cell: int, view: str) -> tuple[PolicyInstrument, ...]:
    """Return the instruments as a view has them from today on: each with the one revision that it expects to hold."""
    day = month_start(parse_month(situation.layout.suite.start) + situation.t)
    expect = _as_today if view == "myopic" else _as_announced
    found = (expect(one, day) for one in situation.scenarios[situation.rows[cell]].instruments)
    return tuple(one for one in found if one is not None)


def compiled(situation: Situation, cell: int, law: tuple[PolicyInstrument, ...], last: int) -> dict[str, Array]:
    """Return the law's part of terms, with carbon_multiple and carbon_tax, for the months [t, last)."""
    layout, t = situation.layout, situation.t
    owed = situation.scenarios[situation.rows[cell]].obligations
    first = parse_month(layout.suite.start)
    return _cut(compile_timeline(law, layout.facts, first + t, last - t, owed), 0, last - t)


def _cut(timeline: PolicyTimeline, first: int, last: int) -> dict[str, Array]:
    names = (*_LAWS, "carbon_multiple", "carbon_tax")
    return {name: getattr(timeline, name)[first:last].astype(np.float64) for name in names}


def _as_announced(instrument: PolicyInstrument, day: int) -> PolicyInstrument | None:
    """Return the instrument as its newest revision announced by a day has it; None where none is."""
    index = int(newest(instrument, np.array([day]), by="announced")[0])
    return replace(instrument, revisions=(instrument.revisions[index],)) if index >= 0 else None


def _as_today(instrument: PolicyInstrument, day: int) -> PolicyInstrument | None:
    """Return the instrument with the value that is law on a day, for ever; None where none is in force."""
    index = int(newest(instrument, np.array([day]), by="adopted")[0])
    if index < 0:
        return None
    law = instrument.revisions[index]
    now = [
        ((day, float(value_on(steps, np.array([day]), instrument.neutral)[0])),) for steps in (law.steps, *law.wider)
    ]
    kept = Revision(announced=law.announced, adopted=law.adopted, steps=now[0], wider=tuple(now[1:]))
    return replace(instrument, revisions=(kept,))


# ---- demand and prices


def _given(situation: Situation, cell: int, last: int) -> dict[str, Array]:
    """Return the paths as they will be in the months [t, last)."""
    row = situation.rows[cell]
    return {name: situation.table.paths[name][situation.t : last, ..., row] for name in _GIVEN}


def forecast(situation: Situation, cell: int, last: int, lean: Lean = AS_FORECAST) -> dict[str, Array]:
    """Return the forecast of all paths for the months [t, last), from what is known in the situation's month."""
    layout, t, row = situation.layout, situation.t, situation.rows[cell]
    now = {name: situation.table.paths[name][t, ..., row] for name in _PRICES}
    ahead = _Ahead(layout=layout, years=years_of(layout.suite, t, last), lean=lean)
    drift, falling = layout.products.common("carbon_price.drift"), price_fall(layout.products.archetypes, ahead.years)
    open_lanes = {LaneGroup.VIRGIN: "virgin_open", LaneGroup.GOODS: "goods_open"}
    virgin = ahead.reverting(now["virgin_price"], "price", lean.price)
    premium = now["external_price"] / now["virgin_price"] - 1.0
    return {
        "demand": ahead.demand(situation.under_way[0].forecast[..., cell]),
        "virgin_price": virgin,
        "external_price": virgin * (1.0 + ahead.reverting(premium, "external.premium", 0.0)),
        "external_capacity": now["external_capacity"] * ahead.external_growth(),
        "carbon_price": now["carbon_price"] * np.exp(drift * ahead.since),
        "product_price": now["product_price"] * falling / falling[0],
        "collection_share": np.tile(now["collection_share"], (last - t, 1)),
        **{f"{kind}_available": np.ones((last - t, layout.count[kind])) for kind in _UP},
        **{name: np.ones((last - t, layout.lanes[group].count)) for group, name in open_lanes.items()},
        **{f"{kind}_returns": ahead.returns(kind) for kind in (NodeKind.COLLECTOR, NodeKind.REMANUFACTURER)},
    }


_PRICES = (
    "virgin_price", "external_price", "external_capacity", "carbon_price", "product_price", "collection_share",
)  # fmt: skip
_UP = (NodeKind.SUPPLIER, NodeKind.PLANT, NodeKind.REMANUFACTURER, NodeKind.RECYCLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """The coming months, by years since the catalogue's base date, (T,)."""

    layout: Layout
    years: Array
    lean: Lean

    @property
    def since(self) -> Array:
        """Years from today, (T,)."""
        return self.years - self.years[0]

    def demand(self, level: Array) -> Array:
        """Return demand, (T, K, P), for the markets' forecast (K, P)."""
        archetypes = self.layout.products.archetypes
        trend = np.stack([mean_demand(one, self.years) / mean_demand(one, self.years[0]) for one in archetypes], axis=1)
        seasons = np.stack([season(one, self.years) for one in archetypes], axis=1)
        nodes = self.layout.network.nodes
        own = np.array([nodes[i].demand is not None for i in self.layout.targets[NodeKind.MARKET]])
        course = np.where(own[:, None], 1.0, (trend * seasons)[:, None])
        leaning = 1.0 + (self.lean.demand - 1.0) * np.arange(1, len(self.years) + 1) / len(self.years)
        return leaning[:, None, None] * course * level

    def reverting(self, value: Array, name: str, off: float) -> Array:
        """Return what returns from a value (M,) to the catalogue's, (T, M). off: standard deviations beside that."""
        owners = self._owners()
        if name == "price":
            base = self.layout.products.by_material("price")
        else:
            base = np.array([one.value(name) for one in owners])
        speed = np.array([one.value("price.reversion") for one in owners])
        sigma = np.array([one.value("price.volatility") for one in owners])
        speed = np.where(sigma > 0.0, speed, 1.0)
        kept = np.exp(-speed * self.since[:, None])
        some = (value > 0.0) & (base > 0.0)
        gap = np.log(np.divide(value, base, out=np.ones_like(base), where=some))
        return np.where(some, base, value) * np.exp(gap * kept + off * sigma / np.sqrt(2.0 * speed) * (1.0 - kept))

    def external_growth(self) -> Array:
        """Return the external market's size over today's, (T, M)."""
        rate = np.array([one.value("external.growth") for one in self._owners()])
        return (1.0 + rate * self.years[:, None]) / (1.0 + rate * self.years[0])

    def returns(self, kind: NodeKind) -> Array:
        """Return exogenous returns at the nodes of a kind by their means, (T, n, P)."""
        nodes = [self.layout.network.nodes[i] for i in self.layout.targets[kind]]
        mean = np.array([0.0 if node.returns is None else node.returns.expected for node in nodes]).reshape(-1, 1)
        return np.repeat((mean * self.layout.products.share)[None], len(self.years), axis=0)

    def _owners(self) -> list[Archetype]:
        archetypes = self.layout.products.archetypes
        return [next(one for one in archetypes if name in one.materials) for name in self.layout.facts.materials]
