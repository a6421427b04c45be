"""Exogenous paths of a scenario: demand, prices, collection, outages and closed lanes, recomputed from its recipe.

Every number is a function of (suite seed, scenario, stream, node, period). A product's or node's place in the suite is
its node number, so that a product more, a node more or a longer horizon leaves the draws of the others as they were.
Paths are computed for a batch of scenarios at once (axis 0), number by number in an order that no batch changes: the
bytes are the same alone, in any batch and in any row of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sim_core import exogenous
from sim_core.catalogue import Archetype, material_names
from sim_core.errors import ModelError
from sim_core.generate import world as worlds
from sim_core.generate.processes import autoregressive, chance, outages, triangular
from sim_core.generate.recipe import Recipe
from sim_core.generate.world import NEUTRAL, World
from sim_core.network import LaneGroup, Network, NodeKind
from sim_core.seeding import uniforms, uniforms_at
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR, parse_month

_BASE_MONTH = "2026-01"  # when the catalogue's start values hold
_PRICE_FALLS_YEARS = 9.0  # product prices fall until 2035
_CAPACITY_YEARS = 5.5  # the external market is sized for the material that the demand of mid-2031 uses
_LEVELS = 8  # uniforms per product that hold for a whole scenario
_EXTERNAL, _COLLECTED, _MIDPOINT, _TOP, _SHOCK, _SHOCK_MONTH = range(6)  # which of them means what
_CLOSED = 0.0  # share of its flow that a disrupted lane passes

Source = Callable[[int, NDArray[np.uint64], str, int, int], NDArray[np.float64]]  # as sim_core.seeding.uniforms


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
    """What every process of a batch of scenarios needs.

    numbers: (B,); shares: (P,); years: (T,) since the catalogue's base date; level: (B, P, _LEVELS); jumps: (B, 2),
    the range of the price level after a jump; shocks, source: see draw_many.
    """

    suite: SuiteDefinition
    numbers: NDArray[np.uint64]
    products: tuple[Archetype, ...]
    shares: NDArray[np.float64]
    network: Network
    years: NDArray[np.float64]
    level: NDArray[np.float64]
    jumps: NDArray[np.float64]
    world: World
    shocks: bool
    source: Source

    def normal(self, stream: str, columns: int) -> NDArray[np.float64]:
        return ndtri(self.uniform(stream, columns))

    def uniform(self, stream: str, columns: int) -> NDArray[np.float64]:
        return self.source(self.suite.seed, self.numbers, stream, columns, self.suite.periods)

    def at(self, stream: str, *places: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the uniforms of some scenarios, periods and columns of a stream."""
        row, period, column = (place.astype(np.uint64) for place in places)
        return uniforms_at(self.suite.seed, self.numbers[row.astype(np.intp)], stream, period, column)

    def process(self, process: exogenous.Process, stream: str) -> NDArray[np.float64]:
        one = partial(exogenous.draw, process, seed=self.suite.seed, stream=stream, periods=self.suite.periods)
        return np.stack([one(number=int(number)) for number in self.numbers])


def draw_paths(
    suite: SuiteDefinition,
    recipe: Recipe,
    products: tuple[Archetype, ...],
    network: Network,
    *,
    shocks: bool = True,
) -> Paths:
    """Recompute a scenario's exogenous paths: a batch of one, see draw_many."""
    return draw_many(suite, (recipe,), products, network, shocks=shocks)[0]


def draw_many(
    suite: SuiteDefinition,
    recipes: Sequence[Recipe],
    products: tuple[Archetype, ...],
    network: Network,
    *,
    shocks: bool = True,
    source: Source | None = None,
) -> list[Paths]:
    """Recompute the exogenous paths of several scenarios, in their order.

    products: those of the suite, in its order and with its overrides. shocks: without them no node is out, no lane
    closed and no price jumps; whatever else is drawn keeps its random numbers, and so its values. source: of uniforms,
    sim_core.seeding.uniforms by default; sim_core.kernel.draws.uniforms gives the same ones sooner. Paths of one batch
    may share memory: don't write to them. Raises ModelError for a process that can't be drawn.
    """
    found: dict[int, Paths] = {}
    by_world: dict[World, list[int]] = {}
    families = {name: suite.family(name) for name in {recipe.family for recipe in recipes}}
    for place, recipe in enumerate(recipes):
        by_world.setdefault(families[recipe.family].world, []).append(place)
    for world, places in by_world.items():
        wide = np.array([recipes[i].number for i in places], dtype=np.uint64)
        draws = source or uniforms
        draw = _Draw(
            suite=suite,
            numbers=wide,
            products=products,
            shares=np.array([product.share for product in suite.products]),
            network=network,
            years=years_of(suite, 0, suite.periods),
            level=draws(suite.seed, wide, "levels", _LEVELS * len(products), 1).reshape(len(wide), -1, _LEVELS),
            jumps=np.array([families[recipes[i].family].price_shock for i in places]),
            world=world,
            shocks=shocks,
            source=draws,
        )
        found |= zip(places, _paths(draw), strict=True)
    return [found[place] for place in range(len(recipes))]


