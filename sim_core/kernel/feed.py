"""Feed of plants: material comes in, is used, and is sold where it is too much (sim_core.engine.production)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import NOTHING, ONE, TONNE, YEAR, ZERO
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import EXTERNAL, SECONDARY, SURPLUS, VIRGIN, chosen, clear, share_of
from sim_core.kernel.recycling import sell_material

ORIGINS = 4  # of feed: virgin, post-consumer, manufacturing scrap, external


@jit
def receive_feed(k, x, w, tm, t, n):
    """Take in material, and book what is due as it enters."""
    materials = k.size.materials
    for e in range(get.group_start(k, VIRGIN), get.group_start(k, VIRGIN + 1)):
        slot, plant = get.lane_slot(k, e) + t % get.lane_ring(k, e) * materials, get.lane_receiver(k, e)
        for m in range(materials):
            if get.lane_overseas(k, e) > 0.0:
                _pay_entry(k, x, w, tm, slot + m, m, n)
            _unload(k, x, slot + m, (plant * materials + m) * ORIGINS, plant * materials + m, n)
    for e in range(get.group_start(k, SECONDARY), get.group_start(k, SECONDARY + 1)):
        slot, plant = get.lane_slot(k, e) + t % get.lane_ring(k, e) * get.lane_cargo(k, e), get.lane_receiver(k, e)
        inbound = (2 * k.size.plants + plant) * materials
        for row in range(2 * materials):
            m, origin = row // 2, row % 2
            _unload(k, x, slot + row, (plant * materials + m) * ORIGINS + 1 + origin, inbound + m, n)
    for e in range(get.group_start(k, EXTERNAL), get.group_start(k, EXTERNAL + 1)):
        slot, plant = get.lane_slot(k, e) + t % get.lane_ring(k, e) * materials, get.lane_receiver(k, e)
        inbound = (k.size.plants + plant) * materials
        for m in range(materials):
            _unload(k, x, slot + m, (plant * materials + m) * ORIGINS + 3, inbound + m, n)


@jit
def _unload(k, x, slot, feed, inbound, n):
    cargo, stock, under_way = x[slot], x[k.r.feed + feed], x[k.r.inbound_feed + inbound]
    for i in range(n):
        stock[i] += cargo[i]
        under_way[i] -= cargo[i]
        cargo[i] = 0


@jit
def _pay_entry(k, x, w, tm, slot, m, n):
    """Book tariffs and carbon border charges on what enters from overseas, at today's rates."""
    cargo, price, tariff = x[slot], tm[k.q.virgin_price + m], tm[k.q.tariff_entry + m]
    cbam, carbon_price = tm[k.q.cbam + m], tm[k.q.carbon_price]
    paid, charged, tonne = w[k.s.money + a.TARIFF], w[k.s.money + a.CARBON_CHARGE], get.number(k, TONNE)
    for i in range(n):
        paid[i] += cargo[i] * price[i] * tariff[i]
        charged[i] += cargo[i] * cbam[i] / tonne * carbon_price[i]


