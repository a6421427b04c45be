"""The world of one agent run: where its units are, what is under way, and what every step of a period shares.

Product is whole units, material is kg. One cell: arrays have no axis for cells.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.chance import Chance, spread
from sim_core.agents.passport import OUTSIDE, Ids, Units
from sim_core.agents.pool import join
from sim_core.agents.states import STATE_CODE, LifeEvent, MaterialState
from sim_core.control import Control
from sim_core.engine.layout import Layout
from sim_core.engine.settings import Capacity, Settings
from sim_core.engine.terms import Terms, TermsTable
from sim_core.engine.trace import Trace
from sim_core.network import LaneGroup, NodeKind

Array = NDArray[np.float64]
Parcel = tuple[int, int, Ids]  # position of the sender or receiver among its kinds, product, units


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The control in force: targets and levers of one cell."""

    layout: Layout
    control: Control

    def level(self, target: int, node: int, usual: float) -> float:
        """Return a target of a node in units: its multiple of `usual`, or of the node's own number."""
        share = float(self.control.targets[target, node, 0])
        own = float(self.layout.absolute[target, node])
        return share * (usual * self.layout.suite.max_cover if np.isnan(own) else own)

    def share(self, target: int, node: int) -> float:
        """Return a target of a node as it was set, in [0, 1]."""
        return float(self.control.targets[target, node, 0])

    def lever(self, name: str) -> float:
        """Return a lever's state in [0, 1]; 0 for one that the suite leaves out."""
        names = self.layout.suite.levers
        return float(self.control.levers[names.index(name), 0]) if name in names else 0.0


