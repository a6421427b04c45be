"""Opening: the state before the first period, as sim_core.engine.state has it, and which rows hold stock."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import ORIGINS, Layout
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.state import BY_CLASS, BY_PRODUCT, FEED_ORIGINS, MATERIAL, State, initial_state
from sim_core.kernel.compiled import Compiled
from sim_core.kernel.constants import GROUPS
from sim_core.network import LaneGroup

Array = NDArray[Any]
_GOODS_LANES = (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL, LaneGroup.REMAN_GOODS, LaneGroup.REUSE)


def fill_opening(layout: Layout, compiled: Compiled, x: Array, demand: NDArray[np.float64]) -> None:
    """Write the opening state of a block, x (rows, lanes). demand: (K, P, lanes) of the first period, units."""
    state = initial_state(layout, demand)
    k, lanes = compiled.constants, compiled.lanes
    r, cells, at = k.r, demand.shape[-1], lanes["group_start"]

    def write(first: int, values: Array) -> None:
        rows = values.reshape(-1, cells)
        x[first : first + len(rows)] = rows

    for name in ("goods", "feed", "at_goods"):
        write(getattr(r, name), getattr(state, name))
    write(r.forecast, state.forecast)
    write(r.start_demand, demand)
    if k.size.history:
        write(r.history, np.moveaxis(state.history, 0, 2))
    _fill_lanes(lanes, x, state)
    write(r.inbound, _inbound_goods(layout, state))
    write(r.inbound_feed, state.pipes[LaneGroup.VIRGIN].inbound())
    for number, group in enumerate(GROUPS):
        if group in BY_CLASS:
            units = state.pipes[group].on_lanes().sum(axis=(1, 2))
            x[r.held_in_transit] += (lanes["lane_hold"][at[number] : at[number + 1], None] * units).sum(axis=0)


def _inbound_goods(layout: Layout, state: State) -> Array:
    inbound = np.zeros_like(state.at_goods)
    for group in _GOODS_LANES:
        first = layout.plants if len(group.receivers) == 1 else 0
        inbound[first:] += state.pipes[group].inbound().sum(axis=2)
    return inbound


def _fill_lanes(lanes: Mapping[str, Array], x: Array, state: State) -> None:
    for number, group in enumerate(GROUPS):
        pipe = state.pipes.get(group)
        if pipe is None:
            continue
        first = int(lanes["group_start"][number])
        for lane in range(pipe.lanes.count):
            _fill_lane(lanes, x, pipe, first + lane, lane)


def _fill_lane(lanes: Mapping[str, Array], x: Array, pipe: Pipeline, e: int, lane: int) -> None:
    """Copy a lane's cargo from the group's ring, all of which began before period 0, to the lane's own."""
    ring, cargo = int(lanes["lane_ring"][e]), int(lanes["lane_cargo"][e])
    for arrival in range(ring):
        rows = pipe.arriving(arrival)[lane].reshape(cargo, x.shape[1])
        slot = int(lanes["lane_slot"][e]) + arrival % ring * cargo
        x[slot : slot + cargo] = rows


def scan_rows(compiled: Compiled) -> tuple[Array, Array]:
    """Return every row of stock and what it counts as: goods, other product (P rows each), loose material behind."""
    k, lanes = compiled.constants, compiled.lanes
    products, classes, materials = k.size.products, k.size.classes, k.size.materials
    found: list[tuple[int, int]] = []

    def units(first: int, nodes: int, deep: int, kind: int) -> None:
        for row in range(nodes * products * deep):
            found.append((first + row, kind * products + row // deep % products))

    def kilograms(first: int, nodes: int, deep: int) -> None:
        for row in range(nodes * materials * deep):
            found.append((first + row, 3 * products + row // deep % materials))

    units(k.r.goods, k.size.goods, classes, 0)
    units(k.r.collected, k.size.collectors, classes, 1)
    units(k.r.queue, k.size.inspections, classes, 1)
    units(k.r.cores, k.size.remanufacturers, classes, 1)
    units(k.r.second_life, k.size.second_life, 1, 1)
    units(k.r.recycler_feed, k.size.recyclers, FEED_ORIGINS, 1)
    kilograms(k.r.feed, k.size.plants, len(ORIGINS))
    for number, group in enumerate(GROUPS):
        for e in range(lanes["group_start"][number], lanes["group_start"][number + 1]):
            slot, ring = int(lanes["lane_slot"][e]), int(lanes["lane_ring"][e])
            if group in BY_CLASS:
                units(slot, ring, classes, 0 if group in _GOODS_LANES else 1)
            elif group in BY_PRODUCT:
                units(slot, ring, 1, 1)
            elif group in MATERIAL:
                kilograms(slot, ring, FEED_ORIGINS if group is LaneGroup.SECONDARY else 1)
    rows, kinds = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return np.ascontiguousarray(rows), np.ascontiguousarray(kinds)
