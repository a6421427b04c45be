"""Settings: a review epoch's Control scaled to the nodes, and the capacity that investment has built."""

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Control
from sim_core.engine.layout import Layout
from sim_core.errors import ModelError
from sim_core.network import NodeKind
from sim_core.units import MONTHS_PER_YEAR

S, M, U = 0, 1, 2  # rows of Control.targets

_NOTHING = 1e-200  # crumbs that a division by them would blow up

_INVEST = {
    "invest_recycler": NodeKind.RECYCLER,
    "invest_remanufacturer": NodeKind.REMANUFACTURER,
    "invest_collector": NodeKind.COLLECTOR,
}


class Settings:
    """The control in force. Targets are multiples of forecast demand or capacity, levers shares in [0, 1], (B,)."""

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

    def cover(self, kind: NodeKind, target: int) -> NDArray[np.float64]:
        """Return a target as a multiple: [0, 1] scaled to max_cover, (n, B)."""
        return self.share(kind, target) * self._layout.suite.max_cover

    def share(self, kind: NodeKind, target: int) -> NDArray[np.float64]:
        """Return a target as it was set, in [0, 1], (n, B)."""
        return self._control.targets[target, self._layout.targets[kind]]

    def lever(self, name: str) -> NDArray[np.float64]:
        """Return a lever's state, (B,); 0 for a lever that the suite leaves out."""
        if name in self._row:
            return self._control.levers[self._row[name]]
        return np.zeros(self._control.levers.shape[-1])


class Capacity:
    """Capacity added by investment, kWh/month per site, and its monthly annuity.

    A review with the lever on starts one step per site: it is there after the build time, for its life, paid by an
    annuity at the suite's discount rate while it is there, with interest for the time of building (so that an
    investment in the warm-up is not free). Irreversible.
    """

    def __init__(self, layout: Layout, cells: int) -> None:
        self._layout = layout
        periods = layout.suite.periods
        self._steps = {kind: np.zeros((periods, cells)) for kind in _INVEST.values()}

    def review(self, t: int, settings: Settings) -> None:
        """Start the investments that a review at period t decides."""
        build = int(self._layout.value("invest.build_months"))
        life = int(self._layout.value("invest.life_months"))
        for lever, kind in _INVEST.items():
            self._steps[kind][t + build : t + build + life] += settings.lever(lever)

    def added(self, kind: NodeKind, t: int) -> NDArray[np.float64]:
        """Return the capacity added at each site of a kind in period t, (B,)."""
        return self._steps[kind][t] * self._layout.value(f"invest.{kind}.step")

    def annuity(self, t: int) -> NDArray[np.float64]:
        """Return what the added capacity costs in period t, EUR, (B,)."""
        rate = (1.0 + self._layout.suite.discount_rate) ** (1.0 / MONTHS_PER_YEAR) - 1.0
        life = self._layout.value("invest.life_months")
        factor = rate / (1.0 - (1.0 + rate) ** -life) if rate > 0 else 1.0 / life
        # Interest for the time of building; the annuity's first payment falls a month after its present value.
        factor *= (1.0 + rate) ** (self._layout.value("invest.build_months") - 1.0)
        total = np.zeros_like(self._steps[NodeKind.RECYCLER][t])
        for kind in _INVEST.values():
            capex = self._layout.value(f"invest.{kind}.capex") * self._layout.count[kind]
            total = total + factor * capex * self.added(kind, t)
        return total


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return min(1, part / whole), 1 where whole is nothing: the share of a request that can be served."""
    some = whole > _NOTHING
    return np.where(some, np.minimum(1.0, part / np.where(some, whole, 1.0)), 1.0)
