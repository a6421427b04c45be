"""Shapes: how a schedule, as people write law, becomes a right-continuous staircase in days.

Every shape is a staircase in the end; a ramp is one of small steps. A date is an ISO date, or relative to the entry
into force: "EIF", "EIF+6y", "EIF+18m", "EIF+90d".
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sim_core.errors import ModelError
from sim_core.policy.arithmetic import Steps
from sim_core.policy.reading import Reader
from sim_core.units import MONTHS_PER_YEAR, add_months

_RELATIVE = re.compile(r"EIF(?:\+(\d+)([ymd]))?")
_MOST_STEPS = 1200  # of a ramp or a decay: a century of months


def read_day(value: Any, place: str, entry: int | None) -> int:
    """Return the ordinal of an absolute or relative date. entry: the day of entry into force, where it is known.

    Raises ModelError for anything else, and for a relative date without an entry into force.
    """
    if isinstance(value, date):
        return value.toordinal()
    relative = _RELATIVE.fullmatch(str(value))
    if relative is None:
        try:
            return date.fromisoformat(str(value)).toordinal()
        except ValueError:
            raise ModelError(
                f"{place}: {value!r} is no date; write YYYY-MM-DD, or a time after the entry into force: EIF, EIF+6y, "
                "EIF+18m or EIF+90d"
            ) from None
    if entry is None:
        raise ModelError(f"{place}: {value!r} counts from the entry into force; add entry_into_force: YYYY-MM-DD")
    count, unit = int(relative[1] or 0), relative[2]
    if unit == "d":
        return entry + count
    return add_months(entry, count * (MONTHS_PER_YEAR if unit == "y" else 1))


def read_steps(value: Any, place: str, entry: int | None) -> Steps:
    """Return the steps of a list of [date, value]; a value of null is "out of force"."""
    if not isinstance(value, list | tuple):
        raise ModelError(f"{place}: list steps as [date, value], for instance [['2030-01-01', 0.3]]")
    found: list[tuple[int, float]] = []
    for number, step in enumerate(value):
        where = f"{place}[{number}]"
        if not isinstance(step, list | tuple) or len(step) != 2:
            raise ModelError(f"{where}: a step is [date, value], not {step!r}")
        found.append((read_day(step[0], where, entry), _level(step[1], where)))
    for number in range(1, len(found)):
        if found[number][0] <= found[number - 1][0]:
            raise ModelError(f"{place}[{number}]: the steps must lie in increasing order of days")
    return tuple(found)


def staircase(schedule: Reader, entry: int | None) -> Steps:
    """Return the staircase of a schedule. Raises ModelError naming the place of what it can't read."""
    shape = schedule.choice("shape", tuple(SHAPES), default="step")
    steps = SHAPES[shape](schedule, entry)
    schedule.close()
    return steps


def _level(value: Any, place: str) -> float:
    if value is None:
        return _OUT
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ModelError(f"{place}: a value is a number of 0 or more, or null for out of force; not {value!r}")
    return float(value)


def _step(schedule: Reader, entry: int | None) -> Steps:
    return ((_from(schedule, entry), schedule.number("value")),)


def _steps(schedule: Reader, entry: int | None) -> Steps:
    return read_steps(schedule.take("steps"), f"{schedule.place}.steps", entry)


def _ceiling(schedule: Reader, entry: int | None) -> Steps:
    return _steps(schedule, entry) if schedule.has("steps") else _step(schedule, entry)


def _repeated(
    schedule: Reader, entry: int | None, every: int, value_at: Callable[[float, float, int], float], change: float
) -> Steps:
    """Return `count` steps `every_months` apart."""
    first, start = _from(schedule, entry), schedule.number("value")
    months = int(schedule.number("every_months", default=every, least=1.0))
    count = int(schedule.number("count", least=1.0, most=float(_MOST_STEPS)))
    values = [value_at(start, change, number) for number in range(count)]
    if min(values) < 0.0:
        number = next(number for number, value in enumerate(values) if value < 0.0)
        raise ModelError(
            f"{schedule.place}: step {number + 1} falls to {values[number]:g}; end before it falls below 0"
        )
    return tuple((add_months(first, months * number), value) for number, value in enumerate(values))


def _ramp(schedule: Reader, entry: int | None) -> Steps:
    change = schedule.number("increase", least=-math.inf)
    return _repeated(schedule, entry, 1, lambda start, step, number: start + step * number, change)


def _decay(schedule: Reader, entry: int | None) -> Steps:
    factor = schedule.number("factor", most=1.0)
    return _repeated(schedule, entry, MONTHS_PER_YEAR, lambda start, step, number: start * step**number, factor)


def _window(schedule: Reader, entry: int | None) -> Steps:
    first, end = _from(schedule, entry), read_day(schedule.take("until"), f"{schedule.place}.until", entry)
    if end <= first:
        raise ModelError(f"{schedule.place}.until: the window ends before it begins")
    return ((first, schedule.number("value")), (end, _OUT))


def _window_then_quota(schedule: Reader, entry: int | None) -> Steps:
    quota = schedule.number("quota")
    (first, end) = _window(schedule, entry)
    return (first, (end[0], quota))


def _from(schedule: Reader, entry: int | None) -> int:
    return read_day(schedule.take("from", default="EIF"), f"{schedule.place}.from", entry)


_OUT = math.nan  # stands for "out of force" until the type is known
SHAPES: Mapping[str, Callable[[Reader, int | None], Steps]] = {
    "step": _step,
    "staircase": _steps,
    "ramp": _ramp,
    "decay": _decay,
    "window": _window,
    "window_then_quota": _window_then_quota,
    "ceiling": _ceiling,
}


def out_of_force(steps: Steps, neutral: float) -> Steps:
    """Return the steps with the type's own value where a window has ended or a value is null."""
    return tuple((first, value if math.isfinite(value) else neutral) for first, value in steps)
