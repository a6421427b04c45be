"""Collection, inspection into grades, reuse, second life and remanufacture, as columns and rows."""

import numpy as np

from sim_core.bound import levers
from sim_core.bound.levers import has
from sim_core.bound.model import Model, add_to
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.engine.products import A, B, C
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR


def consolidate(model: Model) -> None:
    """Collectors keep or ship to inspection what arrives, up to capacity."""
    layout, outlook = model.layout, model.outlook
    arrived = model.arrive(LaneGroup.RETURNS)
    arrived.constant[:, :, :, 0] += outlook.term("collector_returns")
    model.pay(arrived, layout.rates.collection_cost[None, :, :, None])
    shipped = model.program.columns(*arrived.at.shape)
    stock(model, arrived, [shipped], outlook.state.collected, NodeKind.COLLECTOR)
    total = model.sum_of(shipped)
    by_product = _over_lives(total)
    _within(model, by_product, NodeKind.COLLECTOR, layout.rates.collection[None])
    lanes = layout.lanes[LaneGroup.CORES]
    if lanes.limited:
        room = np.full(arrived.at.shape[1], np.inf)
        np.minimum.at(room, lanes.sender, lanes.limit / np.where(lanes.share > 0.0, lanes.share, 1.0))
        of_all = Sum(*by_product.at.shape[:2])
        add_to(of_all, np.broadcast_to(of_all.at[..., None], by_product.at.shape), by_product)
        model.program.limit(of_all, room)
    model.columns["collect"] = shipped
    model.send(LaneGroup.CORES, total)


def inspect(model: Model) -> None:
    """Grade what waits, up to capacity; grades go on their way, a share of A and of C as chosen."""
    layout, value, program = model.layout, model.layout.value, model.program
    arrived = model.arrive(LaneGroup.CORES)
    inspected = program.columns(*arrived.at.shape)
    stock(model, arrived, [inspected], model.outlook.state.queue, NodeKind.INSPECTION)
    total = model.sum_of(inspected)
    program.limit(_over_lives(total), layout.rates.inspection[None])
    model.pay(total, layout.rates.inspection_cost[None, :, :, None])
    model.columns["inspect"] = inspected
    again = model.lives.again
    premium = _premium(model, inspected)  # the lever x inspected
    as_is = _reuse(model, inspected, model.lives.graded(A)[1] * again)
    rest = Sum(*arrived.at.shape[:3])  # (T, I, P) to recyclers
    _gather(rest, total, 1.0)
    _gather(rest, as_is, -value("reuse.yield"))
    shift = value("inspection.premium_shift") * np.stack(model.lives.graded(C))  # least and most, (2, P, L)
    fit = _fit(model, inspected, premium, shift)
    add_to(fit, fit.at, as_is, -1.0)
    served = layout.lanes[LaneGroup.REMAN_FEED].served
    to_reman = Sum(*arrived.at.shape)
    add_to(to_reman, to_reman.at, fit, served[:, None, None])
    _gather(rest, to_reman, -1.0)
    _repurpose(model, inspected, premium, shift[0], rest)
    # What goes to recyclers can't be less than nothing; nor is more taken for reuse than is fit for it.
    left = program.columns(*rest.at.shape)
    rows = program.rows(*rest.at.shape)
    program.put(rows, left, -1.0)
    program.put_sum(rows, rest)
    if layout.lanes[LaneGroup.REMAN_FEED].count:
        model.send(LaneGroup.REMAN_FEED, to_reman)
    model.send(LaneGroup.RECYCLE_FEED, model.sum_of(left))


def _fit(model: Model, inspected: Index, premium: Index | None, shift: Array) -> Sum:
    """Return the units of grades A and B that may be sold once more, (T, I, P, L): between what the classes of a life
    give. shift: (2, P, L) what premium inspection adds.
    """
    again, share = model.lives.again, np.stack(model.lives.graded(A, B))
    fit = model.sum_of(inspected, share[1] * again)
    if premium is not None:
        fit.add(fit.at, premium, shift[1] * again)
    unsure = np.flatnonzero(((share[1] - share[0]) * again).any(axis=0))
    if unsure.size:
        less = model.program.columns(*inspected.shape[:3], unsure.size)
        fit.add(fit.at[..., unsure], less, -1.0)
        rows = model.program.rows(*less.shape, lower=-np.inf)
        model.program.put(rows, less, 1.0)
        for columns, apart in ((inspected, share[1] - share[0]), (premium, shift[1] - shift[0])):
            if columns is not None:
                model.program.put(rows, columns[..., unsure], -(apart * again)[:, unsure])
    return fit


def _premium(model: Model, inspected: Index) -> Index | None:
    rate = model.layout.value("inspection.premium_shift")
    if not has(model, "premium_inspection") or not rate.any():
        return None
    lever = _part_of(model, inspected, np.ones(1))
    model.price(lever, model.layout.value("inspection.premium_cost")[:, 0][None, None, :, None])
    model.columns["premium_inspection"] = lever
    model.relaxed.add("premium_inspection")
    return lever


