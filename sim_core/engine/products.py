"""Products: what the archetypes of a suite say, as arrays over products, classes, grades and routes.

A class is a cohort of equal history: class 0 is new; class 2 l - 1 has begun life l reused as it was (grade A), class
2 l remanufactured (grade B). P products, C classes, M materials, Q routes, G grades.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from sim_core.catalogue import Archetype, archetype, material_names, with_lifetime, with_lives, with_overrides
from sim_core.suite import ProductShare

GRADES = ("A", "B", "C", "D")  # reuse as is, remanufacture, second life, recycle
A, B, C, D = range(len(GRADES))
EXPORT_LINE = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """The products of a suite, compiled. Parameters by product have shape (P, 1), to multiply (..., P, cells)."""

    archetypes: tuple[Archetype, ...]
    labels: tuple[str, ...]
    share: NDArray[np.float64]  # (P,) of demand
    materials: tuple[str, ...]
    bom: NDArray[np.float64]  # (P, M) kg/unit
    mass: NDArray[np.float64]  # (P,) kg/unit; 1 for a product without materials
    lives: int
    life: NDArray[np.intp]  # (C,) the life that a class is in
    health: NDArray[np.float64]  # (P, C) state of health of a unit when sold
    again: NDArray[np.float64]  # (P, C) 1.0 where a unit may be sold once more
    grade_share: NDArray[np.float64]  # (P, G, C) P(grade | class)
    routes: tuple[str, ...]
    lines: tuple[str, ...]
    route_line: tuple[int, ...]  # the line that each route runs on
    best_line: tuple[int, ...]  # (P,) the line of each product's last route, which recovers most; -1 without routes
    offered: NDArray[np.float64]  # (Q, P) 1.0 where a product can take the route
    exported: NDArray[np.bool_]  # (Q,)
    recovery: NDArray[np.float64]  # (Q, P, M) kg/kg
    credit: NDArray[np.float64]  # (Q, P) kg/kg that law counts beside
    route_cost: NDArray[np.float64]  # (Q, P) EUR/kg of feed
    route_carbon: NDArray[np.float64]  # (Q, P) kgCO2e/kg of feed
    _read: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.life)

    def value(self, name: str) -> NDArray[np.float64]:
        """Return a parameter of every product, (P, 1)."""
        if name not in self._read:
            self._read[name] = np.array([[archetype.value(name)] for archetype in self.archetypes])
        return self._read[name]

    def common(self, name: str) -> float:
        """Return a parameter that concerns the region, not one product: the first product's."""
        return self.archetypes[0].value(name)

    def by_material(self, prefix: str) -> NDArray[np.float64]:
        """Return `prefix.material`, (M,), each from the first product that holds the material."""
        found = [
            next(a.value(f"{prefix}.{material}") for a in self.archetypes if material in a.materials)
            for material in self.materials
        ]
        return np.array(found, dtype=np.float64)

    def line_capacity(self, line: str) -> float:
        """Return the region's capacity of a line in kg a month: products bring theirs together."""
        name = f"recycling.{line}.capacity"
        return sum(a.value(name) for a in self.archetypes if any(route.line == line for route in a.routes))


