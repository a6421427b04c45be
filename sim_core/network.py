"""Networks: nodes of stated kinds, and lanes between them with lead times, shares and costs.

A network is plain data: `sim_core.network_generator` makes one from a template and a seed, users write their own.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from sim_core.errors import ModelError
from sim_core.exogenous import Process, process_from_json


class NodeKind(StrEnum):
    """What a node does. The order is that of Network.nodes."""

    SUPPLIER = "supplier"  # virgin material or bought-in goods
    PLANT = "plant"
    WAREHOUSE = "warehouse"
    MARKET = "market"  # demand and the use phase
    COLLECTOR = "collector"
    INSPECTION = "inspection"
    REMANUFACTURER = "remanufacturer"
    RECYCLER = "recycler"
    EXTERNAL = "external"  # priced, capacity-limited market for recycled material
    SECOND_LIFE = "second_life"
    LANDFILL = "landfill"


GOODS_POINTS = (NodeKind.PLANT, NodeKind.WAREHOUSE)  # they hold goods and may serve markets; plants come first


class LaneGroup(StrEnum):
    """What a lane is for. The value reads "senders>receivers:cargo", where goods stands for plant or warehouse."""

    VIRGIN = "supplier>plant:material"
    PURCHASE = "supplier>warehouse:product"  # finished goods bought in, for networks without a plant
    GOODS = "goods>warehouse:product"
    LATERAL = "warehouse>warehouse:lateral"  # between warehouses, used by the lateral-transfer lever alone
    SALES = "goods>market:product"
    RETURNS = "market>collector:product"
    CORES = "collector>inspection:product"
    REUSE = "inspection>goods:product"
    REMAN_FEED = "inspection>remanufacturer:product"
    REPURPOSE = "inspection>second_life:product"
    RECYCLE_FEED = "inspection>recycler:product"
    SCRAP = "plant>recycler:product"
    REJECTS = "remanufacturer>recycler:product"
    REMAN_GOODS = "remanufacturer>goods:product"
    SECONDARY = "recycler>plant:material"
    EXTERNAL = "external>plant:material"
    SURPLUS = "plant>external:material"
    SECOND_LIFE_RETURNS = "second_life>recycler:product"
    DISPOSAL = "recycler>landfill:product"

    @property
    def senders(self) -> tuple[NodeKind, ...]:
        """The kinds of node that ship."""
        return _kinds(self.value.split(">")[0])

    @property
    def receivers(self) -> tuple[NodeKind, ...]:
        """The kinds of node that receive."""
        return _kinds(self.value.split(">")[1].split(":")[0])

    @property
    def cargo(self) -> str:
        """Either "product" (units) or "material" (kg)."""
        return "material" if self.value.endswith("material") else "product"


def _kinds(word: str) -> tuple[NodeKind, ...]:
    return GOODS_POINTS if word == "goods" else (NodeKind(word),)


ORDERED = (LaneGroup.VIRGIN, LaneGroup.PURCHASE, LaneGroup.GOODS, LaneGroup.EXTERNAL)  # receivers ask, senders fill
BY_RECEIVER = (*ORDERED, LaneGroup.SALES)  # groups whose shares split what a receiver asks for
IMMEDIATE = (LaneGroup.SALES, LaneGroup.REPURPOSE, LaneGroup.DISPOSAL, LaneGroup.SURPLUS)  # lead time always 0
# Sent before the receiver's step of the same period, so that a lead time of 0 arrives in it.
FORWARD_IN_PERIOD = (
    LaneGroup.RETURNS, LaneGroup.CORES, LaneGroup.REUSE, LaneGroup.REMAN_FEED, LaneGroup.RECYCLE_FEED,
    LaneGroup.REJECTS, LaneGroup.REMAN_GOODS, LaneGroup.SECONDARY, LaneGroup.SECOND_LIFE_RETURNS,
)  # fmt: skip
# Lanes that may have a capacity: what they can't carry stays in a stock, or in an order.
LIMITED = (*ORDERED, LaneGroup.LATERAL, LaneGroup.SALES, LaneGroup.CORES)
TARGETS = ("S", "M", "U")
# Where a target has a meaning; see sim_core.control.
TARGET_KINDS: Mapping[str, tuple[NodeKind, ...]] = {
    "S": GOODS_POINTS,
    "M": (NodeKind.PLANT, NodeKind.INSPECTION, NodeKind.REMANUFACTURER, NodeKind.RECYCLER),
    "U": (NodeKind.PLANT, NodeKind.COLLECTOR, NodeKind.REMANUFACTURER, NodeKind.RECYCLER),
}
U_BASES = ("remaining", "total")
_WORKERS = (NodeKind.PLANT, NodeKind.COLLECTOR, NodeKind.INSPECTION, NodeKind.REMANUFACTURER, NodeKind.RECYCLER)
# The kinds of node at which a field has a meaning; fields that are missing here have one everywhere.
FIELD_KINDS: Mapping[str, tuple[NodeKind, ...]] = {
    "capacity": (NodeKind.SUPPLIER, *_WORKERS, NodeKind.EXTERNAL, NodeKind.SECOND_LIFE),
    "holding": (*_WORKERS, NodeKind.WAREHOUSE),
    "cost": (NodeKind.SUPPLIER, *_WORKERS),
    "storage": (NodeKind.REMANUFACTURER,),
    "demand": (NodeKind.MARKET,),
    "returns": (NodeKind.COLLECTOR, NodeKind.REMANUFACTURER),
    "backlog": (NodeKind.MARKET,),
    "shortage_cost": (NodeKind.MARKET,),
    "max_target": (*_WORKERS, NodeKind.WAREHOUSE),
    "u_basis": (NodeKind.REMANUFACTURER,),
}
_SHARE_ERROR = 1e-9
_MAY_BE_NEGATIVE = ("x", "y", "cost")  # a negative cost is a revenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One facility or market. x, y in km. None: the product's catalogue value holds.

    capacity: of a plant, inspection, collector or remanufacturer in units a period, of a recycler in kg a period and
    line, of a supplier or external market in kg (material) or units (goods) a period, of a second-life market the
    units a period that it takes. holding: EUR per unit (plant,
    warehouse, collector, inspection, remanufacturer; per kg at a recycler) and period. cost: EUR per unit (kg at a
    recycler) processed or, at a supplier of goods, sold. storage: units that a remanufacturer can keep; what arrives
    beyond is disposed of. demand: of a market, units a period; returns: exogenous arrivals of used units at a
    collector or remanufacturer. backlog: whether a market waits for what it can't get, at shortage_cost EUR per unit
    and period; otherwise the sale is lost, at shortage_cost a unit. max_target: what a target of 1.0 means, in
    absolute units, by "S", "M" or "U"; without it, the suite's multiple of forecast lead-time demand.
    u_basis: whether U is compared with the cores that "remain" after M or with the "total" of cores and serviceable
    goods.
    """

    name: str
    kind: NodeKind
    x: float = 0.0
    y: float = 0.0
    capacity: float | None = None
    holding: float | None = None
    cost: float | None = None
    storage: float | None = None
    demand: Process | None = None
    returns: Process | None = None
    backlog: bool = False
    shortage_cost: float | None = None
    max_target: Mapping[str, float] = field(default_factory=dict)
    u_basis: str = "remaining"


