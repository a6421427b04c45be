"""Orders of agents at the end of a period, in whole units, downstream first; then recycled and virgin feed in kg."""

import numpy as np

from sim_core.agents.chance import whole_parts
from sim_core.agents.pool import sizes
from sim_core.agents.production import RECYCLED, VIRGIN, material_use, monthly_need
from sim_core.agents.states import LifeEvent
from sim_core.agents.stocks import Stocks, goods_position
from sim_core.agents.world import Array, Parcel, World
from sim_core.engine.settings import M, S
from sim_core.network import LaneGroup, NodeKind


def order(w: World, s: Stocks) -> None:
    """Place and fill all orders of the period."""
    target = _warehouse_target(w, s)
    _transfer(w, s, target)
    _order_goods(w, s, target)
    if any(w.layout.lanes[group].count for group in (LaneGroup.VIRGIN, LaneGroup.EXTERNAL)):
        _order_external(w, s)
        _order_virgin(w, s)


def _mean_lead(w: World, group: LaneGroup) -> Array:
    """Return each receiver's periods from order to arrival, by the lanes' shares, (receivers,)."""
    lanes = w.layout.lanes[group]
    periods = lanes.share * (lanes.lead + lanes.information)
    return _by(lanes.receiver, periods[:, None], len(w.receivers[group]))[:, 0]


def _warehouse_target(w: World, s: Stocks) -> Array:
    """Return each warehouse's order-up-to level, (W, P)."""
    lead = _mean_lead(w, LaneGroup.GOODS) + _mean_lead(w, LaneGroup.PURCHASE)
    usual = s.at_goods[w.layout.plants :] * lead[:, None]
    target = np.zeros_like(usual)
    for warehouse, p in np.ndindex(usual.shape):
        node = w.node[NodeKind.WAREHOUSE][warehouse]
        target[warehouse, p] = w.decisions.level(S, node, float(usual[warehouse, p]))
    return target


def _transfer(w: World, s: Stocks, target: Array) -> None:
    """Move surplus stock between neighbouring warehouses where the lateral-transfer lever is on."""
    lanes, lever, plants = w.layout.lanes[LaneGroup.LATERAL], w.decisions.lever("lateral_transfer"), w.layout.plants
    if not lanes.count or lever <= 0.0:
        return
    need = np.maximum(0.0, target - goods_position(w, s)[plants:])
    neighbours = np.bincount(lanes.receiver, minlength=len(need))
    asked = lever * need[lanes.receiver] / neighbours[lanes.receiver][:, None]
    surplus = np.maximum(0.0, sizes(s.goods, w.products)[plants:] - target)
    sent = _limited(lanes.limit, asked * _served(surplus, _by(lanes.sender, asked, len(need)))[lanes.sender])
    _ship_goods(w, s, LaneGroup.LATERAL, sent, first=plants)


def _order_goods(w: World, s: Stocks, target: Array) -> None:
    """Order up to S, level by level: a point fills what is asked of it, and then orders as if all of it had left."""
    layout, lanes, plants = w.layout, w.layout.lanes[LaneGroup.GOODS], w.layout.plants
    position, draw = goods_position(w, s), w.draw("orders")
    asked = np.zeros((lanes.count, position.shape[1]))
    s.owed = np.zeros_like(s.owed)
    late = s.requests[LaneGroup.GOODS].take(w.t) if LaneGroup.GOODS in s.requests else np.zeros_like(asked)
    for level in range(int(layout.level.max(initial=0)) + 1):
        here = layout.level == level
        due = here[lanes.sender]
        if due.any():
            position -= _fill(w, s, _told(w, s, LaneGroup.GOODS, asked * due[:, None]) + late * due[:, None])
        gap = np.maximum(0.0, target - position[plants:]) * here[plants:, None]
        if level == 0:
            w.note("ordered", float(gap.sum()))
        asked += _split_orders(gap, LaneGroup.GOODS, w, draw)
        _buy(w, s, _split_orders(gap, LaneGroup.PURCHASE, w, draw))


def _split_orders(gap: Array, group: LaneGroup, w: World, draw: np.random.Generator) -> Array:
    """Split what receivers lack over their lanes by share, in whole units, (E, P)."""
    lanes = w.layout.lanes[group]
    orders = np.zeros((lanes.count, gap.shape[1]))
    for receiver, p in zip(*np.nonzero(gap), strict=True):
        mine = np.flatnonzero(lanes.receiver == receiver)
        if len(mine):
            orders[mine, p] = whole_parts(lanes.share[mine] * gap[receiver, p], draw)
    return orders


