"""Routes of recycling: which feed goes through which line, by capacity, law and quota (sim_core.engine.recycling)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import MASS, NOTHING, ONE, STEP_RECYCLER, ZERO
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import chosen, clear

ORIGINS = 2  # of what recyclers process: post-consumer, manufacturing scrap


@jit
def weigh(k, x, w, node, p, n):
    """Write the mass of a product's feed at a recycler."""
    here, mass = node * k.size.products + p, get.value(k, MASS, p)
    used, scrap = x[k.r.recycler_feed + here * ORIGINS], x[k.r.recycler_feed + here * ORIGINS + 1]
    weight = w[k.s.mass + here]
    for i in range(n):
        weight[i] = (used[i] + scrap[i]) * mass


@jit
def line_capacity(k, x, w, tm, ct, node, n):
    """Write each line's capacity, and the part that the throughput target lets it use; kg."""
    available, built = tm[k.q.recycler_available + node], x[k.r.built + 2]
    target = ct[k.c.targets + k.size.nodes + get.recycler_node(k, node)]
    for line in range(k.size.lines):
        step = get.number(k, ZERO)
        for p in range(k.size.products):
            if get.best_line(k, p) == line:
                step += get.value(k, STEP_RECYCLER, p)
        own, here = get.line(k, line, node), line * k.size.recyclers + node
        capacity, usable = w[k.s.line + here], w[k.s.usable + here]
        for i in range(n):
            capacity[i] = (own + step * built[i]) * available[i]
            usable[i] = capacity[i] * target[i]
        if chosen(k, ct):
            for i in range(n):
                usable[i] = capacity[i]


@jit
def choose_routes(k, w, tm, ct, n):
    """Write the feed of each route in kg; with alternative_route on, the best recovery first."""
    _route(k, w, tm, ct, k.s.route, 0, 1, n)
    if chosen(k, ct):
        return
    lever, some = ct[k.c.levers + a.ALTERNATIVE_ROUTE], 0
    for i in range(n):
        some += lever[i] > 0
    if some == 0:
        return
    _route(k, w, tm, ct, k.s.detour, k.size.routes - 1, -1, n)
    one = get.number(k, ONE)
    for row in range(k.size.routes * k.size.recyclers * k.size.products):
        usual, other = w[k.s.route + row], w[k.s.detour + row]
        for i in range(n):
            usual[i] = (one - lever[i]) * usual[i] + lever[i] * other[i]


@jit
def _route(k, w, tm, ct, flows, first, step, n):
    """Let routes take in order what is left of feed and of their line, where legal, exports within their quota."""
    products, recyclers = k.size.products, k.size.recyclers
    _start_routes(k, w, tm, n)
    for number in range(k.size.routes):
        q = first + step * number
        for p in range(products):
            _want(k, w, tm, ct, flows, q, p, n)
        for node in range(recyclers):
            _fill_line(k, w, flows, q, node, n)
        if get.exported(k, q):
            _use_quota(k, w, flows, q, n)


@jit
def _start_routes(k, w, tm, n):
    """Open all feed, lines and quotas to the routes."""
    products, recyclers = k.size.products, k.size.recyclers
    for row in range(recyclers * products):
        mass, unfed = w[k.s.mass + row], w[k.s.unfed + row]
        for i in range(n):
            unfed[i] = mass[i]
    for row in range(k.size.lines * recyclers):
        usable, free = w[k.s.usable + row], w[k.s.free + row]
        for i in range(n):
            free[i] = usable[i]
    for p in range(products):
        limit, quota, mass = tm[k.q.export_quota + p], w[k.s.quota + p], get.value(k, MASS, p)
        for i in range(n):
            quota[i] = limit[i] * mass


@jit
def _want(k, w, tm, ct, flows, q, p, n):
    """Write what a route would take of a product at each recycler, within the export quota."""
    products, recyclers, one, tiny = k.size.products, k.size.recyclers, get.number(k, ONE), get.number(k, NOTHING)
    legal, offered = tm[k.q.route_legal + q * products + p], get.offered(k, q, p)
    total, quota = w[k.s.plain], w[k.s.quota + p]
    clear(w, k.s.plain, 1, n)
    for node in range(recyclers):
        unfed, wanted = w[k.s.unfed + node * products + p], w[flows + (q * recyclers + node) * products + p]
        if chosen(k, ct):
            flow, mass = ct[k.c.route + (q * recyclers + node) * products + p], get.value(k, MASS, p)
            for i in range(n):
                most = flow[i] * mass
                wanted[i] = (most if most < unfed[i] else unfed[i]) * (legal[i] * offered)
        else:
            for i in range(n):
                wanted[i] = unfed[i] * (legal[i] * offered)
        for i in range(n):
            total[i] += wanted[i]
    if not get.exported(k, q):
        return
    for i in range(n):
        share = quota[i] / (total[i] if total[i] > tiny else one)
        share = share if share < one else one
        total[i] = share if total[i] > tiny else one
    for node in range(recyclers):
        wanted = w[flows + (q * recyclers + node) * products + p]
        for i in range(n):
            wanted[i] *= total[i]


@jit
def _fill_line(k, w, flows, q, node, n):
    """Cut what a route wants to what is free of its line, products in proportion, and take it off feed and line."""
    products, recyclers = k.size.products, k.size.recyclers
    zero, one, tiny = get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    free = w[k.s.free + get.route_line(k, q) * recyclers + node]
    first = flows + (q * recyclers + node) * products
    total, used = w[k.s.plain], w[k.s.plain + 1]
    add = w[first]
    for i in range(n):
        total[i] = add[i]
        used[i] = zero
    for p in range(1, products):
        add = w[first + p]
        for i in range(n):
            total[i] += add[i]
    for i in range(n):
        share = free[i] / (total[i] if total[i] > tiny else one)
        share = share if share < one else one
        total[i] = share if total[i] > tiny else one
    for p in range(products):
        flow, unfed = w[first + p], w[k.s.unfed + node * products + p]
        for i in range(n):
            fed = flow[i] * total[i]
            flow[i] = fed
            used[i] += fed
            rest = unfed[i] - fed
            unfed[i] = rest if rest > zero else zero
    for i in range(n):
        rest = free[i] - used[i]
        free[i] = rest if rest > zero else zero


@jit
def _use_quota(k, w, flows, q, n):
    products, recyclers, zero = k.size.products, k.size.recyclers, get.number(k, ZERO)
    for p in range(products):
        quota = w[k.s.quota + p]
        used = w[k.s.plain]
        clear(w, k.s.plain, 1, n)
        for node in range(recyclers):
            flow = w[flows + (q * recyclers + node) * products + p]
            for i in range(n):
                used[i] += flow[i]
        for i in range(n):
            rest = quota[i] - used[i]
            quota[i] = rest if rest > zero else zero
