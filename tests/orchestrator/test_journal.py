"""The journal's promises, each as a check that the real Journal passes and a mutant fails."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.journal import Journal
from orchestrator.records import CandidateValue, CellRow, Generation
from orchestrator.tables import PartRef
from sim_core.control import ControllerRecord
from sim_core.errors import CircularBenchError, IntegrityError, JournalBusyError, JournalConflictError
from sim_core.seeding import content_id

PART = PartRef(name="cells-00.parquet", sha256="ab" * 32)


def cell(number: int, objective: float | None = None) -> CellRow:
    """A row whose floats have no short decimal form."""
    return CellRow(
        key=content_id("cell", number),
        controller="c0ffee",
        scenario=f"family/{number}",
        family="family",
        status="ok",
        message="",
        metrics={"objective": 0.1 * number + 1 / 3 if objective is None else objective, "compliance": None},
    )


def generation(index: int, *, value: float = 1 / 3, last: bool = False, search: str = "s") -> Generation:
    values = (
        CandidateValue(candidate="a1", value=value, standard_error=0.1, n=8, violation=0.0),
        CandidateValue(candidate="b2", value=None, standard_error=None, n=8, violation=0.0, message="it raised"),
    )
    finalists = (ControllerRecord(kind="schedule", parameters={"targets": [0.1, 2 / 3]}),) if last else ()
    return Generation(search=search, index=index, values=values, finalists=finalists)


@contextmanager
def altered(path: Path) -> Iterator[sqlite3.Connection]:
    """The closed journal's file, opened past the journal."""
    connection = sqlite3.connect(path)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def refused(error: type[CircularBenchError], action: Callable[[], Any]) -> bool:
    """Tell whether the action raises exactly this error, with a message that says what to do."""
    try:
        action()
    except error as raised:
        return type(raised) is error and len(raised.message) > 40
    return False


# Checks: each takes a journal class, so that the mutants below meet the very same ones.


def check_records_come_back_exactly(journal: type[Journal], folder: Path) -> None:
    rows = [cell(number) for number in range(20)]
    failed = CellRow(
        key="k", controller="c", scenario="f/1", family="f", status="failed", message="ZeroDivisionError: ü", metrics={}
    )
    with journal(folder / "j.sqlite") as opened:
        assert opened.put_cells([*rows, failed], PART) == 21
        opened.put_generation(generation(1, last=True))
        opened.put_generation(generation(0))
        opened.put_generation(generation(0, search="another"))
        opened.put_choice("choice", {"entry": "es", "means": {"a": 1 / 3}})
        opened.put_note("cursor", {"flushed": 3})
    with journal(folder / "j.sqlite", read_only=True) as opened:
        found = opened.cells([failed.key, "missing", *(row.key for row in reversed(rows))])
        assert list(found.values()) == [failed, *reversed(rows)]
        assert opened.generations("s") == [generation(0), generation(1, last=True)]
        assert opened.generations("no such search") == []
        assert opened.choice("choice") == {"entry": "es", "means": {"a": 1 / 3}}
        assert opened.choice("missing") is None
        assert opened.get_note("cursor") == {"flushed": 3}
        assert opened.get_note("missing") is None
        assert opened.parts() == [PART]


