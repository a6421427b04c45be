"""Gangs over Ray actors: the rows of one process, also after processes were killed in mid-window."""

import os
import signal
from typing import Any

import pytest

from orchestrator.records import CellRow
from orchestrator.runtime import Connection
from sim_core.errors import FenceError
from tests.orchestrator.mesh_bench import LAW, MeshBench


def actors(bench: MeshBench, shards: int) -> list[Any]:
    from orchestrator.mesh_actor import ActorSeat

    return [ActorSeat(bench.plan.suite, bench.windows, number, shards) for number in range(shards)]


def over_actors(bench: MeshBench, shards: int, *kills: tuple[int, int], **options: Any) -> list[CellRow]:
    gang = bench.gang(actors(bench, shards), *kills, every=2)
    try:
        return bench.run(gang, shards, **options)
    finally:
        gang.close()


def test_actors_give_the_rows_of_one_process(ray_runtime: Connection, mesh_bench: MeshBench):
    assert over_actors(mesh_bench, 1) == mesh_bench.plain


def test_a_process_killed_in_mid_window_leaves_no_trace(
    ray_runtime: Connection, mesh_bench: MeshBench, injected_rows: list[CellRow]
):
    """Three shards on two CPUs; one dies before the law is there, one after it."""
    found = over_actors(mesh_bench, 3, (2, 3), (0, 7), arrivals=mesh_bench.arriving(4))
    assert found == injected_rows


def test_a_process_killed_from_outside_is_replaced(ray_runtime: Connection, mesh_bench: MeshBench):
    def murderous(first: int) -> tuple[()]:
        if first == mesh_bench.windows.start(5) and not killed:
            killed.extend(pids())
            os.kill(killed[0], signal.SIGKILL)
        return ()

    def pids() -> list[int]:
        import ray

        return [ray.get(seat._actor.__ray_call__.remote(lambda _: os.getpid())) for seat in gang._seats]

    killed: list[int] = []
    gang = mesh_bench.gang(actors(mesh_bench, 2), every=2)
    assert mesh_bench.run(gang, 2, arrivals=murderous) == mesh_bench.plain
    assert len(killed) == 2 and set(pids()) != set(killed) and gang.epoch == 2
    gang.close()


def test_errors_of_a_shard_keep_their_class(ray_runtime: Connection, mesh_bench: MeshBench):
    (seat,) = actors(mesh_bench, 1)
    seat.start()
    seat.settle()
    with pytest.raises(FenceError, match="stands at window None of epoch 0"):
        seat.receive(seat.send("advance", 1, 0, (LAW,)))
    assert seat.alive
    seat.close()
