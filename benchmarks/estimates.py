"""Estimates from simulated runs: means with standard errors, sharpened by what is known of the random input.

Much of the error of a mean cost comes from demand and returns that happened to be high or low. Their moments are known,
so the cost is regressed on them and read off where they have their expected values (control variates; Glasserman,
"Monte Carlo Methods in Financial Engineering", 2003, section 4.1). The mean is the same, its error less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.plan import Plan, make_plan
from orchestrator.shard import Shard
from orchestrator.spec import load
from sim_core.exogenous import Process
from sim_core.network import Network, Node
from sim_core.suite import SuiteDefinition

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
SERIES = ("cost", "ordered", "produced", "sold", "backlog", "goods_on_hand", "in_use", "ended_use")

Values = NDArray[np.float64]
Trace = Mapping[str, Values]  # series by name, (periods, runs)
Finding = tuple[Values, Values]  # (k,) numbers and their standard errors
_RANDOM = ("normal", "poisson", "pmf", "ar1")
_POWERS = 4
_PAIRS = ((0, 0), (1, 0), (2, 0), (3, 0), (0, 1))  # lags of demand and returns
_LAGS = {0: (), 1: (1, 2, 3, 4, 5), 2: (1, 2)}  # by the number of sources: each control costs a degree of freedom


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All entries of an experiment on the same scenarios: their scored series, and the controls (runs, k) of mean 0."""

    series: Mapping[str, Trace]
    controls: Values


@cache
def plan_of(file: str) -> Plan:
    """Return the plan of an experiment file."""
    return make_plan(load(EXPERIMENTS / file))


@lru_cache(maxsize=1)
def runs_of(file: str, runs: int) -> Runs:
    """Simulate all entries of an experiment on its first `runs` test scenarios."""
    plan = plan_of(file)
    scenarios = replace(plan.suite, splits={"test": replace(plan.suite.splits["test"], scenarios=runs)})
    shard, few = Shard(plan.suite), replace(plan, suite=scenarios)
    cells = [cell for entry in plan.entries for cell in few.score_cells(plan.fixed[entry])]
    trace = shard.trace(cells, SERIES)
    scored = slice(plan.suite.warm_up, plan.suite.warm_up + plan.suite.scored)
    series = {
        entry: {name: values[scored, i * runs : (i + 1) * runs] for name, values in trace.items()}
        for i, entry in enumerate(plan.entries)
    }
    return Runs(series=series, controls=_controls(plan.suite, shard, [cell.scenario for cell in cells[:runs]]))


def mean_of(file: str, entry: str, name: str, runs: int) -> Callable[[], Finding]:
    """Return what finds the mean of a series over scored periods and runs, with its standard error."""

    def find() -> Finding:
        found = runs_of(file, runs)
        value, error = sharpened(found.series[entry][name].mean(axis=0), found.controls)
        return np.array([value]), np.array([error])

    return find


def sharpened(values: Values, controls: Values) -> tuple[float, float]:
    """Return the mean of values (n,) where all controls (n, k) have their mean of 0, and its standard error."""
    known = np.column_stack([np.ones(len(values)), controls])
    q, r = np.linalg.qr(known)
    weights = np.linalg.solve(r, q.T @ values)
    spread = float(((values - known @ weights) ** 2).sum()) / (len(values) - known.shape[1])
    first = np.linalg.solve(r.T, np.eye(len(r))[0])
    return float(weights[0]), float(np.sqrt(spread) * np.linalg.norm(first))


def variance_ratio(file: str, entry: str, runs: int) -> Callable[[], Finding]:
    """Return what finds Var(orders) / Var(demand) where mean and variance of demand are known, with its error."""

    def find() -> Finding:
        found = runs_of(file, runs)
        demand = next(node.demand for node in _network(plan_of(file).suite).nodes if node.demand)
        around = ((found.series[entry]["ordered"] - demand.expected) ** 2).mean(axis=0) / _central(demand, 2)
        value, error = sharpened(around, found.controls)
        return np.array([value]), np.array([error])

    return find


def exact(file: str, entry: str, read: Callable[[Trace], Values]) -> Callable[[], Finding]:
    """Return what finds a reading (k,) of the scored series of an entry where nothing is random."""

    def find() -> Finding:
        values = read(runs_of(file, 1).series[entry])
        return values, np.zeros(len(values))

    return find


def with_demand(file: str, values: Sequence[float], periods: int) -> Trace:
    """Simulate the first entry of an experiment with given demand at its market; return all periods' series."""
    plan = plan_of(file)
    demand = Process(kind="series", values=tuple(values))
    network = _network(plan.suite)
    nodes = tuple(replace(node, demand=demand) if node.demand else node for node in network.nodes)
    suite = replace(plan.suite, network=replace(network, nodes=nodes), warm_up=0, scored=periods)
    return Shard(suite).trace(plan.score_cells(plan.fixed[plan.entries[0]])[:1], SERIES)


def _network(suite: SuiteDefinition) -> Network:
    if isinstance(suite.network, str):
        raise TypeError(f"suite {suite.name} has no network of its own")
    return suite.network


def _controls(suite: SuiteDefinition, shard: Shard, scenarios: Sequence[str]) -> Values:
    """Return moments of demand and returns in the scored periods less their expectation, by scenario, (n, k)."""
    sources = [
        (node, process)
        for node in _network(suite).nodes
        for process in (node.demand, node.returns)
        if process is not None and process.kind in _RANDOM
    ]
    rows = [list(_moments(suite, shard, scenario, sources)) for scenario in scenarios]
    found = np.array(rows, dtype=np.float64).reshape(len(scenarios), -1)
    scale = found.std(axis=0)
    return found / np.where(scale > 0.0, scale, 1.0)


def _moments(
    suite: SuiteDefinition, shard: Shard, scenario: str, sources: Sequence[tuple[Node, Process]]
) -> Iterator[float]:
    paths = shard.scenario(scenario).paths

    def drawn(number: int, lag: int) -> Values:
        """Return a source's values around their mean, `lag` periods before each scored one."""
        node, process = sources[number]
        whole = paths.demand if node.demand else paths.remanufacturer_returns
        return whole[suite.warm_up - lag : suite.warm_up + suite.scored - lag, 0, 0] - process.expected

    lags = _LAGS[len(sources)]
    for i, (_, process) in enumerate(sources):
        x = drawn(i, 0)
        # On k values the k-th power is a combination of the lower ones.
        powers = range(1, min(_POWERS + 1, len(process.values) or _POWERS + 1))
        yield from (float((x**n).mean()) - _central(process, n) for n in powers)
        yield from (float(drawn(i, lag).mean()) for lag in lags)
        yield from (float((x * drawn(i, lag)).mean()) - process.rho**lag * _central(process, 2) for lag in lags)
    if len(sources) == 2:
        yield from (float((drawn(0, i) * drawn(1, j)).mean()) for i, j in _PAIRS)


def _central(process: Process, n: int) -> float:
    """Return the n-th moment of one period's value around its mean."""
    if process.kind in ("normal", "ar1"):
        return float(stats.norm.moment(n, 0.0, process.sd / np.sqrt(1.0 - process.rho**2)))
    if process.kind == "poisson":
        return (0.0, process.mean, process.mean, process.mean * (1.0 + 3.0 * process.mean))[n - 1]
    return float(np.dot(process.probabilities, (np.array(process.values) - process.expected) ** n))
