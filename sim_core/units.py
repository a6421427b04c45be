"""Units and the calendar. Mass in kg, product in kWh of nominal capacity, money in EUR of 2025, time in months.

A period is one calendar month. Law acts on days: `month_starts` maps periods to days, and a staircase is weighted
by the days on which each value is in force.
"""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError

KG_PER_T = 1000.0
MONTHS_PER_YEAR = 12


def parse_month(text: str) -> int:
    """Return the number of months from 0000-01 to the month "YYYY-MM". Raises ModelError on any other text."""
    try:
        year, month = (int(part) for part in text.split("-"))
        date(year, month, 1)
    except ValueError:
        raise ModelError(f"{text!r} is not a month; write it as YYYY-MM, for instance 2026-01") from None
    return year * MONTHS_PER_YEAR + month - 1


def month_start(month: int) -> int:
    """Return the proleptic ordinal of the first day of a month number."""
    return date(month // MONTHS_PER_YEAR, month % MONTHS_PER_YEAR + 1, 1).toordinal()


def month_starts(first: int, count: int) -> NDArray[np.int64]:
    """Return the ordinals of `count + 1` consecutive month starts: period t covers days [starts[t], starts[t + 1])."""
    return np.array([month_start(first + offset) for offset in range(count + 1)], dtype=np.int64)


def day(text: str) -> int:
    """Return the ordinal of an ISO date. Raises ModelError on any other text."""
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        raise ModelError(f"{text!r} is not a date; write it as YYYY-MM-DD") from None


def add_months(ordinal: int, months: int) -> int:
    """Return the day `months` later, the day of the month cut to the month's length."""
    start = date.fromordinal(ordinal)
    total = start.year * MONTHS_PER_YEAR + start.month - 1 + months
    first = month_start(total)
    return min(first + start.day - 1, month_start(total + 1) - 1)