class World:
    """Units, lanes, terms and decisions of a run in its present period."""

    def __init__(self, layout: Layout, table: TermsTable, chance: Chance, *, record: bool) -> None:
        self.layout = layout
        self.units = Units(record=record)
        self.capacity = Capacity(layout, 1)
        self.trace = Trace(layout.suite.periods, 1)
        self.t = 0
        self.node = {kind: layout.network.of_kind(kind) for kind in NodeKind}
        self.receivers = {group: layout.network.of_kind(*group.receivers) for group in LaneGroup}
        self.goods_nodes = [int(i) for i in layout.goods]
        self._table = table
        self._chance = chance
        self._draws: dict[str, np.random.Generator] = {}
        self._under_way: dict[LaneGroup, dict[int, list[Parcel]]] = {g: defaultdict(list) for g in LaneGroup}
        self.products = len(layout.products.archetypes)
        self.on_lanes = {g: np.zeros((layout.lanes[g].count, self.products), dtype=np.int64) for g in LaneGroup}
        self._lanes_from = {g: _by_end(layout.lanes[g].sender) for g in LaneGroup}
        self._first_lane = _first_lanes(layout)
        self.terms = self._terms(0)
        self.decisions: Decisions

    def open_period(self, t: int) -> None:
        """Begin period t: its terms, and random numbers of its own."""
        self.t = t
        self.terms = self._terms(t)
        self._draws.clear()

    def adopt(self, table: TermsTable) -> None:
        """Go on under other terms."""
        self._table = table

    def decide(self, control: Control) -> None:
        """Put a control in force and start its investments. Raises ModelError for a control that makes no sense."""
        self.capacity.review(self.t, Settings(self.layout, control, 1))
        self.decisions = Decisions(layout=self.layout, control=control)

    def draw(self, purpose: str) -> np.random.Generator:
        """Return this period's generator for a purpose; it goes on where the last call left it."""
        if purpose not in self._draws:
            self._draws[purpose] = self._chance.of(purpose, self.t)
        return self._draws[purpose]

    def note(self, name: str, amount: float) -> None:
        """Add to a series of the trace in this period."""
        self.trace.add(name, self.t, np.array([amount], dtype=np.float64))

    def emit(self, kilograms: float) -> None:
        """Book process emissions, kgCO2e."""
        self.note("emissions", kilograms)

    def value(self, name: str) -> Array:
        """Return a parameter of every product, (P,)."""
        return self.layout.value(name)[:, 0]

    def send(
        self, group: LaneGroup, parcels: Sequence[Parcel], event: LifeEvent = LifeEvent.SHIPPED, carbon: float = 0.0
    ) -> None:
        """Ship units from senders over the group's lanes, each unit by the lanes' shares, as part of an event.

        Senders without a lane of this group dispose of what they have.
        """
        draw, flows = self.draw("lanes"), list[tuple[int, int, Ids]]()
        for sender, product, ids in parcels:
            if not len(ids):
                continue
            lanes = self._lanes_from[group].get(sender)
            if lanes is None:
                self.dispose(product, ids)
            elif len(lanes) == 1:
                flows.append((int(lanes[0]), product, ids))
            else:
                counts = spread(len(ids), self.layout.lanes[group].share[lanes], draw)
                parts = np.split(draw.permutation(ids), np.cumsum(counts)[:-1])
                flows += [(int(lane), product, part) for lane, part in zip(lanes, parts, strict=True)]
        self.dispatch(group, flows, event, carbon)

    def dispatch(
        self,
        group: LaneGroup,
        flows: Sequence[Parcel],
        event: LifeEvent = LifeEvent.SHIPPED,
        carbon: float = 0.0,
    ) -> None:
        """Put units on lanes (position in the group, product, units); they arrive after the lane's lead time."""
        lanes = self.layout.lanes[group]
        some = [flow for flow in flows if len(flow[2])]
        for lane, product, ids in some:
            self._under_way[group][self.t + int(lanes.lead[lane])].append((lane, product, ids))
            self.on_lanes[group][lane, product] += len(ids)
        if some:
            sizes = [len(ids) for _, _, ids in some]
            place = np.repeat([self._first_lane[group] + lane for lane, _, _ in some], sizes)
            freight = np.repeat([lanes.carbon[lane, product] for lane, product, _ in some], sizes)
            ids = join(ids for _, _, ids in some)
            self.units.happen(event, ids, t=self.t, place=place.astype(np.int32), carbon=freight + carbon)

    def arrive(self, group: LaneGroup) -> list[Parcel]:
        """Take what arrives this period on a group's lanes: (receiver's position among its kinds, product, units)."""
        arrived = self._under_way[group].pop(self.t, [])
        if not arrived:
            return []
        lanes = self.layout.lanes[group]
        nodes = self.receivers[group]
        for lane, product, ids in arrived:
            self.on_lanes[group][lane, product] -= len(ids)
        place = np.repeat([nodes[lanes.receiver[lane]] for lane, _, _ in arrived], [len(ids) for _, _, ids in arrived])
        ids = join(ids for _, _, ids in arrived)
        self.units.happen(LifeEvent.ARRIVED, ids, t=self.t, place=place.astype(np.int32))
        return [(int(lanes.receiver[lane]), product, ids) for lane, product, ids in arrived]

    def inbound(self, group: LaneGroup) -> Array:
        """Return the units in transit to each receiver, (receivers, P)."""
        total = np.zeros((len(self.receivers[group]), self.products))
        np.add.at(total, self.layout.lanes[group].receiver, self.on_lanes[group])
        return total

    def in_transit(self, states: Sequence[MaterialState]) -> int:
        """Return how many units in some of the states are on lanes."""
        codes = [STATE_CODE[state] for state in states]
        ids = join(ids for group in self._under_way.values() for flows in group.values() for _, _, ids in flows)
        return int(np.isin(self.units.column("state")[ids], codes).sum())

    def has_lane(self, group: LaneGroup, sender: int) -> bool:
        """Return whether a sender has a lane of a group."""
        return sender in self._lanes_from[group]

    def lanes_from(self, group: LaneGroup, sender: int) -> NDArray[np.intp]:
        """Return the lanes of a group that leave a sender, by position in the group."""
        return self._lanes_from[group].get(sender, np.zeros(0, dtype=np.intp))

    def dispose(self, product: int, ids: Ids) -> None:
        """Take units out of the system as waste without a way on."""
        self.units.happen(LifeEvent.LANDFILLED, ids, t=self.t, place=OUTSIDE)
        self.emit(len(ids) * self.layout.products.mass[product] * self.value("disposal.carbon")[product])
        self.note("disposed", len(ids))

    def _terms(self, t: int) -> Terms:
        batch = self._table.at(t)
        return Terms(**{field.name: getattr(batch, field.name)[..., 0] for field in fields(Terms)})


def _by_end(ends: NDArray[np.intp]) -> dict[int, NDArray[np.intp]]:
    """Return the lanes of each node, by its position among the nodes of the group's kinds."""
    return {int(node): np.flatnonzero(ends == node) for node in np.unique(ends)}


def _first_lanes(layout: Layout) -> dict[LaneGroup, int]:
    """Return the place code of each group's first lane: lanes follow the nodes, in the network's order."""
    lanes = layout.network.lanes
    found: dict[LaneGroup, int] = {}
    for i, lane in enumerate(lanes):
        found.setdefault(lane.group, len(layout.network.nodes) + i)
    return found