@jit
def use_feed(k, x, w, tm, ct, t, plant, m, n):
    """Take a material for production, recycled first (with stock-ahead on: only up to the duty)."""
    products, materials = k.size.products, k.size.materials
    zero, one, tiny = get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    first = k.r.feed + (plant * materials + m) * ORIGINS
    f0, f1, f2, f3 = x[first], x[first + 1], x[first + 2], x[first + 3]
    total, due, to_due, to_rest = w[k.s.plain], w[k.s.plain + 1], w[k.s.plain + 2], w[k.s.plain + 3]
    hold = ct[k.c.levers + a.STOCK_AHEAD]
    clear(w, k.s.plain, 2, n)
    for p in range(products):
        use, made = get.use(k, t, p, m), w[k.s.produced + plant * products + p]
        used, duty = w[k.s.used + p * materials + m], tm[k.q.content_duty + p * materials + m]
        for i in range(n):
            used[i] = use * made[i]
            total[i] += used[i]
            due[i] += used[i] * duty[i]
    kept, taken = w[k.s.value], w[k.s.units]
    feed, recycled_feed, loose = w[k.s.flow + a.FEED], w[k.s.flow + a.RECYCLED_FEED], w[k.s.loose_change + m]
    for i in range(n):
        have = f1[i] + f2[i] + f3[i]
        limit = total[i] * (one - hold[i]) + due[i] * hold[i]
        short = total[i] - f0[i]
        limit = limit if limit > short else short
        most = have if have < total[i] else total[i]
        recycled = most if most < limit else limit
        before = recycled if recycled < due[i] else due[i]
        some_due, rest = due[i] > tiny, total[i] - due[i]
        to_due[i] = before * ((one / (due[i] if some_due else one)) if some_due else zero)
        to_rest[i] = (recycled - before) * ((one / (rest if rest > tiny else one)) if rest > tiny else zero)
        some = have > tiny
        inverse = (one / (have if some else one)) if some else zero
        used_up = recycled * inverse
        taken[i] = inverse
        kept[i] = one - (used_up if used_up < one else one)
        virgin = total[i] - recycled
        virgin = f0[i] - (virgin if virgin > zero else zero)
        f0[i] = virgin if virgin > zero else zero
        feed[i] += total[i]
        loose[i] -= total[i]
    _share_out(k, w, tm, t, plant, m, f1, f2, f3, n)
    for i in range(n):
        recycled_feed[i] += to_due[i] * due[i] + to_rest[i] * (total[i] - due[i]) if taken[i] > zero else zero
        f1[i] *= kept[i]
        f2[i] *= kept[i]
        f3[i] *= kept[i]


@jit
def _share_out(k, w, tm, t, plant, m, f1, f2, f3, n):
    """Give each product its part of the recycled feed, duties first, by origin: what the law's books count."""
    products, materials, one = k.size.products, k.size.materials, get.number(k, ONE)
    to_due, to_rest, inverse = w[k.s.plain + 2], w[k.s.plain + 3], w[k.s.units]
    for p in range(products):
        good = one - get.scrap(k, t, p)
        used, duty = w[k.s.used + p * materials + m], tm[k.q.content_duty + p * materials + m]
        here = (plant * products + p) * materials + m
        content, first = w[k.s.content + here], k.s.recycled + here * 3
        r1, r2, r3 = w[first], w[first + 1], w[first + 2]
        for i in range(n):
            quota = used[i] * duty[i]
            given = (quota * to_due[i] + (used[i] - quota) * to_rest[i]) * inverse[i]
            content[i] = used[i] * good
            r1[i] = given * f1[i] * good
            r2[i] = given * f2[i] * good
            r3[i] = given * f3[i] * good


@jit
def use_chosen_feed(k, x, w, ct, t, plant, m, n):
    """Take a material for production by flows: at most what is used and what is there of each origin.

    Where virgin feed is too little for the rest, recycled feed makes up for it, products and origins in proportion.
    """
    products, materials = k.size.products, k.size.materials
    total = w[k.s.plain]
    clear(w, k.s.plain, 1, n)
    for p in range(products):
        use, made, used = get.use(k, t, p, m), w[k.s.produced + plant * products + p], w[k.s.used + p * materials + m]
        for i in range(n):
            used[i] = use * made[i]
            total[i] += used[i]
    for p in range(products):
        _ask_origins(k, w, ct, plant, p, m, n)
    for origin in range(3):
        _cut_to_origin(k, x, w, plant, m, origin, n)
    _make_up(k, x, w, plant, m, n)
    _take_chosen(k, x, w, plant, m, n)
    _register_content(k, w, t, plant, m, n)


