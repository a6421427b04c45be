"""What a generator of scenarios owes; tests/contracts/test_generator_contract.py holds every one to it.

Same bytes: a scenario is a function of (suite, family, index), alone, in a batch, in any order, on any worker.
Causality: what a policy event changes lies on or after the day of its announcement. Bounds and units are those of Paths
and PolicyTimeline. Provenance: every revised instrument descends from rows of the catalogue.
"""

from collections.abc import Sequence
from typing import Protocol

from sim_core.generate.recipe import Recipe
from sim_core.scenario import Scenario

SCHEMA_VERSION = 1  # of Recipe and Paths; it moves with any change of what their fields mean


class Generator(Protocol):
    """A source of scenarios for the families of a suite."""

    @property
    def schema_version(self) -> int:
        """The version of what it returns; readers refuse another than SCHEMA_VERSION."""
        ...

    def sample(self, family: str, index: int) -> Scenario:
        """Return scenario `index` of a family. Raises KeyError for an unknown family."""
        ...

    def sample_batch(self, family: str, indices: Sequence[int]) -> list[Scenario]:
        """Return scenarios in the order of `indices`, each with the bytes that `sample` returns."""
        ...

    def rebuild(self, recipe: Recipe) -> Scenario:
        """Return the scenario of a stored recipe, whose events may be edited. Raises ModelError for another seed."""
        ...
