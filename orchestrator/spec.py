"""The experiment file: what users write, checked before anything runs.

`load` reads a YAML file into an ExperimentSpec or raises one SpecError that lists every fault, each as
`file:line:column: field.path: message (got VALUE); hint`. docs/experiment.md describes every field.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from optimizers import METHODS
from optimizers.contract import MOST_ASKED
from orchestrator.entry_checks import CONTROLLERS
from orchestrator.faults import dotted, list_at, near_miss, spec_error, text_at
from orchestrator.network_reader import ReadNetwork, read_network
from orchestrator.spec_checks import objections, structural_templates
from orchestrator.spec_faults import CROSS_CHECK, spec_faults
from orchestrator.spec_files import with_files
from orchestrator.work import ENGINES
from orchestrator.yaml_reader import dump, parse, read_text
from sim_core.catalogue import ARCHETYPES, LIFETIMES, MOST_LIVES
from sim_core.control import LEVERS
from sim_core.network import Network
from sim_core.network_generator import NETWORK_TEMPLATES
from sim_core.seeding import canonical_json
from sim_core.suite import FORECASTS, SPLITS, Forecast, ProductShare, SplitDefinition, SuiteDefinition

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


def _network(value: Any) -> Any:
    """Check a template's name, or a network that stands in the file as a whole."""
    if isinstance(value, str):
        if value not in NETWORK_TEMPLATES:
            context = {"kind": "network template", "hint": near_miss(value, NETWORK_TEMPLATES)}
            raise PydanticCustomError("unknown_name", "unknown {kind}", context)
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("network", "must be a template's name, a file's name or a mapping of nodes and lanes")
    try:
        read = _read(canonical_json(value))
    except ValueError:  # NaN, say; YAML holds none
        raise PydanticCustomError("network", "must hold finite numbers, texts, lists and mappings alone") from None
    if read.faults:
        text = "; ".join(fault.line("network") for fault in read.faults)
        raise PydanticCustomError("network", "{text}", {"text": text})
    return read.tree


@lru_cache(maxsize=4)
def _read(tree: str) -> ReadNetwork:
    """Read the plain form of a network, given as JSON text; a large one takes a second, and is asked for twice."""
    return read_network(json.loads(tree))


def _number_or_text(value: Any) -> float | str:
    """Check for a finite number, or a text: whether the controller takes one is a rule of the Entry."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticKnownError("float_type")
    if not math.isfinite(value):
        raise PydanticKnownError("finite_number")
    return float(value)


Name = Annotated[
    str,
    _matching("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "1 to 64 letters, digits, '_', '-' or '.', first a letter or digit"),
]
Seed = Annotated[int, Field(ge=0, le=_MAX_SEED)]
Lever = Annotated[str, _one_of("lever", LEVERS)]
Parameter = Annotated[Any, AfterValidator(_number_or_text)]
Listed = Field(strict=False)  # YAML has lists; the spec keeps tuples


class _Part(BaseModel):
    """Base of all parts: no unknown fields, no conversion of types, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Split(_Part):
    """A split of the suite: `scenarios` are dealt in turn over `families`."""

    families: Annotated[tuple[Name, ...], Listed, Field(min_length=1)]
    scenarios: Annotated[int, Field(ge=1, le=1_000_000)]


class Splits(_Part):
    """Tuned on train, chosen on validation, scored once on test; without searches, test is enough."""

    train: Split | None = None
    validation: Split | None = None
    test: Split


class Product(_Part):
    """One of several products: its archetype, a name, its share of demand, what replaces the catalogue's values."""

    archetype: Annotated[str, _one_of("archetype", ARCHETYPES)]
    name: Name | None = None
    share: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    lifetime: Annotated[str, _one_of("lifetime", tuple(LIFETIMES))] | None = None
    lives: Annotated[int, Field(ge=1, le=MOST_LIVES)] | None = None
    overrides: dict[str, float] = Field(default_factory=dict)


class ForecastPart(_Part):
    """How markets forecast demand."""

    method: Annotated[str, _one_of("method", FORECASTS)] = "smoothing"
    periods: Annotated[int, Field(ge=1, le=600)] = 5


class Suite(_Part):
    """The ScenarioSuite: network, products, horizon in months, law, prices of non-compliance."""

    name: Name
    archetype: Annotated[str, _one_of("archetype", ARCHETYPES)] | None = None
    lifetime: Annotated[str, _one_of("lifetime", tuple(LIFETIMES))] | None = None
    lives: Annotated[int, Field(ge=1, le=MOST_LIVES)] | None = None
    overrides: dict[str, float] = Field(default_factory=dict)
    products: Annotated[tuple[Product, ...], Listed, Field(max_length=50)] = ()
    network: Annotated[Any, AfterValidator(_network)]
    seed: Seed
    start: Annotated[str, _matching("(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])", "a month as YYYY-MM, say 2026-01")] = (
        "2026-01"
    )
    warm_up: Annotated[int, Field(ge=0, le=600)] = 0
    scored: Annotated[int, Field(ge=1, le=1200)]
    run_out: Annotated[int, Field(ge=0, le=600)] = 0
    splits: Splits
    instruments: Annotated[tuple[dict[str, Any], ...], Listed, Field(max_length=1000)] = ()
    timelines: Annotated[tuple[dict[str, Any], ...], Listed, Field(max_length=20)] = ()
    jurisdiction: Name = "EU"
    shortfall_price: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(default_factory=dict)
    discount_rate: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    epoch_months: Annotated[int, Field(ge=1, le=600)] = 24
    levers: Annotated[tuple[Lever, ...], Listed] = LEVERS
    max_cover: Annotated[float, Field(gt=0, le=100)] = 4.0
    targets: Annotated[str, _one_of("choice", ("node", "kind"))] = "node"
    forecast: ForecastPart = ForecastPart()
    vintage_periods: Annotated[int, Field(ge=1, le=120)] = 12


