"""Exogenous paths of a scenario: demand, prices, collection, outages and closed lanes, recomputed from its recipe.

Every number is a function of (suite seed, scenario, stream, node, period). A product's or node's place in the suite is
its node number, so that a product more, a node more or a longer horizon leaves the draws of the others as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core import exogenous
from sim_core.catalogue import Archetype, material_names
from sim_core.errors import ModelError
from sim_core.generate.families import family
from sim_core.generate.recipe import Recipe
from sim_core.network import LaneGroup, Network, NodeKind
from sim_core.seeding import normal, scenario_number, uniform
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR, parse_month

_BASE_MONTH = "2026-01"  # when the catalogue's start values hold
_PRICE_FALLS_YEARS = 9.0  # product prices fall until 2035
_CAPACITY_YEARS = 5.5  # the external market is sized for the material that the demand of mid-2031 uses
_LEVELS = 8  # uniforms per product that hold for a whole scenario
_EXTERNAL, _COLLECTED, _MIDPOINT, _TOP, _SHOCK, _SHOCK_MONTH = range(6)  # which of them means what
_CLOSED = 0.0  # share of its flow that a disrupted lane passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The exogenous paths of one scenario, float64.

    T periods, P products, M materials (the union over the products), K markets, S suppliers, R remanufacturers, Y
    recyclers, C collectors, E lanes of a group in edge order.
    """

    demand: NDArray[np.float64]  # (T, K, P) units
    virgin_price: NDArray[np.float64]  # (T, M) EUR/kg
    external_price: NDArray[np.float64]  # (T, M) EUR/kg
    external_capacity: NDArray[np.float64]  # (T, M) kg/month
    carbon_price: NDArray[np.float64]  # (T,) EUR/t, before the multiple that a carbon price instrument applies
    product_price: NDArray[np.float64]  # (T, P) EUR/unit
    collection_share: NDArray[np.float64]  # (T, P) of units at end of life that come back without a buy-back
    supplier_available: NDArray[np.float64]  # (T, S) share of capacity; the three below likewise
    plant_available: NDArray[np.float64]  # (T, plants)
    remanufacturer_available: NDArray[np.float64]  # (T, R)
    recycler_available: NDArray[np.float64]  # (T, Y)
    virgin_open: NDArray[np.float64]  # (T, E of VIRGIN) share of a lane's flow that passes
    goods_open: NDArray[np.float64]  # (T, E of GOODS)
    collector_returns: NDArray[np.float64]  # (T, C, P) units that arrive beside those from the markets
    remanufacturer_returns: NDArray[np.float64]  # (T, R, P)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draw:
    """What every process of one scenario needs. level: (P, _LEVELS); shares: (P,); shocks: see draw_paths."""

    suite: SuiteDefinition
    number: int
    products: tuple[Archetype, ...]
    shares: NDArray[np.float64]
    network: Network
    years: NDArray[np.float64]  # (T,) since the catalogue's base date
    level: NDArray[np.float64]
    shocks: bool

    def normal(self, stream: str, columns: int) -> NDArray[np.float64]:
        return normal(self.suite.seed, self.number, stream, columns, self.suite.periods)

    def uniform(self, stream: str, columns: int) -> NDArray[np.float64]:
        return uniform(self.suite.seed, self.number, stream, columns, self.suite.periods)

    def process(self, process: exogenous.Process, stream: str) -> NDArray[np.float64]:
        return exogenous.draw(
            process, seed=self.suite.seed, number=self.number, stream=stream, periods=self.suite.periods
        )


def draw_paths(
    suite: SuiteDefinition,
    recipe: Recipe,
    products: tuple[Archetype, ...],
    network: Network,
    *,
    shocks: bool = True,
) -> Paths:
    """Recompute a scenario's exogenous paths.

    products: those of the suite, in its order and with its overrides. shocks: without them no node is out, no lane
    closed and no price jumps; whatever else is drawn keeps its random numbers, and so its values. Raises ModelError for
    a process that can't be drawn.
    """
    number = scenario_number(recipe.family, recipe.index)
    draw = _Draw(
        suite=suite,
        number=number,
        products=products,
        shares=np.array([product.share for product in suite.products]),
        network=network,
        years=years_of(suite, 0, suite.periods),
        level=uniform(suite.seed, number, "levels", _LEVELS * len(products), 1)[0].reshape(len(products), _LEVELS),
        shocks=shocks,
    )
    owners = [next(p for p in products if name in p.materials) for name in material_names(products)]
    virgin, external = _material_prices(draw, owners, recipe)
    return Paths(
        demand=_demand(draw),
        virgin_price=virgin,
        external_price=external,
        external_capacity=_external_capacity(draw),
        carbon_price=_carbon_price(draw),
        product_price=_product_price(draw),
        collection_share=np.tile(
            [_spread(p, "collection.share", u[_COLLECTED]) for p, u in zip(products, draw.level, strict=True)],
            (suite.periods, 1),
        ),
        supplier_available=_available(draw, NodeKind.SUPPLIER),
        plant_available=_available(draw, NodeKind.PLANT),
        remanufacturer_available=_available(draw, NodeKind.REMANUFACTURER),
        recycler_available=_available(draw, NodeKind.RECYCLER),
        virgin_open=_open(draw, LaneGroup.VIRGIN),
        goods_open=_open(draw, LaneGroup.GOODS),
        collector_returns=_returns(draw, NodeKind.COLLECTOR),
        remanufacturer_returns=_returns(draw, NodeKind.REMANUFACTURER),
    )


