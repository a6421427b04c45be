"""Cells come back from Arrow and Parquet exactly as they went in."""

import errno
import hashlib
import os
from pathlib import Path
from stat import S_ISDIR

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.records import CellRow
from orchestrator.tables import PartRef, read_part, rows, table, write_part
from sim_core.errors import InfrastructureError, InputError, IntegrityError


def ok(key: str, **metrics: float | None) -> CellRow:
    return CellRow(
        key=key, controller="c", scenario="family/3", family="family", status="ok", message="", metrics=metrics
    )


FAILED = CellRow(
    key="f",
    controller="c",
    scenario="family/4",
    family="family",
    status="failed",
    message="ValueError: bad\nü",
    metrics={},
)
ROWS = [ok("b", objective=0.1 + 0.2, compliance=None), FAILED, ok("a", objective=-0.0, compliance=5e-324)]


def test_the_schema_is_stated() -> None:
    made = table(ROWS)
    assert made.column_names == [
        "key",
        "controller",
        "scenario",
        "family",
        "status",
        "message",
        "compliance",
        "objective",
    ]
    assert made.schema.field("objective").type == pa.float64()
    assert made.schema.metadata == {b"schema_version": b"1"}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just(FAILED),
            st.builds(
                ok,
                st.text(max_size=5),
                carbon=st.none() | st.floats(allow_nan=False, allow_infinity=False),
                service=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            ),
        ),
        max_size=6,
    )
)
def test_rows_come_back_exactly(written: list[CellRow]) -> None:
    found = rows(table(written))
    assert found == written
    assert repr(found) == repr(written)  # tells -0.0 from 0.0


def test_a_part_comes_back_exactly_under_the_name_of_its_content(tmp_path: Path) -> None:
    part = write_part(table(ROWS), tmp_path / "parts")
    (path,) = (tmp_path / "parts").iterdir()
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert part.name == path.name == f"cells-{part.sha256[:16]}.parquet"
    assert rows(read_part(tmp_path / "parts", part)) == ROWS
    assert write_part(table(ROWS), tmp_path / "parts") == part
    assert write_part(table(ROWS[:1]), tmp_path / "parts").name != part.name


def test_an_altered_or_missing_part_is_refused(tmp_path: Path) -> None:
    part = write_part(table(ROWS), tmp_path)
    path = tmp_path / part.name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"was altered.*read its cells from the journal"):
        read_part(tmp_path, part)
    with pytest.raises(IntegrityError, match=r"is missing.*read its cells from the journal"):
        read_part(tmp_path, PartRef(name="cells-none.parquet", sha256=part.sha256))


def test_a_part_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        steps.append("sync folder" if S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    write_part(table(ROWS), tmp_path)
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfrastructureError, match=r"No space left.*it resumes"):
        write_part(table(ROWS), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "written",
    [
        [ok("a", objective=1.0), ok("b", carbon=1.0)],
        [ok("a", objective=1.0), ok("b", objective=1.0, carbon=1.0)],
        [CellRow(key="a", controller="c", scenario="f/1", family="f", status="failed", message="", metrics={"x": 1.0})],
        [ok("a", status=1.0)],
    ],
)
def test_rows_that_would_not_come_back_are_refused(written: list[CellRow]) -> None:
    with pytest.raises(IntegrityError, match="metric"):
        table(written)


@pytest.mark.parametrize("metadata", [{"schema_version": "7"}, None])
def test_a_table_of_another_version_is_refused(metadata: dict[str, str] | None) -> None:
    with pytest.raises(InputError, match=r"schema version.*the version that wrote it"):
        rows(table(ROWS).replace_schema_metadata(metadata))
