"""Networks: nodes of stated kinds, lanes between them with lead times, distances and shares.

A template places its nodes on a map with the suite's seed and connects each to its nearest partners.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sim_core.errors import ModelError
from sim_core.seeding import scenario_number, uniform


class NodeKind(StrEnum):
    """What a node does."""

    SUPPLIER = "supplier"  # virgin material; the first is overseas, the last is the near second source
    PLANT = "plant"
    WAREHOUSE = "warehouse"
    MARKET = "market"  # the use phase
    COLLECTOR = "collector"
    INSPECTION = "inspection"
    REMANUFACTURER = "remanufacturer"
    RECYCLER = "recycler"
    EXTERNAL = "external"  # priced, capacity-limited market for recycled material
    SECOND_LIFE = "second_life"
    LANDFILL = "landfill"


class LaneGroup(StrEnum):
    """What a lane carries; the value names sender and receiver kinds and the cargo."""

    VIRGIN = "supplier>plant:material"
    GOODS = "plant>warehouse:product"
    SALES = "warehouse>market:product"
    RETURNS = "market>collector:product"
    CORES = "collector>inspection:product"
    REMAN_FEED = "inspection>remanufacturer:product"
    REPURPOSE = "inspection>second_life:product"
    RECYCLE_FEED = "inspection>recycler:product"
    SCRAP = "plant>recycler:product"
    REJECTS = "remanufacturer>recycler:product"
    REMAN_GOODS = "remanufacturer>warehouse:product"
    SECONDARY = "recycler>plant:material"
    EXTERNAL = "external>plant:material"
    SECOND_LIFE_RETURNS = "second_life>recycler:product"
    DISPOSAL = "recycler>landfill:product"

    @property
    def sender(self) -> NodeKind:
        """The kind of node that ships."""
        return NodeKind(self.value.split(">")[0])

    @property
    def receiver(self) -> NodeKind:
        """The kind of node that receives."""
        return NodeKind(self.value.split(">")[1].split(":")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One facility or market. x, y in km."""

    name: str
    kind: NodeKind
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane from node `sender` to node `receiver` (indices into Network.nodes).

    lead: months, 0 only for sales, disposal and repurposing (those edges form no cycle). share: of what the sender
    ships out or, for orders (virgin, external, goods, sales), of what the receiver asks for. km: distance; overseas
    lanes cross the border and go by ocean.
    """

    group: LaneGroup
    sender: int
    receiver: int
    lead: int
    share: float
    km: float
    overseas: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes ordered by kind, and lanes ordered by group, receiver and sender (the global edge order)."""

    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]

    def __post_init__(self) -> None:
        for lane in self.lanes:
            if lane.lead < 1 and lane.group not in _IMMEDIATE:
                raise ModelError(
                    f"lane {self.nodes[lane.sender].name} -> {self.nodes[lane.receiver].name} has lead time "
                    f"{lane.lead}; every cycle needs a delay, so it must be at least 1 month"
                )

    def of_kind(self, kind: NodeKind) -> list[int]:
        """Return the indices of all nodes of a kind, in order."""
        return [i for i, node in enumerate(self.nodes) if node.kind is kind]

    def in_group(self, group: LaneGroup) -> list[Lane]:
        """Return the lanes of a group, in global edge order."""
        return [lane for lane in self.lanes if lane.group is group]


_IMMEDIATE = (LaneGroup.SALES, LaneGroup.DISPOSAL, LaneGroup.REPURPOSE)
_BY_RECEIVER = (LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.GOODS, LaneGroup.SALES)
_COUNTS = {
    "loop": (2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    "regional": (2, 2, 3, 4, 4, 2, 2, 2, 1, 1, 1),
}
NETWORK_TEMPLATES = tuple(_COUNTS)
_PARTNERS = {LaneGroup.RETURNS: 2, LaneGroup.SALES: 2, LaneGroup.CORES: 2}
_ROAD_FACTOR = 1.3  # road distance over straight line (assumption, common in logistics planning)
MEAN_LEG = 0.52 * _ROAD_FACTOR  # mean road distance between two places of a square region, over its side
_NEAREST_SHARE = 0.7
_LONG_KM = 250.0  # a longer lane takes a month more


def build_network(template: str, seed: int, *, region_km: float, import_km: float) -> Network:
    """Return a template's network, placed by seed in a square of side region_km. Raises ModelError if unknown."""
    if template not in _COUNTS:
        raise ModelError(f"unknown network {template!r}; known are {list(_COUNTS)}")
    place = uniform(seed, scenario_number(f"network/{template}", 0), "place", 2, sum(_COUNTS[template]))
    nodes: list[Node] = []
    for kind, count in zip(NodeKind, _COUNTS[template], strict=True):
        for number in range(count):
            x, y = place[len(nodes)] * region_km
            nodes.append(Node(name=f"{kind}-{number + 1}", kind=kind, x=float(x), y=float(y)))
    lanes: list[Lane] = []
    for group in LaneGroup:
        lanes += _connect(group, nodes, import_km)
    return Network(nodes=tuple(nodes), lanes=tuple(lanes))


def _connect(group: LaneGroup, nodes: Sequence[Node], import_km: float) -> list[Lane]:
    senders = [i for i, node in enumerate(nodes) if node.kind is group.sender]
    receivers = [i for i, node in enumerate(nodes) if node.kind is group.receiver]
    by_receiver = group in _BY_RECEIVER
    anchors, partners = (receivers, senders) if by_receiver else (senders, receivers)
    lanes: list[Lane] = []
    for anchor in anchors:
        near = sorted(partners, key=lambda other: (_km(nodes[anchor], nodes[other]), other))
        if group is LaneGroup.VIRGIN:  # the overseas source comes first by price, wherever the map puts it
            near = sorted(partners)
        near = near[: _PARTNERS.get(group, len(near))]
        for partner, share in zip(near, _shares(len(near)), strict=True):
            sender, receiver = (partner, anchor) if by_receiver else (anchor, partner)
            overseas = group is LaneGroup.VIRGIN and sender == senders[0]
            km = import_km if overseas else _km(nodes[sender], nodes[receiver])
            lanes.append(
                Lane(
                    group=group,
                    sender=sender,
                    receiver=receiver,
                    lead=_lead(group, km, overseas),
                    share=share,
                    km=km,
                    overseas=overseas,
                )
            )
    return sorted(lanes, key=lambda lane: (lane.receiver, lane.sender))


def _shares(count: int) -> list[float]:
    """Return lane shares, nearest first: the nearest takes most, the others share the rest evenly."""
    if count < 2:
        return [1.0] * count
    return [_NEAREST_SHARE] + [(1.0 - _NEAREST_SHARE) / (count - 1)] * (count - 1)


def _km(one: Node, other: Node) -> float:
    return _ROAD_FACTOR * float(np.hypot(one.x - other.x, one.y - other.y))


def _lead(group: LaneGroup, km: float, overseas: bool) -> int:
    if group in _IMMEDIATE:
        return 0
    if overseas:
        return 3
    return 1 + int(km > _LONG_KM) + int(group is LaneGroup.EXTERNAL)
