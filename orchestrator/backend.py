"""Where a sweep's work is done: on Ray, or in this process. The driver gets every result; it alone journals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from orchestrator.compilation import compile_kernel
from orchestrator.plan import Plan
from orchestrator.progress import Progress
from orchestrator.records import CandidateValue, Generation
from orchestrator.work import Block, SearchJob
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How to run: a local Ray with so many workers, a cluster's address, or this process. tracking: MLflow's URI."""

    workers: int | None = None
    in_process: bool = False
    address: str | None = None
    tracking: str | None = None


class Backend(Protocol):
    """Where work is done. Both ways hand every result to the driver, which alone writes the journal."""

    workers: int

    def searches(
        self,
        jobs: Sequence[SearchJob],
        known: Mapping[str, Mapping[str, CandidateValue]],
        on_generation: Callable[[Generation], None],
    ) -> None:
        """Run searches to their end."""
        ...

    def blocks(self, work: Sequence[Block], on_table: Callable[[Block, "pa.Table"], None]) -> None:
        """Run blocks of cells."""
        ...


class InProcessBackend:
    """Everything in this process, on the same line: for debugging and for machines without Ray."""

    workers = 1

    def __init__(self, suite: SuiteDefinition, engine: str) -> None:
        from orchestrator.pool import InProcessPool
        from orchestrator.shard import Shard

        self._suite = suite
        self._pool = InProcessPool(lambda: Shard(suite, engine))

    def searches(
        self,
        jobs: Sequence[SearchJob],
        known: Mapping[str, Mapping[str, CandidateValue]],
        on_generation: Callable[[Generation], None],
    ) -> None:
        """Run searches one after the other."""
        from orchestrator.pool import tables_in_order
        from orchestrator.search_trial import SearchTrial

        for job in jobs:
            trial = SearchTrial(job, self._suite, known[job.search], lambda work: tables_in_order(self._pool, work))
            last = False
            while not last:
                generation = trial.step()
                on_generation(generation)
                last = generation.last

    def blocks(self, work: Sequence[Block], on_table: Callable[[Block, "pa.Table"], None]) -> None:
        """Run blocks in order."""
        self._pool.run(work, on_table)


class RayBackend:
    """Searches as Ray Tune trials, blocks on a pool of shard actors; the two never hold CPUs together."""

    def __init__(self, suite: SuiteDefinition, workers: int, engine: str) -> None:
        from orchestrator.shard import Shard

        self._suite = suite
        self.workers = workers
        self._make_shard = partial(Shard, engine=engine)

    def searches(
        self,
        jobs: Sequence[SearchJob],
        known: Mapping[str, Mapping[str, CandidateValue]],
        on_generation: Callable[[Generation], None],
    ) -> None:
        """Run searches as the trials of one Tuner.fit."""
        from orchestrator.tune_searcher import run_searches

        run_searches(
            jobs,
            self._suite,
            known,
            on_generation=on_generation,
            concurrent=self.workers,
            make_shard=self._make_shard,
        )

    def blocks(self, work: Sequence[Block], on_table: Callable[[Block, "pa.Table"], None]) -> None:
        """Spread blocks over shard actors."""
        from orchestrator.pool import ActorPool

        with ActorPool(self._suite, actors=min(self.workers, len(work)), make_shard=self._make_shard) as pool:
            pool.run(work, on_table)


class LazyBackend:
    """Connects on the first call: a finished sweep never imports Ray."""

    def __init__(self, plan: Plan, settings: RunSettings, stack: ExitStack, progress: Progress) -> None:
        self._arguments = (plan, settings, progress)
        self._stack = stack.enter_context(ExitStack())
        self._backend: Backend | None = None

    def __call__(self) -> Backend:
        """Return the backend, connected."""
        if self._backend is None:
            self._backend = self._stack.enter_context(connected(*self._arguments))
        return self._backend

    def release(self) -> None:
        """Let go of the cluster before publishing."""
        self._stack.close()


@contextmanager
def connected(plan: Plan, settings: RunSettings, progress: Progress) -> Iterator[Backend]:
    """Yield the backend of the settings, with the kernel compiled wherever it will run."""
    if settings.in_process:
        if plan.engine == "kernel":
            compile_kernel(progress.note)
        yield InProcessBackend(plan.suite, plan.engine)
        return
    from orchestrator.runtime import connect, on_each_node

    with connect(workers=settings.workers, address=settings.address) as connection:
        if plan.engine == "kernel":
            compile_kernel(progress.note, on_each_node)
        yield RayBackend(plan.suite, connection.cpus, plan.engine)
