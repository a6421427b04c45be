"""A thin Ray actor around a plain shard."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import ray

from orchestrator.work import Block
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa


class BlockRunner(Protocol):
    """What simulates a block: orchestrator.shard.Shard, or a stand-in."""

    def run(self, block: Block) -> "pa.Table":
        """Return one row per cell, in the block's order."""
        ...


class ShardActor:
    """Holds one shard in a process of its own.

    A shard has no state but its suite, so a block may be run again, by this actor or another, after a crash. Ray's
    own restarts and retries stay off: who runs what again is decided in one place, orchestrator.pool.
    """

    def __init__(self, suite: SuiteDefinition, make_shard: Callable[[SuiteDefinition], BlockRunner]) -> None:
        self._suite = suite
        self._make_shard = make_shard
        self._shard: BlockRunner | None = None

    def ready(self) -> None:
        """Answer once the process is up."""

    def run(self, block: Block) -> "pa.Table":
        """Return the block's table. Errors of the shard, its constructor's too, reach the caller with their class."""
        if self._shard is None:
            self._shard = self._make_shard(self._suite)
        return self._shard.run(block)


RemoteShard: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(ShardActor)
