"""Layout: a suite compiled to the constant arrays that a period's steps read.

Axes: P products, C classes, M materials, Q routes; nodes by kind, and G goods points (plants, then warehouses).
Cells always come last, so constants end in an axis of size 1 where they multiply cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.lanes import Lanes, build_lanes
from sim_core.engine.products import Products, compile_products, resolve
from sim_core.errors import ModelError
from sim_core.generate.paths import mean_demand
from sim_core.generate.recipe import suite_instruments, user_instruments
from sim_core.network import GOODS_POINTS, TARGETS, LaneGroup, Network, Node, NodeKind
from sim_core.network_generator import MEAN_LEG, build_network
from sim_core.policy.facts import LawFacts, require_scope
from sim_core.policy.obligation import Obligation, obligations
from sim_core.suite import SuiteDefinition
from sim_core.units import KG_PER_T

ORIGINS = ("virgin", "post_consumer", "manufacturing_scrap", "external")
UNLIMITED = 1e12
_PEAK_YEARS = 20.0  # capacities are set for the demand of 2046, whatever part of the time a suite simulates


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What nodes can do and cost. Capacities per period; (n, P) in units, (n,) as said; holding EUR per unit, period.

    line: (lines, Y) kg. supplier: (S, M) kg. goods_supplier: (S, P). storage: (R, P) cores that can be kept.
    """

    production: NDArray[np.float64]
    production_cost: NDArray[np.float64]
    collection: NDArray[np.float64]
    collection_cost: NDArray[np.float64]
    inspection: NDArray[np.float64]
    inspection_cost: NDArray[np.float64]
    reman: NDArray[np.float64]
    reman_cost: NDArray[np.float64]
    storage: NDArray[np.float64]
    line: NDArray[np.float64]
    route_cost: NDArray[np.float64]  # (Q, Y, P) EUR/kg of feed
    supplier: NDArray[np.float64]
    goods_supplier: NDArray[np.float64]
    goods_price: NDArray[np.float64]  # (S, P) EUR/unit of bought-in goods
    external: NDArray[np.float64]  # (n, 1) kg of each material a period; NaN: its part of the scenario's capacity
    second_life: NDArray[np.float64]  # (n, P) units a period that the second-life market takes
    holding: Mapping[NodeKind, NDArray[np.float64]]  # (n,) beside the value-based rate
    backlog: NDArray[np.float64]  # (K,) 1.0 where a market waits
    shortage: NDArray[np.float64]  # (K,) EUR per unit lost, or per unit and period waiting; NaN: the product's
    total_u: NDArray[np.float64]  # (R,) 1.0 where U counts serviceable goods too


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything about network, products and law that does not change from cell to cell."""

    suite: SuiteDefinition
    network: Network
    products: Products
    facts: LawFacts
    obligations: tuple[Obligation, ...]
    lanes: Mapping[LaneGroup, Lanes]
    count: Mapping[NodeKind, int]
    targets: Mapping[NodeKind, NDArray[np.intp]]  # node indices of each kind, for Control.targets
    goods: NDArray[np.intp]  # node indices of the goods points
    level: NDArray[np.intp]  # (G,) 0 where nobody below orders from a point; orders are placed in this order
    absolute: NDArray[np.float64]  # (3, N) units that a target of 1.0 means; NaN: a multiple of the forecast
    market_share: NDArray[np.float64]  # (K, P) of the region's trend demand, for forecasts at the start
    rates: Rates
    value_core: NDArray[np.float64]  # (P,) EUR/unit, expected net recovery value of a returned unit
    value_in_use: NDArray[np.float64]  # (P,) EUR/unit, that value discounted over remaining life and share collected

    def value(self, name: str) -> NDArray[np.float64]:
        """Return a parameter of every product, (P, 1)."""
        return self.products.value(name)

    def common(self, name: str) -> float:
        """Return a parameter that concerns the region, not one product."""
        return self.products.common(name)

    @property
    def plants(self) -> int:
        """Number of plants: the first of the goods points."""
        return self.count[NodeKind.PLANT]


def build_layout(suite: SuiteDefinition) -> Layout:
    """Compile a suite. Raises ModelError for an unknown template, archetype or parameter, or law without a subject."""
    archetypes, network = tuple(resolve(share) for share in suite.products), suite.network
    if isinstance(network, str):
        region, far = archetypes[0].value("distance.region"), archetypes[0].value("distance.import")
        network = build_network(network, suite.seed, region_km=region, import_km=far)
    nodes = {kind: network.of_kind(kind) for kind in NodeKind}
    products = compile_products(
        archetypes,
        tuple(share.label for share in suite.products),
        [share.share for share in suite.products],
        one_life=not nodes[NodeKind.REMANUFACTURER] and not network.in_group(LaneGroup.REUSE),
    )
    lanes = {group: build_lanes(network, group, products) for group in LaneGroup}
    facts = law_facts(suite, products)
    require_scope(user_instruments(suite), facts)
    values = _values(suite, products)
    markets = len(nodes[NodeKind.MARKET])
    goods = network.of_kind(*GOODS_POINTS)
    return Layout(
        suite=suite,
        network=network,
        products=products,
        facts=facts,
        obligations=obligations(suite_instruments(suite), facts, suite.shortfall_price),
        lanes=lanes,
        count={kind: len(members) for kind, members in nodes.items()},
        targets={kind: np.array(members, dtype=np.intp) for kind, members in nodes.items()},
        goods=np.array(goods, dtype=np.intp),
        level=_levels(lanes[LaneGroup.GOODS], len(nodes[NodeKind.PLANT]), len(goods)),
        absolute=_absolute(network),
        market_share=np.full((markets, len(products.archetypes)), 1.0 / max(1, markets)),
        rates=_rates(network, products),
        value_core=values[0],
        value_in_use=values[1],
    )


def law_facts(suite: SuiteDefinition, products: Products) -> LawFacts:
    """Return what law needs to know of the suite's products, materials and routes."""
    mass = np.where(products.mass > 0.0, products.mass, 1.0)
    counted = (products.recovery * products.bom).sum(axis=2) / mass + products.credit
    return LawFacts(
        products=products.labels,
        archetypes=tuple(a.name for a in products.archetypes),
        materials=products.materials,
        bom=products.bom,
        routes=products.routes,
        recovery=products.recovery,
        efficiency=counted,
        exported=products.exported,
        embedded=products.by_material("carbon.virgin"),
        jurisdiction=suite.jurisdiction,
        traceability_cost=products.value("law.traceability_cost")[:, 0],
    )


