"""schedule: a ControlSchedule as data, the form that searches find.

Targets without a meaning at a node are masked: they are not part of the record and stay 0.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optimizers.controllers.base_stock import base_stock_target
from sim_core.control import ControlSchedule
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.errors import ModelError
from sim_core.network import NodeKind

_LETTERS = "SMU"
_MEANING = {
    NodeKind.PLANT: (S, M, U),
    NodeKind.WAREHOUSE: (S,),
    NodeKind.COLLECTOR: (U,),
    NodeKind.INSPECTION: (M,),
    NodeKind.REMANUFACTURER: (M, U),
    NodeKind.RECYCLER: (M, U),
}


def searched_targets(layout: Layout) -> dict[str, tuple[int, list[int]]]:
    """Return what a search sets: a name such as "plant-1.S" or "plant.S", the target row, and the nodes that it sets.

    One number for each node, or for each kind of node, as the suite says.
    """
    found: dict[str, tuple[int, list[int]]] = {}
    for kind, rows in _MEANING.items():
        nodes = [int(node) for node in layout.targets[kind]]
        if not nodes:
            continue
        groups = (
            {str(kind): nodes} if layout.suite.targets == "kind" else {_name(layout, node): [node] for node in nodes}
        )
        for name, members in groups.items():
            found.update({f"{name}.{_LETTERS[row]}": (row, members) for row in rows})
    return found


def usual_targets(layout: Layout) -> list[float]:
    """Return base-stock practice for what a search sets, in the same order: where a search may start."""
    return [
        base_stock_target(layout, layout.network.nodes[nodes[0]].kind, row)
        for row, nodes in searched_targets(layout).values()
    ]


def schedule_from_record(layout: Layout, parameters: Mapping[str, Any]) -> ControlSchedule:
    """Rebuild a ControlSchedule. Raises ModelError if it was made for another network or lever list."""
    searched = searched_targets(layout)
    bits, values = parameters["levers"], parameters["targets"]
    if len(values) != len(searched) or any(len(row) != len(layout.suite.levers) for row in bits):
        raise ModelError(
            f"a schedule for this suite has {len(searched)} targets and {len(layout.suite.levers)} levers per epoch, "
            f"this one {len(values)} and {sorted({len(row) for row in bits})}: it was made for another suite"
        )
    targets = np.zeros((3, len(layout.network.nodes)))
    for (row, nodes), value in zip(searched.values(), values, strict=True):
        targets[row, nodes] = value
    return ControlSchedule(levers=np.array([[bit == "1" for bit in row] for row in bits]), targets=targets)


def _name(layout: Layout, node: int) -> str:
    return layout.network.nodes[node].name
