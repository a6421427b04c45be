"""Agents against the expected-flow engine: two implementations of one model, one by chance and one in expectation.

With demand, capacities and targets for N units in the horizon, the relative difference between one run of agents and
the expected flows is the agents' own randomness: its root mean square falls as N^-0.5, and its mean is 0. Any rule that
the two implement differently, and any shock that they do not share, is a difference that does not fall.

Outcomes are flows over the horizon and mean stocks. Where an expected flow is cut off at a bound that it just touches,
chance moves the mean (E[min(X, c)] < min(E[X], c)): the cases here keep capacities and stocks clearly binding or
clearly ample. `near_a_kink` drops the outcomes that a small change of demand still bends, `enough` those that are next
to nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_core.agents.run import AgentRun
from sim_core.agents.scale import scaled_to
from sim_core.control import ControlSchedule, ScheduleBatch
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.engine.trace import SERIES, Trace
from sim_core.scenario import Scenario, build_scenario
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

SIZES = (100, 1_000, 10_000, 100_000)
SEEDS = (1, 2, 3, 4, 5)
REPLICATIONS = 30
WARM_UP = 10  # periods until goods have come round once; outcomes count from there
SCENARIO = "none/0"
SLOPE, TOLERANCE = -0.5, 0.1
MOST_SES = 3.0
TARGET = 0.75  # of every node: three times the forecast demand of the lead time
OUTCOMES = tuple(name for name in SERIES if name not in ("cost", "lost", "backlog"))  # money and shortage are not
_NOT_UNITS = ("secondary", "virgin", "external", "emissions")
_LEAST = 0.01  # of demand: an outcome in units that is less is the mere edge of a bound
_BENT = 0.002  # relative bend of an outcome between demand a hundredth lower and a hundredth higher

Array = NDArray[np.float64]
Change = Callable[[Layout, Scenario, int], tuple[Layout, Scenario]]  # what an agent run gets: layout, scenario

# Fast lives, so that units come back within the horizon; capacities ample but where said.
_QUICK = {
    "lifetime.scale": 1.5,
    "hibernation.share": 0.2,
    "hibernation.years": 1.0,
    "collection.share": 0.8,
    "grade.A": 0.2,
    "grade.B": 0.4,
    "grade.C": 0.2,
    "grade.D": 0.2,
    "production.capacity": 4.0,
    "supplier.capacity": 6.0,
    "external.capacity": 3.0,
    "collection.capacity": 1e9,
    "inspection.capacity": 1e9,
    "reman.capacity": 40_000.0,  # binds
    "second_life.demand": 8_000.0,  # binds
    "recycling.export.capacity": 3_000.0,  # binds: the next route takes the rest
    "recycling.smelter.capacity": 1e9,
    "recycling.leaching.capacity": 1e9,
    "disruption.availability": 0.9,
    "lane_disruption.rate": 0.0,
}
_AMPLE = {**_QUICK, "reman.capacity": 1e9, "second_life.demand": 1e9}
_SLOW = {
    **_AMPLE,
    "lifetime.scale": 2.5,
    "lifetime.shape": 3.0,
    "grade.A": 0.1,
    "grade.D": 0.3,
    "collection.share": 0.6,
}
_LAW = {
    "id": "content",
    "type": "recycled_content_mandate",
    "scope": {"material": "cobalt"},
    "schedule": {"shape": "staircase", "steps": [["2026-01-01", 0.2], ["2028-06-01", 0.4]]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A network template with its products and the levers that are on."""

    products: tuple[ProductShare, ...]
    levers: tuple[str, ...]


