"""Networks from a template and a seed: nodes on a map, each connected to its nearest partners.

Markets and what serves them stand around cities in the larger templates. A node's partners are the nearest ones by
distance over the root of their attraction, so that a few hubs have many (Huff, "Defining and estimating a trading
area", 1964). Shares follow a doubly constrained gravity model (Wilson, "A statistical theory of spatial distribution
models", 1967): near partners take more, and sites of one kind, which share the region's capacity evenly, are asked for
about as much each. Everything is a function of (template, seed) in a unit square, scaled to km at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.network import BY_RECEIVER, IMMEDIATE, Lane, LaneGroup, Network, Node, NodeKind, arrange
from sim_core.seeding import normal, scenario_number, uniform

_ROAD_FACTOR = 1.3  # road distance over straight line (assumption, common in logistics planning)
MEAN_LEG = 0.52 * _ROAD_FACTOR  # mean road distance between two places of a square region, over its side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """counts: nodes of each kind, in the order of NodeKind. central: how many of the warehouses supply the others.

    overseas: how many of the suppliers, the first ones, are beyond the border. cities: 0 spreads all nodes evenly.
    side: of the square, over the region_km of the product.
    """

    counts: tuple[int, ...]
    overseas: int = 1
    central: int = 0
    cities: int = 0
    side: float = 1.0


_TEMPLATES = {
    "minimal": _Template(counts=(1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0)),
    "loop": _Template(counts=(2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
    "regional": _Template(counts=(2, 2, 3, 4, 4, 2, 2, 2, 1, 1, 1)),
    "national": _Template(counts=(6, 8, 36, 70, 50, 10, 6, 6, 2, 3, 3), overseas=3, central=6, cities=12, side=2.0),
    "continental": _Template(
        counts=(20, 40, 340, 900, 500, 80, 40, 40, 10, 15, 15), overseas=10, central=40, cities=60, side=8.0
    ),
}
NETWORK_TEMPLATES = tuple(_TEMPLATES)

_PARTNERS = {LaneGroup.SALES: 2, LaneGroup.GOODS: 4, LaneGroup.CORES: 2, LaneGroup.DISPOSAL: 1}
_USUAL_PARTNERS = 3
_NEIGHBOURS = 2  # warehouses that a warehouse may transfer to
_HUB_EVERY, _HUB_ATTRACTION = 8, 4.0  # every eighth warehouse attracts four times as much
_OVERSEAS_SHARE = 0.7  # of virgin material, where there is a near source too
_FIRST_OVERSEAS = 0.7  # of it from the first of two overseas suppliers
_LONG_KM = (250.0, 1500.0)  # a longer lane takes a month more
_NEAR_IMPORT = 0.75  # overseas suppliers within this multiple of import_km are a month nearer
_GRAVITY = 1.5  # exponent of distance
_SAME_PLACE = 0.02  # distance, over the side, below which nearness stops to count
_UNEVEN = 1.2  # a site may be asked for this multiple of its part ...
_EXTRA_PARTNERS = 3  # ... or its partners get up to so many more
_ROUNDS = 30  # of the balance between what senders have and receivers can take
_EVEN = 0.05  # part of a share that is dealt evenly, so that no lane is idle
_CITY_SPREAD = {NodeKind.MARKET: 0.02, NodeKind.COLLECTOR: 0.03, NodeKind.WAREHOUSE: 0.04, NodeKind.INSPECTION: 0.05}

Places = NDArray[np.intp]


def build_network(template: str, seed: int, *, region_km: float, import_km: float) -> Network:
    """Return a template's network, placed by seed. Raises ModelError for an unknown template.

    region_km: side of the square that minimal, loop and regional fill; a nation's is 2 times, a continent's 8 times
    as long. import_km: distance of the first supplier, who is overseas; the last supplier is near.
    """
    if template not in _TEMPLATES:
        raise ModelError(f"unknown network {template!r}; known are {list(_TEMPLATES)}")
    plan = _TEMPLATES[template]
    chart = _Map(template, plan, seed)
    side = plan.side * region_km
    names = _names(plan)
    kinds = chart.kinds
    nodes = [
        Node(name=name, kind=kind, x=float(x), y=float(y))
        for name, kind, (x, y) in zip(names, kinds, chart.place * side, strict=True)
    ]
    lanes = [lane for link in chart.links() for lane in _lanes(link, chart, side, import_km)]
    return arrange(nodes, lanes)


def template_nodes(template: str) -> dict[str, NodeKind]:
    """Return the names of a template's nodes with their kinds; they are the same for every seed."""
    plan = _TEMPLATES[template]
    return dict(zip(_names(plan), _kinds(plan), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """The lanes of a group between two sets of nodes: shares (anchors, partners), 0 where there is no lane."""

    group: LaneGroup
    anchors: Places
    partners: Places
    share: NDArray[np.float64]


class _Map:
    """The nodes of a template in the unit square, with what passes through each as far as it is known."""

    def __init__(self, template: str, plan: _Template, seed: int) -> None:
        self._plan = plan
        self.kinds = _kinds(plan)
        count, number = len(self.kinds), scenario_number(f"network/{template}", 0)
        self.place = uniform(seed, number, "place", 2, count)
        if plan.cities:
            self._gather(seed, number)
        stops = np.cumsum(plan.counts)
        self._nodes = {
            kind: np.arange(stop - size, stop) for kind, stop, size in zip(NodeKind, stops, plan.counts, strict=True)
        }
        warehouses = self._nodes[NodeKind.WAREHOUSE]
        self._central, self._local = warehouses[: plan.central], warehouses[plan.central :]
        self._attraction = np.ones(count)
        for tier in (self._central, self._local) if plan.central else ():
            self._attraction[tier[::_HUB_EVERY]] = _HUB_ATTRACTION
        self._load = np.concatenate([np.full(size, 1.0 / max(size, 1)) for size in plan.counts])
        self.import_factor = 0.5 + 0.5 * uniform(seed, number, "import", 1, count)[:, 0]
        self.import_factor[0] = 1.0

    def _gather(self, seed: int, number: int) -> None:
        """Move what serves people to cities, whose sizes fall with their rank (Zipf)."""
        cities = 0.06 + 0.88 * uniform(seed, number, "city", 2, self._plan.cities)
        size = np.cumsum(1.0 / np.arange(1, len(cities) + 1))
        drawn = uniform(seed, number, "home", 1, len(self.kinds))[:, 0]
        home = np.searchsorted(size / size[-1], drawn)
        offset = normal(seed, number, "suburb", 2, len(self.kinds))
        for i, kind in enumerate(self.kinds):
            if kind in _CITY_SPREAD:
                self.place[i] = np.clip(cities[home[i]] + _CITY_SPREAD[kind] * offset[i], 0.0, 1.0)

    @property
    def overseas(self) -> int:
        """How many suppliers, the first ones, are beyond the border."""
        return self._plan.overseas

    def away(self, some: Places, others: Places) -> NDArray[np.float64]:
        """Return straight distances in the unit square, (some, others)."""
        gap = self.place[some][:, None, :] - self.place[others][None, :, :]
        return np.hypot(gap[..., 0], gap[..., 1])

    def links(self) -> Iterator[_Link]:
        """Yield all lanes: orders from the markets upstream, then what comes back, then materials and by-products."""
        of, groups = self._nodes, LaneGroup
        sellers, hubs = self._local, self._central if self._plan.central else self._local
        if not len(sellers):
            sellers = hubs = of[NodeKind.PLANT]
        yield from self._link(groups.SALES, of[NodeKind.MARKET], sellers)
        if self._plan.central:
            yield from self._link(groups.GOODS, self._local, self._central)
        if len(of[NodeKind.WAREHOUSE]):
            yield from self._link(groups.GOODS, hubs, of[NodeKind.PLANT])
        yield from self._laterals()
        yield from self._virgin()
        yield from self._link(groups.EXTERNAL, of[NodeKind.PLANT], of[NodeKind.EXTERNAL])
        for group in groups:
            if group in BY_RECEIVER or group in (groups.LATERAL, groups.PURCHASE):
                continue
            senders = of[group.senders[0]]
            receivers = hubs if group in (groups.REUSE, groups.REMAN_GOODS) else of[group.receivers[0]]
            yield from self._link(group, senders, receivers)

    def _link(self, group: LaneGroup, anchors: Places, partners: Places) -> Iterator[_Link]:
        if not len(anchors) or not len(partners):
            return
        # Goods that come back go where they are sold on; otherwise capacity, and so the target, is alike at each site.
        back = group in (LaneGroup.REUSE, LaneGroup.REMAN_GOODS)
        target = self._load[partners] if back else self._attraction[partners]
        away, load = self.away(anchors, partners), self._load[anchors]
        goal = target / target.sum() * load.sum()
        few = _PARTNERS.get(group, _USUAL_PARTNERS)
        # Warehouses have no capacity that an uneven load could exceed.
        many = few + (0 if self.kinds[partners[0]] is NodeKind.WAREHOUSE else _EXTRA_PARTNERS)
        share = _gravity(away, load, goal, few, many)
        if group in (LaneGroup.SALES, LaneGroup.GOODS, LaneGroup.RETURNS, LaneGroup.CORES):
            self._load[partners] = self._load[anchors] @ share
        yield _Link(group=group, anchors=anchors, partners=partners, share=share)

    def _virgin(self) -> Iterator[_Link]:
        """Each plant buys most from overseas suppliers, taken in turn, and the rest from the nearest of the others."""
        plants, suppliers = self._nodes[NodeKind.PLANT], self._nodes[NodeKind.SUPPLIER]
        far, near = suppliers[: self.overseas], suppliers[self.overseas :]
        share = np.zeros((len(plants), len(suppliers)))
        turn = np.arange(len(plants))
        share[turn, turn % len(far)] += _FIRST_OVERSEAS
        share[turn, (turn + 1) % len(far)] += 1.0 - _FIRST_OVERSEAS
        if len(near):
            share *= _OVERSEAS_SHARE
            for link in self._link(LaneGroup.VIRGIN, plants, near):
                share[:, len(far) :] = (1.0 - _OVERSEAS_SHARE) * link.share
        yield _Link(group=LaneGroup.VIRGIN, anchors=plants, partners=suppliers, share=share)

    def _laterals(self) -> Iterator[_Link]:
        """Join neighbouring warehouses of a tier, both ways."""
        for tier in (self._central, self._local):
            if len(tier) < 2:
                continue
            away = self.away(tier, tier)
            np.fill_diagonal(away, np.inf)
            joined = _first(-away, np.full(len(tier), min(_NEIGHBOURS, len(tier) - 1)))
            joined |= joined.T
            share = joined / joined.sum(axis=1, keepdims=True)
            yield _Link(group=LaneGroup.LATERAL, anchors=tier, partners=tier, share=share)


def _gravity(
    away: NDArray[np.float64], load: NDArray[np.float64], goal: NDArray[np.float64], few: int, many: int
) -> NDArray[np.float64]:
    """Return the shares of anchors with few partners each, or more, up to many, where loads would be too uneven."""
    pull = (away + _SAME_PLACE) ** -_GRAVITY
    dense = _balanced(pull, load, goal)
    joined, share = dense > 0.0, dense
    for count in range(few, many + 1):
        joined = _strongest(dense, load, goal, count)
        share = _balanced(pull * joined, load, goal)
        if np.max(load @ share / goal) <= _UNEVEN:
            break
    return (1.0 - _EVEN) * share + _EVEN * joined / joined.sum(axis=1, keepdims=True)


def _balanced(pull: NDArray[np.float64], load: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares of anchors over partners (rows add up to 1) whose loads come near the partners' goals."""
    share = pull / pull.sum(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        share *= goal / (load @ share)
        share /= share.sum(axis=1, keepdims=True)
    return share


def _strongest(
    share: NDArray[np.float64], load: NDArray[np.float64], goal: NDArray[np.float64], count: int
) -> NDArray[np.bool_]:
    """Tell which pairs have a lane: what is strong for the anchor, or for a partner that needs it for its goal.

    An anchor has `count` partners, and more where it is larger than others; a partner has at least half of what that
    makes on average.
    """
    partners = share.shape[1]
    joined = _first(share, np.ceil(count * np.maximum(load / load.mean(), 1.0)))
    needed = np.ceil(0.5 * joined.sum() / partners * np.maximum(goal / goal.mean(), 1.0))
    return joined | _first((share * load[:, None]).T, needed).T


def _first(value: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which entries of each row are its counts[row] largest."""
    rank = np.empty(value.shape, dtype=np.intp)
    np.put_along_axis(rank, np.argsort(-value, axis=1, kind="stable"), np.arange(value.shape[1])[None, :], axis=1)
    return rank < counts[:, None]


def _lanes(link: _Link, chart: _Map, side: float, import_km: float) -> Iterator[Lane]:
    road = _ROAD_FACTOR * side * chart.away(link.anchors, link.partners)
    for a, b in zip(*np.nonzero(link.share), strict=True):
        anchor, partner = int(link.anchors[a]), int(link.partners[b])
        sender, receiver = (partner, anchor) if link.group in BY_RECEIVER else (anchor, partner)
        overseas = link.group is LaneGroup.VIRGIN and sender < chart.overseas
        km = import_km * float(chart.import_factor[sender]) if overseas else float(road[a, b])
        yield Lane(
            group=link.group,
            sender=sender,
            receiver=receiver,
            lead=_lead(link.group, km, import_km if overseas else None),
            share=float(link.share[a, b]),
            km=km,
            overseas=overseas,
        )


def _lead(group: LaneGroup, km: float, import_km: float | None) -> int:
    """Return the periods that a lane takes; import_km for overseas lanes only."""
    if group in IMMEDIATE:
        return 0
    if import_km is not None:
        return 2 + int(km > _NEAR_IMPORT * import_km)
    return 1 + sum(km > long for long in _LONG_KM) + int(group is LaneGroup.EXTERNAL)


def _kinds(plan: _Template) -> list[NodeKind]:
    return [kind for kind, count in zip(NodeKind, plan.counts, strict=True) for _ in range(count)]


def _names(plan: _Template) -> list[str]:
    names = [f"{kind}-{i + 1}" for kind, count in zip(NodeKind, plan.counts, strict=True) for i in range(count)]
    if plan.central:
        first = sum(plan.counts[: list(NodeKind).index(NodeKind.WAREHOUSE)])
        local = first + plan.central
        names[first:local] = [f"central-warehouse-{i + 1}" for i in range(plan.central)]
        last = first + plan.counts[list(NodeKind).index(NodeKind.WAREHOUSE)]
        names[local:last] = [f"local-warehouse-{i + 1}" for i in range(last - local)]
    return names
