"""Passports on disk: what was written comes back, one unit at a time, and every miss names a remedy."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from orchestrator import cli, passports
from orchestrator.passports import EVENTS, FOLDER, UNITS, find_passports, read_passport, write_passports
from sim_core.agents.passport import OUTSIDE, Passports, Units
from sim_core.agents.states import LifeEvent
from sim_core.errors import InfrastructureError, InputError


def one_run() -> Passports:
    """Three units: 0 is still goods, 1 came back and was recycled, 2 was lost."""
    units = Units(record=True)
    ids = units.create(LifeEvent.MADE, 3, t=0, product=0, place=0, carbon=60.0)
    units.happen(LifeEvent.SOLD, ids[1:], t=2, place=1)
    units.happen(LifeEvent.COLLECTED, ids[1:2], t=13, place=3, carbon=0.5)
    units.happen(LifeEvent.ARRIVED, ids[1:2], t=14, place=2)
    units.happen(LifeEvent.GRADED, ids[1:2], t=14, quality=np.array([0.75]))
    units.happen(LifeEvent.RECYCLED, ids[1:2], t=15, place=OUTSIDE)
    units.happen(LifeEvent.LOST, ids[2:], t=15, place=OUTSIDE)
    return Passports(
        run="eu_baseline/0 under linear, replication 0",
        start="2026-11",
        units=units,
        history=units.history(),
        products=("phone",),
        places=("plant-1", "market-1", "collector-1", "market-1 -> collector-1"),
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_passports(one_run(), folder / FOLDER)
    return folder


def test_a_unit_comes_back_with_its_whole_life(results: Path):
    passport = read_passport(results, 1)
    assert (passport.product, passport.state, passport.place, passport.born) == ("phone", "recycled", "", "2026-11")
    assert (passport.lives, passport.quality, passport.carbon) == (1, 0.75, 60.5)
    assert [(e.month, e.event, e.state, e.place) for e in passport.events] == [
        ("2026-11", "made", "virgin", "plant-1"),
        ("2027-01", "sold", "in_use", "market-1"),
        ("2027-12", "collected", "returned", "market-1 -> collector-1"),
        ("2028-01", "arrived", "returned", "collector-1"),
        ("2028-01", "graded", "returned", "collector-1"),
        ("2028-02", "recycled", "recycled", ""),
    ]
    assert [e.quality for e in passport.events] == [1.0, 1.0, 1.0, 1.0, 0.75, 0.75]


def test_the_files_hold_every_unit_and_event_in_plain_columns(results: Path):
    units, events = (pq.read_table(results / FOLDER / name) for name in (UNITS, EVENTS))
    assert units.column_names == ["unit", "product", "state", "place", "born", "lives", "quality", "carbon"]
    assert units["state"].to_pylist() == ["virgin", "recycled", "disposed"]
    assert events.num_rows == 10
    assert events["unit"].to_pylist() == sorted(events["unit"].to_pylist())


def test_a_unit_that_is_not_there_is_told_from_the_ones_that_are(results: Path):
    with pytest.raises(InputError, match=r"no unit 3 in .*; its units are 0 to 2"):
        read_passport(results, 3)


def test_without_passports_the_message_says_how_to_make_them(tmp_path: Path):
    with pytest.raises(InputError, match="circularbench simulate SPEC --agents 1000"):
        read_passport(tmp_path, 0)


def test_the_only_passports_are_found_and_several_are_asked_about(tmp_path: Path):
    with pytest.raises(InputError, match="no passports below"):
        find_passports(None, tmp_path)
    for name in ("first", "second"):
        assert find_passports(tmp_path / "given", tmp_path) == tmp_path / "given"
        write_passports(one_run(), tmp_path / name / FOLDER)
        if name == "first":
            assert find_passports(None, tmp_path) == tmp_path / "first"
    with pytest.raises(InputError, match=r"first, .*second; choose one"):
        find_passports(None, tmp_path)


def test_another_schema_version_is_refused(results: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passports, "SCHEMA_VERSION", 2)
    with pytest.raises(InputError, match="schema version 1, this circularbench reads version 2"):
        read_passport(results, 0)


def test_a_failed_write_leaves_no_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(table, path, **options) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(InfrastructureError, match="make room"):
        write_passports(one_run(), tmp_path / FOLDER)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_the_command_shows_a_passport(results: Path):
    shown = CliRunner().invoke(cli.app, ["passport", "1", "--results", str(results)])
    assert shown.exit_code == 0, shown.output
    for text in ("unit 1", "phone", "market-1 -> collector-1", "2028-02", "recycled", "0.750"):
        assert text in shown.stdout
    spoken = CliRunner().invoke(cli.app, ["passport", "1", "--results", str(results), "--json"])
    value = json.loads(spoken.stdout.splitlines()[-1])
    assert value["unit"] == 1
    assert [event["period"] for event in value["events"]] == [0, 2, 13, 14, 14, 15]


def test_the_command_refuses_a_unit_that_is_not_there(results: Path):
    refused = CliRunner().invoke(cli.app, ["passport", "77", "--results", str(results)])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "its units are 0 to 2" in refused.stderr


def test_simulate_follows_units_and_leaves_their_passports(bench, tmp_path: Path):
    results = tmp_path / "results"
    spec = bench.file(tmp_path)
    done = bench.call("simulate", spec, "--entry", "linear", "--runs", "1", "--agents", "300", "--results", results)
    assert done.exit_code == 0, done.output
    assert "passports of units 0 to" in done.stderr
    units = pq.read_table(results / FOLDER / UNITS).to_pydict()
    born_new = [unit for unit, born in zip(units["unit"], units["born"], strict=True) if born >= 0]
    assert 150 < len(born_new) < 900
    shown = bench.call("passport", str(born_new[0]), "--results", results, "--json")
    lived = json.loads(shown.stdout.splitlines()[-1])
    assert lived["events"][0]["event"] == "made"
    assert lived["state"] == lived["events"][-1]["state"]
    assert lived["run"].startswith("eu_tighten/0, replication 0")


def test_the_same_command_leaves_the_same_passports(bench, tmp_path: Path):
    from orchestrator.passports import follow_units
    from sim_core.control import ControllerRecord

    suite = bench.spec().to_suite()
    for name in ("once", "again"):
        follow_units(suite, ControllerRecord(kind="linear"), units=200, results=tmp_path / name)
    for file in (UNITS, EVENTS):
        assert (tmp_path / "once" / FOLDER / file).read_bytes() == (tmp_path / "again" / FOLDER / file).read_bytes()
