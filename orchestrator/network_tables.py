"""Records of a user's network: entries of a YAML list, rows of a CSV or Parquet table, and where each stands.

A table's columns are named like the fields of a YAML entry, nested ones by dotted names (`demand.mean`); an empty cell
is a field that is not given; several numbers in a cell are parted by ";".
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.faults import Fault, Place, TreePath, near_miss, shown
from orchestrator.yaml_reader import Document
from orchestrator.yaml_scalars import resolve

MAX_TABLE_BYTES = 1 << 26
MAX_ROWS = 200_000
TEXT_FIELDS = ("name", "kind", "u_basis", "from", "to", "process")
TABLE_SUFFIXES = (".csv", ".parquet")


class Where(Protocol):
    """Where a record stands."""

    def fault(self, path: TreePath, message: str, *, got: str = "", hint: str = "", key: bool = False) -> Fault:
        """Return a fault of the field at a path within the record."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InYaml:
    """A place in a YAML document, or, without one, in a tree built in code. file: where it isn't the main one."""

    document: Document | None
    path: TreePath
    file: str = ""

    def fault(self, path: TreePath, message: str, *, got: str = "", hint: str = "", key: bool = False) -> Fault:
        """Return a fault at the field's key or value."""
        whole = (*self.path, *path)
        place = self.document.place(whole, key=key) if self.document else Place(1, 1)
        return Fault(place=place, path=whole, message=message, got=got, hint=hint, file=self.file)

    def below(self, *path: str | int) -> "InYaml":
        """Return the place of something within."""
        return InYaml(document=self.document, path=(*self.path, *path), file=self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class InTable:
    """A row of a table. block: the YAML value that holds the table as text, if it is no file of its own."""

    file: str
    row: int
    columns: Mapping[str, int]
    block: InYaml | None = None

    def fault(self, path: TreePath, message: str, *, got: str = "", hint: str = "", key: bool = False) -> Fault:  # noqa: ARG002 (a table has no keys)
        """Return a fault at row and column (both count from 1)."""
        names = [".".join(str(part) for part in path[:length]) for length in range(len(path), 0, -1)]
        name = next((name for name in names if name in self.columns), names[0] if names else "")
        column = self.columns.get(name, 1)
        if self.block is not None:
            where = f"row {self.row}, column {column}: " + (f"{name}: " if name else "")
            return self.block.fault((), where + message, got=got, hint=hint)
        path = tuple(name.split(".")) if name else ()
        return Fault(place=Place(self.row, column), path=path, message=message, got=got, hint=hint, file=self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A node or lane as written: what each field holds, nested fields as mappings, and where it stands."""

    values: Mapping[str, Any]
    where: Where


def read_table(path: Path) -> tuple[str, list[Fault]]:
    """Return a table file as CSV text, or the fault for which it can't be read. PyArrow is loaded for Parquet only."""
    start, name = Place(1, 1), str(path)
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            return "", [Fault(place=start, file=name, message=f"the table is larger than {MAX_TABLE_BYTES} bytes")]
        if path.suffix == ".parquet":
            return _parquet_as_csv(path), []
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"), []
    except UnicodeDecodeError:
        return "", [Fault(place=start, file=name, message="not UTF-8: save the table as UTF-8")]
    except (OSError, ValueError) as error:  # what PyArrow raises on a damaged file is a ValueError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        return "", [Fault(place=start, file=name, message=f"can't be read: {reason}")]


def table_records(
    text: str, known: Sequence[str], *, file: str = "", block: InYaml | None = None
) -> tuple[list[Record], list[Fault]]:
    """Return the rows of a CSV text as records, and what is wrong with its header and its cells."""
    first = 0 if file.endswith(".parquet") else 1  # the row number of the header
    reader = csv.reader(io.StringIO(text), strict=True)
    faults: list[Fault] = []
    records: list[Record] = []
    columns: dict[str, int] = {}
    header: list[str] = []
    line = 0
    try:
        for cells in reader:
            row, line = line + first, reader.line_num
            where = InTable(file=file, row=row, columns=columns, block=block)
            if not header:
                header = [cell.strip() for cell in cells]
                columns.update({name: number for number, name in enumerate(header, 1)})
                faults += _header_faults(header, known, where)
            elif len(records) == MAX_ROWS:
                faults.append(where.fault((), f"more than {MAX_ROWS} rows"))
                break
            elif any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    faults.append(where.fault((), f"the row has {len(cells)} cells, the header {len(header)}"))
                records.append(Record(values=_values(header, cells, known, where, faults), where=where))
    except csv.Error as error:
        where = InTable(file=file, row=line + first, columns={}, block=block)
        faults.append(where.fault((), f"not valid CSV: {error}"))
    if not header and not faults:
        faults.append(InTable(file=file, row=1, columns={}, block=block).fault((), "the table is empty"))
    return records, faults


def _header_faults(header: Sequence[str], known: Sequence[str], where: InTable) -> Iterator[Fault]:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        yield where.fault((), "the columns must be parted by commas", got=shown(header[0]))
        return
    for number, name in enumerate(header):
        if name in header[:number]:
            yield where.fault((name,), "the column is given twice", hint="remove one of them")
        elif name not in known:
            yield where.fault((name,), "unknown column", got=shown(name), hint=near_miss(name, known))


def _values(
    header: Sequence[str], cells: Sequence[str], known: Sequence[str], where: InTable, faults: list[Fault]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=False):
        if name not in known or not cell.strip():
            continue
        outer, _, inner = name.partition(".")
        try:
            value = _value(inner or outer, cell.strip())
        except ValueError as error:
            faults.append(where.fault((name,), str(error), got=shown(cell)))
            value = None
        if inner:
            values.setdefault(outer, {})
        target = values[outer] if inner else values
        if isinstance(target, dict):
            target[inner or outer] = value
        else:
            faults.append(where.fault((name,), f"give either {outer} or its parts", hint="leave one of them empty"))
    return values


def _value(field: str, cell: str) -> Any:
    if field in TEXT_FIELDS:
        return cell
    if ";" in cell or field in ("values", "probabilities"):
        return [_scalar(part.strip()) for part in cell.split(";") if part.strip()]
    return _scalar(cell)


def _scalar(text: str) -> Any:
    try:
        return resolve(text)
    except ValueError:
        raise ValueError("must be a finite decimal number, or true or false") from None


def _parquet_as_csv(path: Path) -> str:
    import pyarrow.parquet as pq

    rows = [_flat(row) for row in pq.read_table(path).to_pylist()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ";".join(_cell(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)
