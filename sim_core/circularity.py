"""Measures of circularity as functions of flows, by cell or as numbers; sim_core.metrics applies them to a ledger."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def material_circularity(
    *,
    recycled_feed: Vector | float = 0.0,
    reused_feed: Vector | float = 0.0,
    to_recycling: Vector | float = 0.0,
    to_reuse: Vector | float = 0.0,
    feed_efficiency: Vector | float = 1.0,
    collection_efficiency: Vector | float = 1.0,
    utility: Vector | float = 1.0,
) -> Vector:
    """Return the Material Circularity Indicator, in [0, 1].

    Fractions of product mass M = 1: F_R, F_U of the feed; C_R, C_U of what is collected after use; E_F, E_C
    efficiencies of the recycling that made the feed and that takes the product; X the utility (life x intensity over
    the average).
    LFI = (V + W) / (2 + (W_F - W_C) / 2), MCI = max(0, 1 - 0.9 LFI / X).
    Source: Ellen MacArthur Foundation and ANSYS Granta, "Circularity Indicators: Methodology", 2019.
    """
    virgin = 1.0 - np.asarray(recycled_feed) - reused_feed
    lost_feed = (1.0 - np.asarray(feed_efficiency)) * recycled_feed / feed_efficiency
    lost_collected = (1.0 - np.asarray(collection_efficiency)) * to_recycling
    waste = 1.0 - np.asarray(to_recycling) - to_reuse + 0.5 * (lost_feed + lost_collected)
    linear_flow = (virgin + waste) / (2.0 + 0.5 * (lost_feed - lost_collected))
    return np.maximum(0.0, 1.0 - linear_flow * 0.9 / np.asarray(utility))


def expected_lives(transition: NDArray[np.float64]) -> float:
    """Return the expected number of uses of a new unit, the sum of the first row of N = (I - Q)^-1.

    transition: Q, (n, n), the probability that a unit in use state i comes back in use state j; what is missing to 1
    is absorbed. Source: absorbing Markov chains, Kemeny and Snell, "Finite Markov Chains", 1960, theorem 3.2.4. A mean
    of lifecycle counts would be censored by the horizon.
    """
    return float(np.linalg.solve(np.eye(len(transition)) - transition, np.ones(len(transition)))[0])


def chained_lives(again: Vector, lives: int) -> Vector:
    """Return the expected lives where every end of life leads to another one with the same probability, up to `lives`.

    again: (B,), NaN counts as 0. The chain of `lives` states with `again` above its diagonal: its fundamental matrix
    has the powers as first row.
    """
    chance = np.where(np.isnan(again), 0.0, again)
    return np.sum(chance ** np.arange(lives)[:, None], axis=0)


def economy_index(recovered_value: Vector, ended_material_value: Vector) -> Vector:
    """Return the Circular Economy Index: value of the material recycled from end-of-life products over the value of the
    material that it takes to make them anew; NaN where nothing came to its end.

    Both in EUR, here at virgin prices. Source: Di Maio and Rem, "A Robust Indicator for Promoting Circular Economy
    through Recycling", Journal of Environmental Protection 6 (2015) 1095-1104.
    """
    return share(recovered_value, ended_material_value)


def value_retained(kept_value: Vector, recovered_value: Vector, ended_value: Vector) -> Vector:
    """Return what recovery keeps of the value of what left use; NaN where nothing did.

    (value of the new units that reused, remanufactured and second-use units stand for + value of material recovered)
    / replacement cost, as new, of the units that left use; EUR. Above 1 where older stocks are worked off.
    Source: recirculated over total value at value chain cost, Linder, Sarasini and van Loon, "A Metric for Quantifying
    Product-Level Circularity", Journal of Industrial Ecology 21 (2017) 545-558.
    """
    return share(kept_value + recovered_value, ended_value)


def handprint(own_carbon: Vector, own_served: Vector, linear_carbon: Vector, linear_served: Vector) -> Vector:
    """Return the carbon handprint, in the unit of carbon: the linear counterfactual's footprint at equal service - own.

    linear_carbon x own_served / linear_served - own_carbon; negative where the linear system emits less, NaN where it
    serves nothing. Footprints and service (units x state of health) are those of one scenario.
    Source: Pajula et al., "Carbon handprint guide", VTT, 2nd edition 2021: baseline less solution per functional unit.
    """
    return linear_carbon * share(own_served, linear_served) - own_carbon


def share(part: Vector, whole: Vector) -> Vector:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0.0)
