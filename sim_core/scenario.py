"""Scenario: one recipe with its law compiled and its paths recomputed, ready for an engine."""

from dataclasses import dataclass

from sim_core.engine.layout import Layout
from sim_core.errors import ModelError
from sim_core.generate.process import Paths, Recipe, draw_paths, draw_recipe, instruments
from sim_core.network import NodeKind
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.timeline import PolicyTimeline, compile_timeline
from sim_core.units import parse_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Network-independent law and network-sized paths of one scenario. id: "family/index"."""

    id: str
    recipe: Recipe
    instruments: tuple[PolicyInstrument, ...]
    timeline: PolicyTimeline
    paths: Paths


def build_scenario(layout: Layout, scenario_id: str) -> Scenario:
    """Recompute a scenario from its id. Raises ModelError for an id that is not "family/index"."""
    family, _, index = scenario_id.rpartition("/")
    if not family or not index.isdigit():
        raise ModelError(f"{scenario_id!r} is not a scenario id; write family/index, for instance eu_baseline/0")
    return from_recipe(layout, draw_recipe(layout.suite, family, int(index)))


def from_recipe(layout: Layout, recipe: Recipe) -> Scenario:
    """Compile a recipe: its law and its paths. Raises ModelError for a recipe of another suite seed."""
    suite = layout.suite
    if recipe.seed != suite.seed:
        raise ModelError(f"the recipe was drawn with suite seed {recipe.seed}, this suite has {suite.seed}")
    law = instruments(recipe)
    return Scenario(
        id=f"{recipe.family}/{recipe.index}",
        recipe=recipe,
        instruments=law,
        timeline=compile_timeline(law, layout.routes, parse_month(suite.start), suite.periods),
        paths=draw_paths(
            suite,
            recipe,
            layout.product,
            suppliers=layout.count[NodeKind.SUPPLIER],
            recyclers=layout.count[NodeKind.RECYCLER],
        ),
    )
