"""Recipes: a scenario on disk is its family, its index and the revisions drawn around the real timeline.

Its paths (`sim_core.generate.paths`) follow from (suite seed, family, index) by counter-based randomness and are
recomputed wherever they are needed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sim_core.catalogue.law import LawRow, law, select
from sim_core.errors import ModelError
from sim_core.generate.events import Event, iso
from sim_core.generate.family import BASE_LAW, Family, RevisionRule
from sim_core.generate.revision_process import Frame, draw_events, frame_of
from sim_core.policy.from_catalogue import from_law_rows, not_yet_law, revised
from sim_core.policy.instrument import PolicyInstrument
from sim_core.seeding import scenario_number, uniforms
from sim_core.suite import SuiteDefinition
from sim_core.units import add_months, day

_ADOPTION_MONTHS = 6  # longest time from a revision's announcement to its adoption (assumption)
_TARIFF_START_SPREAD = 120  # months over which a drawn tariff may start
_TARIFF_MONTHS = (36, 144)  # how long a drawn tariff lasts
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A scenario on disk. replication: above 0, the same law under other paths."""

    family: str
    index: int
    seed: int
    events: tuple[Event, ...]
    replication: int = 0

    @property
    def scenario(self) -> str:
        """The id of its scenario: "family/index", and "~replication" behind it where there is one."""
        return f"{self.family}/{self.index}" + (f"~{self.replication}" if self.replication else "")

    @property
    def number(self) -> int:
        """What its paths are keyed by."""
        return scenario_number(f"{self.family}~{self.replication}" if self.replication else self.family, self.index)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a recipe from its JSON text."""
        value = json.loads(text)
        events = tuple(Event(**{**event, "targets": tuple(event["targets"])}) for event in value["events"])
        return cls(**{**value, "events": events})

    def to_json(self) -> str:
        """Return the canonical JSON text (<= 1 KB)."""
        events = [event.to_json() for event in self.events]
        form: dict[str, Any] = {"family": self.family, "index": self.index, "seed": self.seed, "events": events}
        if self.replication:
            form["replication"] = self.replication
        # The text of sim_core.seeding.canonical_json, sooner: these are plain values.
        return _encode(form)


def draw_recipe(suite: SuiteDefinition, name: str, index: int) -> Recipe:
    """Draw the revisions of scenario `index` of a family."""
    return draw_recipes(suite, name, (index,))[0]


def draw_recipes(suite: SuiteDefinition, name: str, indices: Sequence[int]) -> list[Recipe]:
    """Draw the revisions of several scenarios of a family, in the order of `indices`; each is the same as alone."""
    one = suite.family(name)
    numbers = np.array([scenario_number(name, index) for index in indices], dtype=np.uint64)
    events = _ruled(one, suite.seed, numbers)
    if one.process is not None:
        more = draw_events(one.process, _frames(one), suite.seed, numbers)
        events = [(*ruled, *drawn) for ruled, drawn in zip(events, more, strict=True)]
    return [
        Recipe(
            family=name, index=index, seed=suite.seed, events=tuple(sorted(found, key=lambda event: event.announced))
        )
        for index, found in zip(indices, events, strict=True)
    ]


def recipes_of(suite: SuiteDefinition, ids: Sequence[str]) -> list[Recipe]:
    """Return the recipes of scenarios, in the order of their ids. Raises ModelError for what is no id."""
    by_family: dict[str, list[tuple[int, int, int]]] = {}
    for place, one in enumerate(ids):
        family, index, replication = parse_id(one)
        by_family.setdefault(family, []).append((place, index, replication))
    found: dict[int, Recipe] = {}
    for family, wanted in by_family.items():
        drawn = draw_recipes(suite, family, [index for _, index, _ in wanted])
        for (place, _, replication), one in zip(wanted, drawn, strict=True):
            found[place] = replace(one, replication=replication) if replication else one
    return [found[place] for place in range(len(ids))]


def parse_id(scenario: str) -> tuple[str, int, int]:
    """Return family, index and replication of a scenario's id. Raises ModelError for what is none."""
    found = re.fullmatch(r"(.+)/(\d+)(?:~([1-9]\d*))?", scenario, re.ASCII)
    if found is None:
        raise ModelError(
            f"{scenario!r} is not a scenario id; write family/index, for instance eu_baseline/0, or "
            "family/index~replication"
        )
    return found[1], int(found[2]), int(found[3] or 0)


