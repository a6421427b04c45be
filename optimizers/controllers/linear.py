"""linear: make, sell, dispose. No recovery of any kind; what comes back is landfilled."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optimizers.controllers.base_stock import base_stock_target
from optimizers.controllers.parameters import no_parameters
from sim_core.control import ControlSchedule
from sim_core.engine.layout import Layout
from sim_core.engine.settings import S
from sim_core.network import NodeKind


def linear_schedule(layout: Layout, parameters: Mapping[str, Any]) -> ControlSchedule:
    """Return the schedule: base-stock at plants and warehouses, every other target and lever at zero."""
    no_parameters("linear", parameters)
    targets = np.zeros((3, len(layout.network.nodes)))
    for kind in (NodeKind.PLANT, NodeKind.WAREHOUSE):
        targets[S, layout.targets[kind]] = base_stock_target(layout, kind, S)
    return ControlSchedule(levers=np.zeros((1, len(layout.suite.levers)), dtype=bool), targets=targets)
