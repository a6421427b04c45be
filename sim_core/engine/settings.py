"""Settings: a review epoch's Control scaled to the nodes, and the capacity that investment has built."""

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Control
from sim_core.engine.flows import flow_index
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError
from sim_core.network import NodeKind
from sim_core.units import MONTHS_PER_YEAR

S, M, U = 0, 1, 2  # rows of Control.targets

_NOTHING = 1e-200  # crumbs that a division by them would blow up
MOST_FLOW = 1e100  # the largest flow that may be set: sums of some stay finite

_INVEST = {
    "invest_recycler": NodeKind.RECYCLER,
    "invest_remanufacturer": NodeKind.REMANUFACTURER,
    "invest_collector": NodeKind.COLLECTOR,
}


class Settings:
    """The control in force. Targets are multiples of a forecast or absolute, levers shares in [0, 1], (B,)."""

    def __init__(self, layout: Layout, control: Control, cells: int) -> None:
        """Check and keep a control for B = `cells` cells. Raises ModelError for nonsense, the controller's fault."""
        nodes, levers = len(layout.network.nodes), layout.suite.levers
        for name, values, shape in (
            ("targets", control.targets, (3, nodes, cells)),
            ("levers", control.levers, (len(levers), cells)),
        ):
            if values.shape != shape:
                raise ModelError(f"a controller set {name} of shape {values.shape}; this suite takes {shape}")
            if not bool(((values >= 0.0) & (values <= 1.0)).all()):
                raise ModelError(f"a controller set {name} that are not all numbers in [0, 1]")
        self._layout = layout
        self._control = control
        self._row = {name: i for i, name in enumerate(levers)}
        self._flows = _blocks(layout, control.flows, cells)

    def level(self, target: int, nodes: NDArray[np.intp], usual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a target in units, (n, ..., B): a multiple of `usual` (n, ..., B), or the node's absolute number."""
        control = self._control.targets[target, nodes]
        absolute = self._layout.absolute[target, nodes]
        shape = (len(nodes), *([1] * (usual.ndim - 2)), control.shape[-1])
        control = control.reshape(shape)
        multiple = control * self._layout.suite.max_cover * usual
        if np.isnan(absolute).all():
            return multiple
        absolute = absolute.reshape(len(nodes), *([1] * (usual.ndim - 1)))
        return np.where(np.isnan(absolute), multiple, control * absolute)

    def share(self, kind: NodeKind, target: int) -> NDArray[np.float64]:
        """Return a target as it was set, in [0, 1], (n, B)."""
        return self._control.targets[target, self._layout.targets[kind]]

    def lever(self, name: str) -> NDArray[np.float64]:
        """Return a lever's state, (B,); 0 for a lever that the suite leaves out."""
        if name in self._row:
            return self._control.levers[self._row[name]]
        return np.zeros(self._control.levers.shape[-1])

    def flow(self, name: str) -> NDArray[np.float64] | None:
        """Return a block of the control's flows, (*shape, B); None where the rules decide."""
        return self._flows.get(name)


def _blocks(layout: Layout, flows: NDArray[np.float64] | None, cells: int) -> dict[str, NDArray[np.float64]]:
    if flows is None:
        return {}
    index = flow_index(layout)
    if flows.shape != (index.rows, cells):
        raise ModelError(f"a controller set flows of shape {flows.shape}; this suite takes {(index.rows, cells)}")
    if not bool(((flows >= 0.0) & (flows <= MOST_FLOW)).all()):
        raise ModelError(f"a controller set flows that are not all numbers from 0 to {MOST_FLOW:g}")
    return {name: index.block(flows, name) for name in index.blocks}


class Capacity:
    """Capacity added by investment in the region, units (kg: recyclers) a month, and its monthly annuity.

    A review with the lever on starts one step: it is there after the build time, for its life, paid by an annuity at
    the suite's discount rate while it is there, with interest for the time of building (so that an investment in the
    warm-up is not free). Irreversible. The steps of a product serve that product; a recycler's serve all.
    """

    def __init__(self, layout: Layout, cells: int) -> None:
        self._layout = layout
        periods = layout.suite.periods
        self._steps = {kind: np.zeros((periods, cells)) for kind in _INVEST.values()}
        self._build = int(layout.common("invest.build_months"))
        self._life = int(layout.common("invest.life_months"))

    def review(self, t: int, settings: Settings) -> None:
        """Start the investments that a review at period t decides."""
        for lever, kind in _INVEST.items():
            if self._layout.count[kind]:
                self._steps[kind][t + self._build : t + self._build + self._life] += settings.lever(lever)

    def added(self, kind: NodeKind, t: int) -> NDArray[np.float64]:
        """Return the capacity added at each site of a kind in period t, (P, B)."""
        sites = max(1, self._layout.count[kind])
        return self._layout.value(f"invest.{kind}.step") / sites * self._steps[kind][t]

    def steps(self, kind: NodeKind) -> NDArray[np.float64]:
        """Return the steps of a kind that stand in each period by what was decided so far, (periods, B)."""
        return self._steps[kind]

    def annuity(self, t: int) -> NDArray[np.float64]:
        """Return what the added capacity costs in period t, EUR, (B,)."""
        factor = annuity_factor(self._layout)
        total = np.zeros_like(self._steps[NodeKind.RECYCLER][t])
        for kind in _INVEST.values():
            capex = self._layout.value(f"invest.{kind}.capex") * self._layout.value(f"invest.{kind}.step")
            total = total + factor * capex.sum() * self._steps[kind][t]
        return total


def annuity_factor(layout: Layout) -> float:
    """Return the monthly payment for each EUR of investment, at the suite's discount rate."""
    build, life = int(layout.common("invest.build_months")), int(layout.common("invest.life_months"))
    rate = (1.0 + layout.suite.discount_rate) ** (1.0 / MONTHS_PER_YEAR) - 1.0
    factor = rate / (1.0 - (1.0 + rate) ** -life) if rate > 0 else 1.0 / life
    # Interest for the time of building; the annuity's first payment falls a month after its present value.
    return factor * (1.0 + rate) ** (build - 1.0)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return min(1, part / whole), 1 where whole is nothing: the share of a request that can be served."""
    some = whole > _NOTHING
    return np.where(some, np.minimum(1.0, part / np.where(some, whole, 1.0)), 1.0)


def portion(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, 0 where whole is nothing: what share of a total a part is."""
    some = whole > _NOTHING
    return np.where(some, part / np.where(some, whole, 1.0), 0.0)
