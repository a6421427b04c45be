"""Layout: a network and an archetype compiled to the constant arrays that a period's steps read.

Sizes: P plants, W warehouses, K markets, C collectors, R remanufacturers, Y recyclers, M materials, Q routes,
LIVES lives (0 new, 1 and 2 remanufactured), GRADES grades (a reusable, b second life, c recycle only),
ORIGINS origins of material feed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sim_core.catalogue import Archetype, archetype, with_overrides
from sim_core.generate.process import mean_demand
from sim_core.network import MEAN_LEG, LaneGroup, Network, NodeKind, build_network
from sim_core.policy.timeline import RouteFacts
from sim_core.suite import SuiteDefinition
from sim_core.units import KG_PER_T

LIVES = 3
GRADES = ("a", "b", "c")
ORIGINS = ("virgin", "post_consumer", "manufacturing_scrap", "external")
ROUTES = ("export", "pyro", "hydro", "hydro_high")  # cheapest first: the order of use where all are legal
LINES = ("export", "thermal", "wet")  # equipment with a capacity of its own
ROUTE_LINE = (0, 1, 2, 2)

_PEAK_YEARS = 20.0  # capacities are set for the demand of 2046, whatever part of the time a suite simulates
_HAZARDOUS = (
    LaneGroup.RETURNS, LaneGroup.CORES, LaneGroup.REMAN_FEED, LaneGroup.RECYCLE_FEED, LaneGroup.SCRAP,
    LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS, LaneGroup.DISPOSAL, LaneGroup.REPURPOSE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """The E lanes of one group. sender, receiver: positions within their kind; cost EUR/kg, carbon kgCO2e/kg of cargo.

    to_receiver, to_sender: sparse 0/1 matrices that add lane flows up at nodes, in global edge order.
    """

    sender: NDArray[np.intp]
    receiver: NDArray[np.intp]
    lead: NDArray[np.intp]
    share: NDArray[np.float64]
    cost: NDArray[np.float64]
    carbon: NDArray[np.float64]
    overseas: NDArray[np.float64]
    to_receiver: csr_array
    to_sender: csr_array

    @property
    def count(self) -> int:
        """Number of lanes."""
        return len(self.sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything about network and product that does not change from cell to cell."""

    suite: SuiteDefinition
    network: Network
    product: Archetype
    lanes: Mapping[LaneGroup, Lanes]
    count: Mapping[NodeKind, int]
    targets: Mapping[NodeKind, NDArray[np.intp]]  # node indices of each kind, for Control.targets
    bom: NDArray[np.float64]  # (M,) kg/kWh
    mass: float  # kg/kWh, all materials
    recovery: NDArray[np.float64]  # (Q, M) kg/kg
    routes: RouteFacts
    route_cost: NDArray[np.float64]  # (Q,) EUR/kWh of feed, negative: revenue
    route_carbon: NDArray[np.float64]  # (Q,) kgCO2e/kWh of feed
    line_capacity: NDArray[np.float64]  # (lines, Y) kWh/month
    grade_share: NDArray[np.float64]  # (GRADES, LIVES)
    health: NDArray[np.float64]  # (LIVES,) state of health of a unit sold
    market_share: NDArray[np.float64]  # (K,) of regional demand
    production_capacity: NDArray[np.float64]  # (P,) kWh/month
    supplier_capacity: NDArray[np.float64]  # (S, M) kg/month
    phi: NDArray[np.float64]  # (M,) EUR/kg of recycled-content shortfall
    value_core: float  # EUR/kWh, expected net recovery value of a returned pack
    value_in_use: float  # EUR/kWh, that value discounted over the remaining life and the share collected

    def value(self, name: str) -> float:
        """Return a parameter of the product."""
        return self.product.value(name)