def compile_products(
    archetypes: tuple[Archetype, ...], labels: tuple[str, ...], share: Sequence[float], *, one_life: bool = False
) -> Products:
    """Compile archetypes (P,), with their labels and shares of demand, to arrays.

    one_life: nobody in the network can give a unit another life, so that class 0 is the only one.
    """
    materials = material_names(archetypes)
    lives = 1 if one_life else max(archetype.lives for archetype in archetypes)
    life = np.array([(c + 1) // 2 for c in range(2 * lives - 1)], dtype=np.intp)
    routes = list(dict.fromkeys(route.name for a in archetypes for route in a.routes))
    lines = list(dict.fromkeys(route.line for a in archetypes for route in a.routes))
    route_of = {route.name: route for a in archetypes for route in a.routes}
    bom = np.array([[a.value(f"bom.{m}") if m in a.materials else 0.0 for m in materials] for a in archetypes])
    bom = bom.reshape(len(archetypes), len(materials))

    def table(read: Callable[[Archetype, str], float]) -> NDArray[np.float64]:
        values = [[read(a, q) if _has(a, q) else 0.0 for a in archetypes] for q in routes]
        return np.array(values, dtype=np.float64).reshape(len(routes), len(archetypes))

    recovery = [[[_recovery(a, q, m) for m in materials] for a in archetypes] for q in routes]
    return Products(
        archetypes=archetypes,
        labels=labels,
        share=np.array(share, dtype=np.float64),
        materials=materials,
        bom=bom,
        mass=np.where(bom.sum(axis=1) > 0.0, bom.sum(axis=1), 1.0),
        lives=lives,
        life=life,
        health=np.array([[a.value(f"soh.life{n}") if n < a.lives else 0.0 for n in life] for a in archetypes]),
        again=np.array([[float(n + 1 < a.lives) for n in life] for a in archetypes]),
        grade_share=np.array([grade_shares(a, life) for a in archetypes]),
        routes=tuple(routes),
        lines=tuple(lines),
        route_line=tuple(lines.index(route_of[q].line) for q in routes),
        best_line=tuple(lines.index(a.routes[-1].line) if a.routes else -1 for a in archetypes),
        offered=np.array([[float(_has(a, q)) for a in archetypes] for q in routes]).reshape(
            len(routes), len(archetypes)
        ),
        exported=np.array([route_of[q].exported for q in routes], dtype=bool),
        recovery=np.array(recovery, dtype=np.float64).reshape(len(routes), len(archetypes), len(materials)),
        credit=table(lambda a, q: a.value(f"recycling.{q}.credit")),
        route_cost=table(lambda a, q: a.value(f"recycling.{q}.cost")),
        route_carbon=table(lambda a, q: a.value(f"recycling.{q}.carbon")),
    )


def resolve(product: ProductShare) -> Archetype:
    """Return a suite's product: its archetype with the suite's lifetime, lives and overrides. Raises ModelError."""
    base = with_lives(with_lifetime(archetype(product.archetype), product.lifetime), product.lives)
    return with_overrides(base, product.overrides)


def reused(c: int) -> int:
    """Return the class that a unit of class c is in when it is reused as it is; the caller checks `again`."""
    return 2 * ((c + 1) // 2 + 1) - 1


def remanufactured(c: int) -> int:
    """Return the class that a unit of class c is in after remanufacture."""
    return 2 * ((c + 1) // 2 + 1)


def grade_shares(archetype: Archetype, life: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return P(grade | class), (G, C).

    A unit's latent quality is q_c + spread x e, e standard normal; q_c = (1 - loss)^life, times (1 - restore_gap)
    for remanufactured units. Thresholds are such that new units (q = 1) return with the archetype's base shares.
    """
    base = np.array([archetype.value(f"grade.{grade}") for grade in GRADES])
    spread = archetype.value("quality.spread")
    quality = class_quality(archetype, life)
    better = np.cumsum(base)[:-1]  # share of new units at or above each threshold
    thresholds = 1.0 + spread * ndtri(np.clip(1.0 - better, 0.0, 1.0))
    above = np.stack([ndtr((quality - threshold) / spread) for threshold in thresholds])
    edges = np.concatenate([np.zeros((1, len(life))), above, np.ones((1, len(life)))])
    return np.maximum(0.0, np.diff(edges, axis=0))


def class_quality(archetype: Archetype, life: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean quality of each class when it comes back, (C,): 1 for units in their first life."""
    remade = np.array([n > 0 and c % 2 == 0 for c, n in enumerate(life)])
    kept = np.power(1.0 - archetype.value("quality.loss"), life.astype(np.float64))
    return kept * np.where(remade, 1.0 - archetype.value("quality.restore_gap"), 1.0)


def _has(archetype: Archetype, route: str) -> bool:
    return any(own.name == route for own in archetype.routes)


def _offered(_archetype: Archetype, _route: str) -> float:
    return 1.0


def _recovery(archetype: Archetype, route: str, material: str) -> float:
    if not _has(archetype, route) or material not in archetype.materials:
        return 0.0
    return archetype.value(f"recovery.{route}.{material}")
