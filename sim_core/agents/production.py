"""Production of agents: receive feed and goods, make whole units, recycled material first, sell surplus feed."""

import numpy as np

from sim_core.agents.chance import whole
from sim_core.agents.states import LifeEvent
from sim_core.agents.stocks import Stocks, goods_position
from sim_core.agents.world import Array, World
from sim_core.engine.settings import S, U
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR, parse_month

VIRGIN, RECYCLED = 0, slice(1, None)  # places in the origins of feed
_SCRAP_FALLS = (2025, 2030)


def produce(w: World, s: Stocks) -> None:
    """Receive what arrives, produce up to S within capacity and feed, sell recycled feed above U."""
    _receive(w, s)
    amounts = _within_feed(w, s, _wanted(w, s))
    draw, scrap, use = w.draw("produce"), scrap_share(w), material_use(w)
    made = np.zeros_like(amounts)
    for (plant, p), amount in np.ndenumerate(amounts):
        made[plant, p] = _whole_within(s.feed[plant].sum(axis=1) - made[plant] @ use, use[p], float(amount), draw)
    origin = _use_feed(w, s, made)
    lanes = w.layout.lanes[LaneGroup.SCRAP]
    waste = made * (scrap / (1.0 - scrap))
    s.streams[LaneGroup.SCRAP].send(w.t, lanes.share[:, None] * waste[lanes.sender])
    stranded = (waste * (1.0 - lanes.served)[:, None]).sum(axis=0)
    w.emit(float(stranded @ (w.layout.products.mass * w.value("disposal.carbon"))))
    w.note("disposed", float(stranded.sum()))
    _make(w, s, made, origin)
    _sell_surplus(w, s)


def scrap_share(w: World) -> Array:
    """Return production scrap per unit of gross output, (P,): falls from 2025 to 2030, then stays."""
    year = (parse_month(w.layout.suite.start) + w.t) / MONTHS_PER_YEAR
    begin, end = _SCRAP_FALLS
    done = min(1.0, max(0.0, (year - begin) / (end - begin)))
    return w.value("scrap.2025") * (1.0 - done) + w.value("scrap.2030") * done


def material_use(w: World) -> Array:
    """Return the material put in per unit of good output, (P, M) kg."""
    return w.layout.products.bom / (1.0 - scrap_share(w))[:, None]


def monthly_need(w: World, s: Stocks) -> Array:
    """Return the material that each plant expects to use in a month, (plants, M) kg."""
    return s.at_goods[: w.layout.plants] @ material_use(w)


def _receive(w: World, s: Stocks) -> None:
    s.feed[:, :, VIRGIN] += s.streams[LaneGroup.VIRGIN].arrive(w.t)
    s.feed[:, :, 1:3] += s.streams[LaneGroup.SECONDARY].arrive(w.t)
    s.feed[:, :, 3] += s.streams[LaneGroup.EXTERNAL].arrive(w.t)
    for group in (LaneGroup.REMAN_GOODS, LaneGroup.REUSE):
        for point, p, ids in w.arrive(group):
            s.goods[point][p].add(ids)
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL):
        for warehouse, p, ids in w.arrive(group):
            s.goods[warehouse + w.layout.plants][p].add(ids)


def _wanted(w: World, s: Stocks) -> Array:
    """Return what plants would make, (plants, P): up to S, as far as law and capacity allow."""
    plants, position = w.layout.plants, goods_position(w, s)
    position[:plants] -= s.owed
    wanted = np.zeros((plants, position.shape[1]))
    for plant, p in np.ndindex(wanted.shape):
        target = w.decisions.level(S, w.node[NodeKind.PLANT][plant], float(s.at_goods[plant, p]))
        able = w.layout.rates.production[plant, p] * w.terms.plant_available[plant]
        wanted[plant, p] = min(able, max(0.0, target - position[plant, p]) * w.terms.production_legal[p])
    return wanted


def _within_feed(w: World, s: Stocks, wanted: Array) -> Array:
    """Cut output to what the feed allows: products share a scarce material in proportion."""
    need, have = wanted @ material_use(w), s.feed.sum(axis=2)
    enough = np.where(need > have, have / np.where(need > 0.0, need, 1.0), 1.0)
    bom = w.layout.products.bom
    worst = [[enough[i, bom[p] > 0.0].min(initial=1.0) for p in range(len(bom))] for i in range(len(wanted))]
    return wanted * np.array(worst).reshape(wanted.shape)


def _whole_within(have: Array, use: Array, amount: float, draw: np.random.Generator) -> int:
    """Round without bias, but down where the feed does not reach for one unit more."""
    number = whole(amount, draw)
    return number if bool((use * number <= have + 1e-9 * use).all()) else int(amount)


def _use_feed(w: World, s: Stocks, made: Array) -> Array:
    """Take feed for whole units, recycled first (with stock-ahead on: only up to the duty).

    Return the share of each origin in the feed used, (plants, M, origins).
    """
    hold, use = w.decisions.lever("stock_ahead"), material_use(w)
    have, total = s.feed[:, :, RECYCLED].sum(axis=2), made @ use
    due = made @ (use * w.terms.content_duty)
    limit = np.maximum(total * (1.0 - hold) + due * hold, total - s.feed[:, :, VIRGIN])
    recycled = np.minimum(np.minimum(have, total), limit)
    share = recycled / np.where(have > 0.0, have, 1.0)
    taken = np.empty_like(s.feed)
    taken[:, :, RECYCLED] = s.feed[:, :, RECYCLED] * share[:, :, None]
    taken[:, :, VIRGIN] = np.minimum(s.feed[:, :, VIRGIN], total - recycled)
    s.feed -= taken
    return taken / np.where(total > 0.0, total, 1.0)[:, :, None]


def _make(w: World, s: Stocks, made: Array, origin: Array) -> None:
    """Bring the units into being, each with the carbon of its production and of the material in it."""
    embedded = w.layout.facts.embedded
    upstream = origin[:, :, VIRGIN] + origin[:, :, 3] * w.layout.common("carbon.external_share")
    use, process = material_use(w), w.value("carbon.production") / (1.0 - scrap_share(w))
    for (plant, p), number in np.ndenumerate(made):
        carbon = float(process[p] + use[p] @ (upstream[plant] * embedded))
        node = w.node[NodeKind.PLANT][plant]
        s.goods[plant][p].add(w.units.create(LifeEvent.MADE, int(number), t=w.t, product=p, place=node, carbon=carbon))
        w.emit(float(number * process[p]))
    w.note("produced", float(made.sum()))


def _sell_surplus(w: World, s: Stocks) -> None:
    """Sell recycled feed above U, in years of expected use, where a plant has a lane to the external market."""
    need = monthly_need(w, s)
    for plant in range(w.layout.plants):
        if not w.has_lane(LaneGroup.SURPLUS, plant):
            continue
        node, have = w.node[NodeKind.PLANT][plant], s.feed[plant, :, RECYCLED].sum(axis=1)
        kept = np.array([w.decisions.level(U, node, MONTHS_PER_YEAR * use) for use in need[plant]])
        share = np.maximum(0.0, have - kept) / np.where(have > 0.0, have, 1.0)
        s.feed[plant, :, RECYCLED] *= (1.0 - np.minimum(1.0, share))[:, None]
