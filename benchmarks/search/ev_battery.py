"""The real suite as a search problem: the EV-battery network of experiments/search_ev.yaml on eight training scenarios.

A candidate's value is its mean J over these eight, EUR, by the line that sweeps take (orchestrator.shard). Its optimum
isn't known; in its place stands the mean of the scenarios' bounds, which no control can beat, with perfect information
or without. A regret of 0 can't be reached then; differences between methods are what counts.
"""

import functools
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ROOT
from benchmarks.search.problem import sampled_mean
from optimizers.archive import Points
from optimizers.contract import SearchSpace
from optimizers.control_space import search_space, to_record
from orchestrator.shard import Shard
from orchestrator.spec import load
from orchestrator.tables import rows, without_cpu_seconds
from orchestrator.work import Block, Cell
from sim_core.bound import bound

SCENARIOS = 8  # what a search of the experiment looks at, too
_EXPERIMENT = ROOT / "experiments" / "search_ev.yaml"
_SAMPLES = 512  # uniform candidates behind mean_random


@dataclass(frozen=True, slots=True, kw_only=True)
class EvBattery:
    """Schedules of levers and targets for the suite's network. mean_random is NaN until it is computed."""

    shard: Shard = field(repr=False)
    space: SearchSpace
    scenarios: tuple[str, ...]
    optimum: float
    mean_random: float = float("nan")
    name: str = "ev_battery"

    def evaluate(self, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each candidate's mean J. Raises RuntimeError where a run fails: no schedule of this suite does."""
        cells = [
            Cell(key=f"{number}/{scenario}", scenario=scenario, controller=to_record("schedule", one, self.space))
            for number, one in enumerate(Points(bits=bits.copy(), values=values).candidates())
            for scenario in self.scenarios
        ]
        found = rows(without_cpu_seconds(self.shard.run(Block(cells=tuple(cells))))[0])
        costs = [row.metrics.get("objective") for row in found]
        if None in costs:
            raise RuntimeError(next(row.message for row in found if row.status != "ok"))
        return np.array(costs, dtype=np.float64).reshape(len(bits), len(self.scenarios)).mean(axis=1)


@functools.cache
def ev_battery() -> EvBattery:
    """Return the problem, built once in a process: its bounds take a minute."""
    suite = load(_EXPERIMENT).to_suite()
    shard = Shard(suite)
    scenarios = tuple(suite.scenarios("train")[:SCENARIOS])
    lowest = np.mean([bound(shard.layout, shard.scenario(one)).lower for one in scenarios])
    space = search_space(shard.layout, "schedule")
    found = EvBattery(shard=shard, space=space, scenarios=scenarios, optimum=float(lowest))
    return replace(found, mean_random=sampled_mean(found, _SAMPLES)[0])
