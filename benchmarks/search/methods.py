"""A method at the start of a job, ours or a peer's, behind one ask and tell over arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import optimizers
from benchmarks.search import peers
from benchmarks.search.runs import Job
from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]


class Ours:
    """A method of optimizers/."""

    def __init__(self, method: Optimizer) -> None:
        self.method = method
        self.asked: list[Candidate] = []

    def ask(self, n: int) -> tuple[Bits, Floats]:
        """Return bits, (n, epochs, levers), and parameters, (n, parameters)."""
        self.asked = self.method.ask(n)
        return np.stack([one.bits for one in self.asked]), np.stack([one.values for one in self.asked])

    def tell(self, values: Floats) -> None:
        """Tell exact values of what was asked last."""
        found = zip(self.asked, values.tolist(), strict=True)
        self.method.tell([Evaluation(candidate=one, value=y, standard_error=0.0, n=1) for one, y in found])

    def tell_means(self, scenarios: Floats) -> None:
        """Tell means and standard errors of values by scenario, shape (n, scenarios)."""
        errors = scenarios.std(axis=1, ddof=1) / np.sqrt(scenarios.shape[1])
        found = zip(self.asked, scenarios.mean(axis=1).tolist(), errors.tolist(), strict=True)
        number = scenarios.shape[1]
        told = [Evaluation(candidate=one, value=y, standard_error=e, n=number) for one, y, e in found]
        self.method.tell(told)

    def tell_objectives(self, *objectives: Floats) -> None:
        """Tell several values of each, the first of them as the value."""
        found = zip(self.asked, zip(*(one.tolist() for one in objectives), strict=True), strict=True)
        self.method.tell(
            [Evaluation(candidate=one, value=all_[0], standard_error=0.0, n=1, objectives=all_) for one, all_ in found]
        )


class Theirs:
    """A peer's points as bits and parameters."""

    def __init__(self, space: SearchSpace, peer: peers.Peer) -> None:
        self.space = space
        self.peer = peer

    def ask(self, n: int) -> tuple[Bits, Floats]:
        """Return bits, (n, epochs, levers), and parameters, (n, parameters)."""
        return peers.split(self.space, self.peer.ask(n))

    def tell(self, values: Floats) -> None:
        """Tell exact values of what was asked last."""
        self.peer.tell(values)


def start(job: Job, space: SearchSpace) -> Ours | Theirs:
    """Return the job's method at its start."""
    if job.method in peers.PEERS:
        return Theirs(space, peers.peer(job.method, space, budget=job.budget, width=job.width, seed=job.seed))
    return ours(job, space)


def ours(job: Job, space: SearchSpace) -> Ours:
    """Return the job's method at its start, one of optimizers/."""
    told: dict[str, Any] = {"budget": job.budget, "width": job.width, "seed": job.seed}
    return Ours(optimizers.get(job.method)(space, **told))
