"""The catalogue of law for people and machines: lists of instruments, and one instrument explained.

Two marks stand for doubt wherever a number is shown: "?" where no source was read, "*" where a cell is an assumption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from sim_core.catalogue import ARCHETYPES
from sim_core.catalogue.law import LawQuery, LawRow, by_instrument, find, law, weakest
from sim_core.catalogue.law_words import (
    ACTS,
    ASKS,
    CONFIDENCE,
    JURISDICTIONS,
    MORE_TYPES,
    PENALTY_FORMS,
    REASONS,
    STATUSES,
    VERIFICATION,
    WINDOWS,
)
from sim_core.errors import InputError, ModelError
from sim_core.generate.families import FAMILIES
from sim_core.policy.kinds import TYPES
from sim_core.units import day

_OPTIONS = {"type": "--type", "jurisdiction": "--where", "binds": "--binds or --no-binds"}  # the others as the field
_WORDS: Mapping[str, Sequence[str]] = {
    "type": (*TYPES, *MORE_TYPES),
    "jurisdiction": tuple(JURISDICTIONS),
    "archetype": ARCHETYPES,
    "confidence": tuple(CONFIDENCE),
    "verification": tuple(VERIFICATION),
    "status": tuple(STATUSES),
}
MARKS = "? no source was read   * an assumption of this project is part of it"


def checked(query: LawQuery) -> LawQuery:
    """Return the query. Raises InputError for a word that no row can have, with a near one, and for what is no day."""
    for field, known in _WORDS.items():
        word = getattr(query, field)
        if word and word not in known:
            raise InputError(f"{_option(field)}: unknown {word!r}{_near(word, known)}; known are {list(known)}")
    for field in ("since", "until"):
        if getattr(query, field):
            try:
                day(getattr(query, field))
            except ModelError as error:
                raise InputError(f"{_option(field)}: {error.message}") from None
    return query


def listing(query: LawQuery) -> list[dict[str, Any]]:
    """Return one entry for each instrument that has rows which answer the query, with those rows as its steps."""
    return [_entry(rows) for rows in by_instrument(find(law(), query)).values()]


def relaxed(query: LawQuery) -> str:
    """Say that nothing answers the query, and how much would without each of its parts."""
    given = [name for name in LawQuery.__dataclass_fields__ if getattr(query, name) not in ("", None)]
    empty = LawQuery()
    without = {name: len(listing(replace(query, **{name: getattr(empty, name)}))) for name in given}
    helps = [f"{count} without {_option(name)}" for name, count in without.items() if count]
    hint = ", ".join(helps) if helps else "leave out two of the options at once"
    return f"no instrument of the catalogue answers all {len(given)} options: {hint}"


def explain(name: str) -> dict[str, Any]:
    """Return all that the catalogue says of an instrument, named by its id or that of a row, in any case.

    Raises InputError naming the nearest id for an unknown one.
    """
    known = by_instrument(law())
    ids = {key.casefold(): key for key in known}
    ids |= {row.row.casefold(): key for key, rows in known.items() for row in rows if row.row.casefold() not in ids}
    if name.casefold() not in ids:
        near = _near(name.upper(), [*known, *(row.row for row in law())])
        raise InputError(f"the catalogue has no instrument {name!r}{near}; `circularbench catalogue` lists them")
    rows = known[ids[name.casefold()]]
    first = rows[0]
    columns = (
        "subject", "metric", "archetype", "material", "process", "shape", "announced_on", "adopted_on", "dated_by",
        "window", "level", "delivered", "against", "lag", "measure", "sense", "eligible_origin", "penalty_form",
        "penalty", "penalty_unit", "flexibility", "grandfather", "benchmarks", "basis", "reason",
    )  # fmt: skip
    return {
        **_entry(rows),
        **{column: getattr(first, column) for column in columns},
        "acts": TYPES[first.type].acts if first.type in TYPES else "",
        "law_in": [family.name for family in FAMILIES if first.instrument in family.law],
        "families": _families(first.instrument),
        "rows": [_row(row) for row in rows],
    }


def explanation(found: Mapping[str, Any]) -> str:
    """Return `explain`'s answer as text."""
    rows = found["rows"]
    lines = [
        f"{found['id']}: {found['name']}",
        *_labelled("asks", [f"{found['type']}: {ASKS[found['type']]}", f"measured as: {found['metric']}"]),
        *_labelled("of whom", _scope(found)),
        *_labelled("counts", _counts(found)),
        *_labelled("dates", _acts(rows)),
        *_labelled("steps", [_step(row, found["unit"]) for row in rows]),
        *_labelled("status", [f"{word}: {STATUSES[word]}" for word in found["status"]]),
        *_labelled("penalty", _penalty(found)),
        *_labelled("model", _model(found)),
        *_labelled("revised by", [", ".join(found["families"]) or "no family"]),
        *_labelled(
            "how sure", [f"{word}: {CONFIDENCE[word]}" for word in dict.fromkeys(r["confidence"] for r in rows)]
        ),
        *_labelled("", [f"{word}: {VERIFICATION[word]}" for word in dict.fromkeys(r["verification"] for r in rows)]),
        *_labelled("reference", list(dict.fromkeys(row["reference"] for row in rows))),
        *_labelled("source", list(dict.fromkeys(row["source"] for row in rows))),
        *_labelled("assumed", [", ".join(found["assumed"]) or "nothing"]),
        f"  {MARKS}" if found["mark"] else "",
    ]
    return "\n".join(line for line in lines if line)


