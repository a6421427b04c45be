"""Instruments from the catalogue's rows, and the revisions that a legislator, or a scenario's draw, adds to them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar

from sim_core.catalogue.law import LawRow
from sim_core.policy.arithmetic import Steps
from sim_core.policy.instrument import PolicyInstrument, Revision
from sim_core.policy.revisions import revise
from sim_core.units import day

_NEVER = 1  # the ordinal of a day before any history
_OF_A_DUTY = ("level", "delivered", "measure")
_WINDOWS = {"april_year": {"years": 1, "from": "2000-04"}}  # the others are words of the written form
_AnyInstrument = TypeVar("_AnyInstrument", bound=PolicyInstrument)


def from_law_rows(rows: Sequence[LawRow]) -> PolicyInstrument:
    """Return the instrument that a catalogue's rows describe, in any order. Raises ModelError for what can't be.

    Rows that were announced or adopted later than others are a revision of what those say from their first day on.
    """
    return _from_rows(tuple(sorted(rows, key=lambda row: (row.announced_on, row.adopted_on, row.applies_on))))


def not_yet_law(instrument: PolicyInstrument) -> PolicyInstrument:
    """Return the instrument as if nobody had ever announced it: scope and type without any step."""
    nothing = Revision(announced=_NEVER, adopted=_NEVER, steps=(), wider=((),) * len(instrument.wider))
    return replace(instrument, revisions=(nothing,))


def revised(
    instrument: _AnyInstrument,
    kind: str,
    amount: float,
    announced: int,
    adopted: int,
    *,
    ends: int | None = None,
    base: PolicyInstrument | None = None,
) -> _AnyInstrument:
    """Return the instrument with one more revision, made from its newest one (for "enact": from `base`'s first one).

    Dates that lie before those of the newest revision are moved to them. Raises ModelError for an unknown kind.
    """
    newest = instrument.revisions[-1]
    announced = max(announced, newest.announced)
    adopted = max(adopted, announced, newest.adopted)
    source = newest if base is None else base.revisions[0]
    staircases = tuple(
        revise(steps, kind, amount, adopted, ends, neutral=instrument.neutral, ceiling=instrument.kind.ceiling)
        for steps in (source.steps, *source.wider)
    )
    return append(instrument, announced, adopted, staircases)


def append(instrument: _AnyInstrument, announced: int, adopted: int, staircases: tuple[Steps, ...]) -> _AnyInstrument:
    """Return the instrument with one more revision: a staircase for each stage of its scope."""
    revision = Revision(announced=announced, adopted=adopted, steps=staircases[0], wider=staircases[1:])
    return replace(instrument, revisions=(*instrument.revisions, revision))


@lru_cache(maxsize=512)
def _from_rows(rows: tuple[LawRow, ...]) -> PolicyInstrument:
    first = rows[0]
    acts = [tuple(found) for _, found in groupby(rows, key=lambda row: (row.announced_on, row.adopted_on))]
    form: dict[str, Any] = {
        "id": first.instrument,
        "name": first.name,
        "type": first.type,
        "scope": {
            "archetype": _names(first.archetype),
            "product": _names(first.product),
            "material": _names(first.material),
            "process": [first.process],
            "jurisdiction": [first.jurisdiction],
        },
        "unit": first.unit,
        "schedule": {"shape": "staircase", "steps": [[row.applies_on, row.value] for row in acts[0]]},
        "announced": first.announced_on,
        "adopted": first.adopted_on,
        "status": first.basis,
        "provenance": {name: getattr(first, name) for name in ("reference", "confidence", "verification", "source")},
    }
    form |= {name: getattr(first, name) for name in ("sense", "grandfather") if getattr(first, name)}
    form |= {name: getattr(first, name) for name in _OF_A_DUTY if getattr(first, name)}
    form |= {"basis": first.against} if first.against else {}
    form |= {"window": _WINDOWS.get(first.window, first.window)} if first.window else {}
    form |= {"lag": first.lag} if first.lag else {}
    form |= {"eligible_origins": _names(first.eligible_origin)} if first.eligible_origin else {}
    form |= {"penalty": {"value": first.penalty, "unit": first.penalty_unit}} if first.penalty else {}
    form |= {"benchmarks": json.loads(first.benchmarks)} if first.benchmarks else {}
    form |= {"flexibility": json.loads(first.flexibility)} if first.flexibility else {}
    found = PolicyInstrument.from_json(form)
    for act in acts[1:]:
        steps = tuple((day(row.applies_on), row.value) for row in act)
        before = tuple(step for step in found.revisions[-1].steps if step[0] < steps[0][0])
        found = append(found, day(act[0].announced_on), day(act[0].adopted_on), ((*before, *steps),))
    return found


def _names(text: str) -> list[str]:
    return [] if text == "all" else text.split("+")
