"""Orders of recycled and virgin feed at the end of a period (sim_core.engine.orders)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import (
    EXPEDITE_COST,
    EXTERNAL_CARBON,
    EXTERNAL_PART,
    NOTHING,
    ONE,
    SECOND_SOURCE,
    SUPPLIER_PREMIUM,
    ZERO,
)
from sim_core.kernel.feed import ORIGINS
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import EXTERNAL, VIRGIN, chosen, clear, cut_to_able, lapse, limit_lane, send_orders


@jit
def order_feed(k, x, w, tm, ct, t, n):
    """Buy recycled feed up to M times the announced duty, then virgin feed up to S."""
    plants, materials = k.size.plants, k.size.materials
    if get.group_start(k, EXTERNAL + 1) == get.group_start(k, EXTERNAL) and get.group_start(
        k, VIRGIN + 1
    ) == get.group_start(k, VIRGIN):
        return
    if chosen(k, ct):
        _buy_chosen(k, x, w, tm, ct, t, n)
        return
    for plant in range(plants):
        for m in range(materials):
            _need_external(k, x, w, tm, ct, t, plant, m, n)
    _order_external(k, x, w, t, n)
    _fill_external(k, x, w, tm, t, n)
    _share_virgin(k, w, tm, ct, n)
    for plant in range(plants):
        for m in range(materials):
            _need_virgin(k, x, w, tm, ct, t, plant, m, n)
    _order_virgin(k, x, w, t, n)
    _fill_virgin(k, x, w, tm, ct, t, n)


@jit
def _buy_chosen(k, x, w, tm, ct, t, n):
    """Buy recycled and virgin feed by flows, the latter where imports are legal; orders under way lapse."""
    materials, one, zero, tiny = k.size.materials, get.number(k, ONE), get.number(k, ZERO), get.number(k, NOTHING)
    lapse(k, x, t, EXTERNAL, materials, k.r.asked_feed + plants_materials(k), n)
    lapse(k, x, t, VIRGIN, materials, k.r.asked_feed, n)
    for row in range((get.group_start(k, EXTERNAL + 1) - get.group_start(k, EXTERNAL)) * materials):
        asked, flow = w[k.s.arrived + row], ct[k.c.external + row]
        for i in range(n):
            asked[i] = flow[i]
    _fill_external(k, x, w, tm, t, n)
    start = get.group_start(k, VIRGIN)
    for e in range(start, get.group_start(k, VIRGIN + 1)):
        overseas = get.lane_overseas(k, e)
        for m in range(materials):
            row = (e - start) * materials + m
            usual, quick, legal = ct[k.c.virgin + row], ct[k.c.virgin_fast + row], tm[k.q.import_legal + m]
            asked, fast = w[k.s.arrived + row], w[k.s.lanes_share + row]
            for i in range(n):
                total = usual[i] + quick[i]
                asked[i] = total * (one - overseas * (one - legal[i]))
                fast[i] = (quick[i] / (total if total > tiny else one)) if total > tiny else zero
    _fill_virgin(k, x, w, tm, ct, t, n)


@jit
def _fast(k, w, ct, e, m):
    """Return the row of the share that is expedited on a virgin lane: the lever, or what flows ask for."""
    if chosen(k, ct):
        return w[k.s.lanes_share + (e - get.group_start(k, VIRGIN)) * k.size.materials + m]
    return ct[k.c.levers + a.EXPEDITE]


@jit
def _need_external(k, x, w, tm, ct, t, plant, m, n):
    """Write what a plant lacks of recycled feed for the duty that is announced over its lead time."""
    products, materials, zero, one = k.size.products, k.size.materials, get.number(k, ZERO), get.number(k, ONE)
    node, here = get.goods_node(k, plant), plant * materials + m
    slope, absolute = get.slope(k, 1, node) * get.external_lead(k, plant), get.absolute(k, 1, node)
    target, hold = ct[k.c.targets + k.size.nodes + node], ct[k.c.levers + a.STOCK_AHEAD]
    due = w[k.s.need + here]
    clear(w, k.s.need + here, 1, n)
    for p in range(products):
        use, usual = get.use(k, t, p, m), x[k.r.at_goods + plant * products + p]
        soon, ahead = tm[k.q.duty_soon + p * materials + m], tm[k.q.duty_ahead + p * materials + m]
        if use > zero:
            for i in range(n):
                due[i] += use * usual[i] * ((one - hold[i]) * soon[i] + hold[i] * ahead[i])
    f1, f2, f3 = _recycled(k, x, here)
    external, secondary = _inbound(k, x, 1, here), _inbound(k, x, 2, here)
    asked = x[k.r.asked_feed + plants_materials(k) + here]
    for i in range(n):
        have = f1[i] + f2[i] + f3[i] + secondary[i] + external[i] + asked[i]
        short = target[i] * (absolute + slope * due[i]) - have
        due[i] = short if short > zero else zero


@jit
def plants_materials(k):
    """Return the rows of one number for each plant and material."""
    return k.size.plants * k.size.materials


@jit
def _recycled(k, x, here):
    first = k.r.feed + here * ORIGINS
    return x[first + 1], x[first + 2], x[first + 3]


@jit
def _inbound(k, x, kind, here):
    return x[k.r.inbound_feed + kind * plants_materials(k) + here]


@jit
def _order_external(k, x, w, t, n):
    """Write the orders that reach external markets on each lane to rows of `arrived`."""
    materials = k.size.materials
    start = get.group_start(k, EXTERNAL)
    for e in range(start, get.group_start(k, EXTERNAL + 1)):
        first, share, plant = k.s.arrived + (e - start) * materials, get.lane_share(k, e), get.lane_receiver(k, e)
        for m in range(materials):
            asked, need = w[first + m], w[k.s.need + plant * materials + m]
            for i in range(n):
                asked[i] = share * need[i]
        if get.group_delayed(k, EXTERNAL):
            waiting = k.r.asked_feed + plants_materials(k) + plant * materials
            send_orders(k, x, w, t, e, first, materials, waiting, n)


@jit
def _fill_external(k, x, w, tm, t, n):
    """Ship what is asked of external markets, up to their capacity and the lanes'; pay for it."""
    materials = k.size.materials
    start = get.group_start(k, EXTERNAL)
    for node in range(k.size.externals):
        for m in range(materials):
            _cut_to_market(k, w, tm, node, m, n)
    for e in range(start, get.group_start(k, EXTERNAL + 1)):
        first = k.s.arrived + (e - start) * materials
        if get.group_limited(k, EXTERNAL):
            limit_lane(k, w, e, first, materials, n)
        for m in range(materials):
            _board_external(k, x, w, tm, t, e, m, first + m, n)


