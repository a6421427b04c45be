"""Obligations: what a suite's duties count, over which window, at which price of a shortfall.

The obligations of a suite are the same in all its scenarios; what a scenario's law requires in a month (`theta`) is
an array over them (sim_core.policy.timeline). Registers are what the engine measures (sim_core.engine.compliance).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.policy.arithmetic import rate
from sim_core.policy.facts import LawFacts, Matched, matches
from sim_core.policy.instrument import Flexibility, PolicyInstrument, Window
from sim_core.policy.kinds import ORIGINS
from sim_core.units import KG_PER_T

# What a register is counted by: (plants, P, M), (plants, P, M, origins), (P,), (M,), or nothing.
BY_PRODUCT = ("placed", "placed_again", "marketed", "ended", "collected", "reused", "landfilled")
BY_MASS = ("treated_mass", "recovered_mass")  # (P,) in kg
BY_MATERIAL = ("virgin", "imported", "domestic")
_BY_PLANT = ("content", "recycled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A sum over part of a register: of some products, materials and origins (indices), each product by its weight.

    weights: kg per unit where a duty is measured in mass; () counts units. scale: of the sum.
    """

    register: str
    products: tuple[int, ...] = ()
    materials: tuple[int, ...] = ()
    origins: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """One duty of a suite. id: the instrument's, with "@k" for the k-th stage of a staircase of scope.

    unit: of what is due and of a shortfall ("kg", "unit", "t"). per_plant: each plant, and each of its products,
    answers for itself. lag: number of windows before, of which the mean is the basis. phi: EUR per unit of shortfall.
    """

    id: str
    type: str
    sense: str
    unit: str
    delivered: Quantity
    basis: Quantity
    per_plant: bool
    window: Window
    lag: int
    phi: float
    flexibility: Flexibility


def obligations(
    instruments: Iterable[PolicyInstrument], facts: LawFacts, shortfall_price: Mapping[str, float]
) -> tuple[Obligation, ...]:
    """Return the obligations that instruments mean in a suite, in order; what matches nothing is left out.

    phi is the instrument's penalty, else the suite's price for its id, else for its (only) material, else 0: then a
    shortfall is measured and not charged. Raises ModelError for a penalty in another measure than the duty, and for
    two duties of one id.
    """
    found: list[Obligation] = []
    for instrument in instruments:
        if instrument.acts == "duty":
            found += [_obligation(one, facts, shortfall_price) for one in duty_stages(instrument, facts)]
    ids = [one.id for one in found]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ModelError(f"instruments {twice}: an id stands for one instrument; rename one of the two")
    return tuple(found)


def duty_stages(instrument: PolicyInstrument, facts: LawFacts) -> tuple[Matched, ...]:
    """Return the stages of a duty that mean something beside those before."""
    found = matches(instrument, facts)
    return tuple(one for one in found if one.pairs.any() or (not instrument.kind.needs_material and one.products.any()))


def obligation_id(stage: Matched) -> str:
    """Return the id of the obligation of a stage."""
    return stage.part.id if stage.stage == 0 else f"{stage.part.id}@{stage.stage + 1}"


def _obligation(stage: Matched, facts: LawFacts, shortfall_price: Mapping[str, float]) -> Obligation:
    part = stage.part
    products, materials = _rectangle(stage, facts)
    delivered = _quantity(part, part.delivered, products, materials, facts)
    unit = "t" if part.type == "ets_cap" else "unit" if _counts_units(part) else "kg"
    if part.flexibility.certificate_limit and part.flexibility.certificate_price is None and unit != "t":
        raise ModelError(
            f"instrument {part.id!r}.flexibility.certificates.price: a duty in {unit} has no carbon price; "
            f"give a number, EUR/{unit}"
        )
    everybody = tuple(range(len(facts.products))) if part.type == "sales_mandate" else products
    return Obligation(
        id=obligation_id(stage),
        type=part.type,
        sense=part.sense,
        unit=unit,
        delivered=delivered,
        basis=_quantity(part, part.basis, everybody, materials, facts),
        per_plant=part.level == "plant" and part.type == "recycled_content_mandate",
        window=part.window,
        lag=part.lag,
        phi=_phi(part, unit, shortfall_price),
        flexibility=part.flexibility,
    )


def _rectangle(stage: Matched, facts: LawFacts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return products and materials of a duty. Raises ModelError where a stage of scope isn't all pairs of the two."""
    if not stage.part.kind.needs_material:
        return _indices(stage.products), _indices(stage.materials)
    products: NDArray[np.bool_] = np.any(stage.pairs, axis=1)
    materials: NDArray[np.bool_] = np.any(stage.pairs, axis=0)
    if (products[:, None] & materials & (facts.bom > 0.0) & ~stage.pairs).any():
        raise ModelError(
            f"instrument {stage.part.id!r}: stage {stage.stage + 1} widens products and materials at once; "
            "let a stage widen one of them, or write two instruments"
        )
    return _indices(products), _indices(materials)


def _quantity(
    part: PolicyInstrument, register: str, products: tuple[int, ...], materials: tuple[int, ...], facts: LawFacts
) -> Quantity:
    if register == "emissions":
        return Quantity(register=register, scale=1.0 / KG_PER_T)
    if register in BY_PRODUCT:
        mass = facts.bom.sum(axis=1)
        weights = () if _counts_units(part) else tuple(float(mass[i]) for i in products)
        return Quantity(register=register, products=products, weights=weights)
    if register in BY_MASS:
        return Quantity(register=register, products=products)
    if register in BY_MATERIAL:
        return Quantity(register=register, materials=materials)
    origins = tuple(ORIGINS.index(name) for name in part.eligible_origins) if register == "recycled" else ()
    if register in _BY_PLANT:
        return Quantity(register=register, products=products, materials=materials, origins=origins)
    return Quantity(register=register)


def _counts_units(part: PolicyInstrument) -> bool:
    return part.measure == "unit" and {part.delivered, part.basis} <= set(BY_PRODUCT)


def _phi(part: PolicyInstrument, unit: str, shortfall_price: Mapping[str, float]) -> float:
    if part.penalty is not None:
        price, per = rate(part.penalty.value, part.penalty.unit, f"instrument {part.id!r}.penalty.unit")
        if (per == "unit") != (unit == "unit"):
            raise ModelError(f"instrument {part.id!r}.penalty.unit: the duty is in {unit}, the penalty per {per}")
        return price * KG_PER_T if unit == "t" else price
    if part.id in shortfall_price:
        return shortfall_price[part.id]
    materials = part.scope.material
    return shortfall_price.get(materials[0], 0.0) if len(materials) == 1 else 0.0


def _indices(selected: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(selected))
