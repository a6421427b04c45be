"""Forward flows: production from recycled and virgin feed, sales, and orders from downstream to upstream."""

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import ORIGINS
from sim_core.engine.period import Period
from sim_core.engine.pipeline import add_up
from sim_core.engine.reverse import serviceable_position
from sim_core.engine.settings import M, S, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR, parse_month

_SMOOTHING = 0.2  # of the forecast of demand, per month
_RECYCLED = slice(1, len(ORIGINS))


def scrap_share(p: Period) -> float:
    """Return production scrap per kWh of gross output: falls from 2025 to 2030, then stays."""
    first, last = p.layout.value("scrap.2025"), p.layout.value("scrap.2030")
    year = (parse_month(p.layout.suite.start) + p.t) / MONTHS_PER_YEAR
    done = min(1.0, max(0.0, (year - 2025.0) / 5.0))
    return first + (last - first) * done


def produce(p: Period) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Receive feed and produce up to S; return material in good output and the recycled part of it, (P, M, B) kg."""
    state, layout = p.state, p.layout
    state.feed[:, :, 0] += p.arrive(LaneGroup.VIRGIN)
    state.feed[:, :, 1:3] += p.arrive(LaneGroup.SECONDARY)
    state.feed[:, :, 3] += p.arrive(LaneGroup.EXTERNAL)
    scrap = scrap_share(p)
    per_kwh = layout.bom[:, None] / (1.0 - scrap)
    possible = (state.feed.sum(axis=2) / per_kwh).min(axis=1)
    wanted = np.maximum(0.0, p.settings.cover(NodeKind.PLANT, S) * state.at_plant - state.plant_goods)
    made = np.minimum(np.minimum(wanted, layout.production_capacity[:, None]), possible)
    used = made[:, None] * per_kwh
    recycled = _use_feed(p, used)
    state.plant_goods += made
    gross = made / (1.0 - scrap)
    p.send_product(LaneGroup.SCRAP, gross - made)
    p.made += gross.sum(axis=0)
    p.ledger.pay(Account.PRODUCTION, gross.sum(axis=0) * layout.value("production.cost"))
    p.ledger.move(Flow.FEED, used.sum(axis=(0, 1)))
    p.ledger.move(Flow.RECYCLED_FEED, recycled.sum(axis=(0, 1)))
    p.emit(gross.sum(axis=0) * layout.value("carbon.production"))
    return used * (1.0 - scrap), recycled * (1.0 - scrap)


def _use_feed(p: Period, used: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take feed for production, recycled first (with stock-ahead on: only up to the duty); return the recycled part."""
    feed = p.state.feed
    hold = p.settings.lever("stock_ahead")
    have = feed[:, :, _RECYCLED].sum(axis=2)
    limit = used * (1.0 - hold * (1.0 - p.terms.duty))
    recycled = np.minimum(have, np.maximum(limit, used - feed[:, :, 0]))
    recycled = np.minimum(recycled, used)
    feed[:, :, _RECYCLED] *= (1.0 - recycled / np.where(have > 0.0, have, 1.0))[:, :, None]
    feed[:, :, 0] -= used - recycled
    return recycled


def sell(p: Period) -> None:
    """Serve the markets from the warehouses; unmet demand is lost."""
    state, layout = p.state, p.layout
    lanes = layout.lanes[LaneGroup.SALES]
    demand = layout.market_share[:, None] * p.terms.demand
    asked = lanes.share[:, None] * demand[lanes.receiver]
    wanted = p.wanted_from(LaneGroup.SALES, asked)
    health = layout.health[:, None]
    able = (state.goods * health).sum(axis=1)
    leaving = state.goods * ratio(wanted, able)[:, None]
    leaving *= (able > 0.0)[:, None]
    state.goods -= leaving
    portion = asked / np.where(wanted > 0.0, wanted, 1.0)[lanes.sender]
    sold = portion[:, None] * leaving[lanes.sender]
    state.use.sell(p.t, add_up(lanes.to_receiver, sold))
    served = (leaving * health).sum(axis=(0, 1))
    total = demand.sum(axis=0)
    lost = np.maximum(0.0, total - served)
    p.ship(LaneGroup.SALES, sold.sum(axis=1) * layout.mass)
    p.ledger.pay(Account.LOST_SALES, lost * (p.terms.pack_price + layout.value("pack.goodwill")))
    p.ledger.move(Flow.DEMAND, total)
    p.ledger.move(Flow.SERVED, served)
    state.forecast += _SMOOTHING * (demand - state.forecast)
    state.expect(layout)


def order(p: Period) -> None:
    """Place orders, downstream first: warehouses at plants, plants at the external market, then at suppliers."""
    _order_goods(p)
    external = _order_external(p)
    _order_virgin(p, external)


def _order_goods(p: Period) -> None:
    state, layout = p.state, p.layout
    lanes = layout.lanes[LaneGroup.GOODS]
    target = (
        p.settings.cover(NodeKind.WAREHOUSE, S) * state.at_warehouse * (_mean_lead(p, LaneGroup.GOODS) + 1.0)[:, None]
    )
    asked = lanes.share[:, None] * np.maximum(0.0, target - serviceable_position(p))[lanes.receiver]
    wanted = p.wanted_from(LaneGroup.GOODS, asked)
    filled = ratio(state.plant_goods, wanted)
    sent = asked * filled[lanes.sender]
    state.plant_goods -= wanted * filled
    state.pipes[LaneGroup.GOODS].send(p.t, sent)
    p.ship(LaneGroup.GOODS, sent * layout.mass)


