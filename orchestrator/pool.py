"""Spreads blocks of cells over shards: in this process, or over Ray actors that may die."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from orchestrator.work import Block
from sim_core.errors import InfrastructureError
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.shard_actor import BlockRunner

# One block runs while the next one waits at the actor, so that no actor idles for a round trip.
_BLOCKS_PER_ACTOR = 2
_RETRIES = 3
_START_LIMIT_S = 600.0

OnTable = Callable[[Block, "pa.Table"], None]


class Pool(Protocol):
    """What runs blocks."""

    def run(self, blocks: Sequence[Block], on_table: OnTable) -> None:
        """Run every block once and hand over each table as it is finished, in any order.

        An error of a shard or of on_table propagates with its class and ends the run.
        """
        ...


class InProcessPool:
    """Runs blocks in order in this process. `make_shard` is called at the first block."""

    def __init__(self, make_shard: Callable[[], "BlockRunner"]) -> None:
        self._make_shard = make_shard
        self._shard: BlockRunner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, blocks: Sequence[Block], on_table: OnTable) -> None:
        """See Pool.run."""
        if not blocks:
            return
        shard = self._shard = self._shard or self._make_shard()
        for block in blocks:
            on_table(block, shard.run(block))

    def close(self) -> None:
        """Let the shard go."""
        self._shard = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Task:
    """A block and how many actors died while they held it. A suspect, from the first crash on, runs alone."""

    block: Block
    crashes: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    """An actor and the tasks it holds, in the order in which it runs them; none while it starts."""

    actor: Any
    starting: Any  # the reference that resolves when the process is up, then None
    held: dict[Any, _Task] = field(default_factory=dict)

    def takes(self, task: _Task, depth: int) -> bool:
        """True when the actor may hold this task too, as one of at most `depth`."""
        if task.crashes or any(held.crashes for held in self.held.values()):
            return not self.held
        return len(self.held) < depth


class ActorPool:
    """Spreads blocks over `actors` shard actors of 1 CPU each in the connected Ray runtime.

    A dead actor is replaced and its blocks are run again; a block that kills its actor more than 3 times raises
    InfrastructureError. make_shard: picklable, called in the actor with the suite; None means orchestrator.shard.Shard.
    """

    def __init__(
        self,
        suite: SuiteDefinition,
        *,
        actors: int,
        make_shard: Callable[[SuiteDefinition], "BlockRunner"] | None = None,
    ) -> None:
        import ray

        cpus = int(ray.cluster_resources().get("CPU", 0))
        if not 1 <= actors <= cpus:
            raise InfrastructureError(f"a pool of {actors} actors doesn't fit {cpus} CPUs: ask for 1 to {cpus} actors")
        if make_shard is None:
            from orchestrator.shard import Shard

            make_shard = Shard
        # Stored once: each new actor, also one that replaces a dead one, fetches them.
        self._arguments = (ray.put(suite), ray.put(make_shard))
        self._size = actors
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, blocks: Sequence[Block], on_table: OnTable) -> None:
        """See Pool.run. Also raises InfrastructureError when no actor starts within 10 minutes."""
        for worker in self._workers:
            worker.held.clear()  # left from a run that an error ended
        waiting = deque(_Task(block=block) for block in blocks)
        while waiting or any(worker.held for worker in self._workers):
            self._staff(len(waiting))
            self._hand_out(waiting)
            worker, reference = self._next_event()
            if reference is worker.starting:
                self._started(worker)
            else:
                self._collect(worker, reference, waiting, on_table)

    def close(self) -> None:
        """Kill the actors, which frees their CPUs."""
        import ray

        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers.clear()

    def _staff(self, waiting: int) -> None:
        from orchestrator.shard_actor import RemoteShard

        idle = sum(not worker.held for worker in self._workers)
        for _ in range(min(self._size - len(self._workers), waiting - idle)):
            actor = RemoteShard.remote(*self._arguments)
            self._workers.append(_Worker(actor=actor, starting=actor.ready.remote()))

    def _hand_out(self, waiting: deque[_Task]) -> None:
        for depth in range(1, _BLOCKS_PER_ACTOR + 1):  # one each before anyone gets a second
            for worker in self._workers:
                if waiting and worker.starting is None and worker.takes(waiting[0], depth):
                    task = waiting.popleft()
                    worker.held[worker.actor.run.remote(task.block)] = task

    def _next_event(self) -> tuple[_Worker, Any]:
        import ray

        owners = {reference: worker for worker in self._workers for reference in worker.held}
        running = bool(owners)
        owners.update({worker.starting: worker for worker in self._workers if worker.starting is not None})
        done, _ = ray.wait(list(owners), timeout=None if running else _START_LIMIT_S)
        if not done:
            raise InfrastructureError(
                f"no shard actor started within {_START_LIMIT_S:.0f} s; look for other work that holds the cluster's "
                "CPUs, then repeat the command to resume"
            )
        return owners[done[0]], done[0]

    def _started(self, worker: _Worker) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            ray.get(worker.starting)
            worker.starting = None
        except RayError as error:
            self._workers.remove(worker)
            self._failed_starts += 1
            if self._failed_starts > _RETRIES:
                raise InfrastructureError(f"shard actors don't start; repeat the command to resume: {error}") from error

    def _collect(self, worker: _Worker, reference: Any, waiting: deque[_Task], on_table: OnTable) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            table = ray.get(reference)
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, Exception) else error) from error
        except RayError as error:
            self._replace(worker, waiting, error)
            return
        on_table(worker.held.pop(reference).block, table)

    def _replace(self, worker: _Worker, waiting: deque[_Task], error: Exception) -> None:
        """Put a dead worker's tasks back to the front.

        Which of them ended it can't be told, since the last answers die with the process: all become suspects.
        """
        import ray

        self._workers.remove(worker)
        ray.kill(worker.actor)
        tasks = list(worker.held.values())
        for task in tasks:
            task.crashes += 1
            if task.crashes > _RETRIES:
                first = task.block.cells[0]
                raise InfrastructureError(
                    f"the block of {len(task.block.cells)} cells that starts with {first.controller.kind} on "
                    f"{first.scenario} ended its process {task.crashes} times; repeat the command to resume, with "
                    f"fewer workers if memory ran out: {error}"
                ) from error
        waiting.extendleft(reversed(tasks))


def tables_in_order(pool: Pool, blocks: Sequence[Block]) -> "list[pa.Table]":
    """Run the blocks and return their tables in the blocks' order."""
    tables: dict[int, pa.Table] = {}
    pool.run(blocks, lambda block, table: tables.__setitem__(id(block), table))
    return [tables[id(block)] for block in blocks]