_UNSET = {name: getattr(Node(name="", kind=NodeKind.PLANT), name) for name in FIELD_KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane from node `sender` to node `receiver` (indices into Network.nodes).

    lead: periods from the end of the period of shipping. share: of what the sender ships out or, in the groups
    BY_RECEIVER, of what the receiver asks for. km: distance; overseas lanes cross the border and go by ocean.
    information: periods that an order takes to reach the sender (ORDERED groups). cost: EUR per unit or kg of cargo;
    None: from the distance. capacity: units or kg a period; None: unlimited.
    """

    group: LaneGroup
    sender: int
    receiver: int
    lead: int
    share: float
    km: float = 0.0
    overseas: bool = False
    information: int = 0
    cost: float | None = None
    capacity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes ordered by kind, and lanes ordered by group, receiver and sender (the global edge order).

    Raises ModelError, naming nodes and remedy, for names that repeat, numbers that no facility has, fields at a kind
    of node where they mean nothing, lanes that no group allows or that repeat, shares that do not add up to 1, lead
    times that the order of the period can't serve, orders that run in a circle within a period, and markets,
    warehouses or remanufacturers that goods can't get to or out of.
    """

    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]

    def __post_init__(self) -> None:
        faults = [*_name_faults(self.nodes), *(fault for node in self.nodes for fault in node_faults(node))]
        count = len(self.nodes)
        if any(not (0 <= lane.sender < count and 0 <= lane.receiver < count) for lane in self.lanes):
            faults.append(f"a lane joins a node that is not one of the {count}")
        else:
            faults += [fault for lane in self.lanes for fault in self._lane_faults(lane)]
            faults += [] if faults else [*self._repeats(), *self._share_faults(), *self._cycles(), *self._loose_ends()]
        if faults:
            raise ModelError("; ".join(faults))

    def of_kind(self, *kinds: NodeKind) -> list[int]:
        """Return the indices of all nodes of the kinds, in order."""
        return [i for i, node in enumerate(self.nodes) if node.kind in kinds]

    def in_group(self, group: LaneGroup) -> list[Lane]:
        """Return the lanes of a group, in global edge order."""
        return [lane for lane in self.lanes if lane.group is group]

    def title(self, lane: Lane) -> str:
        """Return how messages call a lane."""
        return f"{self.nodes[lane.sender].name} -> {self.nodes[lane.receiver].name}"

    def _lane_faults(self, lane: Lane) -> list[str]:
        sender, receiver = self.nodes[lane.sender], self.nodes[lane.receiver]
        name = f"lane {self.title(lane)}"
        if sender.kind not in lane.group.senders or receiver.kind not in lane.group.receivers:
            return [f"{name} can't be {lane.group.name}: it joins {sender.kind} and {receiver.kind}"]
        if lane.sender == lane.receiver:
            return [f"{name} leads back to where it starts: remove it"]
        return [f"{name}: {field} {message}" for field, message in lane_objections(lane)]

    def _repeats(self) -> Iterator[str]:
        seen = Counter((lane.group, lane.sender, lane.receiver) for lane in self.lanes)
        for lane in self.lanes:
            if seen.pop((lane.group, lane.sender, lane.receiver), 0) > 1:
                yield f"lane {self.title(lane)} is given twice: make one of the two, with the sum of their shares"
        groups = list(LaneGroup)
        order = [(groups.index(lane.group), lane.receiver, lane.sender) for lane in self.lanes]
        if order != sorted(order):
            yield "lanes must be ordered by group, receiver and sender; see arrange"

    def _share_faults(self) -> Iterator[str]:
        total: dict[tuple[LaneGroup, int], float] = {}
        for lane in self.lanes:
            if lane.group is LaneGroup.LATERAL:
                continue
            key = shared_among(lane.group, lane.sender, lane.receiver)
            total[key] = total.get(key, 0.0) + lane.share
        for (group, anchor), share in total.items():
            if abs(share - 1.0) > _SHARE_ERROR:
                end = f"{'into' if group in BY_RECEIVER else 'out of'} {self.nodes[anchor].name}"
                yield f"the shares of the {group.name} lanes {end} add up to {share:g}, not 1"

    def _cycles(self) -> Iterator[str]:
        goods = [(lane.receiver, lane.sender) for lane in self.in_group(LaneGroup.GOODS)]
        loop = find_cycle(goods)
        if loop:
            names = " -> ".join(self.nodes[i].name for i in loop)
            yield (
                f"orders run in a circle within a period: {names}; make one of these lanes `lateral`, or remove it "
                "(orders of goods must form a directed acyclic graph)"
            )

    def _loose_ends(self) -> Iterator[str]:
        into = {(self.nodes[lane.receiver].kind, lane.receiver) for lane in self.lanes}
        out = {lane.sender for lane in self.in_group(LaneGroup.REMAN_GOODS)}
        for i, node in enumerate(self.nodes):
            if node.kind in (NodeKind.MARKET, NodeKind.WAREHOUSE) and (node.kind, i) not in into:
                yield f"nothing can get to {node.kind} {node.name}: give it a lane from a plant or a warehouse"
            if node.kind is NodeKind.REMANUFACTURER and i not in out:
                yield f"nothing can get out of remanufacturer {node.name}: give it a lane to a plant or a warehouse"


