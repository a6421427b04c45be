"""Dated law as package data: `law.csv` holds one row per value of an instrument, with scope, dates and provenance.

What an instrument is (type, scope, window, penalty, flexibility) stands in every one of its rows; only the value, the
day on which it applies and the provenance differ. Empty cells take the type's default. The closed vocabularies are
those of sim_core.policy.kinds; a row that is unverified has low confidence at most.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One dated value of an instrument. Dates are ISO texts; unit says what the value is.

    archetype, product, material: names joined by "+", or "all". shape: as the law is written. window, level,
    delivered, against (the register of the basis), lag, measure, sense, eligible_origin ("+"-joined): of a duty.
    penalty, penalty_unit: empty where the law names none and the suite declares a price. flexibility: JSON.
    grandfather: for stock and goods in transit. basis: "law" or "counterfactual".
    """

    instrument: str
    row: str
    name: str
    jurisdiction: str
    type: str
    archetype: str
    product: str
    material: str
    process: str
    unit: str
    shape: str
    applies_on: str
    value: float
    announced_on: str
    adopted_on: str
    window: str
    level: str
    delivered: str
    against: str
    lag: str
    measure: str
    sense: str
    eligible_origin: str
    penalty: str
    penalty_unit: str
    flexibility: str
    grandfather: str
    basis: str
    reference: str
    confidence: str
    verification: str
    source: str


@cache
def law() -> tuple[LawRow, ...]:
    """Return every dated row of the law that suites use."""
    text = files("sim_core.catalogue").joinpath("law.csv").read_text(encoding="utf-8")
    return tuple(LawRow(**{**row, "value": float(row["value"])}) for row in csv.DictReader(text.splitlines()))
