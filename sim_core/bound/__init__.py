"""The bound: a linear programme with perfect information that no control can beat, scenario by scenario.

The programme holds the engine's whole model with free flows (docs/bound.md). What is not linear is relaxed, so that
every trajectory of the engine is feasible in it and costs no less there.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csc_array, vstack

from sim_core.bound import duties, goods, production, recycling, reverse, use_phase
from sim_core.bound.model import Model
from sim_core.bound.outlook import Outlook, of_scenario
from sim_core.bound.program import Sum
from sim_core.bound.solver import Problem, Solution, problem_of, solve, solve_closely
from sim_core.engine.layout import Layout
from sim_core.network import LaneGroup, NodeKind
from sim_core.scenario import Scenario

_NOTHING = 1e-9  # relative: what the solver's tolerance leaves of nothing
_NEAR = 1e-4  # relative, to the least shortfall: compliance is judged to a thousandth of what is due


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What no control of a scenario can beat.

    lower: EUR, the dual value: no control costs less. plan: EUR, what the programme's own solution costs there.
    lacking: EUR, undiscounted: phi x shortfall of the plan, summed over obligations and scored windows. least_lacking:
    the least possible for those who lose no more sales than the plan. relaxed: names of the relaxations in force.
    """

    lower: float
    plan: float
    lacking: float
    least_lacking: float
    relaxed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A programme of an outlook, ready to be solved. lacking, lost: expressions (1,) and (T,) of Model."""

    model: Model
    problem: Problem
    lacking: Sum
    unit: float


def build(outlook: Outlook) -> Built:
    """Return the linear programme of an outlook."""
    model = Model(outlook)
    layout, count = model.layout, model.layout.count
    production.design(model)
    sold = goods.sell(model)
    if layout.lanes[LaneGroup.RETURNS].count or outlook.state.use.durable.any():
        out = use_phase.end_of_life(model, sold)
        kept = use_phase.collect(model, out)
        use_phase.register(model, out, kept)
        model.send(LaneGroup.RETURNS, model.sum_of(kept))
    for kind, step in (
        (NodeKind.COLLECTOR, reverse.consolidate),
        (NodeKind.INSPECTION, reverse.inspect),
        (NodeKind.REMANUFACTURER, reverse.remanufacture),
    ):
        if count[kind]:
            step(model)
    made = production.produce(model) if layout.plants else None
    production.order(model)
    if count[NodeKind.RECYCLER]:
        recycling.recycle(model)
    if made is not None:
        production.feed(model, made)
    goods.move(model, made)
    lacking = duties.settle(model)
    if model.lives.count > 1:
        model.relaxed.add("classes")
    if layout.lanes[LaneGroup.SCRAP].count:
        model.relaxed.add("origins")
    demand = outlook.term("demand").sum(axis=1).mean(axis=0)
    unit = max(1.0, float(demand[demand > 0.0].min(initial=demand.max(initial=1.0))))
    return Built(model=model, problem=problem_of(model.program), lacking=lacking, unit=unit)


def bound(layout: Layout, scenario: Scenario) -> Bound:
    """Return the bound of a scenario. Raises ModelError where the programme has no solution."""
    built = build(of_scenario(layout, scenario))
    found = solve_closely(built.problem, unit=built.unit)
    lacking = float(built.lacking.value(found.values)[0])
    return Bound(
        lower=found.lower,
        plan=found.cost,
        lacking=lacking,
        least_lacking=_least_lacking(built, found) if lacking > _NOTHING * abs(found.cost) else 0.0,
        relaxed=tuple(sorted(built.model.relaxed)),
    )


def _least_lacking(built: Built, found: Solution) -> float:
    """Return the least shortfall in EUR of all trajectories that lose no more sales than a solution (phase 1)."""
    problem, lost = built.problem, built.model.lost
    cost, sales = np.zeros_like(problem.cost), np.zeros_like(problem.cost)
    for total, into in ((built.lacking, cost), (lost, sales)):
        for _, column, value in total.terms:
            np.add.at(into, column, value)
    most = float(sales @ found.values)
    phase_1 = replace(
        problem,
        cost=cost,
        constant=0.0,
        row_lower=np.append(problem.row_lower, -np.inf),
        row_upper=np.append(problem.row_upper, most * (1.0 + _NOTHING)),
        matrix=csc_array(vstack([problem.matrix, csc_array(sales[None])])),
    )
    return max(0.0, solve(phase_1, unit=built.unit, gap=_NEAR).lower)
