"""What every generator owes: the same bytes alone and in batches, causality, bounds, units, provenance."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_core.catalogue.law import law
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.terms import TermsTable
from sim_core.errors import ModelError
from sim_core.generate.contract import SCHEMA_VERSION, Generator
from sim_core.generate.families import FAMILY_NAMES, family
from sim_core.generate.paths import Paths, draw_many
from sim_core.generate.process_generator import ProcessGenerator
from sim_core.generate.recipe import Event, Recipe, draw_recipes, law_rows, provenance
from sim_core.kernel.draws import uniforms as compiled
from sim_core.network import Network
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.timeline import PolicyTimeline
from sim_core.policy.views import announced, enacted
from sim_core.scenario import Scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from sim_core.units import day, month_starts, parse_month

LAWFUL = tuple(name for name in FAMILY_NAMES if name != "none")
SHARES = ("collection_share", *(name for name in Paths.__slots__ if name.endswith(("_available", "_open"))))
CHANGES = ("gone", "later", "stronger")
FIRST = parse_month("2026-01")
TREE = Path(__file__).parents[2]


@cache
def layout_for(name: str) -> Layout:
    """A loop of the product that a family is about."""
    prefix = name.partition("_")[0]
    return loop_of({"phone": "smartphone", "pv": "pv_module"}.get(prefix, "ev_battery"))


@cache
def loop_of(product: str) -> Layout:
    return build_layout(
        SuiteDefinition(
            name="generators",
            products=(ProductShare(archetype=product),),
            network="loop",
            seed=11,
            start="2026-01",
            warm_up=0,
            scored=150,
            run_out=0,
            splits={"test": SplitDefinition(families=FAMILY_NAMES, scenarios=len(FAMILY_NAMES))},
        )
    )


@pytest.fixture(scope="module")
def loop() -> Layout:
    return loop_of("ev_battery")


def compiled_generator(layout: Layout) -> Generator:
    return ProcessGenerator(layout, source=compiled)


GENERATORS = pytest.mark.parametrize("make", [ProcessGenerator, compiled_generator])
Make = Callable[[Layout], Generator]


# ---- the same bytes


def same(one: Scenario, other: Scenario) -> bool:
    return (
        one.recipe.to_json() == other.recipe.to_json()
        and one.instruments == other.instruments
        and all(array.tobytes() == also.tobytes() for array, also in zip(arrays(one), arrays(other), strict=True))
    )


def arrays(scenario: Scenario) -> Iterator[np.ndarray]:
    for part in (scenario.paths, scenario.timeline):
        yield from (getattr(part, name) for name in type(part).__slots__)


def check_same_bytes(generator: Generator, name: str) -> None:
    indices = [3, 0, 1_000_003, 17, 4]
    alone = [generator.sample(name, index) for index in indices]
    for order in (range(5), (4, 2, 0, 1, 3), (1,), (3, 1)):
        batch = generator.sample_batch(name, [indices[i] for i in order])
        assert [one.id for one in batch] == [f"{name}/{indices[i]}" for i in order]
        assert all(same(one, alone[i]) for one, i in zip(batch, order, strict=True))
    assert all(same(generator.rebuild(Recipe.from_json(one.recipe.to_json())), one) for one in alone)
    assert len({one.paths.demand.tobytes() for one in alone}) == len(indices)


@GENERATORS
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_scenario_has_the_same_bytes_alone_in_a_batch_and_in_any_order(make: Make, name: str):
    check_same_bytes(make(layout_for(name)), name)


@pytest.mark.parametrize("name", ["none", "eu_price_shock", "eu_turmoil"])
def test_compiled_draws_change_no_byte(loop: Layout, name: str):
    usual, sooner = (
        ProcessGenerator(loop).sample_batch(name, range(3)),
        compiled_generator(loop).sample_batch(name, range(3)),
    )
    assert all(same(*pair) for pair in zip(usual, sooner, strict=True))


def test_the_output_is_versioned_and_an_empty_batch_is_empty(loop: Layout):
    generator = ProcessGenerator(loop)
    assert generator.schema_version == SCHEMA_VERSION and generator.sample_batch("none", ()) == []
    with pytest.raises(KeyError, match="known are"):
        generator.sample("eu_nonsense", 0)
    with pytest.raises(ModelError, match="suite seed"):
        generator.rebuild(replace(generator.sample("none", 0).recipe, seed=12))


class KeyedByRow(ProcessGenerator):
    """The mutant that draws for a scenario's row in its batch."""

    def sample_batch(self, family: str, indices: Sequence[int]) -> list[Scenario]:
        drawn = super().sample_batch(family, range(len(indices)))
        recipes = draw_recipes(self._layout.suite, family, indices)
        return [
            replace(one, id=f"{family}/{index}", recipe=recipe)
            for one, index, recipe in zip(drawn, indices, recipes, strict=True)
        ]


