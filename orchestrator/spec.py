"""The experiment file: what users write, checked before anything runs.

`load` reads a YAML file into an ExperimentSpec or raises one SpecError that lists every fault, each as
`file:line:column: field.path: message (got VALUE); hint`. docs/experiment.md describes every field.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from optimizers import METHODS
from orchestrator.faults import dotted, near_miss, spec_error
from orchestrator.spec_checks import CONTROLLERS, objections
from orchestrator.spec_faults import CROSS_CHECK, spec_faults
from orchestrator.yaml_reader import dump, parse, read_text
from sim_core.catalogue import ARCHETYPES
from sim_core.control import LEVERS
from sim_core.generate.families import FAMILY_NAMES
from sim_core.network import NETWORK_TEMPLATES
from sim_core.suite import SplitDefinition, SuiteDefinition

FORMAT_VERSION = 1
_MAX_SEED = 2**63 - 1


def _one_of(kind: str, known: Sequence[str]) -> AfterValidator:
    """Return a validator that a text is one of the known names, with a near miss where it isn't."""

    def check(value: str) -> str:
        if value not in known:
            raise PydanticCustomError("unknown_name", "unknown {kind}", {"kind": kind, "hint": near_miss(value, known)})
        return value

    return AfterValidator(check)


def _readable_version(value: int) -> int:
    if value != FORMAT_VERSION:
        raise PydanticCustomError(
            "version", "must be {known}, the version of the format that this release reads", {"known": FORMAT_VERSION}
        )
    return value


def _matching(pattern: str, description: str) -> AfterValidator:
    """Return a validator that a text has a form; the description stands in the message."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise PydanticCustomError("wrong_form", "must be {form}", {"form": description})
        return value

    return AfterValidator(check)


Name = Annotated[
    str,
    _matching("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "1 to 64 letters, digits, '_', '-' or '.', first a letter or digit"),
]
Seed = Annotated[int, Field(ge=0, le=_MAX_SEED)]
Family = Annotated[str, _one_of("family", FAMILY_NAMES)]
Lever = Annotated[str, _one_of("lever", LEVERS)]
Listed = Field(strict=False)  # YAML has lists; the spec keeps tuples


class _Part(BaseModel):
    """Base of all parts: no unknown fields, no conversion of types, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Split(_Part):
    """A split of the suite: `scenarios` are dealt in turn over `families`."""

    families: Annotated[tuple[Family, ...], Listed, Field(min_length=1)]
    scenarios: Annotated[int, Field(ge=1, le=1_000_000)]


class Splits(_Part):
    """Tuned on train, chosen on validation, scored once on test."""

    train: Split
    validation: Split
    test: Split


class Suite(_Part):
    """The ScenarioSuite: network, product, horizon in months, law families, prices of non-compliance."""

    name: Name
    archetype: Annotated[str, _one_of("archetype", ARCHETYPES)]
    network: Annotated[str, _one_of("network template", NETWORK_TEMPLATES)]
    seed: Seed
    start: Annotated[str, _matching("(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])", "a month as YYYY-MM, say 2026-01")]
    warm_up: Annotated[int, Field(ge=0, le=600)]
    scored: Annotated[int, Field(ge=12, le=1200)]
    run_out: Annotated[int, Field(ge=0, le=600)] = 0
    splits: Splits
    shortfall_price: dict[str, Annotated[float, Field(ge=0, le=1e6)]]
    discount_rate: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    epoch_months: Annotated[int, Field(ge=1, le=600)] = 24
    levers: Annotated[tuple[Lever, ...], Listed] = LEVERS
    max_cover: Annotated[float, Field(gt=0, le=100)] = 4.0
    targets: Annotated[str, _one_of("choice", ("node", "kind"))] = "node"
    overrides: dict[str, float] = Field(default_factory=dict)


class Search(_Part):
    """How an Entry's controller is searched for, on training scenarios."""

    method: Annotated[str, _one_of("method", tuple(METHODS))]
    evaluations: Annotated[int, Field(ge=1, le=10_000_000)]
    width: Annotated[int, Field(ge=1, le=65_536)]
    scenarios: Annotated[int, Field(ge=1, le=1_000_000)]
    finalists: Annotated[int, Field(ge=1, le=1024)]
    seed: Seed
    actors: Annotated[int, Field(ge=1, le=1024)] = 1


class Entry(_Part):
    """One row of the leaderboard: a controller, searched for or with fixed parameters."""

    name: Name
    controller: Annotated[str, _one_of("controller", tuple(CONTROLLERS))]
    search: Search | None = None
    parameters: dict[str, float] | None = None


class Statistics(_Part):
    """Paired bootstrap over scenarios: number of resamples, confidence of the intervals, seed."""

    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    seed: Seed = 1


class ExperimentSpec(_Part):
    """One experiment file, checked. Equal files up to defaults give equal specs."""

    version: Annotated[int, AfterValidator(_readable_version)]
    name: Name
    suite: Suite
    reference: Name
    entries: Annotated[tuple[Entry, ...], Listed, Field(min_length=1, max_length=500)]
    statistics: Statistics = Statistics()

    @model_validator(mode="after")
    def _check_across_fields(self) -> Self:
        found = objections(self.model_dump())
        if found:
            text = "; ".join(f"{dotted(objection.path)}: {objection.message}" for objection in found)
            raise PydanticCustomError(CROSS_CHECK, "{text}", {"text": text})
        return self

    def to_suite(self) -> SuiteDefinition:
        """Return the suite as the simulation takes it."""
        suite = self.suite
        splits = {
            name: SplitDefinition(families=split.families, scenarios=split.scenarios)
            for name, split in (
                ("train", suite.splits.train),
                ("validation", suite.splits.validation),
                ("test", suite.splits.test),
            )
        }
        return SuiteDefinition(**{**suite.model_dump(), "splits": splits})

    def resolved(self) -> dict[str, Any]:
        """Return the JSON form with every default filled in."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_yaml(self) -> str:
        """Return the resolved experiment as YAML text; loading it gives back an equal spec."""
        return dump(self.resolved())


def load(path: str | Path) -> ExperimentSpec:
    """Load an experiment file. Raises one SpecError that lists all faults."""
    return loads(read_text(path), str(path))


def loads(text: str, name: str = "experiment") -> ExperimentSpec:
    """Load an experiment from text; `name` is the file in messages. Raises one SpecError that lists all faults."""
    document = parse(text, name)
    if not document.whole:
        raise spec_error(name, document.faults)
    faults = list(document.faults)
    try:
        spec = ExperimentSpec.model_validate(document.value)
    except ValidationError as error:
        faults += spec_faults(error, objections(document.value), ExperimentSpec, document)
        raise spec_error(name, faults) from None
    if faults:
        raise spec_error(name, faults)
    return spec
