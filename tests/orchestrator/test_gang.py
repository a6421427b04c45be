"""Gangs: the same rows for any mesh and after any loss, and never an answer from a wrong state."""

import random
from typing import Any

import pytest

from orchestrator.gang import Gang
from orchestrator.mesh import Mesh
from orchestrator.mesh_seats import InProcessSeat
from orchestrator.mesh_shard import MeshShard
from orchestrator.mesh_snapshot import GangSnapshot, read_head
from orchestrator.records import CellRow
from orchestrator.tables import rows, without_cpu_seconds
from orchestrator.work import Block
from sim_core.errors import FenceError, InfrastructureError, IntegrityError
from sim_core.kernel import simulation
from tests.orchestrator.mesh_bench import DUTY, MONTH, PERIOD, MeshBench, metrics
from tests.orchestrator.test_mesh_shard import Unfenced

SHARDS = 3


@pytest.mark.parametrize("shards", [1, 2, 3, 6, 9])
def test_any_mesh_gives_the_rows_of_one_process(mesh_bench: MeshBench, shards: int):
    assert mesh_bench.meshed(shards) == mesh_bench.plain


def test_a_gang_takes_one_load_after_the_other(mesh_bench: MeshBench):
    gang, mesh = mesh_bench.gang(mesh_bench.seats(2)), Mesh(scenario_shards=2)
    found = []
    for load in (mesh_bench.cells[:3], mesh_bench.cells[3:5], mesh_bench.cells[5:]):  # the last is for one shard
        tables = gang.run(mesh.shares(load))
        assert all(sum(without_cpu_seconds(one)[1].values()) > 0 for one in tables)
        found += [row for one in tables for row in rows(one)]
    assert found == mesh_bench.plain
    gang.close()


# ---- losses


@pytest.mark.parametrize("seed", range(18))
def test_a_gang_that_loses_shards_gives_the_same_rows(mesh_bench: MeshBench, injected_rows: list[CellRow], seed: int):
    draw = random.Random(seed)
    shards, every, law = draw.randint(1, 3), draw.randint(1, 4), draw.choice((None, 4))
    kills = [(draw.randrange(shards), draw.randrange(mesh_bench.windows.count)) for _ in range(draw.randint(1, 3))]
    found = mesh_bench.meshed(shards, *kills, every=every, law=law)
    assert found == (mesh_bench.plain if law is None else injected_rows), (shards, every, law, kills)


def test_a_window_that_always_kills_is_tried_four_times(mesh_bench: MeshBench):
    assert mesh_bench.meshed(2, *[(1, 3)] * 3) == mesh_bench.plain
    with pytest.raises(InfrastructureError, match=r"died 4 times at window 3; repeat the command to resume"):
        mesh_bench.meshed(2, *[(1, 3)] * 4)


def test_only_what_followed_the_last_snapshot_is_computed_again(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    done: list[tuple[int, int]] = []
    advance = MeshShard.advance

    def watched(self: MeshShard, epoch: int, window: int, *more: Any, **named: Any) -> Any:
        done.append((epoch, window))
        return advance(self, epoch, window, *more, **named)

    monkeypatch.setattr(MeshShard, "advance", watched)
    assert mesh_bench.meshed(1, (0, 7), every=3) == mesh_bench.plain
    assert done == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), *[(2, w) for w in range(6, 12)]]


class Damaging(Gang):
    """Damages the snapshots that it keeps, from a window on."""

    after = 6

    def _collect(self) -> None:
        super()._collect()
        if self._kept and self._kept[-1].window >= self.after:
            whole = self._kept.pop()
            self._kept.append(GangSnapshot(window=whole.window, parts=tuple(part[:-1] for part in whole.parts)))


@pytest.mark.parametrize("after", [6, 0])
def test_a_damaged_snapshot_is_not_used(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch, after: int):
    monkeypatch.setattr(Damaging, "after", after)
    notes: list[str] = []
    gang = Damaging(mesh_bench.seats(2), mesh_bench.windows, every=3, note=notes.append)
    gang._kills = mesh_bench.gang([], (1, 7))._kills
    assert mesh_bench.run(gang, 2) == mesh_bench.plain
    assert sum("damaged" in note for note in notes) == (1 if after else 2)


# ---- mutants


