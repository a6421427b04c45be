"""The process generator, first version: a scenario is a recipe, its paths are recomputed wherever they are needed.

A recipe holds the family, the index and the revisions drawn around the real timeline; demand, prices and
disruptions follow from (suite seed, family, index) by counter-based randomness.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue import Archetype, LawRow, law
from sim_core.generate.families import RevisionRule, family
from sim_core.policy.instrument import PolicyInstrument, Revision
from sim_core.seeding import canonical_json, normal, scenario_number, uniform
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR, add_months, day, parse_month

_ADOPTION_MONTHS = 6  # longest time from a revision's announcement to its adoption (assumption)
_COUNTERFACTUAL_ON_DEMAND = ("CF-TARIFF",)  # in the timeline only where a family enacts it
_TARIFF_START_SPREAD = 120  # months over which a drawn tariff may start
_BASE_MONTH = "2026-01"  # when the catalogue's start values hold
_PRICE_FALLS_YEARS = 9.0  # pack prices fall until 2035
_NO_STEPS: tuple[tuple[int, float], ...] = ()
_NEVER = 1  # the ordinal of a day before any history
_TARIFF_MONTHS = (36, 144)  # how long a drawn tariff lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A revision drawn for one scenario: what it does to which instruments, and when. Days are ISO dates."""

    kind: str
    targets: tuple[str, ...]
    amount: float
    announced: str
    adopted: str
    ends: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A scenario on disk."""

    family: str
    index: int
    seed: int
    events: tuple[Event, ...]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a recipe from its JSON text."""
        value = json.loads(text)
        events = tuple(Event(**{**event, "targets": tuple(event["targets"])}) for event in value["events"])
        return cls(family=value["family"], index=value["index"], seed=value["seed"], events=events)

    def to_json(self) -> str:
        """Return the canonical JSON text (<= 1 KB)."""
        events = [
            {name: getattr(event, name) for name in Event.__slots__ if getattr(event, name)} for event in self.events
        ]
        return canonical_json({"family": self.family, "index": self.index, "seed": self.seed, "events": events})


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The exogenous paths of one scenario over T months; M materials, S suppliers, Y recyclers.

    demand: (T,) kWh of the region. virgin_price, external_price: (T, M) EUR/kg. external_capacity: (T, M) kg/month.
    carbon_price: (T,) EUR/t before the instrument's multiple. pack_price: (T,) EUR/kWh. collection_share: (T,) of
    end-of-life packs that reach collectors without a buy-back. supplier_available: (T, S), recycler_available: (T, Y)
    as shares of capacity.
    """

    demand: NDArray[np.float64]
    virgin_price: NDArray[np.float64]
    external_price: NDArray[np.float64]
    external_capacity: NDArray[np.float64]
    carbon_price: NDArray[np.float64]
    pack_price: NDArray[np.float64]
    collection_share: NDArray[np.float64]
    supplier_available: NDArray[np.float64]
    recycler_available: NDArray[np.float64]


def draw_recipe(suite: SuiteDefinition, name: str, index: int) -> Recipe:
    """Draw the revisions of scenario `index` of a family."""
    rules = family(name).rules
    draws = uniform(suite.seed, scenario_number(name, index), "events", 5, len(rules))
    events = [_draw_event(rule, draw) for rule, draw in zip(rules, draws, strict=True) if draw[0] < rule.probability]
    return Recipe(
        family=name, index=index, seed=suite.seed, events=tuple(sorted(events, key=lambda event: event.announced))
    )


def base_law() -> dict[str, tuple[LawRow, ...]]:
    """Return the catalogue's rows by instrument id, in order of date."""
    grouped: dict[str, list[LawRow]] = {}
    for row in law():
        grouped.setdefault(row.instrument, []).append(row)
    return {key: tuple(sorted(rows, key=lambda row: row.applies_on)) for key, rows in grouped.items()}


def instruments(recipe: Recipe) -> tuple[PolicyInstrument, ...]:
    """Return the scenario's instruments with all their revisions."""
    enacted = {target for event in recipe.events if event.kind == "enact" for target in event.targets}
    found: list[PolicyInstrument] = []
    for key, rows in base_law().items():
        if key in _COUNTERFACTUAL_ON_DEMAND and key not in enacted:
            continue
        events = [event for event in recipe.events if key in event.targets]
        found.append(_instrument(key, rows, events))
    return tuple(found)