def _paths(draw: _Draw) -> list[Paths]:
    owners = [next(p for p in draw.products if name in p.materials) for name in material_names(draw.products)]
    virgin, external = _material_prices(draw, owners)
    crises = worlds.crises(draw.world, draw.uniform) if draw.shocks else None
    values = {
        "demand": _demand(draw),
        "virgin_price": virgin,
        "external_price": external,
        "external_capacity": _external_capacity(draw),
        "carbon_price": _carbon_price(draw),
        "product_price": _product_price(draw),
        "collection_share": _collection_share(draw),
        "supplier_available": _available(draw, NodeKind.SUPPLIER, crises),
        "plant_available": _available(draw, NodeKind.PLANT, crises),
        "remanufacturer_available": _available(draw, NodeKind.REMANUFACTURER, crises),
        "recycler_available": _available(draw, NodeKind.RECYCLER, crises),
        "virgin_open": _open(draw, LaneGroup.VIRGIN, crises),
        "goods_open": _open(draw, LaneGroup.GOODS, crises),
        "collector_returns": _returns(draw, NodeKind.COLLECTOR),
        "remanufacturer_returns": _returns(draw, NodeKind.REMANUFACTURER),
    }
    return [Paths(**{path.name: values[path.name][b] for path in fields(Paths)}) for b in range(len(draw.numbers))]


def mean_demand(
    product: Archetype,
    years: float | NDArray[np.float64],
    *,
    shift: float | NDArray[np.float64] = 0.0,
    top: float | NDArray[np.float64] = 1.0,
) -> NDArray[np.float64]:
    """Return the trend of regional demand `years` after the base date, units/month: logistic growth.

    shift: years by which the midpoint moves; top: factor on the saturation level; arrays are broadcast.
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
    markets = [draw.network.nodes[i] for i in draw.network.of_kind(NodeKind.MARKET)]
    found = np.zeros((len(draw.numbers), draw.suite.periods, len(markets), len(draw.products)))
    ruled = [k for k, node in enumerate(markets) if node.demand is None]
    if ruled:
        found[:, :, ruled] = (_regional(draw) / len(markets) * draw.shares)[:, :, None]
    for k, node in enumerate(markets):
        if node.demand is not None:
            found[:, :, k] = draw.process(node.demand, f"demand at {node.name}")[..., None] * draw.shares
    return found


def _regional(draw: _Draw) -> NDArray[np.float64]:
    """Return the demand of the region, (B, T, P) units/month."""
    shocks = draw.normal("demand", len(draw.products))
    found = np.stack([_trend(draw, p, shocks[..., p]) for p in range(len(draw.products))], axis=-1)
    factor = worlds.slump(draw.world, draw.uniform)
    return found if factor is None else found * factor[..., None]


def _trend(draw: _Draw, p: int, shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a product's demand in the whole region, (B, T) units/month: trend, season, correlated noise of mean 1.

    shocks: (B, T) standard normal.
    """
    product, level = draw.products[p], draw.level[:, p, :, None]
    trend = mean_demand(product, draw.years, shift=2.0 * (level[:, _MIDPOINT] - 0.5), top=0.8 + 0.4 * level[:, _TOP])
    sigma, persistence = product.value("demand.volatility"), product.value("demand.persistence")
    noise = autoregressive(persistence, np.sqrt(1.0 - persistence**2) * sigma * shocks)
    return trend * season(product, draw.years) * np.exp(noise - 0.5 * sigma**2)


def _returns(draw: _Draw, kind: NodeKind) -> NDArray[np.float64]:
    """Return exogenous arrivals of used units at the nodes of a kind, (B, T, n, P)."""
    nodes = [draw.network.nodes[i] for i in draw.network.of_kind(kind)]
    found = np.zeros((len(draw.numbers), draw.suite.periods, len(nodes), len(draw.products)))
    for i, node in enumerate(nodes):
        if node.returns is not None:
            found[:, :, i] = draw.process(node.returns, f"returns at {node.name}")[..., None] * draw.shares
    return found


