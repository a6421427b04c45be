"""What defines a ScenarioSuite: network, product, horizon, law families, splits, prices of non-compliance.

A SuiteDefinition is plain data. Everything that a simulation draws or computes follows from it and from the
scenario's (family, index).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sim_core.control import LEVERS
from sim_core.errors import ModelError
from sim_core.seeding import content_id

SPLITS = ("train", "validation", "test")
_VALIDATION_OFFSET = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDefinition:
    """How many scenarios a split holds, dealt in turn over its families."""

    families: tuple[str, ...]
    scenarios: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteDefinition:
    """A ScenarioSuite as data.

    Periods are months. warm_up and run_out months are simulated and not scored. shortfall_price: EUR per kg of a
    material's recycled-content shortfall, declared by the suite where the law states no penalty. discount_rate: per
    year. targets: what a search sets, the targets of each "node" or one set for each "kind" of node. max_cover: the
    multiple of forecast lead-time demand that a target of 1.0 means. overrides: archetype
    parameters that replace the catalogue's value, by their dotted name.
    """

    name: str
    archetype: str
    network: str
    seed: int
    start: str
    warm_up: int
    scored: int
    run_out: int
    splits: Mapping[str, SplitDefinition]
    shortfall_price: Mapping[str, float]
    discount_rate: float = 0.05
    epoch_months: int = 24
    levers: tuple[str, ...] = LEVERS
    max_cover: float = 4.0
    targets: str = "node"
    overrides: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for seen in ("train", "validation"):
            shared = set(self.splits[seen].families) & set(self.splits["test"].families)
            if shared:
                raise ModelError(
                    f"suite {self.name!r}: families {sorted(shared)} are in {seen} and in test; "
                    "a test family must be one that nothing was tuned or chosen on: remove it from one of the two"
                )
        if self.targets not in ("node", "kind"):
            raise ModelError(f"suite {self.name!r}: targets is {self.targets!r}; it is 'node' or 'kind'")
        unknown = [lever for lever in self.levers if lever not in LEVERS]
        if unknown:
            raise ModelError(f"suite {self.name!r}: unknown levers {unknown}; known are {list(LEVERS)}")

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
        """The sha256 content id of all that shapes a scenario. Splits are no part of it, so that a split may grow."""
        return content_id({name: value for name, value in self.to_json().items() if name != "splits"})

    def scenarios(self, split: str) -> tuple[str, ...]:
        """Return the ids ("family/index") of a split, families in turn; train and validation share no index."""
        definition = self.splits[split]
        offset = _VALIDATION_OFFSET if split == "validation" else 0
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
        return cls(**{**value, "splits": splits, "levers": tuple(value["levers"])})
