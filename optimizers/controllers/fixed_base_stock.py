"""base_stock: targets that users state for named nodes, in the units of the network. Nothing is searched."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim_core.control import ControlSchedule
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError
from sim_core.network import TARGETS


def fixed_schedule(layout: Layout, parameters: Mapping[str, Any]) -> ControlSchedule:
    """Return the schedule of parameters {"node.S": level}; targets that are not named are 0, all levers off.

    A level is in units where the node states a max_target for the letter, else a multiple of forecast lead-time
    demand. Raises ModelError for an unknown node or letter, or a level outside [0, maximum].
    """
    names = {node.name: i for i, node in enumerate(layout.network.nodes)}
    targets = np.zeros((len(TARGETS), len(names)))
    for key, level in parameters.items():
        node, _, letter = key.rpartition(".")
        if node not in names or letter not in TARGETS:
            raise ModelError(
                f"controller base_stock: {key!r} is no target; write node.letter, the node one of {sorted(names)} "
                f"and the letter one of {list(TARGETS)}"
            )
        row, column = TARGETS.index(letter), names[node]
        most = layout.absolute[row, column]
        most = layout.suite.max_cover if np.isnan(most) else most
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0.0 <= level <= most:
            raise ModelError(f"controller base_stock: {key} must be a number from 0 to {most:g}, not {level!r}")
        targets[row, column] = level / most
    return ControlSchedule(levers=np.zeros((1, len(layout.suite.levers)), dtype=bool), targets=targets)
