"""Sales: markets ask goods points by lane share; short stock serves in proportion; the rest waits or is lost."""

import numpy as np

from sim_core.engine.period import Array, Period
from sim_core.engine.pipeline import add_up
from sim_core.engine.settings import portion, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup


def sell(p: Period) -> None:
    """Serve demand and backlog from stock, book what is short, and renew the forecast."""
    state, layout = p.state, p.layout
    lanes = layout.lanes[LaneGroup.SALES]
    demand = p.terms.demand
    owed = demand + state.backlog
    asked = _asked(p, owed)
    if lanes.limited:
        asked = asked * ratio(lanes.limit[:, None], asked.sum(axis=1))[:, None]
    wanted = p.wanted_from(LaneGroup.SALES, asked)
    health = layout.products.health[:, :, None]
    able = (state.goods * health).sum(axis=2) * p.terms.sale_legal
    leaving = state.goods * (ratio(wanted, able) * (able > 0.0))[:, :, None]
    state.goods -= leaving
    sold = portion(asked, wanted[lanes.sender])[:, :, None] * leaving[lanes.sender]
    p.ship(LaneGroup.SALES, sold.sum(axis=2))
    at_market = add_up(lanes.to_receiver, sold)
    by_lane = (sold * health).sum(axis=2)
    served = add_up(lanes.to_receiver, by_lane)
    p.took("sell", by_lane)
    _book_short(p, np.maximum(0.0, owed - served), demand, served)
    _use(p, at_market)
    _expect(p, demand)


def _asked(p: Period, owed: Array) -> Array:
    """Return what each lane is asked for of what markets are owed, (K, P, B): its share, or the control's flow."""
    lanes, flow = p.layout.lanes[LaneGroup.SALES], p.settings.flow("sell")
    if flow is None:
        return lanes.share[:, None, None] * owed[lanes.receiver]
    return flow * ratio(owed, add_up(lanes.to_receiver, flow))[lanes.receiver]


def _book_short(p: Period, short: Array, demand: Array, served: Array) -> None:
    """Keep what waits, and charge it by unit and period; charge what is lost by unit."""
    rates = p.layout.rates
    waits = rates.backlog[:, None, None]
    p.state.backlog = short * waits
    lost = short - p.state.backlog
    price = p.terms.product_price + p.layout.value("product.goodwill")
    own = rates.shortage[:, None, None]
    penalty = np.where(np.isnan(own), price, own)
    p.pay(Account.LOST_SALES, lost * penalty)
    p.pay(Account.BACKLOG, p.state.backlog * penalty)
    p.move(Flow.DEMAND, demand)
    p.move(Flow.SERVED, served)
    for name, amount in (("demand", demand), ("served", served), ("lost", lost), ("backlog", p.state.backlog)):
        p.note(name, amount)


def _use(p: Period, sold: Array) -> None:
    """Hand units sold, (K, P, C, B), to their users, and book what law asks of products placed on the market."""
    p.state.use.sell(p.t, sold, p.settings.lever("design_for_disassembly"))
    new = sold[:, :, 0].sum(axis=0)
    p.register["placed"] = new
    p.register["placed_again"] = sold[:, :, 1:].sum(axis=(0, 2))
    p.pay(Account.FEE, new * (p.terms.epr_fee + p.terms.traceability))
    p.note("sold", sold)
    p.left += sold.sum(axis=(0, 2)) * (1.0 - p.state.use.durable)


def _expect(p: Period, demand: Array) -> None:
    """Renew the markets' forecast by smoothing or a moving average, and pass it upstream."""
    state, rule = p.state, p.layout.suite.forecast
    if rule.method == "moving_average":
        state.history[p.t % rule.periods] = demand
        state.forecast = state.history.sum(axis=0) / rule.periods
    else:
        state.forecast = state.forecast + p.layout.value("forecast.smoothing") * (demand - state.forecast)
    state.expect(p.layout)
