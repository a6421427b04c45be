"""The books of a period: capacity built, holding cost, ledger, opening and terminal values, mass balance."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import (
    ANNUITY_COLLECTOR,
    ANNUITY_RECYCLER,
    ANNUITY_REMAN,
    COLLECTOR_HELD,
    DURABLE,
    GOODS_COST,
    GOODS_HELD,
    HOLDING_RATE,
    INSPECTION_HELD,
    MASS,
    ONE,
    RECYCLER_HELD,
    REMANUFACTURER_HELD,
    TONNE,
    VALUE_CORE,
    VALUE_IN_USE,
    ZERO,
)
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import clear


@jit
def review(k, x, ct, number, n):
    """Write down the investments that a review decides: review `number` of the run."""
    levers = (a.INVEST_COLLECTOR, a.INVEST_REMANUFACTURER, a.INVEST_RECYCLER)
    for kind in range(3):
        lever, decided = ct[k.c.levers + levers[kind]], x[k.r.decided + kind * k.size.reviews + number]
        for i in range(n):
            decided[i] = lever[i]


@jit
def build(k, x, w, t, n):
    """Let capacity come into being and pass away; pay its annuity."""
    for number in range(2):
        review_at = t - k.size.build - number * k.size.life
        if review_at >= 0 and review_at % k.size.epoch == 0:
            sign = get.number(k, ONE) if number == 0 else -get.number(k, ONE)
            for kind in range(3):
                built = x[k.r.built + kind]
                decided = x[k.r.decided + kind * k.size.reviews + review_at // k.size.epoch]
                for i in range(n):
                    built[i] += sign * decided[i]
    paid, annuities = w[k.s.money + a.CAPEX], (ANNUITY_COLLECTOR, ANNUITY_REMAN, ANNUITY_RECYCLER)
    for kind in range(3):
        built, annuity = x[k.r.built + kind], get.common(k, annuities[kind])
        for i in range(n):
            paid[i] += annuity * built[i]


@jit
def hold(k, x, w, tm, n):
    """Charge the holding of end stocks and of goods in transit."""
    paid, held = w[k.s.money + a.HOLDING], x[k.r.held_in_transit]
    rate = get.common(k, HOLDING_RATE)
    for i in range(n):
        paid[i] += held[i]
    if rate > 0.0:
        stock_value(k, x, w, tm, n)
        value = w[k.s.value]
        for i in range(n):
            paid[i] += rate * value[i]
    _charge_stock(k, x, w, k.r.goods, GOODS_HELD, k.size.goods, n)
    _charge_stock(k, x, w, k.r.collected, COLLECTOR_HELD, k.size.collectors, n)
    _charge_stock(k, x, w, k.r.queue, INSPECTION_HELD, k.size.inspections, n)
    _charge_stock(k, x, w, k.r.cores, REMANUFACTURER_HELD, k.size.remanufacturers, n)
    for node in range(k.size.recyclers):
        rate = get.holding(k, RECYCLER_HELD, node)
        if rate > 0.0:
            for row in range(2 * k.size.products):
                stock, price = (
                    x[k.r.recycler_feed + node * 2 * k.size.products + row],
                    rate * get.value(k, MASS, row // 2),
                )
                for i in range(n):
                    paid[i] += price * stock[i]


@jit
def _charge_stock(k, x, w, first, kind, nodes, n):
    paid = w[k.s.money + a.HOLDING]
    units = k.size.products * k.size.classes
    for node in range(nodes):
        rate = get.holding(k, kind, node)
        if rate > 0.0:
            for row in range(units):
                stock = x[first + node * units + row]
                for i in range(n):
                    paid[i] += rate * stock[i]


@jit
def stock_value(k, x, w, tm, n):
    """Write the value of stocks out of use: feed and goods at replacement cost, the rest at recovery value."""
    value = w[k.s.value]
    clear(w, k.s.value, 1, n)
    for p in range(k.size.products):
        _add_product_value(k, x, w, tm, p, n)
    for m in range(k.size.materials):
        loose, price = x[k.r.total_loose + m], tm[k.q.virgin_price + m]
        for i in range(n):
            value[i] += loose[i] * price[i]


@jit
def _add_product_value(k, x, w, tm, p, n):
    value, core = w[k.s.value], w[k.s.plain]
    total, goods, users = x[k.r.total + p], x[k.r.total_goods + p], x[k.r.total_users + p]
    for i in range(n):
        core[i] = total[i] - goods[i] - users[i]
    for node in range(k.size.second_life):
        stock = x[k.r.second_life + node * k.size.products + p]
        for i in range(n):
            core[i] -= stock[i]
    made, recovered = get.value(k, GOODS_COST, p), get.value(k, VALUE_CORE, p)
    for i in range(n):
        value[i] += goods[i] * made + core[i] * recovered
    for m in range(k.size.materials):
        bom, price = get.bom(k, p, m), tm[k.q.virgin_price + m]
        if bom > 0.0:
            for i in range(n):
                value[i] += goods[i] * (bom * price[i])


@jit
def book_value(k, x, w, tm, t, sign, n):
    """Charge (sign 1) or pay for (-1) all stocks and the units in use, as they stand, into the ledger."""
    stock_value(k, x, w, tm, n)
    value, paid = w[k.s.value], x[k.r.money + a.TERMINAL]
    weight = sign * get.weight(k, t)
    for p in range(k.size.products):
        each, users = get.value(k, VALUE_IN_USE, p), x[k.r.total_users + p]
        for i in range(n):
            value[i] += users[i] * each
    for i in range(n):
        paid[i] += weight * value[i]


@jit
def open_books(k, w, n):
    """Set the period's tallies to 0."""
    for j in range(k.size.posted):
        clear(w, k.s.money + get.posted(k, j), 1, n)
    clear(w, k.s.emitted, k.s.scan - k.s.emitted, n)


