"""Period: what every step of one period shares, and the mass that enters and leaves the system in it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.flows import FlowRecord
from sim_core.engine.layout import Layout
from sim_core.engine.pipeline import add_up
from sim_core.engine.settings import Capacity, Settings, ratio
from sim_core.engine.state import State
from sim_core.engine.terms import Terms
from sim_core.engine.trace import Trace
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup
from sim_core.units import KG_PER_T

Array = NDArray[np.float64]
# What law measures and a network without recyclers, plants or second lives leaves at 0; (P, B) each.
_UNITS_BY_PRODUCT = (
    "reused", "imported_goods", "treated_mass", "recovered_mass", "exported", "landfilled",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Period:
    """One period of a batch: constants, state, terms, control, ledger, and boundary flows.

    made: (P, B) units of product made (scrap included) or bought in. left: (P, B) units that left use, the system or
    their form (uncollected, processed by recyclers, landfilled). entered: (M, B) kg of purchased material. recovered:
    (M, B) kg of material won back from processed product. sold_off: (M, B) kg of material sold out of the system.
    register: what law measures, by name (sim_core.engine.compliance).
    """

    t: int
    layout: Layout
    state: State
    terms: Terms
    settings: Settings
    capacity: Capacity
    ledger: Ledger
    made: Array
    left: Array
    entered: Array
    recovered: Array
    sold_off: Array
    trace: Trace | None = None
    record: FlowRecord | None = None
    material_use: Array | None = None  # (P, M, 1), once it was asked for; see sim_core.engine.production
    register: dict[str, Array] = field(default_factory=dict)

    def note(self, name: str, amount: Array) -> None:
        """Add to the trace, if one is kept: amount (..., B), summed."""
        if self.trace is not None:
            self.trace.add(name, self.t, total_of(amount))

    def chosen(self, name: str, rule: Array) -> Array:
        """Return what a decision asks for, (*shape, B): the control's flow, or what the rule says without one."""
        flow = self.settings.flow(name)
        return rule if flow is None else flow

    def took(self, name: str, amount: Array) -> None:
        """Add what a decision moved, (*shape, B) or (n, P, C, B) by class, to the record, if one is kept."""
        if self.record is not None:
            self.record.add(name, self.t, amount)

    def pay(self, account: Account, amount: Array) -> None:
        """Book a cost of this period, EUR, (..., B), summed."""
        if not amount.size:
            return
        total = total_of(amount)
        self.ledger.pay(account, total)
        if self.trace is not None:
            self.trace.add("cost", self.t, total)

    def move(self, flow: Flow, amount: Array) -> None:
        """Book a flow of this period, (..., B), summed."""
        self.ledger.move(flow, total_of(amount))

    def mass(self, units: Array) -> Array:
        """Return the mass of units (..., P, B) in kg."""
        return units * self.layout.products.mass[:, None]

    def ship(self, group: LaneGroup, cargo: Array) -> None:
        """Charge freight and transport carbon for cargo (E, P, B) in units, or (E, B) in kg."""
        lanes = self.layout.lanes[group]
        if not lanes.count:
            return
        if cargo.ndim == 2:
            cargo = cargo[:, None]
        cost, carbon = np.add.reduce((cargo * lanes.freight).reshape(2, -1, cargo.shape[-1]), axis=1)
        self.pay(Account.TRANSPORT, cost)
        self.move(Flow.CARBON, carbon)

    def spread(self, group: LaneGroup, amount: Array) -> Array:
        """Spread what senders ship, (n, ..., B), over a group's lanes by the lanes' shares: (E, ..., B)."""
        lanes = self.layout.lanes[group]
        return lanes.share.reshape(-1, *([1] * (amount.ndim - 1))) * amount[lanes.sender]

    def send_product(self, group: LaneGroup, amount: Array) -> None:
        """Ship product (n, P, B) or (n, P, C, B) from the senders of a group; senders without a lane dispose of it."""
        lanes = self.layout.lanes[group]
        if not lanes.served.all():
            stranded = amount * (1.0 - lanes.served).reshape(-1, *([1] * (amount.ndim - 1)))
            self.dispose(stranded if amount.ndim == 3 else stranded.sum(axis=2))
        if not lanes.count:
            return
        flow = self.spread(group, amount)
        self.state.pipes[group].send(self.t, flow)
        self.ship(group, flow if flow.ndim == 3 else flow.sum(axis=2))

    def dispose(self, units: Array) -> None:
        """Take units (n, P, B) out of the system as waste without a way on, at the cost of disposal."""
        total = units.sum(axis=0)
        self.left += total
        mass = self.mass(total)
        self.pay(Account.DISPOSAL, mass * self.layout.value("disposal.cost"))
        self.emit(mass * self.layout.value("disposal.carbon"))
        self.note("disposed", total)

    def bring_in(self, units: Array) -> None:
        """Count units (P, B) that enter the system from outside, with the material in them."""
        self.made += units
        self.entered += (self.layout.products.bom[:, :, None] * units[:, None]).sum(axis=0)

    def arrive(self, group: LaneGroup) -> Array:
        """Take what arrives this period on a group's lanes, added up at receivers."""
        return self.state.pipes[group].arrive(self.t)

    def emit(self, kilograms: Array) -> None:
        """Book process emissions, kgCO2e (..., B), summed, and what law charges for them by weight."""
        total = total_of(kilograms)
        self.ledger.move(Flow.CARBON, total)
        self.pay(Account.CARBON_CHARGE, total / KG_PER_T * self.terms.emission_charge)
        self.register["emissions"] = self.register["emissions"] + total
        self.note("emissions", total)

    def wanted_from(self, group: LaneGroup, wanted: Array) -> Array:
        """Add lane requests (E, ..., B) up at the senders."""
        return add_up(self.layout.lanes[group].to_sender, wanted)

    def within(self, group: LaneGroup, asked: Array, stock: Array) -> Array:
        """Cut what lanes ask for, (E, ..., B), to what their senders have, (n, ..., B), in proportion."""
        return asked * ratio(stock, self.wanted_from(group, asked))[self.layout.lanes[group].sender]

    def draw(self, stock: Array, amount: Array) -> Array:
        """Take an amount (n, P, B) out of a stock (n, P, C, B), classes in proportion; return what was taken."""
        taken = stock * ratio(amount, stock.sum(axis=2))[:, :, None]
        stock -= taken
        return taken


