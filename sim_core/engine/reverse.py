"""Reverse flows: end of life, collection, inspection into grades, reuse, second life, remanufacture."""

from collections.abc import Callable

import numpy as np

from sim_core.engine.period import Array, Period
from sim_core.engine.pipeline import add_up
from sim_core.engine.products import A, B, C, remanufactured, reused
from sim_core.engine.settings import M, U, ratio
from sim_core.engine.situation import inventory_position
from sim_core.engine.worth import book_ended, book_kept, served_units
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR


def take_back(p: Period) -> None:
    """Move units that reach their end of life to collectors, or out of the system where nobody collects them."""
    use, value = p.state.use, p.layout.value
    ended = use.outflow(p.t)
    release = np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * value("hibernation.years")))
    out = use.hibernate(ended, value("hibernation.share"), release)
    buy_back = p.settings.lever("buy_back")
    share = p.terms.collection_share
    share = share + (1.0 - share) * value("collection.buy_back_share") * buy_back
    served = p.layout.lanes[LaneGroup.RETURNS].served[:, None, None, None]
    offered = out * share[:, None] * served
    units, kept = out.sum(axis=(0, 2)), offered.sum(axis=(0, 2))
    p.pay(Account.COLLECTION, kept * value("collection.buy_back_cost") * buy_back)
    p.move(Flow.END_OF_LIFE, p.mass(units))
    book_ended(p, units)
    p.move(Flow.CAN_AGAIN, p.mass((out * p.layout.products.again[:, :, None]).sum(axis=(0, 2))))
    p.left += units - kept
    p.register["ended"], p.register["collected"] = units, kept
    p.note("ended_use", ended)
    p.note("collected", kept)
    p.note("disposed", units - kept)
    p.send_product(LaneGroup.RETURNS, offered)


def consolidate(p: Period) -> None:
    """Ship from collectors to inspection what lies above the keep-up-to level, up to capacity."""
    state, layout = p.state, p.layout
    arrived = p.arrive(LaneGroup.RETURNS)
    if p.terms.collector_returns.any():
        arrived[:, :, 0] += p.terms.collector_returns
        _bring_in(p, p.terms.collector_returns)
    state.collected += arrived
    units = arrived.sum(axis=2)
    p.pay(Account.COLLECTION, units * layout.rates.collection_cost[:, :, None])
    smoothing = layout.value("returns.smoothing")
    state.returns_forecast += smoothing * (units - state.returns_forecast)
    stock = state.collected.sum(axis=2)
    capacity = layout.rates.collection[:, :, None] + p.capacity.added(NodeKind.COLLECTOR, p.t)
    keep = p.settings.level(U, layout.targets[NodeKind.COLLECTOR], state.returns_forecast)
    amount = np.minimum(capacity, p.chosen("collect", np.maximum(0.0, stock - keep)))
    lanes = layout.lanes[LaneGroup.CORES]
    if lanes.limited:
        room = np.full(amount.shape[0], np.inf)
        np.minimum.at(room, lanes.sender, lanes.limit / np.where(lanes.share > 0.0, lanes.share, 1.0))
        amount = amount * ratio(np.broadcast_to(room[:, None, None], amount.shape), amount.sum(axis=1, keepdims=True))
    shipped = p.draw(state.collected, amount)
    p.took("collect", shipped)
    p.send_product(LaneGroup.CORES, shipped)


def _bring_in(p: Period, units: Array) -> None:
    """Count exogenous returns (n, P, B) as product that enters the system."""
    p.bring_in(units.sum(axis=0))
    p.register["collected"] = p.register["collected"] + units.sum(axis=0)


