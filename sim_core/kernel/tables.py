"""Tables: the constants of a layout, all numbers in one array and all whole numbers in another, read by name.

Compiled code that takes a hundred arrays one by one takes minutes to compile, so it takes two: the floats k.f and the
integers k.z, which begin with each table's first entry and strides. Tables are read one entry at a time, outside of the
loops over cells; sim_core.kernel.constants says what is in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.kernel.jit import inlined

_HEAD = 3  # of a table in k.z: first entry, first and second stride
_names: list[str] = []
_whole: set[str] = set()


def pack(tables: Mapping[str, NDArray[Any]], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all tables as one array of floats and one of integers. Raises KeyError for a table that is not given."""
    floats: list[NDArray[Any]] = []
    whole = [np.zeros(_HEAD * len(_names), dtype=np.int64)]
    filled = {True: _HEAD * len(_names), False: 0}
    for number, name in enumerate(_names):
        values = np.asarray(tables[name])
        is_whole = name in _whole
        strides = [int(np.prod(values.shape[axis + 1 :])) for axis in range(values.ndim - 1)]
        whole[0][_HEAD * number : _HEAD * number + 1 + len(strides)] = [filled[is_whole], *strides]
        (whole if is_whole else floats).append(values.reshape(-1).astype(np.int64 if is_whole else dtype))
        filled[is_whole] += values.size
    return np.concatenate(floats), np.concatenate(whole)


def _register(name: str) -> int:
    _names.append(name)
    return _HEAD * (len(_names) - 1)


def _list(name: str) -> Callable[..., Any]:
    at = _register(name)

    @inlined
    def read(k: Any, i: Any) -> Any:
        return k.f[k.z[at] + i]

    return read


def _table(name: str) -> Callable[..., Any]:
    at = _register(name)

    @inlined
    def read(k: Any, i: Any, j: Any) -> Any:
        return k.f[k.z[at] + i * k.z[at + 1] + j]

    return read


def _cube(name: str) -> Callable[..., Any]:
    at = _register(name)

    @inlined
    def read(k: Any, i: Any, j: Any, l: Any) -> Any:  # noqa: E741
        return k.f[k.z[at] + i * k.z[at + 1] + j * k.z[at + 2] + l]

    return read


def _numbers(name: str) -> Callable[..., Any]:
    at = _register(name)
    _whole.add(name)

    @inlined
    def read(k: Any, i: Any) -> Any:
        return k.z[k.z[at] + i]

    return read


def _place(table: str) -> Callable[..., Any]:
    """Return what gives the place in k.f of the first entry of a row of a cube."""
    at = _HEAD * _names.index(table)

    @inlined
    def read(k: Any, i: Any, j: Any) -> Any:
        return k.z[at] + i * k.z[at + 1] + j * k.z[at + 2]

    return read


lane_share = _list("lane_share")
lane_limit = _list("lane_limit")
lane_overseas = _list("lane_overseas")
lane_hold = _list("lane_hold")
lane_covers = _list("lane_covers")
lane_until = _list("lane_until")
lane_saved = _list("lane_saved")
served = _list("served")
goods_lead = _list("goods_lead")
external_lead = _list("external_lead")
core_room = _list("core_room")
total_u = _list("total_u")
external = _list("external")
backlog = _list("backlog")
shortage = _list("shortage")
neighbours = _list("neighbours")
near = _list("near")
embedded = _list("embedded")
common = _list("common")
weight = _list("weight")
scored = _list("scored")
number = _list("number")

lane_cost = _table("lane_cost")
lane_carbon = _table("lane_carbon")
sent_cost = _table("sent_cost")
sent_carbon = _table("sent_carbon")
slope = _table("slope")
absolute = _table("absolute")
production = _table("production")
production_cost = _table("production_cost")
collection = _table("collection")
collection_cost = _table("collection_cost")
inspected = _table("inspected")
inspection_cost = _table("inspection_cost")
reman = _table("reman")
reman_cost = _table("reman_cost")
storage = _table("storage")
line = _table("line")
supplier = _table("supplier")
goods_supplier = _table("goods_supplier")
goods_price = _table("goods_price")
second_life = _table("second_life")
holding = _table("holding")
value = _table("value")
bom = _table("bom")
scrap = _table("scrap")
again = _table("again")
health = _table("health")
offered = _table("offered")
route_carbon = _table("route_carbon")
at_once = _table("at_once")
gone = _table("gone")
left = _table("left")

route_cost = _cube("route_cost")
use = _cube("use")
grade = _cube("grade")
recovery = _cube("recovery")
head = _cube("head")
closed = _cube("closed")

group_start = _numbers("group_start")
group_limited = _numbers("group_limited")
group_delayed = _numbers("group_delayed")
lane_sender = _numbers("lane_sender")
lane_receiver = _numbers("lane_receiver")
lane_lead = _numbers("lane_lead")
lane_slot = _numbers("lane_slot")
lane_ring = _numbers("lane_ring")
lane_cargo = _numbers("lane_cargo")
lane_information = _numbers("lane_information")
lane_request = _numbers("lane_request")
out_at = _numbers("out_at")
out_first = _numbers("out_first")
out_lane = _numbers("out_lane")
in_at = _numbers("in_at")
in_first = _numbers("in_first")
in_lane = _numbers("in_lane")
goods_node = _numbers("goods_node")
collector_node = _numbers("collector_node")
inspection_node = _numbers("inspection_node")
remanufacturer_node = _numbers("remanufacturer_node")
recycler_node = _numbers("recycler_node")
point_level = _numbers("point_level")
exported = _numbers("exported")
route_line = _numbers("route_line")
best_line = _numbers("best_line")
posted = _numbers("posted")

head_place = _place("head")
closed_place = _place("closed")