def _told(w: World, s: Stocks, group: LaneGroup, orders: Array) -> Array:
    """Send orders to the senders; return those that reach them in this period."""
    if group not in s.requests:
        return orders
    s.requests[group].send(w.t, orders)
    return s.requests[group].take(w.t)


def _fill(w: World, s: Stocks, asked: Array) -> Array:
    """Ship what is asked from stock, in proportion where it is short; return what was asked, (G, P)."""
    lanes, stock = w.layout.lanes[LaneGroup.GOODS], sizes(s.goods, w.products)
    wanted = _by(lanes.sender, asked, len(stock))
    sent = asked * _served(stock, wanted)[lanes.sender] * w.terms.goods_open[:, None]
    sent = _limited(lanes.limit, sent)
    _ship_goods(w, s, LaneGroup.GOODS, sent, first=0)
    s.owed += (wanted - _by(lanes.sender, sent, len(stock)))[: w.layout.plants]
    return wanted


def _ship_goods(w: World, s: Stocks, group: LaneGroup, sent: Array, *, first: int) -> None:
    """Ship goods on lanes, rounded to whole units. first: the goods point that the group's first sender is."""
    lanes, draw, flows = w.layout.lanes[group], w.draw("ship"), list[Parcel]()
    for sender in np.unique(lanes.sender):
        mine = np.flatnonzero(lanes.sender == sender)
        for p in np.flatnonzero(sent[mine].sum(axis=0) > 0.0):
            counts = whole_parts(sent[mine, p], draw)
            ids = draw.permutation(s.goods[sender + first][p].take(int(counts.sum()), draw))
            parts = np.split(ids, np.cumsum(counts)[:-1])
            flows += [(int(lane), int(p), part) for lane, part in zip(mine, parts, strict=True)]
    w.dispatch(group, flows)


def _buy(w: World, s: Stocks, orders: Array) -> None:
    """Buy goods in from outside, where warehouses have a supplier of goods."""
    lanes, rates = w.layout.lanes[LaneGroup.PURCHASE], w.layout.rates
    if not lanes.count:
        return
    asked = _told(w, s, LaneGroup.PURCHASE, orders)
    able = rates.goods_supplier * w.terms.supplier_available[:, None]
    sent = asked * _served(able, _by(lanes.sender, asked, len(able)))[lanes.sender]
    sent = _limited(lanes.limit, sent)
    sent = sent * (1.0 - lanes.overseas[:, None] * (1.0 - w.terms.import_goods_legal))
    flows, draw = list[Parcel](), w.draw("purchase")
    for p in range(sent.shape[1]):
        for lane, number in enumerate(whole_parts(sent[:, p], draw)):
            node = w.node[NodeKind.SUPPLIER][lanes.sender[lane]]
            ids = w.units.create(LifeEvent.BOUGHT, int(number), t=w.t, product=p, place=node)
            flows.append((lane, p, ids))
    w.dispatch(LaneGroup.PURCHASE, flows)


def _order_external(w: World, s: Stocks) -> None:
    """Buy recycled feed up to M times the announced duty over its lead time."""
    lanes, stream = w.layout.lanes[LaneGroup.EXTERNAL], s.streams[LaneGroup.EXTERNAL]
    hold = w.decisions.lever("stock_ahead")
    duty = (1.0 - hold) * w.terms.duty_soon + hold * w.terms.duty_ahead
    due = s.at_goods[: w.layout.plants] @ (material_use(w) * duty)
    usual = due * _mean_lead(w, LaneGroup.EXTERNAL)[:, None]
    have = s.feed[:, :, RECYCLED].sum(axis=2) + _recycled_inbound(s) + _on_order(s, LaneGroup.EXTERNAL)
    asked = np.maximum(0.0, _plant_level(w, M, usual) - have)
    orders = _told(w, s, LaneGroup.EXTERNAL, lanes.share[:, None] * asked[lanes.receiver])
    own = w.layout.rates.external
    able = np.where(np.isnan(own), w.terms.external_capacity / max(1, len(own)), own)
    sent = _limited(lanes.limit, orders * _served(able, _by(lanes.sender, orders, len(own)))[lanes.sender])
    stream.send(w.t, sent)
    w.note("external", float(sent.sum()))


