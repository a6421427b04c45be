"""Where a sweep's work is done: on Ray, or in this process. The driver gets every result; it alone journals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

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

    def __init__(self, suite: SuiteDefinition) -> None:
        from orchestrator.pool import InProcessPool
        from orchestrator.shard import Shard

        self._suite = suite
        self._pool = InProcessPool(lambda: Shard(suite))

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

    def __init__(self, suite: SuiteDefinition, workers: int) -> None:
        self._suite = suite
        self.workers = workers

    def searches(
        self,
        jobs: Sequence[SearchJob],
        known: Mapping[str, Mapping[str, CandidateValue]],
        on_generation: Callable[[Generation], None],
    ) -> None:
        """Run searches as the trials of one Tuner.fit."""
        from orchestrator.tune_searcher import run_searches

        run_searches(jobs, self._suite, known, on_generation=on_generation, concurrent=self.workers)

    def blocks(self, work: Sequence[Block], on_table: Callable[[Block, "pa.Table"], None]) -> None:
        """Spread blocks over shard actors."""
        from orchestrator.pool import ActorPool

        with ActorPool(self._suite, actors=min(self.workers, len(work))) as pool:
            pool.run(work, on_table)


class LazyBackend:
    """Connects on the first call: a finished sweep never imports Ray."""

    def __init__(self, suite: SuiteDefinition, settings: RunSettings, stack: ExitStack) -> None:
        self._suite = suite
        self._settings = settings
        self._stack = stack.enter_context(ExitStack())
        self._backend: Backend | None = None

    def __call__(self) -> Backend:
        """Return the backend, connected."""
        if self._backend is None:
            self._backend = self._stack.enter_context(_connected(self._suite, self._settings))
        return self._backend

    def release(self) -> None:
        """Let go of the cluster before publishing."""
        self._stack.close()


@contextmanager
def _connected(suite: SuiteDefinition, settings: RunSettings) -> Iterator[Backend]:
    if settings.in_process:
        yield InProcessBackend(suite)
        return
    from orchestrator.runtime import connect

    with connect(workers=settings.workers, address=settings.address) as connection:
        yield RayBackend(suite, connection.cpus)