@jit
def _cut_to_market(k, w, tm, node, m, n):
    """Cut what lanes ask of an external market to its own capacity, or its part of the scenario's."""
    own, zero = get.external(k, node), get.number(k, ZERO)
    fixed, slope = (own, zero) if own == own else (zero, get.common(k, EXTERNAL_PART))
    offered = tm[k.q.external_capacity + m]
    cut_to_able(k, w, EXTERNAL, node, k.s.arrived + m, k.size.materials, offered, fixed, slope, n)


@jit
def _board_external(k, x, w, tm, t, e, m, row, n):
    materials = k.size.materials
    cost, carbon = (
        get.lane_cost(k, e, 0),
        get.lane_carbon(k, e, 0) + get.embedded(k, m) * get.common(k, EXTERNAL_CARBON),
    )
    sent, price = w[row], tm[k.q.external_price + m]
    cargo = x[get.lane_slot(k, e) + (t + get.lane_lead(k, e)) % get.lane_ring(k, e) * materials + m]
    inbound = _inbound(k, x, 1, get.lane_receiver(k, e) * materials + m)
    entered, loose, paid = w[k.s.entered + m], w[k.s.loose_change + m], w[k.s.money + a.MATERIALS]
    freight, emitted = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    for i in range(n):
        kilograms = sent[i]
        cargo[i] += kilograms
        inbound[i] += kilograms
        entered[i] += kilograms
        loose[i] += kilograms
        paid[i] += kilograms * price[i]
        freight[i] += cost * kilograms
        emitted[i] += carbon * kilograms


