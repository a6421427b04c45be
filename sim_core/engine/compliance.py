"""Compliance: what law measures (the Register), and the books in which duties are settled over their legal windows.

A Register holds, for one period, arrays by name; B cells last. Units are units of product, masses kg.

    content (plants, P, M, B)        material in good output
    recycled (plants, P, M, 3, B)    the recycled part of it by origin: post-consumer, manufacturing scrap, external
    placed, placed_again (P, B)      new units sold; units sold again, reused or remanufactured
    ended, collected (P, B)          units that came to their end; units collected
    reused, landfilled, exported (P, B)     units reused, remanufactured or in second life; landfilled; exported
    treated_mass, recovered_mass (P, B)     post-consumer feed that recyclers processed; mass recovered from it
    virgin, imported (M, B)          virgin material bought; the part of it bought overseas
    imported_goods (P, B)            units bought overseas
    emissions (B,)                   kgCO2e of processes
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sim_core.policy.kinds import AT_MOST
from sim_core.policy.obligation import BY_MASS, BY_MATERIAL, BY_PRODUCT, Obligation, Quantity
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR, parse_month

Array = NDArray[np.float64]
Register = Mapping[str, Array]
_KEPT_MONTHS = 240  # of past registers: the longest look-back, ten years, and the longest window with one


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Windows that closed in a period: amounts (O, B) in each obligation's unit, 0 where none did; charges EUR (B,).

    duty: what was owed; of a largest value, the amount that had to be covered (so 1 - short / duty is compliance in
    both cases, undefined where duty is 0). delivered: what counted towards it in the window, before flexibility; of a
    largest value, what was allowed. certificates: bought. carried: left to the next window. due: phi x duty, EUR (B,).
    """

    duty: Array
    delivered: Array
    short: Array
    certificates: Array
    carried: Array
    shortfall_charge: Array
    certificate_charge: Array
    due: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """What an obligation's account holds of one cell between two periods: amounts (rows,) in its unit.

    required: theta x F so far. counted: delivered so far. debt: carried on from the window before. bank: surpluses that
    may be drawn on, the oldest first.
    """

    required: Array
    counted: Array
    debt: Array
    bank: tuple[Array, ...]


