"""The journal as a file that drivers share: killed writers, leases, readers, damage, and disks that fill up."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.journal import FOREIGN_LEASE_SECONDS, Journal
from sim_core.errors import InfrastructureError, InputError, IntegrityError, JournalBusyError
from sim_core.seeding import content_id
from tests.orchestrator.test_journal import PART, altered, cell, generation

# Killed writers. A step puts three cells and a generation; the writer prints its number once it is acknowledged.

_WRITER = """
import sys
from pathlib import Path
from orchestrator.journal import Journal
from tests.orchestrator.test_journal import PART, cell, generation
with Journal(Path(sys.argv[1])) as journal:
    for step in range(int(sys.argv[2])):
        journal.put_cells([cell(3 * step + i) for i in range(3)], PART)
        journal.put_generation(generation(step))
        print(step, flush=True)
"""
_STEPS = 60


@contextmanager
def writer(path: Path, steps: int = _STEPS) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process of its own, killed at the latest when the test leaves."""
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONPATH": root},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _acknowledged(process: subprocess.Popen[str], until: int) -> int:
    """Read until this many steps are acknowledged or the writer ends; return the last step seen."""
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last + 1 >= until:
            break
    return last


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite"
    dice = random.Random(4)
    for round_ in range(3):
        with writer(path) as process:
            last = _acknowledged(process, 8 * (round_ + 1) + dice.randrange(8))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with Journal(path, read_only=True) as journal:
            for step in range(_STEPS):
                keys = [cell(3 * step + i).key for i in range(3)]
                assert len(journal.cells(keys)) in ((3,) if step <= last else (0, 3))
            assert [g.index for g in journal.generations("s")][: last + 1] == list(range(last + 1))
    with writer(path) as process:
        assert _acknowledged(process, _STEPS) == _STEPS - 1
        assert process.wait() == 0
    keys = [cell(number).key for number in range(3 * _STEPS)]
    keys += [content_id("generation", "s", step) for step in range(_STEPS)]
    with Journal(tmp_path / "undisturbed.sqlite") as undisturbed, Journal(path, read_only=True) as killed:
        undisturbed.put_cells([cell(number) for number in range(3 * _STEPS)], PART)
        for step in range(_STEPS):
            undisturbed.put_generation(generation(step))
        assert killed.digest(keys) == undisturbed.digest(keys)


def test_a_writer_at_work_is_named_and_read_beside_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with writer(path, steps=1_000_000) as process:
        last = _acknowledged(process, 3)
        with pytest.raises(JournalBusyError, match=rf"process {process.pid} on this host.*kill {process.pid}"):
            Journal(path)
        with Journal(path, read_only=True) as reader:
            assert len(reader.generations("s")) > last
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        Journal(path).close()  # a zombie counts as dead
    with Journal(path) as journal:
        assert journal.put_cells([cell(1)], None) == 0


@pytest.mark.parametrize(
    ("holder", "silence", "held"),
    [
        ((os.getpid(), socket.gethostname(), "another start"), 0.0, False),  # a reused process number
        ((2**22 + 1, socket.gethostname(), "any"), 0.0, False),  # beyond the largest number Linux gives
        ((1, "elsewhere", "any"), 0.0, True),
        ((1, "elsewhere", "any"), FOREIGN_LEASE_SECONDS - 60.0, True),
        ((1, "elsewhere", "any"), FOREIGN_LEASE_SECONDS + 1.0, False),
    ],
)
def test_whose_lease_holds(tmp_path: Path, holder: tuple[int, str, str], silence: float, held: bool) -> None:
    path = tmp_path / "j.sqlite"
    Journal(path).close()
    with altered(path) as connection:
        lease = (1, "token", *holder, time.time() - silence)
        connection.execute("INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?)", lease)
    if held:
        with pytest.raises(JournalBusyError, match=r"on host elsewhere.*run the same command again"):
            Journal(path)
    else:
        with Journal(path) as journal:
            assert journal.put_cells([cell(1)], None) == 1


def test_writing_renews_the_lease_of_a_slow_driver(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path) as journal, altered(path) as connection:
        connection.execute("UPDATE lease SET heartbeat = 0")
        connection.commit()
        journal.put_note("cursor", 1)
        assert connection.execute("SELECT heartbeat FROM lease").fetchone()[0] > time.time() - 60.0


def test_reading_creates_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with pytest.raises(InputError, match="run the experiment first"):
        Journal(path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    with Journal(path) as journal:
        journal.put_cells([cell(1)], None)
    content = path.read_bytes()
    with Journal(path, read_only=True) as reader:
        assert reader.cells([cell(1).key]) == {cell(1).key: cell(1)}
        assert list(tmp_path.iterdir()) == [path]
        for action in (lambda: reader.put_cells([cell(2)], None), lambda: reader.put_note("cursor", 1)):
            with pytest.raises(InputError, match="open for reading only"):
                action()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == content


def test_the_file_is_written_through(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal._pragma("journal_mode") == "wal"
        assert journal._pragma("synchronous") == 2  # FULL


def test_a_folder_named_like_a_query_is_just_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%20ü" / "j.sqlite"
    Journal(path).close()
    assert path.is_file()


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    Journal(path).close()
    with altered(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    for read_only in (False, True):
        with pytest.raises(InputError, match=r"schema version 7.*use the version that wrote it"):
            Journal(path, read_only=read_only)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    foreign, text, empty = tmp_path / "foreign", tmp_path / "text", tmp_path / "empty"
    with altered(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    text.write_text("name: an experiment, no journal\n" * 40)
    empty.touch()
    before = {path: path.read_bytes() for path in (foreign, text)}
    for read_only in (False, True):
        with pytest.raises(InputError, match="no journal"):
            Journal(foreign, read_only=read_only)
        with pytest.raises(IntegrityError, match="damaged or no journal"):
            Journal(text, read_only=read_only)
    assert before == {path: path.read_bytes() for path in (foreign, text)}
    with pytest.raises(InputError, match="empty: run the experiment first"):
        Journal(empty, read_only=True)
    Journal(empty).close()  # a driver killed before its first write leaves such a file


def test_a_flipped_bit_on_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path) as journal:
        journal.put_cells([cell(1)], None)
    content = path.read_bytes()
    place = content.index(b"family/1")
    for bit in (1, 128):  # the second one leaves no valid UTF-8
        damaged = bytes([content[place] ^ bit])
        path.write_bytes(content[:place] + damaged + content[place + 1 :])
        with Journal(path, read_only=True) as reader, pytest.raises(IntegrityError, match=f"{cell(1).key} is torn"):
            reader.cells([cell(1).key])


def test_a_full_disk_stops_the_sweep_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path) as journal:
        journal.put_cells([cell(1)], None)
        journal._connection.execute("PRAGMA max_page_count = 12")
        with pytest.raises(InfrastructureError, match=r"full.*free space.*it resumes"):
            journal.put_cells([cell(number) for number in range(200)], None)
        assert list(journal.cells(cell(number).key for number in range(200))) == [cell(1).key]
    with Journal(path) as journal:
        assert journal.put_cells([cell(number) for number in range(200)], None) == 199
