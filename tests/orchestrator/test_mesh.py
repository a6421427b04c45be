"""How runs are cut into shards and time into windows, and what `auto` takes."""

import re
from typing import Any

import pytest

from orchestrator.mesh import Choice, Kill, Mesh, Windows, choose, injected
from orchestrator.work import Injection
from sim_core.errors import InputError
from tests.orchestrator.mesh_bench import DUTY, LAW, MeshBench


def test_a_mesh_is_read_as_it_is_written():
    assert Mesh.parse("12x1") == Mesh(scenario_shards=12, node_shards=1)
    assert str(Mesh.parse("12x1")) == "12x1"


@pytest.mark.parametrize("text", ["", "2", "x", "0x1", "2x0", "2X1", "-1x1", "2x1x1", "99999x1", " 2x1", "2.0x1"])
def test_what_is_no_mesh_is_refused_with_a_remedy(text: str):
    with pytest.raises(InputError, match=r"is no mesh; write SCENARIOSxNODES, for instance 2x1, or auto"):
        Mesh.parse(text)


def test_nodes_are_not_cut_yet():
    with pytest.raises(InputError, match="can't be cut yet; write 2x1"):
        Mesh.parse("2x4")


@pytest.mark.parametrize(("shards", "sizes"), [(1, [6]), (2, [3, 3]), (4, [1, 2, 1, 2]), (9, [1] * 6)])
def test_shards_hold_all_cells_in_their_order(mesh_bench: MeshBench, shards: int, sizes: list[int]):
    shares = Mesh(scenario_shards=shards).shares(mesh_bench.cells)
    assert [len(share) for share in shares] == sizes
    assert [cell for share in shares for cell in share] == mesh_bench.cells
    assert Mesh().shares([]) == []


@pytest.mark.parametrize(
    ("epoch", "starts"),
    [(12, [0, 12, 24, 30]), (1, [0, 12, 24, 30]), (5, [0, 15, 30]), (24, [0, 24, 30]), (99, [0, 30])],
)
def test_windows_are_whole_review_epochs(epoch: int, starts: list[int]):
    suite = MeshBench(warm_up=0, scored=24, run_out=6, epoch_months=epoch).plan.suite
    windows = Windows.of(suite)
    assert [windows.start(window) for window in range(windows.count + 1)] == starts


def test_a_fault_is_read_and_must_be_of_this_run():
    windows = Windows(periods=24, length=12)
    assert Kill.parse("kill:shard=2,window=1", Mesh(scenario_shards=3), windows) == Kill(shard=2, window=1)
    for text in ("kill:shard=3,window=1", "kill:shard=0,window=2"):
        with pytest.raises(InputError, match="mesh 3x1 has shards 0 to 2, this run windows 0 to 1"):
            Kill.parse(text, Mesh(scenario_shards=3), windows)
    with pytest.raises(InputError, match="is no fault; write kill:shard=I,window=J"):
        Kill.parse("kill -9", Mesh(), windows)


@pytest.mark.parametrize(
    ("cells", "cpus", "expected"),
    [
        (40, 4, Choice(mesh=Mesh(scenario_shards=4), in_process=False, window_s=0.2)),
        (40, 40, Choice(mesh=Mesh(scenario_shards=20), in_process=False, window_s=0.04)),  # 40 windows of 20 ms
        (3, 4, Choice(mesh=Mesh(), in_process=True, window_s=0.06)),
        (40, 1, Choice(mesh=Mesh(), in_process=True, window_s=0.8, reason="1 CPU")),
        (1, 4, Choice(mesh=Mesh(), in_process=True, window_s=0.02, reason="1 run")),
    ],
)
def test_auto_takes_a_shard_a_cpu_while_windows_are_long_enough(cells: int, cpus: int, expected: Choice):
    found = choose(cells, 1_000_000, Windows(periods=120, length=12), cpus)
    assert (found.mesh, found.in_process, found.reason) == (expected.mesh, expected.in_process, expected.reason)
    assert found.window_s == pytest.approx(expected.window_s)


def test_a_choice_says_why():
    windows = Windows(periods=120, length=12)
    assert str(choose(40, 1_000_000, windows, 4)) == "4x1 over Ray (a window takes a shard about 200 ms)"
    assert str(choose(3, 1_000_000, windows, 4)).endswith("below 40 ms calls would cost too much)")
    assert str(choose(40, 1_000_000, windows, 1)) == "1x1 in this process (1 CPU)"


def check_injected_keys(mesh_bench: MeshBench, rekeyed: Any = injected) -> None:
    cells = mesh_bench.cells
    laws = [(), (LAW,), (Injection(instrument=DUTY, period=27),), (LAW, LAW), (Injection(instrument={}, period=26),)]
    keys = [cell.key for law in laws for cell in rekeyed(cells, law)]
    assert len(set(keys)) == len(laws) * len(cells)
    assert rekeyed(cells, ()) == cells
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)


def test_injected_runs_have_keys_of_their_own(mesh_bench: MeshBench):
    check_injected_keys(mesh_bench)


def test_a_key_without_the_period_is_found(mesh_bench: MeshBench):
    def timeless(cells: Any, law: Any) -> Any:
        return injected(cells, [Injection(instrument=one.instrument, period=0) for one in law])

    with pytest.raises(AssertionError):
        check_injected_keys(mesh_bench, timeless)
