"""Production: receive feed, make goods up to S from recycled and virgin material, keep or sell surplus feed."""

import numpy as np

from sim_core.engine.layout import ORIGINS, Layout
from sim_core.engine.period import Array, Period
from sim_core.engine.pipeline import add_up
from sim_core.engine.recycling import sell_material
from sim_core.engine.reverse import goods_position
from sim_core.engine.settings import S, U, portion, ratio
from sim_core.ledger import Account, Flow
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import KG_PER_T, MONTHS_PER_YEAR, parse_month

RECYCLED = slice(1, len(ORIGINS))
_SCRAP_YEARS = (2025.0, 2030.0)  # production scrap falls between them


def scrap_share(layout: Layout, t: int) -> Array:
    """Return production scrap per unit of gross output, (P, 1): falls from 2025 to 2030, then stays."""
    first, last = layout.value("scrap.2025"), layout.value("scrap.2030")
    year = (parse_month(layout.suite.start) + t) / MONTHS_PER_YEAR
    start, end = _SCRAP_YEARS
    return first + (last - first) * min(1.0, max(0.0, (year - start) / (end - start)))


def material_use(p: Period) -> Array:
    """Return the material put in per unit of good output, (P, M, 1) kg: the bill of materials and its scrap."""
    if p.material_use is None:
        p.material_use = p.layout.products.bom[:, :, None] / (1.0 - scrap_share(p.layout, p.t))[:, :, None]
    return p.material_use


def produce(p: Period) -> None:
    """Receive feed and goods, produce up to S, book content for the law."""
    state, layout = p.state, p.layout
    _receive(p)
    plants = layout.plants
    usual = state.plant_forecast
    target = p.settings.level(S, layout.targets[NodeKind.PLANT], usual)
    position = goods_position(p)[:plants] - state.owed
    wanted = p.chosen("produce", np.maximum(0.0, target - position)) * p.terms.production_legal
    capacity = layout.rates.production[:, :, None] * p.terms.plant_available[:, None]
    made = _within_feed(p, np.minimum(wanted, capacity))
    used = made[:, :, None] * material_use(p)
    flow = p.settings.flow("recycled")
    recycled = _use_feed(p, used) if flow is None else _use_chosen_feed(p, used, flow)
    p.took("produce", made)
    p.took("recycled", recycled)
    state.goods[:plants, :, 0] += made
    scrap = scrap_share(layout, p.t)
    gross = made / (1.0 - scrap)
    p.send_product(LaneGroup.SCRAP, gross - made)
    p.made += gross.sum(axis=0)
    cost = layout.rates.production_cost[:, :, None] + (
        layout.value("disassembly.cost") * p.settings.lever("design_for_disassembly")
    )
    p.pay(Account.PRODUCTION, gross * cost)
    p.move(Flow.FEED, used)
    p.move(Flow.RECYCLED_FEED, recycled)
    p.emit(gross.sum(axis=0) * layout.value("carbon.production"))
    good = (1.0 - scrap)[:, :, None]
    p.register["content"] = used * good
    p.register["recycled"] = recycled * good[:, :, None]
    p.note("produced", made)
    _sell_surplus(p)


def _receive(p: Period) -> None:
    """Take in material and goods that arrive, and book what is due as they enter."""
    state, layout, lanes = p.state, p.layout, p.layout.lanes[LaneGroup.VIRGIN]
    virgin = state.pipes[LaneGroup.VIRGIN].take(p.t)
    state.feed[:, :, 0] += add_up(lanes.to_receiver, virgin)
    entering = (virgin * lanes.overseas[:, None, None]).sum(axis=0)
    p.pay(Account.TARIFF, entering * p.terms.virgin_price * p.terms.tariff_entry)
    p.pay(Account.CARBON_CHARGE, entering * p.terms.cbam / KG_PER_T * p.terms.carbon_price)
    state.feed[:, :, 1:3] += p.arrive(LaneGroup.SECONDARY)
    state.feed[:, :, 3] += p.arrive(LaneGroup.EXTERNAL)
    plants = layout.plants
    state.goods += p.arrive(LaneGroup.REMAN_GOODS) + p.arrive(LaneGroup.REUSE)
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE, LaneGroup.LATERAL):
        if layout.lanes[group].count:
            state.goods[plants:] += p.arrive(group)