IDS = """
import hashlib, sys
from sim_core.engine.layout import build_layout
from sim_core.generate.families import FAMILY_NAMES
from sim_core.scenario import build_scenarios
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
splits = {"test": SplitDefinition(families=FAMILY_NAMES[-3:], scenarios=6)}
suite = SuiteDefinition(
    name="ids", products=(ProductShare(archetype="ev_battery"),), network="loop", seed=11, start="2026-01", warm_up=0,
    scored=24, run_out=0, splits=splits,
)
found = hashlib.sha256(suite.digest.encode())
for one in build_scenarios(build_layout(suite), suite.scenarios("test")):
    found.update(one.id.encode() + one.recipe.to_json().encode() + one.paths.demand.tobytes())
    found.update(repr(one.timeline.carbon_multiple.tolist()).encode())
print(found.hexdigest())
"""


def test_ids_recipes_and_paths_are_the_same_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", IDS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(TREE)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(found) == 1 and len(found.pop().strip()) == 64


def test_a_generator_keyed_by_batch_row_is_found(loop: Layout):
    with pytest.raises(AssertionError):
        check_same_bytes(KeyedByRow(loop), "eu_turmoil")


# ---- causality


def changed(event: Event, how: str) -> Event | None:
    if how == "later" and event.kind != "extend":  # what has ended can't be extended
        return replace(event, adopted=f"{int(event.adopted[:4]) + 2}{event.adopted[4:8]}28", ends="")
    return None if how == "gone" else replace(event, amount=round(event.amount * 1.25 + 1.0))


def check_causal(layout: Layout, generator: Generator, recipe: Recipe, place: int, how: str) -> int:
    """Change one event; return the number of law's arrays that it moves, all of them after its announcement.

    Later revisions of the same law go with it: they may mean nothing after another one.
    """
    event = recipe.events[place]
    other = changed(event, how)
    later = (one for one in recipe.events[place + 1 :] if not set(one.targets) & set(event.targets))
    events = (*recipe.events[:place], *((other,) if other else ()), *later)
    one, two = generator.rebuild(recipe), generator.rebuild(replace(recipe, events=events))
    told = day(event.announced)
    months = int(np.searchsorted(month_starts(FIRST, layout.suite.periods), told, side="left"))
    for name in Paths.__slots__:
        assert getattr(one.paths, name).tobytes() == getattr(two.paths, name).tobytes(), name
    moved = 0
    for name in PolicyTimeline.__slots__:
        before, after = getattr(one.timeline, name), getattr(two.timeline, name)
        # Month `months - 1` begins before the announcement: what is known at its start is as it was. What applies in
        # it may change from the announcement on.
        known = months if name.startswith("announced") else max(0, months - 1)
        assert before[:known].tobytes() == after[:known].tobytes(), (name, event, how)
        moved += before.tobytes() != after.tobytes()
    for on in (told - 1, told - 400):
        assert seen(one.instruments, on) == seen(two.instruments, on)
    tables = [TermsTable(layout, [each], np.zeros(1, dtype=np.intp)) for each in (one, two)]
    for t in range(max(0, months - 1)):
        assert tables[0].announced_duty(t).tobytes() == tables[1].announced_duty(t).tobytes()
        first, second = (table.at(t) for table in tables)
        assert all(getattr(first, name).tobytes() == getattr(second, name).tobytes() for name in type(first).__slots__)
    return moved


def seen(instruments: Sequence[PolicyInstrument], on: int) -> dict[str, Any]:
    """The law that there is, or is announced, on a day; an instrument without a step is none."""
    found = {one.id: (announced(one, on), enacted(one, on)) for one in instruments}
    return {name: steps for name, steps in found.items() if any(steps)}


