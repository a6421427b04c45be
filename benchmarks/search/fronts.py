"""Searches for the trade-off of cost and carbon, against the exact front of the dynamic programme."""

from typing import Any

import numpy as np

from benchmarks.search import suites
from benchmarks.search.methods import Floats, Ours, start
from benchmarks.search.problem import Masked
from benchmarks.search.runs import Job, Run
from benchmarks.search.schedules import ScheduleProblem, front

_BEYOND = 0.1  # the reference point lies so far beyond the worst corner of the exact front, in its ranges


def hypervolume(points: Floats, reference: Floats) -> float:
    """Return the area that points, (n, 2), both minimised, dominate below a reference point, (2,)."""
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    order = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    floor = np.minimum.accumulate(order[:, 1])
    widths = np.append(order[1:, 0], reference[0]) - order[:, 0]
    return float((widths * (reference[1] - floor)).sum())


def share(problem: ScheduleProblem, points: Floats) -> float:
    """Return the hypervolume of (cost, carbon) points over that of the exact front."""
    carbon, cost = front(problem.instance)
    exact = np.column_stack([cost, carbon.astype(float)])
    reference = exact.max(axis=0) + _BEYOND * np.ptp(exact, axis=0)
    return hypervolume(points, reference) / hypervolume(exact, reference)


def search(job: Job) -> Run:
    """Run a job of a schedule problem in the setting "front"; its score is the share of the hypervolume."""
    problem = suites.problem(job.problem)
    if not isinstance(problem, ScheduleProblem):
        raise TypeError(f"{job.problem} has one objective")
    masked = Masked(problem=problem, seed=job.seed)
    method = start(job, masked.space)
    told: list[Floats] = []
    done = 0
    while done < job.budget:
        bits, values = method.ask(min(job.width, job.budget - done))
        found = problem.objectives(bits ^ masked.flips, values)
        if isinstance(method, Ours):
            method.tell_objectives(*found)
        else:
            method.tell(np.column_stack(found))
        told.append(np.column_stack(found))
        done += len(bits)
    # A peer is given all that it was ever told, a method of ours what it answers when it is asked for its front.
    points = [answer(method)] if isinstance(method, Ours) else told
    return Run(job=job, score=share(problem, np.concatenate(points)))


def answer(method: Ours) -> Floats:
    """Return the objectives of a method's own front, shape (points, 2)."""
    searched: Any = method.method
    return np.array([objectives for _, objectives in searched.front()], dtype=float)