def _within_feed(p: Period, made: Array) -> Array:
    """Return the output (plants, P, B) that the feed allows: products share a scarce material in proportion."""
    use = material_use(p)
    need = (made[:, :, None] * use).sum(axis=1)
    enough = ratio(p.state.feed.sum(axis=2), need)
    uses = (p.layout.products.bom > 0.0)[None, :, :, None]
    return made * np.where(uses, enough[:, None], 1.0).min(axis=2, initial=1.0)


def _use_feed(p: Period, used: Array) -> Array:
    """Take feed for production, recycled first (with stock-ahead on: only up to the duty).

    used: (plants, P, M, B). Return the recycled part by origin, (plants, P, M, 3, B): duties first, then in proportion.
    """
    feed = p.state.feed
    hold = p.settings.lever("stock_ahead")
    have = feed[:, :, RECYCLED].sum(axis=2)
    quota = used * p.terms.content_duty
    total, due = used.sum(axis=1), quota.sum(axis=1)
    limit = total * (1.0 - hold) + due * hold
    recycled = np.minimum(np.minimum(have, total), np.maximum(limit, total - feed[:, :, 0]))
    first = np.minimum(recycled, due)
    share = first * portion(np.ones_like(due), due)
    rest = (recycled - first) * portion(np.ones_like(total), total - due)
    given = quota * share[:, None] + (used - quota) * rest[:, None]
    mix = feed[:, :, RECYCLED] * portion(np.ones_like(have), have)[:, :, None]
    feed[:, :, RECYCLED] *= (1.0 - np.minimum(1.0, portion(recycled, have)))[:, :, None]
    feed[:, :, 0] = np.maximum(0.0, feed[:, :, 0] - np.maximum(0.0, total - recycled))
    return given[:, :, :, None] * mix[:, None]


def _use_chosen_feed(p: Period, used: Array, flow: Array) -> Array:
    """Take feed for production by a flow, (plants, P, M, 3, B): at most what is used and what is there of each origin.

    Where virgin feed is too little for the rest, recycled feed makes up for it, products and origins in proportion.
    Return the recycled part.
    """
    feed = p.state.feed
    recycled = flow * ratio(used, flow.sum(axis=3))[:, :, :, None]
    recycled = recycled * ratio(feed[:, :, RECYCLED], recycled.sum(axis=1))[:, None]
    rest = np.maximum(0.0, used - recycled.sum(axis=3))
    left = np.maximum(0.0, feed[:, :, RECYCLED] - recycled.sum(axis=1))
    needed, have = rest.sum(axis=1), left.sum(axis=2)
    missing = np.maximum(0.0, needed - feed[:, :, 0])
    recycled = recycled + (
        (rest * portion(missing, needed)[:, None])[:, :, :, None]
        * (left * portion(np.ones_like(have), have)[:, :, None])[:, None]
    )
    feed[:, :, RECYCLED] = np.maximum(0.0, feed[:, :, RECYCLED] - recycled.sum(axis=1))
    feed[:, :, 0] = np.maximum(0.0, feed[:, :, 0] - np.maximum(0.0, used.sum(axis=1) - recycled.sum(axis=(1, 3))))
    return recycled


def _sell_surplus(p: Period) -> None:
    """Sell recycled feed above U, in years of expected use, where a plant has a lane to the external market."""
    lanes = p.layout.lanes[LaneGroup.SURPLUS]
    if not lanes.count:
        return
    feed, flow = p.state.feed[:, :, RECYCLED], p.settings.flow("sell_feed")
    if flow is None:
        have = feed.sum(axis=2)
        year = MONTHS_PER_YEAR * monthly_need(p)
        kept = p.settings.level(U, p.layout.targets[NodeKind.PLANT], year)
        surplus = np.maximum(0.0, have - kept) * lanes.served[:, None, None]
        share = np.minimum(1.0, portion(surplus, have))[:, :, None]
    else:
        share = ratio(flow, feed) * lanes.served[:, None, None, None]
        surplus = (feed * share).sum(axis=2)
    p.took("sell_feed", feed * share)
    feed *= 1.0 - share
    p.ship(LaneGroup.SURPLUS, p.spread(LaneGroup.SURPLUS, surplus.sum(axis=1)))
    sell_material(p, surplus.sum(axis=0))


def monthly_need(p: Period) -> Array:
    """Return the material that each plant expects to use in a month, (plants, M, B) kg."""
    return (p.state.plant_forecast[:, :, None] * material_use(p)).sum(axis=1)
