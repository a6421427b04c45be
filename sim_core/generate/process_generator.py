"""ProcessGenerator: scenarios from hazards of real law and from stochastic processes, without anything learned."""

from collections.abc import Sequence

from sim_core.engine.layout import Layout
from sim_core.generate.contract import SCHEMA_VERSION
from sim_core.generate.paths import Source
from sim_core.generate.recipe import Recipe, draw_recipes
from sim_core.scenario import Scenario, from_recipes

_AT_ONCE = 128  # scenarios whose paths are computed together; more would leave the caches


class ProcessGenerator:
    """The Generator of a suite's families, see sim_core.generate.contract."""

    def __init__(self, layout: Layout, source: Source | None = None) -> None:
        """source: of uniforms; sim_core.kernel.draws.uniforms gives the same bytes as the default, sooner."""
        self._layout = layout
        self._source = source

    @property
    def schema_version(self) -> int:
        """The version of recipes and paths."""
        return SCHEMA_VERSION

    def sample(self, family: str, index: int) -> Scenario:
        """Return one scenario."""
        return self.sample_batch(family, (index,))[0]

    def sample_batch(self, family: str, indices: Sequence[int]) -> list[Scenario]:
        """Return several scenarios of a family, in the order of `indices`."""
        found: list[Scenario] = []
        for first in range(0, len(indices), _AT_ONCE):
            recipes = draw_recipes(self._layout.suite, family, indices[first : first + _AT_ONCE])
            found += from_recipes(self._layout, recipes, source=self._source)
        return found

    def rebuild(self, recipe: Recipe) -> Scenario:
        """Return the scenario of a stored recipe."""
        return from_recipes(self._layout, (recipe,), source=self._source)[0]
