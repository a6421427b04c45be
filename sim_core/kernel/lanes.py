"""Lanes: cargo leaves in a ring of period slots and arrives; orders travel likewise where information takes time.

Everywhere in the kernel: k constants, x state, w scratch, tm terms, ct control, each (rows, lanes of cells); t the
period; n the number of cells in the block, the length of every inner loop.
"""

from sim_core.kernel import tables as get
from sim_core.kernel.accounts import CARBON, TRANSPORT
from sim_core.kernel.accounts import DISPOSAL as DISPOSAL_PAID
from sim_core.kernel.constants import DISPOSAL_CARBON, DISPOSAL_COST, GROUPS, MASS, NOTHING, ONE
from sim_core.kernel.jit import inlined, jit, numbered

(
    VIRGIN, PURCHASE, GOODS, LATERAL, SALES, RETURNS, CORES, REUSE, REMAN_FEED, REPURPOSE, RECYCLE_FEED, SCRAP, REJECTS,
    REMAN_GOODS, SECONDARY, EXTERNAL, SURPLUS, SECOND_LIFE_RETURNS, DISPOSAL,
) = numbered(len(GROUPS))  # fmt: skip


@jit
def slot_of(k, e, t):
    """Return the first row of the slot that a lane's cargo takes when it leaves in t."""
    return get.lane_slot(k, e) + (t + get.lane_lead(k, e)) % get.lane_ring(k, e) * get.lane_cargo(k, e)


@inlined
def chosen(k, ct):
    """Return whether the control is one of flows: amounts to move, instead of targets."""
    return ct[k.c.chosen, 0] > 0


@inlined
def share_of(part, whole, one, tiny):
    """Return min(1, part / whole), 1 where whole is nothing: sim_core.engine.settings.ratio."""
    share = part / (whole if whole > tiny else one)
    share = share if share < one else one
    return share if whole > tiny else one


@jit
def clear(w, first, count, n):
    """Set rows to 0."""
    for j in range(first, first + count):
        row = w[j]
        for i in range(n):
            row[i] = 0


@jit
def send(k, x, w, t, group, sender, first, count, n):
    """Ship scratch rows from a sender over its lanes of a group, by the lanes' shares."""
    at = get.out_at(k, group) + sender
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        e = get.out_lane(k, j)
        slot, share = slot_of(k, e, t), get.lane_share(k, e)
        for c in range(count):
            to, cargo = x[slot + c], w[first + c]
            for i in range(n):
                to[i] += share * cargo[i]


@jit
def charge(k, w, group, sender, product, units, n):
    """Book freight and transport carbon of a scratch row of units that a sender ships over its lanes."""
    at = get.out_at(k, group) + sender
    cost, carbon = get.sent_cost(k, at, product), get.sent_carbon(k, at, product)
    paid, emitted, row = w[k.s.money + TRANSPORT], w[k.s.flow + CARBON], w[units]
    for i in range(n):
        paid[i] += cost * row[i]
        emitted[i] += carbon * row[i]


@jit
def ship_units(k, x, w, t, group, sender, first, n):
    """Ship product by class, scratch rows (P, C), and charge freight; a sender without a lane disposes of it."""
    products, classes = k.size.products, k.size.classes
    at = get.out_at(k, group) + sender
    for p in range(products):
        add_classes(w, first + p * classes, classes, w, k.s.units + p, n)
        if get.served(k, at) > 0.0:
            charge(k, w, group, sender, p, k.s.units + p, n)
            _note_sent(k, x, w, group, at, p, k.s.units + p, n)
        else:
            dispose(k, w, p, k.s.units + p, n)
    send(k, x, w, t, group, sender, first, products * classes, n)


@jit
def ship_products(k, x, w, t, group, sender, first, n):
    """Ship product whose class no longer matters, scratch rows (P,), likewise."""
    at = get.out_at(k, group) + sender
    for p in range(k.size.products):
        if get.served(k, at) > 0.0:
            charge(k, w, group, sender, p, first + p, n)
        else:
            dispose(k, w, p, first + p, n)
    send(k, x, w, t, group, sender, first, k.size.products, n)


@jit
def add_classes(source, first, classes, target, to, n):
    """Write the sum of rows first, ... first + classes - 1 to a row, in few passes over it."""
    r0, r1, total = source[first], source[first + min(1, classes - 1)], target[to]
    if classes == 1:
        for i in range(n):
            total[i] = r0[i]
    elif classes == 2:
        for i in range(n):
            total[i] = r0[i] + r1[i]
    else:
        r2 = source[first + 2]
        for i in range(n):
            total[i] = r0[i] + r1[i] + r2[i]
        for c in range(3, classes - 1, 2):
            r0, r1 = source[first + c], source[first + c + 1]
            for i in range(n):
                total[i] = total[i] + r0[i] + r1[i]
        if classes > 3 and classes % 2 == 0:
            r0 = source[first + classes - 1]
            for i in range(n):
                total[i] += r0[i]


@jit
def _note_sent(k, x, w, group, at, product, units, n):
    """Keep up what is inbound to goods points, and what senders pay for goods in transit."""
    row = w[units]
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        e = get.out_lane(k, j)
        share = get.lane_share(k, e)
        if group in (REUSE, REMAN_GOODS):
            inbound = x[k.r.inbound + get.lane_receiver(k, e) * k.size.products + product]
            for i in range(n):
                inbound[i] += share * row[i]
        note_in_transit(k, x, e, share, row, n)


