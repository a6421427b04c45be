"""Goods: what goods points hold, sell, pass on and buy in, as columns and rows."""

import numpy as np

from sim_core.bound.levers import has
from sim_core.bound.model import Model, add_to
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.network import GOODS_POINTS, LaneGroup, NodeKind

_BY_LANE = {LaneGroup.GOODS: "goods", LaneGroup.LATERAL: "transfer"}  # what flows call them


def sell(model: Model) -> Sum:
    """Choose what each lane sells of each life; return what markets get, (T, K, P, L) units."""
    layout, program, outlook = model.layout, model.program, model.outlook
    lanes, health = layout.lanes[LaneGroup.SALES], model.lives.health
    legal = np.where(outlook.term("sale_legal") > 0.0, np.inf, 0.0)[:, None, :, None]
    sold = program.columns(
        model.periods, lanes.count, model.products, model.lives.count, upper=legal, implied=_most_sold(model, health)
    )
    model.columns["sell"] = sold
    total = model.sum_of(sold)
    model.freight(LaneGroup.SALES, total)
    if lanes.limited:
        served = Sum(model.periods, lanes.count)
        served.add(served.at[..., None, None], sold, health)
        program.limit(served, lanes.limit)
    fee = outlook.term("epr_fee") + outlook.term("traceability")
    model.price(sold[..., 0], fee[:, None])
    model.count("placed", model.sum_of(sold[..., 0]))
    model.count("placed_again", model.sum_of(sold[..., 1:]))
    model.count("marketed", total)
    _serve(model, sold, health)
    at_market = Sum(model.periods, layout.count[NodeKind.MARKET], model.products, model.lives.count)
    add_to(at_market, at_market.at[:, lanes.receiver], total)
    return at_market


def _most_sold(model: Model, health: Array) -> Array:
    """Return what a lane can sell of each life at most, (T, E, P, L): the market's demand, with all that may wait."""
    outlook, waits = model.outlook, model.layout.rates.backlog[:, None] > 0.0
    demand = outlook.term("demand")
    owed = np.where(waits, np.cumsum(demand, axis=0), demand) + outlook.start(outlook.state.backlog)
    at_lane = owed[:, model.layout.lanes[LaneGroup.SALES].receiver]
    some = np.broadcast_to(health > 0.0, (*at_lane.shape, model.lives.count))
    return np.divide(at_lane[..., None], health, out=np.full(some.shape, np.inf), where=some)


def _serve(model: Model, sold: Index, health: Array) -> None:
    """Demand and backlog are served, wait or are lost; what is short is charged."""
    layout, program, outlook = model.layout, model.program, model.outlook
    lanes, demand = layout.lanes[LaneGroup.SALES], outlook.term("demand")  # (T, K, P)
    short = program.columns(*demand.shape)
    rows = program.rows(*demand.shape)
    waits = layout.rates.backlog[:, None]
    program.put(rows, short, -1.0)
    program.put_constant(rows, demand)
    program.put_constant(rows[0], outlook.start(outlook.state.backlog))
    program.put(rows[1:], short[:-1], waits)
    program.put(rows[:, lanes.receiver][..., None], sold, -health)
    price = outlook.term("product_price")[:, None] + layout.value("product.goodwill")[:, 0]
    own = layout.rates.shortage[:, None]
    model.price(short, np.where(np.isnan(own), price, own))
    scored = outlook.scored[:, None, None] * (1.0 - waits)
    model.lost.add(model.lost.at[:, None, None], short, np.broadcast_to(scored, demand.shape))


