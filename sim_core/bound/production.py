"""Production from feed by origin, and orders of feed, as columns and rows."""

import numpy as np

from sim_core.bound.levers import ever_on, has
from sim_core.bound.model import Model, add_to
from sim_core.bound.origins import RECYCLED, alike
from sim_core.bound.outlook import Array
from sim_core.bound.program import Index, Sum
from sim_core.engine.layout import ORIGINS
from sim_core.engine.production import scrap_share
from sim_core.network import LaneGroup, NodeKind
from sim_core.units import KG_PER_T

_EXTERNAL = 2  # its place among the recycled origins


def design(model: Model) -> None:
    """Open the lever design_for_disassembly, whose effects on returns other steps read; its cost is `produce`'s."""
    value = model.layout.value
    useful = value("disassembly.reman_gain").any() or value("disassembly.recycling_saving").any()
    if has(model, "design_for_disassembly") and useful:
        model.columns["ever_easy"] = ever_on(model, "design_for_disassembly")
        model.relaxed.add("design_for_disassembly")


def produce(model: Model) -> Index:
    """Choose good output, (T, plants, P) columns; its scrap goes to recyclers."""
    layout, program, outlook = model.layout, model.program, model.outlook
    legal = outlook.term("production_legal")[:, None]
    most = layout.rates.production * outlook.term("plant_available")[..., None] * legal
    made = program.columns(*most.shape, upper=most)
    gross = (1.0 / (1.0 - _scrap(model)))[:, None]
    model.columns["produce"] = made
    model.price(made, gross * layout.rates.production_cost)
    total = model.sum_of(made)
    model.emit(total, gross * layout.value("carbon.production")[:, 0])
    model.send(LaneGroup.SCRAP, model.sum_of(made, gross - 1.0))
    _charge_design(model, made, gross, most)
    return made


def _scrap(model: Model) -> Array:
    """Return production scrap per unit of gross output, (T, P)."""
    outlook = model.outlook
    return np.stack([scrap_share(model.layout, t)[:, 0] for t in range(outlook.first, outlook.last)])


def _charge_design(model: Model, made: Index, gross: Array, most: Array) -> None:
    """Charge the design lever x gross output, from below: output beyond what could be made with the lever off."""
    cost = model.layout.value("disassembly.cost")[:, 0]
    if "design_for_disassembly" not in model.columns or not cost.any():
        return
    easy = model.program.columns(*made.shape)
    rows = model.program.rows(*made.shape, lower=-np.inf, upper=gross * most)
    model.program.put(rows, easy, -1.0)
    model.program.put(rows, made, gross)
    settings = model.columns["design_for_disassembly"]
    epoch = model.layout.suite.epoch_months
    period = np.arange(model.periods) + model.outlook.first
    review = period // epoch - -(-model.outlook.first // epoch)
    known = review >= 0
    if known.any():
        model.program.put(rows[known], settings[review[known]][:, None, None], (gross * most)[known])
    model.price(easy, cost)


