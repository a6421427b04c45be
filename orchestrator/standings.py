"""Where each Entry stands: what its cells say on their own, and the order that follows.

An Entry that completed every scenario stands before one that failed anywhere, one that complies before one that does
not. Within such a group the score decides where there is one, else mean J.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from orchestrator.records import CellRow
from orchestrator.score import OBJECTIVE, Compliance, Yardstick, score_interval
from orchestrator.statistics import Interval, Ratio, ScenarioBootstrap, scenario_means
from sim_core.circularity import handprint
from sim_core.control import ControllerRecord
from sim_core.errors import IntegrityError

SHORTFALL = "shortfall_charge"
PAIRED = ("resilience_loss", "resilience_depth", "time_to_recover")
HANDPRINT = "handprint"
_ALWAYS_SHOWN = ("carbon", "circularity", "compliance", "service", "value_retained", SHORTFALL, HANDPRINT, *PAIRED)
# how often the discounted charge, which J holds once, is added to J
PRICES = {"cost": 0.0, "cost_half_price": -0.5, "cost_double_price": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCells:
    """An Entry, the controller that stands for it, its scored runs on the test scenarios, and those run in pairs."""

    name: str
    controller: ControllerRecord
    cells: tuple[CellRow, ...]
    pairs: tuple[CellRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an Entry's cells say. tier: 0 all scenarios completed, 1 some, 2 none.

    costs: J by completed scenario. ratios: what the score is made of, None where there is none. prices: what the order
    rests on, lower is better, by column: cost, cost_half_price, cost_double_price; with a score, 1 - score had the
    Entry's own shortfalls been priced so.
    """

    entry: EntryCells
    tier: int
    costs: Mapping[str, float]
    metrics: Mapping[str, float | None]
    cost: float | None
    cost_half_price: float | None
    cost_double_price: float | None
    compliance: Compliance
    ratios: Sequence[Ratio] | None
    score: Interval | None
    prices: Mapping[str, float | None]

    @property
    def group(self) -> tuple[int, int]:
        """The group that an Entry is ranked in: groups follow each other, whatever scores and costs are."""
        return self.tier, self.compliance.group


def standing(
    entry: EntryCells,
    scenarios: set[str],
    yardstick: Yardstick,
    linear: Sequence[CellRow],
    bootstrap: ScenarioBootstrap,
) -> Standing:
    """Return where an Entry stands among Entries that met `scenarios`. linear: the runs without recovery.

    Raises IntegrityError for an ok run without J.
    """
    cells = completed(entry.cells)
    for cell in cells:
        if cell.metrics.get(OBJECTIVE) is None:
            raise IntegrityError(f"run {cell.key} ({entry.name}, {cell.scenario}) is ok but has no {OBJECTIVE}")
    costs = scenario_values(cells, OBJECTIVE)
    cost = mean(costs)
    tier = 2 if not costs else 0 if costs.keys() == scenarios else 1
    charges = scenario_values(cells, SHORTFALL)
    priced = charges.keys() == costs.keys()
    charge = mean(charges) if priced else None
    ratios = yardstick.ratios(costs) if tier == 0 else None
    prices: dict[str, float | None] = {}
    for column, share in PRICES.items():
        known = priced or share == 0.0
        with_price = {name: value + share * charges.get(name, 0.0) for name, value in costs.items()} if known else {}
        found = yardstick.ratios(with_price) if tier == 0 else None
        prices[column] = fsum(part.value for part in found) / len(found) if found else mean(with_price)
    return Standing(
        entry=entry,
        tier=tier,
        costs=costs,
        metrics=_metrics(entry, cells, linear),
        cost=cost,
        cost_half_price=None if cost is None or charge is None else cost - charge / 2.0,
        cost_double_price=None if cost is None or charge is None else cost + charge,
        compliance=yardstick.compliance(entry.cells, bootstrap),
        ratios=ratios,
        score=score_interval(ratios, bootstrap),
        prices=prices,
    )


def scenario_values(cells: Iterable[CellRow], metric: str) -> dict[str, float]:
    """Return the metric's mean per scenario, where it is defined."""
    defined = [(cell.scenario, value) for cell in cells if (value := cell.metrics.get(metric)) is not None]
    return scenario_means([scenario for scenario, _ in defined], [value for _, value in defined])


def mean(values: Mapping[str, float]) -> float | None:
    """Return the mean of values by scenario, None without any."""
    return fsum(values.values()) / len(values) if values else None


