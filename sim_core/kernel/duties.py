"""Duties: obligations as arrays, and their books in compiled code (sim_core.engine.compliance).

A duty has one row per account, or one per plant and product. What is delivered in a month, and what it is measured by,
are sums over registers of the period, rows of the scratch space, each times a coefficient.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim_core.engine.layout import Layout
from sim_core.kernel import accounts as a
from sim_core.kernel import tables as get
from sim_core.kernel.constants import NOTHING, ONE, ZERO
from sim_core.kernel.jit import jit
from sim_core.kernel.lanes import clear
from sim_core.kernel.rows import LAGGED, RECYCLED_ORIGINS
from sim_core.policy.kinds import AT_MOST
from sim_core.policy.obligation import Obligation, Quantity
from sim_core.units import MONTHS_PER_YEAR, parse_month

Array = NDArray[Any]
_FIELDS = 4  # of an account: required, counted, volume, debt; behind them the bank, a row a window


class Duties(NamedTuple):
    """O obligations with J accounts in all. A sum of registers: entries first[j] ... first[j + 1] - 1 of row, times."""

    first: Array  # (O + 1,) accounts of each obligation
    state: Array  # (J,) state row of each account
    banks: Array  # (O,) windows in which a surplus serves
    at_most: Array  # (O,) 1 where it is a largest value
    rules: Array  # (O, 7): phi, bank share, carry share, certificate limit and price, de minimis, months of a window
    own_price: Array  # (O,) 1 where certificates have a price of their own; 0: the carbon price
    delivered_first: Array
    delivered_row: Array
    delivered_times: Array
    basis_first: Array
    basis_row: Array
    basis_times: Array
    basis_constant: Array  # (J,)
    lag: Array  # (O,)
    months: Array  # (O,)
    looked_back: Array  # (O,) state row of the mean basis of the windows before, where there is a lag
    begins: Array  # (T, O) period in which the window of t begins, which may lie before 0
    closes: Array  # (T, O) 1 where a window closes with t
    ends: Array  # (T,) 1 where warm-up or scoring ends with t: nothing is carried on


PHI, BANK_SHARE, CARRY_SHARE, CERTIFICATE_LIMIT, CERTIFICATE_PRICE, DE_MINIMIS, WINDOW = range(7)


def compile_duties(
    layout: Layout, obligations: Sequence[Obligation], registers: Any, dtype: DTypeLike, first_row: int
) -> tuple[Duties, int]:
    """Return the duties with their accounts from state row first_row on, and the row after the last.

    registers: first scratch rows by name.
    """
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("first", "state", "banks", "at_most", "rules", "own_price", "delivered_first", "delivered_row",
                     "delivered_times", "basis_first", "basis_row", "basis_times", "basis_constant", "lag", "months",
                     "looked_back")
    }  # fmt: skip
    row = first_row
    for one in obligations:
        rules = one.flexibility
        own = rules.certificate_price is not None
        columns["first"].append(len(columns["state"]))
        columns["banks"].append(rules.bank_windows)
        columns["at_most"].append(int(one.sense == AT_MOST))
        columns["own_price"].append(int(own))
        columns["rules"].append(
            (one.phi, rules.bank_share, rules.carry_share, rules.certificate_limit,
             rules.certificate_price if own else 0.0, rules.de_minimis, one.window.months)
        )  # fmt: skip
        columns["lag"].append(one.lag)
        columns["months"].append(one.window.months)
        columns["looked_back"].append(row)
        row += 1
        for plant, product in _accounts(layout, one):
            columns["state"].append(row)
            row += _FIELDS + rules.bank_windows
            _add_sum(layout, columns, "delivered", one.delivered, registers, plant, product)
            basis = None if one.lag and plant >= 0 else plant
            constant = _add_sum(layout, columns, "basis", one.basis, registers, -1 if basis is None else plant, product)
            columns["basis_constant"].append(constant)
    for name in ("first", "delivered_first", "basis_first"):
        end = {"first": "state", "delivered_first": "delivered_row", "basis_first": "basis_row"}[name]
        columns[name].append(len(columns[end]))
    real = ("rules", "delivered_times", "basis_times", "basis_constant")
    arrays = {name: np.array(values, dtype=dtype if name in real else np.int64) for name, values in columns.items()}
    arrays["rules"] = arrays["rules"].reshape(-1, 7)
    return Duties(**arrays, **_calendar(layout, obligations)), row


def _accounts(layout: Layout, one: Obligation) -> list[tuple[int, int]]:
    """Return (plant, product) of each account; -1 where one account serves all."""
    if not one.per_plant:
        return [(-1, -1)]
    return [(plant, product) for plant in range(layout.plants) for product in one.delivered.products]


def _calendar(layout: Layout, obligations: Sequence[Obligation]) -> dict[str, Array]:
    suite = layout.suite
    first, periods = parse_month(suite.start), range(suite.periods)
    ends = np.array([t + 1 in (suite.warm_up, suite.warm_up + suite.scored) for t in periods], dtype=np.int64)
    closes = [[int(ends[t] or one.window.closes(first + t)) for one in obligations] for t in periods]
    begins = [[one.window.first_month(first + t) - first for one in obligations] for t in periods]
    shape = (suite.periods, len(obligations))
    return {
        "begins": np.array(begins, dtype=np.int64).reshape(shape),
        "closes": np.array(closes, dtype=np.int64).reshape(shape),
        "ends": ends,
    }


def _add_sum(
    layout: Layout,
    columns: dict[str, list[Any]],
    side: str,
    quantity: Quantity,
    registers: Any,
    plant: int,
    product: int,
) -> float:
    """Append the registers that a quantity adds up, with their coefficients; return what it adds beside them."""
    columns[f"{side}_first"].append(len(columns[f"{side}_row"]))
    if quantity.register == "calendar":
        return 1.0 / MONTHS_PER_YEAR
    for row, times in _terms(layout, quantity, registers, plant, product):
        columns[f"{side}_row"].append(row)
        columns[f"{side}_times"].append(times)
    return 0.0


def _terms(layout: Layout, quantity: Quantity, registers: Any, plant: int, product: int) -> list[tuple[int, float]]:
    name = quantity.register
    products, materials = len(layout.products.archetypes), len(layout.facts.materials)
    if name == "emissions":
        return [(registers.emitted, quantity.scale)]
    if name in ("marketed", "domestic"):
        parts = (
            (("placed", 1.0), ("placed_again", 1.0)) if name == "marketed" else (("virgin", 1.0), ("imported", -1.0))
        )
        return [
            (row, sign * times)
            for register, sign in parts
            for row, times in _rows(quantity, getattr(registers, register), by_material=name == "domestic")
        ]
    if name in ("virgin", "imported"):
        return _rows(quantity, getattr(registers, name), by_material=True)
    if name in LAGGED:
        return _rows(quantity, getattr(registers, name), by_material=False)
    origins = quantity.origins if name == "recycled" else (0,)
    deep = RECYCLED_ORIGINS if name == "recycled" else 1
    plants = range(layout.plants) if plant < 0 else (plant,)
    chosen = quantity.products if product < 0 else (product,)
    return [
        (getattr(registers, name) + ((f * products + p) * materials + m) * deep + o, 1.0)
        for f in plants
        for p in chosen
        for m in quantity.materials
        for o in origins
    ]


def _rows(quantity: Quantity, first: int, *, by_material: bool) -> list[tuple[int, float]]:
    if by_material:
        return [(first + m, 1.0) for m in quantity.materials]
    weights = quantity.weights or (1.0,) * len(quantity.products)
    return [(first + p, weight) for p, weight in zip(quantity.products, weights, strict=True)]


@jit
def keep_past(k, x, w, t, n):
    """Keep the registers that a look-back may need: they lie first, one behind the other."""
    first, kept = k.s.placed, k.r.past + t * k.size.lagged
    for row in range(k.size.lagged):
        now, then = w[first + row], x[kept + row]
        for i in range(n):
            then[i] = now[i]


@jit
def record(k, d, x, w, tm, t, fresh, n):
    """Book period t in the accounts of all obligations, and settle the windows that close with it.

    fresh: the first obligation that was adopted in this period, for which a look-back is due in mid-window.
    """
    for o in range(len(d.lag)):
        if d.lag[o] and (d.begins[t, o] == t or t == 0 or o >= fresh):
            _look_back(k, d, x, o, d.begins[t, o], n)
        for j in range(d.first[o], d.first[o + 1]):
            _sum(w, d.delivered_first, d.delivered_row, d.delivered_times, j, get.number(k, ZERO), k.s.plain, n)
            if d.lag[o]:
                basis, mean = w[k.s.plain + 1], x[d.looked_back[o]]
                for i in range(n):
                    basis[i] = mean[i]
            else:
                _sum(w, d.basis_first, d.basis_row, d.basis_times, j, d.basis_constant[j], k.s.plain + 1, n)
            _add(k, d, x, w, tm, o, j, n)
        if d.closes[t, o]:
            _settle(k, d, x, w, tm, o, d.ends[t], n)


@jit
def _sum(w, first, row, times, j, constant, to, n):
    total = w[to]
    for i in range(n):
        total[i] = constant
    for entry in range(first[j], first[j + 1]):
        register, factor = w[row[entry]], times[entry]
        for i in range(n):
            total[i] += factor * register[i]


@jit
def _look_back(k, d, x, o, begins, n):
    """Write a month's part of the mean basis over the windows before `begins` that were simulated in full."""
    mean, windows = x[d.looked_back[o]], get.number(k, ZERO)
    clear(x, d.looked_back[o], 1, n)
    account = d.first[o]
    for number in range(1, d.lag[o] + 1):
        start = begins - number * d.months[o]
        if start < 0:
            continue
        windows += get.number(k, ONE)
        for month in range(start, start + d.months[o]):
            for entry in range(d.basis_first[account], d.basis_first[account + 1]):
                kept = k.r.past + month * k.size.lagged + d.basis_row[entry] - k.s.placed
                then, factor = x[kept], d.basis_times[entry]
                for i in range(n):
                    mean[i] += factor * then[i]
    if windows > get.number(k, ZERO):
        for i in range(n):
            mean[i] = mean[i] / windows / d.rules[o, WINDOW]