@jit
def _take_chosen(k, x, w, plant, m, n):
    """Take what was chosen of each origin, and virgin feed for the rest, out of stock; book it."""
    zero, first = get.number(k, ZERO), k.r.feed + (plant * k.size.materials + m) * ORIGINS
    total, recycled, taken = w[k.s.plain], w[k.s.value], w[k.s.sold]
    clear(w, k.s.value, 1, n)
    for origin in range(3):
        stock = x[first + 1 + origin]
        clear(w, k.s.sold, 1, n)
        for p in range(k.size.products):
            part = w[k.s.recycled + ((plant * k.size.products + p) * k.size.materials + m) * 3 + origin]
            for i in range(n):
                taken[i] += part[i]
        for i in range(n):
            recycled[i] += taken[i]
            rest = stock[i] - taken[i]
            stock[i] = rest if rest > zero else zero
    feed, recycled_feed, loose = w[k.s.flow + a.FEED], w[k.s.flow + a.RECYCLED_FEED], w[k.s.loose_change + m]
    stock = x[first]
    for i in range(n):
        virgin = total[i] - recycled[i]
        virgin = stock[i] - (virgin if virgin > zero else zero)
        stock[i] = virgin if virgin > zero else zero
        feed[i] += total[i]
        recycled_feed[i] += recycled[i]
        loose[i] -= total[i]


@jit
def _ask_origins(k, w, ct, plant, p, m, n):
    """Write what flows ask of each origin for a product, at most what it uses."""
    products, materials, one, tiny = k.size.products, k.size.materials, get.number(k, ONE), get.number(k, NOTHING)
    here = ((plant * products + p) * materials + m) * 3
    r1, r2, r3 = w[k.s.recycled + here], w[k.s.recycled + here + 1], w[k.s.recycled + here + 2]
    c1, c2, c3 = ct[k.c.recycled + here], ct[k.c.recycled + here + 1], ct[k.c.recycled + here + 2]
    used = w[k.s.used + p * materials + m]
    for i in range(n):
        share = share_of(used[i], c1[i] + c2[i] + c3[i], one, tiny)
        r1[i] = c1[i] * share
        r2[i] = c2[i] * share
        r3[i] = c3[i] * share


@jit
def _cut_to_origin(k, x, w, plant, m, origin, n):
    """Cut what products ask of an origin to what is there; write what is left of it."""
    first = k.r.feed + (plant * k.size.materials + m) * ORIGINS
    products, materials, one, tiny = k.size.products, k.size.materials, get.number(k, ONE), get.number(k, NOTHING)
    stock, total, left = x[first + 1 + origin], w[k.s.value], w[k.s.arrived_feed + origin]
    zero = get.number(k, ZERO)
    clear(w, k.s.value, 1, n)
    for p in range(products):
        row = w[k.s.recycled + ((plant * products + p) * materials + m) * 3 + origin]
        for i in range(n):
            total[i] += row[i]
    for i in range(n):
        share = share_of(stock[i], total[i], one, tiny)
        rest = stock[i] - total[i] * share
        left[i] = rest if rest > zero else zero
        total[i] = share
    for p in range(products):
        row = w[k.s.recycled + ((plant * products + p) * materials + m) * 3 + origin]
        for i in range(n):
            row[i] *= total[i]


@jit
def _make_up(k, x, w, plant, m, n):
    """Let recycled feed that is left make up for virgin feed that is missing."""
    products, materials, zero, one, tiny = (
        k.size.products, k.size.materials, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING),
    )  # fmt: skip
    needed, part = w[k.s.plain + 1], w[k.s.value]
    f0 = x[k.r.feed + (plant * materials + m) * ORIGINS]
    clear(w, k.s.plain + 1, 1, n)
    for p in range(products):
        row = k.s.recycled + ((plant * products + p) * materials + m) * 3
        r1, r2, r3, used = w[row], w[row + 1], w[row + 2], w[k.s.used + p * materials + m]
        for i in range(n):
            rest = used[i] - (r1[i] + r2[i] + r3[i])
            needed[i] += rest if rest > zero else zero
    l1, l2, l3 = w[k.s.arrived_feed], w[k.s.arrived_feed + 1], w[k.s.arrived_feed + 2]
    for i in range(n):
        missing = needed[i] - f0[i]
        missing = missing if missing > zero else zero
        have = l1[i] + l2[i] + l3[i]
        share = (missing / (needed[i] if needed[i] > tiny else one)) if needed[i] > tiny else zero
        part[i] = share * ((one / (have if have > tiny else one)) if have > tiny else zero)
    for p in range(products):
        row = k.s.recycled + ((plant * products + p) * materials + m) * 3
        r1, r2, r3, used = w[row], w[row + 1], w[row + 2], w[k.s.used + p * materials + m]
        for i in range(n):
            rest = used[i] - (r1[i] + r2[i] + r3[i])
            more = (rest if rest > zero else zero) * part[i]
            r1[i] += more * l1[i]
            r2[i] += more * l2[i]
            r3[i] += more * l3[i]


