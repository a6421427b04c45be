"""LawFacts: what law needs to know of a suite's products, materials and routes, and which of them a scope means."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.policy.instrument import PolicyInstrument, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFacts:
    """A suite as law sees it. P products, M materials, Q routes.

    products: labels; archetypes: of each. bom: (P, M) kg/unit. recovery: (Q, P, M) kg/kg. efficiency: (Q, P) kg that
    law counts as recycled per kg of feed. exported: (Q,) True where the feed leaves the jurisdiction. embedded: (M,)
    kgCO2e/kg. traceability_cost: (P,) EUR/unit; None costs nothing.
    """

    jurisdiction: str
    products: tuple[str, ...]
    archetypes: tuple[str, ...]
    materials: tuple[str, ...]
    routes: tuple[str, ...]
    bom: NDArray[np.float64]
    recovery: NDArray[np.float64]
    efficiency: NDArray[np.float64]
    exported: NDArray[np.bool_]
    embedded: NDArray[np.float64]
    traceability_cost: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """One stage of an instrument and what it means in a suite, less what an earlier stage covers already.

    products: (P,), materials: (M,), pairs: (P, M) of a product and a material in it; all bool.
    """

    part: PolicyInstrument
    stage: int
    products: NDArray[np.bool_]
    materials: NDArray[np.bool_]
    pairs: NDArray[np.bool_]


def matches(instrument: PolicyInstrument, facts: LawFacts) -> tuple[Matched, ...]:
    """Return the stages of an instrument that mean something in the suite, in order; () where none does."""
    shape = facts.bom.shape
    products, materials, pairs = np.zeros(shape[0], bool), np.zeros(shape[1], bool), np.zeros(shape, bool)
    found: list[Matched] = []
    for stage, part in enumerate(instrument.parts()):
        meant = _meant(part, facts)
        if meant is None:
            continue
        own = meant[0][:, None] & meant[1] & (facts.bom > 0.0)
        found.append(
            Matched(
                part=part,
                stage=stage,
                products=meant[0] & ~products,
                materials=meant[1] & ~materials,
                pairs=own & ~pairs,
            )
        )
        products, materials, pairs = products | meant[0], materials | meant[1], pairs | own
    return tuple(found)


def require_scope(instruments: Iterable[PolicyInstrument], facts: LawFacts) -> None:
    """Raise ModelError for an instrument that means nothing in the suite, naming what the suite has."""
    for instrument in instruments:
        if not matches(instrument, facts):
            raise ModelError(f"instrument {instrument.id!r} matches nothing in this suite: {_why(instrument, facts)}")


def _meant(part: PolicyInstrument, facts: LawFacts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    scope = part.scope
    products = _among(scope.archetype, facts.archetypes) & _among(scope.product, facts.products)
    materials = _among(scope.material, facts.materials)
    materials &= (facts.bom[products] > 0.0).any(axis=0)
    here = not scope.jurisdiction or facts.jurisdiction in scope.jurisdiction
    about_material = part.kind.needs_material or bool(scope.material)
    if not here or not products.any() or (about_material and not materials.any()):
        return None
    return products, materials


def _among(named: Sequence[str], known: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([not named or name in named for name in known], dtype=bool)


def _why(instrument: PolicyInstrument, facts: LawFacts) -> str:
    scope: Scope = instrument.scope
    fields: tuple[tuple[str, tuple[str, ...], Sequence[str]], ...] = (
        ("jurisdiction", scope.jurisdiction, (facts.jurisdiction,)),
        ("archetype", scope.archetype, facts.archetypes),
        ("product", scope.product, facts.products),
        ("material", scope.material, facts.materials),
    )
    for name, named, known in fields:
        if named and not set(named) & set(known):
            near = difflib.get_close_matches(named[0], list(known), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            return f"scope.{name} is {list(named)}, the suite has {list(known)}{meant}"
    return "no product in its scope holds a material in its scope"