class RacePart(_Part):
    """How many of a search's best candidates race over how many fresh training scenarios, and how surely."""

    candidates: Annotated[int, Field(ge=2, le=512)]
    scenarios: Annotated[int, Field(ge=2, le=1_000_000)]
    first: Annotated[int, Field(ge=2, le=1_000_000)] = 16
    p: Annotated[float, Field(gt=0, le=0.5)] = 0.05


class Search(_Part):
    """How an Entry's controller is searched for, on training scenarios."""

    method: Annotated[str, _one_of("method", tuple(METHODS))]
    evaluations: Annotated[int, Field(ge=1, le=10_000_000)]
    width: Annotated[int, Field(ge=1, le=MOST_ASKED)]
    scenarios: Annotated[int, Field(ge=1, le=1_000_000)]
    finalists: Annotated[int, Field(ge=1, le=1024)]
    seed: Seed
    actors: Annotated[int, Field(ge=1, le=1024)] = 1
    settings: dict[str, float] = Field(default_factory=dict)
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    cpu_seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    race: RacePart | None = None


class Entry(_Part):
    """One row of the leaderboard: a controller, searched for or with fixed parameters."""

    name: Name
    controller: Annotated[str, _one_of("controller", tuple(CONTROLLERS))]
    search: Search | None = None
    parameters: dict[str, Parameter] | None = None


class Statistics(_Part):
    """Paired bootstrap over scenarios: number of resamples, confidence of the intervals, seed."""

    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    seed: Seed = 1


class Bound(_Part):
    """How many test scenarios carry a bound, the first ones, all of them if there are fewer."""

    scenarios: Annotated[int, Field(ge=0, le=1_000_000)] = 64


class Pairs(_Part):
    """How many test scenarios are run again without their shocks, the first ones, all of them if there are fewer."""

    scenarios: Annotated[int, Field(ge=0, le=1_000_000)] = 16


class ExperimentSpec(_Part):
    """One experiment file, checked. Equal files up to defaults give equal specs."""

    version: Annotated[int, AfterValidator(_readable_version)]
    name: Name
    suite: Suite
    reference: Name
    entries: Annotated[tuple[Entry, ...], Listed, Field(min_length=1, max_length=500)]
    statistics: Statistics = Statistics()
    bound: Bound = Bound()
    pairs: Pairs = Pairs()
    engine: Annotated[str, _one_of("engine", ENGINES)] = "kernel"

    @model_validator(mode="before")
    @classmethod
    def _single_entry_is_the_reference(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping) or "reference" in tree or len(list_at(tree, "entries")) != 1:
            return tree
        name = text_at(tree, "entries", 0, "name")
        return tree if name is None else {**tree, "reference": name}

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
        alone = ProductShare(
            archetype=suite.archetype or "",
            lifetime=suite.lifetime or "",
            lives=suite.lives or 0,
            overrides=suite.overrides,
        )
        splits = {name: getattr(suite.splits, name) for name in SPLITS}
        own = ("archetype", "lifetime", "lives", "overrides")
        return SuiteDefinition(
            **{
                **{name: value for name, value in suite.model_dump().items() if name not in own},
                "products": tuple(_share(product) for product in suite.products) or (alone,),
                "network": self._resolved_network(),
                "splits": {
                    name: SplitDefinition(families=split.families, scenarios=split.scenarios)
                    for name, split in splits.items()
                    if split is not None
                },
                "forecast": Forecast(method=suite.forecast.method, periods=suite.forecast.periods),
            }
        )

    def _resolved_network(self) -> str | Network:
        network = self.suite.network
        return network if isinstance(network, str) else _read(canonical_json(network)).network or ""

    def check_model(self) -> list[str]:
        """Compile the suite's model, and return what users should know of a valid experiment.

        Raises ModelError for what only the whole model shows, such as an instrument that concerns nothing in it.
        """
        from sim_core.engine.layout import build_layout
        from sim_core.generate.recipe import user_instruments
        from sim_core.policy.facts import require_scope

        suite = self.to_suite()
        require_scope(user_instruments(suite), build_layout(suite).facts)
        return [
            f"archetype {name} is a structural template: it runs, but its figures must not be ranked or published"
            for name in structural_templates(self.model_dump())
        ]

    def resolved(self) -> dict[str, Any]:
        """Return the JSON form with every default filled in."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_yaml(self) -> str:
        """Return the resolved experiment as YAML text; loading it gives back an equal spec."""
        return dump(self.resolved())


def _share(product: Product) -> ProductShare:
    return ProductShare(
        archetype=product.archetype,
        name=product.name or "",
        share=product.share,
        lifetime=product.lifetime or "",
        lives=product.lives or 0,
        overrides=product.overrides,
    )


def load(path: str | Path) -> ExperimentSpec:
    """Load an experiment file with all that it refers to. Raises one SpecError that lists all faults."""
    return loads(read_text(path), str(path), folder=Path(path).parent)


def loads(text: str, name: str = "experiment", *, folder: Path = Path()) -> ExperimentSpec:
    """Load an experiment from text; `name` is the file in messages, `folder` where names of other files begin.

    Raises one SpecError that lists all faults.
    """
    document = parse(text, name)
    if not document.whole:
        raise spec_error(name, document.faults)
    document = with_files(document, folder)
    faults = list(document.faults)
    try:
        spec = ExperimentSpec.model_validate(document.value)
    except ValidationError as error:
        faults += spec_faults(error, objections(document.value), ExperimentSpec, document)
        raise spec_error(name, faults) from None
    if faults:
        raise spec_error(name, faults)
    return spec