def _levels(goods: Lanes, plants: int, points: int) -> NDArray[np.intp]:
    """Return each goods point's level: 0 if it supplies no other one, else one more than the highest it supplies."""
    level = np.zeros(points, dtype=np.intp)
    for _ in range(points):
        above = level.copy()
        np.maximum.at(above, goods.sender, level[goods.receiver + plants] + 1)
        if (above == level).all():
            return level
        level = above
    raise ModelError("orders of goods run in a circle")


def _absolute(network: Network) -> NDArray[np.float64]:
    scale = np.full((len(TARGETS), len(network.nodes)), np.nan)
    for i, node in enumerate(network.nodes):
        for letter, most in node.max_target.items():
            scale[TARGETS.index(letter), i] = most
    return scale


def _rates(network: Network, products: Products) -> Rates:
    peak = products.share * np.array([float(mean_demand(a, _PEAK_YEARS)) for a in products.archetypes])
    nodes = {kind: [node for node in network.nodes if node.kind is kind] for kind in NodeKind}

    def per_site(kind: NodeKind, total: NDArray[np.float64], field: str = "capacity") -> NDArray[np.float64]:
        """Split a region's total (P,) evenly over the sites of a kind; a node's own number stands."""
        sites = nodes[kind]
        return _own(sites, field, np.tile(total / max(1, len(sites)), (len(sites), 1)))

    def same(kind: NodeKind, value: NDArray[np.float64], field: str = "cost") -> NDArray[np.float64]:
        return _own(nodes[kind], field, np.tile(value, (len(nodes[kind]), 1)))

    def total(name: str) -> NDArray[np.float64]:
        return products.value(name)[:, 0]

    recyclers, suppliers = nodes[NodeKind.RECYCLER], nodes[NodeKind.SUPPLIER]
    lines = [[products.line_capacity(line) / max(1, len(recyclers))] * len(recyclers) for line in products.lines]
    line = np.array(lines, dtype=np.float64).reshape(len(products.lines), len(recyclers))
    need = (peak * total("supplier.capacity"))[:, None] * products.bom
    markets = nodes[NodeKind.MARKET]
    return Rates(
        production=per_site(NodeKind.PLANT, total("production.capacity") * peak),
        production_cost=same(NodeKind.PLANT, total("production.cost")),
        collection=per_site(NodeKind.COLLECTOR, total("collection.capacity")),
        collection_cost=same(NodeKind.COLLECTOR, total("collection.cost")),
        inspection=per_site(NodeKind.INSPECTION, total("inspection.capacity")),
        inspection_cost=same(NodeKind.INSPECTION, total("inspection.cost")),
        reman=per_site(NodeKind.REMANUFACTURER, total("reman.capacity")),
        reman_cost=same(NodeKind.REMANUFACTURER, total("reman.cost")),
        storage=_own(
            nodes[NodeKind.REMANUFACTURER],
            "storage",
            np.full((len(nodes[NodeKind.REMANUFACTURER]), len(peak)), UNLIMITED),
        ),
        line=_own(recyclers, "capacity", line.T).T,
        route_cost=np.moveaxis(_own(recyclers, "cost", np.stack([products.route_cost] * len(recyclers))), 0, 1)
        if recyclers
        else np.zeros((len(products.routes), 0, len(peak))),
        supplier=_own(suppliers, "capacity", np.tile(need.sum(axis=0), (len(suppliers), 1))),
        goods_supplier=_own(suppliers, "capacity", np.full((len(suppliers), len(peak)), UNLIMITED)),
        goods_price=_own(suppliers, "cost", np.zeros((len(suppliers), len(peak)))),
        external=_own(nodes[NodeKind.EXTERNAL], "capacity", np.full((len(nodes[NodeKind.EXTERNAL]), 1), np.nan)),
        second_life=per_site(NodeKind.SECOND_LIFE, total("second_life.demand")),
        holding={kind: np.array([node.holding or 0.0 for node in nodes[kind]]) for kind in NodeKind},
        backlog=np.array([float(node.backlog) for node in markets]),
        shortage=np.array([np.nan if node.shortage_cost is None else node.shortage_cost for node in markets]),
        total_u=np.array([float(node.u_basis == "total") for node in nodes[NodeKind.REMANUFACTURER]]),
    )


