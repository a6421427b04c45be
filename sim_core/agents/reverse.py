"""Reverse flows of agents: end of life, collection, inspection into grades, reuse, second life, remanufacture."""

import numpy as np
from scipy.special import ndtri

from sim_core.agents.chance import whole
from sim_core.agents.passport import OUTSIDE, Ids
from sim_core.agents.pool import join
from sim_core.agents.states import LifeEvent
from sim_core.agents.stocks import Stocks, goods_position
from sim_core.agents.world import Array, Parcel, World
from sim_core.catalogue import Archetype
from sim_core.engine.settings import M, U
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import MONTHS_PER_YEAR


def take_back(w: World, s: Stocks) -> None:
    """End the use of units whose time has come; some owners keep them, some give them back, the rest are lost."""
    draw = w.draw("take back")
    ended = s.use.outflow(w.t)
    s.easy_share = _easy_share(w, ended)
    release = np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * w.value("hibernation.years")))
    offered, kept = s.use.hibernate(ended, w.value("hibernation.share"), release, draw)
    w.units.happen(LifeEvent.HIBERNATED, kept, t=w.t)
    share = w.terms.collection_share
    share = share + (1.0 - share) * w.value("collection.buy_back_share") * w.decisions.lever("buy_back")
    collected, lost = list[Parcel](), list[Ids]()
    for market, product, ids in offered:
        chance = share[product] if w.has_lane(LaneGroup.RETURNS, market) else 0.0
        given = draw.random(len(ids)) < chance
        collected.append((market, product, ids[given]))
        lost.append(ids[~given])
    gone = join(lost)
    w.units.happen(LifeEvent.LOST, gone, t=w.t, place=OUTSIDE)
    w.note("ended_use", sum(len(ids) for _, _, ids in ended))
    w.note("collected", sum(len(ids) for _, _, ids in collected))
    w.note("disposed", len(gone))
    w.send(LaneGroup.RETURNS, collected, LifeEvent.COLLECTED)


def _easy_share(w: World, ended: list[Parcel]) -> Array:
    """Return which share of this month's outflow of each product was made for disassembly, (P,)."""
    easy, units = np.zeros(len(w.layout.products.archetypes)), np.zeros(len(w.layout.products.archetypes))
    for _, product, ids in ended:
        easy[product] += np.count_nonzero(w.units.easy[ids])
        units[product] += len(ids)
    return easy / np.maximum(1.0, units)


def consolidate(w: World, s: Stocks) -> None:
    """Ship from collectors to inspection what lies above the keep-up-to level, up to capacity."""
    layout, draw = w.layout, w.draw("consolidate")
    arrived = w.arrive(LaneGroup.RETURNS) + _taken_in(w, NodeKind.COLLECTOR, w.terms.collector_returns, draw)
    came = np.zeros_like(s.returns_forecast)
    for collector, product, ids in arrived:
        s.collected[collector][product].add(ids)
        came[collector, product] += len(ids)
    s.returns_forecast += w.value("returns.smoothing") * (came - s.returns_forecast)
    capacity = layout.rates.collection + w.capacity.added(NodeKind.COLLECTOR, w.t)[:, 0]
    shipped = list[Parcel]()
    for collector, row in enumerate(s.collected):
        node = w.node[NodeKind.COLLECTOR][collector]
        amounts = np.array(
            [
                min(
                    capacity[collector, p],
                    max(0.0, len(pool) - w.decisions.level(U, node, s.returns_forecast[collector, p])),
                )
                for p, pool in enumerate(row)
            ]
        )
        amounts *= min(1.0, _room(w, collector) / max(1e-9, amounts.sum()))
        shipped += [(collector, p, pool.take(whole(amounts[p], draw), draw)) for p, pool in enumerate(row)]
    w.send(LaneGroup.CORES, shipped)


def _room(w: World, collector: int) -> float:
    """Return how many units a collector's lanes can carry together when each takes its share."""
    lanes = w.layout.lanes[LaneGroup.CORES]
    mine = w.lanes_from(LaneGroup.CORES, collector)
    return float(np.min(lanes.limit[mine] / np.maximum(1e-300, lanes.share[mine]), initial=np.inf))


def _taken_in(w: World, kind: NodeKind, returns: Array, draw: np.random.Generator) -> list[Parcel]:
    """Bring in exogenous returns (n, P), rounded without bias."""
    found = list[Parcel]()
    for (i, p), amount in np.ndenumerate(returns):
        number = whole(float(amount), draw)
        if number:
            found.append((i, p, w.units.create(LifeEvent.TAKEN_IN, number, t=w.t, product=p, place=w.node[kind][i])))
    return found


