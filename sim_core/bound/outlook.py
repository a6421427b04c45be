"""Outlook: what a linear programme of the model reads: where it starts, what is given, and how periods are weighed.

One cell: arrays have no cell axis. T periods of the programme, from period `first` of the suite on; P products,
L lives (what the engine has by class, see sim_core/bound/lives.py), M materials, E lanes of a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim_core.bound.lives import Lives
from sim_core.engine.compliance import ComplianceBook
from sim_core.engine.layout import Layout
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.settings import Capacity
from sim_core.engine.situation import Situation, read_only
from sim_core.engine.state import BY_CLASS, State, initial_state
from sim_core.engine.terms import TermsTable
from sim_core.ledger import discount_weight
from sim_core.network import LaneGroup, NodeKind
from sim_core.policy.obligation import Obligation
from sim_core.scenario import Scenario
from sim_core.units import MONTHS_PER_YEAR

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A stretch of periods [first, last) of one cell, and the state at its start.

    terms: by name as in sim_core.engine.terms.Terms, (periods of the suite, ...), of which the stretch is read.
    cell: the column of `state`, `capacity` and `compliance` that is meant; the latter two are None before anything was
    decided or owed. runs_on: months of warm-up count like scored ones, for a plan that is to run on. The last period's
    stocks are worth what they are at the end of the scored horizon.
    """

    layout: Layout
    obligations: tuple[Obligation, ...]
    terms: Mapping[str, Array]
    first: int
    last: int
    state: State
    capacity: Capacity | None
    cell: int
    compliance: ComplianceBook | None = None
    runs_on: bool = False

    @property
    def periods(self) -> int:
        """Number of periods T."""
        return self.last - self.first

    def term(self, name: str) -> Array:
        """Return a term over the stretch, (T, ...)."""
        return self.terms[name][self.first : self.last]

    def start(self, stock: Array) -> Array:
        """Return this cell's part of a state's array."""
        return stock[..., self.cell]

    @cached_property
    def lives(self) -> Lives:
        """What units of the products live through."""
        return Lives(self.layout.products)

    def units(self, stock: Array) -> Array:
        """Return this cell's part of a state's array by class, (..., C, B), as (..., L)."""
        return self.lives.together(self.start(stock))

    @cached_property
    def weight(self) -> Array:
        """Discount weight of each period, (T,): 0 where nothing is scored."""
        return np.array([self._discount(t)[0] for t in range(self.first, self.last)])

    @cached_property
    def scored(self) -> Array:
        """1.0 in scored periods, (T,)."""
        return np.array([self._discount(t)[1] for t in range(self.first, self.last)])

    def _discount(self, t: int) -> tuple[float, float]:
        suite = self.layout.suite
        if self.runs_on and t < suite.warm_up:
            return (1.0 + suite.discount_rate) ** ((suite.warm_up - t) / MONTHS_PER_YEAR), 1.0
        return discount_weight(suite, t)

    def stock_weight(self, value: Array) -> Array:
        """Return the cost of a unit that is there at each period's end, (T, ...), for its value in each, (T, ...).

        Holding at the suite's rate, the opening charge at the end of the warm-up, less the terminal value.
        """
        shape = (-1, *([1] * (value.ndim - 1)))
        rate = self.layout.common("holding.rate") / MONTHS_PER_YEAR
        return self.weight.reshape(shape) * rate * value + self.ends_weight(value)

    def ends_weight(self, value: Array) -> Array:
        """Return the opening charge less the terminal value alone, (T, ...)."""
        cost = np.zeros_like(value)
        opening = self.layout.suite.warm_up - self.first  # position of the first scored period
        if 0 < opening < self.periods and not self.runs_on:
            cost[opening - 1] += self.weight[opening] * value[opening]
        cost[-1] -= self.weight[-1] * value[-1]
        return cost

    def opening_factor(self, value: Array) -> Array:
        """Return what a unit there before the first period costs as opening stock, for its value in that period."""
        opens = self.first == self.layout.suite.warm_up and not self.runs_on
        return self.weight[0] * value[0] if opens else np.zeros_like(value[0])

    @cached_property
    def goods_value(self) -> Array:
        """Value of a unit of goods, (T, P): material and conversion at the period's prices."""
        price = self.term("virgin_price")
        return price @ self.layout.products.bom.T + self.layout.value("production.cost")[:, 0]

    @cached_property
    def core_value(self) -> Array:
        """Value of a used unit in the system, (T, P)."""
        return np.tile(self.layout.value_core, (self.periods, 1))

    @cached_property
    def use_value(self) -> Array:
        """Value of a unit with its user, (T, P)."""
        return np.tile(self.layout.value_in_use, (self.periods, 1))

    def arrivals(self, group: LaneGroup) -> Array:
        """Return what is under way on a group's lanes at the start, by the period of its arrival: (T, E, *cargo)."""
        longest = int(self.state.pipes[group].longest)
        found = np.zeros((self.periods, *self._arriving(group, self.first).shape))
        for t in range(min(longest, self.periods)):
            found[t] = self._arriving(group, self.first + t)
        return found

    def arriving_later(self, group: LaneGroup) -> Array:
        """Return what is under way on a group's lanes at the start and arrives after the stretch, (E, *cargo)."""
        beyond = range(self.last, self.first + int(self.state.pipes[group].longest))
        return sum((self._arriving(group, t) for t in beyond), np.zeros_like(self._arriving(group, self.first)))

    def _arriving(self, group: LaneGroup, t: int) -> Array:
        pipe: Pipeline = self.state.pipes[group]
        return self.units(pipe.arriving(t)) if group in BY_CLASS else self.start(pipe.arriving(t))

    def added(self, kind: NodeKind) -> Array:
        """Return the capacity steps of a kind that were decided before the start, (T,)."""
        if self.capacity is None:
            return np.zeros(self.periods)
        return self.capacity.steps(kind)[self.first : self.last, self.cell]


def of_situation(situation: Situation, cell: int, terms: Mapping[str, Array], last: int, *, runs_on: bool) -> Outlook:
    """Return the outlook of one engine cell from its state on, up to period `last`.

    terms: by name, from the suite's first period to `last`, (last, ...); of past ones theta alone is read.
    """
    state, capacity, compliance = situation.under_way
    return Outlook(
        layout=situation.layout,
        obligations=situation.scenarios[situation.rows[cell]].obligations,
        terms=terms,
        first=situation.t,
        last=last,
        state=read_only(state),
        capacity=read_only(capacity),
        cell=cell,
        compliance=read_only(compliance),
        runs_on=runs_on,
    )


def of_scenario(layout: Layout, scenario: Scenario) -> Outlook:
    """Return the outlook with perfect information: a scenario from its first period to the end of its scored ones."""
    terms = TermsTable(layout, [scenario], np.zeros(1, dtype=np.intp)).paths
    suite = layout.suite
    return Outlook(
        layout=layout,
        obligations=scenario.obligations,
        terms={name: values[..., 0] for name, values in terms.items()},
        first=0,
        last=suite.warm_up + suite.scored,
        state=initial_state(layout, terms["demand"][0]),
        capacity=None,
        cell=0,
    )
