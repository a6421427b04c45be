"""Period: what every step of one period shares, and the mass that enters and leaves the system in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.engine.pipeline import add_up
from sim_core.engine.settings import Capacity, Settings
from sim_core.engine.state import State
from sim_core.engine.terms import Terms
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup
from sim_core.units import KG_PER_T


@dataclass(slots=True, kw_only=True)
class Period:
    """One period of a batch: constants, state, terms, control, ledger, and boundary flows.

    made: (B,) kWh of product made (scrap included). left: (B,) kWh of product that left use, the system or its form
    (uncollected, processed by recyclers, landfilled). entered: (M, B) kg of purchased material. recovered: (M, B) kg
    of material won back from processed product.
    """

    t: int
    layout: Layout
    state: State
    terms: Terms
    settings: Settings
    capacity: Capacity
    ledger: Ledger
    made: NDArray[np.float64]
    left: NDArray[np.float64]
    entered: NDArray[np.float64]
    recovered: NDArray[np.float64]

    def ship(self, group: LaneGroup, mass: NDArray[np.float64]) -> None:
        """Charge freight and transport carbon for mass (E, B) in kg on a group's lanes."""
        lanes = self.layout.lanes[group]
        self.ledger.pay(Account.TRANSPORT, (mass * lanes.cost[:, None]).sum(axis=0))
        self.ledger.move(Flow.CARBON, (mass * lanes.carbon[:, None]).sum(axis=0))

    def spread(self, group: LaneGroup, amount: NDArray[np.float64]) -> NDArray[np.float64]:
        """Spread what senders ship, (n, ..., B), over a group's lanes by the lanes' shares: (E, ..., B)."""
        lanes = self.layout.lanes[group]
        share = lanes.share.reshape(-1, *([1] * (amount.ndim - 1)))
        return share * amount[lanes.sender]

    def send_product(self, group: LaneGroup, amount: NDArray[np.float64]) -> None:
        """Ship product (n, B) or (n, LIVES, B) in kWh from the senders of a group."""
        flow = self.spread(group, amount)
        self.state.pipes[group].send(self.t, flow)
        units = flow if flow.ndim == 2 else flow.sum(axis=1)
        self.ship(group, units * self.layout.mass)

    def arrive(self, group: LaneGroup) -> NDArray[np.float64]:
        """Take what arrives this period on a group's lanes, added up at receivers."""
        return self.state.pipes[group].arrive(self.t)

    def emit(self, kilograms: NDArray[np.float64]) -> None:
        """Book process emissions, kgCO2e (B,), and the carbon price on them."""
        self.ledger.move(Flow.CARBON, kilograms)
        self.ledger.pay(Account.CARBON_CHARGE, kilograms / KG_PER_T * self.terms.carbon_price)

    def wanted_from(self, group: LaneGroup, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add lane requests (E, ..., B) up at the senders."""
        return add_up(self.layout.lanes[group].to_sender, wanted)
