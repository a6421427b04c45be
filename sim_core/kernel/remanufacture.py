"""Remanufacture: cores become goods up to M, are kept up to U, and go to recyclers (sim_core.engine.reverse)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.collection import bring_in, draw
from sim_core.kernel.constants import ONE, REMAN_CARBON, REMAN_GAIN, REMAN_YIELD, STEP_REMAN, ZERO
from sim_core.kernel.inspection import book_made, promote
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import (
    REJECTS,
    REMAN_FEED,
    REMAN_GOODS,
    SALES,
    add_classes,
    arrive,
    chosen,
    clear,
    ship_products,
    ship_units,
)


@jit
def goods_positions(k, x, w, n):
    """Write each goods point's inventory position: on hand, inbound and on order, less what its markets wait for."""
    products, classes = k.size.products, k.size.classes
    for row in range(k.size.goods * products):
        add_classes(x, k.r.goods + row * classes, classes, w, k.s.position + row, n)
        position, inbound, asked = w[k.s.position + row], x[k.r.inbound + row], x[k.r.asked_for + row]
        for i in range(n):
            position[i] += inbound[i] + asked[i]
    for e in range(get.group_start(k, SALES), get.group_start(k, SALES + 1)):
        market, share = get.lane_receiver(k, e), get.lane_share(k, e)
        if get.backlog(k, market) > 0.0:
            for p in range(products):
                position = w[k.s.position + get.lane_sender(k, e) * products + p]
                owed = x[k.r.backlog + market * products + p]
                for i in range(n):
                    position[i] -= share * owed[i]


@jit
def remanufacture(k, x, w, tm, ct, t, n):
    """Remanufacture up to M at the goods points served, keep cores up to U, pass the rest to recyclers."""
    products, classes = k.size.products, k.size.classes
    units = products * classes
    if k.size.remanufacturers == 0:
        return
    goods_positions(k, x, w, n)
    _gaps(k, x, w, ct, n)
    for node in range(k.size.remanufacturers):
        arrive(k, x, t, REMAN_FEED, node, k.r.cores + node * units, units, n)
        for p in range(products):
            _store(k, x, w, tm, node, p, n)
            _make(k, x, w, tm, ct, node, p, n)
            _keep(k, x, w, tm, ct, node, p, n)
        ship_units(k, x, w, t, REMAN_GOODS, node, k.s.moved, n)
        ship_products(k, x, w, t, REJECTS, node, k.s.rest, n)


@jit
def _gaps(k, x, w, ct, n):
    """Write by how much each remanufacturer would fill its goods points up to M, and their position."""
    products, zero = k.size.products, get.number(k, ZERO)
    clear(w, k.s.gap, k.size.remanufacturers * products, n)
    clear(w, k.s.covered, k.size.remanufacturers * products, n)
    for e in range(get.group_start(k, REMAN_GOODS), get.group_start(k, REMAN_GOODS + 1)):
        node, point = get.lane_sender(k, e), get.lane_receiver(k, e)
        at = get.remanufacturer_node(k, node)
        part = get.lane_share(k, e) / _share_into(k, point)
        slope = get.slope(k, 1, at) * get.lane_until(k, e)
        absolute, target = get.absolute(k, 1, at), ct[k.c.targets + k.size.nodes + at]
        for p in range(products):
            position, usual = w[k.s.position + point * products + p], x[k.r.at_goods + point * products + p]
            gap, covered = w[k.s.gap + node * products + p], w[k.s.covered + node * products + p]
            for i in range(n):
                short = target[i] * (absolute + slope * usual[i]) - position[i]
                gap[i] += part * (short if short > zero else zero)
                covered[i] += part * position[i]


@jit
def _share_into(k, point):
    """Return the sum of the shares of the lanes from remanufacturers into a goods point; 1 where it is 0."""
    total = get.number(k, ZERO)
    at = get.in_at(k, REMAN_GOODS) + point
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        total += get.lane_share(k, get.in_lane(k, j))
    return total if total > get.number(k, ZERO) else get.number(k, ONE)