def _own(nodes: list[Node], field: str, default: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return default (n, ...) with the rows of the nodes that state a number of their own replaced by it."""
    rows = default.copy()
    for i, node in enumerate(nodes):
        own = getattr(node, field)
        if own is not None:
            rows[i] = own
    return rows


def _values(suite: SuiteDefinition, products: Products) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recovery values in EUR/unit, (P,), of a returned core and of a unit in use, at base prices.

    A core: what the best route wins from it at base prices less treatment, inspection and two legs of reverse freight.
    A unit in use: that value x the share collected, discounted over the mean remaining life.
    """
    price = products.by_material("price")
    freight = 2.0 * products.common("transport.reverse") * MEAN_LEG * products.common("distance.region") / KG_PER_T
    won = (products.recovery * (products.bom * price)).sum(axis=2)
    net = won - products.mass * (products.route_cost + freight)
    home = (products.offered > 0.0) & ~products.exported[:, None]
    best = np.where(home, net, 0.0).max(axis=0, initial=0.0)
    core = np.maximum(0.0, best - products.value("inspection.cost")[:, 0])
    remaining_years = 0.5 * products.value("lifetime.scale")[:, 0]  # of a growing stock (assumption)
    kept = products.value("collection.share")[:, 0] * (1.0 + suite.discount_rate) ** -remaining_years
    return core, core * kept