TOPOLOGIES: Mapping[str, Topology] = {
    "minimal": Topology(products=(ProductShare(archetype="smartphone", overrides=_QUICK),), levers=("expedite",)),
    "loop": Topology(
        products=(ProductShare(archetype="smartphone", overrides=_QUICK),),
        levers=("buy_back", "premium_inspection", "invest_remanufacturer"),
    ),
    "regional": Topology(
        products=(
            ProductShare(archetype="smartphone", name="phone", share=0.7, overrides=_AMPLE),
            ProductShare(archetype="smartphone", name="tablet", share=0.3, overrides=_SLOW),
        ),
        levers=("second_source", "alternative_route", "lateral_transfer"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One topology and seed, at one size. fluid: the expected outcomes, and which of them are compared."""

    layout: Layout
    scenario: Scenario
    levers: tuple[str, ...]
    expected: Array
    compared: NDArray[np.bool_]


def suite_of(topology: str, seed: int, months: int = 26) -> SuiteDefinition:
    """Return a topology's suite. Vintages in use are followed month by month: exact, as agents are."""
    return SuiteDefinition(
        name=topology,
        products=TOPOLOGIES[topology].products,
        network=topology,
        seed=seed,
        start="2027-01",
        warm_up=WARM_UP,
        scored=months,
        run_out=0,
        splits={"test": SplitDefinition(families=("none",), scenarios=1)},
        epoch_months=12,
        vintage_periods=1,
        shortfall_price={"content": 100.0},
        instruments=(_LAW,),
    )


def case_of(topology: str, seed: int, size: float, months: int = 26) -> Case:
    """Return a case with `size` units of expected demand, and its expected outcomes."""
    layout = build_layout(scaled_to(suite_of(topology, seed, months), SCENARIO, size))
    scenario, levers = build_scenario(layout, SCENARIO), TOPOLOGIES[topology].levers
    low, expected, high = (expected_outcomes(layout, more_demand(scenario, f), levers) for f in (0.99, 1.0, 1.01))
    return Case(
        layout=layout,
        scenario=scenario,
        levers=levers,
        expected=expected,
        compared=enough(expected) & ~near_a_kink(low, expected, high),
    )


def enough(expected: Array) -> NDArray[np.bool_]:
    """Return which outcomes are more than next to nothing."""
    least = [0.0 if name in _NOT_UNITS else _LEAST * expected[OUTCOMES.index("demand")] for name in OUTCOMES]
    return expected > np.array(least)


def near_a_kink(low: Array, expected: Array, high: Array) -> NDArray[np.bool_]:
    """Return which outcomes bend between a hundredth less and a hundredth more demand: a bound is near."""
    return np.abs(low - 2.0 * expected + high) > _BENT * expected


def more_demand(scenario: Scenario, factor: float | Array) -> Scenario:
    """Return the scenario with its demand, (T, K, P), multiplied."""
    return replace(scenario, paths=replace(scenario.paths, demand=scenario.paths.demand * factor))


def schedules(layout: Layout, levers: tuple[str, ...], cells: int) -> ScheduleBatch:
    """Return the controller of both engines."""
    on = np.array([[lever in levers for lever in layout.suite.levers]] * layout.suite.epochs)
    targets = np.full((3, len(layout.network.nodes)), TARGET)
    return ScheduleBatch([ControlSchedule(levers=on, targets=targets)] * cells)


def expected_outcomes(layout: Layout, scenario: Scenario, levers: tuple[str, ...]) -> Array:
    """Return the outcomes of the expected-flow engine."""
    rows = np.zeros(LANE_WIDTH, dtype=np.intp)
    labels = [scenario.id] * LANE_WIDTH
    run = Simulation(layout, [scenario], rows, schedules(layout, levers, LANE_WIDTH), labels, trace=True)
    run.advance()
    assert run.trace is not None
    return outcomes(run.trace)


def outcomes(trace: Trace) -> Array:
    """Return the outcomes of one cell: sums over the periods after the warm-up."""
    return np.array([trace[name][WARM_UP:, 0].sum() for name in OUTCOMES])


def as_it_is(layout: Layout, scenario: Scenario, replication: int) -> tuple[Layout, Scenario]:  # noqa: ARG001
    """Change nothing."""
    return layout, scenario


def errors(case: Case, replications: int = REPLICATIONS, change: Change = as_it_is) -> Array:
    """Return relative differences of agents from the expectation, (replications, OUTCOMES); NaN: not compared."""
    found = np.full((replications, len(OUTCOMES)), np.nan)
    for number in range(replications):
        layout, scenario = change(case.layout, case.scenario, number)
        run = AgentRun(layout, scenario, schedules(layout, case.levers, 1), number)
        run.advance()
        gap = outcomes(run.trace) - case.expected
        found[number, case.compared] = gap[case.compared] / case.expected[case.compared]
    return found


def root_mean_square(found: Array) -> float:
    """Return the root mean square over replications and outcomes."""
    return float(np.sqrt(np.nanmean(found**2)))


def slope_of(sizes: Iterable[float], rms: Iterable[float]) -> float:
    """Return the slope of the logarithm of the error over that of the size, by least squares."""
    return float(np.polyfit(np.log(list(sizes)), np.log(list(rms)), 1)[0])


def standard_errors_off(found: Array) -> Array:
    """Return each outcome's mean difference in standard errors; NaN where it is not compared."""
    count = np.sum(~np.isnan(found), axis=0)
    some = count > 1
    result = np.full(found.shape[1], np.nan)
    mean, spread = np.nanmean(found[:, some], axis=0), np.nanstd(found[:, some], axis=0, ddof=1)
    result[some] = mean / (np.maximum(spread, 1e-300) / np.sqrt(count[some]))
    return result


def unshared_shocks(layout: Layout, scenario: Scenario, replication: int) -> tuple[Layout, Scenario]:
    """The mutant: agents meet relative demand shocks of their own."""
    product = layout.products.archetypes[0]
    sigma, keep = product.value("demand.volatility"), product.value("demand.persistence")
    draw = np.random.default_rng(replication)
    noise = np.zeros(layout.suite.periods)
    for t in range(1, len(noise)):
        noise[t] = keep * noise[t - 1] + np.sqrt(1.0 - keep**2) * sigma * draw.standard_normal()
    return layout, more_demand(scenario, np.exp(noise)[:, None, None])


def one_more_period(layout: Layout, scenario: Scenario, replication: int) -> tuple[Layout, Scenario]:  # noqa: ARG001
    """The mutant: lead times are one period longer for agents."""
    lanes = {group: replace(each, lead=each.lead + (each.lead > 0)) for group, each in layout.lanes.items()}
    return replace(layout, lanes=lanes), scenario


def metrics() -> Iterable[Mapping[str, Any]]:
    """Measure every topology, print what was found, and return the slopes and biases."""
    print(f"\n{'agents against expected flows':28} {'slope':>8}  by seed; RMS by size {SIZES}")
    for topology in TOPOLOGIES:
        slopes, largest = [], []
        for seed in SEEDS:
            found = [errors(case_of(topology, seed, size)) for size in SIZES]
            rms = [root_mean_square(one) for one in found]
            slopes.append(slope_of(SIZES, rms))
            largest.append(found[-1])
            print(f"{topology:20} seed {seed} {slopes[-1]:9.3f}  {' '.join(f'{value:.2e}' for value in rms)}")
        worst = max(slopes, key=lambda slope: abs(slope - SLOPE))
        off = standard_errors_off(np.concatenate(largest))
        bias = float(np.nanmax(np.abs(off)))
        print(f"{topology:20} bias {bias:9.2f}  SE at most, of {OUTCOMES[int(np.nanargmax(np.abs(off)))]}")
        yield {
            "metric": f"slope_{topology}",
            "value": worst,
            "unit": "1",
            "target": SLOPE + TOLERANCE,
            "better": "lower",
        }
        yield {"metric": f"bias_{topology}", "value": bias, "unit": "SE", "target": MOST_SES, "better": "lower"}
