"""Orders at the end of a period, downstream first: between warehouses, of goods, of recycled and of virgin feed.

An order placed at the end of t with lead time L arrives at the start of t + L and so covers L demands.
"""

import numpy as np

from sim_core.engine.period import Array, Period
from sim_core.engine.pipeline import add_up
from sim_core.engine.production import RECYCLED, material_use, monthly_need
from sim_core.engine.reverse import goods_position
from sim_core.engine.settings import M, S, portion, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind


def order(p: Period) -> None:
    """Place and fill all orders of the period; what flows move needs no order, and orders under way lapse."""
    if p.settings.flow("goods") is not None:
        for line in p.state.requests.values():
            line.take(p.t)
    _transfer(p)
    _order_goods(p)
    if any(p.layout.lanes[group].count for group in (LaneGroup.VIRGIN, LaneGroup.EXTERNAL)):
        _order_virgin(p, _order_external(p))


def _warehouse_target(p: Period) -> Array:
    """Return each warehouse's order-up-to level S, (W, P, B): a multiple of its forecast lead-time demand."""
    layout = p.layout
    lead = mean_lead(p, LaneGroup.GOODS) + mean_lead(p, LaneGroup.PURCHASE)
    usual = p.state.at_goods[layout.plants :] * lead[:, None, None]
    return p.settings.level(S, layout.targets[NodeKind.WAREHOUSE], usual)


def _transfer(p: Period) -> None:
    """Move surplus stock between neighbouring warehouses where the lateral-transfer lever is on, or by its flow."""
    lanes = p.layout.lanes[LaneGroup.LATERAL]
    lever, chosen = p.settings.lever("lateral_transfer"), p.settings.flow("transfer")
    if not lanes.count or (chosen is None and not lever.any()):
        return
    stock = p.state.goods[p.layout.plants :]
    sent = _balanced(p, lever) if chosen is None else p.within(LaneGroup.LATERAL, chosen, stock.sum(axis=2))
    sent = _limit(p, LaneGroup.LATERAL, sent)
    out = p.wanted_from(LaneGroup.LATERAL, sent)
    mix = stock * portion(np.ones_like(out), stock.sum(axis=2))[:, :, None]
    flow = sent[:, :, None] * mix[lanes.sender]
    stock -= np.minimum(stock, out[:, :, None] * mix)
    p.state.pipes[LaneGroup.LATERAL].send(p.t, flow)
    p.took("transfer", flow)
    p.ship(LaneGroup.LATERAL, flow.sum(axis=2))
    p.pay(Account.TRANSPORT, flow.sum(axis=2) * p.layout.value("lateral.cost"))


def _balanced(p: Period, lever: Array) -> Array:
    """Return what lateral lanes bring from stock above S to warehouses below it, (E, P, B)."""
    lanes, plants = p.layout.lanes[LaneGroup.LATERAL], p.layout.plants
    target = _warehouse_target(p)
    need = np.maximum(0.0, target - goods_position(p)[plants:])
    neighbours = lanes.to_receiver @ np.ones(lanes.count)
    asked = lever * need[lanes.receiver] / neighbours[lanes.receiver][:, None, None]
    surplus = np.maximum(0.0, p.state.goods[plants:].sum(axis=2) - target)
    return p.within(LaneGroup.LATERAL, asked, surplus)


def _order_goods(p: Period) -> None:
    """Order up to S level by level: each point fills what is asked of it before it orders.

    What it ships has left its position by then, and what it could not fill it owes: both count in full.
    """
    layout = p.layout
    lanes, plants = layout.lanes[LaneGroup.GOODS], layout.plants
    p.state.owed = np.zeros_like(p.state.owed)
    chosen, bought = p.settings.flow("goods"), p.settings.flow("purchase")
    if chosen is not None and bought is not None:
        _fill_goods(p, chosen)
        _fill_purchases(p, bought)
        return
    target = _warehouse_target(p)
    position = goods_position(p)
    requests = np.zeros((lanes.count, *position.shape[1:]))
    late = _late_requests(p, LaneGroup.GOODS)
    for level in range(int(layout.level.max(initial=0)) + 1):
        here = layout.level == level
        due = here[lanes.sender]
        if due.any():
            arrived = _send_requests(p, LaneGroup.GOODS, requests * due[:, None, None])
            position = position - _fill_goods(p, arrived + late * due[:, None, None])
        gap = np.maximum(0.0, target - position[plants:]) * here[plants:, None, None]
        if level == 0:
            p.note("ordered", gap)
        requests = requests + lanes.share[:, None, None] * gap[lanes.receiver]
        _buy_goods(p, gap)


