"""Staircases in days, their monthly means, and the conversion of statutory rates to EUR of 2025 per kg or unit."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.units import KG_PER_T

Steps = tuple[tuple[int, float], ...]

# EUR of 2025 for one unit of a currency: yearly means of 2025, rounded (assumptions of this project; USD 0.84 to 0.96,
# GBP 1.13 to 1.20, CAD 0.62 to 0.66, SGD 0.66 to 0.70).
CURRENCIES = {"EUR": 1.0, "USD": 0.89, "GBP": 1.17, "CAD": 0.64, "SGD": 0.68}
MASSES = {"kg": 1.0, "t": KG_PER_T, "lb": KG_PER_T / 2204.62}  # the pound as statutory tables round it (1e-6 too heavy)


class Rate(NamedTuple):
    """A price in EUR per `per`, which is "kg" or "unit"."""

    value: float
    per: str


def rate(value: float, unit: str, place: str) -> Rate:
    """Convert a price such as 0.2 USD/lb. Raises ModelError, naming `place`, for a unit that isn't known."""
    currency, _, amount = unit.partition("/")
    amount = amount.removesuffix("CO2e").removesuffix("CO2")
    if currency not in CURRENCIES or amount not in (*MASSES, "unit"):
        raise ModelError(
            f"{place}: {unit!r} is no price; write CURRENCY/AMOUNT with a currency of {list(CURRENCIES)} "
            f"and an amount of {[*MASSES, 'unit']}, for instance EUR/kg"
        )
    euros = value * CURRENCIES[currency]
    return Rate(euros, "unit") if amount == "unit" else Rate(euros / MASSES[amount], "kg")


def value_on(steps: Sequence[tuple[int, float]], days: NDArray[np.int64], before: float) -> NDArray[np.float64]:
    """Return the value in force on each day; `before` is what holds before the first step."""
    value = np.full(len(days), before)
    for first, level in steps:
        value[days >= first] = level
    return value


def month_means(steps: Sequence[tuple[int, float]], starts: NDArray[np.int64], out: float) -> NDArray[np.float64]:
    """Return the day-weighted mean of a staircase in each month, (len(starts) - 1,); days at value `out` count 0."""
    return _weigh(steps, starts, out)[0]


def share_in_force(steps: Sequence[tuple[int, float]], starts: NDArray[np.int64], out: float) -> NDArray[np.float64]:
    """Return the share of each month's days on which the value is not `out`."""
    return _weigh(steps, starts, out)[1]


def _weigh(
    steps: Sequence[tuple[int, float]], starts: NDArray[np.int64], out: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = starts[:-1], starts[1:]
    total, in_force = np.zeros(len(low)), np.zeros(len(low))
    for number, (first, level) in enumerate(steps):
        if level == out:
            continue
        last = steps[number + 1][0] if number + 1 < len(steps) else np.iinfo(np.int64).max
        days = np.clip(np.minimum(high, last) - np.maximum(low, first), 0, None)
        total += level * days
        in_force += days
    return total / (high - low), in_force / (high - low)