def check_an_equal_duplicate_is_ignored(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        assert opened.put_cells([cell(1), cell(2), cell(1)], PART) == 2
        assert opened.put_cells([cell(1), cell(3)], None) == 1
        opened.put_generation(generation(0))
        opened.put_generation(generation(0))
        opened.put_choice("choice", {"a": 1})
        opened.put_choice("choice", {"a": 1})
        assert len(opened.generations("s")) == 1


def check_a_differing_duplicate_is_refused(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        opened.put_cells([cell(1)], None)
        opened.put_generation(generation(0))
        opened.put_choice("choice", {"a": 1})
        nearly = cell(1).metrics["objective"] or 0.0
        nearly += 2.0**-52 * nearly  # the last bit
        for action in (
            lambda: opened.put_cells([cell(1, nearly)], None),
            lambda: opened.put_cells([cell(4), cell(4, 5.0)], None),
            lambda: opened.put_generation(generation(0, value=0.25)),
            lambda: opened.put_choice("choice", {"a": 2}),
            lambda: opened.put_choice(cell(1).key, {"a": 2}),
        ):
            assert refused(JournalConflictError, action)
        assert opened.cells([cell(1).key]) == {cell(1).key: cell(1)}


def check_a_put_is_all_or_nothing(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        opened.put_cells([cell(1)], None)
        assert refused(JournalConflictError, lambda: opened.put_cells([cell(2), cell(3), cell(1, 0.5)], None))
        assert list(opened.cells([cell(2).key, cell(3).key])) == []
        # The same for a fault in the middle of writing: the third insert fails.
        opened._connection.execute(
            "CREATE TEMP TRIGGER fault BEFORE INSERT ON main.records WHEN (SELECT count(*) FROM main.records) = 3"
            " BEGIN SELECT RAISE(ABORT, 'fault'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="fault"):
            opened.put_cells([cell(2), cell(3), cell(4)], None)
        assert list(opened.cells([cell(2).key, cell(3).key])) == []


def check_a_torn_record_is_named(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        opened.put_cells([cell(1), cell(2)], None)
    with altered(folder / "j.sqlite") as connection:
        connection.execute("UPDATE records SET body = replace(body, 'family/', 'femily/') WHERE key = ?", [cell(2).key])
    with journal(folder / "j.sqlite") as opened:
        assert list(opened.cells([cell(1).key])) == [cell(1).key]
        for action in (
            lambda: opened.cells([cell(2).key]),
            lambda: opened.digest([cell(2).key]),
            lambda: opened.put_cells([cell(2)], None),
        ):
            with pytest.raises(IntegrityError, match=f"{cell(2).key} is torn.*run the same command again"):
                action()


def check_a_live_writer_is_refused(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        assert refused(JournalBusyError, lambda: journal(folder / "j.sqlite"))
        opened.put_cells([cell(1)], None)
    journal(folder / "j.sqlite").close()


def check_a_writer_in_the_midst_of_writing_is_named(journal: type[Journal], folder: Path) -> None:
    held = pytest.raises(JournalBusyError, match=f"held by process {os.getpid()}")
    with journal(folder / "j.sqlite") as opened, opened._transaction(), held:
        journal(folder / "j.sqlite")


def check_a_driver_that_lost_its_lease_writes_nothing(journal: type[Journal], folder: Path) -> None:
    with journal(folder / "j.sqlite") as opened:
        with altered(folder / "j.sqlite") as connection:
            connection.execute("UPDATE lease SET token = 'another driver'")
        for action in (
            lambda: opened.put_cells([cell(1)], None),
            lambda: opened.put_generation(generation(0)),
            lambda: opened.put_choice("choice", {}),
            lambda: opened.put_note("cursor", 1),
        ):
            assert refused(JournalBusyError, action)
        assert opened.cells([cell(1).key]) == {}
    with altered(folder / "j.sqlite") as connection:  # closing leaves the other driver's lease alone
        assert connection.execute("SELECT token FROM lease").fetchall() == [("another driver",)]


def check_the_digest_sees_keys_and_bodies_only(journal: type[Journal], folder: Path) -> None:
    keys = [cell(number).key for number in range(9)]
    with journal(folder / "a.sqlite") as one:
        one.put_cells([cell(number) for number in range(9)], PART)
        first = one.digest(keys)
        assert first == one.digest(iter([*reversed(keys), keys[0]]))
        assert first != one.digest(keys[1:])
    with journal(folder / "b.sqlite") as another:
        for number in reversed(range(9)):
            another.put_cells([cell(number)], None)
        another.put_note("seconds", 12.5)
        assert another.digest(keys) == first
    with journal(folder / "c.sqlite") as other:
        other.put_cells([cell(0, 1.0), *(cell(number) for number in range(1, 9))], PART)
        assert other.digest(keys) != first
        with pytest.raises(IntegrityError, match="1 of 2 records are missing, the first is nowhere"):
            other.digest([keys[0], "nowhere"])


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS)
def test_the_journal_keeps(check: Callable[[type[Journal], Path], None], tmp_path: Path) -> None:
    check(Journal, tmp_path)


class _Overwrites(Journal):
    """Takes a differing duplicate."""

    def _put(self, kind: str, bodies: Any, part: PartRef | None) -> int:
        with self._transaction():
            self._connection.executemany("DELETE FROM records WHERE key = ?", [(key,) for key, _ in bodies])
        return super()._put(kind, dict(bodies).items(), part)  # pyright: ignore[reportArgumentType]


class _KeepsTheFirst(Journal):
    """Silently ignores a differing duplicate."""

    def _refuse_conflict(self, key: str, known: tuple[str, str], new: tuple[str, str]) -> None:
        pass


class _WritesOneByOne(Journal):
    """Commits each statement by itself."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        yield

    def _put(self, kind: str, bodies: Any, part: PartRef | None) -> int:
        return sum(super(_WritesOneByOne, self)._put(kind, [body], part) for body in bodies)


class _TrustsTheDisk(Journal):
    """Verifies no checksum."""

    def _verify(self, key: str, kind: str, body: str, checksum: str) -> None:
        pass


class _IgnoresTheLease(Journal):
    """Takes the lease from whoever holds it."""

    def _refuse_if_held(self) -> None:
        pass


class _HasNoFence(Journal):
    """Writes without looking whether the lease is still its own."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")


class _DigestsInOrderOfArrival(Journal):
    """Digests records as they lie in the file."""

    def digest(self, keys: Any) -> str:
        wanted = set(keys)
        super().digest(wanted)
        rows = self._connection.execute("SELECT key, body FROM records ORDER BY rowid").fetchall()
        return content_id([row for row in rows if row[0] in wanted])


class _RoundsFloats(Journal):
    """Stores nine digits."""

    def _text(self, key: str, kind: str, body: Any) -> str:
        metrics = {n: v if v is None else float(f"{v:.9g}") for n, v in body.get("metrics", {}).items()}
        return super()._text(key, kind, {**body, "metrics": metrics} if metrics else body)


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (_Overwrites, check_a_differing_duplicate_is_refused),
        (_KeepsTheFirst, check_a_differing_duplicate_is_refused),
        (_WritesOneByOne, check_a_put_is_all_or_nothing),
        (_TrustsTheDisk, check_a_torn_record_is_named),
        (_IgnoresTheLease, check_a_live_writer_is_refused),
        (_HasNoFence, check_a_driver_that_lost_its_lease_writes_nothing),
        (_DigestsInOrderOfArrival, check_the_digest_sees_keys_and_bodies_only),
        (_RoundsFloats, check_records_come_back_exactly),
    ],
)
def test_a_mutant_fails_its_check(
    mutant: type[Journal], check: Callable[[type[Journal], Path], None], tmp_path: Path
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(mutant, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_value_that_is_no_json_is_refused_by_name(tmp_path: Path, value: Any) -> None:
    with (
        Journal(tmp_path / "j.sqlite") as journal,
        pytest.raises(IntegrityError, match=f"cell {cell(1).key} can't be journalled.*None where it is undefined"),
    ):
        journal.put_cells([cell(2), cell(1, value)], None)


def test_a_key_of_another_kind_is_no_cell(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put_choice("choice", {})
        with pytest.raises(IntegrityError, match="record choice is a choice, a cell was asked for"):
            journal.cells(["choice"])


def test_thousands_of_keys_are_one_query(tmp_path: Path) -> None:
    rows = [cell(number) for number in range(3000)]
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.put_cells(rows, PART) == 3000
        queries: list[str] = []
        journal._connection.set_trace_callback(queries.append)
        assert len(journal.cells(row.key for row in rows)) == 3000
        assert len(queries) == 1


def test_a_conflict_names_what_differs(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put_cells([cell(1, 1.5)], None)
        with pytest.raises(JournalConflictError, match=r"\(metrics\.objective: 1\.5 -> 2\.5\)"):
            journal.put_cells([cell(1, 2.5)], None)
