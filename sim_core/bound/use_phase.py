"""The use phase: what is sold comes back by the engine's discretised lifetime, and a share of it is collected."""

import numpy as np
from numpy.typing import NDArray

from sim_core.bound.levers import has
from sim_core.bound.model import Model
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.engine.use_phase import hazards
from sim_core.network import LaneGroup
from sim_core.units import MONTHS_PER_YEAR

_SETTINGS = (0.5, 1.0)  # of the buy-back lever, at which its cost is cut from below


def end_of_life(model: Model, sold: Sum) -> Index:
    """Return columns (T, K, P, L): the units that users let go of. sold: (T, K, P, C) units."""
    program, layout = model.program, model.layout
    ended = _ended(model, sold)
    out = program.columns(*sold.at.shape)
    share = layout.value("hibernation.share")[:, :, None]  # (P, 1, 1) -> broadcast over (T, K, P, L)
    share = share.reshape(1, 1, -1, 1)
    if not share.any():
        rows = program.rows(*out.shape)
        program.define(rows, out)
        program.put_sum(rows, ended)
    else:
        release = np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * layout.value("hibernation.years"))).reshape(1, 1, -1, 1)
        kept = program.columns(*sold.at.shape)  # hibernating at the period's end
        stock, flow = program.rows(*out.shape), program.rows(*out.shape)
        program.put(stock, kept, -1.0)
        program.put_sum(stock, ended, share)
        program.define(flow, out)
        program.put_sum(flow, ended, 1.0 - share)
        start = model.outlook.units(model.outlook.state.use.hibernating)
        program.put(stock[1:], kept[:-1], 1.0 - release)
        program.put_constant(stock[0], (1.0 - release[0]) * start)
        program.put(flow[1:], kept[:-1], release)
        program.put_constant(flow[0], release[0] * start)
    _value(model, sold, out)
    return out


def collect(model: Model, out: Index) -> Index:
    """Return columns (T, K, P, L): the units that are collected of those let go of, and charge the buy-back."""
    program, layout = model.program, model.layout
    served = layout.lanes[LaneGroup.RETURNS].served.reshape(1, -1, 1, 1)
    usual = model.outlook.term("collection_share")[:, None, :, None] * served
    kept = program.columns(*out.shape)
    rows = program.rows(*out.shape)
    program.define(rows, kept)
    program.put(rows, out, usual)
    model.columns["out"] = out
    bought = layout.value("collection.buy_back_share")[:, 0]
    if has(model, "buy_back") and bought.any():
        more = (1.0 - model.outlook.term("collection_share")) * bought  # (T, P) the lever's share of what is let go of
        lever = program.columns(*out.shape)  # lever x out
        whole = program.rows(*out.shape, lower=-np.inf)
        program.put(whole, lever, 1.0)
        program.put(whole, out, -1.0)
        program.put(rows, lever, more[:, None, :, None] * served)
        _charge_buy_back(model, out, lever, more, served)
        model.columns["buy_back"] = lever
        model.relaxed.add("buy_back")
    return kept


def _charge_buy_back(model: Model, out: Index, lever: Index, more: Array, served: Array) -> None:
    """Charge rate x lever x collected, collected = (c + more x lever) x out: convex in (lever x out, out), cut from
    below by its tangents.
    """
    program, rate = model.program, model.layout.value("collection.buy_back_cost")[:, 0]
    share = model.outlook.term("collection_share")
    model.price(lever, (rate * share)[:, None, :, None] * served)
    square = program.columns(model.periods, model.products)  # lever x lever x out, all markets and lives
    model.price(square, rate * more)
    for at in _SETTINGS:
        rows = program.rows(model.periods, model.products, upper=np.inf)
        program.put(rows, square, 1.0)
        program.put(rows[:, None, :, None], lever, -2.0 * at * served)
        program.put(rows[:, None, :, None], out, at * at * served)


