"""Obligations over their legal windows, as columns and rows: the image of each duty in the linear programme.

In every trajectory the charge here is at most the engine's. A shortfall is at least what is due and owed from before,
less what was delivered, drawn from the bank, carried on and covered by certificates; the engine's fixed order of these
is left free. A duty with a de-minimis rule counts from that volume on.
"""

import numpy as np

from sim_core.bound.model import Model, add_to
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.engine.compliance import OpenWindow
from sim_core.policy.kinds import AT_MOST
from sim_core.policy.obligation import BY_MASS, BY_MATERIAL, BY_PRODUCT, Obligation, Quantity
from sim_core.units import MONTHS_PER_YEAR, parse_month

Window = tuple[int, int, bool]  # first period, period after the last one, whether nothing outlives its closing


def settle(model: Model) -> Sum:
    """Charge all obligations; return the sum of phi x shortfall over scored windows, (1,) EUR, undiscounted."""
    lacking = Sum(1)
    for number, obligation in enumerate(model.outlook.obligations):
        if obligation.phi > 0.0 or obligation.flexibility.certificate_limit:
            _Account(model, number, obligation).settle(lacking)
    return lacking


class _Account:
    """One obligation: rows are plants x products, or the whole system."""

    def __init__(self, model: Model, number: int, obligation: Obligation) -> None:
        self._model, self._obligation, self._number = model, obligation, number
        self._theta = model.outlook.term("theta")[:, number]
        self._in_force = model.outlook.term("in_force")[:, number]
        self._windows = _windows(model, obligation)
        delivered = _amount(model, obligation.delivered, per_plant=obligation.per_plant)
        basis = self._basis()
        at_most = obligation.sense == AT_MOST
        counts = self._in_force if at_most else (self._theta > 0.0).astype(np.float64)
        self._rows = delivered.at.shape[1]
        counted, required = self._by_window(delivered, counts), self._by_window(basis, self._theta)
        self._before = self._open_window(number)
        if self._before is not None:
            required.constant[0] += self._before.required
            counted.constant[0] += self._before.counted
        self._need, self._have = (counted, required) if at_most else (required, counted)

    def settle(self, lacking: Sum) -> None:
        """Charge what is short in each window that closes in a scored period."""
        model, program, rules = self._model, self._model.program, self._obligation.flexibility
        if rules.carry_share or rules.bank_windows:
            model.relaxed.add("flexibility")
        size, phi = self._rows, self._obligation.phi
        debt: Index | None = None
        bank = self._kept_before()  # rows that limit draws on the surpluses of windows before, the oldest first
        for number, (_, end, last) in enumerate(self._windows if size else ()):
            if not self._matters(number) and debt is None and not bank:
                continue
            weight = model.weight[end - 1]
            rows = program.rows(size, lower=-np.inf, upper=self._free_volume(number))
            self._put(rows, self._need, number, 1.0)
            self._put(rows, self._have, number, -1.0)
            short = program.columns(size)
            program.put(rows, short, -1.0)
            program.charge(short, weight * phi)
            lacking.add(lacking.at[0], short, model.outlook.scored[end - 1] * phi)
            if debt is not None:
                program.put(rows, debt, 1.0)
            elif number == 0 and self._before is not None:
                program.put_constant(rows, self._before.debt)
            debt = self._flexible(rows, number, rules.carry_share) if rules.carry_share and not last else None
            if rules.certificate_limit:
                bought = self._flexible(rows, number, rules.certificate_limit)
                price = rules.certificate_price
                price = model.outlook.term("carbon_price")[end - 1] if price is None else price
                program.charge(bought, weight * price)
            bank = self._bank(rows, bank, last=last)

    def _matters(self, number: int) -> bool:
        begin, end, _ = self._windows[number]
        owed = self._before.required.any() or self._before.debt.any() if number == 0 and self._before else False
        return bool(owed or self._in_force[begin:end].any() or self._theta[begin:end].any())

    def _open_window(self, number: int) -> OpenWindow | None:
        """Return what the books hold of the window that is open at the start, if it closes in a scored period."""
        book = self._model.outlook.compliance
        if book is None or not self._windows or self._windows[0][0] > 0:
            return None
        return book.open_window(number, self._model.outlook.cell)

    def _kept_before(self) -> list[Index]:
        if self._before is None or not any(kept.any() for kept in self._before.bank):
            return []
        return [self._model.program.rows(self._rows, lower=-np.inf, upper=kept) for kept in self._before.bank]

    def _free_volume(self, number: int) -> float:
        """Return what may lack because of a de-minimis rule: the duty of a volume just below it."""
        least = self._obligation.flexibility.de_minimis
        if not least:
            return 0.0
        self._model.relaxed.add("de_minimis")
        if self._obligation.sense == AT_MOST:
            return np.inf
        begin, end, _ = self._windows[number]
        outlook, whole = self._model.outlook, self._obligation.window.months
        begins = begin + outlook.first - (whole if number == 0 else 0)  # the open window's past months too
        theta = outlook.terms["theta"][max(0, begins) : end + outlook.first, self._number]
        return least * float(theta.max())

    def _flexible(self, rows: Index, number: int, share: float) -> Index:
        """Return columns that fill a shortfall up to a share of the window's need."""
        program = self._model.program
        columns, most = program.columns(self._rows), program.rows(self._rows, lower=-np.inf)
        program.put(rows, columns, -1.0)
        program.put(most, columns, 1.0)
        self._put(most, self._need, number, -share)
        return columns

    def _bank(self, rows: Index, bank: list[Index], *, last: bool) -> list[Index]:
        """Draw on kept surpluses, and keep this window's; return the rows that hold what is left of each to draw on."""
        program, rules = self._model.program, self._obligation.flexibility
        for kept in bank:
            drawn = program.columns(self._rows)
            program.put(rows, drawn, -1.0)
            program.put(kept, drawn, 1.0)
        if last or not rules.bank_windows:
            return []
        surplus, kept = program.columns(self._rows), program.rows(self._rows, lower=-np.inf)
        program.put(rows, surplus, 1.0)
        program.put(kept, surplus, -rules.bank_share)
        return [*bank, kept][-rules.bank_windows :]

    def _put(self, rows: Index, total: Sum, number: int, factor: float) -> None:
        """Add a window's expressions to rows (size,)."""
        window = total.at[number]
        first, stop = int(window[0]), int(window[-1]) + 1
        for at, column, value in total.terms:
            mine = (at >= first) & (at < stop)
            self._model.program.put(rows[at[mine] - first], column[mine], factor * value[mine])
        self._model.program.put_constant(rows, factor * total.constant[number])

    def _by_window(self, monthly: Sum, factor: Array) -> Sum:
        """Return what a month's expressions (T, rows) times factor (T,) make in each window, (windows, rows)."""
        total = Sum(len(self._windows), self._rows)
        to = np.zeros(self._model.periods, dtype=np.intp)
        inside = np.zeros(self._model.periods)
        for number, (begin, end, _) in enumerate(self._windows):
            to[begin:end], inside[begin:end] = number, 1.0
        place = np.broadcast_to(total.at[to], (self._model.periods, self._rows))
        wide = np.broadcast_to((factor * inside)[:, None], place.shape)
        source = monthly
        if monthly.at.shape[1] != self._rows:  # what is the same for all rows
            source = Sum(*place.shape)
            add_to(source, source.at[:, :1], monthly)
        add_to(total, place, source, wide)
        return total

    def _basis(self) -> Sum:
        """Return the basis of each month, (T, rows) or (T, 1); with a look-back, the months' part of its mean."""
        model, obligation = self._model, self._obligation
        own = _amount(model, obligation.basis, per_plant=obligation.per_plant)
        if not obligation.lag:
            return own
        total, first = Sum(model.periods, 1), parse_month(model.layout.suite.start)
        window = obligation.window
        for t in range(model.periods):
            begins = window.first_month(first + model.outlook.first + t) - first
            spans = [begins - k * window.months for k in range(obligation.lag, 0, -1)]
            known = [start for start in spans if start >= 0]
            for start in (span - model.outlook.first for span in known):
                part = 1.0 / len(known) / window.months
                total.constant[t] += part * self._past(start, min(start + window.months, 0))
                for at, column, value in own.terms:
                    mine = (at >= start) & (at < start + window.months)
                    total.add(total.at[t, 0], column[mine], part * value[mine])
                total.constant[t] += part * own.constant[max(0, start) : max(0, start + window.months)].sum()
        return total

    def _past(self, start: int, end: int) -> float:
        """Return the basis of periods [start, end) before the stretch's start, counted from there."""
        outlook = self._model.outlook
        if outlook.compliance is None:
            return 0.0
        first = outlook.first
        return outlook.compliance.past(self._obligation.basis, first + start, first + end, outlook.cell)


