"""Leaks between splits: is a scenario to validate or test on as good as one to train on, under another name?

Each scenario becomes a point: what its recipe does to each instrument, and levels of its paths. A point's distance to
its nearest neighbour among the training scenarios is set beside those of training scenarios among themselves, each left
out once. A split leaks where a scenario is one of train's (distance 0), or where its nearest 5 % lie less than half as
far away as train's own nearest 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sim_core.engine.layout import build_layout
from sim_core.errors import ModelError
from sim_core.generate.paths import Paths, draw_many
from sim_core.generate.recipe import Recipe, recipes_of, suite_instruments
from sim_core.policy.revisions import IN_MONTHS, KINDS
from sim_core.suite import SuiteDefinition
from sim_core.units import MONTHS_PER_YEAR, day

Array = NDArray[np.float64]
SEEN, UNSEEN = "train", ("validation", "test")
LEAST_RATIO = 0.5  # of the near distances to train over train's own
_NEAR = 5.0  # percentile
_SAME = 1e-9
_AT_ONCE = 128  # scenarios whose paths are computed together
_DAYS_PER_YEAR = 365.2425
_FACTORS = tuple(kind for kind in KINDS if kind not in (*IN_MONTHS, "freeze", "repeal"))  # whose amount is a factor
_AVAILABLE = (
    "supplier_available",
    "plant_available",
    "remanufacturer_available",
    "recycler_available",
    "virgin_open",
    "goods_open",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLeaks:
    """How near a split's scenarios lie to train's.

    same: share of them that are one of train's. median, near: the median and 5th percentile of distances to train over
    those within train. nearest: the pair that lies closest, of the split and of train; distance: of that pair.
    """

    split: str
    scenarios: int
    same: float
    median: float
    near: float
    nearest: tuple[str, str]
    distance: float

    @property
    def leaks(self) -> bool:
        """Return whether the split leaks."""
        return self.same > 0.0 or self.near < LEAST_RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """Leaks of a suite's splits. scenarios: of train that were looked at."""

    scenarios: int
    splits: tuple[SplitLeaks, ...]

    @property
    def leaks(self) -> tuple[str, ...]:
        """The names of the splits that leak."""
        return tuple(one.split for one in self.splits if one.leaks)

    def split(self, name: str) -> SplitLeaks:
        """Return one split's part. Raises KeyError for a split that the suite lacks."""
        for one in self.splits:
            if one.split == name:
                return one
        raise KeyError(name)


def check_leaks(suite: SuiteDefinition, sample: int = 1000) -> LeakReport:
    """Compare the first `sample` scenarios of validation and test with as many of train.

    Scenarios are dealt in turn over families, so that the first ones hold each family in its share. Raises ModelError
    for a suite without two training scenarios to compare with.
    """
    chosen = {name: suite.scenarios(name)[:sample] for name in (SEEN, *UNSEEN)}
    if len(chosen[SEEN]) < 2:
        raise ModelError(
            f"suite {suite.name!r}: leaks are looked for against two or more scenarios of train; it has "
            f"{len(chosen[SEEN])}: add some to its split train, and don't sample fewer than 2"
        )
    law, paths = _features(suite, [one for ids in chosen.values() for one in ids])
    points = np.concatenate([_scaled(law), _scaled(paths)], axis=1)
    ends = np.cumsum([len(ids) for ids in chosen.values()])
    train, *others = np.split(points, ends[:-1])
    tree = KDTree(train)
    within = _found(tree, train, 2)[0][:, 1]  # the nearest one is the scenario itself
    return LeakReport(
        scenarios=len(train),
        splits=tuple(
            _split(name, chosen[name], chosen[SEEN], _found(tree, own, 1), within)
            for name, own in zip(UNSEEN, others, strict=True)
            if len(own)
        ),
    )


def _split(
    name: str, ids: Sequence[str], seen: Sequence[str], found: tuple[Array, NDArray[np.intp]], within: Array
) -> SplitLeaks:
    distances, neighbours = found[0][:, 0], found[1][:, 0]
    closest = int(np.argmin(distances))
    return SplitLeaks(
        split=name,
        scenarios=len(ids),
        same=float(np.mean(distances <= _SAME)),
        median=_over(float(np.median(distances)), float(np.median(within))),
        near=_over(float(np.percentile(distances, _NEAR)), float(np.percentile(within, _NEAR))),
        nearest=(ids[closest], seen[int(neighbours[closest])]),
        distance=float(distances[closest]),
    )


def _found(tree: KDTree, points: Array, count: int) -> tuple[Array, NDArray[np.intp]]:
    """Return distances and places of the `count` nearest neighbours in train, (n, count) each."""
    distances, neighbours = tree.query(points, k=count)
    shape = len(points), count
    return np.reshape(distances, shape), np.reshape(np.asarray(neighbours, dtype=np.intp), shape)


def _over(distance: float, own: float) -> float:
    """Return a ratio of distances; infinity where train repeats itself and the split doesn't repeat train."""
    if own > 0.0:
        return distance / own
    return np.inf if distance > 0.0 else 1.0


def _scaled(features: Array) -> Array:
    """Return features with variance 1, divided by the root of their number: law and paths weigh alike."""
    spread = features.std(axis=0)
    varied = spread > 0.0
    if not varied.any():
        return features[:, :0]
    return (features[:, varied] - features[:, varied].mean(axis=0)) / spread[varied] / np.sqrt(varied.sum())


def _features(suite: SuiteDefinition, ids: Sequence[str]) -> tuple[Array, Array]:
    """Return what scenarios' recipes say of law, (n, F), and levels of their paths, (n, G)."""
    layout = build_layout(suite)
    places = {one.id: place for place, one in enumerate(suite_instruments(suite))}
    recipes = recipes_of(suite, ids)
    levels: list[Array] = []
    for first in range(0, len(recipes), _AT_ONCE):
        drawn = draw_many(suite, recipes[first : first + _AT_ONCE], layout.products.archetypes, layout.network)
        levels += [_levels(one) for one in drawn]
    return np.stack([_of_law(recipe, places, suite) for recipe in recipes]), np.stack(levels)


def _of_law(recipe: Recipe, places: Mapping[str, int], suite: SuiteDefinition) -> Array:
    """Return for each instrument: kinds of revision, logarithm of factors, years of delay, year first announced."""
    start = day(f"{suite.start}-01")
    found = np.zeros((len(places), len(KINDS) + 3))
    for event in recipe.events:
        when = (day(event.announced) - start) / _DAYS_PER_YEAR
        for target in event.targets:
            row = found[places[target]]
            row[-1] = row[-1] if row[: len(KINDS)].any() else when
            row[KINDS.index(event.kind)] += 1.0
            if event.kind in _FACTORS and event.amount > 0.0:
                row[-3] += np.log(event.amount)
            elif event.kind in IN_MONTHS:
                row[-2] += event.amount / MONTHS_PER_YEAR
    return found.ravel()


def _levels(paths: Paths) -> Array:
    """Return logarithms of mean prices and of demand, mean collection shares, and the share of time that is lost."""
    tiny = np.finfo(float).tiny
    out = [1.0 - getattr(paths, name).mean() for name in _AVAILABLE if getattr(paths, name).size]
    return np.concatenate(
        [
            np.log(np.maximum(paths.virgin_price.mean(axis=0), tiny)),
            [np.log(max(paths.carbon_price.mean(), tiny))],
            np.log(np.maximum(paths.demand.sum(axis=(0, 1)), tiny)),
            paths.collection_share.mean(axis=0),
            [float(np.mean(out)) if out else 0.0],
        ]
    )
