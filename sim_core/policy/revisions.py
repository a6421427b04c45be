"""Revisions: what a legislator does to a staircase that is already law.

    delay        steps after the adoption come `amount` months later
    freeze       steps after the adoption don't come
    weaken, strengthen (tighten)   values of steps after the adoption are multiplied by `amount`
    repeal       out of force from the adoption on
    extend       the end of a temporary measure, and what follows it, comes `amount` months later
    enact        the first value, times `amount`, from the adoption until `ends`
    amend        the value in force on the adoption, times `amount`, from then to the next step; nothing if out of force

A revision changes nothing before its adoption: what applied until then stays.
"""

from collections.abc import Callable

from sim_core.errors import ModelError
from sim_core.policy.arithmetic import Steps
from sim_core.units import add_months


def revise(
    steps: Steps,
    kind: str,
    amount: float,
    adopted: int,
    ends: int | None = None,
    *,
    neutral: float = 0.0,
    ceiling: float = float("inf"),
) -> Steps:
    """Return the staircase after a revision that is adopted on day `adopted`.

    neutral: the value of a staircase that is out of force; ceiling: what a multiplied value can't exceed. Raises
    ModelError for an unknown kind, and for an extension of what never ends.
    """
    if kind not in KINDS:
        raise ModelError(f"unknown revision {kind!r}; known are {list(KINDS)}")
    if kind in _SCALE:
        return tuple(
            (first, value if first <= adopted or value == neutral else min(ceiling, value * amount))
            for first, value in steps
        )
    if kind == "repeal":
        return (*_until(steps, adopted - 1), (adopted, neutral))
    if kind == "amend":
        return _amend(steps, amount, adopted, neutral, ceiling)
    if kind == "extend":
        return _extend(steps, round(amount), adopted, neutral)
    if kind == "enact":
        enacted = ((adopted, min(ceiling, steps[0][1] * amount)),)
        return enacted if ends is None else (*enacted, (ends, neutral))
    return _DATES[kind](steps, round(amount), adopted)


def _until(steps: Steps, last: int) -> Steps:
    return tuple(step for step in steps if step[0] <= last)


def _delay(steps: Steps, months: int, adopted: int) -> Steps:
    return tuple((first if first <= adopted else add_months(first, months), value) for first, value in steps)


def _freeze(steps: Steps, _months: int, adopted: int) -> Steps:
    return _until(steps, adopted)


def _extend(steps: Steps, months: int, adopted: int, neutral: float) -> Steps:
    ends = [first for first, value in steps if first > adopted and value == neutral]
    if not ends:
        raise ModelError("extend: the instrument has no end that lies after the adoption; only what ends is extended")
    return tuple((first if first < ends[0] else add_months(first, months), value) for first, value in steps)


def _amend(steps: Steps, amount: float, adopted: int, neutral: float, ceiling: float) -> Steps:
    before = _until(steps, adopted)
    if not before or before[-1][1] == neutral:
        return steps
    now = (adopted, min(ceiling, before[-1][1] * amount))
    return (*_until(steps, adopted - 1), now, *(step for step in steps if step[0] > adopted))


_SCALE = ("weaken", "strengthen", "tighten")
_DATES: dict[str, Callable[[Steps, int, int], Steps]] = {"delay": _delay, "freeze": _freeze}
KINDS = (*_DATES, *_SCALE, "repeal", "extend", "enact", "amend")
IN_MONTHS = ("delay", "extend")  # the kinds whose amount is a number of months
