"""The outlook in mid-run: the same programme as from the start, and never above what the engine then pays."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import event, given, settings

from sim_core.bound import build
from sim_core.bound.outlook import Array, Outlook, of_scenario, of_situation
from sim_core.bound.solver import solve
from sim_core.engine.rollout import Simulation
from sim_core.errors import ModelError
from tests.sim_core.bound_models import supplied
from tests.sim_core.random_models import KEYS, SIZES, Case, Size

TOLERANCE = 1e-6


def clairvoyant(run: Simulation, cell: int) -> Mapping[str, Array]:
    return {name: np.ascontiguousarray(values[..., run._rows[cell]]) for name, values in run._table.paths.items()}


def outlook_of(run: Simulation, cell: int) -> Outlook:
    suite = run.layout.suite
    return of_situation(run._situation(), cell, clairvoyant(run, cell), suite.warm_up + suite.scored, runs_on=False)


def least(outlook: Outlook) -> float:
    built = build(outlook)
    return solve(built.problem, unit=built.unit).lower


def begun(found: Case) -> Simulation:
    return found.simulation(KEYS)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(SIZES)
def test_at_the_start_it_is_the_outlook_of_the_scenario(size: Size):
    run = begun(supplied(size))
    mine = build(outlook_of(run, 1)).problem
    whole = build(of_scenario(run.layout, run._scenarios[run._rows[1]])).problem
    assert mine.matrix.shape == whole.matrix.shape
    assert abs(mine.matrix - whole.matrix).max() <= 1e-12 * abs(whole.matrix).max()
    for name in ("cost", "lower", "upper", "row_lower", "row_upper"):
        assert getattr(mine, name) == pytest.approx(getattr(whole, name), rel=1e-12, abs=0.0), name
    assert mine.constant == pytest.approx(whole.constant, rel=1e-12)


def check_rest(run: Simulation, t: int, cell: int) -> None:
    """What the rest of a run costs is no less than its outlook says."""
    run.advance(t)
    before = float(run.ledger.objective()[cell])
    bound = least(outlook_of(run, cell))
    run.advance()
    after = float(run.ledger.objective()[cell])
    scale = max(1.0, abs(bound), abs(after), sum(abs(float(money[cell])) for money in run.ledger.money.values()))
    assert bound <= after - before + TOLERANCE * scale


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(SIZES)
def test_in_mid_run_nobody_pays_less_than_the_outlook(size: Size):
    found = supplied(size)
    suite = found.layout.suite
    t = 1 + size.seed % (suite.warm_up + suite.scored - 1)
    try:
        check_rest(begun(found), t, size.seed % len(KEYS))
    except ModelError:  # prices that rise without an end: the programme has none
        event("unbounded")