@jit
def _share_virgin(k, w, tm, ct, n):
    """Write each virgin lane's share of its plant's orders by material.

    Second sourcing moves a part to the near lanes; where imports of a material are banned, the near lanes take all.
    """
    materials, zero, one, tiny = k.size.materials, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    start, most, lever = get.group_start(k, VIRGIN), get.common(k, SECOND_SOURCE), ct[k.c.levers + a.SECOND_SOURCE]
    clear(w, k.s.whole, plants_materials(k), n)
    for e in range(start, get.group_start(k, VIRGIN + 1)):
        near, plant, usual, overseas = (
            get.near(k, get.lane_receiver(k, e)),
            get.lane_receiver(k, e),
            get.lane_share(k, e),
            get.lane_overseas(k, e),
        )
        moved = most if near > zero else zero
        own = (one - overseas) / (near if near > one else one)
        for m in range(materials):
            share, whole = w[k.s.lanes_share + (e - start) * materials + m], w[k.s.whole + plant * materials + m]
            legal = tm[k.q.import_legal + m]
            for i in range(n):
                part = moved * lever[i]
                part = usual * (one - part) + own * part
                share[i] = part * (one - overseas * (one - legal[i]))
                whole[i] += share[i]
    for row in range(plants_materials(k)):
        whole = w[k.s.whole + row]
        for i in range(n):
            some = whole[i] > tiny
            whole[i] = (one / (whole[i] if some else one)) if some else zero
    for e in range(start, get.group_start(k, VIRGIN + 1)):
        for m in range(materials):
            share = w[k.s.lanes_share + (e - start) * materials + m]
            whole = w[k.s.whole + get.lane_receiver(k, e) * materials + m]
            for i in range(n):
                share[i] *= whole[i]


@jit
def _lead(k, w, ct, plant, m, n):
    """Write a plant's lead time of virgin material, by its lanes' shares, less what expedition saves, to plain."""
    materials = k.size.materials
    lead, fast = w[k.s.plain], ct[k.c.levers + a.EXPEDITE]
    clear(w, k.s.plain, 1, n)
    at, start = get.in_at(k, VIRGIN) + plant, get.group_start(k, VIRGIN)
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        e = get.in_lane(k, j)
        share, covers, saved = (
            w[k.s.lanes_share + (e - start) * materials + m],
            get.lane_covers(k, e),
            get.lane_saved(k, e),
        )
        for i in range(n):
            lead[i] += share[i] * (covers - saved * fast[i])


@jit
def _need_virgin(k, x, w, tm, ct, t, plant, m, n):
    """Write what a plant lacks of S, less recycled feed on hand and inbound (held feed only up to its duty)."""
    products, materials, zero, one, tiny = (
        k.size.products, k.size.materials, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING),
    )  # fmt: skip
    node, here = get.goods_node(k, plant), plant * materials + m
    slope, absolute, target = get.slope(k, 0, node), get.absolute(k, 0, node), ct[k.c.targets + node]
    _lead(k, w, ct, plant, m, n)
    lead, level, due, need = w[k.s.plain], w[k.s.plain + 1], w[k.s.plain + 2], w[k.s.plain + 3]
    clear(w, k.s.plain + 1, 3, n)
    for p in range(products):
        use, usual = get.use(k, t, p, m), x[k.r.at_goods + plant * products + p]
        duty = tm[k.q.content_duty + p * materials + m]
        if use > zero:
            for i in range(n):
                expected = use * usual[i]
                need[i] += expected
                due[i] += expected * duty[i]
                level[i] += use * (target[i] * (absolute + slope * usual[i]))
    f0, asked = x[k.r.feed + here * ORIGINS], x[k.r.asked_feed + here]
    f1, f2, f3 = _recycled(k, x, here)
    virgin, external, secondary = _inbound(k, x, 0, here), _inbound(k, x, 1, here), _inbound(k, x, 2, here)
    hold, short = ct[k.c.levers + a.STOCK_AHEAD], w[k.s.need + here]
    for i in range(n):
        aim = level[i] * lead[i]
        recycled = f1[i] + f2[i] + f3[i] + (secondary[i] + external[i])
        some = need[i] > tiny
        owed = (due[i] / (need[i] if some else one)) if some else zero
        most = aim * (one - hold[i] * (one - owed))
        recycled = recycled if recycled < most else most
        gap = aim - (f0[i] + virgin[i] + asked[i]) - recycled
        short[i] = gap if gap > zero else zero


