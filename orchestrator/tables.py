"""Cells as Arrow tables and as Parquet parts whose names and bytes follow from their content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.records import CellRow
from sim_core.errors import InfrastructureError, InputError, IntegrityError

if TYPE_CHECKING:  # pyarrow takes time to load and a finished sweep needs none of it
    import pyarrow as pa

SCHEMA_VERSION = 1
_CPU_SECONDS = b"cpu_s"
_TEXT_COLUMNS = ("key", "controller", "scenario", "family", "status", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRef:
    """A Parquet part: its file name in the parts' folder and the sha256 of its bytes."""

    name: str
    sha256: str


def table(rows: Sequence[CellRow]) -> pa.Table:
    """Return the rows as a table, in their order: six text columns, then a nullable float64 column per metric, sorted.

    Raises IntegrityError unless all rows that are "ok" have the same metrics and all others have none: only then does
    `rows` give back exactly what went in.
    """
    import pyarrow as pa

    names = sorted({name for row in rows for name in row.metrics})
    for row in rows:
        if sorted(row.metrics) != (names if row.status == "ok" else []):
            raise IntegrityError(
                f"cell {row.key} ({row.status}) has the metrics {sorted(row.metrics)}; "
                f"an ok cell of this table must have {names}, a failed one none"
            )
    if set(names) & set(_TEXT_COLUMNS):
        raise IntegrityError(
            f"a metric may not be named like one of the columns {list(_TEXT_COLUMNS)}; metrics are {names}"
        )
    columns = {name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in _TEXT_COLUMNS}
    columns |= {name: pa.array([row.metrics.get(name) for row in rows], pa.float64()) for name in names}
    return pa.table(columns).replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})


def rows(table: pa.Table) -> list[CellRow]:
    """Return the rows of a table that `table` made. Raises InputError for another schema version."""
    version = (table.schema.metadata or {}).get(b"schema_version", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise InputError(
            f"a table of cells has schema version {version}, this circularbench reads version {SCHEMA_VERSION}: "
            "read it with the version that wrote it"
        )
    metrics = [name for name in table.column_names if name not in _TEXT_COLUMNS]
    return [
        CellRow(
            **{name: record[name] for name in _TEXT_COLUMNS},
            metrics={name: record[name] for name in metrics} if record["status"] == "ok" else {},
        )
        for record in table.to_pylist()
    ]


def with_cpu_seconds(table: pa.Table, seconds: Mapping[str, float]) -> pa.Table:
    """Return the table with what its cells cost, CPU seconds by controller digest, beside its rows."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _CPU_SECONDS: json.dumps(dict(seconds))})


def without_cpu_seconds(table: pa.Table) -> tuple[pa.Table, dict[str, float]]:
    """Return the table as `table` made it, and the CPU seconds that travelled with it: parts must not hold timings."""
    metadata = dict(table.schema.metadata or {})
    seconds = json.loads(metadata.pop(_CPU_SECONDS, b"{}"))
    return table.replace_schema_metadata(metadata), seconds


def write_part(table: pa.Table, folder: Path) -> PartRef:
    """Write a table as a Parquet part and return its name and sha256.

    The part appears under its name whole and on disk, or not at all. Equal tables give equal names and bytes (with one
    version of pyarrow), so writing one again is harmless. Raises InfrastructureError when the disk fails.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content = sink.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"cells-{sha256[:16]}.parquet"
    temporary = folder / f".{name}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(folder)
    except OSError as error:
        raise InfrastructureError(
            f"can't write part {folder / name}: {error}; make room or mend the permissions, "
            "then run the same command again: it resumes"
        ) from error
    return PartRef(name=name, sha256=sha256)


def read_part(folder: Path, part: PartRef) -> pa.Table:
    """Return the table of a part. Raises IntegrityError when the file is missing or its bytes are not those written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / part.name
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"part {path} is missing; restore it, or read its cells from the journal") from error
    found = hashlib.sha256(content).hexdigest()
    if found != part.sha256:
        raise IntegrityError(
            f"part {path} was altered: its sha256 is {found}, the journal says {part.sha256}; "
            "delete it and read its cells from the journal"
        )
    return pq.read_table(pa.BufferReader(content))


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
