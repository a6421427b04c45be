"""Collection: end of life, what comes back, and its way to inspection (sim_core.engine.reverse)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import (
    BUY_BACK_COST,
    BUY_BACK_SHARE,
    DURABLE,
    GOODS_COST,
    MASS,
    NOTHING,
    ONE,
    RETURNS_SMOOTHING,
    STEP_COLLECTOR,
    ZERO,
)
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import CORES, RETURNS, add_classes, charge, chosen, clear, send, ship_units
from sim_core.kernel.use_phase import hibernate, outflow


@jit
def take_back(k, x, w, tm, ct, t, n):
    """Move units that reach their end of life to collectors, or out of the system where nobody collects them."""
    products, classes = k.size.products, k.size.classes
    if k.size.durable == 0:
        return
    _share_collected(k, w, tm, ct, n)
    clear(w, k.s.again, products, n)
    clear(w, k.s.quota, products, n)
    clear(x, k.r.easy_share, products, n)
    for market in range(k.size.markets):
        served = get.served(k, get.out_at(k, RETURNS) + market)
        for p in range(products):
            if get.value(k, DURABLE, p) > 0.0:
                outflow(k, x, w, t, market, p, n)
                hibernate(k, x, w, market, p, n)
                _offer(k, w, p, served, n)
            else:
                clear(w, k.s.moved + p * classes, classes, n)
        if served > 0.0:
            for p in range(products):
                add_classes(w, k.s.moved + p * classes, classes, w, k.s.units + p, n)
                charge(k, w, RETURNS, market, p, k.s.units + p, n)
            send(k, x, w, t, RETURNS, market, k.s.moved, products * classes, n)
    for p in range(products):
        _book_ended(k, x, w, ct, p, n)


@jit
def _share_collected(k, w, tm, ct, n):
    lever = ct[k.c.levers + a.BUY_BACK]
    one = get.number(k, ONE)
    for p in range(k.size.products):
        more = get.value(k, BUY_BACK_SHARE, p)
        share, usual = w[k.s.share + p], tm[k.q.collection_share + p]
        for i in range(n):
            share[i] = usual[i] + (one - usual[i]) * more * lever[i]


@jit
def _offer(k, w, p, served, n):
    """Split what came to its end into what is collected, in place, and the rest; count both."""
    classes = k.size.classes
    share, ended, kept = w[k.s.share + p], w[k.s.ended + p], w[k.s.collected + p]
    again = w[k.s.again + p]
    for c in range(classes):
        row, more = w[k.s.moved + p * classes + c], get.again(k, p, c)
        for i in range(n):
            out = row[i]
            offered = out * share[i] * served
            ended[i] += out
            again[i] += out * more
            kept[i] += offered
            row[i] = offered


@jit
def book_ended(k, w, p, units, n):
    """Book a row of units that leave use: their mass, and what they and their material are worth as new."""
    mass, cost, worth = get.value(k, MASS, p), get.value(k, GOODS_COST, p), w[k.s.worth + p]
    end, value, material = (
        w[k.s.flow + a.END_OF_LIFE], w[k.s.flow + a.ENDED_VALUE], w[k.s.flow + a.ENDED_MATERIAL_VALUE],
    )  # fmt: skip
    for i in range(n):
        end[i] += mass * units[i]
        value[i] += units[i] * (worth[i] + cost)
        material[i] += units[i] * worth[i]


@jit
def _book_ended(k, x, w, ct, p, n):
    mass, price, zero = get.value(k, MASS, p), get.value(k, BUY_BACK_COST, p), get.number(k, ZERO)
    lever = ct[k.c.levers + a.BUY_BACK]
    ended, kept, again = w[k.s.ended + p], w[k.s.collected + p], w[k.s.again + p]
    left, users, easy = w[k.s.left + p], w[k.s.users_change + p], x[k.r.easy_share + p]
    paid, can = w[k.s.money + a.COLLECTION], w[k.s.flow + a.CAN_AGAIN]
    book_ended(k, w, p, ended, n)
    for i in range(n):
        paid[i] += kept[i] * price * lever[i]
        can[i] += mass * again[i]
        left[i] += ended[i] - kept[i]
        users[i] -= ended[i]
    out, one = w[k.s.quota + p], get.number(k, ONE)  # what ended use, before hibernation
    for i in range(n):
        easy[i] = easy[i] / (out[i] if out[i] > zero else one)


@jit
def bring_in(k, w, p, units, n):
    """Count a row of exogenous units that enter the system, with the material in them."""
    made, collected = w[k.s.made + p], w[k.s.collected + p]
    for i in range(n):
        made[i] += units[i]
        collected[i] += units[i]
    for m in range(k.size.materials):
        bom, entered = get.bom(k, p, m), w[k.s.entered + m]
        for i in range(n):
            entered[i] += bom * units[i]


@jit
def consolidate(k, x, w, tm, ct, t, n):
    """Ship from collectors to inspection what lies above the keep-up-to level, up to capacity."""
    products, classes = k.size.products, k.size.classes
    for node in range(k.size.collectors):
        for p in range(products):
            _collect(k, x, w, tm, t, node, p, n)
            _above_keep(k, x, w, ct, node, p, n)
        _limit_cores(k, w, node, n)
        for p in range(products):
            draw(k, x, k.r.collected + (node * products + p) * classes, classes, w, k.s.units + p,
                 k.s.moved + p * classes, n)  # fmt: skip
        ship_units(k, x, w, t, CORES, node, k.s.moved, n)


@jit
def _collect(k, x, w, tm, t, node, p, n):
    """Take in what arrives: stock, cost and the smoothed forecast of returns."""
    products, classes = k.size.products, k.size.classes
    stock = k.r.collected + (node * products + p) * classes
    units = w[k.s.units + p]
    clear(w, k.s.units + p, 1, n)
    if k.size.returns_collected:
        returns, into = tm[k.q.collector_returns + node * products + p], x[stock]
        for i in range(n):
            units[i] = returns[i]
            into[i] += returns[i]
        bring_in(k, w, p, returns, n)
    at = get.in_at(k, RETURNS) + node
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        e = get.in_lane(k, j)
        slot = get.lane_slot(k, e) + t % get.lane_ring(k, e) * get.lane_cargo(k, e) + p * classes
        for c in range(classes):
            into, cargo = x[stock + c], x[slot + c]
            for i in range(n):
                into[i] += cargo[i]
                units[i] += cargo[i]
                cargo[i] = 0
    smoothing, cost = get.value(k, RETURNS_SMOOTHING, p), get.collection_cost(k, node, p)
    paid, forecast = w[k.s.money + a.COLLECTION], x[k.r.returns_forecast + node * products + p]
    for i in range(n):
        paid[i] += units[i] * cost
        forecast[i] += smoothing * (units[i] - forecast[i])


@jit
def _above_keep(k, x, w, ct, node, p, n):
    """Write how much a collector ships of a product, by its target and capacity."""
    products, classes = k.size.products, k.size.classes
    at = get.collector_node(k, node)
    slope, absolute = get.slope(k, 2, at), get.absolute(k, 2, at)
    capacity, step = get.collection(k, node, p), get.value(k, STEP_COLLECTOR, p)
    add_classes(x, k.r.collected + (node * products + p) * classes, classes, w, k.s.units + p, n)
    amount, built, target = w[k.s.units + p], x[k.r.built], ct[k.c.targets + 2 * k.size.nodes + at]
    forecast, zero = x[k.r.returns_forecast + node * products + p], get.number(k, ZERO)
    if chosen(k, ct):
        flow = ct[k.c.collect + node * products + p]
        for i in range(n):
            most = capacity + step * built[i]
            amount[i] = flow[i] if flow[i] < most else most
        return
    for i in range(n):
        above = amount[i] - target[i] * (absolute + slope * forecast[i])
        above = above if above > zero else zero
        most = capacity + step * built[i]
        amount[i] = above if above < most else most


@jit
def _limit_cores(k, w, node, n):
    """Cut what a collector ships to what its lanes carry, products in proportion."""
    if get.group_limited(k, CORES) == 0:
        return
    room, one, tiny = get.core_room(k, node), get.number(k, ONE), get.number(k, NOTHING)
    total = w[k.s.plain]
    add_classes(w, k.s.units, k.size.products, w, k.s.plain, n)
    for i in range(n):
        share = room / (total[i] if total[i] > tiny else one)
        share = share if share < one else one
        total[i] = share if total[i] > tiny else one
    for p in range(k.size.products):
        amount = w[k.s.units + p]
        for i in range(n):
            amount[i] *= total[i]


@jit
def draw(k, x, stock, classes, w, amount, taken, n):
    """Take the amount in a scratch row out of state rows by class, in proportion; write what was taken."""
    one, tiny, rest = get.number(k, ONE), get.number(k, NOTHING), w[k.s.plain]
    wanted = w[amount]
    add_classes(x, stock, classes, w, k.s.plain, n)
    for i in range(n):
        share = wanted[i] / (rest[i] if rest[i] > tiny else one)
        share = share if share < one else one
        rest[i] = share if rest[i] > tiny else one
    for c in range(classes):
        row, out = x[stock + c], w[taken + c]
        for i in range(n):
            moved = row[i] * rest[i]
            out[i] = moved
            row[i] -= moved
