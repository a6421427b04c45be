"""compliance_base_stock: the reference. Base-stock everywhere, recovery at full throughput, law first.

It reads announced law only. Recycled feed is bought up to the announced duty; when a route is announced to become
illegal, feed moves to the better route; when a duty is announced within its planning horizon, it invests in
recycling; where more is to be collected than it counts on, it buys back. Its few numbers are tuned on training
scenarios.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optimizers.controllers.covers import COVERS, covered, usual_covers
from optimizers.controllers.parameters import read_parameters
from sim_core.control import Control, Observation
from sim_core.engine.layout import Layout
from sim_core.units import MONTHS_PER_YEAR

KIND = "compliance_base_stock"
PLANNING = "planning"
DEFAULT_PLANNING = 0.6
COLLECTED = "collected"
PARAMETERS = (*COVERS, PLANNING)  # and COLLECTED where the suite knows a collection target


def default_parameters(layout: Layout) -> dict[str, float]:
    """Return the parameters before tuning: base-stock practice, and law acted on 0.6 of the visible months ahead.

    Where the suite knows a collection target, also what comes back by itself: the least that the catalogue holds for
    possible, because law comes first.
    """
    found = {**usual_covers(layout), PLANNING: DEFAULT_PLANNING}
    if any(duty.type == "collection_target" for duty in layout.obligations):
        found[COLLECTED] = _least_collected(layout)
    return found


def _least_collected(layout: Layout) -> float:
    shares = [product.parameters["collection.share"] for product in layout.products.archetypes]
    return min(share.value if share.low is None else share.low for share in shares)


class ComplianceBaseStock:
    """B references with their own parameters, each in [0, 1].

    plant_cover, warehouse_cover: S. recycled_cover: M at plants. reman_cover: M at remanufacturers. keep_cover: U at
    remanufacturers and recyclers. planning: how far ahead announced law is acted on, as a share of the months that
    may be seen. collected, where the suite knows a collection target: the share of units that is counted on to come
    back; where announced law wants more within a year, units are bought back.
    """

    def __init__(self, layout: Layout, items: Sequence[Mapping[str, Any]]) -> None:
        values = read_parameters(KIND, items, default_parameters(layout))
        self._layout = layout
        self._planning = values[PLANNING]
        self._collected = values.get(COLLECTED)
        self._targets = covered(layout, values, len(items))
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
        wanted = observation.announced_collection[:MONTHS_PER_YEAR].max(axis=0)
        lacking = wanted > (np.inf if self._collected is None else self._collected)
        levers = np.zeros((len(self._layout.suite.levers), duty.shape[-1]))
        for name, state in (("alternative_route", barred), ("invest_recycler", due), ("buy_back", lacking)):
            if name in self._layout.suite.levers:
                levers[self._layout.suite.levers.index(name)] = state
        return Control(targets=self._targets, levers=levers)