def draw_paths(
    suite: SuiteDefinition, recipe: Recipe, archetype: Archetype, *, suppliers: int, recyclers: int
) -> Paths:
    """Recompute a scenario's exogenous paths."""
    number, periods = scenario_number(recipe.family, recipe.index), suite.periods
    level = uniform(suite.seed, number, "levels", 8, 1)[0]
    years = _years(suite)
    demand = _demand(suite, number, archetype, level)
    base = np.array(archetype.by_material("price"))
    virgin = base * np.exp(_reverting(suite, number, archetype, "virgin price", len(base)))
    virgin *= _price_jump(recipe, level, years * MONTHS_PER_YEAR)[:, None]
    premium = archetype.value("external.premium") * np.exp(
        _reverting(suite, number, archetype, "external premium", len(base))
    )
    use_2031 = mean_demand(archetype, 5.5) * np.array(archetype.by_material("bom"))
    capacity = (
        archetype.value("external.capacity")
        * (0.5 + level[0])
        * use_2031
        * (1.0 + archetype.value("external.growth") * years)[:, None]
    )
    return Paths(
        demand=demand,
        virgin_price=virgin,
        external_price=virgin * (1.0 + premium),
        external_capacity=capacity,
        carbon_price=_carbon_price(suite, number, archetype),
        pack_price=_pack_price(suite, archetype),
        collection_share=np.full(periods, _spread(archetype, "collection.share", level[1])),
        supplier_available=_available(suite, number, archetype, "supplier outage", suppliers),
        recycler_available=_available(suite, number, archetype, "recycler outage", recyclers),
    )


def mean_demand(
    archetype: Archetype, years: float | NDArray[np.float64], *, shift: float = 0.0, top: float = 1.0
) -> NDArray[np.float64]:
    """Return the trend of regional demand `years` after the start, kWh/month: logistic growth.

    shift: years by which the midpoint moves; top: factor on the saturation level.
    """
    start, saturation = archetype.value("demand.start"), archetype.value("demand.saturation") * top
    middle, width = archetype.value("demand.midpoint") + shift, archetype.value("demand.width")
    logistic = 1.0 / (1.0 + np.exp(-(np.asarray(years) - middle) / width))
    at_start = 1.0 / (1.0 + np.exp(middle / width))
    return start + (saturation - start) * (logistic - at_start) / (1.0 - at_start)


