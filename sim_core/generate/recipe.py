"""Recipes: a scenario on disk is its family, its index and the revisions drawn around the real timeline.

Its paths (`sim_core.generate.paths`) follow from (suite seed, family, index) by counter-based randomness and are
recomputed wherever they are needed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue.law import LawRow, law, select
from sim_core.generate.events import Event, iso
from sim_core.generate.families import BASE_LAW, Family, RevisionRule, family
from sim_core.generate.revision_process import Frame, draw_events, frame_of
from sim_core.policy.from_catalogue import from_law_rows, not_yet_law, revised
from sim_core.policy.instrument import PolicyInstrument
from sim_core.seeding import scenario_number, uniforms
from sim_core.suite import SuiteDefinition
from sim_core.units import add_months, day

_ADOPTION_MONTHS = 6  # longest time from a revision's announcement to its adoption (assumption)
_COUNTERFACTUAL_ON_DEMAND = ("CF-TARIFF",)  # in the timeline only where a family enacts it
_TARIFF_START_SPREAD = 120  # months over which a drawn tariff may start
_TARIFF_MONTHS = (36, 144)  # how long a drawn tariff lasts
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A scenario on disk."""

    family: str
    index: int
    seed: int
    events: tuple[Event, ...]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a recipe from its JSON text."""
        value = json.loads(text)
        events = tuple(Event(**{**event, "targets": tuple(event["targets"])}) for event in value["events"])
        return cls(family=value["family"], index=value["index"], seed=value["seed"], events=events)

    def to_json(self) -> str:
        """Return the canonical JSON text (<= 1 KB)."""
        events = [event.to_json() for event in self.events]
        # The text of sim_core.seeding.canonical_json, sooner: these are plain values.
        return _encode({"family": self.family, "index": self.index, "seed": self.seed, "events": events})


def draw_recipe(suite: SuiteDefinition, name: str, index: int) -> Recipe:
    """Draw the revisions of scenario `index` of a family."""
    return draw_recipes(suite, name, (index,))[0]


def draw_recipes(suite: SuiteDefinition, name: str, indices: Sequence[int]) -> list[Recipe]:
    """Draw the revisions of several scenarios of a family, in the order of `indices`; each is the same as alone."""
    one = family(name)
    numbers = np.array([scenario_number(name, index) for index in indices], dtype=np.uint64)
    events = _ruled(one, suite.seed, numbers)
    if one.process is not None:
        more = draw_events(one.process, _frames(), suite.seed, numbers)
        events = [(*ruled, *drawn) for ruled, drawn in zip(events, more, strict=True)]
    return [
        Recipe(
            family=name, index=index, seed=suite.seed, events=tuple(sorted(found, key=lambda event: event.announced))
        )
        for index, found in zip(indices, events, strict=True)
    ]


def _announced(event: Event) -> str:
    return event.announced


def _ruled(one: Family, seed: int, numbers: NDArray[np.uint64]) -> list[tuple[Event, ...]]:
    if not one.rules:
        return [()] * len(numbers)
    draws = uniforms(seed, numbers, "events", 5, len(one.rules)).tolist()
    return [
        tuple(_draw_event(rule, u) for rule, u in zip(one.rules, of_one, strict=True) if u[0] < rule.probability)
        for of_one in draws
    ]


def base_law() -> dict[str, tuple[LawRow, ...]]:
    """Return the rows of the law that families build on, by instrument id, each in order of date."""
    return dict(_base_law())


def instruments(recipe: Recipe) -> tuple[PolicyInstrument, ...]:
    """Return the catalogue's instruments with all the scenario's revisions; none in a family without law."""
    if not family(recipe.family).catalogue:
        return ()
    enacted = {target for event in recipe.events if event.kind == "enact" for target in event.targets}
    found: list[PolicyInstrument] = []
    for key, rows in _base_law().items():
        if key in _COUNTERFACTUAL_ON_DEMAND and key not in enacted:
            continue
        events = [event for event in recipe.events if key in event.targets]
        found.append(_with_events(from_law_rows(rows), events))
    return tuple(found)


def provenance(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the catalogue's row ids behind each instrument that the scenario revises."""
    revised_ones = dict.fromkeys(target for event in recipe.events for target in event.targets)
    return {key: tuple(row.row for row in _base_law()[key]) for key in revised_ones}


def user_instruments(suite: SuiteDefinition) -> tuple[PolicyInstrument, ...]:
    """Return the instruments that a suite brings itself. Raises ModelError for one that can't be read."""
    return tuple(PolicyInstrument.from_json(value) for value in suite.instruments)


def suite_instruments(suite: SuiteDefinition) -> tuple[PolicyInstrument, ...]:
    """Return every instrument that a scenario of a suite may hold, as it stood first: the catalogue's, then its own."""
    return (*(from_law_rows(rows) for rows in base_law().values()), *user_instruments(suite))


@cache
def _base_law() -> dict[str, tuple[LawRow, ...]]:
    return select(law(), BASE_LAW)


@cache
def _frames() -> dict[str, Frame]:
    return {
        key: frame_of(from_law_rows(rows), proposed=key in _COUNTERFACTUAL_ON_DEMAND)
        for key, rows in _base_law().items()
    }


def _draw_event(rule: RevisionRule, draw: Sequence[float]) -> Event:
    low, high = rule.amount
    amount = float(low + (high - low) * draw[1])
    lead = round(rule.lead_months[0] + (rule.lead_months[1] - rule.lead_months[0]) * float(draw[2]))
    base = _base_law()[rule.targets[0]]
    step = base[min(1, len(base) - 1)] if rule.kind == "freeze" else base[0]
    in_force, ends = day(step.applies_on), ""
    if rule.kind == "enact":
        in_force = add_months(in_force, round(_TARIFF_START_SPREAD * float(draw[3])))
        ends = iso(
            add_months(in_force, round(_TARIFF_MONTHS[0] + (_TARIFF_MONTHS[1] - _TARIFF_MONTHS[0]) * float(draw[4])))
        )
    elif rule.kind == "repeal":
        in_force = add_months(in_force, round(amount))
    announced = add_months(in_force, -lead)
    adopted = add_months(announced, min(_ADOPTION_MONTHS, lead // 2))
    if rule.kind in ("enact", "repeal"):
        adopted = in_force
    return Event(
        kind=rule.kind,
        targets=rule.targets,
        amount=round(amount, 6),
        announced=iso(announced),
        adopted=iso(adopted),
        ends=ends,
    )


def _with_events(base: PolicyInstrument, events: Sequence[Event]) -> PolicyInstrument:
    found = base
    if any(event.kind == "enact" for event in events):  # not law today: nothing is announced before the event
        found = not_yet_law(base)
    for event in events:
        found = revised(
            found,
            event.kind,
            event.amount,
            day(event.announced),
            day(event.adopted),
            ends=day(event.ends) if event.ends else None,
            base=base if event.kind == "enact" else None,
        )
    return found