def _material_prices(draw: _Draw, owners: Sequence[Archetype]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return virgin and external prices, (B, T, M) EUR/kg. owners: of each material, whose parameters hold for it."""
    materials = material_names(draw.products)
    base = np.array([owner.value(f"price.{name}") for owner, name in zip(owners, materials, strict=True)])
    shocks = worlds.together(draw.world, draw.normal("virgin price", len(owners)), draw.normal)
    virgin = base * np.exp(_reverting(owners, shocks))
    if draw.shocks:
        virgin *= _price_jump(draw.jumps, draw.level[:, 0], draw.years * MONTHS_PER_YEAR)[..., None]
    moved = worlds.with_virgin(draw.world, draw.normal("external premium", len(owners)), shocks)
    premium = np.array([owner.value("external.premium") for owner in owners]) * np.exp(_reverting(owners, moved))
    return virgin, virgin * (1.0 + premium)


def _external_capacity(draw: _Draw) -> NDArray[np.float64]:
    """Return what the external market offers, (B, T, M) kg/month: shares of the products' use of a material in 2031."""
    materials = material_names(draw.products)
    total = np.zeros((len(draw.numbers), draw.suite.periods, len(materials)))
    for p, (product, share) in enumerate(zip(draw.products, draw.shares, strict=True)):
        use = share * mean_demand(product, _CAPACITY_YEARS) * np.array(product.by_material("bom"))
        first = (product.value("external.capacity") * (0.5 + draw.level[:, p, _EXTERNAL]))[:, None] * use
        columns = [materials.index(name) for name in product.materials]
        total[:, :, columns] += first[:, None] * (1.0 + product.value("external.growth") * draw.years)[:, None]
    return total


def _reverting(owners: Sequence[Archetype], shocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logs of mean-reverting prices, (B, T, M): Ornstein-Uhlenbeck processes from 0, discretised exactly."""
    speed = np.array([owner.value("price.reversion") for owner in owners])
    sigma = np.array([owner.value("price.volatility") for owner in owners])
    if bool(((speed <= 0.0) & (sigma > 0.0)).any()):
        raise ModelError("price.reversion must be above 0 where price.volatility is: a price without it drifts away")
    speed = np.where(sigma > 0.0, speed, 1.0)
    decay = np.exp(-speed / MONTHS_PER_YEAR)
    spread = sigma / np.sqrt(2.0 * speed)
    return autoregressive(decay, shocks * spread * np.sqrt(1.0 - decay**2)) - 0.5 * spread**2


def _price_jump(
    ranges: NDArray[np.float64], level: NDArray[np.float64], months: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factor of virgin prices, (B, T). ranges: (B, 2); level: (B, _LEVELS); months: (T,)."""
    low, high = np.log(ranges[:, 0]), np.log(ranges[:, 1])
    factor = np.exp(low + (high - low) * level[:, _SHOCK])
    return np.where(months >= np.rint(24 + 144 * level[:, _SHOCK_MONTH])[:, None], factor[:, None], 1.0)


def _carbon_price(draw: _Draw) -> NDArray[np.float64]:
    """Return the carbon price, (B, T) EUR/t: the first product's parameters hold for the suite."""
    product = draw.products[0]
    sigma = product.value("carbon_price.volatility")
    decay = float(np.exp(-product.value("carbon_price.reversion") / MONTHS_PER_YEAR))
    shocks = sigma / np.sqrt(MONTHS_PER_YEAR) * draw.normal("carbon price", 1)[..., 0]
    push = worlds.carbon_push(draw.world, decay, draw.uniform, draw.normal, jumps=draw.shocks)
    log = autoregressive(decay, shocks if draw.world == NEUTRAL else shocks + push)
    return product.value("carbon_price.start") * np.exp(product.value("carbon_price.drift") * draw.years + log)


def _product_price(draw: _Draw) -> NDArray[np.float64]:
    start = np.array([product.value("product.price") for product in draw.products])
    price = start * price_fall(draw.products, draw.years)
    return np.broadcast_to(price, (len(draw.numbers), *price.shape))


def _collection_share(draw: _Draw) -> NDArray[np.float64]:
    """Return what comes back of the units at their end, (B, T, P)."""
    first = [triangular(one, "collection.share", draw.level[:, p, _COLLECTED]) for p, one in enumerate(draw.products)]
    return worlds.drifting(draw.world, np.stack(first, axis=-1), draw.years, draw.uniform, draw.normal)


def _available(draw: _Draw, kind: NodeKind, crises: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return availabilities of the nodes of a kind, (B, T, n); the first product's outage parameters hold for all."""
    product, nodes = draw.products[0], len(draw.network.of_kind(kind))
    rate, months = product.value("disruption.rate"), product.value("disruption.months")
    return np.where(
        _outages(draw, f"{kind} outage", nodes, (rate, months), crises), product.value("disruption.availability"), 1.0
    )


def _open(draw: _Draw, group: LaneGroup, crises: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the share of each lane's flow that passes, (B, T, E), for the lanes of a group in edge order."""
    product, lanes = draw.products[0], len(draw.network.in_group(group))
    rate, months = product.value("lane_disruption.rate"), product.value("lane_disruption.months")
    return np.where(_outages(draw, f"{group.name} lane closed", lanes, (rate, months), crises), _CLOSED, 1.0)


def _outages(
    draw: _Draw, stream: str, columns: int, usual: tuple[float, float], crises: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Return where something is out, (B, T, columns).

    usual: starts a year, and mean of the geometric number of months that each lasts. crises: (B, T), the share of the
    columns that one puts out beside these.
    """
    rate, months = usual
    starts = np.zeros((len(draw.numbers), draw.suite.periods, columns), dtype=np.bool_)
    if draw.shocks and rate > 0.0:
        starts |= draw.uniform(stream, columns) < chance(rate)
    if crises is not None:
        starts |= draw.uniform(f"{stream} by a crisis", columns) < crises[..., None]
    return outages(starts, months, partial(draw.at, f"{stream} length"))