def ranks(standings: Iterable[Standing], column: str) -> dict[str, int]:
    """Return the rank of each Entry by name. column: one of the keys of `Standing.prices`."""

    def order(one: Standing) -> tuple[tuple[int, int], bool, float, str]:
        value = one.prices[column]
        return one.group, value is None, value or 0.0, one.entry.name

    return {one.entry.name: rank for rank, one in enumerate(sorted(standings, key=order), start=1)}


def rank_limits(standings: Iterable[Standing], bootstrap: ScenarioBootstrap) -> dict[str, tuple[int, int]]:
    """Return each Entry's rank limits within its group; one with failures can't be placed more finely than that."""
    groups: dict[tuple[int, int], list[Standing]] = {}
    for one in standings:
        groups.setdefault(one.group, []).append(one)
    first = 1
    result: dict[str, tuple[int, int]] = {}
    for (tier, _), members in sorted(groups.items()):
        last = first + len(members) - 1
        if tier == 0:
            found = bootstrap.resampled_ranks(np.array([_resampled(one, bootstrap) for one in members]))
            limits = [(first - 1 + low, first - 1 + high) for low, high in found]
        else:
            limits = [(first, last)] * len(members)
        result |= {one.entry.name: limit for one, limit in zip(members, limits, strict=True)}
        first = last + 1
    return result


def is_tied(one: Standing, above: Standing | None, yardstick: Yardstick, bootstrap: ScenarioBootstrap) -> bool:
    """Tell whether an Entry can't be told from the one ranked just above it, by what its group is ordered by."""
    if above is None or one.group != above.group:
        return False
    if one.ratios is None or above.ratios is None:
        found = bootstrap.difference(one.costs, above.costs)
    else:
        ratios = yardstick.ratios(one.costs, above.costs)
        found = bootstrap.mean_ratio(ratios) if ratios else None
    return found is not None and not found.excludes_zero


def pareto_front(standings: Iterable[Standing]) -> set[str]:
    """Return the names of the Entries that none beats in cost, carbon and circularity together.

    One beats another that is nowhere worse and somewhere better. An Entry that failed, or lacks a value, is not placed.
    """
    points: dict[str, tuple[float, float, float]] = {}
    for one in standings:
        carbon, circularity = one.metrics["carbon"], one.metrics["circularity"]
        if one.tier == 0 and one.cost is not None and carbon is not None and circularity is not None:
            points[one.entry.name] = (one.cost, carbon, -circularity)
    return {
        name
        for name, mine in points.items()
        if not any(other != mine and all(b <= a for a, b in zip(mine, other, strict=True)) for other in points.values())
    }


def _resampled(one: Standing, bootstrap: ScenarioBootstrap) -> np.ndarray:
    """Return what an Entry's group is ordered by, lower is better: (resamples,)."""
    if one.ratios is not None:
        return bootstrap.mean_ratios(one.ratios)
    return bootstrap.means(np.array(list(one.costs.values())))


def completed(cells: Iterable[CellRow]) -> list[CellRow]:
    """Return the cells of the scenarios whose runs are all ok."""
    given = list(cells)
    broken = {cell.scenario for cell in given if cell.status != "ok"}
    return [cell for cell in given if cell.scenario not in broken]


def _metrics(entry: EntryCells, cells: Sequence[CellRow], linear: Sequence[CellRow]) -> dict[str, float | None]:
    names = {name for cell in cells for name in cell.metrics} | set(_ALWAYS_SHOWN)
    paired = completed(entry.pairs)
    means = {name: mean(scenario_values(cells, name)) for name in names - {OBJECTIVE}}
    means |= {name: mean(scenario_values(paired, name)) for name in PAIRED}
    means[HANDPRINT] = mean(_handprints(cells, completed(linear)))
    return {name: means[name] for name in sorted(means)}


def _handprints(cells: Sequence[CellRow], linear: Sequence[CellRow]) -> dict[str, float]:
    """Return the handprint by scenario, tCO2e, where both runs served something."""
    names = ("carbon", "served")
    values = [scenario_values(rows, name) for rows in (cells, linear) for name in names]
    common = sorted(set.intersection(*(set(found) for found in values)))
    prints = handprint(*(np.array([found[scenario] for scenario in common]) for found in values))
    return {name: float(value) for name, value in zip(common, prints, strict=True) if not np.isnan(value)}
