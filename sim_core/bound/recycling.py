"""Recycling: feed by origin through legal routes on lines of limited capacity, and disposal, as columns and rows."""

import numpy as np

from sim_core.bound import levers
from sim_core.bound.model import Model, add_to
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.engine.state import FEED_ORIGINS
from sim_core.network import LaneGroup, NodeKind


def recycle(model: Model) -> None:
    """Choose what each route takes of each origin's feed, and what is landfilled; the rest waits."""
    layout, program, outlook = model.layout, model.program, model.outlook
    products = layout.products
    recyclers = layout.count[NodeKind.RECYCLER]
    shape = (model.periods, recyclers, model.products, FEED_ORIGINS)
    arrived = Sum(*shape)
    for group, origin in (
        (LaneGroup.RECYCLE_FEED, 0),
        (LaneGroup.REJECTS, 0),
        (LaneGroup.SECOND_LIFE_RETURNS, 0),
        (LaneGroup.SCRAP, 1),
    ):
        add_to(arrived, arrived.at[..., origin], model.arrive(group))
    legal = outlook.term("route_legal") * products.offered  # (T, Q, P)
    open_to = np.where(legal > 0.0, np.inf, 0.0)[:, :, None, :, None]
    routed = program.columns(model.periods, len(products.routes), *shape[1:], upper=open_to)
    dump_legal = np.where(outlook.term("landfill_legal") > 0.0, np.inf, 0.0)[:, None, :, None]
    dumped = program.columns(*shape, upper=dump_legal)
    model.columns["route"], model.columns["landfill"] = routed, dumped
    _feed(model, arrived, routed, dumped)
    _lines(model, routed)
    _quota(model, routed)
    _book(model, routed)
    _win(model, routed)
    _dispose(model, dumped)


def _feed(model: Model, arrived: Sum, routed: Index, dumped: Index) -> None:
    program, outlook = model.program, model.outlook
    feed, rows = program.columns(*arrived.at.shape), program.rows(*arrived.at.shape)
    program.put(rows, feed, -1.0)
    program.put(rows[1:], feed[:-1], 1.0)
    start = outlook.start(outlook.state.recycler_feed)
    program.put_constant(rows[0], start)
    program.put_sum(rows, arrived)
    program.put(rows[:, None], routed, -1.0)
    program.put(rows, dumped, -1.0)
    value = outlook.core_value[:, None, :, None]
    model.keep(feed, value)
    program.constant += float((outlook.opening_factor(value) * start).sum())
    rate = model.layout.rates.holding[NodeKind.RECYCLER]
    if rate.any():
        model.price(feed, rate[None, :, None, None] * model.layout.products.mass[:, None])


def _lines(model: Model, routed: Index) -> None:
    """Hold the feed of each line, in kg, within its capacity; investment adds to the line of a product's best route."""
    layout, products = model.layout, model.layout.products
    available = model.outlook.term("recycler_available")  # (T, Y)
    steps = levers.capacity(model, NodeKind.RECYCLER)
    added = levers.site_step(model, NodeKind.RECYCLER)
    for line in range(len(products.lines)):
        used = Sum(model.periods, routed.shape[2])
        for q in (q for q, own in enumerate(products.route_line) if own == line):
            used.add(used.at[..., None, None], routed[:, q], products.mass[:, None])
        more = sum(float(added[p]) for p, own in enumerate(products.best_line) if own == line)
        for at, column, value in steps.terms:
            used.add(used.at[at], column[:, None], -more * value[:, None] * available[at])
        used.constant -= more * steps.constant[:, None] * available
        model.program.limit(used, layout.rates.line[line] * available)


def _quota(model: Model, routed: Index) -> None:
    """Hold what leaves the jurisdiction, all sites and routes together, within the quota in units."""
    exported = np.flatnonzero(model.layout.products.exported)
    quota = model.outlook.term("export_quota")
    if len(exported) and np.isfinite(quota).any():
        total = Sum(model.periods, model.products)
        total.add(total.at[:, None, None, :, None], routed[:, exported], 1.0)
        model.program.limit(total, quota)


