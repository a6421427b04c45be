"""Searches that are told a mean over scenarios, at equal numbers of scenarios simulated: which scenarios pay?

In scenario s a schedule x costs f(x) + level_s + sum_tp x_tp (lever_sp + cell_stp), with f of the exact problem and
independent normal shocks of mean zero: f is the true mean. The level is what all schedules share (a scenario's demand
and prices); a lever's and a cell's are what makes scenarios disagree about schedules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.search import suites
from benchmarks.search.methods import Bits, Floats, ours
from benchmarks.search.problem import Masked, regret, stream
from benchmarks.search.runs import Job, Run

LEVELS = (30.0, 100.0)  # standard deviations of the level, in the problem's unit
LEVER, CELL = 0.4, 0.8  # of what a lever adds in every epoch, and in one
SCENARIOS = 80_000  # that a search may simulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """How many scenarios a value is the mean of, whether all candidates meet the same ones, and how levels spread."""

    scenarios: int
    common: bool
    level: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.scenarios} {'common' if self.common else 'independent'}, level {self.level:g}"

    @property
    def budget(self) -> int:
        """Return how many candidates a search can afford."""
        return SCENARIOS // self.scenarios

    def at(self, level: float) -> "Estimator":
        """Return the same for another spread of levels."""
        return replace(self, level=level)


FORMS = (
    Estimator(scenarios=8, common=True),
    Estimator(scenarios=8, common=False),
    Estimator(scenarios=64, common=False),
)
ESTIMATORS: Mapping[str, Estimator] = {one.name: one for one in (form.at(level) for level in LEVELS for form in FORMS)}


def shocks(
    estimator: Estimator, draws: np.random.Generator, before: tuple[int, ...], epochs: int, levers: int
) -> tuple[Floats, Floats]:
    """Return levels, (*before, scenarios), and what levers add, (*before, scenarios, epochs, levers)."""
    shape = (*before, estimator.scenarios)
    added = LEVER * draws.standard_normal((*shape, 1, levers))
    added = added + CELL * draws.standard_normal((*shape, epochs, levers))
    return estimator.level * draws.standard_normal(shape), added


def by_scenario(true: Floats, bits: Bits, level: Floats, added: Floats) -> NDArray[np.float64]:
    """Return values, (n, scenarios), of n schedules; shocks are shared, or each schedule has its own in front."""
    form = "ntp,stp->ns" if added.ndim == 3 else "ntp,nstp->ns"
    return true[:, None] + level + np.einsum(form, bits.astype(float), added)


def search(job: Job) -> Run:
    """Run a job of ours in a setting of ESTIMATORS; its score is the true regret of what is recommended."""
    estimator = ESTIMATORS[job.setting]
    problem = Masked(problem=suites.problem(job.problem), seed=job.seed)
    method = ours(job, problem.space)
    epochs, levers = problem.space.epochs, len(problem.space.levers)
    draws = stream(f"scenarios of {job.problem}", job.seed)
    fixed = shocks(estimator, draws, (), epochs, levers)
    done = 0
    while done < job.budget:
        bits, values = method.ask(min(job.width, job.budget - done))
        met = fixed if estimator.common else shocks(estimator, draws, (len(bits),), epochs, levers)
        # Shocks belong to the problem's own levers, whatever mask the method sees them through.
        method.tell_means(by_scenario(problem.evaluate(bits, values), bits ^ problem.flips, *met))
        done += len(bits)
    choice = method.method.recommend()
    return Run(job=job, score=regret(problem, float(problem.evaluate(choice.bits[None], choice.values[None])[0])))
