"""The journal: the only truth about what has been simulated. One SQLite file, one writer."""

import hashlib
import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from orchestrator.records import CellRow, Generation
from orchestrator.tables import PartRef
from sim_core.errors import InfrastructureError, InputError, IntegrityError, JournalBusyError, JournalConflictError
from sim_core.seeding import canonical_json

SCHEMA_VERSION = 1
FOREIGN_LEASE_SECONDS = 600.0
_APPLICATION_ID = int.from_bytes(b"cbjn")
_LOCK_SECONDS = 30.0
_SCHEMA = (
    "CREATE TABLE records (key TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, checksum TEXT NOT NULL,"
    " part TEXT, part_sha256 TEXT)",
    "CREATE INDEX generations ON records (json_extract(body, '$.search')) WHERE kind = 'generation'",
    "CREATE TABLE lease (slot INTEGER PRIMARY KEY CHECK (slot = 1), token TEXT NOT NULL, pid INTEGER NOT NULL,"
    " host TEXT NOT NULL, started TEXT NOT NULL, heartbeat REAL NOT NULL)",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Journal:
    """Keyed records of finished work: cells, search generations, the outcome of choosing.

    **Who may write.** One driver at a time, from one thread. Opening for writing takes the lease; closing gives it
    back. A lease whose process no longer runs on this host (told by process number and start time, so that a reused
    number does not count) is taken over at once. A process of another host can't be looked up, so its lease counts
    as live until it has written nothing for FOREIGN_LEASE_SECONDS. That rule may err, safely: each write first checks
    that the lease is still its own, so a driver that lost it is stopped by JournalBusyError and writes nothing.
    Shards, trials and reports never write.

    **When a record is frozen.** The moment its put method returns: from then on it survives a killed process and a
    power cut (WAL, synchronous=FULL), and it never changes. Putting an equal record again does nothing; putting
    another value under the same key raises JournalConflictError and writes nothing of that call.

    **What a reader may rely on.** Each put is one transaction: after a kill, all of a call's records are there or
    none. Each record carries a checksum that is verified whenever it is read. Bodies are canonical JSON, so floats come
    back bit for bit. `digest` depends on keys and bodies alone: not on order of arrival, parts, notes or timings.
    With read_only=True any number of processes may read while the writer works; nothing is created or changed. (To
    this end a closed journal is one plain file without WAL; a killed writer's WAL is read where it lies.)

    **Notes** are what may change and bears no digest: a cursor, a timing.

    Raises from any method: InfrastructureError when the disk or its locks fail (repeat the command to resume),
    IntegrityError when a record or the file is damaged.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the journal, creating it and its folder unless read_only.

        Raises InputError when the file is missing (read_only), isn't a journal, or has an unknown schema version;
        JournalBusyError when another live driver holds it.
        """
        self.path = path
        self.read_only = read_only
        self._token = secrets.token_hex(16)
        if read_only and not path.is_file():
            raise InputError(f"no journal at {path}: run the experiment first, or name its folder with --results")
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._storage_errors():
            uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_SECONDS)
            try:
                # A byte that is no longer UTF-8 must end in a checksum error that names its record.
                self._connection.text_factory = lambda raw: raw.decode(errors="replace")
                self._open()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lease back and close the file; closing twice is harmless."""
        if not self.read_only:
            # Best effort: a lease that stays behind is a dead process's, and a WAL that stays behind is still read.
            with suppress(sqlite3.Error):
                self._connection.execute("DELETE FROM lease WHERE token = ?", (self._token,))
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()

    def put_cells(self, rows: Sequence[CellRow], part: PartRef | None) -> int:
        """Write finished cells and the Parquet part that holds them; return how many were new."""
        return self._put("cell", [(row.key, row.body()) for row in rows], part)

    def put_generation(self, generation: Generation) -> None:
        """Write one finished generation of a search."""
        self._put("generation", [(generation.key, generation.body())], None)

    def put_choice(self, key: str, body: Mapping[str, Any]) -> None:
        """Write the outcome of a choose wave."""
        self._put("choice", [(key, body)], None)

    def cells(self, keys: Iterable[str]) -> dict[str, CellRow]:
        """Return the rows of those keys that are journalled, in the order of `keys`."""
        return {key: CellRow.from_body(key, json.loads(body)) for key, body in self._bodies(keys, "cell").items()}

    def generations(self, search: str) -> list[Generation]:
        """Return the generations of a search, sorted by index."""
        query = "SELECT key FROM records WHERE kind = 'generation' AND json_extract(body, '$.search') = ?"
        with self._storage_errors():
            keys = [key for (key,) in self._connection.execute(query, (search,))]
        found = [Generation.from_body(json.loads(body)) for body in self._bodies(keys, "generation").values()]
        return sorted(found, key=lambda generation: generation.index)

    def choice(self, key: str) -> dict[str, Any] | None:
        """Return the outcome of a choose wave, or None when it has not been journalled."""
        bodies = self._bodies([key], "choice")
        return json.loads(bodies[key]) if key in bodies else None

    def parts(self) -> list[PartRef]:
        """Return the Parquet parts that journalled cells lie in, sorted by name."""
        query = "SELECT DISTINCT part, part_sha256 FROM records WHERE part IS NOT NULL ORDER BY part"
        with self._storage_errors():
            return [PartRef(name=name, sha256=sha256) for name, sha256 in self._connection.execute(query)]

    def digest(self, keys: Iterable[str]) -> str:
        """Return the sha256 over (key, body) of these records, sorted by key.

        Raises IntegrityError when one is missing.
        """
        wanted = sorted(set(keys))
        records = self._records(wanted)
        missing = [key for key in wanted if key not in records]
        if missing:
            raise IntegrityError(
                f"journal {self.path}: {len(missing)} of {len(wanted)} records are missing, the first is {missing[0]}; "
                "run the experiment again: it simulates what is missing"
            )
        result = hashlib.sha256()
        for key in wanted:
            result.update(f"{key}\x00{records[key][1]}\n".encode())
        return result.hexdigest()

    def get_note(self, name: str) -> Any:
        """Return a note's value, or None."""
        with self._storage_errors():
            row = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put_note(self, name: str, value: Any) -> None:
        """Write or replace a note; its value is anything that JSON holds."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, canonical_json(value)))

    def _open(self) -> None:
        if self.read_only:
            self._check_schema()
            return
        self._connection.execute("PRAGMA synchronous = FULL")
        with suppress(sqlite3.OperationalError):  # no lease yet; a holder in the midst of writing keeps others out
            self._refuse_if_held()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if self._is_new():
                for statement in _SCHEMA:
                    self._connection.execute(statement)
            self._check_schema()
            self._take_lease()
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        try:
            (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.Error:
            self.close()
            raise
        if mode != "wal":
            self.close()
            raise InfrastructureError(
                f"journal {self.path}: this file system can't hold a write-ahead log (SQLite answers {mode!r}); "
                "name a folder on a local disk with --results"
            )

    def _is_new(self) -> bool:
        tables = self._connection.execute("SELECT name FROM sqlite_master").fetchall()
        return self._pragma("application_id") == 0 and not tables

    def _pragma(self, name: str) -> int:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]

    def _check_schema(self) -> None:
        if self._is_new():
            raise InputError(f"journal {self.path} is empty: run the experiment first")
        if self._pragma("application_id") != _APPLICATION_ID:
            raise InputError(f"{self.path} is an SQLite file but no journal: name another folder with --results")
        version = self._pragma("user_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"journal {self.path} has schema version {version}, this circularbench reads version {SCHEMA_VERSION}: "
                "use the version that wrote it, or name another folder with --results"
            )

    def _take_lease(self) -> None:
        self._refuse_if_held()
        started = _process_start(os.getpid())
        lease = (1, self._token, os.getpid(), socket.gethostname(), started, time.time())
        self._connection.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)", lease)

    def _refuse_if_held(self) -> None:
        row = self._connection.execute("SELECT pid, host, started, heartbeat FROM lease").fetchone()
        if row is None:
            return
        pid, holder_host, started, heartbeat = row
        if holder_host == socket.gethostname():
            if _process_start(pid) == started:
                raise JournalBusyError(
                    f"journal {self.path} is held by process {pid} on this host: wait until it ends or stop it "
                    f"(kill {pid}), then run the same command again. Reading it works meanwhile"
                )
            return
        silence = time.time() - heartbeat
        if silence < FOREIGN_LEASE_SECONDS:
            raise JournalBusyError(
                f"journal {self.path} is held by process {pid} on host {holder_host}, which last wrote "
                f"{silence:.0f} s ago: wait until it ends, or stop it there. If it is dead, the journal is free in "
                f"{FOREIGN_LEASE_SECONDS - silence:.0f} s: run the same command again then"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One write transaction of the lease's holder: all of it or nothing."""
        if self.read_only:
            raise InputError(f"journal {self.path} is open for reading only")
        with self._storage_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                beat = (time.time(), self._token)
                if self._connection.execute("UPDATE lease SET heartbeat = ? WHERE token = ?", beat).rowcount != 1:
                    raise JournalBusyError(
                        f"journal {self.path}: another driver has taken the lease over; nothing more is written here. "
                        "Wait until it ends, then run the same command again"
                    )
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite itself rolls back after some errors, such as a full disk
            self._connection.execute("ROLLBACK")

    def _put(self, kind: str, bodies: Sequence[tuple[str, Mapping[str, Any]]], part: PartRef | None) -> int:
        """Write records of one kind in one transaction; return how many were new."""
        texts = [(key, self._text(key, kind, body)) for key, body in bodies]
        place = (None, None) if part is None else (part.name, part.sha256)
        with self._transaction():
            known = self._records([key for key, _ in texts])
            new: list[tuple[str | None, ...]] = []
            for key, text in texts:
                if key not in known:
                    known[key] = (kind, text)
                    new.append((key, kind, text, _checksum(key, kind, text), *place))
                elif known[key] != (kind, text):
                    self._refuse_conflict(key, known[key], (kind, text))
            self._connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", new)
        return len(new)

    def _text(self, key: str, kind: str, body: Mapping[str, Any]) -> str:
        try:
            return canonical_json(body)
        except (TypeError, ValueError) as error:
            raise IntegrityError(
                f"{kind} {key} can't be journalled: {error}; a value must be finite JSON, None where it is undefined"
            ) from error

    def _refuse_conflict(self, key: str, known: tuple[str, str], new: tuple[str, str]) -> None:
        old_fields, new_fields = _flat(known), _flat(new)
        names = sorted(old_fields.keys() | new_fields.keys())
        pairs = [(name, old_fields.get(name), new_fields.get(name)) for name in names]
        changed = [f"{name}: {old!r} -> {new!r}" for name, old, new in pairs if old != new]
        raise JournalConflictError(
            f"journal {self.path}: record {key} came back with another value ({'; '.join(changed[:3])}). Equal "
            "keys must give equal bytes: look for a controller or plug-in that isn't deterministic, or for machines of "
            "different architecture. Nothing was overwritten; to go on regardless, name another folder with --results"
        )

    def _bodies(self, keys: Iterable[str], kind: str) -> dict[str, str]:
        records = self._records(keys)
        for key, (found, _) in records.items():
            if found != kind:
                raise IntegrityError(f"journal {self.path}: record {key} is a {found}, a {kind} was asked for")
        return {key: body for key, (_, body) in records.items()}

    def _records(self, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return verified (kind, body) of those keys that exist, in the order of `keys`."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, tuple[str, str]] = {}
        with self._storage_errors():
            # json_each: one query for any number of keys, however low SQLite's limit on bound variables.
            query = "SELECT key, kind, body, checksum FROM records WHERE key IN (SELECT value FROM json_each(?))"
            for key, kind, body, checksum in self._connection.execute(query, (json.dumps(wanted),)):
                self._verify(key, kind, body, checksum)
                found[key] = (kind, body)
        return {key: found[key] for key in wanted if key in found}

    def _verify(self, key: str, kind: str, body: str, checksum: str) -> None:
        if _checksum(key, kind, body) != checksum:
            raise IntegrityError(
                f"journal {self.path}: record {key} is torn or was altered (its checksum does not match). Delete the "
                "row of table records with this key (any SQLite tool does it) and run the same command again: "
                "it is computed anew"
            )

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise InfrastructureError(
                f"journal {self.path}: {error}; check the free space, permissions and locks of its folder, "
                "then run the same command again: it resumes"
            ) from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # the subclasses are misuse, not damage
                raise
            raise IntegrityError(
                f"journal {self.path} is damaged or no journal ({error}): restore it from a copy, "
                "or move it away and run again from the start"
            ) from error


def _checksum(key: str, kind: str, body: str) -> str:
    return hashlib.sha256("\x00".join((key, kind, body)).encode()).hexdigest()


def _flat(record: tuple[str, str]) -> dict[str, Any]:
    """Return a record's fields for comparison, those of inner objects by dotted name."""
    result: dict[str, Any] = {"kind": record[0]}
    for name, value in json.loads(record[1]).items():
        inner = value.items() if isinstance(value, dict) else ()
        result |= {f"{name}.{key}": item for key, item in inner} if inner else {name: value}
    return result


def _process_start(pid: int) -> str | None:
    """Return what tells a running process from a later one with the same number; None when it no longer runs."""
    if not Path("/proc/self/stat").exists():  # no procfs: a reused number can't be told apart
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return "unknown"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    state, ticks_since_boot = fields[0], fields[19]  # proc_pid_stat(5)
    return None if state in "ZX" else f"{boot}/{ticks_since_boot}"
