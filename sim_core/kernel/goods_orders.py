"""Orders of goods at the end of a period, downstream first, and lateral transfers (sim_core.engine.orders)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import LATERAL_COST, NOTHING, ONE, ZERO
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import (
    GOODS,
    LATERAL,
    PURCHASE,
    add_classes,
    chosen,
    clear,
    cut_to_able,
    lapse,
    limit_lane,
    note_in_transit,
    send_orders,
    slot_of,
)
from sim_core.kernel.remanufacture import goods_positions


@jit
def order_goods(k, x, w, tm, ct, t, n):
    """Move surplus between warehouses, then order up to S, level by level: each point fills before it orders."""
    products = k.size.products
    if chosen(k, ct):
        _move_chosen(k, x, w, tm, ct, t, n)
        return
    goods_positions(k, x, w, n)
    _targets(k, x, w, ct, n)
    if k.levers.lateral_transfer and _any_on(k, ct, n):
        _transfer(k, x, w, tm, ct, t, n)
        goods_positions(k, x, w, n)
    clear(x, k.r.owed, k.size.plants * products, n)
    clear(w, k.s.asked, (get.group_start(k, GOODS + 1) - get.group_start(k, GOODS)) * products, n)
    for level in range(k.size.levels):
        for point in range(k.size.goods):
            if get.point_level(k, point) == level:
                _fill(k, x, w, tm, t, point, n)
        for point in range(k.size.plants, k.size.goods):
            if get.point_level(k, point) == level:
                _ask(k, w, point, n)
        buy(k, x, w, tm, t, level, n)


@jit
def _move_chosen(k, x, w, tm, ct, t, n):
    """Move goods by flows: between warehouses, down the tiers, and from suppliers; orders under way lapse."""
    products = k.size.products
    lapse(k, x, t, GOODS, products, k.r.asked_for, n)
    lapse(k, x, t, PURCHASE, products, k.r.asked_for, n)
    for point in range(k.size.plants, k.size.goods):
        _take_flows(k, w, ct, LATERAL, point, k.c.transfer, n)
        _on_hand(k, x, w, point, n)
        ship_asked(k, x, w, tm, t, LATERAL, point, n)
    clear(x, k.r.owed, k.size.plants * products, n)
    for point in range(k.size.goods):
        _take_flows(k, w, ct, GOODS, point, k.c.goods, n)
        _on_hand(k, x, w, point, n)
        _owe(k, x, w, point, n)
        ship_asked(k, x, w, tm, t, GOODS, point, n)
    for row in range((get.group_start(k, PURCHASE + 1) - get.group_start(k, PURCHASE)) * products):
        asked, flow = w[k.s.arrived + row], ct[k.c.purchase + row]
        for i in range(n):
            asked[i] = flow[i]
    fill_purchases(k, x, w, tm, t, n)


@jit
def _take_flows(k, w, ct, group, point, flows, n):
    """Write the flows of a point's lanes as what they ask."""
    at, products = get.out_at(k, group) + point, k.size.products
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        here = (get.out_lane(k, j) - get.group_start(k, group)) * products
        for p in range(products):
            asked, flow = w[k.s.asked + here + p], ct[flows + here + p]
            for i in range(n):
                asked[i] = flow[i]


@jit
def _on_hand(k, x, w, point, n):
    """Write the units of each product on hand at a goods point."""
    products, classes = k.size.products, k.size.classes
    for p in range(products):
        add_classes(x, k.r.goods + (point * products + p) * classes, classes, w, k.s.units + p, n)


@jit
def _owe(k, x, w, point, n):
    """Add what is asked of a plant to what it owes."""
    if point >= k.size.plants:
        return
    at, products = get.out_at(k, GOODS) + point, k.size.products
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        first = k.s.asked + (get.out_lane(k, j) - get.group_start(k, GOODS)) * products
        for p in range(products):
            asked, owed = w[first + p], x[k.r.owed + point * products + p]
            for i in range(n):
                owed[i] += asked[i]


@jit
def _any_on(k, ct, n):
    lever, some = ct[k.c.levers + a.LATERAL_TRANSFER], 0
    for i in range(n):
        some += lever[i] > 0
    return some > 0


@jit
def _targets(k, x, w, ct, n):
    """Write each warehouse's order-up-to level S."""
    for point in range(k.size.plants, k.size.goods):
        at = get.goods_node(k, point)
        slope, absolute, target = get.slope(k, 0, at), get.absolute(k, 0, at), ct[k.c.targets + at]
        slope *= get.goods_lead(k, point)
        for p in range(k.size.products):
            level, usual = w[k.s.target + point * k.size.products + p], x[k.r.at_goods + point * k.size.products + p]
            for i in range(n):
                level[i] = target[i] * (absolute + slope * usual[i])


