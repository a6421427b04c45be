"""Recycling: feed by origin through the legal routes on lines of limited capacity (sim_core.engine.recycling)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import (
    DISPOSAL_CARBON,
    DISPOSAL_COST,
    EXTERNAL_SALE,
    MASS,
    NOTHING,
    ONE,
    RECYCLING_SAVING,
    ZERO,
)
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import (
    DISPOSAL,
    RECYCLE_FEED,
    REJECTS,
    SCRAP,
    SECOND_LIFE_RETURNS,
    SECONDARY,
    chosen,
    clear,
    send,
    share_of,
)
from sim_core.kernel.routes import ORIGINS, choose_routes, line_capacity, weigh


@jit
def recycle(k, x, w, tm, ct, t, n):
    """Feed the legal routes up to M of capacity, keep feed up to U, landfill the rest."""
    products = k.size.products
    if k.size.recyclers == 0:
        return
    for node in range(k.size.recyclers):
        for p in range(products):
            feed = k.r.recycler_feed + (node * products + p) * ORIGINS
            _receive(k, x, t, RECYCLE_FEED, node, p, feed, n)
            _receive(k, x, t, REJECTS, node, p, feed, n)
            _receive(k, x, t, SECOND_LIFE_RETURNS, node, p, feed, n)
            _receive(k, x, t, SCRAP, node, p, feed + 1, n)
            weigh(k, x, w, node, p, n)
        line_capacity(k, x, w, tm, ct, node, n)
    choose_routes(k, w, tm, ct, n)
    _ease(k, x, w, n)
    for node in range(k.size.recyclers):
        clear(w, k.s.rest, k.size.materials * ORIGINS, n)
        for p in range(products):
            _process(k, x, w, tm, node, p, n)
        _send_secondary(k, x, w, tm, t, node, n)
        _dispose(k, x, w, tm, ct, node, n)


@jit
def _receive(k, x, t, group, node, p, stock, n):
    at = get.in_at(k, group) + node
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        e = get.in_lane(k, j)
        cargo, into = x[get.lane_slot(k, e) + t % get.lane_ring(k, e) * get.lane_cargo(k, e) + p], x[stock]
        for i in range(n):
            into[i] += cargo[i]
            cargo[i] = 0


@jit
def _ease(k, x, w, n):
    """Write the cost factor of units that were made for disassembly."""
    one = get.number(k, ONE)
    for p in range(k.size.products):
        saving, easy, factor = get.value(k, RECYCLING_SAVING, p), x[k.r.easy_share + p], w[k.s.easy_factor + p]
        for i in range(n):
            factor[i] = one - saving * easy[i]


@jit
def _process(k, x, w, tm, node, p, n):
    """Treat a product at a recycler: cost, carbon, material won by origin, and what is left of the feed."""
    products, materials = k.size.products, k.size.materials
    zero, one, tiny = get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    here, mass = node * products + p, get.value(k, MASS, p)
    used, scrap = x[k.r.recycler_feed + here * ORIGINS], x[k.r.recycler_feed + here * ORIGINS + 1]
    treated, from_use, from_scrap = w[k.s.plain], w[k.s.plain + 1], w[k.s.plain + 2]
    for i in range(n):
        treated[i] = zero
        stock = used[i] + scrap[i]
        some = stock > tiny
        part = (one / (stock if some else one)) if some else zero
        from_use[i] = used[i] * part
        from_scrap[i] = scrap[i] * part
    for q in range(k.size.routes):
        _run_route(k, w, node, p, q, n)
    for m in range(materials):
        _win(k, w, tm, node, p, m, n)
    subject, moved, left = w[k.s.treated_mass + p], w[k.s.flow + a.TO_RECYCLING], w[k.s.left + p]
    for i in range(n):
        kilograms = treated[i] * from_use[i] * mass
        subject[i] += kilograms
        moved[i] += kilograms
        left[i] += treated[i]
        one_off, other = treated[i] * from_use[i], treated[i] * from_scrap[i]
        used[i] -= one_off if one_off < used[i] else used[i]
        scrap[i] -= other if other < scrap[i] else scrap[i]


@jit
def _run_route(k, w, node, p, q, n):
    """Turn a route's feed from kg into units; pay for it."""
    here = (q * k.size.recyclers + node) * k.size.products + p
    cost, carbon, mass = get.route_cost(k, q, node, p), get.route_carbon(k, q, p), get.value(k, MASS, p)
    flow, treated, factor = w[k.s.route + here], w[k.s.plain], w[k.s.easy_factor + p]
    paid, emitted = w[k.s.money + a.RECYCLING], w[k.s.emitted]
    zero = get.number(k, ZERO)
    worth, price = (cost, zero) if cost < zero else (zero, cost)
    for i in range(n):
        kilograms = flow[i]
        paid[i] += kilograms * (price * factor[i] + worth)
        emitted[i] += kilograms * carbon
        flow[i] = kilograms / mass
        treated[i] += flow[i]