def move(model: Model, made: Index | None) -> None:
    """Keep the stock of goods points: what is made, arrives, is sold, passed on, moved sideways and bought in."""
    layout, program, outlook = model.layout, model.program, model.outlook
    plants, points = layout.plants, len(layout.goods)
    shape = (model.periods, points, model.products, model.lives.count)
    stock, rows = program.columns(*shape), program.rows(*shape)
    _pass_on(model, rows)
    _transfer(model, rows)
    _buy(model)
    start = outlook.units(outlook.state.goods)
    program.put(rows, stock, -1.0)
    program.put(rows[1:], stock[:-1], 1.0)
    program.put_constant(rows[0], start)
    if made is not None:
        program.put(rows[:, :plants, :, 0], made, 1.0)
    sales = layout.lanes[LaneGroup.SALES]
    program.put(rows[:, sales.sender], model.columns["sell"], -1.0)
    for group in (LaneGroup.REMAN_GOODS, LaneGroup.REUSE):
        program.put_sum(rows, model.arrive(group))
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL):
        program.put_sum(rows[:, plants:], model.arrive(group))
    value = outlook.goods_value[:, None, :, None]
    model.keep(stock, value)
    program.constant += float((outlook.opening_factor(value) * start).sum())
    rate = np.concatenate([layout.rates.holding[kind] for kind in GOODS_POINTS])
    if rate.any():
        model.price(stock, rate[None, :, None, None])


def _pass_on(model: Model, rows: Index) -> None:
    lanes = model.layout.lanes[LaneGroup.GOODS]
    if lanes.count:
        most = np.where(model.outlook.term("goods_open") > 0.0, np.inf, 0.0)[..., None, None]
        _by_lane(model, LaneGroup.GOODS, most, rows[:, lanes.sender])


def _transfer(model: Model, rows: Index) -> None:
    lanes = model.layout.lanes[LaneGroup.LATERAL]
    if lanes.count:
        most = np.inf if has(model, "lateral_transfer") else 0.0
        flow = _by_lane(model, LaneGroup.LATERAL, most, rows[:, lanes.sender + model.layout.plants])
        model.price(flow, model.layout.value("lateral.cost")[:, 0][None, None, :, None])


def _by_lane(model: Model, group: LaneGroup, most: Array | float, senders: Index) -> Index:
    """Choose what lanes carry, (T, E, P, L), within their capacity. senders: rows of their senders' stocks."""
    program, lanes = model.program, model.layout.lanes[group]
    flow = program.columns(model.periods, lanes.count, model.products, model.lives.count, upper=most)
    model.columns[_BY_LANE[group]] = flow
    total = model.sum_of(flow)
    if lanes.limited:
        by_lane = Sum(model.periods, lanes.count)
        by_lane.add(by_lane.at[..., None, None], flow, 1.0)
        program.limit(by_lane, lanes.limit)
    model.send_by_lane(group, total)
    program.put(senders, flow, -1.0)
    return flow


def _buy(model: Model) -> None:
    """Buy goods in from outside; each tier of warehouses may ask a supplier for all that it has."""
    layout, program, outlook = model.layout, model.program, model.outlook
    lanes, rates = layout.lanes[LaneGroup.PURCHASE], layout.rates
    if not lanes.count:
        return
    overseas = lanes.overseas[:, None]
    barred = overseas * (1.0 - outlook.term("import_goods_legal"))[:, None]
    most = np.where(barred > 0.0, 0.0, np.inf)
    most = np.broadcast_to(most[..., None], (*most.shape, model.lives.count)).copy()
    most[..., 1:] = 0.0
    bought = program.columns(*most.shape, upper=most)
    model.columns["purchase"] = bought
    total = model.sum_of(bought)
    at_supplier = Sum(model.periods, layout.count[NodeKind.SUPPLIER], model.products)
    at_supplier.add(at_supplier.at[:, lanes.sender][..., None], bought, 1.0)
    tiers = 1 + int(layout.level.max(initial=0))
    if tiers > 1:
        model.relaxed.add("supplier_tiers")
    program.limit(at_supplier, tiers * rates.goods_supplier * outlook.term("supplier_available")[..., None])
    if lanes.limited:
        by_lane = Sum(model.periods, lanes.count)
        by_lane.add(by_lane.at[..., None, None], bought, 1.0)
        program.limit(by_lane, tiers * lanes.limit)
    price = rates.goods_price[lanes.sender] * (1.0 + overseas * outlook.term("tariff_goods")[:, None])
    model.price(bought, price[..., None])
    model.send_by_lane(LaneGroup.PURCHASE, total)