class ComplianceBook:
    """The open windows of all obligations, for B cells.

    A window's duty is the sum over its months of theta_t x F_t. What is delivered counts in the months in which a duty
    applies; a largest value counts the part of a month in which it is in force. A window closes on its legal date, and
    where warm-up and scoring end, so that each month is settled on its own side: there nothing is carried forward and
    banks are emptied.
    """

    def __init__(self, obligations: Sequence[Obligation], suite: SuiteDefinition, *, plants: int, cells: int) -> None:
        self._suite, self._plants, self._cells = suite, plants, cells
        self._first = parse_month(suite.start)
        self._past: dict[str, list[Array]] = {name: [] for name in _LAGGED}
        self._looked_back: dict[tuple[str, int], Array] = {}
        self._periods = 0
        self._accounts: list[_Account] = []
        self.adopt(obligations)

    def adopt(self, obligations: Sequence[Obligation]) -> None:
        """Open books for the obligations beyond those that are open: after an instrument was injected."""
        for obligation in obligations[len(self._accounts) :]:
            rows = self._plants * len(obligation.delivered.products) if obligation.per_plant else 1
            self._accounts.append(_Account(obligation, rows, self._cells))

    def open_window(self, row: int, cell: int) -> OpenWindow | None:
        """Return the account of an obligation, by its place, of one cell; None before its books are open."""
        return self._accounts[row].as_it_stands(cell) if row < len(self._accounts) else None

    def past(self, basis: Quantity, start: int, end: int, cell: int) -> float:
        """Return a basis over the periods [start, end) that are over, of one cell."""
        return float(self._past_total(basis, start, end)[0, cell]) if start < end else 0.0

    def record(
        self, t: int, register: Register, *, theta: Array, in_force: Array, carbon_price: Array
    ) -> Settlement | None:
        """Book period t and settle the windows that close with it; None where none does.

        theta, in_force: (O, B) of the period's law. carbon_price: (B,) EUR/t.
        """
        month = self._first + t
        ends = t + 1 in (self._suite.warm_up, self._suite.warm_up + self._suite.scored)
        for row, account in enumerate(self._accounts):
            account.add(self._volumes(account.obligation, register, month), theta[row], in_force[row])
        self._remember(register)
        closing = [ends or account.obligation.window.closes(month) for account in self._accounts]
        if not any(closing):
            return None
        amounts = np.zeros((5, len(self._accounts), self._cells))
        charges = np.zeros((3, self._cells))
        for row, account in enumerate(self._accounts):
            if closing[row]:
                account.close(amounts[:, row], charges, carbon_price, last=ends)
        duty, delivered, short, certificates, carried = amounts
        return Settlement(
            duty=duty,
            delivered=delivered,
            short=short,
            certificates=certificates,
            carried=carried,
            shortfall_charge=charges[0],
            certificate_charge=charges[1],
            due=charges[2],
        )

    def _volumes(self, obligation: Obligation, register: Register, month: int) -> tuple[Array, Array]:
        """Return what is delivered and the basis of a month, (rows, B) or (1, B)."""
        delivered = amount(obligation.delivered, register, per_plant=obligation.per_plant)
        if obligation.lag:
            key = (obligation.id, obligation.window.first_month(month))
            if key not in self._looked_back:
                self._looked_back[key] = self._look_back(obligation, key[1])
            return delivered, self._looked_back[key]
        return delivered, amount(obligation.basis, register, per_plant=obligation.per_plant)

    def _look_back(self, obligation: Obligation, begins: int) -> Array:
        """Return a month's part of the mean basis over the windows before `begins` that were simulated in full."""
        window = obligation.window
        totals: list[Array] = []
        for number in range(obligation.lag, 0, -1):
            start = begins - number * window.months - self._first
            if start >= 0:
                totals.append(self._past_total(obligation.basis, start, start + window.months))
        if not totals:
            return np.zeros((1, self._cells))
        return np.add.reduce(totals) / len(totals) / window.months

    def _past_total(self, basis: Quantity, start: int, end: int) -> Array:
        oldest = self._periods - len(self._past[basis.register])
        months = self._past[basis.register][start - oldest : end - oldest]
        return amount(basis, {basis.register: np.add.reduce(months)}, per_plant=False)

    def _remember(self, register: Register) -> None:
        """Keep the registers that a look-back may need, obligations or not: law may be injected later."""
        for name, kept in self._past.items():
            kept.append(_read(name, register).copy())
            del kept[:-_KEPT_MONTHS]
        self._periods += 1


