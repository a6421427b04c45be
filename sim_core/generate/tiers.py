"""Tiers: how hard the law of a scenario is to live with, told from its revisions alone, before anything is simulated.

    pressure = sum over revisions of severity x surprise
    surprise = 1 / (1 + years of notice)

severity: |ln factor| of what multiplies a value, months / 24 of what moves a date, 1 of a repeal, freeze or enactment.
notice: from the announcement to the first day on which another value applies than without the revision. A revision that
changes no value within the horizon presses nobody. Measure and thresholds are assumptions of this project: they order
scenarios by what a controller has to react to, and say nothing of what that costs.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sim_core.generate.events import Event
from sim_core.generate.recipe import Recipe
from sim_core.policy.arithmetic import Steps
from sim_core.policy.instrument import PolicyInstrument, Revision
from sim_core.policy.revisions import IN_MONTHS
from sim_core.suite import SuiteDefinition
from sim_core.units import month_start, parse_month

TIERS = ("calm", "moderate", "severe")
MODERATE, SEVERE = 0.25, 1.0  # the least pressure of these two tiers (assumption)
_MONTHS = 24.0  # a delay that is as severe as a repeal (assumption)
_DAYS_PER_YEAR = 365.2425
_WHOLE = ("repeal", "freeze", "enact")


def tier(recipe: Recipe, law: Sequence[PolicyInstrument], span: tuple[int, int]) -> str:
    """Return one of TIERS. law, span: see `notices`."""
    return tier_of(pressure(recipe, notices(recipe, law, span)))


def tier_of(pressing: float) -> str:
    """Return the tier of a pressure."""
    return TIERS[bisect_right((MODERATE, SEVERE), pressing)]


def horizon(suite: SuiteDefinition) -> tuple[int, int]:
    """Return the first day of a suite's first month, and the day after its last one."""
    first = parse_month(suite.start)
    return month_start(first), month_start(first + suite.periods)


def pressure(recipe: Recipe, noticed: Sequence[int | None]) -> float:
    """Return the pressure of a scenario's revisions. noticed: its `notices`."""
    found = zip(recipe.events, noticed, strict=True)
    return math.fsum(severity(event) / (1.0 + notice / _DAYS_PER_YEAR) for event, notice in found if notice is not None)


def felt(recipe: Recipe, noticed: Sequence[int | None]) -> Recipe:
    """Return a recipe without the events that change no value within the horizon. noticed: its `notices`."""
    kept = tuple(event for event, notice in zip(recipe.events, noticed, strict=True) if notice is not None)
    return replace(recipe, events=kept)


def notices(recipe: Recipe, law: Sequence[PolicyInstrument], span: tuple[int, int]) -> tuple[int | None, ...]:
    """Return each event's days of notice, the shortest one of its targets; None where it changes no value in time.

    law: the scenario's instruments with its revisions, as sim_core.generate.recipe.instruments returns them. span: the
    horizon, see `horizon`; a value that changes before or after it counts as none that changes.
    """
    first: dict[int, int] = {}
    for one in law:
        own = [number for number, event in enumerate(recipe.events) if one.id in event.targets]
        for number, (before, after) in zip(own, pairwise(one.revisions[-len(own) - 1 :]), strict=True):
            changed = _first_change(before, after)
            if changed is not None and span[0] <= changed < span[1]:
                notice = changed - after.announced
                first[number] = min(notice, first.get(number, notice))
    return tuple(first.get(number) for number in range(len(recipe.events)))


def severity(event: Event) -> float:
    """Return how much an event changes, at most 1 for what multiplies a value by 0: that repeals it."""
    if event.kind in _WHOLE or (event.kind not in IN_MONTHS and event.amount <= 0.0):
        return 1.0
    return event.amount / _MONTHS if event.kind in IN_MONTHS else abs(math.log(event.amount))


def _first_change(before: Revision, after: Revision) -> int | None:
    """Return the first day on which two staircases, or a further stage's, differ; None where they never do."""
    stages = zip((before.steps, *before.wider), (after.steps, *after.wider), strict=True)
    found = [day for one, other in stages if (day := _parting(one, other)) is not None]
    return min(found) if found else None


def _parting(one: Steps, other: Steps) -> int | None:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    left = [steps[same][0] for steps in (one, other) if same < len(steps)]
    return min(left) if left else None