def build_layout(suite: SuiteDefinition) -> Layout:
    """Compile a suite. Raises ModelError for an unknown network, archetype or parameter."""
    product = with_overrides(archetype(suite.archetype), suite.overrides)
    network = build_network(
        suite.network,
        suite.seed,
        region_km=product.value("distance.region"),
        import_km=product.value("distance.import"),
    )
    kinds = {kind: network.of_kind(kind) for kind in NodeKind}
    count = {kind: len(nodes) for kind, nodes in kinds.items()}
    bom = np.array(product.by_material("bom"))
    mass = float(bom.sum())
    recovery = np.array([[0.0] * len(bom)] + [product.by_material(f"recovery.{route}") for route in ROUTES[1:]])
    credit = np.array([0.0, product.value("slag_credit"), 0.0, 0.0])
    facts = RouteFacts(
        materials=product.materials,
        recovery=recovery,
        efficiency=recovery @ bom / mass + credit,
        exported=np.array([True, False, False, False]),
    )
    peak = float(mean_demand(product, _PEAK_YEARS))
    market_share = np.full(count[NodeKind.MARKET], 1.0 / count[NodeKind.MARKET])
    values = _values(suite, product, bom, recovery)
    return Layout(
        suite=suite,
        network=network,
        product=product,
        lanes={group: _lanes(network, group, kinds, product) for group in LaneGroup},
        count=count,
        targets={kind: np.array(nodes, dtype=np.intp) for kind, nodes in kinds.items()},
        bom=bom,
        mass=mass,
        recovery=recovery,
        routes=facts,
        route_cost=mass
        * np.array(
            [-product.value("recycling.export.revenue")] + [product.value(f"recycling.{r}.cost") for r in ROUTES[1:]]
        ),
        route_carbon=mass * np.array([product.value(f"recycling.{r}.carbon") for r in ROUTES]),
        line_capacity=np.array(
            [[product.value(f"recycling.{line}.capacity")] * count[NodeKind.RECYCLER] for line in LINES]
        ),
        grade_share=np.array(
            [[product.value(f"grade.life{life}.{grade}") for life in range(LIVES)] for grade in GRADES]
        ),
        health=np.array([product.value(f"soh.life{life}") for life in range(LIVES)]),
        market_share=market_share,
        production_capacity=np.full(
            count[NodeKind.PLANT], product.value("production.capacity") * peak / count[NodeKind.PLANT]
        ),
        supplier_capacity=np.full((count[NodeKind.SUPPLIER], len(bom)), product.value("supplier.capacity") * peak)
        * bom,
        phi=np.array([suite.shortfall_price.get(material, 0.0) for material in product.materials]),
        value_core=values[0],
        value_in_use=values[1],
    )


def _values(
    suite: SuiteDefinition, product: Archetype, bom: NDArray[np.float64], recovery: NDArray[np.float64]
) -> tuple[float, float]:
    """Return recovery values in EUR/kWh of a returned core and of a unit in use, at base prices.

    A core: what the hydrometallurgical route wins from it less treatment, inspection and two legs of hazardous freight.
    A unit in use: that value x the share collected, discounted over the mean remaining life.
    """
    price = np.array(product.by_material("price"))
    mass = float(bom.sum())
    freight = 2.0 * product.value("transport.hazardous") * MEAN_LEG * product.value("distance.region") / KG_PER_T
    cost = mass * (product.value("recycling.hydro.cost") + freight) + product.value("inspection.cost")
    core = max(0.0, float((bom * recovery[ROUTES.index("hydro")]) @ price) - cost)
    remaining_years = 0.5 * product.value("lifetime.scale")  # of a growing stock (assumption)
    return core, product.value("collection.share") * core * (1.0 + suite.discount_rate) ** -remaining_years


def _lanes(network: Network, group: LaneGroup, kinds: Mapping[NodeKind, list[int]], product: Archetype) -> Lanes:
    lanes = network.in_group(group)
    senders, receivers = kinds[group.sender], kinds[group.receiver]
    sender = np.array([senders.index(lane.sender) for lane in lanes], dtype=np.intp)
    receiver = np.array([receivers.index(lane.receiver) for lane in lanes], dtype=np.intp)
    overseas = np.array([float(lane.overseas) for lane in lanes])
    km = np.array([lane.km for lane in lanes])
    road = product.value("transport.hazardous" if group in _HAZARDOUS else "transport.truck")
    cost = np.where(overseas > 0, product.value("transport.ocean"), road) * km / KG_PER_T
    carbon = np.where(overseas > 0, product.value("carbon.ocean"), product.value("carbon.truck")) * km / KG_PER_T
    edges = np.arange(len(lanes))
    ones = np.ones(len(lanes))
    return Lanes(
        sender=sender,
        receiver=receiver,
        lead=np.array([lane.lead for lane in lanes], dtype=np.intp),
        share=np.array([lane.share for lane in lanes]),
        cost=cost,
        carbon=carbon,
        overseas=overseas,
        to_receiver=csr_array((ones, (receiver, edges)), shape=(len(receivers), len(lanes))),
        to_sender=csr_array((ones, (sender, edges)), shape=(len(senders), len(lanes))),
    )