def _name_faults(nodes: Sequence[Node]) -> Iterator[str]:
    names = Counter(node.name for node in nodes)
    yield from (f"{count} nodes are called {name}: rename all but one" for name, count in names.items() if count > 1)
    if not nodes:
        yield "a network needs nodes"
    order = list(NodeKind)
    if any(order.index(a.kind) > order.index(b.kind) for a, b in pairwise(nodes)):
        yield "nodes must be ordered by kind; see arrange"


def node_faults(node: Node) -> Iterator[str]:
    """Yield what is wrong with a node by itself."""
    for field_name, message in node_objections(node):
        yield f"{node.kind} {node.name}: {field_name} {message}"


def node_objections(node: Node) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for a node by itself."""
    for name, kinds in FIELD_KINDS.items():
        if node.kind not in kinds and getattr(node, name) != _UNSET[name]:
            yield name, f"means nothing at a {node.kind}; it belongs to {', '.join(kinds)}: remove it"
    for name in ("x", "y", "capacity", "holding", "cost", "storage", "shortage_cost"):
        value = getattr(node, name)
        if value is not None and not (math.isfinite(value) and (value >= 0.0 or name in _MAY_BE_NEGATIVE)):
            yield name, f"must be finite{'' if name in _MAY_BE_NEGATIVE else ' and at least 0'}, not {value:g}"
    for letter, value in node.max_target.items():
        if node.kind not in TARGET_KINDS.get(letter, ()):
            known = [name for name, kinds in TARGET_KINDS.items() if node.kind in kinds]
            yield "max_target", f"of {letter!r} means nothing at a {node.kind}; known are {', '.join(known)}"
        elif not 0.0 < value < math.inf:
            yield "max_target", f"of {letter} must be finite and greater than 0, not {value:g}"
    if node.u_basis not in U_BASES:
        yield "u_basis", f"is {node.u_basis!r}; it is one of {', '.join(U_BASES)}"


def lane_objections(lane: Lane) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for a lane by itself, whatever nodes it joins."""
    if lane.group in IMMEDIATE and lane.lead != 0:
        yield "lead", f"is {lane.lead}; {lane.group.name} lanes take no time: write 0"
    elif lane.lead < least_lead(lane.group):
        least = least_lead(lane.group)
        yield "lead", f"is {lane.lead}; it must be at least {least} period, because every cycle needs a delay"
    if lane.information < 0:
        yield "information", f"must be at least 0, not {lane.information}"
    elif lane.information and lane.group not in ORDERED:
        yield "information", "delays orders, but nothing is ordered on this lane: remove it"
    if lane.capacity is not None and lane.group not in LIMITED:
        yield "capacity", f"would leave the rest nowhere on {lane.group.name} lanes: limit the node's capacity instead"
    if not 0.0 <= lane.share <= 1.0 + _SHARE_ERROR:
        yield "share", f"must be in [0, 1], not {lane.share:g}"
    for name in ("km", "cost", "capacity"):
        value = getattr(lane, name)
        if value is not None and not 0.0 <= value < math.inf:
            yield name, f"must be finite and at least 0, not {value:g}"