@jit
def _order_virgin(k, x, w, t, n):
    """Write the orders that reach suppliers on each lane to rows of `arrived`."""
    materials = k.size.materials
    start = get.group_start(k, VIRGIN)
    for e in range(start, get.group_start(k, VIRGIN + 1)):
        first, plant = k.s.arrived + (e - start) * materials, get.lane_receiver(k, e)
        for m in range(materials):
            share, need = w[k.s.lanes_share + (e - start) * materials + m], w[k.s.need + plant * materials + m]
            asked = w[first + m]
            for i in range(n):
                asked[i] = share[i] * need[i]
        if get.group_delayed(k, VIRGIN):
            send_orders(k, x, w, t, e, first, materials, k.r.asked_feed + plant * materials, n)


@jit
def _fill_virgin(k, x, w, tm, ct, t, n):
    """Ship what is asked of suppliers, up to their capacity and the lanes', at normal speed or expedited."""
    materials = k.size.materials
    start = get.group_start(k, VIRGIN)
    for supplier in range(k.size.suppliers):
        for m in range(materials):
            most, given = get.supplier(k, supplier, m), tm[k.q.supplier_available + supplier]
            cut_to_able(k, w, VIRGIN, supplier, k.s.arrived + m, materials, given, get.number(k, ZERO), most, n)
    for e in range(start, get.group_start(k, VIRGIN + 1)):
        first, is_open = k.s.arrived + (e - start) * materials, tm[k.q.virgin_open + e - start]
        for m in range(materials):
            sent = w[first + m]
            for i in range(n):
                sent[i] *= is_open[i]
        if get.group_limited(k, VIRGIN):
            limit_lane(k, w, e, first, materials, n)
        for m in range(materials):
            _board_virgin(k, x, w, ct, t, e, m, first + m, n)
            _pay_virgin(k, w, tm, ct, e, m, first + m, n)


@jit
def _board_virgin(k, x, w, ct, t, e, m, row, n):
    materials, one = k.size.materials, get.number(k, ONE)
    sent, fast = w[row], _fast(k, w, ct, e, m)
    ring = get.lane_ring(k, e)
    quick = max(1, get.lane_lead(k, e) - k.size.expedite)
    cargo = x[get.lane_slot(k, e) + (t + get.lane_lead(k, e)) % ring * materials + m]
    inbound = _inbound(k, x, 0, get.lane_receiver(k, e) * materials + m)
    for i in range(n):
        inbound[i] += sent[i]
        cargo[i] += sent[i] * (one - fast[i])
    if k.levers.expedite or chosen(k, ct):
        cargo = x[get.lane_slot(k, e) + (t + quick) % ring * materials + m]
        for i in range(n):
            cargo[i] += sent[i] * fast[i]


@jit
def _pay_virgin(k, w, tm, ct, e, m, row, n):
    """Pay for virgin material, its freight, expedition and the tariff of the day it leaves."""
    zero, one = get.number(k, ZERO), get.number(k, ONE)
    overseas, cost = get.lane_overseas(k, e), get.lane_cost(k, e, 0)
    carbon = get.lane_carbon(k, e, 0) + get.embedded(k, m)
    premium = one + get.common(k, SUPPLIER_PREMIUM) * (one - overseas)
    faster = get.common(k, EXPEDITE_COST) if get.lane_lead(k, e) > 1 else zero
    sent, price, tariff, fast = w[row], tm[k.q.virgin_price + m], tm[k.q.tariff_departure + m], _fast(k, w, ct, e, m)
    paid, duty, freight = w[k.s.money + a.MATERIALS], w[k.s.money + a.TARIFF], w[k.s.money + a.TRANSPORT]
    emitted, entered, loose = w[k.s.flow + a.CARBON], w[k.s.entered + m], w[k.s.loose_change + m]
    virgin, imported = w[k.s.virgin + m], w[k.s.imported + m]
    for i in range(n):
        kilograms = sent[i]
        bought = kilograms * (price[i] * premium)
        paid[i] += bought
        duty[i] += bought * tariff[i] * overseas
        freight[i] += kilograms * (cost + faster * fast[i])
        emitted[i] += carbon * kilograms
        entered[i] += kilograms
        loose[i] += kilograms
        virgin[i] += kilograms
        imported[i] += kilograms * overseas