@jit
def _add(k, d, x, w, tm, o, j, n):
    """Add a month to an account's open window."""
    zero, one, at_most = get.number(k, ZERO), get.number(k, ONE), d.at_most[o]
    delivered, basis, theta, in_force = w[k.s.plain], w[k.s.plain + 1], tm[k.q.theta + o], tm[k.q.in_force + o]
    first = d.state[j]
    required, counted, volume = x[first], x[first + 1], x[first + 2]
    for i in range(n):
        required[i] += basis[i] * theta[i]
        counts = in_force[i] if at_most else (one if theta[i] > zero else zero)
        counted[i] += delivered[i] * counts
        volume[i] += basis[i] if in_force[i] > zero else zero


@jit
def _settle(k, d, x, w, tm, o, last, n):
    """Close the windows of an obligation's accounts: charge what is short, and open the next ones."""
    zero, one, tiny = get.number(k, ZERO), get.number(k, ONE), get.number(k, NOTHING)
    need, short = w[k.s.plain + 2], w[k.s.plain + 3]
    clear(w, k.s.plain + 2, 2, n)
    for j in range(d.first[o], d.first[o + 1]):
        _close(k, d, x, w, tm, o, j, last, n)
    duty, missed = w[k.s.flow + a.DUTY], w[k.s.flow + a.SHORT]
    for i in range(n):
        duty[i] += one if need[i] > zero else zero
        share = short[i] / (need[i] if need[i] > tiny else one)
        share = share if share < one else one
        missed[i] += share if need[i] > tiny else zero


