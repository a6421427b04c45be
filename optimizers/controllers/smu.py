"""smu: order up to S, remanufacture up to M, keep cores up to U; the rest of recovery is practice.

Optimal for one product whose remanufacture and manufacture take equally long, where U counts all that is recoverable
and serviceable (Simpson 1978; Inderfurth 1997); with u_basis `remaining` U is less by M. Within 0.02 % of the optimum
in the cases K1 to K3 of docs/known_answers.md, where no time passes between the steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optimizers.controllers.covers import Steady, covered
from optimizers.controllers.local_base_stock import local_base_stock_defaults
from optimizers.controllers.parameters import read_parameters
from optimizers.controllers.schedule import searched_targets
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.settings import M, S, U
from sim_core.network import NodeKind

KIND = "smu"
_SETS = {NodeKind.PLANT: (S,), NodeKind.WAREHOUSE: (S,), NodeKind.REMANUFACTURER: (M, U)}


def smu_defaults(layout: Layout) -> dict[str, float]:
    """Return base-stock practice for S at goods points, M and U at remanufacturers, by node or kind as in a search."""
    usual = local_base_stock_defaults(layout)
    found = searched_targets(layout)
    kinds = {name: layout.network.nodes[nodes[0]].kind for name, (_, nodes) in found.items()}
    return {name: usual[name] for name, (row, _) in found.items() if row in _SETS.get(kinds[name], ())}


def smu_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> Controller:
    """Return B controllers; a parameter is a share of the target's maximum. Raises ModelError as read_parameters."""
    values = read_parameters(KIND, items, smu_defaults(layout))
    targets = covered(layout, {}, len(items))
    found = searched_targets(layout)
    for name, value in values.items():
        row, nodes = found[name]
        targets[row, nodes] = value
    return Steady(layout, targets)
