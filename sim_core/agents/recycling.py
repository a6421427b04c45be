"""Recycling of agents: used units and scrap through the legal routes, material by origin, and what is landfilled."""

from collections.abc import Sequence

import numpy as np

from sim_core.agents.chance import whole
from sim_core.agents.passport import OUTSIDE
from sim_core.agents.pool import sizes
from sim_core.agents.states import LifeEvent
from sim_core.agents.stocks import Stocks
from sim_core.agents.world import Array, World
from sim_core.engine.settings import M, U
from sim_core.network import LaneGroup, NodeKind


def recycle(w: World, s: Stocks) -> None:
    """Feed the legal routes up to M of capacity, keep feed up to U, landfill the rest."""
    for group in (LaneGroup.RECYCLE_FEED, LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS):
        for site, product, ids in w.arrive(group):
            s.waste[site][product].add(ids)
    s.scrap += s.streams[LaneGroup.SCRAP].arrive(w.t)
    lines = w.layout.rates.line.copy()
    for line, added in zip(w.layout.products.best_line, w.capacity.added(NodeKind.RECYCLER, w.t)[:, 0], strict=True):
        if line >= 0:  # what was built for a product is on the line of its best route
            lines[line] += added
    lines *= w.terms.recycler_available
    routed = _choose_routes(w, s, lines)
    _send_secondary(w, s, _process(w, s, routed))
    _landfill(w, s, lines.sum(axis=0))


def _choose_routes(w: World, s: Stocks, lines: Array) -> Array:
    """Return what each route is to take, (Q, Y, P) kg; with alternative_route on, the best recovery comes first."""
    mass = (sizes(s.waste, w.products) + s.scrap) * w.layout.products.mass
    use = np.array([w.decisions.share(M, node) for node in w.node[NodeKind.RECYCLER]])
    choice, order = w.decisions.lever("alternative_route"), range(len(w.layout.products.routes))
    usual, other = (_route(w, mass, lines * use, o) for o in (order, order[::-1]))
    return (1.0 - choice) * usual + choice * other


def _route(w: World, mass: Array, lines: Array, order: Sequence[int]) -> Array:
    """Let routes take in order what is left of feed (Y, P) and of their line (lines, Y), products in proportion."""
    products = w.layout.products
    left, free = mass.copy(), lines.copy()
    flows = np.zeros((len(products.routes), *mass.shape))
    for q in order:
        wanted = left * (w.terms.route_legal[q] * products.offered[q])
        if products.exported[q]:
            quota, total = w.terms.export_quota * products.mass, wanted.sum(axis=0)
            wanted = wanted * np.minimum(1.0, quota / np.where(total > 0.0, total, 1.0))
        line, total = products.route_line[q], wanted.sum(axis=1)
        flows[q] = wanted * np.minimum(1.0, free[line] / np.where(total > 0.0, total, 1.0))[:, None]
        left = np.maximum(0.0, left - flows[q])
        free[line] = np.maximum(0.0, free[line] - flows[q].sum(axis=1))
    return flows


def _process(w: World, s: Stocks, routed: Array) -> Array:
    """Process what the routes take, units as whole; return the material won, (Y, M, 2) kg by origin."""
    products, draw = w.layout.products, w.draw("recycle")
    won = np.zeros((routed.shape[1], len(products.materials), 2))
    for (site, p), kilograms in np.ndenumerate(routed.sum(axis=0)):
        if kilograms <= 0.0:
            continue
        mass, pool = products.mass[p], s.waste[site][p]
        used = len(pool) / (len(pool) + s.scrap[site, p])
        ids = pool.take(whole(kilograms / mass * used, draw), draw)
        scrap = min(s.scrap[site, p], kilograms / mass * (1.0 - used))
        s.scrap[site, p] -= scrap
        share = routed[:, site, p] / kilograms
        carbon = float(share @ products.route_carbon[:, p] * mass)
        w.units.happen(LifeEvent.RECYCLED, ids, t=w.t, place=OUTSIDE, carbon=carbon)
        per_unit = (share @ products.recovery[:, p]) * products.bom[p]
        won[site, :, 0] += len(ids) * per_unit
        won[site, :, 1] += scrap * per_unit
        w.emit(float(len(ids) + scrap) * carbon)
        w.note("treated", float(len(ids) + scrap))
    w.note("secondary", float(won.sum()))
    return won


def _send_secondary(w: World, s: Stocks, won: Array) -> None:
    """Ship recovered material to plants; recyclers without a lane to one sell it."""
    lanes = w.layout.lanes[LaneGroup.SECONDARY]
    s.streams[LaneGroup.SECONDARY].send(w.t, lanes.share[:, None, None] * won[lanes.sender])


def _landfill(w: World, s: Stocks, capacity: Array) -> None:
    """Landfill, where it is legal, the feed above the keep-up-to level, in months of capacity (Y,) kg."""
    mass, draw = w.layout.products.mass, w.draw("landfill")
    held = ((sizes(s.waste, w.products) + s.scrap) * mass).sum(axis=1)
    for site, row in enumerate(s.waste):
        kept = w.decisions.level(U, w.node[NodeKind.RECYCLER][site], capacity[site])
        over = min(1.0, max(0.0, held[site] - kept) / held[site]) if held[site] > 0.0 else 0.0
        for p, pool in enumerate(row):
            share = over * w.terms.landfill_legal[p]
            ids = pool.take(whole(len(pool) * share, draw), draw)
            scrap = s.scrap[site, p] * share
            s.scrap[site, p] -= scrap
            carbon = mass[p] * w.value("disposal.carbon")[p]
            w.units.happen(LifeEvent.LANDFILLED, ids, t=w.t, place=OUTSIDE, carbon=carbon)
            w.emit((len(ids) + scrap) * carbon)
            w.note("landfilled", len(ids) + scrap)
