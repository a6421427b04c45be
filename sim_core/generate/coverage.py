"""Coverage: which admissible pairs of instruments a set of scenarios revises together."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from sim_core.generate.family import Family
from sim_core.generate.recipe import Recipe

Pair = tuple[str, str]  # of instrument ids, in alphabetical order


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Pairs that families may revise in one scenario, and those of them that scenarios do revise."""

    admissible: frozenset[Pair]
    covered: frozenset[Pair]

    @property
    def missing(self) -> tuple[Pair, ...]:
        """The admissible pairs that no scenario revises together, in alphabetical order."""
        return tuple(sorted(self.admissible - self.covered))

    @property
    def share(self) -> float | None:
        """The covered share in [0, 1]; None where no pair is admissible."""
        return len(self.covered) / len(self.admissible) if self.admissible else None


def coverage(families: Iterable[Family], recipes: Iterable[Recipe]) -> Coverage:
    """Return what recipes cover of the pairs that the families' processes admit; other pairs don't count."""
    return covered_by(families, (pair for recipe in recipes for pair in revised_pairs(recipe)))


def covered_by(families: Iterable[Family], pairs: Iterable[Pair]) -> Coverage:
    """Return what pairs that were revised together cover of those that the families' processes admit."""
    admitted = (one.process.pairs for one in families if one.process is not None)
    admissible = frozenset[Pair]().union(*admitted)
    return Coverage(admissible=admissible, covered=admissible.intersection(pairs))


def revised_pairs(recipe: Recipe) -> frozenset[Pair]:
    """Return the pairs of instruments that a scenario revises, by one event or by several."""
    return frozenset(combinations(sorted({target for event in recipe.events for target in event.targets}), 2))
