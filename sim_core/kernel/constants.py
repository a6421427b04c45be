"""Constants: a layout as the arrays that compiled code reads.

Numbers are in the precision of the simulation. Positions of goods points count plants first, then warehouses, wherever
a lane starts or ends at one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.engine.state import BY_CLASS, BY_PRODUCT, FEED_ORIGINS, MATERIAL
from sim_core.kernel.jit import numbered, spliced
from sim_core.network import GOODS_POINTS, ORDERED, LaneGroup, NodeKind

GROUPS = tuple(LaneGroup)
Array = NDArray[Any]

# Rows of Constants.value, (P,) each.
VALUES = (
    "hibernation.share",
    "hibernation.release",  # share of what hibernates that is given up each month
    "collection.buy_back_share",
    "collection.buy_back_cost",
    "returns.smoothing",
    "inspection.premium_cost",
    "inspection.premium_shift",
    "reuse.cost",
    "reuse.yield",
    "carbon.reuse",
    "second_life.leaving",  # share of what is in second use that comes to its end each month
    "second_life.collection",
    "second_life.margin",  # EUR/unit: cost less price
    "second_life.displaced",  # kgCO2e/unit
    "second_life.displacement",  # new units that one in second use stands for
    "reman.yield",
    "disassembly.reman_gain",
    "carbon.reman",
    "disassembly.recycling_saving",
    "disassembly.cost",
    "disposal.cost",
    "disposal.carbon",
    "carbon.production",
    "production.cost",
    "product.goodwill",
    "forecast.smoothing",
    "lateral.cost",
    "value.core",
    "value.in_use",
    "mass",
    "durable",  # 1.0 where units have a lifetime, 0.0 where they are consumed
    "step.collector",  # capacity that one investment adds at each site
    "step.remanufacturer",
    "step.recycler",
)
(
    HIBERNATES, RELEASE, BUY_BACK_SHARE, BUY_BACK_COST, RETURNS_SMOOTHING, PREMIUM_COST, PREMIUM_SHIFT, REUSE_COST,
    REUSE_YIELD, REUSE_CARBON, SECOND_LEAVING, SECOND_COLLECTED, SECOND_MARGIN, SECOND_DISPLACED, SECOND_SERVICE,
    REMAN_YIELD, REMAN_GAIN, REMAN_CARBON, RECYCLING_SAVING, DISASSEMBLY_COST, DISPOSAL_COST, DISPOSAL_CARBON,
    PRODUCTION_CARBON, GOODS_COST, GOODWILL, SMOOTHING, LATERAL_COST, VALUE_CORE, VALUE_IN_USE, MASS, DURABLE,
    STEP_COLLECTOR, STEP_REMAN, STEP_RECYCLER,
) = numbered(len(VALUES))  # fmt: skip

# Rows of Constants.common: numbers of the region.
COMMON = (
    "second_source.share",
    "supplier.premium",
    "external.sale",
    "expedite.cost",
    "carbon.external_share",
    "holding.rate",  # a month
    "annuity.collector",  # EUR a period for each step that stands
    "annuity.remanufacturer",
    "annuity.recycler",
    "external.part",  # of the scenario's external capacity that each external market has
)
(
    SECOND_SOURCE, SUPPLIER_PREMIUM, EXTERNAL_SALE, EXPEDITE_COST, EXTERNAL_CARBON, HOLDING_RATE, ANNUITY_COLLECTOR,
    ANNUITY_REMAN, ANNUITY_RECYCLER, EXTERNAL_PART,
) = numbered(len(COMMON))  # fmt: skip
BUILT_KINDS = (NodeKind.COLLECTOR, NodeKind.REMANUFACTURER, NodeKind.RECYCLER)


# Entries of the list `number`: 0, 1, kg a tonne, what counts as nothing, months a year.
ZERO, ONE, TONNE, NOTHING, YEAR = numbered(5)

# Rows of the table `holding`.
GOODS_HELD, COLLECTOR_HELD, INSPECTION_HELD, REMANUFACTURER_HELD, RECYCLER_HELD = numbered(5)


class Constants(NamedTuple):
    """Everything that compiled code reads beside state, terms and control.

    size, levers: whole numbers by name; r, s, q, c: first rows of state, scratch, terms and control by name. All are
    records, which compiled code takes as one pointer each; f, z: the tables, see sim_core.kernel.tables. On the way
    from Python each record is the one entry of an array: Numba takes an array's address, but reads a record's type
    anew with every call, which takes longer than a small block's period.
    """

    size: Any
    levers: Any
    r: Any
    s: Any
    q: Any
    c: Any
    f: Array
    z: Array


def record(fields: Mapping[str, int]) -> Array:
    """Return whole numbers by name as an array of one record."""
    values = np.zeros(1, dtype=np.dtype((np.record, [(name, np.int64) for name in fields])))
    values[0] = tuple(fields.values())
    return values


@spliced
def opened(boxed):
    """Return the constants with each record out of its array."""
    return Constants(
        boxed.size[0], boxed.levers[0], boxed.r[0], boxed.s[0], boxed.q[0], boxed.c[0], boxed.f, boxed.z
    )  # fmt: skip


def cargo_rows(layout: Layout, group: LaneGroup) -> int:
    """Return the rows that one period's cargo of a lane takes; 0 where nothing is under way on lanes of the group."""
    products, materials = len(layout.products.archetypes), len(layout.facts.materials)
    if group in BY_CLASS:
        return products * layout.products.classes
    if group in BY_PRODUCT:
        return products
    if group in MATERIAL:
        return materials * (FEED_ORIGINS if group is LaneGroup.SECONDARY else 1)
    return 0


