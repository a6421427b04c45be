"""Draws batches of scenarios as tables, in this process or in a worker: the same rows for any batch."""

from dataclasses import dataclass

import pyarrow as pa

from orchestrator.scenario_tables import paths_table, recipes_table, series_of
from sim_core.engine.layout import build_layout
from sim_core.generate.paths import draw_many
from sim_core.generate.recipe import Recipe, recipes_of
from sim_core.suite import SuiteDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Scenarios of one split that are drawn together. number: its place among all batches."""

    number: int
    split: str
    scenarios: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a message calls it."""
        return f"batch of {len(self.scenarios)} scenarios that starts with {self.scenarios[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The rows of a batch, in the order of its scenarios. paths: None where they were not asked for."""

    recipes: pa.Table
    paths: pa.Table | None


class ScenarioShard:
    """Draws scenarios of one suite: its recipes and, where they are asked for, their paths."""

    def __init__(self, suite: SuiteDefinition, *, paths: bool) -> None:
        self._suite = suite
        self._layout = build_layout(suite) if paths else None
        self._series = series_of(self._layout) if self._layout is not None else ()

    def run(self, batch: Batch) -> Drawn:
        """Return the rows of a batch."""
        recipes = recipes_of(self._suite, batch.scenarios)
        return Drawn(recipes=recipes_table(self._suite, batch.split, recipes), paths=self._paths(batch, recipes))

    def _paths(self, batch: Batch, recipes: list[Recipe]) -> pa.Table | None:
        if self._layout is None:
            return None
        from sim_core.kernel.draws import uniforms

        drawn = draw_many(self._suite, recipes, self._layout.products.archetypes, self._layout.network, source=uniforms)
        return paths_table(self._suite, self._series, batch.scenarios, drawn)
