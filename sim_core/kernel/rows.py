"""Rows: where each field lies in the arrays that the kernel works on.

The state of a block of cells is one array (rows, lanes), as are its terms, its control and the scratch space; a row
holds one number of every cell. Row numbers are handed out here, field by field.
"""

import math
from collections.abc import Mapping, Sequence

from sim_core.control import LEVERS
from sim_core.engine.flows import flow_index
from sim_core.engine.layout import ORIGINS, Layout
from sim_core.engine.state import FEED_ORIGINS
from sim_core.ledger import Account, Flow
from sim_core.network import NodeKind

RECYCLED_ORIGINS = len(ORIGINS) - 1  # all but virgin
# Registers of the law that a look-back may need lie first, so that a month of them is copied in one go.
LAGGED = ("placed", "placed_again", "ended", "collected", "reused", "landfilled", "treated_mass", "recovered_mass")


def hand_out(sizes: Mapping[str, int], start: int = 0) -> tuple[dict[str, int], int]:
    """Return the first row of each field, in the order given, and the row after the last."""
    first: dict[str, int] = {}
    for field, size in sizes.items():
        first[field] = start
        start += size
    return first, start


def durable(layout: Layout) -> bool:
    """Return whether any product stays in use, that is, isn't consumed with its sale."""
    return any(archetype.lifetime != "none" for archetype in layout.products.archetypes)


def state_sizes(layout: Layout, *, past_months: int) -> dict[str, int]:
    """Return the rows of each field of the state, lanes and duties apart; past_months: of registers kept."""
    count, suite, products = layout.count, layout.suite, len(layout.products.archetypes)
    units, materials = products * layout.products.classes, len(layout.facts.materials)
    markets, goods, plants = count[NodeKind.MARKET], len(layout.goods), layout.plants
    collectors, makers = count[NodeKind.COLLECTOR], count[NodeKind.REMANUFACTURER]
    vintages = -(-suite.periods // suite.vintage_periods)
    lasting = units if durable(layout) else 0  # classes of products with a lifetime
    invests = [lever for lever in suite.levers if lever.startswith("invest")]
    return {
        "money": len(Account),
        "flow": len(Flow),
        "goods": goods * units,
        "feed": plants * materials * len(ORIGINS),
        "collected": collectors * units,
        "queue": count[NodeKind.INSPECTION] * units,
        "cores": makers * units,
        "second_life": count[NodeKind.SECOND_LIFE] * products,
        "recycler_feed": count[NodeKind.RECYCLER] * products * FEED_ORIGINS,
        "backlog": markets * products,
        "owed": plants * products,
        "forecast": markets * products,
        "at_goods": goods * products,
        "returns_forecast": collectors * products,
        "hibernating": markets * lasting,
        "failed": markets * lasting,
        "start_demand": markets * products,
        "easy_share": products,
        "easy_units": 2 * products,
        "easy": products * vintages if lasting else 0,
        # What is on lanes, kept up as cargo moves: to goods points, and to plants by kind of feed.
        "inbound": goods * products,
        "asked_for": goods * products,
        "inbound_feed": 3 * plants * materials,
        "asked_feed": 2 * plants * materials,
        "held_in_transit": 1,
        # Mass in the system, kept up as it enters and leaves; compared with the stocks by the balance check.
        "total": products,
        "total_goods": products,
        "total_users": products,
        "total_loose": materials,
        "total_material": materials,
        "turnover": products,
        "turnover_material": materials,
        "built": 3,
        "recent": markets * lasting * suite.vintage_periods,
        "vintage": markets * lasting * vintages,
        "away": sum(node.demand is not None for node in layout.network.nodes),  # ar1 demand's distance from its mean
        "history": markets * products * suite.forecast.periods if suite.forecast.method == "moving_average" else 0,
        "decided": 3 * suite.epochs if invests else 0,
        "past": past_months * (len(LAGGED) * products + materials),
    }


def scratch_sizes(layout: Layout) -> dict[str, int]:
    """Return the rows of each field of the scratch space, which holds nothing between two periods."""
    count, products = layout.count, len(layout.products.archetypes)
    classes, materials = layout.products.classes, len(layout.facts.materials)
    units, goods, plants = products * classes, len(layout.goods), layout.plants
    inspections, makers = count[NodeKind.INSPECTION], count[NodeKind.REMANUFACTURER]
    recyclers, routes = count[NodeKind.RECYCLER], len(layout.products.routes)
    lines = len(layout.products.lines)
    lanes = max(len(lane.sender) for lane in layout.lanes.values())
    return {
        "money": len(Account),
        "flow": len(Flow),
        "emitted": 1,
        **dict.fromkeys(LAGGED, products),
        "virgin": materials,
        "imported": materials,
        "content": plants * products * materials,
        "recycled": plants * products * materials * RECYCLED_ORIGINS,
        "made": products,
        "left": products,
        "entered": materials,
        "recovered": materials,
        "sold_off": materials,
        "goods_change": products,
        "users_change": products,
        "loose_change": materials,
        "scan": 3 * products + materials,
        "share": products,
        "moved": units,
        "again": units,
        "fit": inspections * units,
        "taken": inspections * products,
        "offered": inspections * products,
        "room": max(count[NodeKind.SECOND_LIFE], 1) * products,
        "rest": max(products, materials * FEED_ORIGINS),
        "units": max(products, materials),
        "position": goods * products,
        "gap": makers * products,
        "covered": makers * products,
        "line": lines * recyclers,
        "usable": lines * recyclers,
        "free": lines * recyclers,
        "mass": recyclers * products,
        "unfed": recyclers * products,
        "quota": products,
        "route": routes * recyclers * products,
        "detour": routes * recyclers * products,
        "easy_factor": products,
        "produced": plants * products,
        "used": products * materials,
        "arrived_feed": RECYCLED_ORIGINS,
        "leaving": goods * units,
        "asked": lanes * max(products, materials),
        "wanted": max(goods, count[NodeKind.SUPPLIER], count[NodeKind.EXTERNAL], 1) * max(products, materials),
        "arrived": lanes * max(products, materials),
        "sold": units,
        "served": products,
        "served_share": count[NodeKind.MARKET] * products,
        "target": goods * products,
        "lanes_share": lanes * materials,
        "whole": plants * materials,
        "need": plants * materials,
        "value": 1,
        "worth": products,
        "plain": 4,
    }


def term_sizes(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return the rows of each term from its shape by period."""
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        size = 1
        for length in shape:
            size *= length
        sizes[name] = size
    return sizes


def control_sizes(layout: Layout) -> dict[str, int]:
    """Return the rows of the control: three targets a node, all levers (0 where a suite leaves one out), and flows.

    chosen: 1 where flows decide, 0 where rules do. The blocks of flows lie last, so that a control without them does
    not take their room.
    """
    blocks = flow_index(layout).blocks
    return {
        "targets": 3 * len(layout.network.nodes),
        "levers": len(LEVERS),
        "chosen": 1,
        **{name: math.prod(shape) for name, (_, shape) in blocks.items()},
    }