@jit
def _transfer(k, x, w, tm, ct, t, n):
    """Move surplus stock between neighbouring warehouses where the lateral-transfer lever is on."""
    products, zero = k.size.products, get.number(k, ZERO)
    lever = ct[k.c.levers + a.LATERAL_TRANSFER]
    for e in range(get.group_start(k, LATERAL), get.group_start(k, LATERAL + 1)):
        to, at = get.lane_receiver(k, e), e - get.group_start(k, LATERAL)
        for p in range(products):
            target, position = w[k.s.target + to * products + p], w[k.s.position + to * products + p]
            asked, neighbours = w[k.s.asked + at * products + p], get.neighbours(k, to)
            for i in range(n):
                need = target[i] - position[i]
                asked[i] = lever[i] * (need if need > zero else zero) / neighbours
    for point in range(k.size.plants, k.size.goods):
        for p in range(products):
            _surplus(k, x, w, point, p, n)
        ship_asked(k, x, w, tm, t, LATERAL, point, n)


@jit
def _surplus(k, x, w, point, p, n):
    here, zero = point * k.size.products + p, get.number(k, ZERO)
    able, target = w[k.s.units + p], w[k.s.target + here]
    add_classes(x, k.r.goods + here * k.size.classes, k.size.classes, w, k.s.units + p, n)
    for i in range(n):
        above = able[i] - target[i]
        able[i] = above if above > zero else zero


@jit
def ship_asked(k, x, w, tm, t, group, point, n):
    """Ship what the lanes of a goods point ask, up to what it is able to (units, by product) and the lanes carry.

    Lanes of GOODS may be closed; what left a plant on them is no longer owed.
    """
    products, zero, one = k.size.products, get.number(k, ZERO), get.number(k, ONE)
    at, start = get.out_at(k, group) + point, get.group_start(k, group)
    if get.out_first(k, at) == get.out_first(k, at + 1):
        return
    for p in range(products):
        cut_to_able(k, w, group, point, k.s.asked + p, products, w[k.s.units + p], zero, one, n)
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        e = get.out_lane(k, j)
        if group == GOODS:
            _close_lane(k, w, tm, e, n)
        if get.group_limited(k, group):
            limit_lane(k, w, e, k.s.asked + (e - start) * products, products, n)
        if group == GOODS and point < k.size.plants:
            _settle_owed(k, x, w, e, point, n)
    for p in range(products):
        _board(k, x, w, t, group, point, p, n)


@jit
def _close_lane(k, w, tm, e, n):
    """Cut what a lane of GOODS carries to the share of its flow that passes."""
    at = e - get.group_start(k, GOODS)
    is_open = tm[k.q.goods_open + at]
    for p in range(k.size.products):
        sent = w[k.s.asked + at * k.size.products + p]
        for i in range(n):
            sent[i] *= is_open[i]


@jit
def _settle_owed(k, x, w, e, plant, n):
    """Take what a lane carries off what its plant owes."""
    for p in range(k.size.products):
        sent = w[k.s.asked + (e - get.group_start(k, GOODS)) * k.size.products + p]
        owed = x[k.r.owed + plant * k.size.products + p]
        for i in range(n):
            owed[i] -= sent[i]


@jit
def _board(k, x, w, t, group, point, p, n):
    """Put what a point ships of a product on its lanes, classes in proportion to its stock."""
    products, classes = k.size.products, k.size.classes
    at, zero, one, tiny = get.out_at(k, group) + point, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    first, total, out = k.r.goods + (point * products + p) * classes, w[k.s.plain], w[k.s.plain + 1]
    add_classes(x, first, classes, w, k.s.plain, n)
    clear(w, k.s.plain + 1, 1, n)
    for i in range(n):
        some = total[i] > tiny
        total[i] = (one / (total[i] if some else one)) if some else zero
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        e = get.out_lane(k, j)
        sent = w[k.s.asked + (e - get.group_start(k, group)) * products + p]
        slot = slot_of(k, e, t) + p * classes
        for c in range(classes):
            cargo, stock = x[slot + c], x[first + c]
            for i in range(n):
                cargo[i] += sent[i] * (stock[i] * total[i])
        _pay_lane(k, x, w, group, e, p, sent, total, out, n)
    for c in range(classes):
        stock = x[first + c]
        for i in range(n):
            gone = out[i] * (stock[i] * total[i])
            stock[i] -= gone if gone < stock[i] else stock[i]


@jit
def _pay_lane(k, x, w, group, e, p, sent, some, out, n):
    """Charge freight for units sent on a lane, and count them as out, and inbound at the receiver."""
    cost, carbon, zero = get.lane_cost(k, e, p), get.lane_carbon(k, e, p), get.number(k, ZERO)
    if group == LATERAL:
        cost += get.value(k, LATERAL_COST, p)
    inbound = x[k.r.inbound + get.lane_receiver(k, e) * k.size.products + p]
    paid, emitted = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    for i in range(n):
        units = sent[i] if some[i] > zero else zero  # nothing leaves a stock that holds nothing
        sent[i] = units
        out[i] += units
        inbound[i] += units
        paid[i] += cost * units
        emitted[i] += carbon * units
    note_in_transit(k, x, e, get.number(k, ONE), sent, n)


