"""The books of a period: holding cost, annuities, compliance windows, opening and terminal values, mass balance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.engine.period import Period
from sim_core.errors import BalanceError
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup
from sim_core.units import MONTHS_PER_YEAR, parse_month

TOLERANCE = 1e-9  # of the balance, relative to the period's flow or a ten-thousandth of the mass in the system


class ComplianceBook:
    """Recycled content owed and delivered, per plant, material and calendar year: the legal window.

    The duty of a window is the sum over its months of theta_t x F_t, F_t the material in good output; what is delivered
    counts from the month in which a duty applies. A shortfall is known, and charged at phi, when the window closes: in
    December, and where warm-up and scoring end, so that each month's duty is settled on its own side.
    """

    def __init__(self, layout: Layout, plants: int, cells: int) -> None:
        self._owed = np.zeros((plants, len(layout.bom), cells))
        self._delivered = np.zeros_like(self._owed)

    def record(self, p: Period, content: NDArray[np.float64], recycled: NDArray[np.float64]) -> None:
        """Add a month's material and recycled material, (P, M, B) kg, and close the window where it ends."""
        self._owed += content * p.terms.duty
        self._delivered += recycled * (p.terms.duty > 0.0)
        suite = p.layout.suite
        december = (parse_month(suite.start) + p.t) % MONTHS_PER_YEAR == MONTHS_PER_YEAR - 1
        if not december and p.t + 1 not in (suite.warm_up, suite.warm_up + suite.scored):
            return
        short = np.maximum(0.0, self._owed - self._delivered).sum(axis=0)
        p.ledger.pay(Account.SHORTFALL, (short * p.layout.phi[:, None]).sum(axis=0))
        p.ledger.move(Flow.DUTY, self._owed.sum(axis=(0, 1)))
        p.ledger.move(Flow.SHORT, short.sum(axis=0))
        self._owed[...] = 0.0
        self._delivered[...] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All mass in the system at one moment: product (B,) kWh, scrap included, and loose material (M, B) kg."""

    product: NDArray[np.float64]
    loose: NDArray[np.float64]


def take_stock(p: Period) -> Holdings:
    """Count what is in the system now."""
    return Holdings(product=p.state.product(), loose=p.state.loose_material())


def hold(p: Period, holdings: Holdings) -> None:
    """Charge the holding of end stocks and of goods in transit, and the annuity of built capacity."""
    rate = p.layout.value("holding.rate") / MONTHS_PER_YEAR
    p.ledger.pay(Account.HOLDING, rate * (_stock_value(p, holdings) - _in_use_value(p)))
    p.ledger.pay(Account.CAPEX, p.capacity.annuity(p.t))


def book_opening(p: Period, holdings: Holdings) -> None:
    """Charge the stocks at the start of the scored horizon, at the values that the terminal stocks are paid."""
    p.ledger.pay(Account.TERMINAL, _stock_value(p, holdings))


def book_terminal(p: Period, holdings: Holdings) -> None:
    """Pay for the stocks and the units in use at the end of the scored horizon."""
    p.ledger.pay(Account.TERMINAL, -_stock_value(p, holdings))


def _stock_value(p: Period, holdings: Holdings) -> NDArray[np.float64]:
    """Return the value of all stocks, EUR (B,): feed and goods at replacement cost, the rest at recovery value."""
    state, layout = p.state, p.layout
    goods = (
        state.plant_goods.sum(axis=0)
        + state.goods.sum(axis=(0, 1))
        + state.pipes[LaneGroup.GOODS].on_lanes().sum(axis=0)
    )
    goods = goods + state.pipes[LaneGroup.REMAN_GOODS].on_lanes().sum(axis=(0, 1))
    in_use = state.use.total()
    cores = holdings.product - goods - in_use - state.second_life.sum(axis=0)
    price = p.terms.virgin_price
    value_goods = (layout.bom[:, None] * price).sum(axis=0) + layout.value("production.cost")
    return (holdings.loose * price).sum(axis=0) + goods * value_goods + cores * layout.value_core + _in_use_value(p)


def _in_use_value(p: Period) -> NDArray[np.float64]:
    return p.state.use.total() * p.layout.value_in_use


class BalanceCheck:
    """Checks every period that no product or material was created or lost, to TOLERANCE."""

    def __init__(self, opening: Holdings) -> None:
        self._before = opening

    def close(self, p: Period, holdings: Holdings, cells: list[str]) -> None:
        """Compare stocks with boundary flows. Raises BalanceError naming product or material, period and cell."""
        bom = p.layout.bom[:, None]
        product, before = holdings.product, self._before.product
        gap = {"product": np.abs(product - before - p.made + p.left) / _scale(product, p.made + p.left)}
        material = bom * product + holdings.loose
        change = p.entered + p.recovered - bom * p.left
        error = np.abs(material - bom * before - self._before.loose - change) / _scale(
            material, p.entered + p.recovered + bom * p.left
        )
        gap.update({name: error[i] for i, name in enumerate(p.layout.product.materials)})
        broken = {name: value for name, value in gap.items() if not bool((value <= TOLERANCE).all())}
        if broken:
            worst = {name: _worst(value, cells) for name, value in broken.items()}
            raise BalanceError(
                f"mass balance broken in period {p.t}: relative error {worst} (allowed {TOLERANCE:g}); "
                "the engine is wrong, no result of this run may be used"
            )
        self._before = holdings


def _scale(stock: NDArray[np.float64], flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what an error is relative to: the flow, but no less than rounding in the stock allows to see."""
    return np.maximum(1.0, np.maximum(flow, 1e-4 * stock))


def _worst(error: NDArray[np.float64], cells: list[str]) -> str:
    row = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    return f"{float(error[row]):.3g} in {cells[row]}"
