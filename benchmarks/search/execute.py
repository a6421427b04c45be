"""Jobs into runs: one by one, or many in processes."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.search import exact, fronts, noise
from benchmarks.search.runs import SUITE, Job, Run

FRONT = "front"


def execute(job: Job) -> Run:
    """Run a search to the end of its budget. One that raises has a fault instead of a score."""
    search: Callable[[Job], Run] = {"exact": exact.search, FRONT: fronts.search, SUITE: _on_suite}.get(
        job.setting, noise.search
    )
    try:
        return search(job)
    except Exception as error:  # noqa: BLE001 - a method that can't is a dash in the table, not the end of it
        return Run(job=job, score=None, fault=f"{type(error).__name__}: {error}"[:200])


def _on_suite(job: Job) -> Run:
    """Run a job on the real suite, without a mask: all methods begin at its known practice, as in a sweep."""
    from benchmarks.search.ev_battery import ev_battery  # loads the kernel

    return exact.search(job, ev_battery())


def execute_all(jobs: Sequence[Job], *, processes: int, more_packages: Sequence[str] = ()) -> Iterator[Run]:
    """Yield runs as they finish. more_packages: folders that come last on the path of the processes."""
    if not jobs:
        return
    # Spawned, not forked: a process starts with nothing but what it imports, as on every platform.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=sys.path.extend, initargs=(list(more_packages),)) as pool:
        yield from pool.imap_unordered(execute, jobs, chunksize=1)