def _late_requests(p: Period, group: LaneGroup) -> Array | float:
    """Take the orders of earlier periods that reach senders in this one: (E, ..., B)."""
    return p.state.requests[group].take(p.t) if group in p.state.requests else 0.0


def _send_requests(p: Period, group: LaneGroup, requests: Array) -> Array:
    """Send orders (E, ..., B) to the senders; return those that reach them in this period."""
    if group not in p.state.requests:
        return requests
    line = p.state.requests[group]
    line.send(p.t, requests)
    return line.take(p.t)


def _fill_goods(p: Period, requests: Array) -> Array:
    """Ship what is asked from stock, in proportion where it is short; return what was asked, (G, P, B)."""
    lanes, stock = p.layout.lanes[LaneGroup.GOODS], p.state.goods
    wanted = p.wanted_from(LaneGroup.GOODS, requests)
    total = stock.sum(axis=2)
    sent = requests * ratio(total, wanted)[lanes.sender] * p.terms.goods_open[:, None]
    sent = _limit(p, LaneGroup.GOODS, sent)
    out = p.wanted_from(LaneGroup.GOODS, sent)
    mix = stock * portion(np.ones_like(total), total)[:, :, None]
    flow = sent[:, :, None] * mix[lanes.sender]
    stock -= np.minimum(stock, out[:, :, None] * mix)
    p.state.pipes[LaneGroup.GOODS].send(p.t, flow)
    p.took("goods", flow)
    p.ship(LaneGroup.GOODS, flow.sum(axis=2))
    p.state.owed += (wanted - out)[: p.layout.plants]
    return wanted


def _limit(p: Period, group: LaneGroup, sent: Array) -> Array:
    """Cut lane flows (E, ..., B) to the lanes' capacity."""
    lanes = p.layout.lanes[group]
    if not lanes.limited:
        return sent
    limit = lanes.limit[:, None]
    return sent * ratio(limit, sent.sum(axis=1))[:, None]


def _buy_goods(p: Period, gap: Array) -> None:
    """Buy goods in from outside where warehouses have a supplier of goods; gap: (W, P, B)."""
    lanes = p.layout.lanes[LaneGroup.PURCHASE]
    if lanes.count:
        _fill_purchases(p, _send_requests(p, LaneGroup.PURCHASE, lanes.share[:, None, None] * gap[lanes.receiver]))


def _fill_purchases(p: Period, requests: Array) -> None:
    """Ship what is asked of suppliers of goods, (E, P, B), up to their capacity and where imports are legal."""
    lanes, rates = p.layout.lanes[LaneGroup.PURCHASE], p.layout.rates
    if not lanes.count:
        return
    able = rates.goods_supplier[:, :, None] * p.terms.supplier_available[:, None]
    sent = _limit(p, LaneGroup.PURCHASE, p.within(LaneGroup.PURCHASE, requests, able))
    overseas = lanes.overseas[:, None, None]
    sent = sent * (1.0 - overseas * (1.0 - p.terms.import_goods_legal))
    flow = np.zeros((*sent.shape[:2], p.layout.products.classes, sent.shape[-1]))
    flow[:, :, 0] = sent
    p.state.pipes[LaneGroup.PURCHASE].send(p.t, flow)
    p.took("purchase", sent)
    p.ship(LaneGroup.PURCHASE, sent)
    cost = sent * rates.goods_price[lanes.sender][:, :, None]
    p.pay(Account.MATERIALS, cost)
    p.pay(Account.TARIFF, cost * overseas * p.terms.tariff_goods)
    p.register["imported_goods"] = p.register["imported_goods"] + (sent * overseas).sum(axis=0)
    p.bring_in(sent.sum(axis=0))


