"""The score: how far an Entry closes the gap between the reference (0) and the bound (1), and whether it complies.

Per scenario J is an Entry's cost, R the reference's, L the bound: what no control whatsoever costs less than. The score
of a family is 1 - sum(J - L) / sum(R - L), a ratio of sums and not clipped, that of a suite the mean over its families.
A scenario that leaves the reference less than 1 % of |R| to gain is left out: it has no headroom.

Compliance: the avoidable severity of an Entry is sum(lacking - least) / sum(due) over the bounded scenarios. lacking is
what its duties fell short, priced and undiscounted; least is what no control could have avoided; due is what was owed.
An Entry complies when the upper limit of that is at most 0.1 %.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from orchestrator.records import CellRow
from orchestrator.statistics import Interval, Ratio, ScenarioBootstrap
from sim_core.errors import IntegrityError

OBJECTIVE = "objective"
LEAST_HEADROOM = 0.01  # of |R|
MOST_AVOIDABLE = 0.001  # of what was due
_ROUNDING = 1e-6  # of |L|, below which a run may not lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """Avoidable severity with its one-sided upper limit, and the verdict; None where it is unknown.

    due: whether anything was due in the bounded scenarios; None where no scenario carries a bound.
    """

    avoidable: float | None = None
    avoidable_hi: float | None = None
    compliant: bool | None = None
    due: bool | None = None

    @property
    def group(self) -> int:
        """The place of the verdict in the ranking: 0 complies, or nothing was due; 1 unknown; 2 does not comply."""
        if self.compliant is None:
            return 0 if self.due is False else 1
        return 0 if self.compliant else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What Entries are measured with: bounds L and costs R of the reference, by scenario.

    lower: L of the bounded scenarios; least: what could not but fall short there, EUR. unbounded: scenarios whose
    bound could not be computed. no_headroom: bounded scenarios that leave nothing to gain. reference: R of the others
    that the reference completed. families: family -> its scored scenarios, for every family that was to be bounded.
    """

    lower: Mapping[str, float]
    least: Mapping[str, float]
    unbounded: tuple[str, ...]
    no_headroom: tuple[str, ...]
    reference: Mapping[str, float]
    families: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, bounds: Sequence[CellRow], reference: Mapping[str, float]) -> Self:
        """Return the yardstick of bound rows and the reference's J by scenario."""
        lower = {row.scenario: _value(row, OBJECTIVE) for row in bounds if row.status == "ok"}
        common = {scenario: reference[scenario] for scenario in sorted(lower.keys() & reference.keys())}
        room = {name: cost for name, cost in common.items() if _has_headroom(cost, lower[name])}
        families = {
            family: tuple(sorted(row.scenario for row in bounds if row.family == family and row.scenario in room))
            for family in sorted({row.family for row in bounds})
        }
        return cls(
            lower=lower,
            least={row.scenario: _value(row, "least_lacking") for row in bounds if row.status == "ok"},
            unbounded=tuple(sorted(row.scenario for row in bounds if row.status != "ok")),
            no_headroom=tuple(sorted(common.keys() - room.keys())),
            reference=room,
            families=families,
        )

    def check(self, name: str, cells: Iterable[CellRow]) -> None:
        """Raise IntegrityError if a run of the Entry `name` costs less than its scenario's bound."""
        for cell in cells:
            cost, lower = cell.metrics.get(OBJECTIVE), self.lower.get(cell.scenario)
            if cost is not None and lower is not None and cost < lower - _ROUNDING * abs(lower):
                raise IntegrityError(
                    f"{name} on {cell.scenario} costs {cost!r} EUR, less than the bound {lower!r}: bound or engine is "
                    "wrong, and no score of this suite can be trusted. Report it with the experiment file and the cell "
                    f"{cell.key}"
                )

    def ratios(self, costs: Mapping[str, float], base: Mapping[str, float] | None = None) -> list[Ratio] | None:
        """Return the families' ratios of sums of costs above `base` (the bound if None) to the reference's above it.

        None where a family has no scored scenario, or costs lack one.
        """
        below = self.lower if base is None else base
        if not self.families or any(
            not scenarios or any(name not in costs or name not in below for name in scenarios)
            for scenarios in self.families.values()
        ):
            return None
        return [
            Ratio(
                above=np.array([costs[name] - below[name] for name in scenarios]),
                below=np.array([self.reference[name] - self.lower[name] for name in scenarios]),
            )
            for scenarios in self.families.values()
        ]

    def compliance(self, cells: Sequence[CellRow], bootstrap: ScenarioBootstrap) -> Compliance:
        """Return whether an Entry complies, from its runs on the bounded scenarios; unknown where one of them failed.

        Nothing is known either where the upper limit is: a single scenario has none.
        """
        runs = [cell for cell in cells if cell.scenario in self.lower]
        if not runs or any(cell.metrics.get(name) is None for cell in runs for name in ("lacking", "due")):
            return Compliance()
        sums = {name: dict.fromkeys(sorted({cell.scenario for cell in runs}), 0.0) for name in ("lacking", "due")}
        for cell in runs:
            sums["lacking"][cell.scenario] += _value(cell, "lacking") - self.least[cell.scenario]
            sums["due"][cell.scenario] += _value(cell, "due")
        lacking, due = (np.array(list(values.values())) for values in sums.values())
        if not due.sum() > 0.0:
            return Compliance(due=False)
        found = Ratio(above=lacking, below=due)
        high = bootstrap.upper_limit(found)
        return Compliance(
            avoidable=found.value,
            avoidable_hi=high,
            compliant=None if high is None else high <= MOST_AVOIDABLE,
            due=True,
        )


def score_interval(ratios: Sequence[Ratio] | None, bootstrap: ScenarioBootstrap) -> Interval | None:
    """Return the score of ratios above the bound, with its limits; None where there are none."""
    if ratios is None:
        return None
    lost = bootstrap.mean_ratio(ratios)
    low, high = (None if limit is None else 1.0 - limit for limit in (lost.high, lost.low))
    return Interval(estimate=1.0 - lost.estimate, low=low, high=high, n=lost.n)


def _has_headroom(reference: float, lower: float) -> bool:
    headroom = reference - lower
    return headroom > 0.0 and headroom >= LEAST_HEADROOM * abs(reference)


def _value(row: CellRow, metric: str) -> float:
    value = row.metrics.get(metric)
    if value is None:
        raise IntegrityError(f"cell {row.key} ({row.scenario}) is ok but has no {metric}")
    return value
