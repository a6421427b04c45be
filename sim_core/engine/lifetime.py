"""Lifetimes, discretised as differences of the distribution function (densities at midpoints would create mass)."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from sim_core.catalogue import Archetype
from sim_core.errors import ModelError
from sim_core.units import MONTHS_PER_YEAR

DISTRIBUTIONS = ("weibull", "normal", "logistic", "fixed", "geometric", "none")


def survival(product: Archetype, life: int, ages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 - F(age) of a product's lifetime in its life number `life`; ages in months, 1 below age 0.

    weibull: exp(-(a / scale)^shape). normal, logistic: mean `scale`, standard deviation `shape`, in years; what lies
    below age 0 has left at age 0. fixed: all leave at age `scale`. geometric: (1 - shape)^a, shape the share that
    leaves each month. Later lives last `lifetime.again` times as long (geometric: leave as often).
    """
    kind, shape = product.lifetime, product.value("lifetime.shape")
    scale = product.value("lifetime.scale") * MONTHS_PER_YEAR
    if life > 0:
        scale *= product.value("lifetime.again")
    a = np.maximum(ages, 0.0)
    if kind == "weibull":
        left = np.exp(-((a / scale) ** shape))
    elif kind == "normal":
        left = ndtr((scale - a) / (shape * MONTHS_PER_YEAR))
    elif kind == "logistic":  # the scale parameter of a logistic distribution is sd x sqrt(3) / pi
        left = expit((scale - a) * np.pi / (np.sqrt(3.0) * shape * MONTHS_PER_YEAR))
    elif kind == "fixed":
        left = (a < scale - 1e-9).astype(np.float64)
    elif kind == "geometric":
        left = (1.0 - shape) ** a
    elif kind == "none":
        left = np.zeros_like(a)
    else:
        raise ModelError(f"archetype {product.name!r}: unknown lifetime {kind!r}; known are {list(DISTRIBUTIONS)}")
    return np.where(ages < 0.0, 1.0, left)


def vintage_hazard(product: Archetype, life: int, months: int, merged: int) -> NDArray[np.float64]:
    """Return the share of a vintage's remaining units that leaves in each month since the vintage closed, (months,).

    A vintage merges `merged` months of sales, taken as even: its survival is the mean of theirs.
    """
    left = survival(product, life, np.arange(months + merged + 1, dtype=np.float64))
    cohorts = [left[offset : offset + months + 1] for offset in range(merged)]
    return hazard(sum(cohorts[1:], cohorts[0].copy()) / merged)


def hazard(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of what is left that leaves in each month; 1 where nothing is left."""
    return 1.0 - np.divide(left[1:], left[:-1], out=np.zeros(len(left) - 1), where=left[:-1] > 0.0)
