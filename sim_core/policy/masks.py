"""Masks: what is legal in each month. A ban binds from the first full month, and so does its end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_core.policy.facts import LawFacts, Matched
from sim_core.policy.views import AnnouncedView, RealisedView
from sim_core.units import MONTHS_PER_YEAR

Mask = NDArray[np.bool_]


def route_legal(stages: Sequence[Matched], facts: LawFacts, view: RealisedView | AnnouncedView) -> Mask:
    """Return where each recycling route is legal for each product, (*view.shape, Q, P).

    A recovery target closes the routes that recover less of a material in its scope (of the whole mass, where it names
    none); what is exported escapes it. An export ban closes the exported routes.
    """
    legal = np.ones((*view.shape, len(facts.routes), len(facts.products)), dtype=bool)
    exported = facts.exported[:, None]
    for stage in stages:
        if stage.part.type not in ("recovery_efficiency", "export_ban"):
            continue
        required = view.mask(stage.part)[..., None, None]
        if stage.part.type == "export_ban":
            legal &= ~(exported & stage.products & (required > 0.0))
        else:
            legal &= (_recovered(stage, facts) >= required) | exported | ~stage.products
    return legal


def _recovered(stage: Matched, facts: LawFacts) -> NDArray[np.float64]:
    """Return the share that a target looks at, (Q, P): the least over the materials in a product that it names."""
    if not stage.part.scope.material:
        return facts.efficiency
    return np.where(stage.pairs, facts.recovery, np.inf).min(axis=2)


def bans(stages: Sequence[Matched], facts: LawFacts, view: RealisedView) -> dict[str, Mask]:
    """Return landfill_legal, import_goods_legal, production_legal, sale_legal (T, P) and import_legal (T, M)."""
    by_product = ("landfill_legal", "import_goods_legal", "production_legal", "sale_legal")
    found = {name: np.ones((view.periods, len(facts.products)), dtype=bool) for name in by_product}
    found["import_legal"] = np.ones((view.periods, len(facts.materials)), dtype=bool)
    for stage in stages:
        part = stage.part
        if part.acts != "mask":
            continue
        value = view.mask(part)[:, None]
        if part.type == "landfill_ban":
            found["landfill_legal"] &= ~((value > 0.0) & stage.products)
        elif part.type == "import_ban":
            if part.process != "goods_import":
                found["import_legal"] &= ~((value > 0.0) & stage.materials)
            if part.process != "material_import":
                found["import_goods_legal"] &= ~((value > 0.0) & stage.products)
        elif part.type == "material_restriction":
            allowed = _content(stage, facts) <= value
            found["production_legal"] &= allowed
            if part.grandfather == "stock_included":
                found["sale_legal"] &= allowed
    return found


def _content(stage: Matched, facts: LawFacts) -> NDArray[np.float64]:
    """Return the largest mass share of a restricted material in each product, (P,)."""
    share = facts.bom / np.maximum(facts.bom.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return np.where(stage.pairs, share, 0.0).max(axis=1, initial=0.0)


def export_quota(stages: Sequence[Matched], facts: LawFacts, view: RealisedView) -> NDArray[np.float64]:
    """Return the units of each product that may be exported in a month, (T, P); infinity where nothing limits it."""
    found = np.full((view.periods, len(facts.products)), np.inf)
    for stage in stages:
        if stage.part.type == "export_quota":
            per_month = view.mask(stage.part) / (MONTHS_PER_YEAR if stage.part.unit == "unit/year" else 1)
            found = np.where(stage.products, np.minimum(found, per_month[:, None]), found)
    return found
