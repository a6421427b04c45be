"""Sales: markets ask goods points by lane share; short stock serves in proportion (sim_core.engine.sales)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import GOODWILL, NOTHING, ONE, SMOOTHING, ZERO
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import GOODS, SALES, chosen, clear, limit_lane, share_of
from sim_core.kernel.use_phase import use


@jit
def sell(k, x, w, tm, ct, t, n):
    """Serve demand and backlog from stock, book what is short, and renew the forecast."""
    products = k.size.products
    clear(w, k.s.wanted, k.size.goods * products, n)
    if chosen(k, ct):
        _share_owed(k, x, w, tm, ct, n)
    for e in range(get.group_start(k, SALES), get.group_start(k, SALES + 1)):
        _ask(k, x, w, tm, ct, e, n)
    for point in range(k.size.goods):
        for p in range(products):
            _take(k, x, w, tm, point, p, n)
    for market in range(k.size.markets):
        for p in range(products):
            _serve(k, w, market, p, n)
            _book_short(k, x, w, tm, market, p, n)
            use(k, x, w, tm, ct, t, market, p, k.s.sold, n)
            _expect(k, x, tm, t, market, p, n)
    goods_forecast(k, x, n)


@jit
def _ask(k, x, w, tm, ct, e, n):
    """Write what a market asks on a lane, within the lane's capacity, and add it up at the goods point."""
    products, at = k.size.products, e - get.group_start(k, SALES)
    point, market, share = get.lane_sender(k, e), get.lane_receiver(k, e), get.lane_share(k, e)
    for p in range(products):
        asked, demand = w[k.s.asked + at * products + p], tm[k.q.demand + market * products + p]
        backlog = x[k.r.backlog + market * products + p]
        if chosen(k, ct):
            flow, whole = ct[k.c.sell + at * products + p], w[k.s.served_share + market * products + p]
            for i in range(n):
                asked[i] = flow[i] * whole[i]
        else:
            for i in range(n):
                asked[i] = share * (demand[i] + backlog[i])
    if get.group_limited(k, SALES):
        limit_lane(k, w, e, k.s.asked + at * products, products, n)
    for p in range(products):
        asked, wanted = w[k.s.asked + at * products + p], w[k.s.wanted + point * products + p]
        for i in range(n):
            wanted[i] += asked[i]


@jit
def _share_owed(k, x, w, tm, ct, n):
    """Write the share of the flows into a market that it is owed."""
    products, one, tiny = k.size.products, get.number(k, ONE), get.number(k, NOTHING)
    for market in range(k.size.markets):
        at = get.in_at(k, SALES) + market
        for p in range(products):
            here = market * products + p
            share, demand, backlog = w[k.s.served_share + here], tm[k.q.demand + here], x[k.r.backlog + here]
            clear(w, k.s.served_share + here, 1, n)
            for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
                flow = ct[k.c.sell + (get.in_lane(k, j) - get.group_start(k, SALES)) * products + p]
                for i in range(n):
                    share[i] += flow[i]
            for i in range(n):
                share[i] = share_of(demand[i] + backlog[i], share[i], one, tiny)


@jit
def _take(k, x, w, tm, point, p, n):
    """Take what can be served out of a goods point's stock; write it by class for each unit that was wanted."""
    classes, zero, one, tiny = k.size.classes, get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    here = point * k.size.products + p
    able, wanted, legal = w[k.s.plain], w[k.s.wanted + here], tm[k.q.sale_legal + p]
    clear(w, k.s.plain, 1, n)
    for c in range(classes):
        stock, health = x[k.r.goods + here * classes + c], get.health(k, p, c)
        for i in range(n):
            able[i] += stock[i] * health
    each = w[k.s.plain + 1]
    for i in range(n):
        have, want = able[i] * legal[i], wanted[i]
        share = want / (have if have > tiny else one)
        share = share if share < one else one
        share = share if have > tiny else (one if have > zero else zero)
        able[i] = share
        each[i] = (one / (want if want > tiny else one)) if want > tiny else zero
    goods = w[k.s.goods_change + p]
    for c in range(classes):
        stock, leaving = x[k.r.goods + here * classes + c], w[k.s.leaving + here * classes + c]
        for i in range(n):
            out = stock[i] * able[i]
            stock[i] -= out
            goods[i] -= out
            leaving[i] = out * each[i]


