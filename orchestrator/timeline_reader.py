"""A user's own law as a file: YAML or JSON in the form of sim_core.generate.timeline, or a CSV table of dated values.

The table's columns are those of the catalogue (docs/catalogue.md). A row is one value of an instrument: `instrument`,
`type`, `applies_on` and `value` must stand in it, all others have defaults. Rows with a later `announced_on` than those
before them are a revision, so a table tells a history. The family is called like the file.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

from orchestrator.faults import Fault, Place, near_miss, shown, spec_error
from orchestrator.yaml_reader import parse, read_text
from sim_core.catalogue.law import LawRow
from sim_core.errors import ModelError, SpecError
from sim_core.generate.timeline import family_of
from sim_core.policy.from_catalogue import from_law_rows
from sim_core.policy.kinds import TYPES

TIMELINE_SUFFIXES = (".yaml", ".yml", ".json", ".csv")
_NEEDED = ("instrument", "type", "applies_on", "value")
_DAYS = ("applies_on", "announced_on", "adopted_on")
_NUMBERS = ("value", "lag", "penalty")
_COLUMNS = tuple(
    field.name
    for field in fields(LawRow)
    if field.name
    not in ("row", "subject", "metric", "shape", "status", "dated_by", "basis", "binds", "reason", "assumed")
)


def read_timeline(path: Path) -> dict[str, Any]:
    """Return the timeline that a file holds. Raises SpecError with all its faults, each with a place and a remedy."""
    text, name = read_text(path), str(path)
    if path.suffix not in TIMELINE_SUFFIXES:
        message = (
            f"a timeline is a file in {', '.join(TIMELINE_SUFFIXES)}, not {path.suffix or 'one without an ending'}"
        )
        raise spec_error(name, [Fault(place=Place(1, 1), message=message)])
    form = _from_table(text, path) if path.suffix == ".csv" else _from_tree(text, name)
    try:
        family_of(form)
    except ModelError as error:
        raise spec_error(name, [Fault(place=Place(1, 1), message=error.message)]) from None
    return form


def _from_tree(text: str, name: str) -> dict[str, Any]:
    document = parse(text, name)  # JSON is YAML
    if document.faults:
        raise spec_error(name, document.faults)
    if not isinstance(document.value, Mapping):
        raise spec_error(name, [Fault(place=Place(1, 1), message="a timeline is a mapping with name and instruments")])
    return json.loads(json.dumps(document.value, default=str))  # dates as texts


def _from_table(text: str, path: Path) -> dict[str, Any]:
    """Return the timeline of a CSV table."""
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    faults: list[Fault] = []
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] = []
    try:
        for cells in reader:
            if not header:
                header = [cell.strip() for cell in cells]
                faults += _columns(header)
            elif any(cell.strip() for cell in cells):
                rows.append((reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False))))
    except csv.Error as error:
        faults.append(Fault(place=Place(reader.line_num, 1), message=f"not a valid table: {error}"))
    if not faults:
        faults = [fault for line, row in rows for fault in _cells(line, row, header)]
    if not faults and not rows:
        faults = [Fault(place=Place(1, 1), message="the table holds no law; write a row for each value")]
    if faults:
        raise spec_error(str(path), faults)
    found: dict[str, list[tuple[int, LawRow]]] = {}
    for line, row in rows:
        found.setdefault(row["instrument"], []).append((line, _law_row(row)))
    instruments = [_instrument(listed, path) for listed in found.values()]
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem) or "timeline"
    return {"name": name, "instruments": instruments}


def _columns(header: Sequence[str]) -> list[Fault]:
    faults = [
        Fault(
            place=Place(1, header.index(name) + 1),
            message="unknown column",
            got=shown(name),
            hint=near_miss(name, _COLUMNS),
        )
        for name in header
        if name not in _COLUMNS
    ]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        faults.append(Fault(place=Place(1, 1), message=f"the columns {missing} are missing"))
    if len(set(header)) < len(header):
        faults.append(Fault(place=Place(1, 1), message="a column stands there twice; remove one"))
    return faults


def _cells(line: int, row: Mapping[str, str], header: Sequence[str]) -> list[Fault]:
    """Return what is wrong with the cells of a row; columns count cells."""

    def fault(name: str, message: str, hint: str = "") -> Fault:
        got = shown(row.get(name, ""))
        return Fault(place=Place(line, header.index(name) + 1), path=(name,), message=message, got=got, hint=hint)

    faults = [fault(name, "the cell is empty") for name in _NEEDED if not row.get(name)]
    if row.get("type") and row["type"] not in TYPES:
        faults.append(fault("type", "unknown type of law", near_miss(row["type"], TYPES)))
    faults += [
        fault(name, "must be a day", "write YYYY-MM-DD") for name in _DAYS if row.get(name) and not _is_day(row[name])
    ]
    faults += [fault(name, "must be a number") for name in _NUMBERS if row.get(name) and not _is_number(row[name])]
    return faults


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", text, re.ASCII) is not None


def _law_row(cells: Mapping[str, str]) -> LawRow:
    """Return a row of law; what the table leaves open is said by its type, or means everything."""
    kind = TYPES[cells["type"]]
    values: dict[str, Any] = {field.name: "" for field in fields(LawRow)}
    values |= {"name": cells["instrument"], "jurisdiction": "all", "unit": kind.units[0], "process": kind.processes[0]}
    values |= dict.fromkeys(("archetype", "product", "material"), "all")
    values |= {"announced_on": cells["applies_on"], "basis": "user", "reference": "the user's own timeline"}
    values |= {name: text for name, text in cells.items() if text}
    values["adopted_on"] = values["adopted_on"] or values["announced_on"]
    values |= {"value": float(cells["value"]), "binds": True, "assumed": ()}
    values |= {"lag": int(float(values["lag"])) if values["lag"] else None}
    values |= {"penalty": float(values["penalty"]) if values["penalty"] else None}
    return LawRow(**values)


def _instrument(listed: Sequence[tuple[int, LawRow]], path: Path) -> dict[str, Any]:
    """Return the written form of an instrument. Raises SpecError at its first row for what isn't law."""
    try:
        return from_law_rows([row for _, row in listed]).to_json()
    except (ModelError, ValueError) as error:
        raise SpecError(Fault(place=Place(listed[0][0], 1), message=str(error)).line(str(path))) from None
