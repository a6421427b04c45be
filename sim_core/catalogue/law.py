"""Dated law as package data: `law.csv` holds one row per value of an instrument, with scope, dates and provenance.

What an instrument is (type, scope, window, penalty, flexibility) stands in every one of its rows; only value, dates and
provenance differ. Empty cells take the type's default. The closed vocabularies are those of
`sim_core.catalogue.law_words`, the rules those of `sim_core.catalogue.law_checks`; docs/catalogue.md explains both.
"""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files

from sim_core.catalogue import archetype
from sim_core.catalogue.law_checks import check_cells, check_rows
from sim_core.errors import ModelError
from sim_core.units import MONTHS_PER_YEAR

FILE = "law.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One dated value of an instrument. Dates are ISO texts; unit says what the value is.

    archetype, product, material: names joined by "+", "all" or "none". subject, metric: what the source says it is
    about and measures. shape: as the law is written. applies_on: a day, or "EIF+6y", six years from entry into force.
    announced_on, adopted_on: empty where nobody has; dated_by: what says so. window, level, delivered, against (the
    register of the basis), lag, measure, sense, eligible_origin ("+"-joined): of a duty. penalty, penalty_unit: empty
    where the law names none and the suite declares a price. flexibility, benchmarks: JSON. grandfather: for stock and
    goods in transit. basis: a key of BASES. binds: whether the model can express the row; reason: a key of REASONS
    where it can't. assumed: the columns whose cells are assumptions of this project.
    """

    instrument: str
    row: str
    name: str
    jurisdiction: str
    type: str
    archetype: str
    product: str
    material: str
    process: str
    subject: str
    metric: str
    unit: str
    shape: str
    applies_on: str
    value: float
    status: str
    announced_on: str
    adopted_on: str
    dated_by: str
    window: str
    level: str
    delivered: str
    against: str
    lag: int | None
    measure: str
    sense: str
    eligible_origin: str
    penalty_form: str
    penalty: float | None
    penalty_unit: str
    flexibility: str
    grandfather: str
    benchmarks: str
    basis: str
    binds: bool
    reason: str
    assumed: tuple[str, ...]
    reference: str
    confidence: str
    verification: str
    source: str

    @property
    def archetypes(self) -> tuple[str, ...]:
        """Names of the archetypes in scope, which may be "all" or "none" alone."""
        return tuple(self.archetype.split("+"))

    def concerns(self, name: str) -> bool:
        """Return whether an archetype is in scope and holds a material in scope."""
        if not {name, "all"} & set(self.archetypes):
            return False
        return self.material == "all" or bool(set(archetype(name).materials) & set(self.material.split("+")))


COLUMNS = tuple(field.name for field in fields(LawRow))


@cache
def law() -> tuple[LawRow, ...]:
    """Return every row of the catalogue, in its order. Raises ModelError naming row and column of what is wrong."""
    return read_law(files("sim_core.catalogue").joinpath(FILE).read_text(encoding="utf-8"))


def read_law(text: str, name: str = FILE) -> tuple[LawRow, ...]:
    """Return the rows of a table of law. Raises ModelError naming file, line, row and column of the first fault."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        odd = sorted(set(reader.fieldnames or ()) ^ set(COLUMNS))
        raise ModelError(
            f"{name}: the columns must be {list(COLUMNS)}; missing or unknown: {odd or 'none, mend order'}"
        )
    rows: list[LawRow] = []
    try:
        for cells in reader:
            place = f"{name}:{reader.line_num}: row {cells['row'] or '(without id)'}"
            check_cells(cells, place)
            rows.append(_row(cells))
    except csv.Error as error:
        raise ModelError(f"{name}:{reader.line_num}: {error}") from None
    check_rows(rows, name)
    return tuple(rows)


def by_instrument(rows: Iterable[LawRow]) -> dict[str, tuple[LawRow, ...]]:
    """Return rows by the id of their instrument, in the order of the first row of each; the rows of one by date."""
    found: dict[str, list[LawRow]] = {}
    for row in rows:
        found.setdefault(row.instrument, []).append(row)
    return {key: tuple(sorted(rows, key=lambda row: _when(row.applies_on))) for key, rows in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LawQuery:
    """What to look for; an empty field asks for nothing. A row is found when it answers every field.

    archetype: rows that concern it. since, until: ISO days that the row applies on or between; a date
    relative to entry into force lies in no range. text: in any case, anywhere in ids, name, subject, metric, reference.
    """

    type: str = ""
    jurisdiction: str = ""
    archetype: str = ""
    confidence: str = ""
    verification: str = ""
    status: str = ""
    binds: bool | None = None
    since: str = ""
    until: str = ""
    text: str = ""

    def finds(self, row: LawRow) -> bool:
        """Return whether a row answers the query."""
        exact = ("type", "jurisdiction", "confidence", "verification", "status")
        return (
            all(getattr(self, name) in ("", getattr(row, name)) for name in exact)
            and self.binds in (None, row.binds)
            and (not self.archetype or row.concerns(self.archetype))
            and self._dated(row.applies_on)
            and self.text.casefold() in _searched(row)
        )

    def _dated(self, applies_on: str) -> bool:
        if not self.since and not self.until:
            return True
        return not is_relative(applies_on) and self.since <= applies_on <= (self.until or "9999-12-31")


def find(rows: Iterable[LawRow], query: LawQuery) -> tuple[LawRow, ...]:
    """Return the rows that answer a query, in their order."""
    return tuple(row for row in rows if query.finds(row))


def is_relative(applies_on: str) -> bool:
    """Return whether a date counts from entry into force."""
    return applies_on.startswith("EIF")


def select(rows: Iterable[LawRow], instruments: Collection[str]) -> dict[str, tuple[LawRow, ...]]:
    """Return the binding rows of the named instruments, in the order of the names.

    Raises ModelError for a name that the catalogue lacks, or that none of its rows can bind.
    """
    known = by_instrument(row for row in rows if row.binds)
    missing = [name for name in instruments if name not in known]
    if missing:
        raise ModelError(f"the catalogue has no instrument that binds called {missing}; see circularbench catalogue")
    return {name: known[name] for name in instruments}


def weakest(rows: Sequence[LawRow], column: str, order: Sequence[str]) -> str:
    """Return the least sure word of a column of rows; order: the column's words, the surest first."""
    return max((getattr(row, column) for row in rows), key=list(order).index)


def _when(applies_on: str) -> tuple[int, str]:
    """Return what dates sort by: days first, then dates relative to entry into force by their distance."""
    if not is_relative(applies_on):
        return 0, applies_on
    distance = applies_on.removeprefix("EIF").strip("+ym") or "0"
    return int(distance) * (MONTHS_PER_YEAR if applies_on.endswith("y") else 1) + 1, ""


def _searched(row: LawRow) -> str:
    return " ".join((row.instrument, row.row, row.name, row.subject, row.metric, row.reference)).casefold()


def _row(cells: dict[str, str]) -> LawRow:
    typed = {
        "value": float(cells["value"]),
        "lag": int(cells["lag"]) if cells["lag"] else None,
        "penalty": float(cells["penalty"]) if cells["penalty"] else None,
        "binds": cells["binds"] == "yes",
        "assumed": tuple(cells["assumed"].split("+")) if cells["assumed"] else (),
    }
    return LawRow(**{**cells, **typed})