@jit
def _store(k, x, w, tm, node, p, n):
    """Take in exogenous returns, and write what the store cannot hold, taken out of it, to rest."""
    products, classes = k.size.products, k.size.classes
    here = node * products + p
    first = k.r.cores + here * classes
    if k.size.returns_remade:
        returns, stock = tm[k.q.remanufacturer_returns + here], x[first]
        for i in range(n):
            stock[i] += returns[i]
        bring_in(k, w, p, returns, n)
    storage, zero = get.storage(k, node, p), get.number(k, ZERO)
    add_classes(x, first, classes, w, k.s.units, n)
    excess, rest = w[k.s.units], w[k.s.rest + p]
    for i in range(n):
        above = excess[i] - storage
        excess[i] = above if above > zero else zero
        rest[i] = excess[i]
    if storage < 1e12:  # the default stands for no limit
        draw(k, x, first, classes, w, k.s.units, k.s.moved + p * classes, n)


@jit
def _make(k, x, w, tm, ct, node, p, n):
    """Remanufacture a product: write goods by class to moved, and add what failed to rest."""
    products, classes = k.size.products, k.size.classes
    here, first = node * products + p, k.s.moved + p * classes
    capacity, step = get.reman(k, node, p), get.value(k, STEP_REMAN, p)
    available, built, gap = tm[k.q.remanufacturer_available + node], x[k.r.built + 1], w[k.s.gap + here]
    amount, one = w[k.s.units], get.number(k, ONE)
    if chosen(k, ct):
        gap = ct[k.c.remanufacture + here]
    for i in range(n):
        most = (capacity + step * built[i]) * available[i]
        amount[i] = gap[i] if gap[i] < most else most
    draw(k, x, k.r.cores + here * classes, classes, w, k.s.units, first, n)
    add_classes(w, first, classes, w, k.s.units, n)
    gain, usual, more, easy = (
        w[k.s.plain + 1],
        get.value(k, REMAN_YIELD, p),
        get.value(k, REMAN_GAIN, p),
        x[k.r.easy_share + p],
    )
    for i in range(n):
        better = usual * (one + easy[i] * more)
        gain[i] = better if better < one else one
    for c in range(classes):
        if get.again(k, p, c) == 0.0:
            clear(w, first + c, 1, n)
    promote(k, w, first, 1, k.s.plain + 1, n)
    add_classes(w, first, classes, w, k.s.plain + 2, n)
    cost, paid, used, good, rest = (
        get.reman_cost(k, node, p), w[k.s.money + a.REMANUFACTURE], w[k.s.units], w[k.s.plain + 2], w[k.s.rest + p],
    )  # fmt: skip
    carbon, emitted, zero = get.value(k, REMAN_CARBON, p), w[k.s.emitted], get.number(k, ZERO)
    for i in range(n):
        failed = used[i] - good[i]
        rest[i] += failed if failed > zero else zero
        paid[i] += cost * used[i]
        emitted[i] += carbon * used[i]
    book_made(k, w, tm, p, k.s.plain + 2, first, get.number(k, ZERO), n)


@jit
def _keep(k, x, w, tm, ct, node, p, n):
    """Add cores above the keep-up-to level to rest."""
    products, classes = k.size.products, k.size.classes
    here, at = node * products + p, get.remanufacturer_node(k, node)
    first = k.r.cores + here * classes
    slope, absolute, total = get.slope(k, 2, at), get.absolute(k, 2, at), get.total_u(k, node)
    capacity, step = get.reman(k, node, p), get.value(k, STEP_REMAN, p)
    available, built = tm[k.q.remanufacturer_available + node], x[k.r.built + 1]
    target, covered, good = ct[k.c.targets + 2 * k.size.nodes + at], w[k.s.covered + here], w[k.s.plain + 2]
    add_classes(x, first, classes, w, k.s.units, n)
    surplus, rest, zero = w[k.s.units], w[k.s.rest + p], get.number(k, ZERO)
    if chosen(k, ct):
        flow = ct[k.c.reman_surplus + here]
        for i in range(n):
            above = flow[i] if flow[i] < surplus[i] else surplus[i]
            rest[i] += above
            surplus[i] = above
        draw(k, x, first, classes, w, k.s.units, k.s.sold, n)
        return
    for i in range(n):
        kept = target[i] * (absolute + slope * ((capacity + step * built[i]) * available[i]))
        kept -= total * (covered[i] + good[i])
        above = surplus[i] - kept
        above = above if above > zero else zero
        above = above if above < surplus[i] else surplus[i]
        rest[i] += above
        surplus[i] = above
    draw(k, x, first, classes, w, k.s.units, k.s.sold, n)