@jit
def _win(k, w, tm, node, p, m, n):
    """Add the material that a product gives up to what the recycler ships, by origin."""
    from_use, from_scrap, won = w[k.s.plain + 1], w[k.s.plain + 2], w[k.s.plain + 3]
    clear(w, k.s.plain + 3, 1, n)
    some = 0
    for q in range(k.size.routes):
        recovery = get.recovery(k, q, p, m)
        if recovery > 0.0:
            some = 1
            flow = w[k.s.route + (q * k.size.recyclers + node) * k.size.products + p]
            for i in range(n):
                won[i] += flow[i] * recovery
    if some == 0:
        return
    consumer, scrap = w[k.s.rest + m * ORIGINS], w[k.s.rest + m * ORIGINS + 1]
    recovered, subject, flow = w[k.s.recovered + m], w[k.s.recovered_mass + p], w[k.s.flow + a.RECOVERED]
    paid, subsidy = w[k.s.money + a.SUBSIDY], tm[k.q.subsidy_recycled + p]
    loose, worth, price = w[k.s.loose_change + m], w[k.s.flow + a.RECOVERED_VALUE], tm[k.q.virgin_price + m]
    for i in range(n):
        new = won[i] * from_use[i]
        consumer[i] += new
        scrap[i] += won[i] * from_scrap[i]
        total = new + won[i] * from_scrap[i]
        recovered[i] += total
        loose[i] += total
        subject[i] += new
        flow[i] += new
        worth[i] += new * price[i]
        paid[i] -= new * subsidy[i]


@jit
def sell_material(k, w, tm, m, kilograms, n):
    """Sell a row of recycled material out of the system at the price that secondary material fetches."""
    part, price, paid = get.common(k, EXTERNAL_SALE), tm[k.q.virgin_price + m], w[k.s.money + a.MATERIALS]
    sold, loose = w[k.s.sold_off + m], w[k.s.loose_change + m]
    for i in range(n):
        sold[i] += kilograms[i]
        loose[i] -= kilograms[i]
        paid[i] -= kilograms[i] * (price[i] * part)


@jit
def _send_secondary(k, x, w, tm, t, node, n):
    """Ship recovered material to plants; a recycler without a plant sells it."""
    materials = k.size.materials
    at = get.out_at(k, SECONDARY) + node
    if get.served(k, at) == 0.0:
        for row in range(materials * ORIGINS):
            sell_material(k, w, tm, row // ORIGINS, w[k.s.rest + row], n)
        return
    cost, carbon = get.sent_cost(k, at, 0), get.sent_carbon(k, at, 0)
    paid, emitted = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    for m in range(materials):
        one, other = w[k.s.rest + m * ORIGINS], w[k.s.rest + m * ORIGINS + 1]
        for i in range(n):
            paid[i] += cost * (one[i] + other[i])
            emitted[i] += carbon * (one[i] + other[i])
        for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
            e = get.out_lane(k, j)
            share, plant = get.lane_share(k, e), get.lane_receiver(k, e)
            inbound = x[k.r.inbound_feed + (2 * k.size.plants + plant) * materials + m]
            for i in range(n):
                inbound[i] += share * (one[i] + other[i])
    send(k, x, w, t, SECONDARY, node, k.s.rest, materials * ORIGINS, n)


@jit
def _dispose(k, x, w, tm, ct, node, n):
    """Landfill, where it is legal, the feed above the keep-up-to level, in months of capacity."""
    products, zero, one, tiny = k.size.products, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    at = get.recycler_node(k, node)
    slope, absolute, target = get.slope(k, 2, at), get.absolute(k, 2, at), ct[k.c.targets + 2 * k.size.nodes + at]
    total, capacity = w[k.s.plain], w[k.s.plain + 1]
    clear(w, k.s.plain, 2, n)
    for p in range(products):
        weigh(k, x, w, node, p, n)
        mass = w[k.s.mass + node * products + p]
        for i in range(n):
            total[i] += mass[i]
    for line in range(k.size.lines):
        own = w[k.s.line + line * k.size.recyclers + node]
        for i in range(n):
            capacity[i] += own[i]
    for i in range(n):
        above = total[i] - target[i] * (absolute + slope * capacity[i])
        above = above if above > zero else zero
        share = above / (total[i] if total[i] > tiny else one)
        share = share if share < one else one
        total[i] = share if total[i] > tiny else one
    for p in range(products):
        if chosen(k, ct):
            _share_dumped(k, x, w, ct, node, p, n)
        _landfill(k, x, w, tm, node, p, n)


@jit
def _share_dumped(k, x, w, ct, node, p, n):
    """Write the share of a product's feed that a flow sends to landfill."""
    here, one, tiny = node * k.size.products + p, get.number(k, ONE), get.number(k, NOTHING)
    used, scrap = x[k.r.recycler_feed + here * ORIGINS], x[k.r.recycler_feed + here * ORIGINS + 1]
    share, flow = w[k.s.plain], ct[k.c.landfill + here]
    for i in range(n):
        share[i] = share_of(flow[i], used[i] + scrap[i], one, tiny)


@jit
def _landfill(k, x, w, tm, node, p, n):
    here = node * k.size.products + p
    at, mass = get.out_at(k, DISPOSAL) + node, get.value(k, MASS, p)
    freight, transport = get.sent_cost(k, at, p), get.sent_carbon(k, at, p)
    price, carbon = mass * get.value(k, DISPOSAL_COST, p), mass * get.value(k, DISPOSAL_CARBON, p)
    used, scrap = x[k.r.recycler_feed + here * ORIGINS], x[k.r.recycler_feed + here * ORIGINS + 1]
    share, legal, tax = w[k.s.plain], tm[k.q.landfill_legal + p], tm[k.q.landfill_tax + p]
    paid_freight, moved = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    paid, taxed, emitted = w[k.s.money + a.DISPOSAL], w[k.s.money + a.LANDFILL_TAX], w[k.s.emitted]
    left, landfilled = w[k.s.left + p], w[k.s.landfilled + p]
    for i in range(n):
        part = share[i] * legal[i]
        one, other = used[i] * part, scrap[i] * part
        used[i] -= one
        scrap[i] -= other
        units = one + other
        paid_freight[i] += freight * units
        moved[i] += transport * units
        paid[i] += price * units
        taxed[i] += mass * units * tax[i]
        emitted[i] += carbon * units
        left[i] += units
        landfilled[i] += units