def listing_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return a list of instruments as a table."""
    table = Table(title=f"{len(entries)} instruments", box=box.SIMPLE_HEAD, title_justify="left", caption=MARKS)
    for heading in ("id", "name", "what", "where", "when", "value", "binds", "how sure"):
        table.add_column(heading, overflow="fold")
    for one in entries:
        steps = one["steps"]
        when = _span([step[0] for step in steps])
        value = f"{_span([f'{step[1]:,g}' for step in steps])} {one['unit']}"
        cells = (one["id"], one["name"], one["type"], one["jurisdiction"], when, value)
        table.add_row(*(Text(cell) for cell in cells), "yes" if one["binds"] else "no", one["confidence"] + one["mark"])
    return table


def _entry(rows: Sequence[LawRow]) -> dict[str, Any]:
    first = rows[0]
    assumed = list(dict.fromkeys(column for row in rows for column in row.assumed))
    verification = weakest(rows, "verification", tuple(VERIFICATION))
    return {
        "id": first.instrument,
        "name": first.name,
        "jurisdiction": first.jurisdiction,
        "type": first.type,
        "unit": first.unit,
        "steps": [[row.applies_on, row.value] for row in rows],
        "status": list(dict.fromkeys(row.status for row in rows)),
        "binds": any(row.binds for row in rows),
        "confidence": weakest(rows, "confidence", tuple(CONFIDENCE)),
        "verification": verification,
        "assumed": assumed,
        "mark": _mark(verification, assumed),
    }


def _row(row: LawRow) -> dict[str, Any]:
    columns = (
        "row", "applies_on", "value", "status", "announced_on", "adopted_on", "dated_by", "binds", "reason",
        "reference", "confidence", "verification", "source",
    )  # fmt: skip
    return {column: getattr(row, column) for column in columns} | {"assumed": list(row.assumed)}


def _mark(verification: str, assumed: Sequence[str]) -> str:
    return ("?" if verification == "unverified" else "") + ("*" if assumed else "")


def _starred(text: str, column: str, assumed: Sequence[str]) -> str:
    return text + ("*" if column in assumed else "")


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    return [f"  {label if number == 0 else '':<11}{text}" for number, text in enumerate(texts)]


def _scope(found: Mapping[str, Any]) -> list[str]:
    where = _starred(
        f"{found['jurisdiction']} ({JURISDICTIONS[found['jurisdiction']]})", "jurisdiction", found["assumed"]
    )
    lines = [f"{where}: {found['subject']}"]
    if found["binds"]:
        parts = [
            f"{name} {_starred(found[name], name, found['assumed'])}" for name in ("archetype", "material", "process")
        ]
        lines.append(f"in the model: {'; '.join(parts)}")
    return lines


def _counts(found: Mapping[str, Any]) -> list[str]:
    if not found["window"] or not found["delivered"]:
        return []
    assumed = found["assumed"]
    names = [_starred(found[name] or "the default", name, assumed) for name in ("delivered", "against", "measure")]
    before = f", mean of the {found['lag']} windows before" if found["lag"] else ""
    lines = [
        f"{found['sense'] or 'at_least'}: {names[0]} of {names[1]}{before}, by {names[2]}",
        f"over {_starred(found['window'], 'window', assumed)} ({WINDOWS[found['window']]}), "
        f"level {_starred(found['level'], 'level', assumed)}",
    ]
    if found["eligible_origin"]:
        lines.append(
            f"recycled from {_starred(found['eligible_origin'].replace('+', ', '), 'eligible_origin', assumed)}"
        )
    return lines


def _acts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    acts: dict[str, None] = {}
    for row in rows:
        days = [
            f"{word} {_starred(row[column], column, row['assumed']) if row[column] else 'not yet'}"
            for word, column in (("announced", "announced_on"), ("adopted", "adopted_on"))
        ]
        acts[f"{', '.join(days)} ({row['dated_by']})" if row["announced_on"] else "none: no law"] = None
    return list(acts)


def _step(row: Mapping[str, Any], unit: str) -> str:
    doubt = "?" if row["verification"] == "unverified" else ""
    kept = "" if row["binds"] else f", not in the model: {row['reason']}"
    return f"{row['applies_on']}  {row['value']:,g} {unit}{doubt}  {row['status']}{kept}"


def _penalty(found: Mapping[str, Any]) -> list[str]:
    if not found["penalty_form"]:
        return []
    said = f"{found['penalty_form']}: {PENALTY_FORMS[found['penalty_form']]}"
    if found["penalty"] is None:
        return [said]
    return [_starred(f"{found['penalty']:g} {found['penalty_unit']}", "penalty", found["assumed"]), said]


def _model(found: Mapping[str, Any]) -> list[str]:
    if not found["binds"]:
        return [f"not expressed: {found['reason']}: {REASONS[found['reason']]}"]
    families = found["law_in"]
    applies = f"law in {_span(families)}" if families else "law in no shipped family: bring it as your own"
    if any(found["id"] in family.proposed for family in FAMILIES if family.name in families):
        applies = f"{applies}, once a scenario enacts it"
    return [f"{found['acts']}: {ACTS[found['acts']]}", applies]


def _families(instrument: str) -> list[str]:
    """Return the families that revise an instrument, with how; a process revises by its hazards."""
    found: list[str] = []
    for family in FAMILIES:
        kinds = dict.fromkeys(rule.kind for rule in family.rules if instrument in rule.targets)
        if family.process is not None and instrument in family.process.instruments:
            kinds["hazards"] = None
        if kinds:
            found.append(f"{family.name} ({', '.join(kinds)})")
    return found


def _span(texts: Sequence[str]) -> str:
    """Join a few texts; of many, show the first and the last."""
    if len(texts) <= 3:
        return ", ".join(texts)
    return f"{texts[0]} ... {texts[-1]} ({len(texts)})"


def _option(field: str) -> str:
    return _OPTIONS.get(field, f"--{field}")


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