@jit
def note_in_transit(k, x, e, part, row, n):
    """Keep up the holding cost of what is in transit, when part x row of units boards a lane."""
    rate = get.lane_hold(k, e) * part
    if rate != 0.0:
        held = x[k.r.held_in_transit]
        for i in range(n):
            held[i] += rate * row[i]


@jit
def dispose(k, w, product, units, n):
    """Take a scratch row of units out of the system as waste without a way on, at the cost of disposal."""
    mass = get.value(k, MASS, product)
    price, carbon = mass * get.value(k, DISPOSAL_COST, product), mass * get.value(k, DISPOSAL_CARBON, product)
    row, left, paid, emitted = w[units], w[k.s.left + product], w[k.s.money + DISPOSAL_PAID], w[k.s.emitted]
    for i in range(n):
        left[i] += row[i]
        paid[i] += price * row[i]
        emitted[i] += carbon * row[i]


@jit
def arrive(k, x, t, group, receiver, first, count, n):
    """Add what arrives at a receiver to state rows first, ... first + count - 1."""
    at = get.in_at(k, group) + receiver
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        e = get.in_lane(k, j)
        slot = get.lane_slot(k, e) + t % get.lane_ring(k, e) * get.lane_cargo(k, e)
        land(k, x, e, slot, count, n)
        for c in range(count):
            stock, cargo = x[first + c], x[slot + c]
            for i in range(n):
                stock[i] += cargo[i]
                cargo[i] = 0


@jit
def land(k, x, e, slot, count, n):
    """Take a slot's cargo off the holding cost of what is in transit."""
    rate, held = get.lane_hold(k, e), x[k.r.held_in_transit]
    if rate != 0.0:
        for c in range(count):
            cargo = x[slot + c]
            for i in range(n):
                held[i] -= rate * cargo[i]


@jit
def cut_to_able(k, w, group, sender, first, count, given, fixed, slope, n):
    """Cut what lanes ask of a sender for one cargo to fixed + slope x given, in proportion.

    first: scratch row of that cargo on the group's first lane; count: rows from there to the next lane.
    """
    one, tiny = get.number(k, ONE), get.number(k, NOTHING)
    at, start, wanted = get.out_at(k, group) + sender, get.group_start(k, group), w[k.s.plain]
    begin, end = get.out_first(k, at), get.out_first(k, at + 1)
    if begin + 1 == end:
        asked = w[first + (get.out_lane(k, begin) - start) * count]
        for i in range(n):
            asked[i] *= share_of(fixed + slope * given[i], asked[i], one, tiny)
        return
    clear(w, k.s.plain, 1, n)
    for j in range(begin, end):
        asked = w[first + (get.out_lane(k, j) - start) * count]
        for i in range(n):
            wanted[i] += asked[i]
    for i in range(n):
        wanted[i] = share_of(fixed + slope * given[i], wanted[i], one, tiny)
    for j in range(begin, end):
        asked = w[first + (get.out_lane(k, j) - start) * count]
        for i in range(n):
            asked[i] *= wanted[i]


@jit
def limit_lane(k, w, e, first, count, n):
    """Cut the cargo of a lane, scratch rows, to the lane's capacity."""
    limit, one, tiny = get.lane_limit(k, e), get.number(k, ONE), get.number(k, NOTHING)
    total = w[k.s.plain]
    add_classes(w, first, count, w, k.s.plain, n)
    for i in range(n):
        share = limit / (total[i] if total[i] > tiny else one)
        share = share if share < one else one
        total[i] = share if total[i] > tiny else one
    for c in range(count):
        row = w[first + c]
        for i in range(n):
            row[i] *= total[i]


@jit
def lapse(k, x, t, group, count, asked, n):
    """Take orders of a group that reach senders in t off the way, unheeded; asked: first row of what waits for them."""
    if get.group_delayed(k, group) == 0:
        return
    for e in range(get.group_start(k, group), get.group_start(k, group + 1)):
        due = get.lane_request(k, e) + t % (get.lane_information(k, e) + 1) * count
        for c in range(count):
            reaching, waiting = x[due + c], x[asked + get.lane_receiver(k, e) * count + c]
            for i in range(n):
                waiting[i] -= reaching[i]
                reaching[i] = 0


@jit
def send_orders(k, x, w, t, e, first, count, asked, n):
    """Send orders, scratch rows, to a lane's sender; what reaches it now takes their place.

    asked: state row of what the receiver waits for, kept up.
    """
    ring = get.lane_information(k, e) + 1
    out, due = (
        get.lane_request(k, e) + (t + get.lane_information(k, e)) % ring * count,
        get.lane_request(k, e) + t % ring * count,
    )
    for c in range(count):
        order, leaving, waiting = w[first + c], x[out + c], x[asked + c]
        for i in range(n):
            leaving[i] += order[i]
            waiting[i] += order[i]
        reaching = x[due + c]
        for i in range(n):
            waiting[i] -= reaching[i]
            order[i] = reaching[i]
            reaching[i] = 0