def _part_of(model: Model, whole: Index, share: Array) -> Index:
    """Return columns of at most a share of others."""
    part = model.program.columns(*whole.shape)
    rows = model.program.rows(*whole.shape, lower=-np.inf)
    model.program.put(rows, part, 1.0)
    model.program.put(rows, whole, -share)
    return part


def _reuse(model: Model, inspected: Index, fit: Array) -> Sum:
    """Choose what of grade A is reused as it is, (T, I, P, L), before its yield, and send the good ones back."""
    layout, value = model.layout, model.layout.value
    lanes = layout.lanes[LaneGroup.REUSE]
    if not lanes.count:
        return Sum(*inspected.shape)
    chosen = _part_of(model, inspected, fit * lanes.served[:, None, None])
    model.columns["reuse"] = chosen
    model.price(chosen, value("reuse.cost")[:, 0][None, None, :, None])
    good = _promote(model, chosen, value("reuse.yield"))
    _again(model, good, "carbon.reuse")
    model.send(LaneGroup.REUSE, good)
    return model.sum_of(chosen)


def _promote(model: Model, units: Index, rate: Array) -> Sum:
    """Return rate (P, 1) x units (T, n, P, L) in the life that follows theirs."""
    good = Sum(*units.shape)
    good.add(good.at[..., 1:], units[..., :-1], (model.lives.again * rate)[:, :-1])
    return good


def _again(model: Model, units: Sum, carbon: str) -> None:
    """Book units (T, n, P, L) that got another life: the register, the subsidy, emissions."""
    model.count("reused", units)
    model.pay(units, -model.outlook.term("subsidy_reuse")[:, None, :, None])
    model.emit(units, model.layout.value(carbon)[:, 0][None, None, :, None])


def _repurpose(model: Model, inspected: Index, premium: Index | None, shift: Array, rest: Sum) -> None:
    """Choose what of grade C goes to second-life markets, up to their demand, and what comes back from there."""
    layout, value, program = model.layout, model.layout.value, model.program
    lanes = layout.lanes[LaneGroup.REPURPOSE]
    markets = layout.count[NodeKind.SECOND_LIFE]
    if not markets:
        return
    room = layout.rates.second_life  # (n, P)
    given = program.columns(model.periods, lanes.count, model.products, implied=room[lanes.receiver])
    model.columns["repurpose"] = given
    total = model.sum_of(given)
    fit = program.rows(model.periods, layout.count[NodeKind.INSPECTION], model.products, lower=-np.inf)
    program.put(fit[:, lanes.sender], given, 1.0)
    program.put(fit[..., None], inspected, -model.lives.graded(C)[1])
    if premium is not None:
        program.put(fit[..., None], premium, shift)
    rest.add(rest.at[:, lanes.sender], given, -1.0)
    within = program.rows(model.periods, markets, model.products, lower=-np.inf, upper=room[None])
    program.put(within[:, lanes.receiver], given, 1.0)
    model.freight(LaneGroup.REPURPOSE, total)
    model.pay(total, (value("second_life.cost") - value("second_life.price"))[:, 0])
    model.pay(total, -model.outlook.term("subsidy_reuse")[:, None])
    model.count("reused", total)
    leaves = np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * value("second_life.years")))[:, 0]
    in_use, leaving = program.columns(*within.shape), program.columns(*within.shape)
    rows, flow = program.rows(*within.shape), program.rows(*within.shape)
    start = model.outlook.start(model.outlook.state.second_life)
    program.put(rows, in_use, -1.0)
    program.put(rows, leaving, -1.0)
    program.put(rows[:, lanes.receiver], given, 1.0)
    program.put(rows[1:], in_use[:-1], 1.0)
    program.put_constant(rows[0], start)
    program.put(flow, leaving, -1.0)
    program.put(flow[1:], in_use[:-1], leaves)
    program.put_constant(flow[0], leaves * start)
    returns = layout.lanes[LaneGroup.SECOND_LIFE_RETURNS]
    back = value("second_life.collection")[:, 0] * returns.served[:, None]
    if returns.count:
        model.send(LaneGroup.SECOND_LIFE_RETURNS, model.sum_of(leaving, back))