def _ruled(one: Family, seed: int, numbers: NDArray[np.uint64]) -> list[tuple[Event, ...]]:
    if not one.rules:
        return [()] * len(numbers)
    draws = uniforms(seed, numbers, "events", 5, len(one.rules)).tolist()
    law_there = law_of(one)
    return [
        tuple(
            _draw_event(rule, law_there[rule.targets[0]], u)
            for rule, u in zip(one.rules, of_one, strict=True)
            if u[0] < rule.probability
        )
        for of_one in draws
    ]


def instruments(suite: SuiteDefinition, recipe: Recipe) -> tuple[PolicyInstrument, ...]:
    """Return the instruments of the recipe's family with all the scenario's revisions; none in a family without law."""
    one = suite.family(recipe.family)
    enacted = {target for event in recipe.events if event.kind == "enact" for target in event.targets}
    found: list[PolicyInstrument] = []
    for key, first in law_of(one).items():
        if key in one.proposed and key not in enacted:
            continue
        events = [event for event in recipe.events if key in event.targets]
        found.append(_with_events(first, events))
    return tuple(found)


def provenance(suite: SuiteDefinition, recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Return the catalogue's row ids behind each instrument that the scenario revises; none behind a user's own."""
    revised_ones = dict.fromkeys(target for event in recipe.events for target in event.targets)
    rows = law_rows(suite.family(recipe.family).law)
    return {key: tuple(row.row for row in rows.get(key, ())) for key in revised_ones}


def user_instruments(suite: SuiteDefinition) -> tuple[PolicyInstrument, ...]:
    """Return the instruments that a suite brings itself. Raises ModelError for one that can't be read."""
    return tuple(PolicyInstrument.from_json(value) for value in suite.instruments)


def suite_law(suite: SuiteDefinition) -> Mapping[str, tuple[LawRow, ...]]:
    """Return the catalogue's rows of all law that scenarios of a suite may hold, by instrument id."""
    return law_rows(tuple(dict.fromkeys((*BASE_LAW, *(key for one in suite.listed_families for key in one.law)))))


def suite_instruments(suite: SuiteDefinition) -> tuple[PolicyInstrument, ...]:
    """Return every instrument that a scenario of a suite may hold, as it stood first: law, its families', its own.

    Raises ModelError where two families mean different things by one id.
    """
    found = {key: from_law_rows(rows) for key, rows in suite_law(suite).items()}
    for one in suite.listed_families:
        for own in one.own:
            if found.setdefault(own.id, own) != own:
                raise ModelError(
                    f"instrument {own.id!r} of family {one.name!r} is another one elsewhere in the suite: rename it"
                )
    return (*found.values(), *user_instruments(suite))


@cache
def law_rows(ids: tuple[str, ...]) -> Mapping[str, tuple[LawRow, ...]]:
    """Return the catalogue's rows of instruments, by their id and in the order of the ids, each in order of date."""
    return select(law(), ids)


@cache
def law_of(one: Family) -> Mapping[str, PolicyInstrument]:
    """Return the instruments of a family as they stood first, by id: the catalogue's, then its own."""
    found = {key: from_law_rows(rows) for key, rows in law_rows(one.law).items()}
    return found | {own.id: own for own in one.own}


@cache
def _frames(one: Family) -> dict[str, Frame]:
    if one.process is None:
        return {}
    law_there = law_of(one)
    return {
        key: frame_of(law_there[key], proposed=key in one.proposed, span=one.process.span)
        for key in one.process.instruments
    }


def _draw_event(rule: RevisionRule, first: PolicyInstrument, draw: Sequence[float]) -> Event:
    low, high = rule.amount
    amount = float(low + (high - low) * draw[1])
    lead = round(rule.lead_months[0] + (rule.lead_months[1] - rule.lead_months[0]) * float(draw[2]))
    steps = first.revisions[0].steps
    in_force, ends = steps[min(1, len(steps) - 1) if rule.kind == "freeze" else 0][0], ""
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
