"""Charges: taxes, fees, tariffs and subsidies of each month, weighted by the days on which each rate is in force.

Charges of several instruments on one thing add up.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_core.policy.arithmetic import Steps, rate
from sim_core.policy.facts import LawFacts, Matched
from sim_core.policy.views import RealisedView, realised
from sim_core.units import KG_PER_T

Array = NDArray[np.float64]


def charges(stages: Sequence[Matched], facts: LawFacts, view: RealisedView) -> dict[str, Array]:
    """Return the charges of PolicyTimeline by name, with shapes (T,), (T, P) and (T, M)."""
    products, materials = len(facts.products), len(facts.materials)
    found = {name: np.zeros(view.periods) for name in ("carbon_multiple", "carbon_tax")}
    found |= {name: np.zeros((view.periods, materials)) for name in ("tariff_departure", "tariff_entry", "cbam")}
    for name in _BY_PRODUCT:
        found[name] = np.zeros((view.periods, products))
    for stage in stages:
        if stage.part.acts == "charge":
            _ADD[stage.part.type](found, stage, facts, view)
    return found


_BY_PRODUCT = (
    "tariff_goods",
    "landfill_tax",
    "epr_fee",
    "subsidy_recycled",
    "subsidy_reuse",
    "traceability",
)


def _carbon_tax(found: dict[str, Array], stage: Matched, _facts: LawFacts, view: RealisedView) -> None:
    part = stage.part
    if part.unit == "multiple":
        found["carbon_multiple"] += view.mean(part)
    else:
        found["carbon_tax"] += view.mean(part) * _price(stage) * KG_PER_T


def _cbam(found: dict[str, Array], stage: Matched, facts: LawFacts, view: RealisedView) -> None:
    """Charge e - B (1 - f) per kg, at least 0, where f is the share of free allocation that is gone by then."""
    known = {one.material: one for one in stage.part.benchmarks}
    for column in np.flatnonzero(stage.materials):
        embedded, benchmark = float(facts.embedded[column]), 0.0
        if facts.materials[column] in known:
            entry = known[facts.materials[column]]
            embedded = embedded if entry.embedded is None else entry.embedded
            benchmark = entry.benchmark
        found["cbam"][:, column] += view.mean(stage.part, cbam_steps(realised(stage.part), embedded, benchmark))


def cbam_steps(steps: Steps, embedded: float, benchmark: float) -> Steps:
    """Return the staircase of kgCO2e charged per kg imported: max(0, e - B (1 - f)); out of force stays so."""
    return tuple(
        (first, share if share == np.inf else max(0.0, embedded - benchmark * (1.0 - share))) for first, share in steps
    )


def _tariff(found: dict[str, Array], stage: Matched, _facts: LawFacts, view: RealisedView) -> None:
    part, value = stage.part, view.mean(stage.part)[:, None]
    if part.process != "goods_import":
        found[f"tariff_{part.grandfather}"] += value * stage.materials
    if part.process != "material_import":
        found["tariff_goods"] += value * stage.products


def _landfill_tax(found: dict[str, Array], stage: Matched, _facts: LawFacts, view: RealisedView) -> None:
    found["landfill_tax"] += view.mean(stage.part)[:, None] * _price(stage) * stage.products


def _epr_fee(found: dict[str, Array], stage: Matched, facts: LawFacts, view: RealisedView) -> None:
    """Charge by unit, or by kg of the materials in scope."""
    per = rate(1.0, stage.part.unit, stage.part.id).per
    counted = stage.products.astype(np.float64) if per == "unit" else (facts.bom * stage.pairs).sum(axis=1)
    found["epr_fee"] += view.mean(stage.part)[:, None] * _price(stage) * counted


def _subsidy(found: dict[str, Array], stage: Matched, _facts: LawFacts, view: RealisedView) -> None:
    name = "subsidy_recycled" if stage.part.process == "recycling" else "subsidy_reuse"
    found[name] += view.mean(stage.part)[:, None] * _price(stage) * stage.products


def _traceability(found: dict[str, Array], stage: Matched, facts: LawFacts, view: RealisedView) -> None:
    if facts.traceability_cost is not None:
        found["traceability"] += view.mean(stage.part)[:, None] * (facts.traceability_cost * stage.products)


_ADD = {
    "carbon_tax": _carbon_tax,
    "cbam": _cbam,
    "import_tariff": _tariff,
    "landfill_tax": _landfill_tax,
    "epr_fee": _epr_fee,
    "subsidy": _subsidy,
    "traceability": _traceability,
}


def _price(stage: Matched) -> float:
    """Return EUR per kg or unit for one of the instrument's own unit."""
    return rate(1.0, stage.part.unit, f"instrument {stage.part.id!r}.unit").value
