"""two_stage hedges: one first stage for all futures, never dearer over its tree than deciding by the middle one."""

from dataclasses import replace

import numpy as np
import pytest

from optimizers.controllers import build
from optimizers.controllers.acting import acting_defaults, control_of
from optimizers.controllers.planning import Plan, plan_of, source
from optimizers.controllers.two_stage import FUTURES, Future, hedged, joined, outlook_in
from sim_core.bound import build as programme
from sim_core.bound.levers import INVESTMENTS
from sim_core.bound.outlook import Outlook
from sim_core.bound.solver import problem_of, solve
from sim_core.control import ControllerRecord
from sim_core.engine.rollout import observe
from sim_core.errors import ModelError
from tests.optimizers.test_mpc import SHORT_LIVES, layout_of, simulation

TREE = FUTURES[:3]
# A step of recycling is worth having in some futures, and not in others.
NARROW = (*SHORT_LIVES[:2], ("recycling.wet.capacity", 100.0), ("invest.recycler.capex", 209.0))
LAST = 36


def outlooks(futures=TREE) -> list[Outlook]:
    run, _ = simulation(layout_of(law=True, overrides=NARROW))
    return [outlook_in(run._situation(), 0, future, LAST) for future in futures]


def first_stage(plan: Plan) -> np.ndarray:
    columns = plan.model.columns
    return np.array([plan.values[columns[lever][0]] for lever in INVESTMENTS.values() if lever in columns])


def cost(outlook: Outlook, first: np.ndarray | None = None) -> float:
    """The least cost of one future, with its first stage given if it is."""
    built = programme(outlook)
    source(built.model)
    problem = problem_of(built.model.program)
    if first is not None:
        columns = [built.model.columns[lever][0] for lever in INVESTMENTS.values() if lever in built.model.columns]
        lower, upper = problem.lower.copy(), problem.upper.copy()
        lower[columns] = upper[columns] = first
        problem = replace(problem, lower=lower, upper=upper)
    return solve(problem, unit=built.unit).cost


def test_with_one_future_it_says_what_mpc_says_under_the_announced_view():
    layout = layout_of(law=True)
    run, _ = simulation(layout)
    seen = observe(layout, run._table, 0, run._situation())
    one, mpc = (
        build(layout, [ControllerRecord(kind=kind, parameters=parameters)] * 8).decide(seen)
        for kind, parameters in (("two_stage", {"futures": 1}), ("mpc", {"view": "announced"}))
    )
    assert one.targets == pytest.approx(mpc.targets, abs=1e-6) and (one.levers == mpc.levers).all()


def test_all_futures_share_one_first_stage():
    plans = hedged(outlooks())
    stages = np.stack([first_stage(plan) for plan in plans])
    assert stages.shape == (3, 3)
    assert stages == pytest.approx(np.tile(stages[0], (3, 1)), abs=1e-4)


def test_without_the_tie_futures_would_decide_apart():
    """The mutant: each future by itself has another first stage, or the test above shows nothing."""
    alone = np.stack([first_stage(plan_of(outlook)) for outlook in outlooks()])
    assert np.ptp(alone, axis=0).max() > 0.1


def test_the_value_of_the_stochastic_solution_is_not_negative():
    """Wait-and-see <= here-and-now <= the middle future's decision, over the tree (Birge and Louveaux, section 4.2)."""
    tree = outlooks()
    here_and_now = np.mean([cost(one, first_stage(plan)) for one, plan in zip(tree, hedged(tree), strict=True)])
    middle = first_stage(plan_of(tree[0]))
    by_the_middle = np.mean([cost(one, middle) for one in tree])
    wait_and_see = np.mean([cost(one) for one in tree])
    slack = 1e-5 * abs(wait_and_see)
    assert wait_and_see < here_and_now - slack, "the futures ask for other decisions"
    assert here_and_now < by_the_middle - slack, "who knows the middle future alone pays for it"


def test_the_joint_programme_costs_the_mean_of_its_parts():
    tree = outlooks()
    built = [programme(one) for one in tree]
    joint = joined(built)
    parts = [problem_of(one.model.program) for one in built]
    assert joint.constant == pytest.approx(np.mean([one.constant for one in parts]))
    assert joint.cost.sum() == pytest.approx(np.mean([one.cost.sum() for one in parts]))
    assert joint.matrix.shape[0] == sum(one.matrix.shape[0] for one in parts) + 3 * 2


def test_futures_are_what_they_say():
    usual, late, strict = outlooks((Future(), Future(kind="delay", amount=24.0), Future(kind="tighten", amount=1.2)))
    duty = [one.terms["theta"].max(axis=1) for one in (usual, late, strict)]
    assert duty[0][24:] == pytest.approx(0.3) and not duty[1].any()
    assert duty[2] == pytest.approx(1.2 * duty[0])
    middle, high, low = outlooks()
    assert (high.terms["demand"][1:] > middle.terms["demand"][1:]).all()
    assert (low.terms["virgin_price"][1:] < middle.terms["virgin_price"][1:]).all()
    assert middle.terms["demand"].tobytes() == usual.terms["demand"].tobytes()


def test_it_acts_as_the_plan_of_the_middle_future():
    layout = layout_of(law=True, overrides=NARROW)
    run, spy = simulation(layout, ControllerRecord(kind="two_stage", parameters={"horizon": LAST}))
    run.advance(1)
    targets, levers = control_of(hedged(outlooks())[0], layout, acting_defaults(layout))
    assert (spy.said[0].targets[..., 0] == targets).all() and (spy.said[0].levers[:, 0] == levers).all()


@pytest.mark.parametrize("futures", [0, 6, 1.5, True, "3", None])
def test_futures_are_a_number(futures):
    with pytest.raises(ModelError, match="controller two_stage: futures must be a whole number from 1 to 5"):
        build(layout_of(), [ControllerRecord(kind="two_stage", parameters={"futures": futures})])
