"""The use phase: units in use by month or vintage of sale, lifetimes, hibernation (sim_core.engine.use_phase)."""

from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import DURABLE, HIBERNATES, ONE, RELEASE, ZERO
from sim_core.kernel.jit import jit


@jit
def close_vintage(k, x, t, n):
    """Merge the months of the vintage that ended with period t - 1 into one."""
    merged, vintages, zero = k.size.merged, k.size.vintages, get.number(k, ZERO)
    block = t // merged
    if t % merged != 0 or block == 0 or k.size.durable == 0:
        return
    for row in range(k.size.markets * k.size.products * k.size.classes):
        total = x[k.r.vintage + row * vintages + block - 1]
        for j in range(merged):
            month = x[k.r.recent + row * merged + j]
            for i in range(n):
                total[i] += month[i]
                month[i] = zero
    if k.levers.design_for_disassembly == 0:
        return
    for p in range(k.size.products):
        share, one = x[k.r.easy + p * vintages + block - 1], get.number(k, ONE)
        easy, units = x[k.r.easy_units + p], x[k.r.easy_units + k.size.products + p]
        for i in range(n):
            share[i] = easy[i] / (units[i] if units[i] > zero else one)
            easy[i] = zero
            units[i] = zero


@jit
def outflow(k, x, w, t, market, p, n):
    """Remove the units of a market and product that reach their end of life; write them to scratch rows by class."""
    classes, merged, vintages = k.size.classes, k.size.merged, k.size.vintages
    block, month, zero = t // merged, t % merged, get.number(k, ZERO)
    here = market * k.size.products + p
    gone, start = get.gone(k, t, p), x[k.r.start_demand + here]
    all_out = w[k.s.quota + p]
    for c in range(classes):
        row = here * classes + c
        out, failed = w[k.s.moved + p * classes + c], x[k.r.failed + row]
        past = gone if c == 0 else zero
        for i in range(n):
            out[i] = failed[i] + past * start[i]
            failed[i] = zero
        if c == 0 and k.levers.design_for_disassembly:
            _easy_part(k, x, t, p, k.r.vintage + row * vintages, block, n)
        _age(k, x, k.r.recent + row * merged, month, get.head_place(k, p, c) + month - 1, -1, out, n)
        _age(k, x, k.r.vintage + row * vintages, block, get.closed_place(k, p, c) + t - merged, -merged, out, n)
        for i in range(n):
            all_out[i] += out[i]


@jit
def _age(k, x, first, count, age, step, out, n):
    """Let `count` rows lose the share that leaves at their age, four at a time; add what leaves to a row."""
    done, hazard = 0, k.f  # the hazards of a product and class lie in a row
    while done + 4 <= count:
        h0, h1 = hazard[age], hazard[age + step]
        h2, h3 = hazard[age + 2 * step], hazard[age + 3 * step]
        v0, v1, v2, v3 = x[first + done], x[first + done + 1], x[first + done + 2], x[first + done + 3]
        for i in range(n):
            l0, l1, l2, l3 = v0[i] * h0, v1[i] * h1, v2[i] * h2, v3[i] * h3
            v0[i] -= l0
            v1[i] -= l1
            v2[i] -= l2
            v3[i] -= l3
            out[i] += (l0 + l1) + (l2 + l3)
        done += 4
        age += 4 * step
    while done < count:
        h0, v0 = hazard[age], x[first + done]
        for i in range(n):
            l0 = v0[i] * h0
            v0[i] -= l0
            out[i] += l0
        done += 1
        age += step


@jit
def _easy_part(k, x, t, p, first, block, n):
    """Add up what leaves of new units that were made for disassembly."""
    merged, easy = k.size.merged, x[k.r.easy_share + p]
    for b in range(block):
        hazard = get.closed(k, p, 0, t - merged * (b + 1))
        vintage, share = x[first + b], x[k.r.easy + p * k.size.vintages + b]
        for i in range(n):
            easy[i] += vintage[i] * hazard * share[i]


@jit
def hibernate(k, x, w, market, p, n):
    """Put a share of what left use away, and give up a share of what was kept, in place."""
    share, release = get.value(k, HIBERNATES, p), get.value(k, RELEASE, p)
    if share == 0.0:
        return
    for c in range(k.size.classes):
        out = w[k.s.moved + p * k.size.classes + c]
        kept = x[k.r.hibernating + (market * k.size.products + p) * k.size.classes + c]
        for i in range(n):
            leaving, more = kept[i] * release, out[i] * share
            kept[i] += more - leaving
            out[i] += leaving - more


@jit
def use(k, x, w, tm, ct, t, market, p, sold, n):
    """Hand units sold, scratch rows by class, to their users; book what law asks of products placed on the market."""
    classes, first = k.size.classes, (market * k.size.products + p) * k.size.classes
    new, left, again = w[sold], w[k.s.left + p], w[k.s.placed_again + p]
    placed, paid, fee, trace = w[k.s.placed + p], w[k.s.money + a.FEE], tm[k.q.epr_fee + p], tm[k.q.traceability + p]
    for i in range(n):
        placed[i] += new[i]
        paid[i] += new[i] * (fee[i] + trace[i])
    for c in range(1, classes):
        row = w[sold + c]
        for i in range(n):
            again[i] += row[i]
    if get.value(k, DURABLE, p) > 0.0:
        _put_in_use(k, x, w, ct, t, first, p, sold, n)
    else:
        for c in range(classes):
            row = w[sold + c]
            for i in range(n):
                left[i] += row[i]


@jit
def _put_in_use(k, x, w, ct, t, first, p, sold, n):
    """Add units sold to the month's stock in use, rows by class; first: the market's and product's first class."""
    users, month, new = w[k.s.users_change + p], t % k.size.merged, w[sold]
    for c in range(k.size.classes):
        row, failed = w[sold + c], x[k.r.failed + first + c]
        recent, at_once = x[k.r.recent + (first + c) * k.size.merged + month], get.at_once(k, p, c)
        for i in range(n):
            failing = row[i] * at_once
            failed[i] += failing
            recent[i] += row[i] - failing
            users[i] += row[i]
    if k.levers.design_for_disassembly:
        lever = ct[k.c.levers + a.DESIGN_FOR_DISASSEMBLY]
        easy, all_new = x[k.r.easy_units + p], x[k.r.easy_units + k.size.products + p]
        for i in range(n):
            easy[i] += new[i] * lever[i]
            all_new[i] += new[i]