def request_rows(layout: Layout, group: LaneGroup) -> int:
    """Return the rows of one period's orders on a lane; 0 for lanes that nobody orders on."""
    if group not in ORDERED:
        return 0
    return len(layout.facts.materials) if group.cargo == "material" else len(layout.products.archetypes)


def compile_lanes(layout: Layout, first_row: int) -> tuple[dict[str, Array], int]:
    """Return all lanes with their slots handed out from state row first_row on, and the row after the last."""
    products = len(layout.products.archetypes)
    columns: dict[str, list[Any]] = {name: [] for name in _LANES}
    row, start = first_row, 0
    for group in GROUPS:
        lanes = layout.lanes[group]
        columns["start"].append(start)
        start += lanes.count
        sender, receiver = _goods_positions(layout, group)
        cargo, orders = cargo_rows(layout, group), request_rows(layout, group)
        delayed = bool(orders and lanes.information.any())
        columns["delayed"].append(int(delayed))
        columns["limited"].append(int(lanes.limited))
        for e in range(lanes.count):
            ring = int(lanes.lead[e]) + 1
            columns["slot"].append(row)
            row += ring * cargo
            columns["request"].append(row)
            row += (int(lanes.information[e]) + 1) * orders if delayed else 0
            columns["ring"].append(ring)
            columns["cargo"].append(cargo)
        wide = (
            np.broadcast_to(lanes.cost, (lanes.count, products)),
            np.broadcast_to(lanes.carbon, (lanes.count, products)),
        )
        for name, values in (
            ("sender", sender), ("receiver", receiver), ("lead", lanes.lead), ("information", lanes.information),
            ("share", lanes.share), ("limit", lanes.limit), ("overseas", lanes.overseas),
            ("covers", lanes.lead + lanes.information), ("until", lanes.lead + 1),
            ("saved", np.minimum(int(layout.common("expedite.months")), lanes.lead - 1)),
            ("hold", _held(layout, group)), ("cost", wide[0]), ("carbon", wide[1]),
        ):  # fmt: skip
            columns[name].extend(values)
        _order_by_end(columns, "out", sender, start - lanes.count, _places(layout, group.senders))
        _order_by_end(columns, "in", receiver, start - lanes.count, _places(layout, group.receivers))
        senders = _places(layout, group.senders)
        served, cost, carbon = (
            np.zeros(senders + 1),
            np.zeros((senders + 1, products)),
            np.zeros((senders + 1, products)),
        )
        for e in range(lanes.count):
            served[sender[e]] += lanes.share[e]
            cost[sender[e]] += lanes.share[e] * wide[0][e]
            carbon[sender[e]] += lanes.share[e] * wide[1][e]
        columns["served"].extend((served > 0.0).astype(float))
        columns["sent_cost"].extend(cost)
        columns["sent_carbon"].extend(carbon)
    columns["start"].append(start)
    tables = {_table_name(name): np.array(values) for name, values in columns.items()}
    for name in ("lane_cost", "lane_carbon", "sent_cost", "sent_carbon"):
        tables[name] = tables[name].reshape(-1, products)
    return tables, row


_BY_LANE = (
    "sender", "receiver", "lead", "slot", "ring", "cargo", "information", "request", "share", "limit", "overseas",
    "hold", "covers", "until", "saved", "cost", "carbon",
)  # fmt: skip
_BY_GROUP = ("start", "limited", "delayed")
_LANES = (
    *_BY_LANE, *_BY_GROUP, "out_at", "out_first", "out_lane", "in_at", "in_first", "in_lane", "served", "sent_cost",
    "sent_carbon",
)  # fmt: skip


def _table_name(column: str) -> str:
    return f"lane_{column}" if column in _BY_LANE else f"group_{column}" if column in _BY_GROUP else column


def _goods_positions(layout: Layout, group: LaneGroup) -> tuple[Array, Array]:
    """Return senders and receivers, warehouses counted among the goods points."""
    lanes = layout.lanes[group]
    warehouse = (NodeKind.WAREHOUSE,)
    out = layout.plants if group.senders == warehouse else 0
    into = layout.plants if group.receivers == warehouse else 0
    return lanes.sender + out, lanes.receiver + into


def _places(layout: Layout, kinds: tuple[NodeKind, ...]) -> int:
    if kinds in ((NodeKind.WAREHOUSE,), GOODS_POINTS):
        return len(layout.goods)
    return sum(layout.count[kind] for kind in kinds)


def _order_by_end(columns: dict[str, list[Any]], end: str, node: Array, start: int, nodes: int) -> None:
    """Append a group's lanes ordered by the node at one end, edge order kept, with the first of each node."""
    columns[f"{end}_at"].append(len(columns[f"{end}_first"]))
    lanes = [start + int(e) for e in np.argsort(node, kind="stable")]
    base = len(columns[f"{end}_lane"])
    counts = np.bincount(node, minlength=nodes) if len(node) else np.zeros(nodes, dtype=np.int64)
    columns[f"{end}_first"].extend([base, *(base + np.cumsum(counts))])
    columns[f"{end}_lane"].extend(lanes)


def _held(layout: Layout, group: LaneGroup) -> list[float]:
    """Return what the sender of each lane charges for a unit in transit and period."""
    network = layout.network
    if group not in BY_CLASS:
        return [0.0] * layout.lanes[group].count
    return [network.nodes[lane.sender].holding or 0.0 for lane in network.in_group(group)]
