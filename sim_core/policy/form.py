"""Reading the written form of an instrument: JSON, or the same in YAML. docs/policies.md shows one of every kind."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from sim_core.errors import ModelError
from sim_core.policy import shapes
from sim_core.policy.arithmetic import Steps, rate
from sim_core.policy.form_duty import read_duty
from sim_core.policy.form_revisions import with_revisions
from sim_core.policy.instrument import (
    Benchmark,
    PolicyInstrument,
    Revision,
    Scope,
)
from sim_core.policy.kinds import AT_MOST, TYPES, InstrumentType
from sim_core.policy.reading import Reader, one_of

_EVER = 1  # the ordinal of a day before any history: known and law since ever
_AnyInstrument = TypeVar("_AnyInstrument", bound=PolicyInstrument)


def from_json(cls: type[_AnyInstrument], value: Mapping[str, Any], entry: int | None) -> _AnyInstrument:
    """Build an instrument. Raises ModelError naming the instrument, the entry and the remedy."""
    name = value.get("id") if isinstance(value, Mapping) else None
    form = Reader(value, f"instrument {name!r}" if name else "instrument")
    kind_name = form.choice("type", tuple(TYPES))
    kind = TYPES[kind_name]
    entry = _entry(form, entry)
    scope = _scope(form.inner("scope") if form.has("scope") else Reader({}, form.place), kind)
    schedule = form.inner("schedule")
    sense = _sense(form, kind, schedule)
    plain = cls(id=form.text("id"), type=kind_name, revisions=(), scope=scope, sense=sense)
    original, stages = _original(form, schedule, plain, entry)
    duty = read_duty(form, plain) if plain.acts == "duty" else {}
    built = cls(
        id=plain.id,
        type=kind_name,
        name=form.text("name", plain.id),
        scope=stages[0],
        wider=stages[1:],
        unit=_unit(form, kind),
        sense=sense,
        revisions=(original,),
        grandfather=form.choice("grandfather", kind.grandfather, kind.grandfather[0]),
        benchmarks=_benchmarks(form, kind_name),
        status=form.choice("status", ("law", "counterfactual", "user"), "user"),
        provenance=dict(form.take("provenance", {})),
        **duty,
    )
    revisions = form.take("revisions", ())
    form.close()
    _refuse_high_values(built, original)
    return with_revisions(built, revisions, entry)


def _entry(form: Reader, entry: int | None) -> int | None:
    said = form.take("entry_into_force", "")
    if entry is not None or not said:
        return entry
    return shapes.read_day(said, f"{form.place}.entry_into_force", None)


def _unit(form: Reader, kind: InstrumentType) -> str:
    unit = form.text("unit", kind.units[0])
    prices = [known for known in kind.units if known.startswith("EUR/")]
    if unit in kind.units or not prices:
        return one_of(unit, kind.units, f"{form.place}.unit")
    per = rate(1.0, unit, f"{form.place}.unit").per
    if not any(per == rate(1.0, known, "").per for known in prices):
        raise ModelError(f"{form.place}.unit: {unit!r} is a price per {per}; this type is priced in {list(kind.units)}")
    return unit


def _scope(scope: Reader, kind: InstrumentType) -> Scope:
    found = Scope(**{field: scope.names(field) for field in Scope.__slots__})
    scope.close()
    if len(found.process) > 1:
        raise ModelError(f"{scope.place}.process: name one process of {list(kind.processes)}")
    for word in found.process:
        one_of(word, kind.processes, f"{scope.place}.process")
    return found


def _sense(form: Reader, kind: InstrumentType, schedule: Reader) -> str:
    if not schedule.has("shape") or schedule.take("shape") != "ceiling":
        return form.choice("sense", kind.senses, kind.senses[0])
    if AT_MOST not in kind.senses:
        raise ModelError(f"{schedule.place}.shape: a ceiling is a largest value; this type knows {list(kind.senses)}")
    return form.choice("sense", (AT_MOST,), AT_MOST)


def _original(
    form: Reader, schedule: Reader, plain: PolicyInstrument, entry: int | None
) -> tuple[Revision, tuple[Scope, ...]]:
    """Return the first revision, and the scope of each of its stages."""
    if schedule.has("shape") and schedule.take("shape") == "staircase_of_scope":
        staircases, stages = _stages(schedule, plain, entry)
    else:
        staircases, stages = (shapes.staircase(schedule, entry),), (plain.scope,)
    first = min((steps[0][0] for steps in staircases if steps), default=_EVER)
    ever = _EVER if entry is None else min(entry, first)
    announced = shapes.read_day(form.take("announced", date.fromordinal(ever)), f"{form.place}.announced", entry)
    adopted = shapes.read_day(form.take("adopted", date.fromordinal(announced)), f"{form.place}.adopted", entry)
    staircases = tuple(shapes.out_of_force(steps, plain.neutral) for steps in staircases)
    if any(steps and steps[0][0] < adopted for steps in staircases):
        raise ModelError(f"{form.place}.adopted: it is in force before it is adopted, on {date.fromordinal(adopted)}")
    if announced > adopted:
        raise ModelError(
            f"{form.place}.announced: it is adopted before it is announced, on {date.fromordinal(announced)}"
        )
    return Revision(announced=announced, adopted=adopted, steps=staircases[0], wider=staircases[1:]), stages


def _stages(
    schedule: Reader, plain: PolicyInstrument, entry: int | None
) -> tuple[tuple[Steps, ...], tuple[Scope, ...]]:
    value = schedule.number("value", default=1.0)
    listed = schedule.take("stages")
    schedule.take("shape")
    schedule.close()
    if not isinstance(listed, list | tuple) or not listed:
        raise ModelError(f"{schedule.place}.stages: list stages, each with its scope and from or steps")
    staircases: list[Steps] = []
    scopes: list[Scope] = []
    for number, one in enumerate(listed):
        stage = Reader(one, f"{schedule.place}.stages[{number}]")
        own = _scope(stage.inner("scope"), plain.kind)
        scopes.append(Scope(**{name: getattr(own, name) or getattr(plain.scope, name) for name in Scope.__slots__}))
        if stage.has("steps"):
            staircases.append(shapes.read_steps(stage.take("steps"), f"{stage.place}.steps", entry))
        else:
            first = shapes.read_day(stage.take("from", "EIF"), f"{stage.place}.from", entry)
            staircases.append(((first, stage.number("value", default=value)),))
        stage.close()
    return tuple(staircases), tuple(scopes)


def _benchmarks(form: Reader, kind: str) -> tuple[Benchmark, ...]:
    said = form.take("benchmarks", {}) if kind == "cbam" else {}
    found: list[Benchmark] = []
    for material, one in dict(said).items():
        entry = Reader(one, f"{form.place}.benchmarks.{material}")
        embedded = entry.number("embedded") if entry.has("embedded") else None
        entry.take("embedded", None)
        found.append(Benchmark(material=material, benchmark=entry.number("benchmark", default=0.0), embedded=embedded))
        entry.close()
    return tuple(found)


def _refuse_high_values(built: PolicyInstrument, original: Revision) -> None:
    ceiling = built.kind.ceiling
    for steps in (original.steps, *original.wider):
        high = [value for _, value in steps if math.isfinite(value) and value > ceiling]
        if high:
            raise ModelError(f"instrument {built.id!r}.schedule: {high[0]:g} is above {ceiling:g}, the most it can be")