def _windows(model: Model, obligation: Obligation) -> list[Window]:
    """Return the windows that close in scored periods; each month is settled on its own side of the horizon's ends."""
    suite, first = model.layout.suite, parse_month(model.layout.suite.start)
    ends = (suite.warm_up, suite.warm_up + suite.scored)
    found: list[Window] = []
    begin = 0
    for t in range(model.periods):
        now = model.outlook.first + t
        last = now + 1 in ends or t + 1 == model.periods
        if last or obligation.window.closes(first + now):
            if model.outlook.scored[t]:
                found.append((begin, t + 1, last))
            begin = t + 1
    return found


def _amount(model: Model, quantity: Quantity, *, per_plant: bool) -> Sum:
    """Return a quantity of each month: (T, 1), or by plant and product (T, plants x P)."""
    name, periods = quantity.register, model.periods
    total = Sum(periods, 1)
    if name == "calendar":
        total.constant += 1.0 / MONTHS_PER_YEAR
        return total
    register = model.register[name]
    if name == "emissions":
        add_to(total, total.at[:, 0], register, quantity.scale)
        return total
    if name in BY_PRODUCT or name in BY_MASS:
        weight = np.zeros(model.products)
        weight[list(quantity.products)] = quantity.weights or 1.0
        add_to(total, np.broadcast_to(total.at, register.at.shape), register, weight)
        return total
    if name in BY_MATERIAL:
        weight = np.zeros(model.materials)
        weight[list(quantity.materials)] = 1.0
        add_to(total, np.broadcast_to(total.at, register.at.shape), register, weight)
        return total
    return _of_plants(model, quantity, register, per_plant=per_plant)


def _of_plants(model: Model, quantity: Quantity, register: Sum, *, per_plant: bool) -> Sum:
    """Return content or recycled content, (T, plants, P, M) or with origins behind, of the quantity's part."""
    weight = np.zeros(register.at.shape[2:])
    if register.at.ndim == 5:
        weight[np.ix_(quantity.products, quantity.materials, quantity.origins)] = 1.0
    else:
        weight[np.ix_(quantity.products, quantity.materials)] = 1.0
    plants, chosen = model.layout.plants, len(quantity.products)
    total = Sum(model.periods, plants * chosen if per_plant else 1)
    place = np.zeros(register.at.shape[:3], dtype=np.intp)
    if per_plant:
        for i, p in enumerate(quantity.products):
            place[:, :, p] = np.arange(plants) * chosen + i
    to = total.at[np.arange(model.periods)[:, None, None], place]
    to = to.reshape(*to.shape, *([1] * (register.at.ndim - 3)))
    add_to(total, np.broadcast_to(to, register.at.shape), register, weight)
    return total