def _draw_event(rule: RevisionRule, draw: NDArray[np.float64]) -> Event:
    low, high = rule.amount
    amount = float(low + (high - low) * draw[1])
    lead = round(rule.lead_months[0] + (rule.lead_months[1] - rule.lead_months[0]) * float(draw[2]))
    base = base_law()[rule.targets[0]]
    step = base[min(1, len(base) - 1)] if rule.kind == "freeze" else base[0]
    in_force, ends = day(step.applies_on), ""
    if rule.kind == "enact":
        in_force = add_months(in_force, round(_TARIFF_START_SPREAD * float(draw[3])))
        ends = _iso(
            add_months(in_force, round(_TARIFF_MONTHS[0] + (_TARIFF_MONTHS[1] - _TARIFF_MONTHS[0]) * float(draw[4])))
        )
    elif rule.kind == "repeal":
        in_force = add_months(in_force, round(amount))
    announced = add_months(in_force, -lead)
    adopted = add_months(announced, min(_ADOPTION_MONTHS, lead // 2))
    if rule.kind in ("enact", "repeal"):
        adopted = in_force
    return Event(
        kind=rule.kind,
        targets=rule.targets,
        amount=round(amount, 6),
        announced=_iso(announced),
        adopted=_iso(adopted),
        ends=ends,
    )


def _instrument(key: str, rows: Sequence[LawRow], events: Sequence[Event]) -> PolicyInstrument:
    steps = tuple((day(row.applies_on), row.value) for row in rows)
    first = rows[0]
    revisions = [Revision(announced=day(first.announced_on), adopted=day(first.adopted_on), steps=steps)]
    if any(event.kind == "enact" for event in events):  # not law today: nothing is announced before the event
        revisions = [Revision(announced=_NEVER, adopted=_NEVER, steps=_NO_STEPS)]
    for event in events:
        base = steps if event.kind == "enact" else revisions[-1].steps
        revised = _REVISE[event.kind](base, event, day(event.adopted))
        announced = max(day(event.announced), revisions[-1].announced)
        adopted = max(day(event.adopted), announced, revisions[-1].adopted)
        revisions.append(Revision(announced=announced, adopted=adopted, steps=revised))
    return PolicyInstrument(
        id=key,
        name=first.name,
        type=first.type,
        material=first.material,
        process=first.process,
        window=first.window,
        eligible_origins=tuple(part for part in first.eligible_origin.split("+") if part),
        basis=first.basis,
        revisions=tuple(revisions),
    )


_Steps = tuple[tuple[int, float], ...]


def _delay(steps: _Steps, event: Event, adopted: int) -> _Steps:
    return tuple(
        (first if first <= adopted else add_months(first, round(event.amount)), value) for first, value in steps
    )


def _scale(steps: _Steps, event: Event, adopted: int) -> _Steps:
    return tuple((first, value if first <= adopted else min(1.0, value * event.amount)) for first, value in steps)


def _until(steps: _Steps, last: int) -> _Steps:
    return tuple(step for step in steps if step[0] <= last)


def _freeze(steps: _Steps, _event: Event, adopted: int) -> _Steps:
    return _until(steps, adopted)


def _repeal(steps: _Steps, _event: Event, adopted: int) -> _Steps:
    return (*_until(steps, adopted - 1), (adopted, 0.0))


def _enact(steps: _Steps, event: Event, adopted: int) -> _Steps:
    return ((adopted, steps[0][1] * event.amount), (day(event.ends), 0.0))


_REVISE = {"delay": _delay, "tighten": _scale, "weaken": _scale, "freeze": _freeze, "repeal": _repeal, "enact": _enact}


def _iso(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _spread(archetype: Archetype, name: str, u: float) -> float:
    """Draw an uncertain parameter from a triangular distribution over its range with its value as mode."""
    entry = archetype.parameters[name]
    if entry.low is None or entry.high is None or entry.high <= entry.low:
        return entry.value
    cut = (entry.value - entry.low) / (entry.high - entry.low)
    if u < cut:
        return float(entry.low + np.sqrt(u * (entry.high - entry.low) * (entry.value - entry.low)))
    return float(entry.high - np.sqrt((1.0 - u) * (entry.high - entry.low) * (entry.high - entry.value)))


def _years(suite: SuiteDefinition) -> NDArray[np.float64]:
    """Return years since the catalogue's base date of each period."""
    return (parse_month(suite.start) - parse_month(_BASE_MONTH) + np.arange(suite.periods)) / MONTHS_PER_YEAR


def _demand(
    suite: SuiteDefinition, number: int, archetype: Archetype, level: NDArray[np.float64]
) -> NDArray[np.float64]:
    years = _years(suite)
    trend = mean_demand(archetype, years, shift=2.0 * (level[2] - 0.5), top=0.8 + 0.4 * level[3])
    season = 1.0 + archetype.value("demand.season") * np.sin(2.0 * np.pi * (years + 0.25))
    sigma = archetype.value("demand.volatility")
    shocks = normal(suite.seed, number, "demand", 1, suite.periods)[:, 0]
    persistence = archetype.value("demand.persistence")
    noise = _autoregressive(persistence, np.sqrt(1.0 - persistence**2) * sigma * shocks)
    return trend * season * np.exp(noise - 0.5 * sigma**2)


def _reverting(
    suite: SuiteDefinition, number: int, archetype: Archetype, stream: str, columns: int
) -> NDArray[np.float64]:
    """Return logs of mean-reverting prices, (T, columns): an Ornstein-Uhlenbeck process from 0, discretised exactly."""
    decay = np.exp(-archetype.value("price.reversion") / MONTHS_PER_YEAR)
    spread = archetype.value("price.volatility") / np.sqrt(2.0 * archetype.value("price.reversion"))
    shocks = normal(suite.seed, number, stream, columns, suite.periods) * spread * np.sqrt(1.0 - decay**2)
    return _autoregressive(float(decay), shocks) - 0.5 * spread**2


def _autoregressive(decay: float, shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x with x[t] = decay x[t - 1] + shocks[t], x[-1] = 0, along the first axis.

    scipy.signal has this filter, at more than a second of import time for every start of the command.
    """
    path = shocks.copy()
    for t in range(1, len(path)):
        path[t] += decay * path[t - 1]
    return path


def _price_jump(recipe: Recipe, level: NDArray[np.float64], months: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = family(recipe.family).price_shock
    factor = np.exp(np.log(low) + (np.log(high) - np.log(low)) * level[4])
    return np.where(months >= round(24 + 144 * level[5]), factor, 1.0)


def _carbon_price(suite: SuiteDefinition, number: int, archetype: Archetype) -> NDArray[np.float64]:
    sigma = archetype.value("carbon_price.volatility")
    shocks = normal(suite.seed, number, "carbon price", 1, suite.periods)[:, 0]
    decay = np.exp(-archetype.value("carbon_price.reversion") / MONTHS_PER_YEAR)
    log = _autoregressive(float(decay), sigma / np.sqrt(MONTHS_PER_YEAR) * shocks)
    drift = archetype.value("carbon_price.drift") * _years(suite)
    return archetype.value("carbon_price.start") * np.exp(drift + log)


def _pack_price(suite: SuiteDefinition, archetype: Archetype) -> NDArray[np.float64]:
    falling = np.clip(_years(suite), 0.0, _PRICE_FALLS_YEARS)
    return archetype.value("pack.price") * (1.0 - archetype.value("pack.price_decline")) ** falling


def _available(
    suite: SuiteDefinition, number: int, archetype: Archetype, stream: str, columns: int
) -> NDArray[np.float64]:
    """Return availabilities (T, columns): outages start at a constant hazard and last a geometric number of months."""
    starts = (
        uniform(suite.seed, number, stream, columns, suite.periods)
        < archetype.value("disruption.rate") / MONTHS_PER_YEAR
    )
    lasts = uniform(suite.seed, number, f"{stream} length", columns, suite.periods)
    mean = archetype.value("disruption.months")
    length = (
        1 + np.floor(np.log(lasts) / np.log(1.0 - 1.0 / mean)).astype(np.int64)
        if mean > 1.0
        else np.ones_like(lasts, dtype=np.int64)
    )
    rows = np.arange(suite.periods)[:, None]
    until = np.maximum.accumulate(np.where(starts, rows + length, 0), axis=0)
    return np.where(rows < until, archetype.value("disruption.availability"), 1.0)
