"""Recycling: feed by origin through the legal routes on lines of limited capacity, and disposal of what is too much."""

from collections.abc import Sequence

import numpy as np

from sim_core.engine.period import Array, Period
from sim_core.engine.settings import M, U, portion, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind


def recycle(p: Period) -> None:
    """Feed the legal routes up to M of capacity, keep feed up to U, landfill the rest."""
    feed, layout = p.state.recycler_feed, p.layout
    feed[:, :, 0] += (
        p.arrive(LaneGroup.RECYCLE_FEED) + p.arrive(LaneGroup.REJECTS) + p.arrive(LaneGroup.SECOND_LIFE_RETURNS)
    )
    feed[:, :, 1] += p.arrive(LaneGroup.SCRAP)
    stock = feed.sum(axis=2)
    capacity = _capacity(p)
    routed = _choose_routes(p, p.mass(stock), capacity) / layout.products.mass[:, None]
    p.took("route", routed)
    processed = routed.sum(axis=0)
    origin = feed * portion(np.ones_like(stock), stock)[:, :, None]
    won = _win(p, routed, origin)
    feed -= np.minimum(feed, processed[:, :, None] * origin)
    _send_secondary(p, won.sum(axis=1))
    _book(p, routed, origin, won)
    p.left += processed.sum(axis=0)
    p.recovered += won.sum(axis=(0, 1, 3))
    _dispose(p, capacity.sum(axis=0))


def _capacity(p: Period) -> Array:
    """Return the capacity of each line at each recycler, (lines, Y, B) kg.

    What investment added for a product is on the line of its best route.
    """
    lines = np.repeat(p.layout.rates.line[:, :, None], p.left.shape[-1], axis=2)
    for line, added in zip(p.layout.products.best_line, p.capacity.added(NodeKind.RECYCLER, p.t), strict=True):
        if line >= 0:
            lines[line] += added
    return lines * p.terms.recycler_available


def _choose_routes(p: Period, mass: Array, capacity: Array) -> Array:
    """Return the feed of each route in kg, (Q, Y, P, B); with alternative_route on, the best recovery first."""
    order = range(len(p.layout.products.routes))
    flow = p.settings.flow("route")
    if flow is not None:
        return route(p, mass, capacity, order, p.mass(flow))
    usable = capacity * p.settings.share(NodeKind.RECYCLER, M)
    choice = p.settings.lever("alternative_route")
    usual = route(p, mass, usable, order)
    if not choice.any():
        return usual
    return (1.0 - choice) * usual + choice * route(p, mass, usable, order[::-1])


def route(p: Period, mass: Array, usable: Array, order: Sequence[int], most: Array | None = None) -> Array:
    """Return the feed of each route, (Q, Y, P, B) kg.

    Routes take in order what is left of feed (Y, P, B) and of their line (lines, Y, B), products in proportion, where
    they are legal, up to `most` (Q, Y, P, B) where it is given; what leaves the jurisdiction keeps to the quota, the
    sites in proportion.
    """
    products = p.layout.products
    open_to = p.terms.route_legal * products.offered[:, :, None]
    quota = p.mass(p.terms.export_quota)
    left, free = mass, list(usable)
    flows = np.zeros((len(products.routes), *mass.shape))
    for q in order:
        line = products.route_line[q]
        wanted = (left if most is None else np.minimum(left, most[q])) * open_to[q]
        if products.exported[q]:
            wanted = wanted * ratio(quota, wanted.sum(axis=0))
        total = wanted.sum(axis=1)
        flows[q] = wanted * ratio(free[line], total)[:, None]
        if products.exported[q]:
            quota = np.maximum(0.0, quota - flows[q].sum(axis=0))
        left = np.maximum(0.0, left - flows[q])
        free[line] = np.maximum(0.0, free[line] - flows[q].sum(axis=1))
    return flows


def _win(p: Period, routed: Array, origin: Array) -> Array:
    """Return the material won by recycler, product and origin, (Y, P, M, origins, B) kg."""
    products = p.layout.products
    per_unit = products.recovery * products.bom
    won = (routed[:, :, :, None] * per_unit[:, None, :, :, None]).sum(axis=0)
    return won[:, :, :, None] * origin[:, :, None]


def _send_secondary(p: Period, secondary: Array) -> None:
    """Ship recovered material, (Y, M, origins, B), to plants; recyclers without a plant sell it."""
    lanes = p.layout.lanes[LaneGroup.SECONDARY]
    flow = p.spread(LaneGroup.SECONDARY, secondary)
    p.state.pipes[LaneGroup.SECONDARY].send(p.t, flow)
    p.ship(LaneGroup.SECONDARY, flow.sum(axis=(1, 2)))
    if not lanes.served.all():
        sell_material(p, (secondary * (1.0 - lanes.served)[:, None, None, None]).sum(axis=(0, 2)))


def sell_material(p: Period, kilograms: Array) -> None:
    """Sell recycled material (M, B) out of the system at the price that secondary material fetches."""
    p.sold_off += kilograms
    p.pay(Account.MATERIALS, -kilograms * p.terms.virgin_price * p.layout.common("external.sale"))


def _book(p: Period, routed: Array, origin: Array, won: Array) -> None:
    layout, products = p.layout, p.layout.products
    mass, cost = p.mass(routed), layout.rates.route_cost[:, :, :, None]
    easy = 1.0 - layout.value("disassembly.recycling_saving") * p.state.use.easy_share
    p.pay(Account.RECYCLING, mass * (np.maximum(0.0, cost) * easy + np.minimum(0.0, cost)))
    p.emit(mass.sum(axis=1) * products.route_carbon[:, :, None])
    processed = routed.sum(axis=0)
    used = p.mass((processed * origin[:, :, 0]).sum(axis=0))
    recovered = won[:, :, :, 0].sum(axis=(0, 2))
    p.move(Flow.TO_RECYCLING, used)
    p.move(Flow.RECOVERED, recovered)
    p.move(Flow.RECOVERED_VALUE, won[:, :, :, 0].sum(axis=(0, 1)) * p.terms.virgin_price)
    p.pay(Account.SUBSIDY, -recovered * p.terms.subsidy_recycled)
    p.register["treated_mass"], p.register["recovered_mass"] = used, recovered
    p.register["exported"] = routed[products.exported].sum(axis=(0, 1))
    p.note("treated", processed)
    p.note("secondary", won)


def _dispose(p: Period, capacity: Array) -> None:
    """Landfill, where it is legal, the feed above the keep-up-to level, in months of capacity (Y, B) kg."""
    feed = p.state.recycler_feed
    stock = feed.sum(axis=2)
    mass = p.mass(stock).sum(axis=1)
    kept = p.settings.level(U, p.layout.targets[NodeKind.RECYCLER], capacity)
    flow = p.settings.flow("landfill")
    share = ratio(np.maximum(0.0, mass - kept), mass)[:, None] if flow is None else ratio(flow, stock)
    dumped = feed * share[:, :, None] * p.terms.landfill_legal[:, None]
    feed -= dumped
    amount = dumped.sum(axis=2)
    p.took("landfill", amount)
    p.ship(LaneGroup.DISPOSAL, p.spread(LaneGroup.DISPOSAL, amount))
    total = amount.sum(axis=0)
    kilograms = p.mass(total)
    p.pay(Account.DISPOSAL, kilograms * p.layout.value("disposal.cost"))
    p.pay(Account.LANDFILL_TAX, kilograms * p.terms.landfill_tax)
    p.emit(kilograms * p.layout.value("disposal.carbon"))
    p.left += total
    p.register["landfilled"] = total
    p.note("landfilled", total)
