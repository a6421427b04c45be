"""The statistic of a race: elites of searches meet ever more fresh scenarios, and those that are surely worse drop out.

A race has rungs of 16, 32, 64, ... common scenarios. A rung is judged only when every member has run all of its
scenarios, so that nothing depends on which run was faster. Each member is compared with the one of lowest mean cost
by a one-sided paired t-test over the common scenarios: paired, because scenarios differ far more than controllers.
Racing of candidates by paired tests: Maron and Moore 1994 (Hoeffding races), Birattari et al. 2002 (F-Race, t-Race).

The level of each test is p, divided by the comparisons of its rung and by the rungs (Bonferroni): the truly best member
is dropped with a probability of at most p over the whole race, since it drops out only where the test of its
difference to some other member errs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as students_t

Costs = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The rules of one race. scenarios: in their order; first: those of the first rung.

    p: the probability, at most, that the truly best member drops out. finalists: members that go on; so many stay in
    the race to its end, whatever the tests say.
    """

    scenarios: tuple[str, ...]
    first: int
    p: float
    finalists: int

    @property
    def rungs(self) -> tuple[int, ...]:
        """Common scenarios of each rung: doubling, the last one holding all."""
        total = len(self.scenarios)
        doubling = (min(self.first, total) << power for power in range(total.bit_length() + 1))
        return (*takewhile(lambda count: count < total, doubling), total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a race is. members: still in it, best first once it is over, else in the order they entered.

    wanted: scenarios that every member has to run before the next rung can be judged; empty: the race is over.
    dropped: members with the number of scenarios at which each dropped out, in that order.
    """

    members: tuple[str, ...]
    wanted: tuple[str, ...]
    dropped: tuple[tuple[str, int], ...]

    @property
    def over(self) -> bool:
        """Whether nothing remains to be run."""
        return not self.wanted


def standing(race: Race, members: Sequence[str], costs: Costs) -> Standing:
    """Return how far a race is with these costs, by member and scenario; None is the cost of a run that failed.

    A pure function: the same costs give the same standing, in whatever order they came in.
    """
    left, dropped = list(members), []
    for rung in race.rungs:
        if len(left) < 2:
            break
        common = race.scenarios[:rung]
        if not _complete(left, common, costs):
            return Standing(members=tuple(left), wanted=common, dropped=tuple(dropped))
        table = np.array([[_number(costs[member][one]) for one in common] for member in left])
        level = race.p / (len(race.rungs) * (len(left) - 1))
        stays = kept(table, level, race.finalists)
        dropped += [(member, rung) for member, stay in zip(left, stays, strict=True) if not stay]
        left = [member for member, stay in zip(left, stays, strict=True) if stay]
        if rung == race.rungs[-1]:
            means = table[stays].mean(axis=1)
            left = [left[place] for place in np.argsort(means, kind="stable")]
    return Standing(members=tuple(left), wanted=(), dropped=tuple(dropped))


def kept(costs: NDArray[np.float64], level: float, least: int) -> NDArray[np.bool_]:
    """Return which members stay, (members,), given their costs on common scenarios, (members, scenarios).

    A run that failed costs infinity, and a member with one drops out where another has none. level: of each test.
    least: so many of the lowest means stay in any case; ties go to the earlier member.
    """
    means = costs.mean(axis=1)
    order = np.argsort(means, kind="stable")
    best = order[0]
    stays = np.ones(len(costs), dtype=np.bool_)
    if np.isfinite(means[best]):
        stays = np.isfinite(means)
        stays[stays] = p_values(costs[stays], costs[best]) >= level
        stays[best] = True
    stays[order[:least]] = True
    return stays


def p_values(costs: NDArray[np.float64], best: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the one-sided p-values, (members,), of the paired t-test that a member costs more than the best one.

    Differences without any spread: 0 where they are above zero, else 1. Of a single scenario nothing is known: 1.
    """
    differences = costs - best
    count = differences.shape[1]
    if count < 2:
        return np.ones(len(costs))
    means = differences.mean(axis=1)
    errors = differences.std(axis=1, ddof=1) / np.sqrt(count)
    found = np.where(means > 0.0, 0.0, 1.0)
    spread = errors > 0.0
    found[spread] = students_t.sf(means[spread] / errors[spread], count - 1)
    return found


def _complete(members: Sequence[str], scenarios: Sequence[str], costs: Costs) -> bool:
    """Tell whether every member has run all scenarios."""
    return all(one in costs.get(member, {}) for member in members for one in scenarios)


def _number(cost: float | None) -> float:
    return np.inf if cost is None else cost
