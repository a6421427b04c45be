"""Facts as package data: product archetypes and dated law, each number with its source or marked an assumption.

Parameters live in `<archetype>.json`, law in `law.csv` (a dated row per value of an instrument).
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sim_core.errors import ModelError

ARCHETYPES = ("ev_battery",)
_MOST_SCRAP = 0.9  # of gross production


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One number of an archetype.

    confidence: "high" (read in the source), "derived" (arithmetic on read numbers), "medium", "low", or "assumption"
    (no source: low and high give its range).
    """

    name: str
    value: float
    unit: str
    source: str
    confidence: str
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def assumed(self) -> bool:
        """True when no source backs the value."""
        return self.confidence == "assumption"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archetype:
    """A product with its materials and parameters, by dotted name."""

    name: str
    materials: tuple[str, ...]
    parameters: Mapping[str, Parameter]

    def value(self, name: str) -> float:
        """Return a parameter's value."""
        return self.parameters[name].value

    def by_material(self, prefix: str) -> list[float]:
        """Return `prefix.material` for each material, in order."""
        return [self.value(f"{prefix}.{material}") for material in self.materials]


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One dated value of an instrument, with provenance. Dates are ISO texts; value is a fraction, price or 0/1."""

    instrument: str
    row: str
    name: str
    jurisdiction: str
    type: str
    material: str
    process: str
    unit: str
    applies_on: str
    value: float
    announced_on: str
    adopted_on: str
    window: str
    penalty: str
    eligible_origin: str
    basis: str
    reference: str
    confidence: str
    verification: str
    source: str


@cache
def archetype(name: str) -> Archetype:
    """Return an archetype as the catalogue holds it. Raises ModelError for an unknown name."""
    if name not in ARCHETYPES:
        raise ModelError(f"unknown archetype {name!r}; known are {list(ARCHETYPES)}")
    data = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    parameters = {key: Parameter(name=key, **entry) for key, entry in data["parameters"].items()}
    return Archetype(name=name, materials=tuple(data["materials"]), parameters=parameters)


def with_overrides(base: Archetype, overrides: Mapping[str, float]) -> Archetype:
    """Return the archetype with some values replaced. Raises ModelError for a name or a value that can't be."""
    wrong = "; ".join(f"override {name}: {message}" for name, message in objections(base, overrides))
    if wrong:
        raise ModelError(f"{wrong}; see sim_core/catalogue/{base.name}.json")
    changed = {
        name: Parameter(
            name=name, value=float(value), unit=base.parameters[name].unit, source="experiment", confidence="high"
        )
        for name, value in overrides.items()
    }
    return Archetype(name=base.name, materials=base.materials, parameters={**base.parameters, **changed})


_LEAST = {"year": 0.1, "shape": 0.1, "km": 1.0}  # a shorter life than a month leaves more than there is
_SHARES = ("1", "kg/kg", "kg/kg of feed", "kWh/kWh", "kWh/kWh produced gross")


def objections(base: Archetype, overrides: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return (parameter, what is wrong) for every override that no product can have."""
    found = [(name, _impossible(base, name, value)) for name, value in overrides.items()]
    return [(name, wrong) for name, wrong in found if wrong] + _grades_that_do_not_add_up(base, overrides)


def _impossible(base: Archetype, name: str, value: float) -> str:
    if name not in base.parameters:
        return f"archetype {base.name!r} has no such parameter"
    unit = base.parameters[name].unit
    if unit in _SHARES and not 0.0 <= value <= 1.0:
        return f"must be a share in [0, 1], not {value:g}"
    if unit == "kWh/kWh produced gross" and value > _MOST_SCRAP:
        return f"leaves too little good output; at most {_MOST_SCRAP:g}, not {value:g}"
    if unit == "month" and (value < 1 or value != int(value)):
        return f"must be a whole number of months, at least 1, not {value:g}"
    if value < _LEAST.get(unit, 0.0):
        return f"must be at least {_LEAST.get(unit, 0.0):g} {unit}, not {value:g}"
    return ""


def _grades_that_do_not_add_up(base: Archetype, overrides: Mapping[str, float]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    grades = [name for name in overrides if name.startswith("grade.") and name in base.parameters]
    for life in sorted({name.rpartition(".")[0] for name in grades}):
        total = sum(overrides.get(f"{life}.{grade}", base.value(f"{life}.{grade}")) for grade in "abc")
        if abs(total - 1.0) > 1e-9:  # said once a life, at its first override
            name = next(name for name in overrides if name.startswith(f"{life}."))
            found.append((name, f"the grades of {life} must add up to 1, not {total:g}: override a, b and c together"))
    return found


def material_names(name: str) -> tuple[str, ...]:
    """Return the materials of an archetype."""
    return archetype(name).materials


@cache
def law() -> tuple[LawRow, ...]:
    """Return every dated row of the law that suites use."""
    lines = files(__name__).joinpath("law.csv").read_text(encoding="utf-8").splitlines()
    return tuple(LawRow(**{**row, "value": float(row["value"])}) for row in csv.DictReader(lines))