@jit
def price_units(k, w, tm, n):
    """Write what the material of a new unit of each product is worth, as virgin (sim_core.engine.worth)."""
    clear(w, k.s.worth, k.size.products, n)
    for p in range(k.size.products):
        worth = w[k.s.worth + p]
        for m in range(k.size.materials):
            bom, price = get.bom(k, p, m), tm[k.q.virgin_price + m]
            if bom > 0.0:
                for i in range(n):
                    worth[i] += bom * price[i]


@jit
def post(k, x, w, tm, t, n):
    """Post the period's tallies to the ledger, and keep up the mass that is in the system."""
    emitted, charge, tonne = w[k.s.emitted], tm[k.q.emission_charge], get.number(k, TONNE)
    paid, carbon = w[k.s.money + a.CARBON_CHARGE], w[k.s.flow + a.CARBON]
    for i in range(n):
        paid[i] += emitted[i] / tonne * charge[i]
        carbon[i] += emitted[i]
    weight, scored, one = get.weight(k, t), get.scored(k, t), get.number(k, ONE)
    if scored > 0.0:
        for j in range(k.size.posted):
            row = get.posted(k, j)
            total, now, times = x[k.r.money + row], w[k.s.money + row], weight if row < a.ACCOUNTS else one
            for i in range(n):
                total[i] += times * now[i]


@jit
def keep_totals(k, x, w, n):
    """Keep up the mass in the system by what crossed its boundary or changed its form in the period."""
    for p in range(k.size.products):
        made, left = w[k.s.made + p], w[k.s.left + p]
        total, turnover = x[k.r.total + p], x[k.r.turnover + p]
        goods, users = x[k.r.total_goods + p], x[k.r.total_users + p]
        more_goods, more_users = w[k.s.goods_change + p], w[k.s.users_change + p]
        for i in range(n):
            total[i] += made[i] - left[i]
            turnover[i] += made[i] + left[i]
            goods[i] += more_goods[i]
            users[i] += more_users[i]
    for m in range(k.size.materials):
        entered, recovered, sold = w[k.s.entered + m], w[k.s.recovered + m], w[k.s.sold_off + m]
        loose, change = x[k.r.total_loose + m], w[k.s.loose_change + m]
        total, turnover = x[k.r.total_material + m], x[k.r.turnover_material + m]
        for i in range(n):
            loose[i] += change[i]
            total[i] += entered[i] + recovered[i] - sold[i]
            turnover[i] += entered[i] + recovered[i] + sold[i]
        for p in range(k.size.products):
            bom, left = get.bom(k, p, m), w[k.s.left + p]
            if bom > 0.0:
                for i in range(n):
                    total[i] -= bom * left[i]
                    turnover[i] += bom * left[i]