def inspect(p: Period) -> None:
    """Grade what waits, up to capacity, and send each grade on its way."""
    state, layout, value = p.state, p.layout, p.layout.value
    state.queue += p.arrive(LaneGroup.CORES)
    capacity = np.broadcast_to(layout.rates.inspection[:, :, None], state.queue.sum(axis=2).shape)
    inspected = p.draw(state.queue, np.minimum(capacity, p.chosen("inspect", capacity)))
    p.took("inspect", inspected)
    premium = p.settings.lever("premium_inspection")
    cost = layout.rates.inspection_cost[:, :, None] + value("inspection.premium_cost") * premium
    p.pay(Account.COLLECTION, inspected.sum(axis=2) * cost)
    share = layout.products.grade_share[:, :, :, None]
    moved = value("inspection.premium_shift")[:, :, None] * premium * share[:, C]
    again = layout.products.again[:, :, None]
    as_is = _as_is(p, inspected * share[:, A] * again)
    fit = inspected * (share[:, A] + share[:, B] + moved) * again - as_is
    taken = _repurpose(p, (inspected * (share[:, C] - moved)).sum(axis=2))
    reusable = _reuse(p, as_is)
    rest = inspected.sum(axis=2) - reusable - fit.sum(axis=2) * _reman_served(p) - taken
    p.send_product(LaneGroup.REMAN_FEED, fit * _reman_served(p)[:, :, None])
    p.send_product(LaneGroup.RECYCLE_FEED, np.maximum(0.0, rest))


def _offered(p: Period) -> Array:
    """Return the share of what is fit for it that inspection offers for reuse and to second life, (I, 1, B)."""
    return p.settings.share(NodeKind.INSPECTION, M)[:, None]


def _as_is(p: Period, fit: Array) -> Array:
    """Return the units that are taken for reuse as they are, of those that are fit for it, (I, P, C, B)."""
    fit = fit * p.layout.lanes[LaneGroup.REUSE].served[:, None, None, None]
    flow = p.settings.flow("reuse")
    units = fit * (_offered(p) if flow is None else ratio(flow, fit.sum(axis=2)))[:, :, None]
    p.took("reuse", units)
    return units


def _reman_served(p: Period) -> Array:
    return p.layout.lanes[LaneGroup.REMAN_FEED].served[:, None, None]


def _reuse(p: Period, units: Array) -> Array:
    """Send units fit for reuse as they are back to goods points; return what was reused, (I, P, B)."""
    value = p.layout.value
    p.pay(Account.REMANUFACTURE, units.sum(axis=2) * value("reuse.cost"))
    good = _promote(units * value("reuse.yield")[:, :, None], reused)
    p.send_product(LaneGroup.REUSE, good)
    total = good.sum(axis=(0, 2))
    _count_reuse(p, total)
    p.move(Flow.REUSED, p.mass(total))
    book_kept(p, served_units(p, good))
    p.emit(total * value("carbon.reuse"))
    p.note("reused", total)
    return good.sum(axis=2)


def _count_reuse(p: Period, units: Array) -> None:
    """Book units (P, B) that got another life: the flow, the register and the subsidy."""
    p.move(Flow.TO_REUSE, p.mass(units))
    p.register["reused"] = p.register["reused"] + units
    p.pay(Account.SUBSIDY, -units * p.terms.subsidy_reuse)


def _promote(units: Array, to: Callable[[int], int]) -> Array:
    """Return units (n, P, C, B) in the class that follows theirs."""
    after = np.zeros_like(units)
    for c in range(units.shape[2]):
        target = to(c)
        if target < units.shape[2]:
            after[:, :, target] += units[:, :, c]
    return after


def _repurpose(p: Period, fit: Array) -> Array:
    """Offer grade C to the second-life markets, which take up to their demand; return what they took, (I, P, B)."""
    state, value, lanes = p.state, p.layout.value, p.layout.lanes[LaneGroup.REPURPOSE]
    flow = p.settings.flow("repurpose")
    if flow is None:
        asked = p.spread(LaneGroup.REPURPOSE, fit * _offered(p))
    else:
        asked = p.within(LaneGroup.REPURPOSE, flow, fit)
    room = p.layout.rates.second_life[:, :, None]
    served = ratio(room, add_up(lanes.to_receiver, asked))
    given = asked * served[lanes.receiver]
    p.took("repurpose", given)
    leaving = state.second_life * np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * value("second_life.years")))
    returns = p.layout.lanes[LaneGroup.SECOND_LIFE_RETURNS]
    back = leaving * value("second_life.collection") * returns.served[:, None, None]
    state.second_life += add_up(lanes.to_receiver, given) - leaving
    p.left += (leaving - back).sum(axis=0)
    p.note("disposed", leaving - back)
    p.move(Flow.END_OF_LIFE, p.mass(leaving))
    book_ended(p, leaving)
    p.ship(LaneGroup.REPURPOSE, given)
    p.send_product(LaneGroup.SECOND_LIFE_RETURNS, back)
    total = given.sum(axis=0)
    p.pay(Account.SECOND_LIFE, total * (value("second_life.cost") - value("second_life.price")))
    displaced = total * value("second_life.displacement")
    p.move(Flow.DISPLACED, displaced * _new_unit_carbon(p))
    book_kept(p, displaced)
    _count_reuse(p, total)
    p.note("second_life", total)
    return add_up(lanes.to_sender, given)