class _Account:
    """The open window of one obligation: rows are plants x products, or the whole system."""

    def __init__(self, obligation: Obligation, rows: int, cells: int) -> None:
        self.obligation = obligation
        self._required = np.zeros((rows, cells))  # theta x F
        self._counted = np.zeros((rows, cells))
        self._volume = np.zeros((rows, cells))  # of the basis, in months in force
        self._debt = np.zeros((rows, cells))
        self._bank = [np.zeros((rows, cells)) for _ in range(obligation.flexibility.bank_windows)]

    def as_it_stands(self, cell: int) -> OpenWindow:
        return OpenWindow(
            required=self._required[:, cell].copy(),
            counted=self._counted[:, cell].copy(),
            debt=self._debt[:, cell].copy(),
            bank=tuple(kept[:, cell].copy() for kept in self._bank),
        )

    def add(self, volumes: tuple[Array, Array], theta: Array, in_force: Array) -> None:
        delivered, basis = volumes
        at_most = self.obligation.sense == AT_MOST
        self._required += basis * theta
        self._counted += delivered * (in_force if at_most else theta > 0.0)
        if self.obligation.flexibility.de_minimis:
            self._volume += basis * (in_force > 0.0)

    def close(self, amounts: Array, charges: Array, carbon_price: Array, *, last: bool) -> None:
        """Settle into amounts (5, B) and charges (3, B), and open the next window."""
        rules, phi = self.obligation.flexibility, self.obligation.phi
        due = self._volume >= rules.de_minimis if rules.de_minimis else np.ones_like(self._volume, dtype=bool)
        at_most = self.obligation.sense == AT_MOST
        need, have = (self._counted, self._required) if at_most else (self._required, self._counted)
        need, have = need * due, have * due
        gap = need + self._debt - have
        short, surplus = np.maximum(0.0, gap), np.maximum(0.0, -gap)
        short = self._draw_on_bank(short)
        carried = np.zeros_like(short) if last else np.minimum(short, rules.carry_share * need)
        short = short - carried
        price = carbon_price if rules.certificate_price is None else rules.certificate_price
        bought = np.minimum(short, rules.certificate_limit * need) * (price <= phi)
        short = short - bought
        for row, value in enumerate((need, have, short, bought, carried)):
            amounts[row] = value.sum(axis=0)
        charges[0] += (short * phi).sum(axis=0)
        charges[2] += (need * phi).sum(axis=0)
        if rules.certificate_limit:
            charges[1] += (bought * price).sum(axis=0)
        self._open_next(surplus, carried, last=last)

    def _draw_on_bank(self, short: Array) -> Array:
        for number, kept in enumerate(self._bank):
            drawn = np.minimum(short, kept)
            self._bank[number], short = kept - drawn, short - drawn
        return short

    def _open_next(self, surplus: Array, carried: Array, *, last: bool) -> None:
        rules = self.obligation.flexibility
        if self._bank:  # the oldest surplus, first in the list, lapses
            kept = np.zeros_like(surplus) if last else surplus * rules.bank_share
            self._bank = [np.zeros_like(old) if last else old for old in self._bank[1:]] + [kept]
        self._debt = carried
        for open_window in (self._required, self._counted, self._volume):
            open_window[...] = 0.0


def amount(quantity: Quantity, register: Register, *, per_plant: bool) -> Array:
    """Return a quantity of one period: (1, B), or by plant and product (plants x P, B)."""
    name = quantity.register
    if name == "calendar":
        return np.full((1, 1), 1.0 / MONTHS_PER_YEAR)
    value = _read(name, register)
    if name == "emissions":
        return quantity.scale * value[None, :]
    if name in BY_PRODUCT or name in BY_MASS:
        chosen = value[_pick(quantity.products)]
        weighed = chosen * np.array(quantity.weights)[:, None] if quantity.weights else chosen
        return weighed.sum(axis=0, keepdims=True)
    if name in BY_MATERIAL:
        return value[_pick(quantity.materials)].sum(axis=0, keepdims=True)
    chosen = value[:, _pick(quantity.products)][:, :, _pick(quantity.materials)]
    if name == "recycled":
        chosen = chosen[:, :, :, _pick(quantity.origins)].sum(axis=3)
    by_row = chosen.sum(axis=2).reshape(-1, chosen.shape[-1])
    return by_row if per_plant else by_row.sum(axis=0, keepdims=True)


@cache
def _pick(indices: tuple[int, ...]) -> slice | list[int]:
    """Return an index; of neighbours a slice, which copies nothing."""
    if indices and indices == tuple(range(indices[0], indices[-1] + 1)):
        return slice(indices[0], indices[-1] + 1)
    return list(indices)


def _read(name: str, register: Register) -> Array:
    """Return a register, or one that follows from others unless it is there itself: of past months it is."""
    return register[name] if name in register else _DERIVED[name](register)


_DERIVED: Mapping[str, Callable[[Register], Array]] = {
    "marketed": lambda register: register["placed"] + register["placed_again"],
    "domestic": lambda register: register["virgin"] - register["imported"],
}
_LAGGED = (*BY_PRODUCT, *BY_MASS, "virgin")