def _order_external(p: Period) -> Array:
    """Buy recycled feed from external markets, up to their capacity; return all recycled inbound, (n, M, B)."""
    layout, pipe = p.layout, p.state.pipes[LaneGroup.EXTERNAL]
    secondary = p.state.pipes[LaneGroup.SECONDARY].inbound().sum(axis=2)
    flow = p.settings.flow("external")
    requests = _ask_external(p, secondary) if flow is None else flow
    own = layout.rates.external[:, :, None]
    able = np.where(np.isnan(own), p.terms.external_capacity / max(1, len(own)), own)
    sent = _limit(p, LaneGroup.EXTERNAL, p.within(LaneGroup.EXTERNAL, requests, able))
    pipe.send(p.t, sent)
    p.took("external", sent)
    p.ship(LaneGroup.EXTERNAL, sent.sum(axis=1))
    total = sent.sum(axis=0)
    p.entered += total
    p.pay(Account.MATERIALS, total * p.terms.external_price)
    p.move(Flow.CARBON, total * _virgin_carbon(p) * layout.common("carbon.external_share"))
    p.note("external", total)
    return secondary + pipe.inbound()


def _ask_external(p: Period, secondary: Array) -> Array:
    """Order up to M times the announced duty over its lead time; return the orders that reach markets, (E, M, B).

    secondary: (n, M, B) recycled feed on its way from recyclers.
    """
    state, layout, pipe = p.state, p.layout, p.state.pipes[LaneGroup.EXTERNAL]
    lanes = layout.lanes[LaneGroup.EXTERNAL]
    hold = p.settings.lever("stock_ahead")
    duty = (1.0 - hold) * p.terms.duty_soon + hold * p.terms.duty_ahead
    due = (state.plant_forecast[:, :, None] * material_use(p) * duty).sum(axis=1)
    usual = due * mean_lead(p, LaneGroup.EXTERNAL)[:, None, None]
    have = state.feed[:, :, RECYCLED].sum(axis=2) + secondary + pipe.inbound() + _on_order(p, LaneGroup.EXTERNAL)
    asked = np.maximum(0.0, p.settings.level(M, layout.targets[NodeKind.PLANT], usual) - have)
    return _send_requests(p, LaneGroup.EXTERNAL, lanes.share[:, None, None] * asked[lanes.receiver])


def _on_order(p: Period, group: LaneGroup) -> Array | float:
    """Return what receivers have ordered and senders don't know of yet, (n, ..., B)."""
    return p.state.requests[group].inbound() if group in p.state.requests else 0.0


def _order_virgin(p: Period, recycled_inbound: Array) -> None:
    """Buy virgin feed from suppliers, up to their capacity, at normal speed or expedited."""
    layout, pipe = p.layout, p.state.pipes[LaneGroup.VIRGIN]
    usual, quick = p.settings.flow("virgin"), p.settings.flow("virgin_fast")
    if usual is None or quick is None:
        requests, fast = _ask_virgin(p, recycled_inbound), p.settings.lever("expedite")
    else:
        legal = 1.0 - layout.lanes[LaneGroup.VIRGIN].overseas[:, None, None] * (1.0 - p.terms.import_legal)
        requests, fast = (usual + quick) * legal, portion(quick, usual + quick)
    able = layout.rates.supplier[:, :, None] * p.terms.supplier_available[:, None]
    sent = p.within(LaneGroup.VIRGIN, requests, able)
    sent = _limit(p, LaneGroup.VIRGIN, sent * p.terms.virgin_open[:, None])
    _pay_virgin(p, sent, fast)
    months = int(layout.common("expedite.months"))
    for name, part, sooner in (("virgin", sent * (1.0 - fast), 0), ("virgin_fast", sent * fast, months)):
        p.took(name, part)
        pipe.send(p.t, part, sooner=sooner)


