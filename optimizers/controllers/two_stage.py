"""two_stage: a stochastic programme over a tree of futures; what is decided now is the same in all of them.

Two-stage stochastic programming with recourse (Dantzig 1955, Management Science 1, 197-206; Birge and Louveaux,
Introduction to Stochastic Programming, 2nd ed. 2011). First stage: the investments of this review, decided before it is
known which future comes. Second stage: everything else, in each future as is best there. The objective is the mean over
the futures. Futures lean from the announced view: law as announced, demand and prices as forecast; demand and virgin
prices high, what is announced of duties comes two years later; demand and prices low, duties a fifth stricter. The
levers beside investment, and targets, act like the plan of the middle future, as in optimizers/controllers/acting.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import block_diag, csc_array, vstack

from optimizers.controllers.mpc import Planner, RollingHorizon, read_horizon, read_styles
from optimizers.controllers.planning import Array, Plan, outlook_of, source
from optimizers.controllers.views import AS_FORECAST, Lean, compiled, forecast, instruments_of, together
from sim_core.bound import Built, build
from sim_core.bound.levers import INVESTMENTS
from sim_core.bound.outlook import Outlook
from sim_core.bound.program import Index
from sim_core.bound.solver import Problem, problem_of, solve
from sim_core.engine.layout import Layout
from sim_core.engine.situation import Situation
from sim_core.errors import ModelError
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.revisions import revise
from sim_core.units import month_start, parse_month

KIND = "two_stage"
DEFAULT_FUTURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """One branch of the tree. lean: of demand and prices. kind, amount: how a coming duty is revised; "" not at all."""

    lean: Lean = AS_FORECAST
    kind: str = ""
    amount: float = 1.0


# The first is the middle one. Demand's spread is that of the catalogue's saturation; the law's are assumptions.
FUTURES = (
    Future(),
    Future(lean=Lean(demand=1.2, price=1.0), kind="delay", amount=24.0),
    Future(lean=Lean(demand=0.8, price=-1.0), kind="tighten", amount=1.2),
    Future(lean=Lean(demand=1.2, price=1.0), kind="tighten", amount=1.2),
    Future(lean=Lean(demand=0.8, price=-1.0), kind="delay", amount=24.0),
)


def two_stage_controller(layout: Layout, items: Sequence[Mapping[str, Any]]) -> RollingHorizon:
    """Return B controllers. futures: 1 to 5, of FUTURES in order; horizon: months; covers and margin as for mpc.

    Raises ModelError for anything else.
    """
    planners: list[Planner] = []
    for item in items:
        futures, horizon = item.get("futures", DEFAULT_FUTURES), read_horizon(KIND, item)
        whole = isinstance(futures, int | float) and not isinstance(futures, bool) and float(futures).is_integer()
        if not whole or not 1 <= futures <= len(FUTURES):
            raise ModelError(f"controller {KIND}: futures must be a whole number from 1 to {len(FUTURES)}")
        name, plan = f"{int(futures)} {horizon}", _planner(FUTURES[: int(futures)])
        planners.append(Planner(name=name, horizon=horizon, plan=plan))
    return RollingHorizon(KIND, layout, planners, read_styles(KIND, layout, items, beside=("futures", "horizon")))


def _planner(futures: Sequence[Future]) -> Callable[[Situation, int, int], Plan]:
    def plan(situation: Situation, cell: int, last: int) -> Plan:
        return hedged([outlook_in(situation, cell, future, last) for future in futures])[0]

    return plan


def outlook_in(situation: Situation, cell: int, future: Future, last: int) -> Outlook:
    """Return the outlook of a cell in one future."""
    day = month_start(parse_month(situation.layout.suite.start) + situation.t)
    law = tuple(_revised(one, future, day) for one in instruments_of(situation, cell, "announced"))
    given = forecast(situation, cell, last, future.lean)
    return outlook_of(situation, cell, together(situation, cell, compiled(situation, cell, law, last), given), last)


def _revised(instrument: PolicyInstrument, future: Future, day: int) -> PolicyInstrument:
    """Return a duty as a future has it; what is no duty of a least share stays as announced."""
    if not future.kind or instrument.acts != "duty" or instrument.neutral != 0.0:
        return instrument
    ceiling = instrument.kind.ceiling
    law = instrument.revisions[0]
    steps = [
        revise(one, future.kind, future.amount, day, neutral=instrument.neutral, ceiling=ceiling)
        for one in (law.steps, *law.wider)
    ]
    return replace(instrument, revisions=(replace(law, steps=steps[0], wider=tuple(steps[1:])),))


def hedged(outlooks: Sequence[Outlook]) -> list[Plan]:
    """Return a plan for each future, equal in the investments of this review, of the least mean cost.

    Raises ModelError where there is no solution.
    """
    built = [build(outlook) for outlook in outlooks]
    for one in built:
        source(one.model)
    values = solve(joined(built), unit=built[0].unit).values
    widths = np.cumsum([one.model.program.width for one in built])[:-1]
    return [Plan(model=one.model, values=part) for one, part in zip(built, np.split(values, widths), strict=True)]


def joined(built: Sequence[Built]) -> Problem:
    """Put programmes of equal form beside each other, each with its part of the cost, and tie first stages together."""
    problems = [problem_of(one.model.program) for one in built]
    offsets = np.concatenate([[0], np.cumsum([len(one.cost) for one in problems])])
    first = [
        [one.model.columns[lever][0] for lever in INVESTMENTS.values() if lever in one.model.columns] for one in built
    ]
    ties = len(first[0]) * (len(built) - 1)
    rows = np.repeat(np.arange(ties), 2)
    pairs = [
        (column + offsets[0], own + offsets[k])
        for k in range(1, len(built))
        for column, own in zip(first[0], first[k], strict=True)
    ]
    tie = csc_array(
        (np.tile([1.0, -1.0], ties), (rows, np.array(pairs, dtype=np.intp).ravel())), shape=(ties, offsets[-1])
    )
    part = 1.0 / len(built)
    return Problem(
        cost=part * _all(problems, "cost"),
        constant=part * sum(one.constant for one in problems),
        lower=_all(problems, "lower"),
        upper=_all(problems, "upper"),
        implied=_all(problems, "implied"),
        row_lower=np.concatenate([_all(problems, "row_lower"), np.zeros(ties)]),
        row_upper=np.concatenate([_all(problems, "row_upper"), np.zeros(ties)]),
        defined=_defined(problems),
        matrix=csc_array(vstack([block_diag([one.matrix for one in problems], format="csc"), tie])),
    )


def _defined(problems: Sequence[Problem]) -> list[tuple[Index, Index]]:
    found, down, across = list[tuple[Index, Index]](), 0, 0
    for one in problems:
        found += [(rows + down, columns + across) for rows, columns in one.defined]
        down, across = down + one.row_lower.size, across + one.cost.size
    return found


def _all(problems: Sequence[Problem], name: str) -> Array:
    return np.concatenate([getattr(one, name) for one in problems])