def mean_demand(
    product: Archetype, years: float | NDArray[np.float64], *, shift: float = 0.0, top: float = 1.0
) -> NDArray[np.float64]:
    """Return the trend of regional demand `years` after the base date, units/month: logistic growth.

    shift: years by which the midpoint moves; top: factor on the saturation level.
    """
    start, saturation = product.value("demand.start"), product.value("demand.saturation") * top
    middle, width = product.value("demand.midpoint") + shift, product.value("demand.width")
    logistic = 1.0 / (1.0 + np.exp(-(np.asarray(years) - middle) / width))
    at_start = 1.0 / (1.0 + np.exp(middle / width))
    return start + (saturation - start) * (logistic - at_start) / (1.0 - at_start)


def season(product: Archetype, years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factor on demand by the time of the year, of the shape of years since the base date."""
    return 1.0 + product.value("demand.season") * np.sin(2.0 * np.pi * (years + 0.25))


def price_fall(products: Sequence[Archetype], years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return product prices over those at the base date, (T, P), for years (T,) since then."""
    decline = np.array([product.value("product.price_decline") for product in products])
    return (1.0 - decline) ** np.clip(years, 0.0, _PRICE_FALLS_YEARS)[:, None]


def years_of(suite: SuiteDefinition, first: int, last: int) -> NDArray[np.float64]:
    """Return years since the catalogue's base date of the periods [first, last)."""
    return (parse_month(suite.start) - parse_month(_BASE_MONTH) + np.arange(first, last)) / MONTHS_PER_YEAR


def _demand(draw: _Draw) -> NDArray[np.float64]:
    markets = draw.network.of_kind(NodeKind.MARKET)
    if not markets:
        return np.zeros((draw.suite.periods, 0, len(draw.products)))
    regional = np.stack([_trend(draw, p) for p in range(len(draw.products))], axis=-1) / len(markets)
    columns = [
        regional if process is None else draw.process(process, f"demand at {node.name}")[:, None]
        for node in (draw.network.nodes[i] for i in markets)
        for process in (node.demand,)
    ]
    return np.stack([column * draw.shares for column in columns], axis=1)


def _trend(draw: _Draw, p: int) -> NDArray[np.float64]:
    """Return a product's demand in the whole region, units/month: trend, season and correlated noise of mean 1."""
    product, level = draw.products[p], draw.level[p]
    trend = mean_demand(product, draw.years, shift=2.0 * (level[_MIDPOINT] - 0.5), top=0.8 + 0.4 * level[_TOP])
    sigma, persistence = product.value("demand.volatility"), product.value("demand.persistence")
    shocks = draw.normal("demand", p + 1)[:, p]
    noise = _autoregressive(persistence, np.sqrt(1.0 - persistence**2) * sigma * shocks)
    return trend * season(product, draw.years) * np.exp(noise - 0.5 * sigma**2)


def _returns(draw: _Draw, kind: NodeKind) -> NDArray[np.float64]:
    """Return exogenous arrivals of used units at the nodes of a kind, (T, n, P)."""
    nodes = [draw.network.nodes[i] for i in draw.network.of_kind(kind)]
    found = np.zeros((draw.suite.periods, len(nodes), len(draw.products)))
    for i, node in enumerate(nodes):
        if node.returns is not None:
            found[:, i] = draw.process(node.returns, f"returns at {node.name}")[:, None] * draw.shares
    return found


def _material_prices(
    draw: _Draw, owners: Sequence[Archetype], recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return virgin and external prices, (T, M) EUR/kg. owners: of each material, whose parameters hold for it."""
    materials = material_names(draw.products)
    base = np.array([owner.value(f"price.{name}") for owner, name in zip(owners, materials, strict=True)])
    virgin = base * np.exp(_reverting(draw, "virgin price", owners))
    if draw.shocks:
        virgin *= _price_jump(recipe, draw.level[0], draw.years * MONTHS_PER_YEAR)[:, None]
    premium = np.array([owner.value("external.premium") for owner in owners]) * np.exp(
        _reverting(draw, "external premium", owners)
    )
    return virgin, virgin * (1.0 + premium)


def _external_capacity(draw: _Draw) -> NDArray[np.float64]:
    """Return what the external market offers, (T, M) kg/month: shares of the products' use of each material in 2031."""
    materials = material_names(draw.products)
    total = np.zeros((draw.suite.periods, len(materials)))
    for product, share, level in zip(draw.products, draw.shares, draw.level, strict=True):
        use = share * mean_demand(product, _CAPACITY_YEARS) * np.array(product.by_material("bom"))
        first = product.value("external.capacity") * (0.5 + level[_EXTERNAL]) * use
        columns = [materials.index(name) for name in product.materials]
        total[:, columns] += first * (1.0 + product.value("external.growth") * draw.years)[:, None]
    return total


def _reverting(draw: _Draw, stream: str, owners: Sequence[Archetype]) -> NDArray[np.float64]:
    """Return logs of mean-reverting prices, (T, M): Ornstein-Uhlenbeck processes from 0, discretised exactly."""
    speed = np.array([owner.value("price.reversion") for owner in owners])
    sigma = np.array([owner.value("price.volatility") for owner in owners])
    if bool(((speed <= 0.0) & (sigma > 0.0)).any()):
        raise ModelError("price.reversion must be above 0 where price.volatility is: a price without it drifts away")
    speed = np.where(sigma > 0.0, speed, 1.0)
    decay = np.exp(-speed / MONTHS_PER_YEAR)
    spread = sigma / np.sqrt(2.0 * speed)
    shocks = draw.normal(stream, len(owners)) * spread * np.sqrt(1.0 - decay**2)
    return _autoregressive(decay, shocks) - 0.5 * spread**2


def _autoregressive(decay: float | NDArray[np.float64], shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x with x[t] = decay x[t - 1] + shocks[t], x[-1] = 0, along the first axis.

    scipy.signal has this filter, at more than a second of import time for every start of the command.
    """
    path = shocks.copy()
    if not path.any():  # of a process without noise, as in an inventory problem: nothing to filter
        return path
    for t in range(1, len(path)):
        path[t] += decay * path[t - 1]
    return path


def _price_jump(recipe: Recipe, level: NDArray[np.float64], months: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = family(recipe.family).price_shock
    factor = np.exp(np.log(low) + (np.log(high) - np.log(low)) * level[_SHOCK])
    return np.where(months >= round(24 + 144 * level[_SHOCK_MONTH]), factor, 1.0)


def _carbon_price(draw: _Draw) -> NDArray[np.float64]:
    """Return the carbon price, (T,) EUR/t: the first product's parameters hold for the suite."""
    product = draw.products[0]
    sigma = product.value("carbon_price.volatility")
    shocks = draw.normal("carbon price", 1)[:, 0]
    decay = np.exp(-product.value("carbon_price.reversion") / MONTHS_PER_YEAR)
    log = _autoregressive(float(decay), sigma / np.sqrt(MONTHS_PER_YEAR) * shocks)
    return product.value("carbon_price.start") * np.exp(product.value("carbon_price.drift") * draw.years + log)


def _product_price(draw: _Draw) -> NDArray[np.float64]:
    start = np.array([product.value("product.price") for product in draw.products])
    return start * price_fall(draw.products, draw.years)


def _available(draw: _Draw, kind: NodeKind) -> NDArray[np.float64]:
    """Return availabilities of the nodes of a kind, (T, n); the first product's outage parameters hold for all."""
    product, nodes = draw.products[0], len(draw.network.of_kind(kind))
    out = _outages(draw, f"{kind} outage", nodes, product.value("disruption.rate"), product.value("disruption.months"))
    return np.where(out, product.value("disruption.availability"), 1.0)


def _open(draw: _Draw, group: LaneGroup) -> NDArray[np.float64]:
    """Return the share of each lane's flow that passes, (T, E), for the lanes of a group in edge order."""
    product, lanes = draw.products[0], len(draw.network.in_group(group))
    rate, months = product.value("lane_disruption.rate"), product.value("lane_disruption.months")
    return np.where(_outages(draw, f"{group.name} lane closed", lanes, rate, months), _CLOSED, 1.0)


def _outages(draw: _Draw, stream: str, columns: int, rate: float, months: float) -> NDArray[np.bool_]:
    """Return where something is out, (T, columns): at `rate` starts a year, each for a geometric number of months."""
    if rate <= 0.0 or not draw.shocks:
        return np.zeros((draw.suite.periods, columns), dtype=np.bool_)
    starts = draw.uniform(stream, columns) < rate / MONTHS_PER_YEAR
    lasts = draw.uniform(f"{stream} length", columns)
    length = (
        1 + np.floor(np.log(lasts) / np.log(1.0 - 1.0 / months)).astype(np.int64)
        if months > 1.0
        else np.ones_like(lasts, dtype=np.int64)
    )
    rows = np.arange(draw.suite.periods)[:, None]
    return rows < np.maximum.accumulate(np.where(starts, rows + length, 0), axis=0)


def _spread(product: Archetype, name: str, u: float) -> float:
    """Draw an uncertain parameter from a triangular distribution over its range with its value as mode."""
    entry = product.parameters[name]
    if entry.low is None or entry.high is None or entry.high <= entry.low:
        return entry.value
    cut = (entry.value - entry.low) / (entry.high - entry.low)
    if u < cut:
        return float(entry.low + np.sqrt(u * (entry.high - entry.low) * (entry.value - entry.low)))
    return float(entry.high - np.sqrt((1.0 - u) * (entry.high - entry.low) * (entry.high - entry.value)))