def _ask_virgin(p: Period, recycled_inbound: Array) -> Array:
    """Order up to S, less recycled feed on hand and inbound (held feed only up to its duty).

    Return the orders that reach suppliers, (E, M, B).
    """
    state, layout, pipe = p.state, p.layout, p.state.pipes[LaneGroup.VIRGIN]
    lanes = layout.lanes[LaneGroup.VIRGIN]
    hold = p.settings.lever("stock_ahead")
    fast, months = p.settings.lever("expedite"), int(layout.common("expedite.months"))
    share = _virgin_share(p)
    saved = np.minimum(months, lanes.lead - 1)[:, None, None] * fast
    lead = add_up(lanes.to_receiver, share * ((lanes.lead + lanes.information)[:, None, None] - saved))
    need = monthly_need(p)
    goods = p.settings.level(S, layout.targets[NodeKind.PLANT], state.plant_forecast)
    target = (goods[:, :, None] * material_use(p)).sum(axis=1) * lead
    due = (state.plant_forecast[:, :, None] * material_use(p) * p.terms.content_duty).sum(axis=1)
    recycled = state.feed[:, :, RECYCLED].sum(axis=2) + recycled_inbound
    recycled = np.minimum(recycled, target * (1.0 - hold * (1.0 - portion(due, need))))
    on_hand = state.feed[:, :, 0] + pipe.inbound() + _on_order(p, LaneGroup.VIRGIN)
    asked = np.maximum(0.0, target - on_hand - recycled)
    return _send_requests(p, LaneGroup.VIRGIN, share * asked[lanes.receiver])


def _virgin_share(p: Period) -> Array:
    """Return each virgin lane's share of its plant's orders, (E, M, B).

    Second sourcing moves a part to the near lanes; where imports of a material are banned, the near lanes take all.
    """
    lanes = p.layout.lanes[LaneGroup.VIRGIN]
    moved = p.layout.common("second_source.share") * p.settings.lever("second_source")
    near = 1.0 - lanes.overseas
    among_near = near / np.maximum(1.0, lanes.to_receiver @ near)[lanes.receiver]
    some = (lanes.to_receiver @ near > 0.0)[lanes.receiver][:, None]
    share = lanes.share[:, None] * (1.0 - moved * some) + among_near[:, None] * moved * some
    share = share[:, None] * (1.0 - lanes.overseas[:, None, None] * (1.0 - p.terms.import_legal))
    whole = add_up(lanes.to_receiver, share)
    return share * portion(np.ones_like(whole), whole)[lanes.receiver]


def _pay_virgin(p: Period, sent: Array, fast: Array) -> None:
    """Pay for virgin material (E, M, B), its freight, expedition and the tariff of the day it leaves.

    fast: the share that is expedited, (B,) or (E, M, B).
    """
    layout, lanes = p.layout, p.layout.lanes[LaneGroup.VIRGIN]
    overseas = lanes.overseas[:, None, None]
    cost = sent * p.terms.virgin_price * (1.0 + layout.common("supplier.premium") * (1.0 - overseas))
    p.pay(Account.MATERIALS, cost)
    p.pay(Account.TARIFF, cost * p.terms.tariff_departure * overseas)
    mass = sent.sum(axis=1)
    p.ship(LaneGroup.VIRGIN, mass)
    faster = mass * fast if fast.ndim == 1 else (sent * fast).sum(axis=1)
    p.pay(Account.TRANSPORT, faster * (lanes.lead > 1)[:, None] * layout.common("expedite.cost"))
    total = sent.sum(axis=0)
    p.entered += total
    p.register["virgin"], p.register["imported"] = total, (sent * overseas).sum(axis=0)
    p.move(Flow.CARBON, total * _virgin_carbon(p))
    p.note("virgin", total)


def mean_lead(p: Period, group: LaneGroup) -> Array:
    """Return each receiver's lead time with its information delay, in periods, weighted by its lanes' shares: (n,)."""
    lanes = p.layout.lanes[group]
    return lanes.to_receiver @ (lanes.share * (lanes.lead + lanes.information))


def _virgin_carbon(p: Period) -> Array:
    return p.layout.facts.embedded[:, None]