@jit
def _serve(k, w, market, p, n):
    """Write the units that a market gets, by class, and how much of its demand they serve; charge freight."""
    products, classes = k.size.products, k.size.classes
    served = w[k.s.served + p]
    clear(w, k.s.sold, classes, n)
    clear(w, k.s.served + p, 1, n)
    paid, emitted = w[k.s.money + a.TRANSPORT], w[k.s.flow + a.CARBON]
    at = get.in_at(k, SALES) + market
    for j in range(get.in_first(k, at), get.in_first(k, at + 1)):
        e = get.in_lane(k, j)
        asked, cost, carbon = (
            w[k.s.asked + (e - get.group_start(k, SALES)) * products + p],
            get.lane_cost(k, e, p),
            get.lane_carbon(k, e, p),
        )
        first = k.s.leaving + (get.lane_sender(k, e) * products + p) * classes
        for c in range(classes):
            sold, leaving, health = w[k.s.sold + c], w[first + c], get.health(k, p, c)
            for i in range(n):
                units = asked[i] * leaving[i]
                sold[i] += units
                served[i] += units * health
                paid[i] += cost * units
                emitted[i] += carbon * units


@jit
def _book_short(k, x, w, tm, market, p, n):
    """Keep what waits, and charge it by unit and period; charge what is lost by unit."""
    here, zero, one = market * k.size.products + p, get.number(k, ZERO), get.number(k, ONE)
    waits, own, goodwill = get.backlog(k, market), get.shortage(k, market), get.value(k, GOODWILL, p)
    fixed = own == own  # NaN where the product's price holds
    demand, served, backlog = tm[k.q.demand + here], w[k.s.served + p], x[k.r.backlog + here]
    price, lost_paid, wait_paid = tm[k.q.product_price + p], w[k.s.money + a.LOST_SALES], w[k.s.money + a.BACKLOG]
    asked, met = w[k.s.flow + a.DEMAND], w[k.s.flow + a.SERVED]
    weight, constant = (zero, own) if fixed else (one, goodwill)
    for i in range(n):
        short = demand[i] + backlog[i] - served[i]
        short = short if short > zero else zero
        penalty = constant + weight * price[i]
        backlog[i] = short * waits
        lost_paid[i] += (short - backlog[i]) * penalty
        wait_paid[i] += backlog[i] * penalty
        asked[i] += demand[i]
        met[i] += served[i]


@jit
def _expect(k, x, tm, t, market, p, n):
    """Renew a market's forecast by smoothing or a moving average."""
    here = market * k.size.products + p
    demand, forecast = tm[k.q.demand + here], x[k.r.forecast + here]
    if k.size.history == 0:
        smoothing = get.value(k, SMOOTHING, p)
        for i in range(n):
            forecast[i] += smoothing * (demand[i] - forecast[i])
        return
    newest = x[k.r.history + here * k.size.history + t % k.size.history]
    for i in range(n):
        newest[i] = demand[i]
        forecast[i] = 0
    months = get.number(k, ZERO)
    for j in range(k.size.history):
        month = x[k.r.history + here * k.size.history + j]
        months += get.number(k, ONE)
        for i in range(n):
            forecast[i] += month[i]
    for i in range(n):
        forecast[i] /= months


@jit
def goods_forecast(k, x, n):
    """Pass the markets' forecast on to goods points, downstream first."""
    products = k.size.products
    clear(x, k.r.at_goods, k.size.goods * products, n)
    for e in range(get.group_start(k, SALES), get.group_start(k, SALES + 1)):
        share = get.lane_share(k, e)
        for p in range(products):
            to, demand = (
                x[k.r.at_goods + get.lane_sender(k, e) * products + p],
                x[k.r.forecast + get.lane_receiver(k, e) * products + p],
            )
            for i in range(n):
                to[i] += share * demand[i]
    for level in range(1, k.size.levels):
        for e in range(get.group_start(k, GOODS), get.group_start(k, GOODS + 1)):
            if get.point_level(k, get.lane_sender(k, e)) == level:
                share = get.lane_share(k, e)
                for p in range(products):
                    to = x[k.r.at_goods + get.lane_sender(k, e) * products + p]
                    below = x[k.r.at_goods + get.lane_receiver(k, e) * products + p]
                    for i in range(n):
                        to[i] += share * below[i]
