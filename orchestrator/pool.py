"""Spreads blocks of work over shards: in this process, or over Ray actors that may die."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from orchestrator.work import Block, Work
from sim_core.errors import InfrastructureError
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.shard_actor import Runner

# One block runs while the next one waits at the actor, so that no actor idles for a round trip.
_BLOCKS_PER_ACTOR = 2
_RETRIES = 3
_START_LIMIT_S = 600.0

AnyWork = TypeVar("AnyWork", bound=Work)
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Pool(Protocol[AnyWork, Answer_co]):
    """What runs blocks."""

    def run(self, blocks: Sequence[AnyWork], on_answer: Callable[[AnyWork, Answer_co], None]) -> None:
        """Run every block once and hand over each answer as it is finished, in any order.

        An error of a shard or of on_answer propagates with its class and ends the run.
        """
        ...


class InProcessPool(Generic[AnyWork, Answer]):
    """Runs blocks in order in this process. `make_shard` is called at the first block."""

    def __init__(self, make_shard: "Callable[[], Runner[AnyWork, Answer]]") -> None:
        self._make_shard = make_shard
        self._shard: Runner[AnyWork, Answer] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, blocks: Sequence[AnyWork], on_answer: Callable[[AnyWork, Answer], None]) -> None:
        """See Pool.run."""
        if not blocks:
            return
        shard = self._shard = self._shard or self._make_shard()
        for block in blocks:
            on_answer(block, shard.run(block))

    def close(self) -> None:
        """Let the shard go."""
        self._shard = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Task(Generic[AnyWork]):
    """A block and how many actors died while they held it. A suspect, from the first crash on, runs alone."""

    block: AnyWork
    crashes: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker(Generic[AnyWork]):
    """An actor and the tasks it holds, in the order in which it runs them; none while it starts."""

    actor: Any
    starting: Any  # the reference that resolves when the process is up, then None
    held: dict[Any, _Task[AnyWork]] = field(default_factory=dict)

    def takes(self, task: _Task[AnyWork], depth: int) -> bool:
        """True when the actor may hold this task too, as one of at most `depth`."""
        if task.crashes or any(held.crashes for held in self.held.values()):
            return not self.held
        return len(self.held) < depth


class ActorPool(Generic[AnyWork, Answer]):
    """Spreads blocks over `actors` shard actors of 1 CPU each in the connected Ray runtime.

    A dead actor is replaced and its blocks are run again; a block that kills its actor more than 3 times raises
    InfrastructureError. make_shard: picklable, called in the actor with the suite, such as orchestrator.shard.Shard.
    """

    def __init__(
        self,
        suite: SuiteDefinition,
        *,
        actors: int,
        make_shard: "Callable[[SuiteDefinition], Runner[AnyWork, Answer]]",
    ) -> None:
        import ray

        cpus = int(ray.cluster_resources().get("CPU", 0))
        if not 1 <= actors <= cpus:
            raise InfrastructureError(f"a pool of {actors} actors doesn't fit {cpus} CPUs: ask for 1 to {cpus} actors")
        # Stored once: each new actor, also one that replaces a dead one, fetches them.
        self._arguments = (ray.put(suite), ray.put(make_shard))
        self._size = actors
        self._workers: list[_Worker[AnyWork]] = []
        self._failed_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, blocks: Sequence[AnyWork], on_answer: Callable[[AnyWork, Answer], None]) -> None:
        """See Pool.run. Also raises InfrastructureError when no actor starts within 10 minutes."""
        for worker in self._workers:
            worker.held.clear()  # left from a run that an error ended
        waiting = deque(_Task[AnyWork](block=block) for block in blocks)
        while waiting or any(worker.held for worker in self._workers):
            self._staff(len(waiting))
            self._hand_out(waiting)
            worker, reference = self._next_event()
            if reference is worker.starting:
                self._started(worker)
            else:
                self._collect(worker, reference, waiting, on_answer)

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
            self._workers.append(_Worker[AnyWork](actor=actor, starting=actor.ready.remote()))

    def _hand_out(self, waiting: deque[_Task[AnyWork]]) -> None:
        for depth in range(1, _BLOCKS_PER_ACTOR + 1):  # one each before anyone gets a second
            for worker in self._workers:
                if waiting and worker.starting is None and worker.takes(waiting[0], depth):
                    task = waiting.popleft()
                    worker.held[worker.actor.run.remote(task.block)] = task

    def _next_event(self) -> tuple[_Worker[AnyWork], Any]:
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

    def _started(self, worker: _Worker[AnyWork]) -> None:
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

    def _collect(
        self,
        worker: _Worker[AnyWork],
        reference: Any,
        waiting: deque[_Task[AnyWork]],
        on_answer: Callable[[AnyWork, Answer], None],
    ) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            answer: Any = ray.get(reference)
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, Exception) else error) from error
        except RayError as error:
            self._replace(worker, waiting, error)
            return
        on_answer(worker.held.pop(reference).block, answer)

    def _replace(self, worker: _Worker[AnyWork], waiting: deque[_Task[AnyWork]], error: Exception) -> None:
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
                raise InfrastructureError(
                    f"the {task.block.label} ended its process {task.crashes} times; repeat the command to resume, "
                    f"with fewer workers if memory ran out: {error}"
                ) from error
        waiting.extendleft(reversed(tasks))


def tables_in_order(pool: "Pool[Block, pa.Table]", blocks: Sequence[Block]) -> "list[pa.Table]":
    """Run the blocks and return their tables in the blocks' order."""
    tables: dict[int, pa.Table] = {}
    pool.run(blocks, lambda block, table: tables.__setitem__(id(block), table))
    return [tables[id(block)] for block in blocks]
