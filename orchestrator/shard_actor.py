"""A thin Ray actor around a plain shard."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import ray

from orchestrator.work import Work
from sim_core.suite import SuiteDefinition

AnyWork_contra = TypeVar("AnyWork_contra", bound=Work, contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Runner(Protocol[AnyWork_contra, Answer_co]):
    """What does one kind of work, such as orchestrator.shard.Shard, whose answer to a block is a table of its cells."""

    def run(self, block: AnyWork_contra, /) -> Answer_co:
        """Return the answer, a function of the work alone."""
        ...


class ShardActor:
    """Holds one shard in a process of its own.

    A shard has no state but its suite, so a block may be run again, by this actor or another, after a crash. Ray's
    own restarts and retries stay off: who runs what again is decided in one place, orchestrator.pool.
    """

    def __init__(self, suite: SuiteDefinition, make_shard: Callable[[SuiteDefinition], Runner[Any, Any]]) -> None:
        self._suite = suite
        self._make_shard = make_shard
        self._shard: Runner[Any, Any] | None = None

    def ready(self) -> None:
        """Answer once the process is up."""

    def run(self, block: Work) -> Any:
        """Return the shard's answer. Errors of the shard, its constructor's too, reach the caller with their class."""
        if self._shard is None:
            self._shard = self._make_shard(self._suite)
        return self._shard.run(block)


RemoteShard: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(ShardActor)