def check_all_causal(layout: Layout, generator: Generator, name: str) -> int:
    moved = 0
    for index, one in enumerate(generator.sample_batch(name, range(2))):
        for place in range(len(one.recipe.events)):
            moved += check_causal(layout, generator, one.recipe, place, CHANGES[(index + place) % len(CHANGES)])
    return moved


@pytest.mark.parametrize("name", LAWFUL)
def test_what_an_event_changes_lies_after_its_announcement(name: str):
    layout = layout_for(name)
    moved = check_all_causal(layout, ProcessGenerator(layout), name)
    assert moved > 0 or name not in ("eu_delay", "eu_tariff", "eu_revised", "eu_turmoil"), "changes must show"


class LeaksLaw(ProcessGenerator):
    """The mutant whose controllers know every revision since ever."""

    def rebuild(self, recipe: Recipe) -> Scenario:
        known = tuple(replace(event, announced="2026-01-01") for event in recipe.events)
        return super().rebuild(replace(recipe, events=known))


class LeaksIntoPaths(ProcessGenerator):
    """The mutant whose prices rise ahead of a tariff."""

    def rebuild(self, recipe: Recipe) -> Scenario:
        one = super().rebuild(recipe)
        price = one.paths.virgin_price * (1.0 + 0.01 * len(recipe.events))
        return replace(one, paths=replace(one.paths, virgin_price=price))


@pytest.mark.parametrize("leaking", [LeaksLaw, LeaksIntoPaths])
def test_a_leaking_generator_is_found(loop: Layout, leaking: Make):
    with pytest.raises(AssertionError):
        check_all_causal(loop, leaking(loop), "eu_delay")


# ---- bounds, units, provenance


def check_bounds(scenario: Scenario) -> None:
    for name in Paths.__slots__:
        values = getattr(scenario.paths, name)
        assert values.dtype == np.float64 and len(values) == 150, name
        assert np.isfinite(values).all() and (values >= 0.0).all(), name
        assert name not in SHARES or (values <= 1.0).all(), name
    assert (scenario.paths.virgin_price > 0.0).all() and (scenario.paths.carbon_price > 0.0).all()
    assert (scenario.timeline.in_force >= 0.0).all() and (scenario.timeline.in_force <= 1.0).all()
    for one in scenario.instruments:
        steps = [value for revision in one.revisions for _, value in revision.steps]
        assert all(0.0 <= value <= one.kind.ceiling or value == one.neutral for value in steps), one.id


def check_provenance(suite: SuiteDefinition, scenario: Scenario) -> None:
    rows = {row.row: row for row in law()}
    told = provenance(suite, scenario.recipe)
    known = law_rows(suite.family(scenario.recipe.family).law)
    for one in scenario.instruments:
        first = known[one.id][0]
        assert one.unit == first.unit and one.type == first.type, "a revision keeps type and unit"
        assert one.provenance["reference"] and one.provenance["source"] and one.provenance["confidence"]
        if len(one.revisions) > 1:
            assert told[one.id] and all(rows[row].instrument == one.id for row in told[one.id])
    assert set(told) <= {one.id for one in scenario.instruments}


@pytest.mark.parametrize("name", LAWFUL)
def test_numbers_keep_their_bounds_and_law_its_units_and_sources(name: str):
    layout = layout_for(name)
    for one in ProcessGenerator(layout).sample_batch(name, range(8)):
        check_bounds(one)
        check_provenance(layout.suite, one)
        assert len(one.recipe.to_json().encode()) <= 1024
        revised = {target for event in one.recipe.events for target in event.targets}
        process = family(name).process
        if process is not None:
            assert len(revised) <= 6 and revised <= set(process.instruments)


def test_a_batch_may_mix_families_and_networks_keep_their_nodes(loop: Layout):
    recipes = [draw_recipes(loop.suite, name, [5])[0] for name in ("eu_crises", "none", "eu_markets", "eu_crises")]
    products = loop.products.archetypes
    network: Network = loop.network
    mixed = draw_many(loop.suite, recipes, products, network)
    for recipe, found in zip(recipes, mixed, strict=True):
        (alone,) = draw_many(loop.suite, [recipe], products, network)
        assert all(getattr(found, name).tobytes() == getattr(alone, name).tobytes() for name in Paths.__slots__)
