"""A shard's fences and snapshots: it does what follows its state, once, and refuses all else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import mesh_snapshot, shard
from orchestrator.mesh_shard import Ack, MeshShard
from orchestrator.mesh_snapshot import GangSnapshot, pack, read_head, unpack
from orchestrator.tables import rows
from orchestrator.work import Injection
from sim_core.errors import BalanceError, FenceError, IntegrityError
from tests.orchestrator.mesh_bench import DUTY, LAW, MeshBench, metrics


class Unfenced(MeshShard):
    """The mutant: it does whatever it is told."""

    def _follow(self, epoch: int, window: int) -> None:
        self._epoch, self._window = epoch, window

    def _repeated(self, key: tuple[int, str], call: str) -> None:
        return None


def never() -> None:
    raise AssertionError("nobody asked for that")


def made(bench: MeshBench, kind: type[MeshShard] = MeshShard, number: int = 0) -> MeshShard:
    return kind(bench.plan.suite, bench.windows, number, never)


def is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except FenceError:
        return True
    return False


def check_fences(bench: MeshBench, kind: type[MeshShard]) -> None:
    one, cells = made(bench, kind), tuple(bench.cells[:2])
    assert is_refused(lambda: one.advance(0, 0, ())), "an empty shard has no window 0"
    assert is_refused(lambda: one.advance(-1, -1, ())) and is_refused(lambda: one.rows(0, -1)), "nor any other"
    first = one.take_up(3, 0, cells, None)
    assert first == Ack(shard=0, epoch=3, window=0)
    assert one.advance(3, 0, ()) == Ack(shard=0, epoch=3, window=1)
    before = one.snapshot(3, 1)
    for epoch, window in ((3, 2), (3, 7), (2, 1), (4, 1), (2, 0)):
        assert is_refused(lambda: one.advance(epoch, window, ())), (epoch, window)  # noqa: B023
        assert is_refused(lambda: one.snapshot(epoch, window)), (epoch, window)  # noqa: B023
        assert is_refused(lambda: one.rows(epoch, window)), (epoch, window)  # noqa: B023
    assert is_refused(lambda: one.rows(3, 1)), "no run is over"
    assert is_refused(lambda: one.take_up(2, 0, cells, None)), "an older gang has nothing to say"
    assert is_refused(lambda: one.take_up(4, 2, cells, None)), "window 2 needs a snapshot"
    assert is_refused(lambda: one.take_up(4, 2, cells, before)), "and one of window 2"
    assert is_refused(lambda: one.take_up(4, 1, cells[:1], before)), "of these cells"
    assert is_refused(lambda: made(bench, kind, 1).take_up(4, 1, cells, before)), "of this shard"
    assert is_refused(lambda: one.advance(3, 0, (LAW,))), "window 0 was done without law"
    assert one.advance(3, 0, ()) == Ack(shard=0, epoch=3, window=1), "a repeated call has its answer"
    assert one.take_up(3, 0, cells, None) == first, "this one, too"
    assert is_refused(lambda: one.take_up(3, 1, cells, before)), "but not with other content"
    assert one.snapshot(3, 1) == before, "and changes nothing"
    for window in range(1, bench.windows.count):
        one.advance(3, window, ())
    assert is_refused(lambda: one.advance(3, bench.windows.count, ())), "the run is over"
    assert rows(one.rows(3, bench.windows.count)) == bench.plain[:2]


def test_a_shard_does_what_follows_its_state_and_nothing_else(mesh_bench: MeshBench):
    check_fences(mesh_bench, MeshShard)


def test_a_shard_without_fences_is_found(mesh_bench: MeshBench):
    with pytest.raises(AssertionError):
        check_fences(mesh_bench, Unfenced)


def test_a_failed_take_up_leaves_no_state(mesh_bench: MeshBench):
    one, cells = made(mesh_bench), tuple(mesh_bench.cells[:2])
    one.take_up(1, 0, cells, None)
    one.advance(1, 0, ())
    whole = one.snapshot(1, 1)
    with pytest.raises(IntegrityError, match="damaged"):
        one.take_up(2, 1, cells, whole[:-1] + bytes([whole[-1] ^ 1]))
    assert is_refused(lambda: one.advance(2, 1, ()))
    assert one.take_up(3, 1, cells, whole) == Ack(shard=0, epoch=3, window=1)
    assert one.snapshot(3, 1) == whole


def test_a_window_that_ends_in_an_error_leaves_no_state(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    from sim_core.kernel.simulation import KernelSimulation

    one = made(mesh_bench)
    one.take_up(1, 0, tuple(mesh_bench.cells[:2]), None)

    def unbalanced(self: Any, stop: int) -> None:
        raise BalanceError("1 kg of cobalt appeared")

    with monkeypatch.context() as patch:
        patch.setattr(KernelSimulation, "_check_balance", unbalanced)
        with pytest.raises(BalanceError):
            one.advance(1, 0, ())
    assert is_refused(lambda: one.advance(1, 0, ()))


# ---- snapshots


def test_a_snapshot_comes_back_byte_for_byte(mesh_bench: MeshBench):
    one = made(mesh_bench)
    one.take_up(1, 0, tuple(mesh_bench.cells), None)
    for window in range(5):
        one.advance(1, window, (LAW,) if window == 4 else ())
    data = one.snapshot(1, 5)
    head, states = unpack(data)
    assert (head.shard, head.window, head.lots, head.injections) == (0, 5, ((6, ""),), (LAW,))
    assert set(states[0]) == {"x", "control", "t", "fresh", "decided"}
    assert pack(head, states) == data


@pytest.mark.parametrize("cut", [slice(0, 10), slice(0, -1), slice(1, None), slice(0, 0)])
def test_a_torn_snapshot_is_refused(mesh_bench: MeshBench, cut: slice):
    one = made(mesh_bench)
    one.take_up(1, 0, tuple(mesh_bench.cells[:1]), None)
    with pytest.raises(IntegrityError, match="damaged"):
        read_head(one.snapshot(1, 0)[cut])


def test_nothing_is_pickled():
    text = Path(mesh_snapshot.__file__).read_text(encoding="utf-8")
    assert "import pickle" not in text and text.count("allow_pickle=False") == 2


def check_a_gang_stands_at_one_window(mesh_bench: MeshBench) -> None:
    parts: dict[tuple[int, int, bool], bytes] = {}
    for number in range(2):
        for law in (False, True):
            one = made(mesh_bench, number=number)
            one.take_up(1, 0, tuple(mesh_bench.cells[:1]), None)
            for window in (0, 1):
                one.advance(1, window, (LAW,) if law and not window else ())
                parts[number, window + 1, law] = one.snapshot(1, window + 1)
    assert GangSnapshot.of([parts[0, 2, True], parts[1, 2, True]]).window == 2
    for first, second in (
        ((0, 1, False), (1, 2, False)),
        ((0, 2, False), (1, 2, True)),
        ((1, 2, False), (0, 2, False)),
        ((0, 2, False), (0, 2, False)),
    ):
        assert is_refused(lambda: GangSnapshot.of([parts[first], parts[second]])), (first, second)  # noqa: B023


def test_snapshots_of_different_windows_laws_or_shards_are_no_gang(mesh_bench: MeshBench):
    check_a_gang_stands_at_one_window(mesh_bench)


def test_a_gang_of_different_windows_is_found(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    anything = classmethod(lambda kind, parts: kind(window=read_head(parts[0]).window, parts=tuple(parts)))
    monkeypatch.setattr(GangSnapshot, "of", anything)
    with pytest.raises(AssertionError):
        check_a_gang_stands_at_one_window(mesh_bench)


# ---- controllers at fault


def test_a_controller_at_fault_is_one_failed_row(mesh_bench: MeshBench, monkeypatch: pytest.MonkeyPatch):
    """Also when a snapshot is taken up after its fault."""
    bad, whole = mesh_bench.cells[2], shard.Shard._controller

    class Faulty:
        def __init__(self, controller: Any, at_fault: bool) -> None:
            self.controller, self.at_fault = controller, at_fault

        def decide(self, observation: Any) -> Any:
            if self.at_fault and observation.period >= 18:
                raise RuntimeError("the controller fell asleep")
            return self.controller.decide(observation)

    monkeypatch.setattr(
        shard.Shard,
        "_controller",
        lambda self, cells: Faulty(whole(self, cells), bad.key in {one.key for one in cells}),
    )
    expected = rows(shard.Shard(mesh_bench.plan.suite).run(shard.Block(cells=tuple(mesh_bench.cells))))
    assert [row.message for row in expected if row.status == "failed"] == ["RuntimeError: the controller fell asleep"]
    assert mesh_bench.meshed(1) == expected
    assert mesh_bench.meshed(2, (0, 5), every=2) == expected


# ---- law


def test_law_that_concerns_nothing_is_named(mesh_bench: MeshBench):
    one = made(mesh_bench)
    one.take_up(1, 0, tuple(mesh_bench.cells[:2]), None)
    before = one.snapshot(1, 0)
    assert one.check(LAW) == ""
    assert "unobtainium" in one.check(
        Injection(instrument={**DUTY, "id": "X", "scope": {"material": ["unobtainium"]}}, period=20)
    )
    assert "can't be changed" in one.check(Injection(instrument=DUTY, period=99))
    assert one.snapshot(1, 0) == before


def test_injected_law_matters(mesh_bench: MeshBench, injected_rows: list[Any]):
    assert metrics(mesh_bench.plain) != metrics(injected_rows)
