"""Compiled: constants of a layout in one precision, and the row numbers of all fields."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim_core.control import LEVERS
from sim_core.engine.layout import Layout
from sim_core.engine.production import scrap_share
from sim_core.engine.settings import annuity_factor
from sim_core.engine.use_phase import hazards, past_sales_left
from sim_core.kernel.constants import (
    BUILT_KINDS,
    COLLECTOR_HELD,
    COMMON,
    GOODS_HELD,
    INSPECTION_HELD,
    RECYCLER_HELD,
    REMANUFACTURER_HELD,
    VALUES,
    Constants,
    compile_lanes,
    record,
)
from sim_core.kernel.rows import LAGGED, control_sizes, durable, hand_out, scratch_sizes, state_sizes, term_sizes
from sim_core.kernel.tables import pack
from sim_core.ledger import Account, Flow, discount_weight
from sim_core.network import GOODS_POINTS, LaneGroup, NodeKind
from sim_core.units import KG_PER_T, MONTHS_PER_YEAR

Array = NDArray[Any]


class Compiled(NamedTuple):
    """The constants, the tables of lanes by name, and how many rows the arrays take; of the state, duties apart.

    boxed: the same constants as they are handed to compiled code.
    """

    constants: Constants
    boxed: Constants
    lanes: Mapping[str, Array]
    state_rows: int
    scratch_rows: int
    term_rows: int
    control_rows: int


def compile_constants(layout: Layout, terms: Mapping[str, Array], dtype: DTypeLike, *, past_months: int) -> Compiled:
    """Compile a layout's constants.

    terms: by name, (T, ..., scenarios). past_months: of registers that are kept for look-backs.
    """
    precision = np.dtype(dtype)
    r, row = hand_out(state_sizes(layout, past_months=past_months))
    lanes, row = compile_lanes(layout, row)
    s, scratch = hand_out(scratch_sizes(layout))
    q, term_rows = hand_out(term_sizes({name: values.shape[1:-1] for name, values in terms.items()}))
    c, control = hand_out(control_sizes(layout))
    weight, scored = np.array([discount_weight(layout.suite, t) for t in range(layout.suite.periods)]).T
    tiny = 1e-200 if precision == np.float64 else 1e-30
    tables = {
        **lanes,
        **_nodes(layout),
        **_products(layout),
        "common": _common(layout),
        "weight": weight,
        "scored": scored,
        "number": np.array([0.0, 1.0, KG_PER_T, tiny, MONTHS_PER_YEAR]),
    }
    used = posted(layout, terms)
    tables["posted"] = np.array([*used, *sorted(set(range(len(Account) + len(Flow))) - set(used))])
    floats, whole = pack(tables, precision)
    boxed = Constants(
        size=record(_size(layout, terms, past_months)),
        levers=record({lever: int(lever in layout.suite.levers and _serves(layout, lever)) for lever in LEVERS}),
        r=record(r),
        s=record(s),
        q=record(q),
        c=record(c),
        f=floats,
        z=whole,
    )
    return Compiled(
        constants=Constants(*(field[0] if field.dtype.names else field for field in boxed)),
        boxed=boxed,
        lanes=lanes,
        state_rows=row,
        scratch_rows=scratch,
        term_rows=term_rows,
        control_rows=control,
    )


def posted(layout: Layout, terms: Mapping[str, Array]) -> list[int]:
    """Return the rows, accounts first and flows behind them, on which anything can be booked in a period.

    The kernel reports an error if something is booked on another one.
    """
    count, kinds = layout.count, NodeKind
    plants, recyclers, second = count[kinds.PLANT], count[kinds.RECYCLER], count[kinds.SECOND_LIFE]
    graded = count[kinds.INSPECTION] or count[kinds.REMANUFACTURER]
    sites = plants or recyclers or second or graded or count[kinds.COLLECTOR]
    in_use, duties = durable(layout), terms["theta"].shape[1]
    needs: dict[Account | Flow, object] = {
        Account.PRODUCTION: plants,
        Account.COLLECTION: in_use or sites,
        Account.REMANUFACTURE: graded,
        Account.RECYCLING: recyclers,
        Account.DISPOSAL: sites,
        Account.SECOND_LIFE: second,
        Account.CAPEX: any(lever.startswith("invest") and _serves(layout, lever) for lever in layout.suite.levers),
        Account.CARBON_CHARGE: sites,
        Account.LANDFILL_TAX: recyclers,
        Account.SUBSIDY: sites,
        Account.CERTIFICATES: duties,
        Account.SHORTFALL: duties,
        Account.TERMINAL: False,  # opening and closing values go to the ledger itself
        Flow.FEED: plants,
        Flow.RECYCLED_FEED: plants,
        Flow.REUSED: graded,
        Flow.END_OF_LIFE: in_use or second,
        Flow.CAN_AGAIN: in_use,
        Flow.TO_RECYCLING: recyclers,
        Flow.RECOVERED: recyclers,
        Flow.TO_REUSE: graded or second,
        Flow.DUTY: duties,
        Flow.SHORT: duties,
        Flow.DUE: duties,
        Flow.LACKING: duties,
        Flow.DISPLACED: second,
        Flow.ENDED_VALUE: in_use or second,
        Flow.ENDED_MATERIAL_VALUE: in_use or second,
        Flow.KEPT_VALUE: graded or second,
        Flow.RECOVERED_VALUE: recyclers,
    }
    return [row for row, name in enumerate((*Account, *Flow)) if needs.get(name, True)]


def _size(layout: Layout, terms: Mapping[str, Array], past_months: int) -> dict[str, int]:
    suite, count, products = layout.suite, layout.count, layout.products
    return {
        "products": len(products.archetypes),
        "classes": products.classes,
        "materials": len(layout.facts.materials),
        "routes": len(products.routes),
        "lines": len(products.lines),
        "goods": len(layout.goods),
        "plants": layout.plants,
        "nodes": len(layout.network.nodes),
        "markets": count[NodeKind.MARKET],
        "collectors": count[NodeKind.COLLECTOR],
        "inspections": count[NodeKind.INSPECTION],
        "remanufacturers": count[NodeKind.REMANUFACTURER],
        "recyclers": count[NodeKind.RECYCLER],
        "second_life": count[NodeKind.SECOND_LIFE],
        "suppliers": count[NodeKind.SUPPLIER],
        "externals": count[NodeKind.EXTERNAL],
        "periods": suite.periods,
        "merged": suite.vintage_periods,
        "vintages": -(-suite.periods // suite.vintage_periods),
        "history": suite.forecast.periods if suite.forecast.method == "moving_average" else 0,
        "levels": int(layout.level.max(initial=0)) + 1,
        "warm_up": suite.warm_up,
        "scored_end": suite.warm_up + suite.scored,
        "epoch": suite.epoch_months,
        "reviews": suite.epochs,
        "expedite": int(layout.common("expedite.months")),
        "build": int(layout.common("invest.build_months")),
        "life": int(layout.common("invest.life_months")),
        "lagged": len(LAGGED) * len(products.archetypes) + len(layout.facts.materials),
        "past": past_months,
        "durable": int(durable(layout)),
        "posted": len(posted(layout, terms)),
        "returns_collected": int(terms["collector_returns"].any()),
        "returns_remade": int(terms["remanufacturer_returns"].any()),
    }


def _serves(layout: Layout, lever: str) -> bool:
    """Return whether the network has what a lever acts on; only investments are asked."""
    return not lever.startswith("invest_") or layout.count[NodeKind(lever.removeprefix("invest_"))] > 0


def _values(layout: Layout) -> Array:
    value, products = layout.value, layout.products
    made_of_virgin = (products.bom * layout.facts.embedded).sum(axis=1)[:, None] + value("carbon.production")
    computed = {
        "hibernation.release": np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * value("hibernation.years"))),
        "second_life.leaving": np.minimum(1.0, 1.0 / (MONTHS_PER_YEAR * value("second_life.years"))),
        "second_life.margin": value("second_life.cost") - value("second_life.price"),
        "second_life.displaced": value("second_life.displacement") * made_of_virgin,
        "second_life.displacement": value("second_life.displacement"),
        "value.core": layout.value_core[:, None],
        "value.in_use": layout.value_in_use[:, None],
        "mass": products.mass[:, None],
        "durable": np.array([[float(a.lifetime != "none")] for a in products.archetypes]),
        **{f"step.{kind}": value(f"invest.{kind}.step") / max(1, layout.count[kind]) for kind in BUILT_KINDS},
    }
    return np.stack([(computed[name] if name in computed else value(name))[:, 0] for name in VALUES])


def _common(layout: Layout) -> Array:
    computed = {
        "holding.rate": layout.common("holding.rate") / MONTHS_PER_YEAR,
        "external.part": 1.0 / max(1, layout.count[NodeKind.EXTERNAL]),
    }
    for kind in BUILT_KINDS:
        capex = layout.value(f"invest.{kind}.capex") * layout.value(f"invest.{kind}.step")
        computed[f"annuity.{kind}"] = annuity_factor(layout) * float(capex.sum()) * (layout.count[kind] > 0)
    return np.array([computed[name] if name in computed else layout.common(name) for name in COMMON])


def _nodes(layout: Layout) -> dict[str, Array]:
    rates, targets, kinds = layout.rates, layout.targets, NodeKind
    absolute = layout.absolute
    own = np.isnan(absolute)
    plants, points = layout.plants, len(layout.goods)
    cores, virgin = layout.lanes[LaneGroup.CORES], layout.lanes[LaneGroup.VIRGIN]
    room = np.full(layout.count[kinds.COLLECTOR], np.inf)
    np.minimum.at(room, cores.sender, cores.limit / np.where(cores.share > 0.0, cores.share, 1.0))
    goods_lead, neighbours = np.zeros(points), np.zeros(points)
    for group in (LaneGroup.GOODS, LaneGroup.PURCHASE):
        one = layout.lanes[group]
        np.add.at(goods_lead, one.receiver + plants, one.share * (one.lead + one.information))
    np.add.at(neighbours, layout.lanes[LaneGroup.LATERAL].receiver + plants, 1.0)
    external = layout.lanes[LaneGroup.EXTERNAL]
    external_lead, near = np.zeros(plants), np.zeros(plants)
    np.add.at(external_lead, external.receiver, external.share * (external.lead + external.information))
    np.add.at(near, virgin.receiver, 1.0 - virgin.overseas)
    fields: dict[str, Array] = {
        "slope": np.where(own, layout.suite.max_cover, 0.0),
        "absolute": np.where(own, 0.0, absolute),
        "goods_lead": goods_lead,
        "external_lead": external_lead,
        "core_room": room,
        "external": rates.external[:, 0],
        "holding": _holding(layout),
        "neighbours": neighbours,
        "near": near,
    }  # fmt: skip
    for name in (
        "production", "production_cost", "collection", "collection_cost", "inspection_cost", "reman", "reman_cost",
        "storage", "total_u", "line", "route_cost", "supplier", "goods_supplier", "goods_price", "second_life",
        "backlog", "shortage",
    ):  # fmt: skip
        fields[name] = getattr(rates, name)
    fields["inspected"] = rates.inspection
    return {
        **fields,
        "goods_node": layout.goods,
        "collector_node": targets[kinds.COLLECTOR],
        "inspection_node": targets[kinds.INSPECTION],
        "remanufacturer_node": targets[kinds.REMANUFACTURER],
        "recycler_node": targets[kinds.RECYCLER],
        "point_level": layout.level,
    }


def _holding(layout: Layout) -> Array:
    """Return what nodes charge for a unit (recyclers: kg) on hand and period: a row for each kind of stock."""
    rates = layout.rates.holding
    goods = np.concatenate([rates[kind] for kind in GOODS_POINTS])
    of_kind = {
        GOODS_HELD: goods,
        COLLECTOR_HELD: rates[NodeKind.COLLECTOR],
        INSPECTION_HELD: rates[NodeKind.INSPECTION],
        REMANUFACTURER_HELD: rates[NodeKind.REMANUFACTURER],
        RECYCLER_HELD: rates[NodeKind.RECYCLER],
    }
    table = np.zeros((len(of_kind), max(len(values) for values in of_kind.values())))
    for kind, values in of_kind.items():
        table[kind, : len(values)] = values
    return table


def _products(layout: Layout) -> dict[str, Array]:
    products, periods = layout.products, layout.suite.periods
    scrap = np.stack([scrap_share(layout, t)[:, 0] for t in range(periods)])
    head, closed, at_once = hazards(layout)
    left = past_sales_left(layout)
    return {
        "value": _values(layout),
        "bom": products.bom,
        "use": products.bom[None] / (1.0 - scrap)[:, :, None],
        "scrap": scrap,
        "grade": products.grade_share,
        "again": products.again,
        "health": products.health,
        "recovery": products.recovery * products.bom,
        "offered": products.offered,
        "route_carbon": products.route_carbon,
        "embedded": layout.facts.embedded,
        "head": np.moveaxis(head, 0, -1),
        "closed": np.moveaxis(closed, 0, -1),
        "at_once": at_once,
        "gone": left[:-1] - left[1:],
        "left": left,
        "exported": products.exported,
        "route_line": np.array(products.route_line),
        "best_line": np.array(products.best_line),
    }