def remanufacture(model: Model) -> None:
    """Choose how many cores are used, kept and passed to recyclers; what is made goes to goods points."""
    layout, value, program, outlook = model.layout, model.layout.value, model.program, model.outlook
    arrived = model.arrive(LaneGroup.REMAN_FEED)
    arrived.constant[:, :, :, 0] += outlook.term("remanufacturer_returns")
    used, passed = program.columns(*arrived.at.shape), program.columns(*arrived.at.shape)
    cores = stock(model, arrived, [used, passed], outlook.state.cores, NodeKind.REMANUFACTURER)
    model.columns |= {"remanufacture": used, "reman_surplus": passed, "cores": cores}
    total = model.sum_of(used)
    share = outlook.term("remanufacturer_available")[..., None]
    _within(model, _over_lives(total), NodeKind.REMANUFACTURER, layout.rates.reman[None], share)
    held = _over_lives(total)  # what is used was there, within storage, beside what stays
    _gather(held, model.sum_of(cores), 1.0)
    program.limit(held, layout.rates.storage[None])
    rate = value("reman.yield")
    made = _promote(model, used, np.minimum(1.0, rate))
    bonus = _easier(model, used)
    if bonus is not None:
        add_to(made, made.at, _promote(model, bonus, np.ones_like(rate)))
    rejects = Sum(*arrived.at.shape[:3])
    _gather(rejects, total, 1.0)
    _gather(rejects, made, -1.0)
    _gather(rejects, model.sum_of(passed), 1.0)
    model.pay(total, layout.rates.reman_cost[None, :, :, None])
    _again_made(model, made, total)
    model.send(LaneGroup.REMAN_GOODS, made)
    model.send(LaneGroup.REJECTS, rejects)


def _again_made(model: Model, made: Sum, processed: Sum) -> None:
    model.count("reused", made)
    model.pay(made, -model.outlook.term("subsidy_reuse")[:, None, :, None])
    model.emit(processed, model.layout.value("carbon.reman")[:, 0][None, None, :, None])


def _easier(model: Model, used: Index) -> Index | None:
    """Return columns of what design for disassembly wins beside the usual yield: at most the gain of a return flow
    made of easy units alone, and nothing before the lever was ever on.
    """
    layout, value = model.layout, model.layout.value
    rate, gain = value("reman.yield"), value("disassembly.reman_gain")
    more = np.minimum(1.0, rate * (1.0 + gain)) - np.minimum(1.0, rate)
    if "design_for_disassembly" not in model.columns or not more.any():
        return None
    bonus = _part_of(model, used, more * model.lives.again)
    steps = layout.suite.levers.count("invest_remanufacturer") * _most_steps(model)
    most = (layout.rates.reman + steps * levers.site_step(model, NodeKind.REMANUFACTURER)) * more[:, 0]  # (R, P)
    rows = model.program.rows(*used.shape[:3], lower=-np.inf)
    model.program.put(rows[..., None], bonus, 1.0)
    model.program.put(rows, model.columns["ever_easy"][:, None, None], -most[None])
    return bonus


def _most_steps(model: Model) -> float:
    """Return the most capacity steps that can stand at once."""
    return float(len(levers.reviews(model))) + float(model.outlook.added(NodeKind.REMANUFACTURER).max(initial=0.0))


def stock(model: Model, arrived: Sum, leaving: list[Index], start: Array, kind: NodeKind) -> Index:
    """Return columns of a stock of used units at period ends, (T, n, P, L), charged at value and the node's rate."""
    program = model.program
    kept = program.columns(*arrived.at.shape)
    rows = program.rows(*arrived.at.shape)
    program.put(rows, kept, -1.0)
    program.put(rows[1:], kept[:-1], 1.0)
    program.put_constant(rows[0], model.outlook.units(start))
    program.put_sum(rows, arrived)
    for columns in leaving:
        program.put(rows, columns, -1.0)
    value = model.outlook.core_value[:, None, :, None]
    model.keep(kept, value)
    opening = model.outlook.opening_factor(value) * model.outlook.units(start)
    program.constant += float(opening.sum())
    rate = model.layout.rates.holding[kind]
    if rate.any():
        model.price(kept, rate[None, :, None, None])
    return kept


def _over_lives(units: Sum) -> Sum:
    """Return expressions (T, n, P, L) summed over lives."""
    total = Sum(*units.at.shape[:3])
    _gather(total, units, 1.0)
    return total


def _gather(target: Sum, units: Sum, factor: float | Array) -> None:
    """Add factor x expressions (T, n, P, L) to those of (T, n, P)."""
    add_to(target, np.broadcast_to(target.at[..., None], units.at.shape), units, factor)


def _within(model: Model, units: Sum, kind: NodeKind, usual: Array, share: Array | float = 1.0) -> None:
    """Hold units (T, n, P) within what nodes of a kind can do and what investment added, times a share (T, n, 1)."""
    steps = levers.capacity(model, kind)
    each = np.broadcast_to(levers.site_step(model, kind) * np.asarray(share), units.at.shape)
    limit = Sum(*units.at.shape)
    add_to(limit, limit.at, units)
    for at, column, value in steps.terms:
        limit.add(limit.at[at], column[:, None, None], -value[:, None, None] * each[at])
    limit.constant -= steps.constant[:, None, None] * each
    model.program.limit(limit, usual * share)
