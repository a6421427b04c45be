"""What every row of `law.csv` must be: words of closed vocabularies, dates in order, no more sure than its source."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from sim_core.catalogue.law_words import ALL, AS_OF, NONE, listed_words, single_words
from sim_core.errors import ModelError
from sim_core.policy.kinds import TYPES

if TYPE_CHECKING:
    from sim_core.catalogue.law import LawRow

_RELATIVE = re.compile(r"EIF(\+\d+[ym])?")
_NEVER_EMPTY = ("instrument", "row", "name", "subject", "metric", "reference", "source")
_NUMBERS = ("value", "lag", "penalty")
_OF_ONE_ROW = (  # what may differ between the rows of one instrument that bind
    "row", "metric", "applies_on", "value", "status", "announced_on", "adopted_on", "dated_by", "assumed",
    "reference", "confidence", "verification", "source",
)  # fmt: skip
_WITH_WINDOW = ("recycled_content_mandate", "collection_target")
_SUM_GIVEN = ("per_unit_of_shortfall", "per_unit_emitted", "per_cent_of_turnover", "fine_per_item")


@cache
def _words() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    return single_words(), listed_words()


def check_cells(cells: Mapping[str, str | None], place: str) -> None:
    """Raise ModelError for the first cell of a row that can't be, naming place, column, word and a near one."""
    for column, said in _objections(cells):
        raise ModelError(f"{place}, column {column}: {said}")


def check_rows(rows: Sequence["LawRow"], name: str) -> None:
    """Raise ModelError for ids given twice, and for an instrument whose binding rows don't fit together."""
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        if seen.setdefault(row.row, number) != number:
            raise ModelError(f"{name}: row {row.row}, column row: the id is taken; give each row its own")
    grouped: dict[str, list[LawRow]] = {}
    for row in rows:
        if row.binds:
            grouped.setdefault(row.instrument, []).append(row)
    for group in grouped.values():
        for column, row, said in _misfits(sorted(group, key=lambda row: row.applies_on)):
            raise ModelError(f"{name}: row {row.row}, column {column}: {said}")


