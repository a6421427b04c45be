"""Worth: what units and the material in them would cost new, at today's prices, and what recovery keeps of it.

A new unit is worth its material, as virgin, and its conversion: the replacement cost at which the books value goods. A
unit that gets another life stands for as many new ones as it serves: its state of health when it is sold again, in
second use `second_life.displacement`. Material recovered is worth what it replaces, virgin material.
Principle: value chain cost as the common unit of product parts and material, Linder, Sarasini and van Loon, "A Metric
for Quantifying Product-Level Circularity", Journal of Industrial Ecology 21 (2017) 545-558.
"""

from sim_core.engine.period import Array, Period
from sim_core.ledger import Flow


def material_worth(p: Period) -> Array:
    """Return the virgin material of a new unit, EUR, (P, B)."""
    return (p.layout.products.bom[:, :, None] * p.terms.virgin_price).sum(axis=1)


def unit_worth(p: Period) -> Array:
    """Return the replacement cost of a new unit, EUR, (P, B)."""
    return material_worth(p) + p.layout.value("production.cost")


def book_ended(p: Period, units: Array) -> None:
    """Book what units leaving use, (..., P, B), were worth as new, and the material in them."""
    p.move(Flow.ENDED_VALUE, units * unit_worth(p))
    p.move(Flow.ENDED_MATERIAL_VALUE, units * material_worth(p))


def book_kept(p: Period, new_units: Array) -> None:
    """Book the new units, (P, B), that units with another life stand for."""
    p.move(Flow.KEPT_VALUE, new_units * unit_worth(p))


def served_units(p: Period, units: Array) -> Array:
    """Return the new units that goods by class, (n, P, C, B), stand for when they are sold: (P, B)."""
    return (units * p.layout.products.health[:, :, None]).sum(axis=(0, 2))