def least_lead(group: LaneGroup) -> int:
    """Return the shortest lead time that the order of the period can serve."""
    return 0 if group in (*IMMEDIATE, *FORWARD_IN_PERIOD) else 1


def shared_among(group: LaneGroup, sender: int, receiver: int) -> tuple[LaneGroup, int]:
    """Return the key of the lanes whose shares add up to 1 together: a group and the end that it splits.

    What a warehouse orders is split over its lanes from plants, from warehouses and from suppliers of goods alike.
    """
    if group is LaneGroup.PURCHASE:
        group = LaneGroup.GOODS
    return group, receiver if group in BY_RECEIVER else sender


def find_cycle(edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return a cycle of a directed graph as a list of nodes that ends where it starts; empty if there is none."""
    after: dict[int, list[int]] = {}
    for start, end in edges:
        after.setdefault(start, []).append(end)
    done: set[int] = set()
    for root in sorted(after):
        path = [root] if root not in done else []
        on_path = set(path)
        ahead = [iter(after[root])]
        while path:
            node = next(ahead[-1], None)
            if node is None:
                on_path.discard(path[-1])
                done.add(path.pop())
                ahead.pop()
            elif node in on_path:
                return [*path[path.index(node) :], node]
            elif node not in done:
                path.append(node)
                on_path.add(node)
                ahead.append(iter(after.get(node, [])))
    return []


def group_of(sender: NodeKind, receiver: NodeKind, *, lateral: bool = False) -> LaneGroup | None:
    """Return the group of a lane between two kinds of node, None where no lane is possible."""
    for group in LaneGroup:
        if (group is LaneGroup.LATERAL) == lateral and sender in group.senders and receiver in group.receivers:
            return group
    return None


def arrange(nodes: Sequence[Node], lanes: Sequence[Lane]) -> Network:
    """Return a network of nodes in any order: sorted by kind (and as given within a kind), lanes in edge order."""
    kinds, groups = list(NodeKind), list(LaneGroup)
    order = sorted(range(len(nodes)), key=lambda i: (kinds.index(nodes[i].kind), i))
    place = {old: new for new, old in enumerate(order)}
    moved = [_moved(lane, place) for lane in lanes]
    moved.sort(key=lambda lane: (groups.index(lane.group), lane.receiver, lane.sender))
    return Network(nodes=tuple(nodes[i] for i in order), lanes=tuple(moved))


def network_from_json(value: Mapping[str, Any]) -> Network:
    """Rebuild a network from its JSON form (dataclasses.asdict)."""
    nodes = [
        Node(
            **{
                **node,
                "kind": NodeKind(node["kind"]),
                **{name: process_from_json(node[name]) for name in ("demand", "returns") if node.get(name)},
            }
        )
        for node in value["nodes"]
    ]
    lanes = [Lane(**{**lane, "group": LaneGroup(lane["group"])}) for lane in value["lanes"]]
    return Network(nodes=tuple(nodes), lanes=tuple(lanes))


def _moved(lane: Lane, place: Mapping[int, int]) -> Lane:
    return replace(lane, sender=place[lane.sender], receiver=place[lane.receiver])
