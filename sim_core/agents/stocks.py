"""Where things lie between the steps of a period: pools of units, material and what nodes expect."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.chance import whole
from sim_core.agents.pool import Pool, pools, sizes
from sim_core.agents.states import LifeEvent
from sim_core.agents.use import InUse
from sim_core.agents.world import Array, World
from sim_core.engine.layout import ORIGINS, Layout
from sim_core.network import ORDERED, LaneGroup, NodeKind

_SCRAP_AND_USED = 2  # origins of what recyclers win: post-consumer, manufacturing scrap


class Stream:
    """Real amounts on the lanes of one group, (E, ...): material in kg, scrap in units, or orders on their way."""

    def __init__(self, layout: Layout, group: LaneGroup, lead: NDArray[np.intp], cargo: tuple[int, ...]) -> None:
        self._receiver, self._lead = layout.lanes[group].receiver, lead
        self._receivers = len(layout.network.of_kind(*group.receivers))
        self._shape = (len(lead), *cargo)
        self._due: dict[int, Array] = defaultdict(lambda: np.zeros(self._shape))

    def send(self, t: int, flow: Array, *, sooner: int = 0) -> None:
        """Send amounts in period t, `sooner` periods faster where the lead time allows (at least 1)."""
        lead = np.maximum(1, self._lead - sooner) if sooner else self._lead
        for months in np.unique(lead):
            mine = (lead == months).reshape(-1, *([1] * (flow.ndim - 1)))
            self._due[t + int(months)] += flow * mine

    def take(self, t: int) -> Array:
        """Take what is due in period t, by lane."""
        return self._due.pop(t, np.zeros(self._shape))

    def arrive(self, t: int) -> Array:
        """Take what is due in period t, by receiver."""
        return self._by_receiver(self.take(t))

    def inbound(self) -> Array:
        """Return all that is under way, by receiver."""
        return self._by_receiver(sum(self._due.values(), np.zeros(self._shape)))

    def _by_receiver(self, flow: Array) -> Array:
        total = np.zeros((self._receivers, *flow.shape[1:]))
        np.add.at(total, self._receiver, flow)
        return total


@dataclass(slots=True, kw_only=True)
class Stocks:
    """All stocks and expectations of a run. P products, M materials; pools by node of their kind, and product."""

    use: InUse
    goods: list[list[Pool]]  # by goods point
    collected: list[list[Pool]]
    queue: list[list[Pool]]
    cores: list[list[Pool]]
    second_life: list[list[Pool]]
    waste: list[list[Pool]]  # used units at recyclers
    scrap: Array  # (Y, P) units of production scrap at recyclers
    feed: Array  # (plants, M, ORIGINS) kg
    backlog: Array  # (K, P) demand that waits, in service units
    owed: Array  # (plants, P) what plants were asked for last and could not fill
    streams: dict[LaneGroup, Stream]
    requests: dict[LaneGroup, Stream]
    history: Array  # (periods, K, P) demand of the last periods
    forecast: Array  # (K, P)
    at_goods: Array  # (G, P) the demand that each goods point expects
    returns_forecast: Array  # (collectors, P)
    easy_share: Array  # (P,) of this month's outflow, made for disassembly


def first_stocks(w: World) -> Stocks:
    """Return the stocks at the start: a month's forecast of goods and feed, lanes filled, past sales in use."""
    layout, count, demand = w.layout, w.layout.count, w.terms.demand
    products, materials = len(layout.products.archetypes), len(layout.facts.materials)
    at_goods = expected_at_goods(layout, demand)
    s = Stocks(
        use=InUse(layout, w.units),
        goods=pools(len(layout.goods), products),
        collected=pools(count[NodeKind.COLLECTOR], products),
        queue=pools(count[NodeKind.INSPECTION], products),
        cores=pools(count[NodeKind.REMANUFACTURER], products),
        second_life=pools(count[NodeKind.SECOND_LIFE], products),
        waste=pools(count[NodeKind.RECYCLER], products),
        scrap=np.zeros((count[NodeKind.RECYCLER], products)),
        feed=np.zeros((layout.plants, materials, len(ORIGINS))),
        backlog=np.zeros_like(demand),
        owed=np.zeros((layout.plants, products)),
        streams=_streams(layout),
        requests=_requests(layout),
        history=np.repeat(demand[None], layout.suite.forecast.periods, axis=0),
        forecast=demand.copy(),
        at_goods=at_goods,
        returns_forecast=np.zeros((count[NodeKind.COLLECTOR], products)),
        easy_share=np.zeros(products),
    )
    draw = w.draw("start")
    s.use.found(layout, demand, w.node[NodeKind.MARKET], draw)
    for (g, p), amount in np.ndenumerate(at_goods):
        s.goods[g][p].add(_new(w, p, w.goods_nodes[g], float(amount), draw))
    need = at_goods[: layout.plants] @ layout.products.bom
    s.feed[:, :, 0] += need
    _fill_goods_lanes(w, at_goods, draw)
    virgin = layout.lanes[LaneGroup.VIRGIN]
    for ago in range(1, int(virgin.lead.max(initial=0)) + 1):
        sent = virgin.share[:, None] * need[virgin.receiver] * (virgin.lead >= ago)[:, None]
        s.streams[LaneGroup.VIRGIN].send(-ago, sent)
    return s