def _new_unit_carbon(p: Period) -> Array:
    """Return the cradle-to-gate carbon of a new unit from virgin material, kgCO2e, (P, 1)."""
    products = p.layout.products
    return (products.bom * p.layout.facts.embedded).sum(axis=1)[:, None] + p.layout.value("carbon.production")


def remanufacture(p: Period) -> None:
    """Remanufacture up to M at the goods points served, keep cores up to U, pass the rest to recyclers."""
    state, layout = p.state, p.layout
    state.cores += p.arrive(LaneGroup.REMAN_FEED)
    if p.terms.remanufacturer_returns.any():
        state.cores[:, :, 0] += p.terms.remanufacturer_returns
        _bring_in(p, p.terms.remanufacturer_returns)
    stock = state.cores.sum(axis=2)
    excess = np.maximum(0.0, stock - layout.rates.storage[:, :, None])
    if excess.any():
        p.draw(state.cores, excess)
        stock = stock - excess
    capacity = layout.rates.reman[:, :, None] + p.capacity.added(NodeKind.REMANUFACTURER, p.t)
    capacity = capacity * p.terms.remanufacturer_available[:, None]
    gap, position = _serviceable_gap(p)
    used = p.draw(state.cores, np.minimum(np.minimum(p.chosen("remanufacture", gap), capacity), stock))
    p.took("remanufacture", used)
    easy = state.use.easy_share[None, :, None] * layout.value("disassembly.reman_gain")[:, :, None]
    gain = np.minimum(1.0, layout.value("reman.yield")[:, :, None] * (1.0 + easy))
    made = _promote(used * gain * layout.products.again[:, :, None], remanufactured)
    processed, good = used.sum(axis=2), made.sum(axis=2)
    stock = state.cores.sum(axis=2)
    kept = p.settings.level(U, layout.targets[NodeKind.REMANUFACTURER], capacity)
    kept = np.where(layout.rates.total_u[:, None, None] > 0.0, kept - position - good, kept)
    surplus = np.minimum(stock, p.chosen("reman_surplus", np.maximum(0.0, stock - kept)))
    p.draw(state.cores, surplus)
    p.took("reman_surplus", surplus)
    p.send_product(LaneGroup.REMAN_GOODS, made)
    p.send_product(LaneGroup.REJECTS, np.maximum(0.0, processed - good) + surplus + excess)
    total = good.sum(axis=0)
    p.pay(Account.REMANUFACTURE, processed * layout.rates.reman_cost[:, :, None])
    _count_reuse(p, total)
    p.move(Flow.REUSED, p.mass(total))
    book_kept(p, served_units(p, made))
    p.emit(processed.sum(axis=0) * layout.value("carbon.reman"))
    p.note("remanufactured", total)


def _serviceable_gap(p: Period) -> tuple[Array, Array]:
    """Return by how much each remanufacturer would fill its goods points up to M, and their position, (R, P, B).

    M counts the forecast demand from now to the arrival of what is sent now: lead time + 1 periods.
    """
    layout, lanes = p.layout, p.layout.lanes[LaneGroup.REMAN_GOODS]
    position = goods_position(p)[lanes.receiver]
    into = lanes.to_receiver @ lanes.share
    part = (lanes.share / np.where(into > 0.0, into, 1.0)[lanes.receiver])[:, None, None]
    usual = p.state.at_goods[lanes.receiver] * (lanes.lead + 1.0)[:, None, None]
    nodes = layout.targets[NodeKind.REMANUFACTURER][lanes.sender]
    gap = np.maximum(0.0, p.settings.level(M, nodes, usual) - position)
    return p.wanted_from(LaneGroup.REMAN_GOODS, part * gap), p.wanted_from(LaneGroup.REMAN_GOODS, part * position)


def goods_position(p: Period) -> Array:
    """Return each goods point's inventory position, (G, P, B); see sim_core.engine.situation.inventory_position."""
    return inventory_position(p.layout, p.state)
