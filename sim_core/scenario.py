"""Scenario: one recipe with its law compiled and its paths recomputed, ready for an engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim_core.engine.layout import Layout
from sim_core.errors import ModelError
from sim_core.generate.paths import Paths, Source, draw_many, draw_paths
from sim_core.generate.recipe import Recipe, instruments, recipes_of, user_instruments
from sim_core.policy.facts import require_scope
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.obligation import Obligation, obligations
from sim_core.policy.timeline import PolicyTimeline, compile_timeline, inject
from sim_core.units import month_starts, parse_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Law and paths of one scenario. id: "family/index".

    obligations: those that the timeline's duties stand for, in its order: the layout's, and after an injection the
    new ones behind them.
    """

    id: str
    recipe: Recipe
    instruments: tuple[PolicyInstrument, ...]
    obligations: tuple[Obligation, ...]
    timeline: PolicyTimeline
    paths: Paths


def build_scenario(layout: Layout, scenario_id: str) -> Scenario:
    """Recompute a scenario from its id. Raises ModelError for an id that is not "family/index"."""
    return build_scenarios(layout, (scenario_id,))[0]


def build_scenarios(layout: Layout, ids: Sequence[str], *, source: Source | None = None) -> list[Scenario]:
    """Recompute several scenarios from their ids, in their order. source: see from_recipes.

    Raises ModelError for what is no id.
    """
    return from_recipes(layout, recipes_of(layout.suite, ids), source=source)


def from_recipe(layout: Layout, recipe: Recipe) -> Scenario:
    """Compile a recipe: its law with the suite's own instruments, and its paths.

    Raises ModelError for a recipe of another suite seed.
    """
    return from_recipes(layout, (recipe,))[0]


def from_recipes(layout: Layout, recipes: Sequence[Recipe], *, source: Source | None = None) -> list[Scenario]:
    """Compile several recipes, in their order; each scenario has the bytes that it has alone.

    source: of uniforms, see sim_core.generate.paths.draw_many. Raises ModelError for a recipe of another suite seed.
    """
    suite = layout.suite
    for recipe in recipes:
        if recipe.seed != suite.seed:
            raise ModelError(f"the recipe was drawn with suite seed {recipe.seed}, this suite has {suite.seed}")
    paths = draw_many(suite, recipes, layout.products.archetypes, layout.network, source=source)
    own = user_instruments(suite)
    found: list[Scenario] = []
    for recipe, drawn in zip(recipes, paths, strict=True):
        law = (*instruments(suite, recipe), *own)
        found.append(
            Scenario(
                id=recipe.scenario,
                recipe=recipe,
                instruments=law,
                obligations=layout.obligations,
                timeline=_compile(layout, law, layout.obligations),
                paths=drawn,
            )
        )
    return found


def calm(layout: Layout, scenario: Scenario) -> Scenario:
    """Return a scenario's calm twin: no node is ever out, no lane closed, and no price jumps.

    Its law, its id and all other paths are the same, byte for byte; where there is no such shock, it is an equal twin.
    """
    products = layout.products.archetypes
    return replace(scenario, paths=draw_paths(layout.suite, scenario.recipe, products, layout.network, shocks=False))


def with_instrument(
    layout: Layout, scenario: Scenario, instrument: PolicyInstrument | Mapping[str, Any], at_period: int
) -> Scenario:
    """Return the scenario with one more instrument, announced and in force from the first day of a period on.

    instrument: as data or in its JSON form, whose dates may be relative to that day; one whose id is law already
    revises it. What the law was before that day stays the same, byte for byte. Raises ModelError for a period
    outside the horizon and for an instrument that concerns nothing in the suite.
    """
    suite = layout.suite
    if not 0 <= at_period < suite.periods:
        raise ModelError(f"period {at_period} is not in the horizon: inject in 0 to {suite.periods - 1}")
    first = parse_month(suite.start)
    if not isinstance(instrument, PolicyInstrument):
        entry = int(month_starts(first + at_period, 1)[0])
        instrument = PolicyInstrument.from_json(instrument, entry=entry)
    require_scope((instrument,), layout.facts)
    law = inject(scenario.instruments, instrument, at_period, first)
    known = {one.id for one in scenario.obligations}
    new = tuple(one for one in obligations(law, layout.facts, suite.shortfall_price) if one.id not in known)
    owed = (*scenario.obligations, *new)
    return replace(scenario, instruments=law, obligations=owed, timeline=_compile(layout, law, owed))


def _compile(layout: Layout, law: tuple[PolicyInstrument, ...], owed: tuple[Obligation, ...]) -> PolicyTimeline:
    return compile_timeline(law, layout.facts, parse_month(layout.suite.start), layout.suite.periods, owed)
