"""Sales of agents: customers come by chance, choose a goods point, and take whole units."""

import numpy as np

from sim_core.agents.chance import spread, whole, whole_parts
from sim_core.agents.passport import Ids
from sim_core.agents.stocks import Stocks, expected_at_goods
from sim_core.agents.world import Array, World
from sim_core.network import LaneGroup, NodeKind


def sell(w: World, s: Stocks) -> None:
    """Serve demand and backlog from stock; what is short waits or is lost; renew the forecast."""
    demand = w.draw("demand").poisson(w.terms.demand).astype(np.float64)
    owed = demand + s.backlog
    served = _serve(w, s, _asked(w, s, demand))
    short = np.maximum(0.0, owed - served)
    s.backlog = short * w.layout.rates.backlog[:, None]
    for name, amount in (("demand", demand), ("served", served), ("lost", short - s.backlog), ("backlog", s.backlog)):
        w.note(name, float(amount.sum()))
    _expect(w, s, demand)


def _asked(w: World, s: Stocks, demand: Array) -> Array:
    """Return what is asked on each sales lane, (E, P): every customer chooses one, those who wait spread evenly."""
    lanes, draw = w.layout.lanes[LaneGroup.SALES], w.draw("customers")
    asked = lanes.share[:, None] * s.backlog[lanes.receiver]
    for (market, p), customers in np.ndenumerate(demand):
        mine = np.flatnonzero(lanes.receiver == market)
        if len(mine) and customers:
            asked[mine, p] += spread(int(customers), lanes.share[mine], draw)
    total = asked.sum(axis=1)
    return asked * np.minimum(1.0, lanes.limit / np.where(total > 0.0, total, 1.0))[:, None]


def _serve(w: World, s: Stocks, asked: Array) -> Array:
    """Hand units out at every goods point; return what was served at each market by state of health, (K, P)."""
    lanes, health, draw = w.layout.lanes[LaneGroup.SALES], w.layout.products.health, w.draw("sales")
    served = np.zeros_like(s.backlog)
    for point, row in enumerate(s.goods):
        mine = w.lanes_from(LaneGroup.SALES, point)
        for p, pool in enumerate(row):
            wanted = asked[mine, p].sum()
            able = health[p, w.units.category[pool.ids]].sum() * w.terms.sale_legal[p]
            if wanted <= 0.0 or able <= 0.0:
                continue
            enough = able >= wanted
            out = pool.take(whole(len(pool) * (wanted / able if enough else 1.0), draw), draw)
            counts = whole_parts(asked[mine, p] / wanted * len(out), draw)
            parts = np.split(draw.permutation(out), np.cumsum(counts)[:-1])
            for lane, ids in zip(mine, parts, strict=True):
                market = int(lanes.receiver[lane])
                # Where stock suffices, nobody goes without: what rounding gives too little or too much evens out.
                served[market, p] += asked[lane, p] if enough else health[p, w.units.category[ids]].sum()
                _hand_over(w, s, int(lane), p, ids)
    return served


def _hand_over(w: World, s: Stocks, lane: int, product: int, ids: Ids) -> None:
    """Sell units to users in a market; those who buy a product without a lifetime use it up."""
    if not len(ids):
        return
    market = int(w.layout.lanes[LaneGroup.SALES].receiver[lane])
    carbon = float(w.layout.lanes[LaneGroup.SALES].carbon[lane, product])
    w.units.sell(ids, t=w.t, place=w.node[NodeKind.MARKET][market], easy=_easy(w, ids), carbon=carbon)
    w.note("sold", len(ids))
    if w.layout.products.archetypes[product].lifetime != "none":
        s.use.sell(w.t, market, product, ids, w.draw("lifetimes"))


def _easy(w: World, ids: Ids) -> np.ndarray:
    """Return which of the units sold are made for disassembly: new ones while the lever is on."""
    lever = w.decisions.lever("design_for_disassembly")
    if lever <= 0.0:
        return np.zeros(len(ids), dtype=bool)
    return (w.units.category[ids] == 0) & (w.draw("design").random(len(ids)) < lever)


def _expect(w: World, s: Stocks, demand: Array) -> None:
    """Renew the markets' forecast by smoothing or a moving average, and pass it upstream."""
    rule = w.layout.suite.forecast
    if rule.method == "moving_average":
        s.history = np.concatenate([s.history[1:], demand[None]])
        s.forecast = s.history.mean(axis=0)
    else:
        s.forecast = s.forecast + w.value("forecast.smoothing") * (demand - s.forecast)
    s.at_goods = expected_at_goods(w.layout, s.forecast)
