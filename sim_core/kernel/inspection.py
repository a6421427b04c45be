"""Inspection into grades, reuse and second life (sim_core.engine.reverse)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.collection import book_ended, draw
from sim_core.kernel.constants import (
    GOODS_COST,
    MASS,
    NOTHING,
    ONE,
    PREMIUM_COST,
    PREMIUM_SHIFT,
    REUSE_CARBON,
    REUSE_COST,
    REUSE_YIELD,
    SECOND_COLLECTED,
    SECOND_DISPLACED,
    SECOND_LEAVING,
    SECOND_MARGIN,
    SECOND_SERVICE,
    ZERO,
)
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import (
    CORES,
    RECYCLE_FEED,
    REMAN_FEED,
    REPURPOSE,
    REUSE,
    SECOND_LIFE_RETURNS,
    add_classes,
    arrive,
    chosen,
    clear,
    share_of,
    ship_products,
    ship_units,
)

A, B, C = 0, 1, 2


@jit
def inspect(k, x, w, tm, ct, t, n):
    """Grade what waits, up to capacity, and send each grade on its way."""
    products, classes = k.size.products, k.size.classes
    units = products * classes
    clear(w, k.s.room, k.size.second_life * products, n)
    for node in range(k.size.inspections):
        arrive(k, x, t, CORES, node, k.r.queue + node * units, units, n)
        for p in range(products):
            _grade(k, x, w, ct, node, p, n)
        _reuse(k, x, w, tm, t, node, n)
        _ask_second_life(k, w, ct, node, n)
    _second_life(k, x, w, tm, t, n)
    for node in range(k.size.inspections):
        _pass_on(k, x, w, t, node, n)


@jit
def _grade(k, x, w, ct, node, p, n):
    """Inspect a product: write units fit for reuse (moved), for remanufacture (fit), for second life (offered)."""
    products, classes = k.size.products, k.size.classes
    here = node * products + p
    capacity, moved = get.inspected(k, node, p), k.s.moved + p * classes
    amount, zero = w[k.s.units], get.number(k, ZERO)
    for i in range(n):
        amount[i] = capacity
    if chosen(k, ct):
        flow = ct[k.c.inspect + here]
        for i in range(n):
            amount[i] = flow[i] if flow[i] < capacity else capacity
    draw(k, x, k.r.queue + here * classes, classes, w, k.s.units, moved, n)
    shift, served = get.value(k, PREMIUM_SHIFT, p), get.served(k, get.out_at(k, REUSE) + node)
    premium, offer = (
        ct[k.c.levers + a.PREMIUM_INSPECTION],
        ct[k.c.targets + k.size.nodes + get.inspection_node(k, node)],
    )
    rest, offered = w[k.s.taken + here], w[k.s.offered + here]
    as_is_share, again_share = _offers(k, w, ct, node, p, moved, offer, n)
    for i in range(n):
        rest[i] = zero
        offered[i] = zero
    for c in range(classes):
        best, good, spent = get.grade(k, p, A, c), get.grade(k, p, B, c), get.grade(k, p, C, c)
        again = get.again(k, p, c)
        row, fit = w[moved + c], w[k.s.fit + here * classes + c]
        for i in range(n):
            inspected, better = row[i], shift * premium[i] * spent
            as_is = inspected * best * again * as_is_share[i] * served
            rest[i] += inspected
            offered[i] += inspected * (spent - better) * again_share[i]
            fit[i] = inspected * (best + good + better) * again - as_is
            row[i] = as_is
    cost, extra, paid = get.inspection_cost(k, node, p), get.value(k, PREMIUM_COST, p), w[k.s.money + a.COLLECTION]
    for i in range(n):
        paid[i] += rest[i] * (cost + extra * premium[i])


@jit
def _offers(k, w, ct, node, p, inspected, offer, n):
    """Return the shares of grades A and C that are offered to reuse and second life: the target, or what flows ask."""
    reuse, second = w[k.s.plain + 1], w[k.s.plain + 2]
    one, tiny = get.number(k, ONE), get.number(k, NOTHING)
    if not chosen(k, ct):
        return offer, offer
    clear(w, k.s.plain + 1, 1, n)
    served = get.served(k, get.out_at(k, REUSE) + node)
    for c in range(k.size.classes):
        fit, row = get.grade(k, p, A, c) * get.again(k, p, c) * served, w[inspected + c]
        for i in range(n):
            reuse[i] += row[i] * fit
    flow = ct[k.c.reuse + node * k.size.products + p]
    for i in range(n):
        reuse[i] = share_of(flow[i], reuse[i], one, tiny)
        second[i] = one
    return reuse, second


@jit
def count_reuse(k, w, tm, p, units, n):
    """Book a scratch row of units that got another life: flow, register and subsidy."""
    mass = get.value(k, MASS, p)
    row, reused, flow = w[units], w[k.s.reused + p], w[k.s.flow + a.TO_REUSE]
    paid, subsidy = w[k.s.money + a.SUBSIDY], tm[k.q.subsidy_reuse + p]
    for i in range(n):
        flow[i] += mass * row[i]
        reused[i] += row[i]
        paid[i] -= row[i] * subsidy[i]


@jit
def book_made(k, w, tm, p, units, first, carbon, n):
    """Book a row of goods won without new material: they are goods of the system, reused mass, and carbon each.

    first: of the same goods by class, which are worth the new units that they serve as.
    """
    count_reuse(k, w, tm, p, units, n)
    cost, worth, kept = get.value(k, GOODS_COST, p), w[k.s.worth + p], w[k.s.flow + a.KEPT_VALUE]
    for c in range(1, k.size.classes):
        health, made = get.health(k, p, c), w[first + c]
        for i in range(n):
            kept[i] += made[i] * health * (worth[i] + cost)
    mass, row = get.value(k, MASS, p), w[units]
    reused, goods, emitted = w[k.s.flow + a.REUSED], w[k.s.goods_change + p], w[k.s.emitted]
    for i in range(n):
        reused[i] += mass * row[i]
        goods[i] += row[i]
        emitted[i] += carbon * row[i]


@jit
def promote(k, w, first, reman, gain, n):
    """Move rows by class to the class that follows, times a scratch row; a class without one after it is emptied.

    reman: 0 where units are reused as they are, 1 where they are remanufactured. Classes are handled from the last
    down, since each moves up.
    """
    classes, factor, zero = k.size.classes, w[gain], get.number(k, ZERO)
    for back in range(classes):
        c = classes - 1 - back
        after = 2 * ((c + 1) // 2 + 1) - 1 + reman
        row = w[first + c]
        if after < classes:
            to = w[first + after]
            for i in range(n):
                to[i] += row[i] * factor[i]
        for i in range(n):
            row[i] = zero


@jit
def _reuse(k, x, w, tm, t, node, n):
    """Send units fit for reuse as they are back to goods points; take what was reused off the rest."""
    products, classes = k.size.products, k.size.classes
    if get.served(k, get.out_at(k, REUSE) + node) == 0.0:
        return
    units, paid = w[k.s.units], w[k.s.money + a.REMANUFACTURE]
    for p in range(products):
        first, cost, share = k.s.moved + p * classes, get.value(k, REUSE_COST, p), get.value(k, REUSE_YIELD, p)
        add_classes(w, first, classes, w, k.s.units, n)
        for i in range(n):
            paid[i] += units[i] * cost
            units[i] = share
        promote(k, w, first, 0, k.s.units, n)
        add_classes(w, first, classes, w, k.s.units, n)
        rest = w[k.s.taken + node * products + p]
        for i in range(n):
            rest[i] -= units[i]
        book_made(k, w, tm, p, k.s.units, first, get.value(k, REUSE_CARBON, p), n)
    ship_units(k, x, w, t, REUSE, node, k.s.moved, n)


@jit
def _ask_second_life(k, w, ct, node, n):
    """Write what each lane asks second-life markets to take, and add it up there."""
    products, one, tiny = k.size.products, get.number(k, ONE), get.number(k, NOTHING)
    at, start = get.out_at(k, REPURPOSE) + node, get.group_start(k, REPURPOSE)
    for p in range(products):
        offered, total = w[k.s.offered + node * products + p], w[k.s.plain]
        if chosen(k, ct):
            clear(w, k.s.plain, 1, n)
            for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
                flow = ct[k.c.repurpose + (get.out_lane(k, j) - start) * products + p]
                for i in range(n):
                    total[i] += flow[i]
            for i in range(n):
                total[i] = share_of(offered[i], total[i], one, tiny)
        for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
            e = get.out_lane(k, j)
            room = w[k.s.room + get.lane_receiver(k, e) * products + p]
            asked, share = w[k.s.asked + (e - start) * products + p], get.lane_share(k, e)
            if chosen(k, ct):
                flow = ct[k.c.repurpose + (e - start) * products + p]
                for i in range(n):
                    asked[i] = flow[i] * total[i]
                    room[i] += asked[i]
            else:
                for i in range(n):
                    asked[i] = share * offered[i]
                    room[i] += asked[i]


@jit
def _second_life(k, x, w, tm, t, n):
    """Let second-life markets take up to their demand, and send on what comes to its end there."""
    products = k.size.products
    for node in range(k.size.second_life):
        for p in range(products):
            _retire(k, x, w, node, p, n)
            _serve_share(k, w, node, p, n)
        ship_products(k, x, w, t, SECOND_LIFE_RETURNS, node, k.s.units, n)
    for e in range(get.group_start(k, REPURPOSE), get.group_start(k, REPURPOSE + 1)):
        for p in range(products):
            _repurpose(k, x, w, tm, e, p, n)


@jit
def _retire(k, x, w, node, p, n):
    rate, back = get.value(k, SECOND_LEAVING, p), get.value(k, SECOND_COLLECTED, p)
    back = back * get.served(k, get.out_at(k, SECOND_LIFE_RETURNS) + node)
    stock, units = x[k.r.second_life + node * k.size.products + p], w[k.s.units + p]
    left, ended = w[k.s.left + p], w[k.s.plain]
    for i in range(n):
        leaving = stock[i] * rate
        units[i] = leaving * back
        stock[i] -= leaving
        left[i] += leaving - units[i]
        ended[i] = leaving
    book_ended(k, w, p, ended, n)


@jit
def _serve_share(k, w, node, p, n):
    """Turn what a second-life market is offered into the share of it that it takes."""
    capacity, one, tiny = get.second_life(k, node, p), get.number(k, ONE), get.number(k, NOTHING)
    room = w[k.s.room + node * k.size.products + p]
    for i in range(n):
        share = capacity / (room[i] if room[i] > tiny else one)
        share = share if share < one else one
        room[i] = share if room[i] > tiny else one


@jit
def _repurpose(k, x, w, tm, e, p, n):
    products = k.size.products
    here, there = get.lane_sender(k, e) * products + p, get.lane_receiver(k, e) * products + p
    cost, carbon = get.lane_cost(k, e, p), get.lane_carbon(k, e, p)
    margin, displaced = get.value(k, SECOND_MARGIN, p), get.value(k, SECOND_DISPLACED, p)
    service, cost_new, worth = get.value(k, SECOND_SERVICE, p), get.value(k, GOODS_COST, p), w[k.s.worth + p]
    asked, served, stock = (
        w[k.s.asked + (e - get.group_start(k, REPURPOSE)) * products + p],
        w[k.s.room + there],
        x[k.r.second_life + there],
    )
    rest, given = w[k.s.taken + here], w[k.s.plain]
    freight, emitted = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    paid, saved, kept = w[k.s.money + a.SECOND_LIFE], w[k.s.flow + a.DISPLACED], w[k.s.flow + a.KEPT_VALUE]
    for i in range(n):
        units = asked[i] * served[i]
        given[i] = units
        stock[i] += units
        rest[i] -= units
        freight[i] += cost * units
        emitted[i] += carbon * units
        paid[i] += margin * units
        saved[i] += displaced * units
        kept[i] += service * units * (worth[i] + cost_new)
    count_reuse(k, w, tm, p, k.s.plain, n)


@jit
def _pass_on(k, x, w, t, node, n):
    """Send what is fit to remanufacturers, and what nobody else took to recyclers."""
    products, classes, zero = k.size.products, k.size.classes, get.number(k, ZERO)
    served = get.served(k, get.out_at(k, REMAN_FEED) + node)
    fit = k.s.fit + node * products * classes
    if served > 0.0:
        for p in range(products):
            rest = w[k.s.taken + node * products + p]
            for c in range(classes):
                row = w[fit + p * classes + c]
                for i in range(n):
                    rest[i] -= row[i]
        ship_units(k, x, w, t, REMAN_FEED, node, fit, n)
    for p in range(products):
        rest = w[k.s.taken + node * products + p]
        for i in range(n):
            rest[i] = rest[i] if rest[i] > zero else zero
    ship_products(k, x, w, t, RECYCLE_FEED, node, k.s.taken + node * products, n)