def _book(model: Model, routed: Index) -> None:
    layout, products = model.layout, model.layout.products
    cost = layout.rates.route_cost * products.mass  # (Q, Y, P) EUR per unit of feed
    model.price(routed, cost[None, ..., None])
    total = model.sum_of(routed)
    by_product = Sum(model.periods, 1, model.products)
    weight = products.mass * products.route_carbon  # (Q, P)
    to = by_product.at[:, :, None, :, None] + np.zeros(routed.shape, dtype=np.intp)
    add_to(by_product, to, total, np.broadcast_to(weight[None, :, None, :, None], routed.shape))
    model.emit(by_product, 1.0)
    treated = model.register["treated_mass"]
    treated.add(treated.at[:, None, None], routed[..., 0], products.mass)
    won = (products.recovery * products.bom).sum(axis=2)  # (Q, P) kg per unit of feed
    recovered = model.register["recovered_mass"]
    recovered.add(recovered.at[:, None, None], routed[..., 0], won[None, :, None])
    model.price(routed[..., 0], -won[None, :, None] * model.outlook.term("subsidy_recycled")[:, None, None])
    _save(model, routed, cost)


def _save(model: Model, routed: Index, cost: Array) -> None:
    """Charge less for feed that is easy to take apart: at most as if all of it were, nothing before any was made."""
    saving = model.layout.value("disassembly.recycling_saving")[:, 0]
    if "ever_easy" not in model.columns or not saving.any():
        return
    program = model.program
    saved = program.columns(model.periods, upper=np.inf)  # EUR
    model.price(saved, -1.0)
    rate = saving * np.maximum(0.0, cost)  # (Q, Y, P)
    rows = program.rows(model.periods, lower=-np.inf)
    program.put(rows, saved, 1.0)
    program.put(rows[:, None, None, None, None], routed, -rate[None, ..., None])
    steps = float(len(levers.reviews(model))) + float(model.outlook.added(NodeKind.RECYCLER).max(initial=0.0))
    line = model.layout.rates.line.sum() + steps * model.layout.value("invest.recycler.step").sum()
    most = float((saving * np.maximum(0.0, model.layout.rates.route_cost)).max(initial=0.0)) * line
    gate = program.rows(model.periods, lower=-np.inf)
    program.put(gate, saved, 1.0)
    program.put(gate, model.columns["ever_easy"], -most)


def _win(model: Model, routed: Index) -> None:
    """Ship recovered material to plants; recyclers without a plant sell it."""
    layout, products = model.layout, model.layout.products
    lanes = layout.lanes[LaneGroup.SECONDARY]
    won = Sum(model.periods, routed.shape[2], model.materials, FEED_ORIGINS)
    per_unit = products.recovery * products.bom  # (Q, P, M)
    for q in range(len(products.routes)):
        for p in range(model.products):
            won.add(won.at, routed[:, q, :, p, None], per_unit[q, p, :, None])
    if not lanes.served.all():
        price = model.outlook.term("virgin_price") * layout.common("external.sale")
        model.pay(won, -price[:, None, :, None] * (1.0 - lanes.served)[:, None, None])
    model.spread(LaneGroup.SECONDARY, won)


def _dispose(model: Model, dumped: Index) -> None:
    layout, mass = model.layout, model.layout.products.mass
    lanes = layout.lanes[LaneGroup.DISPOSAL]
    freight = np.zeros(dumped.shape[1:3])  # (Y, P)
    np.add.at(freight, lanes.sender, lanes.share[:, None] * lanes.freight[0, :, :, 0])
    rate = mass * layout.value("disposal.cost")[:, 0]
    tax = mass * model.outlook.term("landfill_tax")  # (T, P)
    model.price(dumped, (freight + rate)[None, :, :, None] + tax[:, None, :, None])
    total = model.sum_of(dumped)
    model.emit(total, (mass * layout.value("disposal.carbon")[:, 0])[:, None])
    model.count("landfilled", total)