def _fill_goods_lanes(w: World, at_goods: Array, draw: np.random.Generator) -> None:
    """Put a month's expected orders on the goods lanes for every month of their lead time."""
    lanes, now = w.layout.lanes[LaneGroup.GOODS], w.t
    for ago in range(1, int(lanes.lead.max(initial=0)) + 1):
        w.t = now - ago
        for e in range(lanes.count):
            if lanes.lead[e] < ago:
                continue
            for p in range(at_goods.shape[1]):
                amount = lanes.share[e] * at_goods[lanes.receiver[e] + w.layout.plants, p]
                ids = _new(w, p, w.goods_nodes[lanes.sender[e]], float(amount), draw)
                w.dispatch(LaneGroup.GOODS, [(e, p, ids)])
    w.t = now


def _new(w: World, product: int, node: int, amount: float, draw: np.random.Generator) -> NDArray[np.int64]:
    return w.units.create(LifeEvent.MADE, whole(amount, draw), t=w.t, product=product, place=node)


def expected_at_goods(layout: Layout, forecast: Array) -> Array:
    """Return the demand that each goods point expects, (G, P): of its markets, and of the points that it supplies."""
    sales, lanes, plants = layout.lanes[LaneGroup.SALES], layout.lanes[LaneGroup.GOODS], layout.plants
    own = np.zeros((len(layout.goods), forecast.shape[1]))
    np.add.at(own, sales.sender, sales.share[:, None] * forecast[sales.receiver])
    order = np.argsort(layout.level, kind="stable")
    for point in order:  # whoever orders from a point comes before it
        mine = lanes.sender == point
        own[point] += (lanes.share[mine, None] * own[lanes.receiver[mine] + plants]).sum(axis=0)
    return own


def goods_position(w: World, s: Stocks) -> Array:
    """Return each goods point's inventory position, (G, P).

    On hand + inbound + ordered and on its way to the sender - what its markets wait for.
    """
    plants, position = w.layout.plants, sizes(s.goods, w.products)
    for group in (LaneGroup.REUSE, LaneGroup.REMAN_GOODS):
        position += w.inbound(group)
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL):
        position[plants:] += w.inbound(group)
        if group in s.requests:
            position[plants:] += s.requests[group].inbound()
    sales = w.layout.lanes[LaneGroup.SALES]
    np.subtract.at(position, sales.sender, sales.share[:, None] * s.backlog[sales.receiver])
    return position


def _streams(layout: Layout) -> dict[LaneGroup, Stream]:
    materials = (len(layout.facts.materials),)
    cargo: dict[LaneGroup, tuple[int, ...]] = {
        LaneGroup.VIRGIN: materials,
        LaneGroup.EXTERNAL: materials,
        LaneGroup.SECONDARY: (*materials, _SCRAP_AND_USED),
        LaneGroup.SCRAP: (len(layout.products.archetypes),),
    }
    return {group: Stream(layout, group, layout.lanes[group].lead, shape) for group, shape in cargo.items()}


def _requests(layout: Layout) -> dict[LaneGroup, Stream]:
    size = {"product": len(layout.products.archetypes), "material": len(layout.facts.materials)}
    return {
        group: Stream(layout, group, layout.lanes[group].information, (size[group.cargo],))
        for group in ORDERED
        if layout.lanes[group].information.any()
    }
