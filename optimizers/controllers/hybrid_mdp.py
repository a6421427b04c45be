"""The hybrid system of manufacture and remanufacture without lead times, solved exactly as a Markov decision process.

The state is (s, R) after a period's returns have come: serviceable net stock s (less what waits) and cores R. Then r
cores are remanufactured, cores above a level disposed of, m goods made; then demand comes. A period costs

    make m + remake r + dispose d + hold_goods E[s_end]+ + shortage E[s_end]- + hold_cores R_end + dispose (overflow)

with R_end before the next returns, of which those beyond `room` are disposed of. The criterion is the mean cost a
period (van der Laan and Salomon 1997; Puterman 1994, section 8.5: relative value iteration).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_SPAN = 1e-10  # of the last change of values: the mean cost is known to half of it
_MOST_SWEEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class HybridProblem:
    """demand, returns: probabilities of 0, 1, 2, ... units. EUR per unit: make, remake, dispose; per unit and period:
    hold_goods, hold_cores, shortage. room: cores that can be kept.
    """

    demand: tuple[float, ...]
    returns: tuple[float, ...]
    make: float
    remake: float
    dispose: float
    hold_goods: float
    hold_cores: float
    shortage: float
    room: int

    @property
    def low(self) -> int:
        """The lowest net stock of the state space: two periods of the largest demand wait."""
        return -2 * (len(self.demand) - 1)

    @property
    def high(self) -> int:
        """The highest net stock: three periods' largest demand, or all cores beside one, and some more."""
        most = len(self.demand) - 1
        return most + max(2 * most, self.room) + 2

    @property
    def levels(self) -> Index:
        """All net stocks, (n,)."""
        return np.arange(self.low, self.high + 1)

    @cached_property
    def after_demand(self) -> Array:
        """The chance of each net stock after demand, (n before, n after); below `low` counts as `low`."""
        return _shifted(self.demand, self.levels, -1, self.low, self.high)

    @cached_property
    def after_returns(self) -> Array:
        """The chance of each number of cores after returns, (room + 1 before, room + 1 after)."""
        return _shifted(self.returns, np.arange(self.room + 1), 1, 0, self.room)

    @cached_property
    def goods_cost(self) -> Array:
        """Expected holding and shortage cost of a net stock before demand, (n,)."""
        end = self.levels[:, None] - np.arange(len(self.demand))
        cost = self.hold_goods * np.maximum(end, 0) + self.shortage * np.maximum(-end, 0)
        return cost @ np.array(self.demand)

    @cached_property
    def cores_cost(self) -> Array:
        """Expected cost of cores kept: holding, and disposal of returns for which there is no room, (room + 1,)."""
        kept = np.arange(self.room + 1)
        over = np.maximum(0, kept[:, None] + np.arange(len(self.returns)) - self.room) @ np.array(self.returns)
        return self.hold_cores * kept + self.dispose * over


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """A stationary rule: what each state (s, R), (n, room + 1), remanufactures, makes and keeps of cores; in units."""

    remake: Index
    make: Index
    keep: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The least mean cost a period, EUR, and decisions that attain it."""

    cost: float
    decisions: Decisions


@lru_cache(maxsize=32)
def solve(problem: HybridProblem) -> Solution:
    """Return the optimum. Raises ModelError if value iteration does not settle."""
    values = np.zeros((len(problem.levels), problem.room + 1))
    for _ in range(_MOST_SWEEPS):
        better = _stages(problem, values)[0]
        change = better - values
        if np.ptp(change) < _SPAN:
            return Solution(cost=float(change.max() + change.min()) / 2.0, decisions=_decide(problem, values))
        values = better - better[-problem.low, 0]
    raise ModelError(f"value iteration did not settle in {_MOST_SWEEPS} sweeps: {problem}")


def rule_cost(problem: HybridProblem, decisions: Decisions) -> float:
    """Return the mean cost a period of a rule, EUR: by the stationary distribution of its chain."""
    levels, cores = problem.levels[:, None], np.arange(problem.room + 1)
    row = levels + decisions.remake + decisions.make - problem.low
    keep = decisions.keep
    cost = problem.make * decisions.make + problem.remake * decisions.remake
    cost = cost + problem.dispose * (cores - decisions.remake - keep)
    cost = cost + problem.goods_cost[row] + problem.cores_cost[keep]
    moves = problem.after_demand[row][..., :, None] * problem.after_returns[keep][..., None, :]
    states = cost.size
    balance = moves.reshape(states, states).T - np.eye(states)
    balance[-1] = 1.0
    share = np.linalg.solve(balance, np.eye(states)[-1])
    return float(share @ cost.ravel())


def smu_rule(problem: HybridProblem, s: int, m: int, u: int) -> Decisions:
    """Return the rule (S, M, U): remanufacture up to M, keep U of the cores that remain, make up to S."""
    levels, cores = problem.levels[:, None], np.arange(problem.room + 1)
    remake = np.minimum(cores, np.maximum(0, m - levels))
    return Decisions(remake=remake, make=np.maximum(0, s - levels - remake), keep=np.minimum(u, cores - remake))


def best_smu(problem: HybridProblem) -> tuple[float, tuple[int, int, int]]:
    """Return the least cost of any rule (S, M, U) and its levels, by enumeration; of equals the first."""
    most = 2 * (len(problem.demand) - 1)
    return min(
        (rule_cost(problem, smu_rule(problem, s, m, u)), (s, m, u))
        for s in range(most + 1)
        for m in range(s, problem.high + 1)
        for u in range(problem.room + 1)
    )


def _shifted(chances: tuple[float, ...], levels: Index, sign: int, low: int, high: int) -> Array:
    """Return the chance of each level after a change by sign x (0, 1, 2, ...), cut to [low, high], (n, n)."""
    found = np.zeros((len(levels), len(levels)))
    for units, chance in enumerate(chances):
        after = np.clip(levels + sign * units, low, high) - low
        found[np.arange(len(levels)), after] += chance
    return found


def _stages(problem: HybridProblem, values: Array) -> tuple[Array, Array, Array]:
    """Return values one period earlier (n, room + 1), and those after remanufacture and after disposal."""
    levels, cores = problem.levels, np.arange(problem.room + 1)
    later = values @ problem.after_returns.T + problem.cores_cost
    end = problem.goods_cost[:, None] + problem.after_demand @ later  # after all decisions, before demand
    least = np.asarray(np.minimum.accumulate(end - problem.dispose * cores, axis=1), dtype=np.float64)
    disposed = least + problem.dispose * cores
    rising = (disposed + problem.make * levels[:, None])[::-1]
    least = np.asarray(np.minimum.accumulate(rising, axis=0), dtype=np.float64)
    made = least[::-1] - problem.make * levels[:, None]
    best = made.copy()
    for r in range(1, problem.room + 1):
        best[:-r, r:] = np.minimum(best[:-r, r:], made[r:, :-r] + problem.remake * r)
    return best, made, end


def _decide(problem: HybridProblem, values: Array) -> Decisions:
    """Return decisions that attain the values; of equals, the least remanufactured, then made, then kept."""
    _, made, end = _stages(problem, values)
    shape = values.shape
    remake, make, keep = (np.zeros(shape, dtype=np.intp) for _ in range(3))
    for i in range(shape[0]):
        for cores in range(shape[1]):
            some = np.arange(min(cores, shape[0] - 1 - i) + 1)
            r = int(np.argmin(made[i + some, cores - some] + problem.remake * some))
            left = cores - r
            cost = (
                end[i + r :, : left + 1]
                + problem.make * np.arange(shape[0] - i - r)[:, None]
                + problem.dispose * (left - np.arange(left + 1))
            )
            up, kept = np.unravel_index(int(np.argmin(cost)), cost.shape)
            remake[i, cores], make[i, cores], keep[i, cores] = r, up, kept
    return Decisions(remake=remake, make=make, keep=keep)
