"""local_base_stock: a number for each target, the same for ever: every node orders, recovers and keeps by its own.

The tunable form of base_stock, and a schedule without levers. Order-up-to rules are optimal for a single stage
(Arrow, Harris and Marschak 1951; Karlin 1958): a newsvendor tuned this way finds the critical fractile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optimizers.controllers.covers import Steady
from optimizers.controllers.parameters import read_parameters
from optimizers.controllers.schedule import searched_targets, usual_targets
from sim_core.control import Controller
from sim_core.engine.layout import Layout

KIND = "local_base_stock"


def local_base_stock_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice for every target, "node.S" or "kind.S" as the suite's `targets` says."""
    return dict(zip(searched_targets(layout), usual_targets(layout), strict=True))


def local_base_stock_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers; a parameter is a share of the target's maximum. Raises ModelError as read_parameters."""
    values = read_parameters(KIND, items, local_base_stock_defaults(layout))
    targets = np.zeros((3, len(layout.network.nodes), len(items)))
    for name, (row, nodes) in searched_targets(layout).items():
        targets[row, nodes] = values[name]
    return Steady(layout, targets)
