"""Base-stock practice: covers that a planner would start from, before any tuning. Assumptions of this project."""

from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.network import NodeKind

# Multiples of forecast lead-time demand, months of capacity, or (U at plants) years of use, that each target covers.
COVER = {
    (NodeKind.PLANT, S): 1.2,
    (NodeKind.PLANT, M): 1.5,
    (NodeKind.PLANT, U): 1.0,
    (NodeKind.WAREHOUSE, S): 1.3,
    (NodeKind.COLLECTOR, U): 0.0,
    (NodeKind.REMANUFACTURER, M): 1.5,
    (NodeKind.REMANUFACTURER, U): 0.5,
    (NodeKind.RECYCLER, U): 1.0,
}
# Shares, not covers: of grade b offered to second life, of the recyclers' capacity in use.
_WHOLE = ((NodeKind.INSPECTION, M), (NodeKind.RECYCLER, M))


def base_stock_target(layout: Layout, kind: NodeKind, target: int) -> float:
    """Return the usual value of a target, in [0, 1]: its cover over max_cover; shares are whole."""
    if (kind, target) in _WHOLE:
        return 1.0
    return min(1.0, COVER[kind, target] / layout.suite.max_cover)