def _objections(cells: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    if None in cells or None in cells.values():
        yield "(all)", "the row has more or fewer cells than there are columns; quote texts that hold a comma"
        return
    row = {column: str(value) for column, value in cells.items()}
    yield from ((column, "must not be empty") for column in _NEVER_EMPTY if not row[column])
    yield from _vocabulary(row)
    yield from _numbers(row)
    wrong_dates = list(_dates(row))
    yield from wrong_dates
    if not wrong_dates:
        yield from _order(row)
        yield from _status(row)
    yield from _sureness(row)
    yield from _penalty(row)
    yield from _binding(row) if row["binds"] == "yes" else _not_binding(row)


def _vocabulary(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    single, listed = _words()
    for column, known in single.items():
        if row[column] not in known:
            yield column, _unknown(row[column], known)
    for column, known in listed.items():
        words = row[column].split("+")
        unknown = [word for word in words if word not in known or (word == "" and len(words) > 1)]
        if unknown:
            yield column, _unknown(unknown[0], known)
        elif len(set(words)) < len(words) or (len(words) > 1 and {ALL, NONE} & set(words)):
            yield column, f"{row[column]!r} says a word twice, or all or none beside others"


def _unknown(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near and near[0] else ""
    return f"{word!r} is none of its words{meant}; known are {[one for one in known if one]}"


def _numbers(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column in _NUMBERS:
        if not row[column] and column != "value":
            continue
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        least = 0.0 if row["binds"] == "yes" or column != "value" else -math.inf
        if not math.isfinite(value) or value < least or (column == "lag" and not row[column].isdigit()):
            yield column, f"{row[column]!r} is no number that it can be"
    for column in ("flexibility", "benchmarks"):
        try:
            if row[column] and not isinstance(json.loads(row[column]), dict):
                yield column, f"{row[column]!r} is no JSON object"
        except ValueError:
            yield column, f"{row[column]!r} is no JSON"


def _dates(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column in ("announced_on", "adopted_on", "applies_on"):
        text = row[column]
        if (column != "applies_on" and not text) or (column == "applies_on" and _RELATIVE.fullmatch(text)):
            continue
        try:
            iso = date.fromisoformat(text).isoformat() == text
        except ValueError:
            iso = False
        if not iso:
            yield column, f"{text!r} is no day; write YYYY-MM-DD"


def _order(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    announced, adopted, applies = row["announced_on"], row["adopted_on"], row["applies_on"]
    if adopted and not announced:
        yield "announced_on", "is empty, yet it was adopted; what is adopted has been announced"
    if adopted and announced > adopted:
        yield "adopted_on", f"{adopted} lies before the announcement, {announced}"
    if adopted and not _RELATIVE.fullmatch(applies) and adopted > applies:
        yield "applies_on", f"{applies} lies before the adoption, {adopted}"
    if (announced or adopted) and not row["dated_by"]:
        yield "dated_by", "is empty; name the act, or say how the day was assumed"


def _status(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    status, adopted, applies = row["status"], row["adopted_on"], row["applies_on"]
    record = row["basis"] == "record"
    if (status == "history") != record or (status == "counterfactual") != (row["basis"] == "counterfactual"):
        yield "status", f"{status!r} doesn't go with basis {row['basis']!r}"
    if status == "proposed" and (adopted or not row["announced_on"]):
        yield "status", "'proposed' is announced and not adopted; look at announced_on and adopted_on"
    if status in ("adopted", "in_force", "repealed", "superseded") and not adopted:
        yield "status", f"{status!r} needs the day of adoption"
    if status == "in_force" and applies > AS_OF:
        yield "status", f"'in_force' speaks of {AS_OF}, but it applies on {applies}: say 'adopted'"
    if status == "adopted" and applies <= AS_OF:
        yield "status", f"'adopted' speaks of {AS_OF}, but it has applied since {applies}: say 'in_force'"


def _sureness(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if row["verification"] == "unverified" and row["confidence"] != "low":
        yield "confidence", f"{row['confidence']!r}, but the row is unverified: 'low' at most"
    for column in row["assumed"].split("+"):
        if column and row.get(column) == "":
            yield "assumed", f"names {column}, which is empty: nothing is assumed there"


def _penalty(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if row["type"] in _WITH_WINDOW and not (row["window"] and row["penalty_form"]):
        yield "window" if not row["window"] else "penalty_form", "is empty; a mandate of this type states it"
    if bool(row["penalty"]) != bool(row["penalty_unit"]):
        yield "penalty_unit", "a penalty has a value and a unit, or neither"
    if bool(row["penalty"]) != (row["penalty_form"] in _SUM_GIVEN):
        yield "penalty_form", f"{row['penalty_form']!r} goes {'with' if not row['penalty'] else 'without'} a sum"


def _binding(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    kind = TYPES.get(row["type"])
    if row["reason"]:
        yield "reason", "is given, yet the row binds"
    if kind is None:
        yield "type", f"{row['type']!r} is no type that the model has: set binds to no, with a reason"
        return
    if row["process"] not in kind.processes:
        yield "process", _unknown(row["process"], kind.processes)
    if _RELATIVE.fullmatch(row["applies_on"]):
        yield "applies_on", "is no day, yet the row binds"
    if not row["adopted_on"]:
        yield "adopted_on", "is empty, yet the row binds; say no, not_adopted"
    if bool(row["window"]) != (kind.acts == "duty"):
        yield "window", "is a duty's: every duty has one, nothing else has"
    if NONE in (row["archetype"], row["material"]):
        yield "archetype" if row["archetype"] == NONE else "material", "'none' can't bind"


def _not_binding(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not row["reason"]:
        yield "reason", "is empty; say why the model can't express the row"


def _misfits(group: Sequence["LawRow"]) -> Iterator[tuple[str, "LawRow", str]]:
    """Yield column, row and what is wrong with the rows of one instrument, in order of date."""
    first = group[0]
    for row in group[1:]:
        for column in first.__dataclass_fields__:
            if column not in _OF_ONE_ROW and getattr(row, column) != getattr(first, column):
                yield column, row, f"{getattr(row, column)!r}, where {first.row} of the same instrument says otherwise"
    for earlier, later in pairwise(group):
        if later.applies_on == earlier.applies_on:
            yield "applies_on", later, f"the instrument has a step on that day already, {earlier.row}"
        if later.announced_on < earlier.announced_on or later.adopted_on < earlier.adopted_on:
            yield "announced_on", later, f"lies before that of the earlier step {earlier.row}"