@jit
def _close(k, d, x, w, tm, o, j, last, n):
    """Settle one account; add what was due and what is short to plain + 2 and plain + 3."""
    zero, one, rules, first = get.number(k, ZERO), get.number(k, ONE), d.rules[o], d.state[j]
    required, counted, volume, debt = x[first], x[first + 1], x[first + 2], x[first + 3]
    need, short, surplus = w[k.s.plain], w[k.s.plain + 1], w[k.s.value]
    total, at_most, least = w[k.s.plain + 2], d.at_most[o], rules[DE_MINIMIS]
    for i in range(n):
        due = one if volume[i] >= least else zero
        owed = (counted[i] if at_most else required[i]) * due
        have = (required[i] if at_most else counted[i]) * due
        gap = owed + debt[i] - have
        need[i] = owed
        short[i] = gap if gap > zero else zero
        surplus[i] = -gap if gap < zero else zero
        total[i] += owed
        required[i] = zero
        counted[i] = zero
        volume[i] = zero
    _bank(k, d, x, w, o, j, last, n)
    keep = zero if last else one
    price, phi, own = tm[k.q.carbon_price], rules[PHI], d.own_price[o]
    due, lacking = w[k.s.flow + a.DUE], w[k.s.flow + a.LACKING]
    missing, charged, bought_for = w[k.s.plain + 3], w[k.s.money + a.SHORTFALL], w[k.s.money + a.CERTIFICATES]
    carry, limit, fixed = rules[CARRY_SHARE], rules[CERTIFICATE_LIMIT], rules[CERTIFICATE_PRICE]
    for i in range(n):
        most = carry * need[i]
        carried = keep * (short[i] if short[i] < most else most)
        rest = short[i] - carried
        each = fixed if own else price[i]
        most = limit * need[i]
        bought = rest if rest < most else most
        bought = bought if each <= phi else zero
        rest -= bought
        debt[i] = carried
        missing[i] += rest
        charged[i] += rest * phi
        lacking[i] += rest * phi
        due[i] += need[i] * phi
        bought_for[i] += bought * each if bought > zero else zero  # the price may be infinite: none are sold


@jit
def _bank(k, d, x, w, o, j, last, n):
    """Draw on what earlier windows left over, oldest first; the oldest lapses, this window's surplus is put away."""
    windows, zero, one = d.banks[o], get.number(k, ZERO), get.number(k, ONE)
    if windows == 0:
        return
    first, share = d.state[j] + 4, zero if last else d.rules[o, BANK_SHARE]
    short, surplus, keep = w[k.s.plain + 1], w[k.s.value], zero if last else one
    for number in range(windows):
        kept = x[first + number]
        for i in range(n):
            drawn = short[i] if short[i] < kept[i] else kept[i]
            kept[i] -= drawn
            short[i] -= drawn
    for number in range(windows - 1):
        kept, newer = x[first + number], x[first + number + 1]
        for i in range(n):
            kept[i] = keep * newer[i]
    newest = x[first + windows - 1]
    for i in range(n):
        newest[i] = surplus[i] * share