def _ended(model: Model, sold: Sum) -> Sum:
    """Return what reaches its end of life, (T, K, P, L): of old sales as constants, of new ones by their hazards."""
    outlook, use = model.outlook, model.outlook.state.use
    head, closed, at_once = (model.lives.of_classes(one) for one in hazards(model.layout))
    durable = use.durable.reshape(1, -1, 1)  # (1, P, 1)
    total = Sum(*sold.at.shape)
    total.constant += _of_past_sales(model)
    merged, first = model.layout.suite.vintage_periods, outlook.first
    fresh = (1.0 - at_once) * durable[0]  # (P, L) of what is sold, still in use after the sale
    month = (first + np.arange(model.periods)) % merged
    _add(total, sold, 1, np.ones(model.periods, dtype=bool), at_once * durable[0])
    left = [fresh]  # after 0, 1, ... months in the open vintage
    for lag in range(1, merged):
        gone = left[-1] * head[lag - 1]
        _add(total, sold, lag, month + lag < merged, gone)
        left.append(left[-1] - gone)
    begins = 0
    while (ends := begins + merged - int(month[begins])) < model.periods:
        remaining = np.stack([left[merged - 1 - int(month[t])] for t in range(begins, ends)])
        _leave(total, _vintage(model, sold, begins, remaining), ends, closed)
        begins = ends
    return total


def _add(total: Sum, sold: Sum, lag: int, when: NDArray[np.bool_], factor: Array) -> None:
    """Add factor (P, L) x what was sold in the periods of `when`, (T,), to what ends `lag` periods later."""
    if not factor.any():
        return
    scale = np.broadcast_to(factor, sold.at.shape[1:]).ravel()
    periods = sold.at.shape[0]
    for at, column, value in sold.terms:
        period, inner = np.divmod(at, scale.size)
        mine = when[period] & (period + lag < periods)
        total.add(at[mine] + lag * scale.size, column[mine], value[mine] * scale[inner[mine]])


def _vintage(model: Model, sold: Sum, begins: int, remaining: Array) -> Index:
    """Return columns (K, P, L): the units that a vintage holds as it closes, `remaining` (n, P, C) of what was sold in
    its n periods from `begins` on.
    """
    program = model.program
    stock = program.columns(*sold.at.shape[1:])
    rows = program.rows(*stock.shape)
    program.define(rows, stock)
    ends, size, place = begins + len(remaining), stock.size, rows.ravel()
    scale = np.broadcast_to(remaining[:, None], (len(remaining), *stock.shape)).reshape(len(remaining), -1)
    for at, column, value in sold.terms:
        period, inner = np.divmod(at, size)
        mine = (begins <= period) & (period < ends)
        program.put(place[inner[mine]], column[mine], value[mine] * scale[period[mine] - begins, inner[mine]])
    return stock


def _leave(total: Sum, stock: Index, closes: int, hazard: Array) -> None:
    """Add what leaves a vintage from period `closes` on. stock: what it holds then; hazard: (periods, P, L)."""
    left = np.ones(hazard.shape[1:])
    for since in range(total.at.shape[0] - closes):
        gone = left * hazard[since]
        total.add(total.at[closes + since], stock, gone)
        left = left - gone


def _of_past_sales(model: Model) -> Array:
    """Return what ends its life in each period of units that were sold before the stretch, (T, K, P, L)."""
    use = model.outlook.state.use.of_cell(model.outlook.cell)
    return np.stack(
        [model.lives.together(use.outflow(t)[..., 0]) for t in range(model.outlook.first, model.outlook.last)]
    )


def _value(model: Model, sold: Sum, out: Index) -> None:
    """Charge the opening and terminal value of units with their users: what is sold less what is let go of."""
    durable = model.outlook.state.use.durable[:, 0]
    ends = model.outlook.ends_weight(model.outlook.use_value)
    later = np.cumsum(ends[::-1], axis=0)[::-1]  # a unit that comes in period t is there at all ends from t on
    model.program.charge_sum(sold, (later * durable)[:, None, :, None])
    model.program.charge(out, -later[:, None, :, None] * np.ones(out.shape[-1]))
    start = model.outlook.start(model.outlook.state.use.total())
    model.program.constant += float((later[0] * start).sum())
    model.program.constant += float((model.outlook.opening_factor(model.outlook.use_value) * start).sum())


def register(model: Model, out: Index, kept: Index) -> None:
    """Book what law measures of units let go of and collected, exogenous returns included."""
    model.count("ended", model.sum_of(out))
    model.count("collected", model.sum_of(kept))
    for name in ("collector_returns", "remanufacturer_returns"):
        model.register["collected"].constant += model.outlook.term(name).sum(axis=1)
