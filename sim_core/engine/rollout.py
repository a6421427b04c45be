"""Rollout: simulate a batch of cells from start to end and return their metrics.

The order of a period (docs/model.md): terms, arrivals and returns, collection, inspection, disposition
(remanufacture, second life, recycling, disposal), production, sales, orders, books, balance check.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_core.control import Controller, Observation
from sim_core.engine.books import BalanceCheck, ComplianceBook, Holdings, book_opening, book_terminal, hold, take_stock
from sim_core.engine.forward import order, produce, sell
from sim_core.engine.layout import Layout
from sim_core.engine.period import Period
from sim_core.engine.reverse import consolidate, inspect, recycle, remanufacture, take_back
from sim_core.engine.settings import Capacity, Settings
from sim_core.engine.state import initial_state
from sim_core.engine.terms import TermsTable
from sim_core.engine.use_phase import UsePhase
from sim_core.ledger import Ledger
from sim_core.network import LaneGroup, NodeKind
from sim_core.scenario import Scenario

LANE_WIDTH = 8  # batches are padded to whole lanes, so that no sum changes its order for a small batch


def simulate(
    layout: Layout, scenarios: Sequence[Scenario], rows: NDArray[np.intp], controller: Controller, labels: list[str]
) -> Ledger:
    """Simulate B cells and return their ledger, closed.

    scenarios: the distinct ones; rows: (B,) the scenario of each cell, B a multiple of LANE_WIDTH; controller decides
    for all B cells; labels: (B,) what errors call the cells. Raises BalanceError if mass is created or lost.
    """
    if len(rows) % LANE_WIDTH:
        raise ValueError(f"{len(rows)} cells do not fill lanes of {LANE_WIDTH}; see pad()")
    suite, cells = layout.suite, len(rows)
    table = TermsTable(scenarios, rows)
    start = table.at(0).demand
    state = initial_state(layout, UsePhase(layout, start), start)
    capacity, ledger = Capacity(layout, cells), Ledger(suite, cells)
    compliance = ComplianceBook(layout, layout.count[NodeKind.PLANT], cells)
    balance: BalanceCheck | None = None
    holdings: Holdings | None = None
    settings: Settings | None = None
    for t in range(suite.periods):
        if settings is None or t % suite.epoch_months == 0:
            settings = Settings(layout, controller.decide(observe(layout, table, t)), cells)
            capacity.review(t, settings)
        p = Period(
            t=t,
            layout=layout,
            state=state,
            terms=table.at(t),
            settings=settings,
            capacity=capacity,
            ledger=ledger,
            made=np.zeros(cells),
            left=np.zeros(cells),
            entered=np.zeros((len(layout.bom), cells)),
            recovered=np.zeros((len(layout.bom), cells)),
        )
        ledger.open_period(t)
        holdings = holdings or take_stock(p)
        balance = balance or BalanceCheck(holdings)
        if t == suite.warm_up:
            book_opening(p, holdings)
        step(p, compliance)
        holdings = take_stock(p)
        hold(p, holdings)
        if t == suite.warm_up + suite.scored - 1:
            book_terminal(p, holdings)
        balance.close(p, holdings, labels)
    return ledger


def step(p: Period, compliance: ComplianceBook) -> None:
    """Advance the state by one period and book its flows."""
    take_back(p)
    consolidate(p)
    inspect(p)
    remanufacture(p)
    recycle(p)
    p.state.goods += _goods_arrivals(p)
    content, recycled = produce(p)
    sell(p)
    order(p)
    compliance.record(p, content, recycled)


def observe(layout: Layout, table: TermsTable, t: int) -> Observation:
    """Return what controllers may see at the start of period t: announced law only."""
    suite = layout.suite
    return Observation(
        period=t,
        epoch=t // suite.epoch_months,
        announced_duty=table.announced_duty(t),
        announced_route_legal=table.announced_legal(t),
    )


def pad(count: int) -> NDArray[np.intp]:
    """Return indices that repeat cell 0 until `count` cells fill whole lanes."""
    filled = -(-count // LANE_WIDTH) * LANE_WIDTH
    index = np.arange(filled)
    return np.where(index < count, index, 0)


def _goods_arrivals(p: Period) -> NDArray[np.float64]:
    arrived = p.arrive(LaneGroup.REMAN_GOODS)
    arrived[:, 0] += p.arrive(LaneGroup.GOODS)
    return arrived
