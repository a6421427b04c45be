"""What Ray Tune costs: searches through Tune beside the same searches in as many plain processes, in one run.

tune_overhead is the ratio of the walls, the fixed cost included; tune_fixed_s is that cost alone, the wall of searches
of a single candidate in a runtime that is up. The plain processes run before and after, and the mean of both counts: a
machine that others use changes its pace. Both ways have to find the same generations.
"""

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

from benchmarks.report import Metric, listed, machine, report
from orchestrator.compilation import compile_kernel
from orchestrator.plan import make_plan
from orchestrator.pool import InProcessPool, tables_in_order
from orchestrator.records import Generation
from orchestrator.runtime import connect, on_each_node
from orchestrator.search_trial import SearchTrial
from orchestrator.shard import Shard
from orchestrator.spec import load
from orchestrator.tune_searcher import run_searches
from orchestrator.work import SearchJob
from sim_core.seeding import content_id
from sim_core.suite import SuiteDefinition

EXPERIMENT = "experiments/suite_eu.yaml"
LEAST_S = 90.0
METRICS = {"tune_overhead": ("ratio", 1.15, "lower"), "tune_fixed_s": ("s", None, "lower")}
_PROBED = 32  # generations of the search that tells how long a generation takes
_SPARE = 1.1  # searches are made so much longer than they have to be, since the probe is short


def measure(seconds: float = LEAST_S, workers: int = 2) -> list[Metric]:
    """Return the figures for `workers` searches at once, each of at least so many seconds.

    Raises RuntimeError where the two ways find other generations.
    """
    plan = make_plan(load(EXPERIMENT))
    (job,) = plan.searches["schedule"]
    jobs = [
        replace(job, search=content_id("bench", number), entry=f"search {number}", seed=number, width=64, finalists=1)
        for number in range(workers)
    ]
    compile_kernel(print)
    probe_s, _ = _plainly([replace(one, budget=_PROBED * 64) for one in jobs], plan.suite)
    start_s, _ = _plainly([replace(one, budget=1, width=1) for one in jobs], plan.suite)
    generations = max(_PROBED, round(_SPARE * _PROBED * seconds / max(1e-3, probe_s - start_s)))
    long = [replace(one, budget=generations * 64) for one in jobs]
    plain_s, plain = _plainly(long, plan.suite)
    with connect(workers=workers, address=None):
        compile_kernel(print, on_each_node)
        fixed_s, _ = _through_tune([replace(one, budget=1, width=1) for one in jobs], plan.suite)
        tune_s, tuned = _through_tune(long, plan.suite)
    again_s, _ = _plainly(long, plan.suite)
    if plain != tuned:
        raise RuntimeError("searches through Tune and in plain processes found other generations")
    note = (
        f"{workers} searches of {generations} generations at once: {plain_s:.1f} and {again_s:.1f} s in processes, "
        f"{tune_s:.1f} s through Tune"
    )
    print(note)
    found = {"tune_overhead": tune_s / (0.5 * (plain_s + again_s)), "tune_fixed_s": fixed_s}
    notes = {"tune_overhead": note}
    return list(listed(METRICS, found, notes))


def _plainly(jobs: Sequence[SearchJob], suite: SuiteDefinition) -> tuple[float, dict[str, str]]:
    """Return the wall of searches in a process each, and what they found."""
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(jobs), mp_context=context) as pool:
        found = list(pool.map(partial(_run, suite=suite), jobs))
    return time.perf_counter() - began, dict(found)


def _run(job: SearchJob, suite: SuiteDefinition) -> tuple[str, str]:
    pool = InProcessPool(lambda: Shard(suite))
    trial = SearchTrial(job, suite, {}, lambda blocks: tables_in_order(pool, blocks))
    generations = [trial.step()]
    while not generations[-1].last:
        generations.append(trial.step())
    return job.search, _digest(generations)


def _through_tune(jobs: Sequence[SearchJob], suite: SuiteDefinition) -> tuple[float, dict[str, str]]:
    told: dict[str, list[Generation]] = {job.search: [] for job in jobs}
    began = time.perf_counter()
    run_searches(jobs, suite, {}, on_generation=lambda one: told[one.search].append(one), concurrent=len(jobs))
    return time.perf_counter() - began, {search: _digest(generations) for search, generations in told.items()}


def _digest(generations: Sequence[Generation]) -> str:
    return content_id("generations", [generation.body() for generation in generations])


def main() -> None:
    """Measure, print and write build/bench/search_tune.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=LEAST_S)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(machine())
    report("search_tune", measure(options.seconds, options.workers))


if __name__ == "__main__":
    main()
