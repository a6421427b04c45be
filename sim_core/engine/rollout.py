"""Rollout: simulate a batch of cells from start to end, or step by step with law injected on the way.

The order of a period (docs/model.md): terms, returns from use, collection, inspection, disposition (reuse, second
life, remanufacture, recycling, disposal), production, sales, orders, books, balance check.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Controller, Observation
from sim_core.engine.books import BalanceCheck, Holdings, book_opening, book_terminal, hold, take_stock
from sim_core.engine.compliance import ComplianceBook, Settlement
from sim_core.engine.flows import FlowRecord
from sim_core.engine.layout import Layout
from sim_core.engine.orders import order
from sim_core.engine.period import Array, Period, begin
from sim_core.engine.production import produce
from sim_core.engine.recycling import recycle
from sim_core.engine.reverse import consolidate, inspect, remanufacture, take_back
from sim_core.engine.sales import sell
from sim_core.engine.settings import Capacity, Settings, portion
from sim_core.engine.situation import Situation
from sim_core.engine.state import State, initial_state
from sim_core.engine.terms import TermsTable
from sim_core.engine.trace import Trace
from sim_core.errors import ModelError
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import NodeKind
from sim_core.policy.instrument import PolicyInstrument
from sim_core.scenario import Scenario, with_instrument

LANE_WIDTH = 8  # batches are padded to whole lanes, so that no sum changes its order for a small batch
_REVERSE = (
    (NodeKind.COLLECTOR, consolidate),
    (NodeKind.INSPECTION, inspect),
    (NodeKind.REMANUFACTURER, remanufacture),
    (NodeKind.RECYCLER, recycle),
)


def simulate(
    layout: Layout, scenarios: Sequence[Scenario], rows: NDArray[np.intp], controller: Controller, labels: list[str]
) -> Ledger:
    """Simulate B cells and return their ledger, closed. Arguments and errors as of Simulation."""
    run = Simulation(layout, scenarios, rows, controller, labels)
    run.advance()
    return run.ledger


class Simulation:
    """B cells under way: `advance` moves them on, `inject` changes the law between two periods.

    t: the next period. state, ledger: as they stand at its start. trace: series by period, record: flows by period, if
    asked for.
    """

    def __init__(
        self,
        layout: Layout,
        scenarios: Sequence[Scenario],
        rows: NDArray[np.intp],
        controller: Controller,
        labels: list[str],
        *,
        trace: bool = False,
        record: bool = False,
    ) -> None:
        """Start a batch.

        scenarios: the distinct ones; rows: (B,) the scenario of each cell, B a multiple of LANE_WIDTH; controller
        decides for all B cells; labels: (B,) what errors call the cells.
        """
        if len(rows) % LANE_WIDTH:
            raise ValueError(f"{len(rows)} cells do not fill lanes of {LANE_WIDTH}; see pad()")
        self.layout = layout
        self.t = 0
        self._scenarios, self._rows = list(scenarios), rows
        self._controller, self._labels = controller, labels
        self._table = TermsTable(layout, scenarios, rows)
        self.state: State = initial_state(layout, self._table.at(0).demand)
        self.ledger = Ledger(layout.suite, len(rows))
        self.trace = Trace(layout.suite.periods, len(rows)) if trace else None
        self.record = FlowRecord(layout, len(rows)) if record else None
        self._capacity = Capacity(layout, len(rows))
        self._compliance = ComplianceBook(layout.obligations, layout.suite, plants=layout.plants, cells=len(rows))
        self._settings: Settings | None = None
        self._balance: BalanceCheck | None = None
        self._holdings: Holdings | None = None

    def advance(self, until: int | None = None) -> None:
        """Simulate up to the start of period `until`, or to the end. Raises BalanceError if mass is created or lost."""
        end = self.layout.suite.periods if until is None else min(until, self.layout.suite.periods)
        while self.t < end:
            self._period()
            self.t += 1

    def inject(self, instrument: PolicyInstrument | Mapping[str, Any], at_period: int | None = None) -> None:
        """Bring an instrument into force in the running simulation: announced = effective = the start of a period.

        instrument: as data or in its JSON form. at_period: the next one unless given; the bytes are those of a run
        whose law held it from the start. Raises ModelError for a period that is over, and for an instrument that
        matches nothing in the suite.
        """
        at = self.t if at_period is None else at_period
        if not self.t <= at < self.layout.suite.periods:
            raise ModelError(
                f"period {at} can't be changed; the simulation stands at {self.t} of {self.layout.suite.periods}"
            )
        self._scenarios = [with_instrument(self.layout, one, instrument, at) for one in self._scenarios]
        self._table = TermsTable(self.layout, self._scenarios, self._rows)
        self._compliance.adopt(self._scenarios[0].obligations)

    def _period(self) -> None:
        suite, t = self.layout.suite, self.t
        if self._settings is None or t % suite.epoch_months == 0:
            control = self._controller.decide(observe(self.layout, self._table, t, self._situation()))
            self._settings = Settings(self.layout, control, len(self._rows))
            self._capacity.review(t, self._settings)
        p = self._open(t, self._settings)
        self.ledger.open_period(t)
        self._holdings = self._holdings or take_stock(p)
        self._balance = self._balance or BalanceCheck(self._holdings)
        if t == suite.warm_up:
            book_opening(p, self._holdings)
        step(p)
        settled = self._compliance.record(
            t, p.register, theta=p.terms.theta, in_force=p.terms.in_force, carbon_price=p.terms.carbon_price
        )
        if settled is not None:
            _book_compliance(p, settled)
        self._holdings = take_stock(p)
        hold(p, self._holdings)
        if t == suite.warm_up + suite.scored - 1:
            book_terminal(p, self._holdings)
        _note_stocks(p)
        self._balance.close(p, self._holdings, self._labels)

    def _situation(self) -> Situation:
        return Situation(
            layout=self.layout,
            t=self.t,
            table=self._table,
            scenarios=tuple(self._scenarios),
            rows=self._rows,
            cells=np.arange(len(self._rows)),
            under_way=(self.state, self._capacity, self._compliance),
        )

    def _open(self, t: int, settings: Settings) -> Period:
        return begin(
            t=t,
            layout=self.layout,
            state=self.state,
            terms=self._table.at(t),
            settings=settings,
            capacity=self._capacity,
            ledger=self.ledger,
            trace=self.trace,
            record=self.record,
        )


def step(p: Period) -> None:
    """Advance the state by one period and book its flows."""
    take_back(p)
    for kind, work in _REVERSE:
        if p.layout.count[kind]:
            work(p)
    produce(p)
    sell(p)
    order(p)


def _book_compliance(p: Period, settled: Settlement) -> None:
    """Book what closed windows owe: charges in EUR, what was due, and shortfalls as shares of duties."""
    p.pay(Account.SHORTFALL, settled.shortfall_charge)
    p.pay(Account.CERTIFICATES, settled.certificate_charge)
    p.move(Flow.DUTY, (settled.duty > 0.0).astype(np.float64))
    p.move(Flow.SHORT, np.minimum(1.0, portion(settled.short, settled.duty)))
    p.move(Flow.DUE, settled.due)
    p.move(Flow.LACKING, settled.shortfall_charge)


def _note_stocks(p: Period) -> None:
    if p.trace is None:
        return
    state = p.state
    p.note("goods_on_hand", state.goods)
    p.note("in_use", state.use.in_use())
    p.note("cores", state.cores)
    in_transit: list[Array] = [
        state.pipes[group].on_lanes() for group in state.pipes if group.name in ("GOODS", "PURCHASE", "LATERAL")
    ]
    for flow in in_transit:
        p.note("goods_in_transit", flow)


def observe(layout: Layout, table: TermsTable, t: int, situation: Situation | None = None) -> Observation:
    """Return what controllers may see at the start of period t: announced law, and the state if it is shown."""
    suite = layout.suite
    return Observation(
        period=t,
        epoch=t // suite.epoch_months,
        announced_duty=table.announced_duty(t),
        announced_route_legal=table.announced_legal(t),
        announced_collection=table.announced_collection(t),
        situation=situation,
    )


def pad(count: int) -> NDArray[np.intp]:
    """Return indices that repeat cell 0 until `count` cells fill whole lanes."""
    filled = -(-count // LANE_WIDTH) * LANE_WIDTH
    index = np.arange(filled)
    return np.where(index < count, index, 0)


def node_periods(layout: Layout) -> int:
    """Return the node-periods that one cell's simulation takes."""
    return sum(layout.count[kind] for kind in NodeKind) * layout.suite.periods