@jit
def count(k, x, w, scan_row, scan_to, t, n):
    """Add up every stock in the system, row by row, to scan: goods, other product, with users (P), loose material."""
    products, merged, vintages = k.size.products, k.size.merged, k.size.vintages
    clear(w, k.s.scan, 3 * products + k.size.materials, n)
    for j in range(len(scan_row)):
        stock, total = x[scan_row[j]], w[k.s.scan + scan_to[j]]
        for i in range(n):
            total[i] += stock[i]
    for here in range(k.size.markets * products):
        p = here % products
        if get.value(k, DURABLE, p) == 0.0:
            continue
        total, start, left = w[k.s.scan + 2 * products + p], x[k.r.start_demand + here], get.left(k, t, p)
        for i in range(n):
            total[i] += left * start[i]
        for c in range(k.size.classes):
            row = here * k.size.classes + c
            failed, kept = x[k.r.failed + row], x[k.r.hibernating + row]
            for i in range(n):
                total[i] += failed[i] + kept[i]
            _add_rows(x, k.r.recent + row * merged, merged, total, n)
            _add_rows(x, k.r.vintage + row * vintages, vintages, total, n)


@jit
def _add_rows(x, first, rows, total, n):
    for j in range(first, first + rows):
        stock = x[j]
        for i in range(n):
            total[i] += stock[i]


@jit
def balance(k, x, w, worst, number, loosest, n):
    """Compare what is in the system with what should be; return the largest relative error, and start from the count.

    number: of the first cell in worst, (B,), which keeps each cell's largest error. loosest: the part of a stock below
    which rounding hides an error.
    """
    products = k.size.products
    for p in range(products):
        goods, other, users = w[k.s.scan + p], w[k.s.scan + products + p], w[k.s.scan + 2 * products + p]
        for i in range(n):
            other[i] += goods[i] + users[i]
        _compare(k, x, w, k.s.scan + products + p, k.r.total + p, k.r.turnover + p, worst, number, loosest, n)
        for i in range(n):
            x[k.r.total_goods + p, i] = goods[i]
            x[k.r.total_users + p, i] = users[i]
    for m in range(k.size.materials):
        loose, all_of_it = w[k.s.scan + 3 * products + m], w[k.s.value]
        for i in range(n):
            all_of_it[i] = loose[i]
            x[k.r.total_loose + m, i] = loose[i]
        for p in range(products):
            bom, total = get.bom(k, p, m), w[k.s.scan + products + p]
            if bom > 0.0:
                for i in range(n):
                    all_of_it[i] += bom * total[i]
        _compare(k, x, w, k.s.value, k.r.total_material + m, k.r.turnover_material + m, worst, number, loosest, n)
    for j in range(k.size.posted, a.ACCOUNTS + a.FLOWS):
        _refuse(k, w, get.posted(k, j), worst, number, n)


@jit
def _refuse(k, w, row, worst, number, n):
    """Report an error of 1 where something was booked on an account that this layout has no use for."""
    zero, one = get.number(k, ZERO), get.number(k, ONE)
    booked, largest = w[k.s.money + row], worst[number : number + n]
    for i in range(n):
        largest[i] = largest[i] if booked[i] == zero else one


@jit
def _compare(k, x, w, found, expected, turnover, worst, number, loosest, n):
    zero, one = get.number(k, ZERO), get.number(k, ONE)
    stock, book, flow, largest = w[found], x[expected], x[turnover], worst[number : number + n]
    for i in range(n):
        gap = stock[i] - book[i]
        gap = gap if gap > zero else -gap
        scale = loosest * stock[i]
        scale = scale if scale > flow[i] else flow[i]
        gap /= scale if scale > one else one
        largest[i] = largest[i] if gap <= largest[i] else gap
        book[i] = stock[i]
        flow[i] = zero
