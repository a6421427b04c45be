import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from orchestrator.pool import ActorPool, InProcessPool, tables_in_order
from orchestrator.runtime import Connection
from orchestrator.work import Block, Cell
from sim_core.control import ControllerRecord
from sim_core.errors import BalanceError, InfrastructureError
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SUITE = SuiteDefinition(
    name="pool",
    products=(ProductShare(archetype="ev_battery"),),
    network="small",
    seed=7,
    start="2025-01",
    warm_up=1,
    scored=2,
    run_out=1,
    splits={name: SplitDefinition(families=(name,), scenarios=1) for name in ("train", "validation", "test")},
    shortfall_price={},
)


class FakeShard:
    """Tells each cell's key and the suite's seed."""

    def __init__(self, suite: SuiteDefinition) -> None:
        self.seed = suite.seed

    def run(self, block: Block) -> pa.Table:
        return pa.table({"key": [cell.key for cell in block.cells], "seed": [self.seed] * len(block.cells)})


class CrashingShard(FakeShard):
    """Ends its process when it meets a cell whose flag file is missing, after writing the file if it may."""

    def __init__(self, suite: SuiteDefinition, folder: str, *, heals: bool) -> None:
        super().__init__(suite)
        self.folder, self.heals = folder, heals

    def run(self, block: Block) -> pa.Table:
        flag = Path(self.folder) / "crashed"
        if any(cell.key == "bad" for cell in block.cells) and not flag.exists():
            if self.heals:
                flag.touch()
            else:
                with (Path(self.folder) / "tries").open("a") as tries:
                    tries.write("x")
            os._exit(1)
        return super().run(block)


class CrashingFactory:
    def __init__(self, folder: Path, *, heals: bool) -> None:
        self.folder, self.heals = str(folder), heals

    def __call__(self, suite: SuiteDefinition) -> CrashingShard:
        return CrashingShard(suite, self.folder, heals=self.heals)


class UnbalancedShard(FakeShard):
    def run(self, block: Block) -> pa.Table:
        raise BalanceError(f"run {block.cells[0].key}: 1 kg of cobalt appeared")


class UnbuildableShard(FakeShard):
    def __init__(self, suite: SuiteDefinition) -> None:
        raise BalanceError(f"suite {suite.name}: no balance at the start")


def split(cells: Sequence[Cell], size: int) -> list[Block]:
    return [Block(cells=tuple(cells[start : start + size])) for start in range(0, len(cells), size)]


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """Workers can't import a test module, so its classes travel as code."""
    from ray import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def cells(*keys: str) -> list[Cell]:
    return [Cell(key=key, scenario="train/0", controller=ControllerRecord(kind="linear")) for key in keys]


def collect(pool: InProcessPool | ActorPool, blocks: list[Block]) -> list[list[str]]:
    return sorted(table["key"].to_pylist() for table in tables_in_order(pool, blocks))


def test_in_process_runs_in_order_with_one_shard() -> None:
    made = []

    def make() -> FakeShard:
        made.append(1)
        return FakeShard(SUITE)

    order = []
    with InProcessPool(make) as pool:
        pool.run([], lambda *_: None)
        assert not made
        pool.run(split(cells(*"abc"), 1), lambda block, _: order.append(block.cells[0].key))
        pool.run(split(cells("d"), 1), lambda block, _: order.append(block.cells[0].key))
    assert order == list("abcd")
    assert len(made) == 1


@pytest.mark.parametrize("actors", [1, 2])
def test_actors_give_the_tables_of_the_process(ray_runtime: Connection, actors: int) -> None:
    blocks = split(cells(*(f"cell-{i:02}" for i in range(23))), 2)
    expected = tables_in_order(InProcessPool(lambda: FakeShard(SUITE)), blocks)
    with ActorPool(SUITE, actors=actors, make_shard=FakeShard) as pool:
        first = tables_in_order(pool, blocks)
        again = tables_in_order(pool, blocks[:3])
    assert first == expected
    assert again == expected[:3]


def test_close_frees_the_cpus(ray_runtime: Connection) -> None:
    for _ in range(2):  # the second pool would wait for ever for the first one's CPUs
        with ActorPool(SUITE, actors=2, make_shard=FakeShard) as pool:
            assert collect(pool, split(cells("a", "b", "c"), 1)) == [["a"], ["b"], ["c"]]


def test_a_killed_actor_is_replaced_and_its_blocks_run_again(ray_runtime: Connection, tmp_path: Path) -> None:
    blocks = split(cells("a", "b", "bad", "c", "d", "e"), 1)
    told: list[str] = []
    with ActorPool(SUITE, actors=2, make_shard=CrashingFactory(tmp_path, heals=True)) as pool:
        pool.run(blocks, lambda _, table: told.extend(table["key"].to_pylist()))
    assert (tmp_path / "crashed").exists()
    assert sorted(told) == ["a", "b", "bad", "c", "d", "e"]


def test_a_block_that_always_kills_its_actor_is_tried_four_times(ray_runtime: Connection, tmp_path: Path) -> None:
    told: list[str] = []
    with (
        ActorPool(SUITE, actors=1, make_shard=CrashingFactory(tmp_path, heals=False)) as pool,
        pytest.raises(InfrastructureError, match=r"linear on train/0 ended its process 4 times.*resume"),
    ):
        pool.run(split(cells("a", "bad", "b"), 1), lambda _, table: told.extend(table["key"].to_pylist()))
    assert (tmp_path / "tries").read_text() == "xxxx"
    assert told == ["a"]


@pytest.mark.parametrize("shard", [UnbalancedShard, UnbuildableShard])
def test_a_deterministic_error_keeps_its_class_and_is_not_retried(
    ray_runtime: Connection, shard: type[FakeShard]
) -> None:
    with ActorPool(SUITE, actors=1, make_shard=shard) as pool, pytest.raises(BalanceError) as caught:
        collect(pool, split(cells("a"), 1))
    assert type(caught.value) is BalanceError


def test_an_error_of_the_receiver_ends_the_run_and_the_pool_stays_usable(ray_runtime: Connection) -> None:
    def refuse(block: Block, table: pa.Table) -> None:
        raise KeyError("disk full")

    with ActorPool(SUITE, actors=1, make_shard=FakeShard) as pool:
        with pytest.raises(KeyError, match="disk full"):
            pool.run(split(cells("a", "b"), 1), refuse)
        assert collect(pool, split(cells("c"), 1)) == [["c"]]


def test_more_actors_than_cpus_are_refused(ray_runtime: Connection) -> None:
    with pytest.raises(InfrastructureError, match="1 to 2 actors"):
        ActorPool(SUITE, actors=3, make_shard=FakeShard)
