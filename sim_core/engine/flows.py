"""Flows: the engine's free decisions as rows of one array, to record a run and to act by other flows than the rules'.

A block holds one decision for all nodes or lanes that take it. P products, M materials, Q routes; nodes by kind, and
lanes by group, in the order of the network. What else moves follows from these: senders spread what they pass on over
their lanes by share, and classes leave a stock in proportion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import ORIGINS, Layout
from sim_core.network import LaneGroup, NodeKind

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowIndex:
    """Where each block stands among the F rows of Control.flows: name -> (first row, shape).

    The blocks, in this order, with what they count in a period:

        collect         (collectors, P)          units sent to inspection
        inspect         (inspections, P)         units graded
        reuse           (inspections, P)         units taken for reuse as they are, before its yield
        repurpose       (REPURPOSE lanes, P)     units to second-life markets
        remanufacture   (remanufacturers, P)     cores used
        reman_surplus   (remanufacturers, P)     cores passed to recyclers, those beyond storage left out
        route           (Q, recyclers, P)        units of feed processed
        landfill        (recyclers, P)           units of feed
        produce         (plants, P)              units of good output
        recycled        (plants, P, M, 3)        kg of recycled feed used, scrap included, by its origin
        sell_feed       (plants, M, 3)           kg of recycled feed sold, by its origin
        sell            (SALES lanes, P)         units x state of health served
        transfer        (LATERAL lanes, P)       units shipped
        goods           (GOODS lanes, P)         units shipped
        purchase        (PURCHASE lanes, P)      units bought
        virgin          (VIRGIN lanes, M)        kg shipped at normal speed
        virgin_fast     (VIRGIN lanes, M)        kg expedited
        external        (EXTERNAL lanes, M)      kg bought

    Origins: post-consumer, manufacturing scrap, external.
    """

    blocks: Mapping[str, tuple[int, tuple[int, ...]]]
    rows: int

    def block(self, flows: Array, name: str) -> Array:
        """Return a block of flows (..., F, B) in its shape, (..., *shape, B): a view where NumPy can give one."""
        start, shape = self.blocks[name]
        rows = flows[..., start : start + int(np.prod(shape)), :]
        return rows.reshape(*flows.shape[:-2], *shape, flows.shape[-1])


def flow_index(layout: Layout) -> FlowIndex:
    """Return the index of a layout's flows."""
    shapes = _shapes(layout)
    blocks, start = dict[str, tuple[int, tuple[int, ...]]](), 0
    for name, shape in shapes.items():
        blocks[name] = (start, shape)
        start += int(np.prod(shape))
    return FlowIndex(blocks=blocks, rows=start)


def _shapes(layout: Layout) -> dict[str, tuple[int, ...]]:
    count, lanes = layout.count, {group: layout.lanes[group].count for group in LaneGroup}
    products, materials, plants = len(layout.products.archetypes), len(layout.facts.materials), layout.plants
    origins = len(ORIGINS) - 1  # virgin is what recycled feed leaves
    return {
        "collect": (count[NodeKind.COLLECTOR], products),
        "inspect": (count[NodeKind.INSPECTION], products),
        "reuse": (count[NodeKind.INSPECTION], products),
        "repurpose": (lanes[LaneGroup.REPURPOSE], products),
        "remanufacture": (count[NodeKind.REMANUFACTURER], products),
        "reman_surplus": (count[NodeKind.REMANUFACTURER], products),
        "route": (len(layout.products.routes), count[NodeKind.RECYCLER], products),
        "landfill": (count[NodeKind.RECYCLER], products),
        "produce": (plants, products),
        "recycled": (plants, products, materials, origins),
        "sell_feed": (plants, materials, origins),
        "sell": (lanes[LaneGroup.SALES], products),
        "transfer": (lanes[LaneGroup.LATERAL], products),
        "goods": (lanes[LaneGroup.GOODS], products),
        "purchase": (lanes[LaneGroup.PURCHASE], products),
        "virgin": (lanes[LaneGroup.VIRGIN], materials),
        "virgin_fast": (lanes[LaneGroup.VIRGIN], materials),
        "external": (lanes[LaneGroup.EXTERNAL], materials),
    }


class FlowRecord:
    """The flows of a run: what moved, whoever decided it. values: (T, F, B)."""

    def __init__(self, layout: Layout, cells: int) -> None:
        self.index = flow_index(layout)
        self.values = np.zeros((layout.suite.periods, self.index.rows, cells))

    def add(self, name: str, t: int, amount: Array) -> None:
        """Add an amount (*shape, B), or (n, P, C, B) by class, to a block in period t.

        Raises KeyError for a name that is no block.
        """
        block = self.index.block(self.values[t], name)
        block += amount.sum(axis=2) if amount.ndim > block.ndim else amount
