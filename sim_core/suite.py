"""What defines a ScenarioSuite: network, products, horizon, law families, splits, prices of non-compliance.

A SuiteDefinition is plain data. Everything that a simulation draws or computes follows from it and from the
scenario's (family, index).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sim_core.control import LEVERS
from sim_core.errors import ModelError
from sim_core.generate.families import family
from sim_core.generate.family import BASE_LAW, Family
from sim_core.generate.timeline import family_of
from sim_core.network import Network, network_from_json
from sim_core.seeding import content_id

SPLITS = ("train", "validation", "test")
FORECASTS = ("smoothing", "moving_average")
WITHOUT_LAW = "none"  # the family without law: it may be in every split, with other scenarios in each
_VALIDATION_OFFSET = 1_000_000
_TEST_OFFSET = 2_000_000  # of a family without law that was trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDefinition:
    """How many scenarios a split holds, dealt in turn over its families."""

    families: tuple[str, ...]
    scenarios: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductShare:
    """One product of a suite. share: multiplies its archetype's demand, or a market's own demand process.

    overrides: archetype parameters that replace the catalogue's value, by their dotted name. name: how node and law
    scopes call it; the archetype's name unless two products share one. lifetime: a distribution in place of the
    archetype's ("weibull", "normal", "logistic", "fixed", "geometric", "none"). lives: how many uses a unit can have,
    in place of the archetype's; 0 leaves it.
    """

    archetype: str
    name: str = ""
    share: float = 1.0
    lifetime: str = ""
    lives: int = 0
    overrides: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The product's name."""
        return self.name or self.archetype


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How markets forecast demand: exponential smoothing (catalogue constant), or a moving average over periods."""

    method: str = "smoothing"
    periods: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteDefinition:
    """A ScenarioSuite as data.

    Periods are months. warm_up and run_out months are simulated and not scored. network: a template's name or a
    user's own. shortfall_price: EUR per kg (or unit) of an obligation's shortfall by material or instrument id,
    declared by the suite where the law states no penalty. discount_rate: per year. targets: what a search sets, the
    targets of each "node" or one set for each "kind" of node. max_cover: the multiple of forecast lead-time demand
    that a target of 1.0 means. vintage_periods: months of sales that merge into one vintage in use; 1 is exact.
    instruments: PolicyInstruments of the user in JSON form, beside the catalogue's. timelines: families of the user, as
    sim_core.generate.timeline reads them.
    """

    name: str
    products: tuple[ProductShare, ...]
    network: str | Network
    seed: int
    start: str
    warm_up: int
    scored: int
    run_out: int
    splits: Mapping[str, SplitDefinition]
    shortfall_price: Mapping[str, float] = field(default_factory=dict)
    discount_rate: float = 0.05
    epoch_months: int = 24
    levers: tuple[str, ...] = LEVERS
    max_cover: float = 4.0
    targets: str = "node"
    forecast: Forecast = Forecast()
    vintage_periods: int = 12
    instruments: tuple[Mapping[str, Any], ...] = ()
    jurisdiction: str = "EU"
    timelines: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for seen in ("train", "validation"):
            shared = set(self._families(seen)) & set(self._families("test")) - {WITHOUT_LAW}
            if shared:
                raise ModelError(
                    f"suite {self.name!r}: families {sorted(shared)} are in {seen} and in test; "
                    "a test family must be one that nothing was tuned or chosen on: remove it from one of the two"
                )
        for name, value, known in (
            ("targets", self.targets, ("node", "kind")),
            ("forecast.method", self.forecast.method, FORECASTS),
        ):
            if value not in known:
                raise ModelError(f"suite {self.name!r}: {name} is {value!r}; it is one of {list(known)}")
        unknown = [lever for lever in self.levers if lever not in LEVERS]
        if unknown:
            raise ModelError(f"suite {self.name!r}: unknown levers {unknown}; known are {list(LEVERS)}")
        labels = [product.label for product in self.products]
        if not labels or len(set(labels)) < len(labels):
            raise ModelError(f"suite {self.name!r}: products {labels}; name one or more, each once")

    def _families(self, split: str) -> tuple[str, ...]:
        return self.splits[split].families if split in self.splits else ()

    @property
    def archetypes(self) -> tuple[str, ...]:
        """The archetypes of the products, each once."""
        return tuple(dict.fromkeys(product.archetype for product in self.products))

    @property
    def periods(self) -> int:
        """Simulated months."""
        return self.warm_up + self.scored + self.run_out

    @property
    def epochs(self) -> int:
        """Number of review epochs that cover the simulated months."""
        return -(-self.periods // self.epoch_months)

    @property
    def digest(self) -> str:
        """The sha256 content id of all that shapes a scenario.

        Splits are no part of it, so that a split may grow; the law that their families bring beside the usual one is.
        """
        form = {name: value for name, value in self.to_json().items() if name != "splits"}
        return content_id(form, [key for one in self.listed_families for key in one.law if key not in BASE_LAW])

    @property
    def listed_families(self) -> tuple[Family, ...]:
        """The families of all splits, each once, in alphabetical order."""
        names = {name for split in self.splits.values() for name in split.families}
        return tuple(self.family(name) for name in sorted(names))

    def family(self, name: str) -> Family:
        """Return a family by name: one of the suite's timelines, or a shipped one. Raises KeyError for another."""
        for form in self.timelines:
            if form["name"] == name:
                return family_of(form)
        return family(name)

    def scenarios(self, split: str) -> tuple[str, ...]:
        """Return the ids ("family/index") of a split, families in turn; no id is in two splits."""
        if split not in self.splits:
            return ()
        definition = self.splits[split]
        offset = _VALIDATION_OFFSET if split == "validation" else 0
        if split == "test" and WITHOUT_LAW in (*self._families("train"), *self._families("validation")):
            offset = _TEST_OFFSET
        count = len(definition.families)
        return tuple(f"{definition.families[i % count]}/{offset + i // count}" for i in range(definition.scenarios))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a definition from its JSON form."""
        splits = {
            name: SplitDefinition(families=tuple(split["families"]), scenarios=split["scenarios"])
            for name, split in value["splits"].items()
        }
        network = value["network"]
        return cls(
            **{
                **value,
                "splits": splits,
                "levers": tuple(value["levers"]),
                "products": tuple(ProductShare(**product) for product in value["products"]),
                "network": network if isinstance(network, str) else network_from_json(network),
                "forecast": Forecast(**value["forecast"]),
                "instruments": tuple(value["instruments"]),
                "timelines": tuple(value["timelines"]),
            }
        )