@jit
def _register_content(k, w, t, plant, m, n):
    """Turn what went in to what is in good output, for the law's books."""
    products, materials = k.size.products, k.size.materials
    for p in range(products):
        good, here = get.number(k, ONE) - get.scrap(k, t, p), (plant * products + p) * materials + m
        content, used = w[k.s.content + here], w[k.s.used + p * materials + m]
        for i in range(n):
            content[i] = used[i] * good
        for origin in range(3):
            row = w[k.s.recycled + here * 3 + origin]
            for i in range(n):
                row[i] *= good


@jit
def sell_surplus(k, x, w, tm, ct, t, plant, n):
    """Sell recycled feed above U, in years of expected use, where a plant has a lane to the external market."""
    at = get.out_at(k, SURPLUS) + plant
    if get.served(k, at) == 0.0:
        return
    cost, carbon = get.sent_cost(k, at, 0), get.sent_carbon(k, at, 0)
    paid, emitted, sold = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON], w[k.s.plain + 1]
    for m in range(k.size.materials):
        if chosen(k, ct):
            _sell_chosen(k, x, w, ct, plant, m, n)
        else:
            _sell_above(k, x, w, ct, t, plant, m, n)
        for i in range(n):
            paid[i] += cost * sold[i]
            emitted[i] += carbon * sold[i]
        sell_material(k, w, tm, m, sold, n)


@jit
def _sell_above(k, x, w, ct, t, plant, m, n):
    """Take recycled feed above U out of stock; write how much."""
    products, zero, one, tiny = k.size.products, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    node = get.goods_node(k, plant)
    slope, absolute = get.slope(k, 2, node), get.absolute(k, 2, node)
    target, need, sold = ct[k.c.targets + 2 * k.size.nodes + node], w[k.s.plain], w[k.s.plain + 1]
    clear(w, k.s.plain, 1, n)
    for p in range(products):
        use, usual = get.number(k, YEAR) * get.use(k, t, p, m), x[k.r.at_goods + plant * products + p]
        for i in range(n):
            need[i] += use * usual[i]
    first = k.r.feed + (plant * k.size.materials + m) * ORIGINS
    f1, f2, f3 = x[first + 1], x[first + 2], x[first + 3]
    for i in range(n):
        have = f1[i] + f2[i] + f3[i]
        above = have - target[i] * (absolute + slope * need[i])
        above = above if above > zero else zero
        some = have > tiny
        part = (above / (have if some else one)) if some else zero
        part = one - (part if part < one else one)
        f1[i] *= part
        f2[i] *= part
        f3[i] *= part
        sold[i] = above


@jit
def _sell_chosen(k, x, w, ct, plant, m, n):
    """Take recycled feed out of stock by flows; write how much."""
    here, sold, one, tiny = plant * k.size.materials + m, w[k.s.plain + 1], get.number(k, ONE), get.number(k, NOTHING)
    clear(w, k.s.plain + 1, 1, n)
    for origin in range(3):
        stock, flow = x[k.r.feed + here * ORIGINS + 1 + origin], ct[k.c.sell_feed + here * 3 + origin]
        for i in range(n):
            share = share_of(flow[i], stock[i], one, tiny)
            sold[i] += stock[i] * share
            stock[i] *= one - share
