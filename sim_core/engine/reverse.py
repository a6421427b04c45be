"""Reverse flows: end of life, collection, inspection into grades, remanufacture, second life, recycling, disposal."""

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import GRADES, LINES, LIVES, ROUTE_LINE, ROUTES
from sim_core.engine.period import Period
from sim_core.engine.settings import M, U, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR

_SMOOTHING = 0.15  # of the forecast of returns, per month


def take_back(p: Period) -> None:
    """Move units that reach their end of life to collectors, or out of the system where nobody collects them."""
    out = p.state.use.outflow(p.t)
    value, buy_back = p.layout.value, p.settings.lever("buy_back")
    share = p.terms.collection_share
    share = share + (1.0 - share) * value("collection.buy_back_share") * buy_back
    offered = out * share
    kwh = offered.sum(axis=(0, 1))
    p.ledger.pay(Account.COLLECTION, kwh * (value("collection.cost") + value("collection.buy_back_cost") * buy_back))
    p.ledger.move(Flow.END_OF_LIFE, out.sum(axis=(0, 1)) * p.layout.mass)
    p.left += out.sum(axis=(0, 1)) - kwh
    p.send_product(LaneGroup.RETURNS, offered)


def consolidate(p: Period) -> None:
    """Ship from collectors to inspection what lies above the keep-up-to level, up to capacity."""
    state, layout = p.state, p.layout
    arrived = p.arrive(LaneGroup.RETURNS)
    state.collected += arrived
    state.returns_forecast += _SMOOTHING * (arrived.sum(axis=1) - state.returns_forecast)
    stock = state.collected.sum(axis=1)
    capacity = layout.value("collection.capacity") + p.capacity.added(NodeKind.COLLECTOR, p.t)
    keep = p.settings.cover(NodeKind.COLLECTOR, U) * state.returns_forecast
    shipped = state.collected * ratio(np.minimum(capacity, np.maximum(0.0, stock - keep)), stock)[:, None]
    state.collected -= shipped
    p.send_product(LaneGroup.CORES, shipped)


def inspect(p: Period) -> None:
    """Grade what waits, up to capacity, and send each grade on its way."""
    state, value = p.state, p.layout.value
    state.queue += p.arrive(LaneGroup.CORES)
    waiting = state.queue.sum(axis=1)
    inspected = state.queue * ratio(np.full_like(waiting, value("inspection.capacity")), waiting)[:, None]
    state.queue -= inspected
    premium = p.settings.lever("premium_inspection")
    cost = value("inspection.cost") + value("inspection.premium_cost") * premium
    p.ledger.pay(Account.COLLECTION, inspected.sum(axis=(0, 1)) * cost)
    share = p.layout.grade_share
    moved = value("inspection.premium_shift") * premium * share[GRADES.index("b")][:, None]
    fit = inspected * (share[GRADES.index("a")][:, None] + moved)
    reusable = (inspected * (share[GRADES.index("b")][:, None] - moved)).sum(axis=1)
    p.send_product(LaneGroup.REMAN_FEED, fit)
    rest = inspected.sum(axis=1) - fit.sum(axis=1) - _repurpose(p, reusable)
    p.send_product(LaneGroup.RECYCLE_FEED, np.maximum(0.0, rest))