def feed(model: Model, made: Index) -> None:
    """Keep the feed of each plant by origin, choose the recycled part of what is used, and what is sold.

    What arrives of feed is sent before.
    """
    layout, program, outlook = model.layout, model.program, model.outlook
    scrap = _scrap(model)
    use = layout.products.bom / (1.0 - scrap)[..., None]  # (T, P, M) kg per unit of good output
    plants = layout.plants
    place = alike(outlook.obligations, model.materials)
    kept = place == np.arange(RECYCLED)  # (M, 3): origins that have columns of their own
    shape = (model.periods, plants, model.products, model.materials, RECYCLED)
    some = (layout.products.bom > 0.0)[:, :, None] & kept
    recycled = program.columns(*shape, upper=np.where(some, np.inf, 0.0)[None, None])
    within = program.rows(*shape[:4], lower=-np.inf)
    program.put(within[..., None], recycled, 1.0)
    program.put(within, made[..., None], -use[:, None])
    sellable = (layout.lanes[LaneGroup.SURPLUS].served > 0.0)[:, None, None] & kept
    sold = program.columns(
        model.periods, plants, model.materials, RECYCLED, upper=np.where(sellable, np.inf, 0.0)[None]
    )
    own = np.concatenate([np.ones((model.materials, 1), dtype=bool), kept], axis=1)
    stock = program.columns(model.periods, plants, model.materials, len(ORIGINS), upper=np.where(own, np.inf, 0.0))
    model.columns |= {"recycled": recycled, "sell_feed": sold, "feed": stock}
    rows = program.rows(*stock.shape)
    start = outlook.start(outlook.state.feed)
    together = np.concatenate([np.zeros((model.materials, 1), dtype=np.intp), 1 + place], axis=1)
    program.put(rows, stock, -1.0)
    program.put(rows[1:], stock[:-1], 1.0)
    arrived = feed_arrivals(model)
    arrived.constant[0] += start
    to = np.take_along_axis(rows, np.broadcast_to(together, rows.shape), axis=-1)
    program.put_sum(to, arrived)
    program.put(rows[:, :, None, :, 1:], recycled, -1.0)
    program.put(rows[..., 1:], sold, -1.0)
    program.put(rows[:, :, None, :, 0], made[..., None], -use[:, None])
    program.put(rows[:, :, None, :, :1], recycled, 1.0)
    price = outlook.term("virgin_price")
    value = price[:, None, :, None]
    model.keep(stock, value)
    program.constant += float((outlook.opening_factor(value) * start).sum())
    _sell(model, sold, price)
    _register(model, made, recycled, scrap)


def feed_arrivals(model: Model) -> Sum:
    """Return what arrives of feed at plants by origin, virgin first, (T, plants, M, 4) kg."""
    arrived = Sum(model.periods, model.layout.plants, model.materials, len(ORIGINS))
    add_to(arrived, arrived.at[..., 0], model.arrive(LaneGroup.VIRGIN))
    add_to(arrived, arrived.at[..., 1:3], model.arrive(LaneGroup.SECONDARY))
    add_to(arrived, arrived.at[..., 1 + _EXTERNAL], model.arrive(LaneGroup.EXTERNAL))
    return arrived


def _sell(model: Model, sold: Index, price: Array) -> None:
    layout = model.layout
    lanes = layout.lanes[LaneGroup.SURPLUS]
    if not lanes.count:
        return
    freight = np.zeros(layout.plants)
    np.add.at(freight, lanes.sender, lanes.share * lanes.freight[0, :, 0, 0])
    revenue = (price * layout.common("external.sale"))[:, None, :, None]
    model.price(sold, freight[None, :, None, None] - revenue)


def _register(model: Model, made: Index, recycled: Index, scrap: Array) -> None:
    """Book content: material in good output, and the recycled part of it by origin."""
    content, part = model.register["content"], model.register["recycled"]
    content.add(content.at, made[..., None], model.layout.products.bom)
    part.add(part.at, recycled, (1.0 - scrap)[:, None, :, None, None])


def order(model: Model) -> None:
    """Choose what each lane brings of virgin feed, at normal speed or expedited, and of recycled feed bought."""
    _order_virgin(model)
    _order_external(model)


