"""Which problems there are, by name, and which of them make up a figure.

Bits of functions that have no time and no levers of their own are laid out as square as their number allows: a
layout that tells a method nothing, and the same for all.
"""

import functools
from collections.abc import Callable, Mapping

from benchmarks.search.family import drawn
from benchmarks.search.landscapes import glass, neighbour_nk
from benchmarks.search.problem import Problem
from benchmarks.search.pseudo_boolean import MixedInteger, PseudoBoolean
from benchmarks.search.schedules import entries, published

SCHEDULES = tuple(one["name"] for one in entries() if "parameters" not in one)
MIXED_SCHEDULES = tuple(one["name"] for one in entries() if "parameters" in one)
SIX = SCHEDULES + MIXED_SCHEDULES
FURTHER = tuple(f"drawn24x8{'+20c' * (number % 2)}#{number}" for number in range(20))
_BITS = (
    ("LeadingOnes", 10, 10),
    ("IsingTorus", 10, 10),
    ("ConcatenatedTrap", 10, 10),
    ("MIS", 10, 10),
    ("NQueens", 10, 10),
    ("LABS", 8, 8),
    ("OneMax", 10, 10),
    ("IsingRing", 10, 10),
    ("IsingTriangular", 10, 10),
)
_MIXED = ("RastriginRotated", "Sphere", "EllipsoidRotated", "RosenbrockRotated")
_GLASS, _NK = "glass12x12#1", "nk96k4#1"
_OTHERS = (*(f"{name}{rows * columns}" for name, rows, columns in _BITS[:6]), _GLASS, _NK, f"mixed {_MIXED[0]}10+10#1")
FIFTEEN = (*SIX, *_OTHERS)


def _builders() -> Mapping[str, Callable[[], Problem]]:
    found: dict[str, Callable[[], Problem]] = {one.name: functools.partial(_published, one.name) for one in published()}
    for number, name in enumerate(FURTHER):
        found[name] = functools.partial(drawn, number, mixed="+" in name)
    for name, rows, columns in _BITS:
        build = functools.partial(PseudoBoolean, function=name, rows=rows, columns=columns)
        found[f"{name}{rows * columns}"] = build
    for name in _MIXED:
        build = functools.partial(MixedInteger, function=name, whole=10, continuous=10, number=1)
        found[f"mixed {name}10+10#1"] = build
    found[_GLASS] = functools.partial(glass, 12, 12, 1)
    found[_NK] = functools.partial(neighbour_nk, 12, 8, 4, 1)
    return found


def _published(name: str) -> Problem:
    return next(one for one in published() if one.name == name)


_BUILDERS = _builders()
NAMES = tuple(_BUILDERS)
MORE = tuple(name for name in NAMES if name not in (*FIFTEEN, *FURTHER))  # of which no figure is made


def needs_ioh(name: str) -> bool:
    """Say whether a problem is one of IOHprofiler's."""
    build = _BUILDERS.get(name)
    return isinstance(build, functools.partial) and build.func in (PseudoBoolean, MixedInteger)


@functools.cache
def problem(name: str) -> Problem:
    """Return the problem of a name, built once in a process. Raises KeyError for a name that is not in NAMES."""
    return _BUILDERS[name]()
