"""Production: goods up to S from recycled and virgin material; surplus recycled feed (sim_core.engine.production)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import DISASSEMBLY_COST, NOTHING, ONE, PRODUCTION_CARBON, ZERO
from sim_core.kernel.feed import ORIGINS, receive_feed, sell_surplus, use_chosen_feed, use_feed
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import (
    GOODS,
    LATERAL,
    PURCHASE,
    REMAN_GOODS,
    REUSE,
    SCRAP,
    chosen,
    clear,
    land,
    share_of,
    ship_products,
)
from sim_core.kernel.remanufacture import goods_positions


@jit
def produce(k, x, w, tm, ct, t, n):
    """Receive feed and goods, produce up to S, book content for the law."""
    products, materials = k.size.products, k.size.materials
    receive_feed(k, x, w, tm, t, n)
    receive_goods(k, x, t, n)
    if k.size.plants == 0:
        return
    goods_positions(k, x, w, n)
    for plant in range(k.size.plants):
        for p in range(products):
            _wanted(k, x, w, tm, ct, plant, p, n)
        _within_feed(k, x, w, t, plant, n)
        for m in range(materials):
            if chosen(k, ct):
                use_chosen_feed(k, x, w, ct, t, plant, m, n)
            else:
                use_feed(k, x, w, tm, ct, t, plant, m, n)
        for p in range(products):
            _finish(k, x, w, ct, t, plant, p, n)
        ship_products(k, x, w, t, SCRAP, plant, k.s.units, n)
        sell_surplus(k, x, w, tm, ct, t, plant, n)


@jit
def receive_goods(k, x, t, n):
    """Take in goods at plants and warehouses."""
    for group in (REMAN_GOODS, REUSE, GOODS, PURCHASE, LATERAL):
        _receive_group(k, x, t, group, n)


@jit
def _receive_group(k, x, t, group, n):
    products, classes = k.size.products, k.size.classes
    for e in range(get.group_start(k, group), get.group_start(k, group + 1)):
        slot, point = get.lane_slot(k, e) + t % get.lane_ring(k, e) * get.lane_cargo(k, e), get.lane_receiver(k, e)
        land(k, x, e, slot, get.lane_cargo(k, e), n)
        for row in range(products * classes):
            cargo, stock = x[slot + row], x[k.r.goods + point * products * classes + row]
            inbound = x[k.r.inbound + point * products + row // classes]
            for i in range(n):
                stock[i] += cargo[i]
                inbound[i] -= cargo[i]
                cargo[i] = 0


@jit
def _wanted(k, x, w, tm, ct, plant, p, n):
    """Write what a plant would make of a product to reach S, within its capacity."""
    here, at = plant * k.size.products + p, get.goods_node(k, plant)
    slope, absolute, capacity = get.slope(k, 0, at), get.absolute(k, 0, at), get.production(k, plant, p)
    target, usual, position = ct[k.c.targets + at], x[k.r.at_goods + here], w[k.s.position + here]
    owed, legal, available = x[k.r.owed + here], tm[k.q.production_legal + p], tm[k.q.plant_available + plant]
    made, zero = w[k.s.produced + here], get.number(k, ZERO)
    if chosen(k, ct):
        flow = ct[k.c.produce + here]
        for i in range(n):
            wanted, most = flow[i] * legal[i], capacity * available[i]
            made[i] = wanted if wanted < most else most
        return
    for i in range(n):
        wanted = target[i] * (absolute + slope * usual[i]) - (position[i] - owed[i])
        wanted = (wanted if wanted > zero else zero) * legal[i]
        most = capacity * available[i]
        made[i] = wanted if wanted < most else most


@jit
def _within_feed(k, x, w, t, plant, n):
    """Cut output to what the feed allows: products share a scarce material in proportion."""
    products, one = k.size.products, get.number(k, ONE)
    for p in range(products):
        limit = w[k.s.share + p]  # the share of its output that its scarcest material allows
        for i in range(n):
            limit[i] = one
    for m in range(k.size.materials):
        _share_enough(k, x, w, t, plant, m, n)
        enough = w[k.s.plain]
        for p in range(products):
            if get.bom(k, p, m) > 0.0:
                limit = w[k.s.share + p]
                for i in range(n):
                    limit[i] = limit[i] if limit[i] < enough[i] else enough[i]
    for p in range(products):
        limit, made = w[k.s.share + p], w[k.s.produced + plant * products + p]
        for i in range(n):
            made[i] *= limit[i]


@jit
def _share_enough(k, x, w, t, plant, m, n):
    """Write the share of a plant's need of a material that its feed covers."""
    products, one, tiny, need = k.size.products, get.number(k, ONE), get.number(k, NOTHING), w[k.s.plain]
    clear(w, k.s.plain, 1, n)
    for p in range(products):
        use, made = get.use(k, t, p, m), w[k.s.produced + plant * products + p]
        if use > 0.0:
            for i in range(n):
                need[i] += use * made[i]
    first = k.r.feed + (plant * k.size.materials + m) * ORIGINS
    f0, f1, f2, f3 = x[first], x[first + 1], x[first + 2], x[first + 3]
    for i in range(n):
        need[i] = share_of((f0[i] + f1[i]) + (f2[i] + f3[i]), need[i], one, tiny)


@jit
def _finish(k, x, w, ct, t, plant, p, n):
    """Put goods in stock; pay for the gross output; write its scrap to units."""
    here = plant * k.size.products + p
    one, scrap = get.number(k, ONE), get.scrap(k, t, p)
    cost, easy, carbon = (
        get.production_cost(k, plant, p),
        get.value(k, DISASSEMBLY_COST, p),
        get.value(k, PRODUCTION_CARBON, p),
    )
    made, stock, scrapped = w[k.s.produced + here], x[k.r.goods + here * k.size.classes], w[k.s.units + p]
    total, goods, paid = w[k.s.made + p], w[k.s.goods_change + p], w[k.s.money + a.PRODUCTION]
    emitted, lever = w[k.s.emitted], ct[k.c.levers + a.DESIGN_FOR_DISASSEMBLY]
    for i in range(n):
        gross = made[i] / (one - scrap)
        stock[i] += made[i]
        goods[i] += made[i]
        scrapped[i] = gross - made[i]
        total[i] += gross
        paid[i] += gross * (cost + easy * lever[i])
        emitted[i] += gross * carbon
