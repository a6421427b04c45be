"""Model: the linear programme of a stretch of periods under way, and what all its steps share.

Steps mirror the engine's: what a step there books on the ledger, it charges here, weighed and with the same rates.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from sim_core.bound.outlook import Array, Outlook
from sim_core.bound.program import Index, Program, Sum
from sim_core.engine.lanes import Lanes
from sim_core.engine.layout import ORIGINS
from sim_core.network import GOODS_POINTS, LaneGroup, NodeKind
from sim_core.units import KG_PER_T

_GOODS = (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL, LaneGroup.REMAN_GOODS, LaneGroup.REUSE)
_HELD = (*_GOODS, LaneGroup.RETURNS, LaneGroup.CORES, LaneGroup.REMAN_FEED)  # at the sender's rate while in transit
_PIPES = (
    *_HELD, LaneGroup.RECYCLE_FEED, LaneGroup.SCRAP, LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS,
    LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.SECONDARY,
)  # fmt: skip


class Model:
    """program: what is built. columns: the free decisions by name, for sim_core.bound.flows. register: what law
    measures in each period, by name, as in sim_core.engine.compliance but by period first. relaxed: names of the
    relaxations that were used.
    """

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self.layout = outlook.layout
        self.program = Program()
        self.columns: dict[str, Index] = {}
        self.relaxed: set[str] = set()
        self.lost = Sum(outlook.periods)  # units lost in scored periods
        self.weight, self.periods = outlook.weight, outlook.periods
        self.products = len(self.layout.products.archetypes)
        self.lives = outlook.lives
        self.materials = len(self.layout.facts.materials)
        self._arrivals: dict[LaneGroup, Sum] = {}
        self.register: dict[str, Sum] = {"emissions": Sum(self.periods)}
        for name in ("reused", "landfilled", "treated_mass", "recovered_mass"):
            self.register[name] = Sum(self.periods, self.products)
        for name in ("ended", "collected", "placed", "placed_again", "marketed"):
            self.register[name] = Sum(self.periods, self.products)
        content = (self.periods, self.layout.plants, self.products, self.materials)
        self.register |= {"content": Sum(*content), "recycled": Sum(*content, len(ORIGINS) - 1)}
        for name in ("virgin", "imported", "domestic"):
            self.register[name] = Sum(self.periods, self.materials)
        for group in _PIPES:
            self._under_way(group)

    # ---- money

    def pay(self, total: Sum, rate: Any) -> None:
        """Charge a rate in EUR, (T, ...) or broadcast behind it, on expressions (T, ...), discounted."""
        self.program.charge_sum(total, self.by_period(self.weight, total) * np.asarray(rate))

    def price(self, columns: Index, rate: Any) -> None:
        """Charge a rate in EUR on columns (T, ...), discounted."""
        weight = self.weight.reshape(-1, *([1] * (columns.ndim - 1)))
        self.program.charge(columns, weight * np.asarray(rate))

    def keep(self, columns: Index, value: Array) -> None:
        """Charge stocks at period ends, (T, ...), for their value (T, ...): holding, opening, terminal."""
        self.program.charge(columns, self.outlook.stock_weight(value))

    def emit(self, total: Sum, kilograms: Any) -> None:
        """Book process emissions in kgCO2e per unit, (T, ...), and what law charges by weight."""
        self.pay(total, self.by_period(self.outlook.term("emission_charge"), total) / KG_PER_T * np.asarray(kilograms))
        self.count("emissions", total, kilograms)

    def count(self, name: str, total: Sum, factor: Any = 1.0) -> None:
        """Add factor x expressions (T, ...) to a register, summed over the axes that the register lacks.

        A register by product takes expressions whose axes are (T, n, P, ...) or (T, P).
        """
        register = self.register[name]
        shape = total.at.shape
        axis = 2 if len(shape) > 2 else 1
        to = register.at.reshape(-1, *([1] * (len(shape) - 1)))
        if register.at.ndim == 2:
            to = register.at.reshape(-1, *([1] * (axis - 1)), shape[axis], *([1] * (len(shape) - axis - 1)))
        add_to(register, np.broadcast_to(to, shape), total, factor)

    @staticmethod
    def by_period(values: Array, total: Sum) -> Array:
        """Return values (T,) shaped to multiply expressions (T, ...)."""
        return values.reshape(-1, *([1] * (total.at.ndim - 1)))

    # ---- cargo

    def sum_of(self, columns: Index, factor: Any = 1.0) -> Sum:
        """Return columns as expressions of the same shape."""
        total = Sum(*columns.shape)
        total.add(total.at, columns, factor)
        return total

    def arrive(self, group: LaneGroup) -> Sum:
        """Return what arrives at a group's receivers, (T, n, *cargo). Steps that send come before."""
        return self._arrivals[group]

    def send(self, group: LaneGroup, amount: Sum) -> None:
        """Spread what senders ship, (T, n, ...), over their lanes by share; senders without a lane dispose of it."""
        lanes = self.layout.lanes[group]
        if not lanes.served.all():
            self.dispose(amount, 1.0 - lanes.served)
        self.spread(group, amount)

    def spread(self, group: LaneGroup, amount: Sum) -> None:
        """Spread what senders ship, (T, n, ...), over their lanes by share; what has no lane stays out."""
        lanes = self.layout.lanes[group]
        self._ship(group, amount, zip(lanes.sender, lanes.share, strict=True))

    def send_by_lane(self, group: LaneGroup, amount: Sum, *, lead: Index | None = None) -> None:
        """Ship what each lane of a group is chosen to carry, (T, E, ...). lead: other lead times, (E,)."""
        self._ship(group, amount, ((e, 1.0) for e in range(self.layout.lanes[group].count)), lead)

    def freight(self, group: LaneGroup, amount: Sum) -> None:
        """Charge freight on what lanes carry, (T, E, P, ...) in units or (T, E, M, ...) in kg."""
        cost = self.layout.lanes[group].freight[0, :, :, 0]  # (E, P or 1)
        self.pay(amount, cost.reshape(1, *cost.shape, *([1] * (amount.at.ndim - 3))))

    def dispose(self, amount: Sum, share: Array) -> None:
        """Take a share (n,) of units (T, n, P, ...) out of the system as waste, at the cost of disposal."""
        mass = self.layout.products.mass * self.layout.value("disposal.cost")[:, 0]
        tail = [1] * (amount.at.ndim - 3)
        part = share.reshape(1, -1, 1, *tail)
        self.pay(amount, part * mass.reshape(1, 1, -1, *tail))
        carbon = self.layout.products.mass * self.layout.value("disposal.carbon")[:, 0]
        self.emit(amount, part * carbon.reshape(1, 1, -1, *tail))

    def _under_way(self, group: LaneGroup) -> None:
        """Start a group's arrivals with what is on its lanes already, and charge its holding."""
        lanes, sent = self.layout.lanes[group], self.outlook.arrivals(group)
        receivers = len(lanes.to_receiver.indptr) - 1
        total = Sum(self.periods, receivers, *sent.shape[2:])
        for e in range(lanes.count):
            total.constant[:, lanes.receiver[e]] += sent[:, e]
        self._arrivals[group] = total
        # Cargo that arrives in position k has been there at the ends of the periods 0 .. k - 1.
        until = np.concatenate([np.zeros((1, *sent.shape[2:])), np.cumsum(sent.sum(axis=1)[::-1], axis=0)])[::-1]
        later = self.outlook.arriving_later(group)
        there = until[1:] + later.sum(axis=0)  # (T, *cargo): what is still under way at each period's end
        value = self._value(group, sent.ndim)
        stock = self.outlook.stock_weight(value)[:, 0]
        self.program.constant += float((stock * there).sum())
        at_start = sent.sum(axis=(0, 1)) + later.sum(axis=0)
        self.program.constant += float((self.outlook.opening_factor(value)[0] * at_start).sum())
        rate = self._sender_rate(group)
        if rate is not None:
            by_lane = sent.sum(axis=tuple(range(2, sent.ndim)))
            left = np.cumsum(by_lane[::-1], axis=0)[::-1] - by_lane + later.sum(axis=tuple(range(1, later.ndim)))
            self.program.constant += float((self.weight[:, None] * rate * left).sum())

    def _value(self, group: LaneGroup, axes: int) -> Array:
        """Return the value of a unit of cargo in each period, (T, 1, P or M, 1...), for cargo of `axes` axes."""
        if group.cargo == "material":
            value = self.outlook.term("virgin_price")
        else:
            value = self.outlook.goods_value if group in _GOODS else self.outlook.core_value
        return value.reshape(self.periods, 1, -1, *([1] * (axes - 3)))

    def _sender_rate(self, group: LaneGroup) -> Array | None:
        """Return what senders charge for a unit in transit and period, (E,); None where nothing."""
        if group not in _HELD:
            return None
        rates, lanes = self.layout.rates.holding, self.layout.lanes[group]
        goods = np.concatenate([rates[kind] for kind in GOODS_POINTS])
        of_kind = {**rates, NodeKind.PLANT: goods, NodeKind.WAREHOUSE: goods}
        senders = rates[NodeKind.WAREHOUSE] if group is LaneGroup.LATERAL else of_kind[group.senders[0]]
        return senders[lanes.sender] if senders.any() else None

    def _ship(
        self, group: LaneGroup, amount: Sum, parts: Iterable[tuple[int, float]], lead: Index | None = None
    ) -> None:
        """Carry factor x amount[:, row] on each lane e, (row, factor) the e-th of parts: freight, transit, arrival."""
        lanes: Lanes = self.layout.lanes[group]
        leads = lanes.lead if lead is None else lead
        rate, cost = self._sender_rate(group), lanes.freight[0, :, :, 0]
        value = self.outlook.stock_weight(self._value(group, amount.at.ndim))
        shape, tail = amount.at.shape, [1] * (amount.at.ndim - 3)
        arriving = self._arrivals[group]
        sums = np.concatenate([np.zeros((1, *value.shape[1:])), np.cumsum(value, axis=0)])
        held = np.concatenate([[0.0], np.cumsum(self.weight)])
        split = _by_row(amount)
        for e, (row, factor) in enumerate(parts):
            end = np.minimum(np.arange(self.periods) + leads[e], self.periods)
            charge = (sums[end] - sums[:-1])[:, 0] + self.weight.reshape(-1, 1, *tail) * cost[e].reshape(1, -1, *tail)
            if rate is not None:
                charge = charge + rate[e] * (held[end] - held[:-1]).reshape(-1, 1, *tail)
            charge = np.broadcast_to(factor * charge, (shape[0], *shape[2:])).ravel()
            for period, rest, column, coefficient in split.get(int(row), ()):
                self.program.charge(column, coefficient * charge[period * int(np.prod(shape[2:])) + rest])
                late = period + leads[e] < self.periods
                at = arriving.at[:, lanes.receiver[e]].reshape(self.periods, -1)
                arriving.add(at[(period + leads[e])[late], rest[late]], column[late], factor * coefficient[late])


def _by_row(amount: Sum) -> dict[int, list[tuple[Index, Index, Index, Array]]]:
    """Return the terms of expressions (T, n, ...) by their row n: (period, position in the rest, column, value)."""
    if amount.constant.any():
        raise ValueError("what is sent must be made of columns alone")
    size = int(np.prod(amount.at.shape[2:]))
    rows = amount.at.shape[1]
    found: dict[int, list[tuple[Index, Index, Index, Array]]] = {}
    for at, column, value in amount.terms:
        period, inner = np.divmod(at, rows * size)
        row, rest = np.divmod(inner, size)
        for number in np.unique(row):
            mine = row == number
            found.setdefault(int(number), []).append((period[mine], rest[mine], column[mine], value[mine]))
    return found


def add_to(target: Sum, to: Index, source: Sum, factor: Any = 1.0) -> None:
    """Add factor x source to the expressions of `target` at positions `to`, both of the source's shape."""
    place = to.ravel()
    scale = np.broadcast_to(np.asarray(factor, dtype=np.float64), source.at.shape).ravel()
    for at, column, value in source.terms:
        target.add(place[at], column, value * scale[at])
    np.add.at(target.constant.reshape(-1), place, source.constant.ravel() * scale)