def inspect(w: World, s: Stocks) -> None:
    """Grade what waits, up to capacity, and send each unit on its way."""
    draw = w.draw("inspect")
    for place, product, ids in w.arrive(LaneGroup.CORES):
        s.queue[place][product].add(ids)
    reusable, fit, offered, rest = list[Parcel](), list[Parcel](), list[Parcel](), list[Parcel]()
    for place, row in enumerate(s.queue):
        offer = w.decisions.share(M, w.node[NodeKind.INSPECTION][place])
        for p, pool in enumerate(row):
            ids = pool.take(whole(min(len(pool), w.layout.rates.inspection[place, p]), draw), draw)
            grade = _grade(w, p, ids, draw)
            again = w.layout.products.again[p, w.units.category[ids]] > 0.0
            lucky = draw.random(len(ids)) < offer
            as_is = (grade == 0) & again & lucky & w.has_lane(LaneGroup.REUSE, place)
            remade = (grade <= 1) & again & ~as_is
            second = (grade == 2) & lucky
            reusable.append((place, p, ids[as_is]))
            fit.append((place, p, ids[remade & w.has_lane(LaneGroup.REMAN_FEED, place)]))
            offered.append((place, p, ids[second]))
            sent_on = as_is | second | (remade & w.has_lane(LaneGroup.REMAN_FEED, place))
            rest.append((place, p, ids[~sent_on]))
    rest += _repurpose(w, s, offered)
    rest += _reuse(w, reusable)
    w.send(LaneGroup.REMAN_FEED, fit)
    w.send(LaneGroup.RECYCLE_FEED, rest)


def _grade(w: World, product: int, ids: Ids, draw: np.random.Generator) -> np.ndarray:
    """Draw the quality of units and return their grades: 0 reuse, 1 remanufacture, 2 second life, 3 recycle.

    Premium inspection finds some of those of grade 2 fit for remanufacture.
    """
    archetype = w.layout.products.archetypes[product]
    category = w.units.category[ids].astype(np.int64)
    life = (category + 1) // 2
    remade = (life > 0) & (category % 2 == 0)
    mean = (1.0 - archetype.value("quality.loss")) ** life
    mean = np.where(remade, mean * (1.0 - archetype.value("quality.restore_gap")), mean)
    quality = mean + archetype.value("quality.spread") * draw.standard_normal(len(ids))
    grade = (quality[:, None] < _thresholds(archetype)).sum(axis=1)
    moved = archetype.value("inspection.premium_shift") * w.decisions.lever("premium_inspection")
    grade[(grade == 2) & (draw.random(len(ids)) < moved)] = 1
    w.units.happen(LifeEvent.GRADED, ids, t=w.t, quality=np.clip(quality, 0.0, 1.0))
    return grade


def _thresholds(archetype: Archetype) -> Array:
    """Return the least quality of grades A, B and C: new units (mean quality 1) reach them with the base shares."""
    reached = np.cumsum([archetype.value(f"grade.{grade}") for grade in "ABC"])
    return 1.0 + archetype.value("quality.spread") * ndtri(np.clip(1.0 - reached, 0.0, 1.0))


def _reuse(w: World, reusable: list[Parcel]) -> list[Parcel]:
    """Send units that are as good as they were back to goods points; return those that turn out not to be."""
    draw, good, bad = w.draw("reuse"), list[Parcel](), list[Parcel]()
    for place, p, ids in reusable:
        works = draw.random(len(ids)) < w.value("reuse.yield")[p]
        good.append((place, p, ids[works]))
        bad.append((place, p, ids[~works]))
    for place, p, ids in good:
        after = 2 * ((w.units.category[ids] + 1) // 2 + 1) - 1
        carbon = w.value("carbon.reuse")[p]
        node = w.node[NodeKind.INSPECTION][place]
        w.units.happen(LifeEvent.REUSED, ids, t=w.t, place=node, category=after.astype(np.int16), carbon=carbon)
        w.emit(len(ids) * carbon)
        w.note("reused", len(ids))
    w.send(LaneGroup.REUSE, good)
    return bad


def _repurpose(w: World, s: Stocks, offered: list[Parcel]) -> list[Parcel]:
    """Offer units to the second-life markets, which take up to their demand; return what they left.

    Units in second use leave with a constant chance; some of them are collected for recycling.
    """
    draw, lanes = w.draw("second life"), w.layout.lanes[LaneGroup.REPURPOSE]
    chance = np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * w.value("second_life.years")))
    back = list[Parcel]()
    for market, row in enumerate(s.second_life):
        for p, pool in enumerate(row):
            ids = pool.take_where(draw.random(len(pool)) < chance[p])
            served = w.has_lane(LaneGroup.SECOND_LIFE_RETURNS, market)
            given = draw.random(len(ids)) < w.value("second_life.collection")[p] * served
            back.append((market, p, ids[given]))
            w.units.happen(LifeEvent.LOST, ids[~given], t=w.t, place=OUTSIDE)
            w.note("disposed", int(np.count_nonzero(~given)))
    asked: dict[tuple[int, int], list[Parcel]] = {}
    left = list[Parcel]()
    for place, p, ids in offered:
        mine = w.lanes_from(LaneGroup.REPURPOSE, place)
        if not len(mine):
            left.append((place, p, ids))
            continue
        pick = mine[np.searchsorted(np.cumsum(lanes.share[mine])[:-1], draw.random(len(ids)), side="right")]
        for lane in mine:
            asked.setdefault((int(lanes.receiver[lane]), p), []).append((place, p, ids[pick == lane]))
    for (market, p), parcels in asked.items():
        taken, over = _up_to(w.layout.rates.second_life[market, p], parcels, draw)
        left += over
        ids = join(ids for _, _, ids in taken)
        w.units.happen(LifeEvent.REPURPOSED, ids, t=w.t, place=w.node[NodeKind.SECOND_LIFE][market])
        s.second_life[market][p].add(ids)
        w.note("second_life", len(ids))
    w.send(LaneGroup.SECOND_LIFE_RETURNS, back, LifeEvent.COLLECTED)
    return left


