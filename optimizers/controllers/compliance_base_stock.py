"""compliance_base_stock: the reference. Base-stock everywhere, recovery at full throughput, law first.

It reads announced law only. Recycled feed is bought up to the announced duty; when a route is announced to become
illegal, feed moves to the better route; when a duty is announced within its planning horizon, it invests in
recycling. Its few numbers are tuned on training scenarios.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optimizers.controllers.base_stock import base_stock_target
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.errors import ModelError
from sim_core.network import NodeKind

# The targets that each parameter sets, and on which kinds of node.
_SETS = {
    "plant_cover": ((NodeKind.PLANT, S),),
    "warehouse_cover": ((NodeKind.WAREHOUSE, S),),
    "recycled_cover": ((NodeKind.PLANT, M),),
    "reman_cover": ((NodeKind.REMANUFACTURER, M),),
    "keep_cover": ((NodeKind.REMANUFACTURER, U), (NodeKind.RECYCLER, U)),
}
PLANNING = "planning"
DEFAULT_PLANNING = 0.6
PARAMETERS = (*_SETS, PLANNING)


def default_parameters(layout: Layout) -> dict[str, float]:
    """Return the parameters before tuning: base-stock practice, and law acted on 0.6 of the visible months ahead."""
    usual = {name: base_stock_target(layout, *sets[0]) for name, sets in _SETS.items()}
    return {**usual, PLANNING: DEFAULT_PLANNING}


class ComplianceBaseStock:
    """B references with their own parameters, each in [0, 1].

    plant_cover, warehouse_cover: S. recycled_cover: M at plants. reman_cover: M at remanufacturers. keep_cover: U at
    remanufacturers and recyclers. planning: how far ahead announced law is acted on, as a share of the months that
    may be seen.
    """

    def __init__(self, layout: Layout, items: Sequence[Mapping[str, Any]]) -> None:
        for item in items:
            unknown = sorted(set(item) - set(PARAMETERS))
            if unknown:
                raise ModelError(
                    f"controller compliance_base_stock has no parameters {unknown}; it knows {list(PARAMETERS)}"
                )
            for name, value in item.items():
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                    raise ModelError(
                        f"controller compliance_base_stock: {name} must be a number in [0, 1], not {value!r}"
                    )
        self._layout = layout
        usual = default_parameters(layout)
        values = {name: np.array([float(item.get(name, usual[name])) for item in items]) for name in PARAMETERS}
        self._planning = values[PLANNING]
        self._targets = np.zeros((3, len(layout.network.nodes), len(items)))
        for name, sets in _SETS.items():
            for kind, target in sets:
                self._targets[target, layout.targets[kind]] = values[name]
        for kind in (NodeKind.INSPECTION, NodeKind.RECYCLER):
            self._targets[M, layout.targets[kind]] = 1.0
        self._targets[U, layout.targets[NodeKind.PLANT]] = base_stock_target(layout, NodeKind.PLANT, U)
        # The routes at home that give way to a better one: all but each product's last, which recovers most.
        best = {product.routes[-1].name for product in layout.products.archetypes if product.routes}
        routes = zip(layout.products.routes, layout.products.exported, strict=True)
        self._cheaper = [q for q, (name, exported) in enumerate(routes) if name not in best and not exported]

    def decide(self, observation: Observation) -> Control:
        """Set levers from announced law: the better route before a cheap one is barred, investment before a duty."""
        duty, legal = observation.announced_duty, observation.announced_route_legal
        months = np.arange(len(duty))[:, None]
        seen = months < np.maximum(1.0, self._planning * len(duty))
        barred = ((~legal[:, self._cheaper]).any(axis=1) & seen).any(axis=0)
        due = ((duty.max(axis=1, initial=0.0) > 0.0) & seen).any(axis=0)
        levers = np.zeros((len(self._layout.suite.levers), duty.shape[-1]))
        for name, state in (("alternative_route", barred), ("invest_recycler", due)):
            if name in self._layout.suite.levers:
                levers[self._layout.suite.levers.index(name)] = state
        return Control(targets=self._targets, levers=levers)