def _order_virgin(w: World, s: Stocks) -> None:
    """Order virgin feed up to S, less recycled feed on hand and inbound (held feed only up to its duty)."""
    lanes, stream, plants = w.layout.lanes[LaneGroup.VIRGIN], s.streams[LaneGroup.VIRGIN], w.layout.plants
    hold, fast = w.decisions.lever("stock_ahead"), w.decisions.lever("expedite")
    months, share, use = int(w.layout.common("expedite.months")), _virgin_share(w), material_use(w)
    lead = lanes.lead + lanes.information - np.minimum(months, lanes.lead - 1) * fast
    periods = _by(lanes.receiver, share * lead[:, None], plants)
    target = _goods_target(w, s) @ use * periods
    need, due = monthly_need(w, s), s.at_goods[:plants] @ (use * w.terms.content_duty)
    counted = target * (1.0 - hold * (1.0 - due / np.where(need > 0.0, need, 1.0)))
    recycled = np.minimum(s.feed[:, :, RECYCLED].sum(axis=2) + _recycled_inbound(s), counted)
    asked = target - s.feed[:, :, VIRGIN] - stream.inbound() - _on_order(s, LaneGroup.VIRGIN) - recycled
    orders = _told(w, s, LaneGroup.VIRGIN, share * np.maximum(0.0, asked)[lanes.receiver])
    able = w.layout.rates.supplier * w.terms.supplier_available[:, None]
    sent = orders * _served(able, _by(lanes.sender, orders, len(able)))[lanes.sender]
    sent = _limited(lanes.limit, sent * w.terms.virgin_open[:, None])
    stream.send(w.t, sent * (1.0 - fast))
    stream.send(w.t, sent * fast, sooner=months)
    w.note("virgin", float(sent.sum()))


def _goods_target(w: World, s: Stocks) -> Array:
    """Return each plant's own order-up-to level, (plants, P) units."""
    target = np.zeros((w.layout.plants, s.at_goods.shape[1]))
    for plant, p in np.ndindex(target.shape):
        target[plant, p] = w.decisions.level(S, w.node[NodeKind.PLANT][plant], float(s.at_goods[plant, p]))
    return target


def _plant_level(w: World, target: int, usual: Array) -> Array:
    """Return a target of the plants for amounts (plants, M)."""
    nodes = w.node[NodeKind.PLANT]
    levels = [[w.decisions.level(target, node, float(u)) for u in row] for node, row in zip(nodes, usual, strict=True)]
    return np.array(levels).reshape(usual.shape)


def _virgin_share(w: World) -> Array:
    """Return each virgin lane's share of its plant's orders, (E, M).

    Second sourcing moves a part to the near lanes, evenly; where imports of a material are banned, they take all.
    """
    lanes = w.layout.lanes[LaneGroup.VIRGIN]
    moved = w.layout.common("second_source.share") * w.decisions.lever("second_source")
    shares = np.repeat(lanes.share[:, None], len(w.layout.facts.materials), axis=1)
    for plant in range(w.layout.plants):
        mine = np.flatnonzero(lanes.receiver == plant)
        near = mine[lanes.overseas[mine] == 0.0]
        if len(near):
            shares[mine] *= 1.0 - moved
            shares[near] += moved / len(near)
        shares[mine] *= 1.0 - lanes.overseas[mine, None] * (1.0 - w.terms.import_legal)
        whole = shares[mine].sum(axis=0)
        shares[mine] /= np.where(whole > 0.0, whole, 1.0)
    return shares


def _recycled_inbound(s: Stocks) -> Array:
    """Return recycled feed under way to plants, (plants, M) kg."""
    return s.streams[LaneGroup.SECONDARY].inbound().sum(axis=2) + s.streams[LaneGroup.EXTERNAL].inbound()


def _on_order(s: Stocks, group: LaneGroup) -> Array | float:
    """Return what is ordered and has not reached the senders yet, by receiver."""
    return s.requests[group].inbound() if group in s.requests else 0.0


def _by(ends: np.ndarray, flow: Array, count: int) -> Array:
    """Add lane flows (E, ...) up at one end, (count, ...)."""
    total = np.zeros((count, flow.shape[1]))
    np.add.at(total, ends, flow)
    return total


def _served(able: Array, wanted: Array) -> Array:
    """Return the share of a request that can be served; 1 where nothing is wanted."""
    return np.where(wanted > able, able / np.where(wanted > 0.0, wanted, 1.0), 1.0)


def _limited(limit: Array, sent: Array) -> Array:
    """Cut lane flows (E, ...) to the lanes' capacity."""
    total = sent.sum(axis=1)
    return sent * np.minimum(1.0, limit / np.where(total > 0.0, total, 1.0))[:, None]