def _up_to(room: float, parcels: list[Parcel], draw: np.random.Generator) -> tuple[list[Parcel], list[Parcel]]:
    """Split parcels into what finds room, chosen without preference, and what does not."""
    count = sum(len(ids) for _, _, ids in parcels)
    if count <= room:
        return parcels, []
    picked = np.zeros(count, dtype=bool)
    picked[draw.permutation(count)[: whole(room, draw)]] = True
    parts = np.split(picked, np.cumsum([len(ids) for _, _, ids in parcels])[:-1])
    pairs = list(zip(parcels, parts, strict=True))
    inside = [(place, p, ids[part]) for (place, p, ids), part in pairs]
    return inside, [(place, p, ids[~part]) for (place, p, ids), part in pairs]


def remanufacture(w: World, s: Stocks) -> None:
    """Remanufacture up to M at the goods points served, keep cores up to U, pass the rest to recyclers."""
    layout, draw = w.layout, w.draw("remanufacture")
    arrived = w.arrive(LaneGroup.REMAN_FEED)
    arrived += _taken_in(w, NodeKind.REMANUFACTURER, w.terms.remanufacturer_returns, draw)
    for site, product, ids in arrived:
        s.cores[site][product].add(ids)
    gap, position = _serviceable_gap(w, s)
    capacity = layout.rates.reman + w.capacity.added(NodeKind.REMANUFACTURER, w.t)[:, 0]
    capacity = capacity * w.terms.remanufacturer_available[:, None]
    goods, rejects = list[Parcel](), list[Parcel]()
    for site, row in enumerate(s.cores):
        node = w.node[NodeKind.REMANUFACTURER][site]
        for p, pool in enumerate(row):
            excess = pool.take(whole(max(0.0, len(pool) - layout.rates.storage[site, p]), draw), draw)
            used = pool.take(whole(min(gap[site, p], capacity[site, p], len(pool)), draw), draw)
            made, failed = _remake(w, s, p, node, used)
            kept = w.decisions.level(U, node, capacity[site, p])
            if layout.rates.total_u[site] > 0.0:
                kept -= position[site, p] + len(made)
            surplus = pool.take(whole(min(len(pool), max(0.0, len(pool) - kept)), draw), draw)
            goods.append((site, p, made))
            rejects.append((site, p, join((failed, surplus, excess))))
    w.send(LaneGroup.REMAN_GOODS, goods)
    w.send(LaneGroup.REJECTS, rejects)


def _remake(w: World, s: Stocks, product: int, node: int, used: Ids) -> tuple[Ids, Ids]:
    """Remanufacture units; return those that became goods and those that did not."""
    draw = w.draw("remake")
    easier = 1.0 + s.easy_share[product] * w.value("disassembly.reman_gain")[product]
    works = draw.random(len(used)) < min(1.0, w.value("reman.yield")[product] * easier)
    made, failed = used[works], used[~works]
    after = 2 * ((w.units.category[made] + 1) // 2 + 1)
    carbon = w.value("carbon.reman")[product]
    w.units.happen(LifeEvent.REMANUFACTURED, made, t=w.t, place=node, category=after.astype(np.int16), carbon=carbon)
    w.units.happen(LifeEvent.REJECTED, failed, t=w.t, place=node, carbon=carbon)
    w.emit(len(used) * carbon)
    w.note("remanufactured", len(made))
    return made, failed


def _serviceable_gap(w: World, s: Stocks) -> tuple[Array, Array]:
    """Return by how much each remanufacturer would fill its goods points up to M, and their position, (R, P)."""
    lanes, products = w.layout.lanes[LaneGroup.REMAN_GOODS], len(w.layout.products.archetypes)
    position = goods_position(w, s)
    gap = np.zeros((len(s.cores), products))
    mine = np.zeros_like(gap)
    into = np.bincount(lanes.receiver, weights=lanes.share, minlength=len(position))
    for e in range(lanes.count):
        site, point = int(lanes.sender[e]), int(lanes.receiver[e])
        part = lanes.share[e] / into[point] if into[point] > 0.0 else 0.0
        for p in range(products):
            usual = s.at_goods[point, p] * (lanes.lead[e] + 1.0)
            target = w.decisions.level(M, w.node[NodeKind.REMANUFACTURER][site], usual)
            gap[site, p] += part * max(0.0, target - position[point, p])
            mine[site, p] += part * position[point, p]
    return gap, mine
