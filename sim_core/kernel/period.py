"""One call: a block of cells through some periods, step by step in the order of sim_core.engine.rollout."""

from sim_core.engine.settings import MOST_FLOW
from sim_core.kernel import tables as get
from sim_core.kernel.books import (
    balance,
    book_value,
    build,
    count,
    hold,
    keep_totals,
    open_books,
    post,
    price_units,
    review,
)
from sim_core.kernel.collection import consolidate, take_back
from sim_core.kernel.constants import ONE, opened
from sim_core.kernel.demand import draw_demand
from sim_core.kernel.duties import keep_past, record
from sim_core.kernel.feed_orders import order_feed
from sim_core.kernel.goods_orders import order_goods
from sim_core.kernel.inspection import inspect
from sim_core.kernel.jit import entry, jit
from sim_core.kernel.production import produce
from sim_core.kernel.recycling import recycle
from sim_core.kernel.remanufacture import remanufacture
from sim_core.kernel.sales import sell
from sim_core.kernel.use_phase import close_vintage

CHANGES, DIFFERS = 1, 2
CHECK_EVERY = 12  # periods between two counts of all stocks for the mass balance; the last period is counted too


@entry
def set_control(controls, targets, levers, lever_row, n):
    """Copy a control, (3, nodes, B) and (levers, B), to rows of blocks of n cells; return 0 if all lie in [0, 1].

    Cells of a block beyond the last of all repeat the block's first one.
    """
    wrong, nodes, cells = 0, targets.shape[1], targets.shape[2]
    for block in range(controls.shape[0]):
        ct, first = controls[block], block * n
        held = min(n, cells - first)
        for which in range(3):
            for node in range(nodes):
                wrong += _copy(ct[which * nodes + node], targets[which, node], first, held, n)
        for row in range(levers.shape[0]):
            wrong += _copy(ct[3 * nodes + lever_row[row]], levers[row], first, held, n)
    return wrong


@entry
def set_flows(controls, chosen, flows, n):
    """Copy flows, (F, B), to the rows behind `chosen` of blocks of n cells; return 0 if all are amounts."""
    wrong = 0
    for block in range(controls.shape[0]):
        first = block * n
        held = min(n, flows.shape[1] - first)
        for row in range(flows.shape[0]):
            to, source = controls[block, chosen + 1 + row], flows[row]
            for i in range(held):
                value = source[first + i]
                wrong += 1 - ((value >= 0.0) & (value <= MOST_FLOW))
                to[i] = value
            for i in range(held, n):
                to[i] = source[first]
    return wrong


@jit
def _copy(to, source, first, cells, n):
    wrong = 0
    for i in range(cells):
        value = source[first + i]
        wrong += 1 - ((value >= 0.0) & (value <= 1.0))
        to[i] = value
    for i in range(cells, n):
        to[i] = source[first]
    return wrong


@jit
def gather(tm, table, changes, t, scenario, every, n):
    """Copy period t's terms of each cell's scenario to rows: all of them, or those that change with t.

    changes: (T, rows) 0 for a term that stays as it was, CHANGES, and DIFFERS where scenarios don't agree on it.
    """
    for row in range(tm.shape[0]):
        if every or changes[t, row] & CHANGES:
            to, values = tm[row], table[t, row]
            if changes[t, row] & DIFFERS:
                for i in range(n):
                    to[i] = values[scenario[i]]
            else:
                value = values[0]
                for i in range(n):
                    to[i] = value


@entry
def start_totals(boxed, x, w, scan_row, scan_to, n):
    """Take the opening stocks as the mass in the system."""
    k = opened(boxed)
    products = k.size.products
    count(k, x, w, scan_row, scan_to, 0, n)
    for p in range(products):
        goods, other, users = w[k.s.scan + p], w[k.s.scan + products + p], w[k.s.scan + 2 * products + p]
        for i in range(n):
            x[k.r.total_goods + p, i] = goods[i]
            x[k.r.total_users + p, i] = users[i]
            x[k.r.total + p, i] = goods[i] + other[i] + users[i]
    for m in range(k.size.materials):
        for i in range(n):
            total = w[k.s.scan + 3 * products + m, i]
            x[k.r.total_loose + m, i] = total
            for p in range(products):
                total += get.bom(k, p, m) * x[k.r.total + p, i]
            x[k.r.total_material + m, i] = total


@entry
def advance(
    boxed, d, blocks, w, tm, controls, table, changes, scenario, scan, since, until, fresh, worst, draws, loosest, n
):  # fmt: skip
    """Simulate blocks of n cells, one after the other, from period `since` to the start of `until`, within one epoch.

    blocks, controls: (blocks, rows, lanes). scan: (2, rows) every row of stock and what it counts as. fresh: as of
    duties.record, for the first period.
    """
    k = opened(boxed)
    for block in range(blocks.shape[0]):
        number = block * n
        _advance(
            k, d, blocks[block], w, tm, controls[block], table, changes, scenario[number : number + n], scan, since,
            until, fresh, worst, draws, number, loosest, n,
        )  # fmt: skip


@jit
def _advance(
    k, d, x, w, tm, ct, table, changes, scenario, scan, since, until, fresh, worst, draws, number, loosest, n
):  # fmt: skip
    invests = k.levers.invest_recycler or k.levers.invest_remanufacturer or k.levers.invest_collector
    if invests and since % k.size.epoch == 0:
        review(k, x, ct, since // k.size.epoch, n)
    for t in range(since, until):
        gather(tm, table, changes, t, scenario, t == since, n)
        draw_demand(k, draws, x, w, tm, t, number, n)
        if t == k.size.warm_up:
            book_value(k, x, w, tm, t, get.number(k, ONE), n)
        open_books(k, w, n)
        price_units(k, w, tm, n)
        if invests:
            build(k, x, w, t, n)
        close_vintage(k, x, t, n)
        take_back(k, x, w, tm, ct, t, n)
        consolidate(k, x, w, tm, ct, t, n)
        inspect(k, x, w, tm, ct, t, n)
        remanufacture(k, x, w, tm, ct, t, n)
        recycle(k, x, w, tm, ct, t, n)
        produce(k, x, w, tm, ct, t, n)
        sell(k, x, w, tm, ct, t, n)
        order_goods(k, x, w, tm, ct, t, n)
        order_feed(k, x, w, tm, ct, t, n)
        if k.size.past:
            keep_past(k, x, w, t, n)
        record(k, d, x, w, tm, t, fresh if t == since else len(d.lag), n)
        keep_totals(k, x, w, n)
        hold(k, x, w, tm, n)
        post(k, x, w, tm, t, n)
        if t + 1 == k.size.scored_end:
            book_value(k, x, w, tm, t, -get.number(k, ONE), n)
        if (t + 1) % CHECK_EVERY == 0 or t + 1 == k.size.periods:
            count(k, x, w, scan[0], scan[1], t + 1, n)
            balance(k, x, w, worst, number, loosest, n)
