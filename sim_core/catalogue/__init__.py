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
    """Return the archetype with some values replaced. Raises ModelError for a name that it lacks."""
    unknown = sorted(set(overrides) - set(base.parameters))
    if unknown:
        raise ModelError(
            f"archetype {base.name!r} has no parameters {unknown}; see sim_core/catalogue/{base.name}.json"
        )
    changed = {
        name: Parameter(
            name=name, value=float(value), unit=base.parameters[name].unit, source="experiment", confidence="high"
        )
        for name, value in overrides.items()
    }
    return Archetype(name=base.name, materials=base.materials, parameters={**base.parameters, **changed})


def material_names(name: str) -> tuple[str, ...]:
    """Return the materials of an archetype."""
    return archetype(name).materials


@cache
def law() -> tuple[LawRow, ...]:
    """Return every dated row of the law that suites use."""
    lines = files(__name__).joinpath("law.csv").read_text(encoding="utf-8").splitlines()
    return tuple(LawRow(**{**row, "value": float(row["value"])}) for row in csv.DictReader(lines))
