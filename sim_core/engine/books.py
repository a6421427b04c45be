"""The books of a period: holding cost, annuities, opening and terminal values, mass balance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim_core.engine.period import Array, Period
from sim_core.engine.state import BY_CLASS
from sim_core.engine.worth import unit_worth
from sim_core.errors import BalanceError
from sim_core.ledger import Account
from sim_core.network import GOODS_POINTS, LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR

TOLERANCE = 1e-9  # of the balance, relative to the period's flow or a ten-thousandth of the mass in the system


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All mass in the system at one moment.

    product: (P, B) units, scrap included; in_use: those with users, hibernating ones too. loose: (M, B) kg of material.
    """

    product: Array
    in_use: Array
    loose: Array


def take_stock(p: Period) -> Holdings:
    """Count what is in the system now."""
    in_use = p.state.use.total()
    return Holdings(product=p.state.product() + in_use, in_use=in_use, loose=p.state.loose_material())


def hold(p: Period, holdings: Holdings) -> None:
    """Charge the holding of end stocks and of goods in transit, and the annuity of built capacity."""
    rate = p.layout.common("holding.rate") / MONTHS_PER_YEAR
    if rate > 0.0:
        p.pay(Account.HOLDING, rate * _stock_value(p, holdings))
    for amount in _held(p):
        p.pay(Account.HOLDING, amount)
    p.pay(Account.CAPEX, p.capacity.annuity(p.t))


def _held(p: Period) -> Iterator[Array]:
    """Yield what nodes charge for units (recyclers: kg) on hand, and in transit at the sender's rate."""
    state, rates = p.state, p.layout.rates.holding
    goods = np.concatenate([rates[kind] for kind in GOODS_POINTS])
    of_kind = {**rates, NodeKind.PLANT: goods, NodeKind.WAREHOUSE: goods}
    for charged, stock in (
        (goods, state.goods),
        (rates[NodeKind.COLLECTOR], state.collected),
        (rates[NodeKind.INSPECTION], state.queue),
        (rates[NodeKind.REMANUFACTURER], state.cores),
    ):
        if charged.any():
            yield charged[:, None] * stock.sum(axis=(1, 2))
    if rates[NodeKind.RECYCLER].any():
        yield rates[NodeKind.RECYCLER][:, None] * p.mass(state.recycler_feed.sum(axis=2)).sum(axis=1)
    for group in BY_CLASS:
        lanes = p.layout.lanes[group]
        senders = rates[NodeKind.WAREHOUSE] if group is LaneGroup.LATERAL else of_kind[group.senders[0]]
        if lanes.count and senders.any():
            yield senders[lanes.sender][:, None] * state.pipes[group].on_lanes().sum(axis=(1, 2))


def book_opening(p: Period, holdings: Holdings) -> None:
    """Charge the stocks at the start of the scored horizon, at the values that the terminal stocks are paid."""
    p.ledger.pay(Account.TERMINAL, _stock_value(p, holdings) + _in_use_value(p, holdings))


def book_terminal(p: Period, holdings: Holdings) -> None:
    """Pay for the stocks and the units in use at the end of the scored horizon."""
    p.ledger.pay(Account.TERMINAL, -_stock_value(p, holdings) - _in_use_value(p, holdings))


def _stock_value(p: Period, holdings: Holdings) -> Array:
    """Return the value of all stocks but those in use, EUR (B,): feed and goods at replacement cost, the rest at
    recovery value.
    """
    state, layout = p.state, p.layout
    goods = state.goods.sum(axis=(0, 2))
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL, LaneGroup.REMAN_GOODS, LaneGroup.REUSE):
        goods = goods + state.pipes[group].on_lanes().sum(axis=(0, 2))
    cores = holdings.product - goods - holdings.in_use - state.second_life.sum(axis=0)
    price = p.terms.virgin_price
    total = goods * unit_worth(p) + cores * layout.value_core[:, None]
    return total.sum(axis=0) + (holdings.loose * price).sum(axis=0)


def _in_use_value(p: Period, holdings: Holdings) -> Array:
    return (holdings.in_use * p.layout.value_in_use[:, None]).sum(axis=0)


class BalanceCheck:
    """Checks every period that no product or material was created or lost, to TOLERANCE."""

    def __init__(self, opening: Holdings) -> None:
        self._before = opening

    def close(self, p: Period, holdings: Holdings, cells: list[str]) -> None:
        """Compare stocks with boundary flows. Raises BalanceError naming product or material, period and cell."""
        products = p.layout.products
        bom = products.bom[:, :, None]
        product, before = holdings.product, self._before.product
        gap = np.abs(product - before - p.made + p.left) / _scale(product, p.made + p.left)
        found = dict(zip(products.labels, gap, strict=True))
        material = (bom * product[:, None]).sum(axis=0) + holdings.loose
        earlier = (bom * before[:, None]).sum(axis=0) + self._before.loose
        out = (bom * p.left[:, None]).sum(axis=0) + p.sold_off
        error = np.abs(material - earlier - p.entered - p.recovered + out)
        error = error / _scale(material, p.entered + p.recovered + out)
        found.update(zip(products.materials, error, strict=True))
        broken = {name: value for name, value in found.items() if not bool((value <= TOLERANCE).all())}
        if broken:
            worst = {name: _worst(value, cells) for name, value in broken.items()}
            raise BalanceError(
                f"mass balance broken in period {p.t}: relative error {worst} (allowed {TOLERANCE:g}); "
                "the engine is wrong, no result of this run may be used"
            )
        self._before = holdings


def _scale(stock: Array, flow: Array) -> Array:
    """Return what an error is relative to: the flow, but no less than rounding in the stock allows to see."""
    return np.maximum(1.0, np.maximum(flow, 1e-4 * stock))


def _worst(error: Array, cells: list[str]) -> str:
    row = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    return f"{float(error[row]):.3g} in {cells[row]}"