def _order_virgin(model: Model) -> None:
    layout, program, outlook = model.layout, model.program, model.outlook
    lanes = layout.lanes[LaneGroup.VIRGIN]
    if not lanes.count:
        return
    # An order that takes time to reach its supplier may leave after a ban that came meanwhile.
    if (lanes.overseas * lanes.information).any():
        model.relaxed.add("late_orders")
    barred = lanes.overseas[:, None] * (lanes.information == 0)[:, None] * (1.0 - outlook.term("import_legal"))[:, None]
    passable = (outlook.term("virgin_open")[..., None] > 0.0) & (barred == 0.0)
    most = np.where(passable, np.inf, 0.0)
    able = layout.rates.supplier * outlook.term("supplier_available")[..., None]  # (T, S, M)
    usual = program.columns(*most.shape, upper=most, implied=able[:, lanes.sender])
    faster = np.maximum(1, lanes.lead - int(layout.common("expedite.months")))
    quicker = np.where((faster < lanes.lead)[:, None], most, 0.0) if has(model, "expedite") else 0.0
    quick = program.columns(*most.shape, upper=quicker, implied=able[:, lanes.sender])
    model.columns["virgin"], model.columns["virgin_fast"] = usual, quick
    both = Sum(*most.shape)
    both.add(both.at, usual, 1.0)
    both.add(both.at, quick, 1.0)
    at_supplier = Sum(model.periods, layout.count[NodeKind.SUPPLIER], model.materials)
    add_to(at_supplier, at_supplier.at[:, lanes.sender], both)
    program.limit(at_supplier, able)
    _limit_lanes(model, both, lanes.limit)
    overseas = lanes.overseas[:, None]
    price = outlook.term("virgin_price")[:, None] * (1.0 + layout.common("supplier.premium") * (1.0 - overseas))
    model.pay(both, price * (1.0 + outlook.term("tariff_departure")[:, None] * overseas))
    model.price(quick, (lanes.lead > 1)[:, None] * layout.common("expedite.cost"))
    model.send_by_lane(LaneGroup.VIRGIN, model.sum_of(usual))
    model.send_by_lane(LaneGroup.VIRGIN, model.sum_of(quick), lead=faster)
    _charge_entry(model, usual, lanes.lead)
    _charge_entry(model, quick, faster)
    _charge_entry_under_way(model)
    for name, share in (("virgin", 1.0), ("imported", overseas), ("domestic", 1.0 - overseas)):
        register = model.register[name]
        add_to(register, np.broadcast_to(register.at[:, None], most.shape), both, share)


def _entry_duty(model: Model) -> Array:
    """Return what a kg of imported material pays as it enters, (T, M) EUR, discounted."""
    outlook = model.outlook
    duty = outlook.term("virgin_price") * outlook.term("tariff_entry")
    border = outlook.term("cbam") / KG_PER_T * outlook.term("carbon_price")[:, None]
    return model.weight[:, None] * (duty + border)


def _charge_entry(model: Model, columns: Index, lead: Index) -> None:
    duty, overseas = _entry_duty(model), model.layout.lanes[LaneGroup.VIRGIN].overseas
    for e in np.flatnonzero(overseas):
        if lead[e] < model.periods:
            model.program.charge(columns[: model.periods - lead[e], e], overseas[e] * duty[lead[e] :])


def _charge_entry_under_way(model: Model) -> None:
    sent = model.outlook.arrivals(LaneGroup.VIRGIN)
    overseas = model.layout.lanes[LaneGroup.VIRGIN].overseas[:, None]
    model.program.constant += float((_entry_duty(model)[:, None] * sent * overseas).sum())


def _order_external(model: Model) -> None:
    layout, program, outlook = model.layout, model.program, model.outlook
    lanes = layout.lanes[LaneGroup.EXTERNAL]
    if not lanes.count:
        return
    own = layout.rates.external  # (n, 1)
    able = np.where(np.isnan(own), outlook.term("external_capacity")[:, None] / max(1, len(own)), own)
    bought = program.columns(model.periods, lanes.count, model.materials, implied=able[:, lanes.sender])
    model.columns["external"] = bought
    total = model.sum_of(bought)
    at_market = Sum(*able.shape)
    add_to(at_market, at_market.at[:, lanes.sender], total)
    program.limit(at_market, able)
    _limit_lanes(model, total, lanes.limit)
    model.price(bought, outlook.term("external_price")[:, None])
    model.send_by_lane(LaneGroup.EXTERNAL, total)


def _limit_lanes(model: Model, total: Sum, limit: Array) -> None:
    """Hold what lanes carry, (T, E, M) kg, within their capacity."""
    if np.isfinite(limit).any():
        by_lane = Sum(*total.at.shape[:2])
        add_to(by_lane, np.broadcast_to(by_lane.at[..., None], total.at.shape), total)
        model.program.limit(by_lane, limit)
