"""Facts as package data: product archetypes, each number with its source or marked an assumption.

Parameters live in `<archetype>.json` beside this module, dated law in `sim_core.catalogue.law`.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from sim_core.errors import ModelError

ARCHETYPES = (
    "ev_battery",
    "smartphone",
    "pv_module",
    "wind_blade",
    "pet_bottle",
    "diesel_engine",
    "steel",
    "plain",
)
LIFETIMES = {  # distribution: unit of lifetime.shape
    "weibull": "shape",
    "normal": "year",
    "logistic": "year",
    "fixed": "shape",
    "geometric": "1/month",
    "none": "shape",
}
GRADES = ("A", "B", "C", "D")
MOST_LIVES = 50
_MOST_SCRAP = 0.9  # of gross production


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One number of an archetype.

    confidence: "high" (read in the source), "derived" (arithmetic on read numbers), "medium", "low", "definition"
    (true by the meaning of the word, or a neutral value) or "assumption" (no source: low and high give its range).
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
class Route:
    """A way of recycling, on a line of equipment with a capacity of its own. exported: its output leaves the region."""

    name: str
    line: str
    exported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Archetype:
    """A product with its materials, routes of recycling (cheapest first) and parameters by dotted name.

    lifetime: a key of LIFETIMES; with "none", units that are sold leave the system. lives: uses that a unit can have.
    ranked: False for a structural template, which runs but may not stand on a leaderboard.
    """

    name: str
    functional_unit: str
    materials: tuple[str, ...]
    routes: tuple[Route, ...]
    lifetime: str
    lives: int
    ranked: bool
    parameters: Mapping[str, Parameter]

    @property
    def lines(self) -> tuple[str, ...]:
        """The recycling lines, in the order of the routes."""
        return tuple(dict.fromkeys(route.line for route in self.routes))

    def value(self, name: str) -> float:
        """Return a parameter's value."""
        return self.parameters[name].value

    def by_material(self, prefix: str) -> list[float]:
        """Return `prefix.material` for each material, in order."""
        return [self.value(f"{prefix}.{material}") for material in self.materials]


@cache
def archetype(name: str) -> Archetype:
    """Return an archetype as the catalogue holds it. Raises ModelError for an unknown name."""
    if name not in ARCHETYPES:
        raise ModelError(f"unknown archetype {name!r}; known are {list(ARCHETYPES)}")
    data = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return Archetype(
        name=name,
        functional_unit=data["functional_unit"],
        materials=tuple(data["materials"]),
        routes=tuple(Route(**route) for route in data["routes"]),
        lifetime=data["lifetime"],
        lives=data["lives"],
        ranked=data["ranked"],
        parameters={key: Parameter(name=key, **entry) for key, entry in data["parameters"].items()},
    )


def material_names(products: Sequence[Archetype]) -> tuple[str, ...]:
    """Return the materials of several archetypes, each once, in the order in which they first appear."""
    return tuple(dict.fromkeys(material for product in products for material in product.materials))


def with_lifetime(base: Archetype, distribution: str) -> Archetype:
    """Return the archetype with another lifetime distribution (a key of LIFETIMES; "" leaves it as it is).

    `lifetime.scale` and `lifetime.shape` keep their values: override them to suit. Raises ModelError if unknown.
    """
    if not distribution:
        return base
    if distribution not in LIFETIMES:
        raise ModelError(f"unknown lifetime {distribution!r}; known are {list(LIFETIMES)}")
    shape = replace(base.parameters["lifetime.shape"], unit=LIFETIMES[distribution])
    return replace(base, lifetime=distribution, parameters={**base.parameters, "lifetime.shape": shape})


def with_lives(base: Archetype, lives: int) -> Archetype:
    """Return the archetype with another number of lives (0 leaves it as it is).

    A life beyond those of the catalogue has the state of health of the last one. Raises ModelError outside 1 to
    MOST_LIVES.
    """
    if not lives:
        return base
    if not 1 <= lives <= MOST_LIVES:
        raise ModelError(f"a product has 1 to {MOST_LIVES} lives, not {lives}")
    last = base.parameters[f"soh.life{base.lives - 1}"]
    more = {f"soh.life{life}": replace(last, name=f"soh.life{life}") for life in range(base.lives, lives)}
    return replace(base, lives=lives, parameters={**base.parameters, **more})


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
    return replace(base, parameters={**base.parameters, **changed})


_LEAST = {  # by unit; 0 for the others
    "year": 1.0 / 12.0,  # a shorter life than a month leaves more than there is
    "shape": 0.1,
    "km": 1.0,
    "month on average": 1.0,
    "x life of a new unit": 0.1,
    "x quality of a new unit": 0.001,
    "share of virgin price": -1.0,
    "year after 2026": -math.inf,
    "EUR/kg of feed": -math.inf,  # a route may earn
}
_GROWTH = ("product.price_decline", "external.growth", "history.growth", "carbon_price.drift")  # may shrink
_SHARES = ("1", "1/month", "kg/kg", "kg/kg of feed")


def objections(base: Archetype, overrides: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return (parameter, what is wrong) for every override that no product can have."""
    found = [(name, _impossible(base, name, value)) for name, value in overrides.items()]
    return [*((name, wrong) for name, wrong in found if wrong), *_clashes(base, overrides)]


def _impossible(base: Archetype, name: str, value: float) -> str:
    if name not in base.parameters:
        return _unknown(base, name)
    if not math.isfinite(value):
        return f"must be a finite number, not {value:g}"
    unit = base.parameters[name].unit
    per_unit = f"{base.functional_unit}/{base.functional_unit}"
    if (unit in _SHARES or unit.startswith(per_unit)) and not 0.0 <= value <= 1.0:
        return f"must be a share in [0, 1], not {value:g}"
    if unit == f"{per_unit} produced gross" and value > _MOST_SCRAP:
        return f"leaves too little good output; at most {_MOST_SCRAP:g}, not {value:g}"
    if unit == "month" and (value < 1 or value != int(value)):
        return f"must be a whole number of months, at least 1, not {value:g}"
    least = -0.9 if name in _GROWTH else _LEAST.get(unit, 0.0)
    return f"must be at least {least:g} {unit}, not {value:g}" if value < least else ""


def _unknown(base: Archetype, name: str) -> str:
    prefix, _, last = name.rpartition(".")
    if f"{prefix}.*" in _BY_MATERIAL and last not in base.materials:
        return f"archetype {base.name!r} has no material {last!r}; its materials are {list(base.materials)}"
    close = get_close_matches(name, base.parameters, n=1)
    return f"archetype {base.name!r} has no such parameter" + (f"; did you mean {close[0]!r}?" if close else "")


_BY_MATERIAL = ("bom.*", "carbon.virgin.*")


def _clashes(base: Archetype, overrides: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with several values together, at the first override concerned."""
    shape = "lifetime.shape"
    if shape not in overrides and base.parameters[shape].unit == "1/month" and base.value(shape) > 1.0:
        yield shape, f"a geometric lifetime needs a leaving probability per month, not {base.value(shape):g}: set it"
    grades = [f"grade.{grade}" for grade in GRADES]
    changed = [name for name in overrides if name in grades]
    total = sum(overrides.get(name, base.value(name)) for name in grades)
    if changed and abs(total - 1.0) > 1e-9:
        yield changed[0], f"the four grades must add up to 1, not {total:g}: override A, B, C and D together"
