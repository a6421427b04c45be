"""`circularbench inject`: law for a run under way, from another process, in the same month for all its runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli, mailbox
from orchestrator.journal import Journal
from orchestrator.mesh_backend import MeshBackend
from orchestrator.mesh_shard import MeshShard
from sim_core.errors import InfrastructureError, InputError
from tests.orchestrator.conftest import TREE as ROOT
from tests.orchestrator.mesh_bench import DUTY, MONTH, TREE, MeshBench, metrics
from tests.orchestrator.test_mesh_simulate import Desk

MESH = ("--mesh", "2x1", "--in-process")
LOOKING_BACK = {
    "id": "NEW-TARGET",
    "type": "collection_target",
    "schedule": {"shape": "staircase", "steps": [["EIF", 0.6]]},
    "window": {"months": 12},
    "lag": 2,
    "penalty": {"value": 5.0, "unit": "EUR/unit"},
}
Hook = Callable[[], None]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    (tmp_path / "new.yaml").write_text(json.dumps(DUTY), encoding="utf-8")
    return made


def inject(desk: Desk, *arguments: str, at: str = MONTH) -> Result:
    given = ["inject", str(desk.results), str(desk.file.parent / "new.yaml"), "--at", at, *arguments]
    return CliRunner().invoke(cli.app, given)


def before_window(monkeypatch: pytest.MonkeyPatch, window: int, hook: Hook) -> None:
    """Call the hook once, while shard 0 is about to compute a window."""
    advance = MeshShard.advance

    def watched(self: MeshShard, epoch: int, now: int, *more: Any, **named: Any) -> Any:
        if now == window and self._number == 0 and not called:
            called.append(True)
            hook()
        return advance(self, epoch, now, *more, **named)

    called: list[bool] = []
    monkeypatch.setattr(MeshShard, "advance", watched)


def leave(desk: Desk, name: str, instrument: dict[str, Any], month: str) -> None:
    """Leave a request as `ask` does, without waiting."""
    mailbox._write(desk.results / "live" / f"{name}.request.json", {"instrument": instrument, "month": month})


def answer(desk: Desk, name: str) -> dict[str, Any]:
    found = mailbox._read(desk.results / "live" / f"{name}.answer.json")
    assert found is not None
    return found


def rows_of(desk: Desk) -> dict[str, dict[str, Any]]:
    """All rows of the journal by key."""
    with Journal(desk.results / "journal.sqlite", read_only=True) as journal:
        keys = [key for (key,) in journal._connection.execute("SELECT key FROM records WHERE kind = 'cell'")]
        return {key: dict(row.metrics) for key, row in journal.cells(keys).items()}


def test_another_process_injects_law(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def start() -> None:
        """Start the command, and go on when its request is there."""
        command = [
            sys.executable,
            "-m",
            "orchestrator",
            "inject",
            str(desk.results),
            str(desk.file.parent / "new.yaml"),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        children.append(
            subprocess.Popen([*command, "--at", MONTH, "--json"], env=environment, stdout=subprocess.PIPE, text=True)
        )
        deadline = time.monotonic() + 60
        while not list((desk.results / "live").glob("*.request.json")) and time.monotonic() < deadline:
            time.sleep(0.02)  # waits for a file of another process, which gives no signal

    children: list[subprocess.Popen[str]] = []
    before_window(monkeypatch, 1, start)
    found = desk.object(*MESH)
    told, _ = children[0].communicate(timeout=60)
    assert children[0].returncode == 0
    assert json.loads(told.splitlines()[-1]) == {"instrument": "NEW-CONTENT", "month": MONTH, "period": 26}
    assert found["injected"] == [["NEW-CONTENT", 26]]

    written = MeshBench(
        epoch_months=TREE["suite"]["epoch_months"], instruments=[{**DUTY, "entry_into_force": f"{MONTH}-01"}]
    )
    kept = rows_of(desk)
    assert sorted(map(str, kept.values())) == sorted(map(str, metrics(written.plain)))
    assert not kept.keys() & {cell.key for cell in MeshBench().cells}, "the plan's keys promise runs without it"


def check_injected_rows_keep_apart(desk: Desk, monkeypatch: pytest.MonkeyPatch, plain: dict[str, Any]) -> None:
    """What was simulated before the law came, in earlier commands and in earlier loads, is simulated under it."""
    from orchestrator import shard

    assert desk.object(*MESH, "--runs", "1")["n"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(shard, "_KEPT_SCENARIOS", 1)  # loads of two
        passed: list[int] = []
        whole = MeshBackend._arrivals

        def counted(self: MeshBackend, first: int) -> Any:
            if not first:
                passed.append(first)
                if len(passed) == 2:
                    leave(desk, "a", DUTY, MONTH)
            return whole(self, first)

        patch.setattr(MeshBackend, "_arrivals", counted)
        found = desk.object(*MESH)
    assert answer(desk, "a") == {"month": MONTH, "period": 26, "periods": 68}
    assert found["n"] == 6 and found["injected"] == [["NEW-CONTENT", 26]]
    written = MeshBench(instruments=[{**DUTY, "entry_into_force": f"{MONTH}-01"}])
    kept = rows_of(desk)
    own = {cell.key for cell in MeshBench().cells}
    injected = [row for key, row in kept.items() if key not in own]
    assert sorted(map(str, injected)) == sorted(map(str, metrics(written.plain)))
    assert len(kept.keys() & own) == 3, "one of the first command, two of the first load"
    assert desk.object(*MESH) == plain, "and the plan's own rows are as if nothing had happened"


def test_all_rows_of_a_run_are_under_one_law(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    plain = desk.object(results=tmp_path / "plain")
    check_injected_rows_keep_apart(desk, monkeypatch, plain)


def test_injected_rows_under_the_plans_keys_are_found(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    plain = desk.object(results=tmp_path / "plain")
    monkeypatch.setattr(MeshBackend, "under_law", lambda self, cells: list(cells))
    with pytest.raises((AssertionError, KeyError)):
        check_injected_rows_keep_apart(desk, monkeypatch, plain)


def test_what_cannot_be_injected_is_refused_and_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def ask_for_much() -> None:
        leave(desk, "a", DUTY, "2030-05")
        leave(desk, "b", DUTY, "2035-09")
        leave(desk, "c", {**DUTY, "scope": {"material": ["unobtainium"]}}, MONTH)
        leave(desk, "d", LOOKING_BACK, MONTH)
        (desk.results / "live" / "e.request.json").write_text('{"body": {}, "sha256": ""}', encoding="utf-8")

    before_window(monkeypatch, 0, ask_for_much)
    found = desk.object(*MESH)
    over = answer(desk, "a")["refused"]
    assert over.startswith("2030-05 is over: possible now are 203")
    assert over.endswith("to 2035-08")
    assert "2035-09 is beyond the end of the run" in answer(desk, "b")["refused"]
    assert "unobtainium" in answer(desk, "c")["refused"]
    assert answer(desk, "d")["refused"].startswith("a duty that looks back on past windows can't be injected")
    assert "damaged" in answer(desk, "e")["refused"]
    assert found == desk.object(results=tmp_path / "plain")


def test_the_same_law_twice_is_one_law(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def twice() -> None:
        leave(desk, "a", DUTY, MONTH)
        leave(desk, "b", DUTY, MONTH)

    before_window(monkeypatch, 1, twice)
    found = desk.object(*MESH)
    assert found["injected"] == [["NEW-CONTENT", 26]]
    assert answer(desk, "a") == answer(desk, "b")


def test_a_loss_after_an_injection_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found = []
    for number, faults in enumerate(((), ("--fault", "kill:shard=1,window=4", "--fault", "kill:shard=0,window=5"))):
        (tmp_path / str(number)).mkdir()
        one = Desk(tmp_path / str(number))
        with monkeypatch.context() as patch:
            before_window(patch, 1, lambda: leave(one, "a", DUTY, MONTH))  # noqa: B023
            found.append(one.object(*MESH, *faults))
    assert found[0] == found[1] and found[0]["injected"]


def test_where_nothing_runs_nothing_is_injected(desk: Desk):
    done = inject(desk)
    assert done.exit_code == 2 and "no run is under way in" in done.output
    assert not desk.results.exists()
    desk.object(*MESH)
    done = inject(desk)
    assert done.exit_code == 2 and "no run is under way in" in done.output


def test_a_request_that_comes_too_late_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with mailbox.opened(tmp_path) as box:
        mailbox._write(tmp_path / "live" / "a.request.json", {"instrument": DUTY, "month": MONTH})
        assert [one.name for one in box.pending()] == ["a"]
    body = mailbox._read(tmp_path / "live" / "a.answer.json")
    assert body is not None and "ended before it took the law up" in body["refused"]


def test_a_run_that_does_not_answer_is_told_of(tmp_path: Path):
    with mailbox.opened(tmp_path), pytest.raises(InfrastructureError, match="didn't answer within 0 s"):
        mailbox.ask(tmp_path, DUTY, MONTH, 0.2)
    assert not list((tmp_path / "live").glob("*.request.json"))


def test_a_run_that_dies_while_it_is_asked_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    held = iter((True, False, False))
    monkeypatch.setattr(mailbox, "_is_held", lambda folder: next(held))
    (tmp_path / "live").mkdir()
    with pytest.raises(InputError, match="ended before it took the law up"):
        mailbox.ask(tmp_path, DUTY, MONTH, 60)


def test_one_run_at_a_time_takes_requests(tmp_path: Path):
    with (
        mailbox.opened(tmp_path),
        pytest.raises(InfrastructureError, match="another process runs in"),
        mailbox.opened(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("- 1", MONTH, "an instrument is a mapping"),
        ('{"id": "X", "type": "nonsense"}', MONTH, "nonsense"),
        (json.dumps(DUTY), "March", "is not a month; write it as YYYY-MM"),
    ],
)
def test_a_file_without_an_instrument_is_refused_with_its_place(desk: Desk, text: str, at: str, message: str):
    (desk.file.parent / "new.yaml").write_text(text, encoding="utf-8")
    done = inject(desk, at=at)
    assert done.exit_code == 2 and message in done.output, done.output