def _order_external(p: Period) -> NDArray[np.float64]:
    """Buy recycled feed up to M times the announced duty over its lead time; return all recycled inbound, (P, M, B)."""
    state, layout, pipe = p.state, p.layout, p.state.pipes[LaneGroup.EXTERNAL]
    lanes = layout.lanes[LaneGroup.EXTERNAL]
    hold = p.settings.lever("stock_ahead")
    duty = (1.0 - hold) * p.terms.duty_soon + hold * p.terms.duty_ahead
    need = _monthly_need(p) * duty * (_mean_lead(p, LaneGroup.EXTERNAL) + 1.0)[:, None, None]
    secondary = state.pipes[LaneGroup.SECONDARY].inbound().sum(axis=2)
    have = state.feed[:, :, _RECYCLED].sum(axis=2) + secondary + pipe.inbound()
    asked = np.maximum(0.0, p.settings.cover(NodeKind.PLANT, M)[:, None] * need - have)
    wanted = lanes.share[:, None, None] * asked[lanes.receiver]
    sent = wanted * ratio(p.terms.external_capacity, wanted.sum(axis=0))
    pipe.send(p.t, sent)
    p.ship(LaneGroup.EXTERNAL, sent.sum(axis=1))
    total = sent.sum(axis=0)
    p.entered += total
    p.ledger.pay(Account.MATERIALS, (total * p.terms.external_price).sum(axis=0))
    upstream = _virgin_carbon(p) * layout.value("carbon.external_share")
    p.ledger.move(Flow.CARBON, (total * upstream).sum(axis=0))
    return secondary + pipe.inbound()


def _order_virgin(p: Period, recycled_inbound: NDArray[np.float64]) -> None:
    state, layout, pipe = p.state, p.layout, p.state.pipes[LaneGroup.VIRGIN]
    lanes = layout.lanes[LaneGroup.VIRGIN]
    hold = p.settings.lever("stock_ahead")
    fast, months = p.settings.lever("expedite"), int(layout.value("expedite.months"))
    share = _virgin_share(p)
    saved = np.minimum(months, lanes.lead - 1)
    lead = lanes.to_receiver @ (share * (lanes.lead[:, None] - saved[:, None] * fast))
    target = p.settings.cover(NodeKind.PLANT, S)[:, None] * _monthly_need(p) * (lead + 1.0)[:, None]
    recycled = state.feed[:, :, _RECYCLED].sum(axis=2) + recycled_inbound
    recycled = np.minimum(recycled, target * (1.0 - hold * (1.0 - p.terms.duty)))
    asked = np.maximum(0.0, target - state.feed[:, :, 0] - pipe.inbound() - recycled)
    wanted = share[:, None] * asked[lanes.receiver]
    requested = p.wanted_from(LaneGroup.VIRGIN, wanted)
    able = layout.supplier_capacity[:, :, None] * p.terms.supplier_available[:, None]
    sent = wanted * ratio(able, requested)[lanes.sender]
    _pay_virgin(p, sent)
    pipe.send(p.t, sent * (1.0 - fast))
    pipe.send(p.t, sent * fast, sooner=months)


def _virgin_share(p: Period) -> NDArray[np.float64]:
    """Return each virgin lane's share of its plant's orders, (E, B): second sourcing moves a part to the near one."""
    lanes = p.layout.lanes[LaneGroup.VIRGIN]
    moved = p.layout.value("second_source.share") * p.settings.lever("second_source")
    return lanes.share[:, None] * (1.0 - moved) + (1.0 - lanes.overseas)[:, None] * moved


def _pay_virgin(p: Period, sent: NDArray[np.float64]) -> None:
    layout = p.layout
    lanes = layout.lanes[LaneGroup.VIRGIN]
    price = p.terms.virgin_price * (1.0 + layout.value("supplier.premium") * (1.0 - lanes.overseas))[:, None, None]
    cost = sent * price
    p.ledger.pay(Account.MATERIALS, cost.sum(axis=(0, 1)))
    p.ledger.pay(Account.TARIFF, (cost * p.terms.tariff * lanes.overseas[:, None, None]).sum(axis=(0, 1)))
    mass = sent.sum(axis=1)
    p.ship(LaneGroup.VIRGIN, mass)
    faster = mass * (lanes.lead > 1)[:, None]
    p.ledger.pay(Account.TRANSPORT, faster.sum(axis=0) * p.settings.lever("expedite") * layout.value("expedite.cost"))
    total = sent.sum(axis=0)
    p.entered += total
    p.ledger.move(Flow.CARBON, (total * _virgin_carbon(p)).sum(axis=0))


def _monthly_need(p: Period) -> NDArray[np.float64]:
    """Return the material that each plant expects to use in a month, (P, M, B) kg."""
    return p.state.at_plant[:, None] * (p.layout.bom[:, None] / (1.0 - scrap_share(p)))


def _mean_lead(p: Period, group: LaneGroup) -> NDArray[np.float64]:
    """Return each receiver's lead time in months, weighted by its lanes' shares."""
    lanes = p.layout.lanes[group]
    return lanes.to_receiver @ (lanes.share * lanes.lead)


def _virgin_carbon(p: Period) -> NDArray[np.float64]:
    return np.array(p.layout.product.by_material("carbon.virgin"))[:, None]
