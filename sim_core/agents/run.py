"""AgentRun: one scenario under one controller, every unit an entity.

The same model as the expected-flow engine (sim_core.engine), written a second time: the same layout, law, prices,
disruptions, relative demand shocks and decisions. What that engine holds as an expectation happens here by chance, in
whole units: customers come (Poisson), lifetimes end, owners give back, grades and yields fall, units choose lanes; a
share of a stock or a request becomes a whole number without bias. With demand, capacities and stocks N times as large
the relative difference between the engines falls as 1/sqrt(N): each proves the other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim_core.agents.chance import Chance
from sim_core.agents.orders import order
from sim_core.agents.passport import Passports, Units
from sim_core.agents.pool import sizes
from sim_core.agents.production import produce
from sim_core.agents.recycling import recycle
from sim_core.agents.reverse import consolidate, inspect, remanufacture, take_back
from sim_core.agents.sales import sell
from sim_core.agents.states import MaterialState
from sim_core.agents.stocks import Stocks, first_stocks
from sim_core.agents.world import World
from sim_core.control import Controller
from sim_core.engine.layout import Layout
from sim_core.engine.rollout import observe
from sim_core.engine.terms import TermsTable
from sim_core.engine.trace import Trace
from sim_core.errors import ModelError
from sim_core.network import LaneGroup
from sim_core.policy.instrument import PolicyInstrument
from sim_core.scenario import Scenario, with_instrument
from sim_core.seeding import scenario_number

_ONLY = np.zeros(1, dtype=np.intp)  # the one cell's scenario
_BETWEEN_POINTS = (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL)


class AgentRun:
    """One run of agents: `advance` moves it on, `inject` changes the law between two periods. t: the next period."""

    def __init__(
        self, layout: Layout, scenario: Scenario, controller: Controller, replication: int = 0, *, record: bool = False
    ) -> None:
        """Start a run. controller decides for one cell; record: keep every unit's history for its passport."""
        self.layout = layout
        self.t = 0
        self.label = f"{scenario.id}, replication {replication}"
        self._scenario, self._controller = scenario, controller
        family, _, index = scenario.id.rpartition("/")
        chance = Chance(seed=layout.suite.seed, scenario=scenario_number(family, int(index)), replication=replication)
        self._table = TermsTable(layout, [scenario], _ONLY)
        self._world = World(layout, self._table, chance, record=record)
        self._stocks = first_stocks(self._world)

    @property
    def trace(self) -> Trace:
        """The run's series by period, (T, 1); see sim_core.engine.trace. Money is not followed: `cost` stays 0."""
        return self._world.trace

    @property
    def units(self) -> Units:
        """All units so far."""
        return self._world.units

    @property
    def stocks(self) -> Stocks:
        """Where everything lies now."""
        return self._stocks

    def advance(self, until: int | None = None) -> None:
        """Simulate up to the start of period `until`, or to the end."""
        end = self.layout.suite.periods if until is None else min(until, self.layout.suite.periods)
        while self.t < end:
            self._period()
            self.t += 1

    def inject(self, instrument: PolicyInstrument | Mapping[str, Any], at_period: int | None = None) -> None:
        """Bring an instrument into force: announced = effective = the start of a period, the next one unless given.

        Raises ModelError for a period that is over, and for an instrument that concerns nothing in the suite.
        """
        at = self.t if at_period is None else at_period
        if at < self.t:
            raise ModelError(f"period {at} is over; the run stands at {self.t} of {self.layout.suite.periods}")
        self._scenario = with_instrument(self.layout, self._scenario, instrument, at)
        self._table = TermsTable(self.layout, [self._scenario], _ONLY)
        self._world.adopt(self._table)

    def in_transit(self, *states: MaterialState) -> int:
        """Return how many units in some of the states are on lanes."""
        return self._world.in_transit(states)

    def passports(self) -> Passports:
        """Return the passports of all units so far."""
        network = self.layout.network
        return Passports(
            run=self.label,
            start=self.layout.suite.start,
            units=self.units,
            history=self.units.history(),
            products=self.layout.products.labels,
            places=(*(node.name for node in network.nodes), *(network.title(lane) for lane in network.lanes)),
        )

    def _period(self) -> None:
        w, s = self._world, self._stocks
        w.open_period(self.t)
        if self.t % self.layout.suite.epoch_months == 0:
            w.decide(self._controller.decide(observe(self.layout, self._table, self.t)))
        take_back(w, s)
        consolidate(w, s)
        inspect(w, s)
        remanufacture(w, s)
        recycle(w, s)
        produce(w, s)
        sell(w, s)
        order(w, s)
        w.note("goods_on_hand", float(sizes(s.goods, w.products).sum()))
        w.note("goods_in_transit", float(sum(w.on_lanes[group].sum() for group in _BETWEEN_POINTS)))
        w.note("in_use", float(s.use.stock.sum()))
        w.note("cores", float(sizes(s.cores, w.products).sum()))
