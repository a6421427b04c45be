"""Acting: a plan's first epoch as targets and levers, by stated rules.

Controllers act through targets and levers alone, which stay for an epoch, while a plan moves flows month by month. A
lever is on where the plan has it on, or the flows that it steers, by half or more; virgin feed counts in EUR. Targets
that no rule touches are covers, given or by base-stock practice: safety stocks are no matter of the plan, which knows
no chance. M of plants is in optimizers/controllers/feed_cover.py; a margin on top makes up for what the plan can't
know.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from optimizers.controllers.covers import COVERS, covered, usual_covers
from optimizers.controllers.feed_cover import recycled_covers
from optimizers.controllers.planning import Array, Plan
from sim_core.bound.levers import INVESTMENTS
from sim_core.engine.layout import Layout
from sim_core.engine.products import A, C
from sim_core.engine.settings import M, U
from sim_core.network import LaneGroup, NodeKind

MARGIN = "margin"
_USUAL_MARGIN = 0.5  # of the recycled feed that the plan needs
_HALF = 0.5  # of a step or a flow: from here on a lever is on
_SOME = 0.01  # of what is sold or needed: less than this is the solver's tolerance, not a plan


def acting_defaults(layout: Layout) -> dict[str, float]:
    """Return the parameters of acting by practice: covers of what the plan leaves open, and the margin."""
    return {**usual_covers(layout, [name for name in COVERS if name != "recycled_cover"]), MARGIN: _USUAL_MARGIN}


def control_of(plan: Plan, layout: Layout, style: Mapping[str, float]) -> tuple[Array, Array]:
    """Return targets (3, N) and levers (levers,) that act like the plan's first epoch. style: see acting_defaults."""
    on = levers_of(plan)
    levers = np.array([float(on.get(name, False)) for name in layout.suite.levers])
    covers = {name: np.array([value]) for name, value in style.items() if name in COVERS}
    targets = covered(layout, covers, 1)[..., 0]
    bought = recycled_covers(plan, layout, hold=on["stock_ahead"], margin=style[MARGIN])
    targets[M, layout.targets[NodeKind.PLANT]] = bought
    targets[M, layout.targets[NodeKind.INSPECTION]] = _offered(plan)
    routed = _treated(plan)
    if routed < _HALF:
        targets[M, layout.targets[NodeKind.RECYCLER]] = routed
        targets[U, layout.targets[NodeKind.RECYCLER]] = 0.0
    used, passed = (float(plan.flow(name).sum()) for name in ("remanufacture", "reman_surplus"))
    if used < passed:
        targets[M:, layout.targets[NodeKind.REMANUFACTURER]] = 0.0
    return targets, levers


def levers_of(plan: Plan) -> dict[str, bool]:
    """Return the levers that are on."""
    columns, sold = plan.model.columns, float(plan.flow("sell").sum())
    steps = {lever: columns[lever] for lever in INVESTMENTS.values() if lever in columns}
    price = plan.model.outlook.term("virgin_price")[0]
    virgin, fast, usual, second = (
        float((plan.flow(name) * price).sum()) for name in ("virgin", "virgin_fast", "first_source", "second_source")
    )
    return {
        **{lever: bool(plan.values[chosen[0]] >= _HALF) for lever, chosen in steps.items()},
        "buy_back": plan.share("buy_back", "out") >= _HALF,
        "premium_inspection": plan.share("premium_inspection", "inspect") >= _HALF,
        "second_source": second > usual,
        "expedite": fast > virgin,
        "stock_ahead": _ahead(plan),
        "alternative_route": _like_best_first(plan),
        "lateral_transfer": float(plan.flow("transfer").sum()) > _SOME * sold,
    }


def _ahead(plan: Plan) -> bool:
    """Tell whether recycled feed is held beyond what is used while an order is under way."""
    layout = plan.model.layout
    lanes = layout.lanes[LaneGroup.EXTERNAL]
    if not layout.plants:
        return False
    lead = float((lanes.lead + lanes.information).max(initial=1))
    held, used = float(plan.flow("feed")[..., 1:].sum()), float(plan.flow("recycled").sum())
    made = float((plan.flow("produce") @ layout.products.bom).sum())
    return held > lead * used + _SOME * made


def _like_best_first(plan: Plan) -> bool:
    """Tell whether the plan wins what the best recovery first would win, rather than the cheapest route first.

    Nearness is counted in EUR of material, at today's prices, on the feed that the plan treats in the epoch. The lines'
    capacity is the whole region's, an export quota is left out.
    """
    layout, products = plan.model.layout, plan.model.layout.products
    if "route" not in plan.model.columns or not plan.flow("route").any():
        return False
    routed = plan.flow("route").sum(axis=(0, 2, 4))  # (Q, P) units
    legal = plan.model.outlook.term("route_legal")[: plan.months].mean(axis=0) >= _HALF
    price = plan.model.outlook.term("virgin_price")[0]
    order = np.arange(len(products.routes))
    planned, cheap, best = (
        np.einsum("qp,qpm->m", found, products.recovery * products.bom) * price
        for found in (routed, *(_filled(plan, layout, routed.sum(axis=0), legal, way) for way in (order, order[::-1])))
    )
    return bool(np.abs(planned - best).sum() < np.abs(planned - cheap).sum())


def _filled(plan: Plan, layout: Layout, feed: Array, legal: Array, order: NDArray[np.int_]) -> Array:
    """Return what each route takes of feed (P,) when routes take in order what their lines can, (Q, P) units."""
    products = layout.products
    left, free = feed * products.mass, plan.months * layout.rates.line.sum(axis=1)
    taken = np.zeros((len(products.routes), len(feed)))
    for q in order:
        line = products.route_line[q]
        wanted = left * legal[q] * products.offered[q]
        total = wanted.sum()
        taken[q] = wanted * min(1.0, free[line] / total) if total > 0.0 else 0.0
        left, free[line] = left - taken[q], free[line] - taken[q].sum()
    return taken / products.mass


def _treated(plan: Plan) -> float:
    """Return the share of what leaves recyclers' stock that is recycled and not landfilled; 1 where nothing leaves."""
    routed, dumped = float(plan.flow("route").sum()), float(plan.flow("landfill").sum())
    return routed / (routed + dumped) if routed + dumped > 0.0 else 1.0


def _offered(plan: Plan) -> float:
    """Return the share of units fit for reuse or second life that the plan gives there, in EUR; 1 where none is fit.

    A unit for reuse counts with what a new one costs, one for second life with what it brings.
    """
    layout, inspected = plan.model.layout, plan.flow("inspect")
    if inspected.ndim == 2:
        return 1.0
    lives, value = plan.model.lives, layout.value
    new = plan.model.outlook.goods_value[0]
    second = np.maximum(0.0, value("second_life.price") - value("second_life.cost"))[:, 0]
    fit = taken = 0.0
    if layout.lanes[LaneGroup.REUSE].count:
        fit += float((inspected * (lives.graded(A)[1] * lives.again)).sum(axis=(0, 1, 3)) @ new)
        taken += float(plan.flow("reuse").sum(axis=(0, 1, 3)) @ new)
    if layout.lanes[LaneGroup.REPURPOSE].count:
        room = layout.rates.second_life.sum(axis=0)
        fit += float(np.minimum((inspected * lives.graded(C)[1]).sum(axis=(1, 3)), room).sum(axis=0) @ second)
        taken += float(plan.flow("repurpose").sum(axis=(0, 1)) @ second)
    return min(1.0, taken / fit) if fit > 0.0 else 1.0
