"""The ledger: what a batch of cells paid, emitted and moved, in scored periods, and what it owes.

Money is discounted to the start of the scored horizon. The objective J is the sum of all categories:
discounted (cost - revenue + statutory charges) + sum of phi x shortfall - terminal value. A sale's revenue enters
as its complement, the price (plus goodwill) of a lost sale, which differs from it by a constant of the scenario.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR


class Account(StrEnum):
    """Categories of the objective, EUR."""

    MATERIALS = "materials"
    PRODUCTION = "production"
    TRANSPORT = "transport"
    HOLDING = "holding"
    LOST_SALES = "lost_sales"
    BACKLOG = "backlog"
    COLLECTION = "collection"
    REMANUFACTURE = "remanufacture"
    RECYCLING = "recycling"
    DISPOSAL = "disposal"
    SECOND_LIFE = "second_life"
    CAPEX = "capex"
    TARIFF = "tariff"
    CARBON_CHARGE = "carbon_charge"
    LANDFILL_TAX = "landfill_tax"
    FEE = "fee"  # extended producer responsibility, traceability
    SUBSIDY = "subsidy"
    CERTIFICATES = "certificates"
    SHORTFALL = "shortfall"
    TERMINAL = "terminal"


STATUTORY = (
    Account.TARIFF,
    Account.CARBON_CHARGE,
    Account.LANDFILL_TAX,
    Account.FEE,
    Account.SUBSIDY,
    Account.CERTIFICATES,
)


class Flow(StrEnum):
    """Undiscounted totals of scored periods; kg unless said. Values are at today's prices (sim_core.engine.worth)."""

    CARBON = "carbon"  # kgCO2e
    FEED = "feed"  # material put into new products
    RECYCLED_FEED = "recycled_feed"  # of which recycled, any origin
    REUSED = "reused"  # mass of remanufactured goods made
    END_OF_LIFE = "end_of_life"  # mass leaving first or later use
    CAN_AGAIN = "can_again"  # the part of it that ended a life which may be followed by another in the system
    TO_RECYCLING = "to_recycling"  # post-consumer mass fed to recyclers
    RECOVERED = "recovered"  # post-consumer mass recovered from it
    TO_REUSE = "to_reuse"  # mass that was remanufactured or sold for a second life
    DEMAND = "demand"  # units
    SERVED = "served"  # units x state of health
    DUTY = "duty"  # share of a closed window's obligation: 1 each that was due
    SHORT = "short"  # share of it not met
    DUE = "due"  # EUR: phi x duty of closed windows
    LACKING = "lacking"  # EUR: phi x shortfall of closed windows
    DISPLACED = "displaced"  # kgCO2e of new units elsewhere that second use displaces
    ENDED_VALUE = "ended_value"  # EUR: replacement cost, as new, of units leaving first or later use
    ENDED_MATERIAL_VALUE = "ended_material_value"  # EUR: of the material in them, as virgin
    KEPT_VALUE = "kept_value"  # EUR: replacement cost of the new units that units with another life stand for
    RECOVERED_VALUE = "recovered_value"  # EUR: of post-consumer material recovered, as virgin


class Ledger:
    """Accumulates accounts and flows of B cells. Call `open_period` before the entries of a period."""

    def __init__(self, suite: SuiteDefinition, cells: int) -> None:
        self._suite = suite
        self.money = {account: np.zeros(cells) for account in Account}
        self.flow = {flow: np.zeros(cells) for flow in Flow}
        self._weight = 0.0
        self._scored = 0.0

    def open_period(self, t: int) -> None:
        """Set the discount weight of period t: 0 in warm-up and run-out."""
        self._weight, self._scored = discount_weight(self._suite, t)

    @property
    def scored(self) -> bool:
        """True within the scored horizon."""
        return self._scored > 0.0

    def pay(self, account: Account, amount: NDArray[np.float64]) -> None:
        """Add a cost (negative: a revenue) of this period, EUR, (B,)."""
        self.money[account] += self._weight * amount

    def move(self, flow: Flow, amount: NDArray[np.float64]) -> None:
        """Add to a flow total of this period, (B,)."""
        self.flow[flow] += self._scored * amount

    def objective(self) -> NDArray[np.float64]:
        """Return J, EUR, (B,): the accounts added in their order."""
        total = np.zeros_like(self.money[Account.MATERIALS])
        for account in Account:
            total = total + self.money[account]
        return total


def discount_weight(suite: SuiteDefinition, t: int) -> tuple[float, float]:
    """Return the discount weight of period t and whether it is scored: both 0 in warm-up and run-out."""
    since = t - suite.warm_up
    scored = float(0 <= since < suite.scored)
    return scored * (1.0 + suite.discount_rate) ** (-since / MONTHS_PER_YEAR), scored
