"""A search that is told the exact value of each candidate."""

import time

import numpy as np

from benchmarks.search import suites
from benchmarks.search.methods import Ours, start
from benchmarks.search.problem import Masked, Problem, regret
from benchmarks.search.runs import Job, Run


def search(job: Job, problem: Problem | None = None) -> Run:
    """Run a job to the end of its budget, on the masked problem of its name unless another one is given."""
    problem = problem or Masked(problem=suites.problem(job.problem), seed=job.seed)
    begun = time.process_time()
    method = start(job, problem.space)
    spent = time.process_time() - begun
    asks: list[float] = []
    trace: list[tuple[int, float]] = []
    done, best = 0, np.inf
    while done < job.budget:
        begun = time.process_time()
        bits, values = method.ask(min(job.width, job.budget - done))
        asks.append(time.process_time() - begun)
        told = problem.evaluate(bits, values)
        begun = time.process_time()
        method.tell(told)
        spent += time.process_time() - begun
        told = told[: job.budget - done]  # a peer may propose more than it was asked for; that doesn't count
        before = np.minimum.accumulate(np.concatenate([[best], told]))
        improved = np.flatnonzero(told < before[:-1])
        trace += [(done + int(place) + 1, regret(problem, float(told[place]))) for place in improved]
        done, best = done + len(told), float(before[-1])
    recommended = None
    if isinstance(method, Ours):
        choice = method.method.recommend()
        recommended = regret(problem, float(problem.evaluate(choice.bits[None], choice.values[None])[0]))
    return Run(
        job=job,
        score=regret(problem, best),
        trace=tuple(trace),
        recommended=recommended,
        cpu_us=(spent + sum(asks)) / done * 1e6,
        ask_ms=float(np.median(asks)) * 1e3,
    )