class Forgetful(InProcessSeat):
    """Seats an empty member in mid-run and tells nobody, as Ray does that restarts an actor. kind: of the members."""

    kind = MeshShard

    def start(self) -> None:
        self.calls = 0
        self.alive = True
        self._member = self.kind(*self._arguments, self._die)

    def send(self, call: str, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == 9:
            self._member = self.kind(*self._arguments, self._die)
        return super().send(call, *arguments, **named)


def check_no_answer_from_an_empty_state(bench: MeshBench, expected: list[CellRow], kind: type[MeshShard]) -> None:
    """The rows are right, or there are none."""
    seats = [Forgetful(bench.plan.suite, bench.windows, number) for number in range(2)]
    for seat in seats:
        seat.kind = kind
    try:
        found = bench.run(bench.gang(seats), 2, arrivals=bench.arriving(4))
    except FenceError:
        return
    assert found == expected


def test_a_shard_that_lost_its_state_gives_no_answer(mesh_bench: MeshBench, injected_rows: list[CellRow]):
    check_no_answer_from_an_empty_state(mesh_bench, injected_rows, MeshShard)


def test_a_gang_without_fences_is_found(mesh_bench: MeshBench, injected_rows: list[CellRow]):
    with pytest.raises(AssertionError):
        check_no_answer_from_an_empty_state(mesh_bench, injected_rows, Unfenced)


class Late(InProcessSeat):
    """Answers with the snapshot of the window before the one that it is asked for."""

    def start(self) -> None:
        super().start()
        self.before = b""

    def send(self, call: str, *arguments: Any, **named: Any) -> Any:
        assert self._member is not None
        if call == "advance":
            self.before = self._member.snapshot(*arguments[:2])
        return (self.before, None) if call == "snapshot" else super().send(call, *arguments, **named)


def check_no_gang_of_different_windows(bench: MeshBench, expected: list[CellRow]) -> None:
    """A shard's snapshot is from before the window in which the law came; then the other shard dies."""
    seats = [InProcessSeat(bench.plan.suite, bench.windows, 0), Late(bench.plan.suite, bench.windows, 1)]
    try:
        found = bench.run(bench.gang(seats, (0, 6), every=5), 2, arrivals=bench.arriving(4))
    except FenceError:
        return
    assert found == expected


def test_a_gang_never_stands_at_different_windows(mesh_bench: MeshBench, injected_rows: list[CellRow]):
    check_no_gang_of_different_windows(mesh_bench, injected_rows)


def test_a_gang_that_takes_any_snapshots_is_found(
    mesh_bench: MeshBench, injected_rows: list[CellRow], monkeypatch: pytest.MonkeyPatch
):
    from orchestrator import mesh_shard

    anything = classmethod(lambda kind, parts: kind(window=read_head(parts[0]).window, parts=tuple(parts)))
    monkeypatch.setattr(GangSnapshot, "of", anything)
    check_no_gang_of_different_windows(mesh_bench, injected_rows)  # the shards themselves refuse
    monkeypatch.setattr(MeshShard, "_fitting", lambda self, snapshot, window, cells: mesh_shard.unpack(snapshot))
    with pytest.raises(AssertionError):
        check_no_gang_of_different_windows(mesh_bench, injected_rows)


def check_injected_is_scheduled(bench: MeshBench, shards: int, *kills: tuple[int, int]) -> None:
    """Metric by metric, the rows of an experiment whose file holds the same law, in force from that month on."""
    written = MeshBench(instruments=[{**DUTY, "entry_into_force": f"{MONTH}-01"}])
    for law in (0, 3, 4):  # at the start, a window ahead, in the window that it falls into
        found = bench.meshed(shards, *kills, every=2, law=law)
        assert metrics(found) == metrics(written.plain), law
    assert metrics(found) != metrics(bench.plain)


def test_injected_law_is_scheduled_law(mesh_bench: MeshBench):
    check_injected_is_scheduled(mesh_bench, 2)


def test_law_that_was_injected_survives_a_loss(mesh_bench: MeshBench):
    check_injected_is_scheduled(mesh_bench, 3, (0, 4), (2, 5), (1, 9))


def test_law_injected_one_period_late_is_found(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    inject = simulation.with_instrument
    monkeypatch.setattr(simulation, "with_instrument", lambda layout, one, new, at: inject(layout, one, new, at + 1))
    with pytest.raises(AssertionError):
        check_injected_is_scheduled(mesh_bench, 2)


class Careless(Gang):
    """The mutant: it computes again what followed a snapshot, without the law that came meanwhile."""

    def _begin(self) -> None:
        self._law = dict.fromkeys(self._law, ())
        super()._begin()


def test_a_recovery_that_forgets_law_is_found(mesh_bench: MeshBench, injected_rows: list[CellRow]):
    for kind, same in ((Gang, True), (Careless, False)):
        gang = kind(mesh_bench.seats(2), mesh_bench.windows, every=3)
        gang._kills = mesh_bench.gang([], (1, 5))._kills
        assert (mesh_bench.run(gang, 2, arrivals=mesh_bench.arriving(4)) == injected_rows) is same


def test_a_shard_that_says_something_else_is_not_believed(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(InProcessSeat, "receive", lambda self, sent: "ok")
    with pytest.raises(FenceError, match="it says ok"):
        mesh_bench.meshed(1)


def test_an_error_of_a_shard_keeps_its_class(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    def broken(self: Any, *arguments: Any) -> None:
        raise IntegrityError("the disk of this shard is upside down")

    monkeypatch.setattr(MeshShard, "_advance", broken)
    with pytest.raises(IntegrityError, match="upside down"):
        mesh_bench.meshed(2)


def test_a_period_that_law_names_is_in_the_window_that_the_tests_mean(mesh_bench: MeshBench):
    assert mesh_bench.windows.start(4) <= PERIOD < mesh_bench.windows.start(5)
    assert mesh_bench.windows.count == 12 and len(mesh_bench.cells) == 6
    assert Block(cells=tuple(mesh_bench.cells)).label