def _repurpose(p: Period, offered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offer M of grade b to the second-life market, which takes up to its demand; return what it took, (I, B)."""
    state, value = p.state, p.layout.value
    demand = np.full(offered.shape[-1], value("second_life.demand"))
    offered = offered * p.settings.share(NodeKind.INSPECTION, M)
    taken = offered * ratio(demand, offered.sum(axis=0))
    leaving = state.second_life / (MONTHS_PER_YEAR * value("second_life.years"))
    back = leaving * value("second_life.collection")
    state.second_life += taken.sum(axis=0) - leaving
    p.left += (leaving - back).sum(axis=0)
    p.ledger.move(Flow.END_OF_LIFE, leaving.sum(axis=0) * p.layout.mass)
    p.ship(LaneGroup.REPURPOSE, p.spread(LaneGroup.REPURPOSE, taken) * p.layout.mass)
    p.send_product(LaneGroup.SECOND_LIFE_RETURNS, back)
    p.ledger.pay(Account.SECOND_LIFE, taken.sum(axis=0) * (value("second_life.cost") - value("second_life.price")))
    p.ledger.move(Flow.TO_REUSE, taken.sum(axis=0) * p.layout.mass)
    return taken


def remanufacture(p: Period) -> None:
    """Remanufacture up to M at the warehouses served, keep cores up to U, pass the rest to recyclers."""
    state, layout = p.state, p.layout
    state.cores += p.arrive(LaneGroup.REMAN_FEED)
    spent = state.cores[:, LIVES - 1].copy()  # no unit is remanufactured after its last life
    state.cores[:, LIVES - 1] = 0.0
    stock = state.cores.sum(axis=1)
    capacity = layout.value("reman.capacity") + p.capacity.added(NodeKind.REMANUFACTURER, p.t)
    wanted = np.minimum(np.minimum(_serviceable_gap(p), capacity), stock)
    used = state.cores * ratio(wanted, stock)[:, None]
    state.cores -= used
    made = np.zeros_like(used)
    made[:, 1:] = used[:, : LIVES - 1] * layout.value("reman.yield")
    kept = p.settings.cover(NodeKind.REMANUFACTURER, U) * capacity
    stock = state.cores.sum(axis=1)
    surplus = state.cores * ratio(np.maximum(0.0, stock - kept), stock)[:, None]
    state.cores -= surplus
    p.send_product(LaneGroup.REMAN_GOODS, made)
    p.send_product(LaneGroup.REJECTS, (used - made + surplus).sum(axis=1) + spent)
    processed = used.sum(axis=(0, 1))
    p.ledger.pay(Account.REMANUFACTURE, processed * layout.value("reman.cost"))
    reused = made.sum(axis=(0, 1)) * layout.mass
    p.ledger.move(Flow.TO_REUSE, reused)
    p.ledger.move(Flow.REUSED, reused)
    p.emit(processed * layout.value("carbon.reman"))


def _serviceable_gap(p: Period) -> NDArray[np.float64]:
    """Return by how much each remanufacturer would fill its share of the warehouses up to M: (R, B) kWh."""
    lanes = p.layout.lanes[LaneGroup.REMAN_GOODS]
    position = serviceable_position(p) - p.state.at_warehouse  # as it will be after this month's sales
    portion = lanes.share / (lanes.to_receiver @ lanes.share)[lanes.receiver]
    cover = p.settings.cover(NodeKind.REMANUFACTURER, M)[lanes.sender]
    target = cover * p.state.at_warehouse[lanes.receiver] * (lanes.lead + 1.0)[:, None]
    return p.wanted_from(LaneGroup.REMAN_GOODS, portion[:, None] * np.maximum(0.0, target - position[lanes.receiver]))


def serviceable_position(p: Period) -> NDArray[np.float64]:
    """Return each warehouse's goods on hand and inbound, new and remanufactured: (W, B) kWh."""
    pipes = p.state.pipes
    inbound = pipes[LaneGroup.GOODS].inbound() + pipes[LaneGroup.REMAN_GOODS].inbound().sum(axis=1)
    return p.state.goods.sum(axis=1) + inbound


def recycle(p: Period) -> None:
    """Feed the legal routes up to M of capacity, keep feed up to U, landfill the rest."""
    state, layout = p.state, p.layout
    feed = state.recycler_feed
    feed[:, 0] += (
        p.arrive(LaneGroup.RECYCLE_FEED) + p.arrive(LaneGroup.REJECTS) + p.arrive(LaneGroup.SECOND_LIFE_RETURNS)
    )
    feed[:, 1] += p.arrive(LaneGroup.SCRAP)
    stock = feed.sum(axis=1)
    lines = np.repeat(layout.line_capacity[:, :, None], stock.shape[-1], axis=2)
    lines[LINES.index("wet")] += p.capacity.added(NodeKind.RECYCLER, p.t)
    lines *= p.terms.recycler_available
    usable = lines * p.settings.share(NodeKind.RECYCLER, M)
    order = range(len(ROUTES))
    choice = p.settings.lever("alternative_route")
    routed = (1.0 - choice) * route(stock, usable, p.terms.route_legal, order)
    routed += choice * route(stock, usable, p.terms.route_legal, order[::-1])
    processed = routed.sum(axis=0)
    origin = feed * (1.0 / np.where(stock > 0.0, stock, 1.0))[:, None]
    per_kwh = layout.bom * layout.recovery
    won = (routed[:, :, None] * per_kwh[:, None, :, None]).sum(axis=0)
    secondary = won[:, :, None] * origin[:, None]
    feed -= processed[:, None] * origin
    flow = p.spread(LaneGroup.SECONDARY, secondary)
    state.pipes[LaneGroup.SECONDARY].send(p.t, flow)
    p.ship(LaneGroup.SECONDARY, flow.sum(axis=(1, 2)))
    _book_recycling(p, routed, origin, won)
    p.left += processed.sum(axis=0)
    p.recovered += won.sum(axis=0)
    _dispose(p, lines.sum(axis=0))


def route(
    stock: NDArray[np.float64], usable: NDArray[np.float64], legal: NDArray[np.float64], order: range
) -> NDArray[np.float64]:
    """Return the feed of each route, (Q, Y, B) kWh: routes take in order what is left of feed and of their line."""
    left, free = stock, list(usable)
    flows: list[NDArray[np.float64]] = [stock] * len(ROUTES)
    for number in order:
        line = ROUTE_LINE[number]
        flows[number] = np.minimum(left, free[line] * legal[number])
        left = left - flows[number]
        free[line] = free[line] - flows[number]
    return np.stack(flows)


def _book_recycling(
    p: Period, routed: NDArray[np.float64], origin: NDArray[np.float64], won: NDArray[np.float64]
) -> None:
    layout = p.layout
    by_route = routed.sum(axis=1)
    p.ledger.pay(Account.RECYCLING, (by_route * layout.route_cost[:, None]).sum(axis=0))
    p.emit((by_route * layout.route_carbon[:, None]).sum(axis=0))
    processed = routed.sum(axis=0)
    p.ledger.move(Flow.TO_RECYCLING, (processed * origin[:, 0]).sum(axis=0) * layout.mass)
    p.ledger.move(Flow.RECOVERED, (won.sum(axis=1) * origin[:, 0]).sum(axis=0))


def _dispose(p: Period, capacity: NDArray[np.float64]) -> None:
    """Landfill the feed above the keep-up-to level, measured in months of capacity (Y, B)."""
    feed = p.state.recycler_feed
    stock = feed.sum(axis=1)
    kept = p.settings.cover(NodeKind.RECYCLER, U) * capacity
    dumped = feed * ratio(np.maximum(0.0, stock - kept), stock)[:, None]
    feed -= dumped
    amount = dumped.sum(axis=1)
    mass = amount * p.layout.mass
    p.ship(LaneGroup.DISPOSAL, p.spread(LaneGroup.DISPOSAL, mass))
    p.ledger.pay(Account.DISPOSAL, mass.sum(axis=0) * p.layout.value("disposal.cost"))
    p.emit(mass.sum(axis=0) * p.layout.value("disposal.carbon"))
    p.left += amount.sum(axis=0)