def begin(
    *,
    t: int,
    layout: Layout,
    state: State,
    terms: Terms,
    settings: Settings,
    capacity: Capacity,
    ledger: Ledger,
    trace: Trace | None = None,
    record: FlowRecord | None = None,
) -> Period:
    """Return a period before any of its steps: nothing has moved, the registers are empty."""
    cells = terms.carbon_price.shape[-1]
    units = (len(layout.products.archetypes), cells)
    kilograms = (len(layout.facts.materials), cells)
    return Period(
        t=t,
        layout=layout,
        state=state,
        terms=terms,
        settings=settings,
        capacity=capacity,
        ledger=ledger,
        made=np.zeros(units),
        left=np.zeros(units),
        entered=np.zeros(kilograms),
        recovered=np.zeros(kilograms),
        sold_off=np.zeros(kilograms),
        trace=trace,
        record=record,
        register={
            "emissions": np.zeros(cells),
            **{name: np.zeros(units) for name in _UNITS_BY_PRODUCT},
            **{name: np.zeros(kilograms) for name in ("virgin", "imported")},
        },
    )


def total_of(amount: Array) -> Array:
    """Add an amount (..., B) up to (B,), in a fixed order."""
    return np.add.reduce(amount.reshape(-1, amount.shape[-1])) if amount.ndim > 1 else amount