@jit
def _fill(k, x, w, tm, t, point, n):
    """Ship what warehouses below ask from stock; what is asked leaves the position, what is missing is owed."""
    products = k.size.products
    at, start = get.out_at(k, GOODS) + point, get.group_start(k, GOODS)
    _on_hand(k, x, w, point, n)
    for j in range(get.out_first(k, at), get.out_first(k, at + 1)):
        e = get.out_lane(k, j)
        first = k.s.asked + (e - start) * products
        if get.group_delayed(k, GOODS):
            send_orders(k, x, w, t, e, first, products, k.r.asked_for + get.lane_receiver(k, e) * products, n)
        for p in range(products):
            asked, position = w[first + p], w[k.s.position + point * products + p]
            for i in range(n):
                position[i] -= asked[i]
    _owe(k, x, w, point, n)
    ship_asked(k, x, w, tm, t, GOODS, point, n)


@jit
def _ask(k, w, point, n):
    """Split what a warehouse lacks of S over the lanes on which it orders; write the gap in place of its position."""
    products, zero = k.size.products, get.number(k, ZERO)
    at, start = get.in_at(k, GOODS) + point, get.group_start(k, GOODS)
    for p in range(products):
        here = point * products + p
        gap, target, position = w[k.s.position + here], w[k.s.target + here], w[k.s.position + here]
        for i in range(n):
            short = target[i] - position[i]
            gap[i] = short if short > zero else zero
        for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
            e = get.in_lane(k, j)
            asked, share = w[k.s.asked + (e - start) * products + p], get.lane_share(k, e)
            for i in range(n):
                asked[i] += share * gap[i]


@jit
def buy(k, x, w, tm, t, level, n):
    """Buy goods in from outside for the warehouses of a level; orders under way are filled with the lowest one's."""
    products = k.size.products
    start = get.group_start(k, PURCHASE)
    if get.group_delayed(k, PURCHASE) == 0 and not _buys(k, level):
        return
    for e in range(start, get.group_start(k, PURCHASE + 1)):
        to, share = get.lane_receiver(k, e), get.lane_share(k, e)
        first = k.s.arrived + (e - start) * products
        for p in range(products):
            asked, gap = w[first + p], w[k.s.position + to * products + p]
            part = share if get.point_level(k, to) == level else get.number(k, ZERO)
            for i in range(n):
                asked[i] = part * gap[i]
        if get.group_delayed(k, PURCHASE):
            send_orders(k, x, w, t, e, first, products, k.r.asked_for + to * products, n)
    fill_purchases(k, x, w, tm, t, n)


@jit
def _buys(k, level):
    """Return whether any warehouse of a level buys goods in."""
    for e in range(get.group_start(k, PURCHASE), get.group_start(k, PURCHASE + 1)):
        if get.point_level(k, get.lane_receiver(k, e)) == level:
            return True
    return False


@jit
def fill_purchases(k, x, w, tm, t, n):
    """Ship what is asked of suppliers of goods, rows of `arrived`, up to their capacity and the lanes'."""
    products, start, zero = k.size.products, get.group_start(k, PURCHASE), get.number(k, ZERO)
    for supplier in range(k.size.suppliers):
        for p in range(products):
            most, given = get.goods_supplier(k, supplier, p), tm[k.q.supplier_available + supplier]
            cut_to_able(k, w, PURCHASE, supplier, k.s.arrived + p, products, given, zero, most, n)
    for e in range(start, get.group_start(k, PURCHASE + 1)):
        first = k.s.arrived + (e - start) * products
        if get.group_limited(k, PURCHASE):
            limit_lane(k, w, e, first, products, n)
        for p in range(products):
            _bring_home(k, x, w, tm, t, e, p, first + p, n)


@jit
def _bring_home(k, x, w, tm, t, e, p, row, n):
    """Ship bought-in goods where imports are legal; pay for them, their freight and their tariff."""
    one, zero = get.number(k, ONE), get.number(k, ZERO)
    overseas, price = get.lane_overseas(k, e), get.goods_price(k, get.lane_sender(k, e), p)
    cost, carbon = get.lane_cost(k, e, p), get.lane_carbon(k, e, p)
    sent, legal, tariff = w[row], tm[k.q.import_goods_legal + p], tm[k.q.tariff_goods + p]
    cargo = x[slot_of(k, e, t) + p * k.size.classes]
    inbound = x[k.r.inbound + get.lane_receiver(k, e) * k.size.products + p]
    paid, freight, duty = w[k.s.money + a.MATERIALS], w[k.s.money + a.TRANSPORT], w[k.s.money + a.TARIFF]
    emitted, goods, made = w[k.s.flow + a.CARBON], w[k.s.goods_change + p], w[k.s.made + p]
    for i in range(n):
        units = sent[i] * (one - overseas * (one - legal[i]))
        sent[i] = units
        cargo[i] += units
        inbound[i] += units
        goods[i] += units
        made[i] += units
        freight[i] += cost * units
        emitted[i] += carbon * units
        paid[i] += price * units
        duty[i] += price * units * overseas * tariff[i]
    for m in range(k.size.materials):
        bom, entered = get.bom(k, p, m), w[k.s.entered + m]
        if bom > zero:
            for i in range(n):
                entered[i] += bom * sent[i]
