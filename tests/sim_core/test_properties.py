"""What holds for any network, law and control: balance, no negative stock, causality, same bytes, live law."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sim_core.engine import rollout
from sim_core.engine.period import Period
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.rollout import LANE_WIDTH, Simulation, pad
from sim_core.engine.use_phase import UsePhase
from sim_core.errors import BalanceError
from sim_core.network import NodeKind
from sim_core.policy import views
from sim_core.suite import ProductShare
from sim_core.units import month_start, parse_month
from tests.sim_core.random_models import (
    KEYS,
    PERIODS,
    SIZES,
    Case,
    Size,
    arrays,
    case,
    cell_bytes,
    changed_from,
    differing,
    relative,
)

SMALLEST = 1e-12  # of a batch's largest value: what is less than that below 0 is a rounding
LEAK = 1e-6  # of a flow
PERIOD = st.integers(1, PERIODS - 1)


def quick(examples: int) -> settings:
    """The same examples in each run; models are small from the start, and shrinking them would take minutes."""
    phases = (Phase.explicit, Phase.generate)
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, phases=phases)


# ---- balance and non-negativity


def lowest(values: dict[str, np.ndarray]) -> dict[str, float]:
    """The arrays that fall below 0, with their least value."""
    found = {name: float(value.min(initial=0.0)) for name, value in values.items()}
    return {
        name: low for name, low in found.items() if low < -SMALLEST * max(1.0, float(values[name].max(initial=0.0)))
    }


def check_balance_and_sign(size: Size, **changes: Any) -> None:
    """The engine checks its balance itself, each period; here it runs, and all that it moves and holds is looked at."""
    step, flows = rollout.step, dict[str, np.ndarray]()

    def seeing(p: Period) -> None:
        step(p)
        flows.update({name: getattr(p, name) for name in ("made", "left", "entered", "recovered", "sold_off")})
        flows.update(p.register)

    run = case(size, **changes).simulation(KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout, "step", seeing)
        for t in range(PERIODS):
            run.advance(t + 1)
            held = dict(arrays(run.state, "state"))
            assert all(np.isfinite(value).all() for value in (*held.values(), *flows.values()))
            assert lowest(held) == {} and lowest(flows) == {}
    assert np.isfinite(run.ledger.objective()).all()


@quick(25)
@given(SIZES)
def test_mass_is_kept_and_nothing_is_negative(size: Size):
    check_balance_and_sign(size)


ORDINARY = Size(dict.fromkeys(NodeKind, 1), 1, 0, 5)  # one node of each kind, for mutants
BATTERY = (ProductShare(archetype="ev_battery"),)


def leaking_sale(patch: pytest.MonkeyPatch) -> None:
    sell = UsePhase.sell
    patch.setattr(UsePhase, "sell", lambda self, t, sold, easy: sell(self, t, sold * (1.0 - LEAK), easy))


def leaking_lane(patch: pytest.MonkeyPatch) -> None:
    take = Pipeline.take
    patch.setattr(Pipeline, "take", lambda self, t: take(self, t) * (1.0 - LEAK))


def leaking_stock(patch: pytest.MonkeyPatch) -> None:
    draw = Period.draw
    patch.setattr(Period, "draw", lambda self, stock, amount: draw(self, stock, amount) * (1.0 - LEAK))


@pytest.mark.parametrize("leak", [leaking_sale, leaking_lane, leaking_stock])
def test_a_leaking_step_is_stopped(monkeypatch: pytest.MonkeyPatch, leak: Callable[[pytest.MonkeyPatch], None]):
    leak(monkeypatch)
    with pytest.raises(BalanceError, match="mass balance broken"):
        check_balance_and_sign(ORDINARY, products=BATTERY)


def test_a_stock_below_zero_is_found(monkeypatch: pytest.MonkeyPatch):
    """Taking twice keeps the balance and leaves less than nothing."""
    step = rollout.step

    def overdrawn(p: Period) -> None:
        step(p)
        p.state.goods[0, 0, 0] -= 1.0
        p.state.goods[0, 0, -1] += 1.0

    monkeypatch.setattr(rollout, "step", overdrawn)
    with pytest.raises(AssertionError):
        check_balance_and_sign(ORDINARY)


def test_what_is_compared_holds_every_stock_and_account():
    run = case(ORDINARY).simulation(KEYS)
    run.advance(1)
    names = cell_bytes(run, 0)
    flows = {f"state.pipes.{group}._slots" for group in run.state.pipes}
    stocks = {f"state.{name}" for name in ("goods", "feed", "collected", "queue", "cores", "second_life", "backlog")}
    accounts = {f"ledger.money.{account}" for account in run.ledger.money}
    in_use = {"state.use._recent", "state.use._vintages", "state.use.hibernating"}
    assert flows | stocks | accounts | in_use <= names.keys()


# ---- causality


def check_causality(one: Case, other: Case, t: int) -> None:
    """Until period t, in which their laws part, two suites are the same byte for byte, whatever their law later on."""
    runs = [each.simulation(KEYS) for each in (one, other)]
    for run in runs:
        run.advance(t)
    for cell in range(LANE_WIDTH):
        assert differing(*(cell_bytes(run, cell) for run in runs)) == []


@quick(12)
@given(SIZES, PERIOD)
def test_law_that_is_announced_in_a_period_changes_nothing_before(size: Size, t: int):
    one = case(size)
    law = changed_from(one.layout.suite, t, np.random.default_rng(size.seed + 1))
    check_causality(one, case(size, instruments=law), t)


def duty(steps: list[list[Any]], **more: Any) -> dict[str, Any]:
    schedule = {"shape": "staircase", "steps": steps}
    return {"id": "mine", "type": "recycled_content_mandate", "schedule": schedule, **more}


def later_duty() -> tuple[Case, Case, int]:
    """A duty that is announced and in force in month 8, and is not there in the other case."""
    start = {"start": "2030-01", "products": BATTERY, "epoch_months": 2}
    none = case(ORDINARY, instruments=(), **start)
    one = case(ORDINARY, instruments=(duty([["2030-10-01", 0.9]], announced="2030-09-10"),), **start)
    return none, replace(one, names=none.names), 8


def test_a_view_of_announced_law_that_knows_the_future_is_found(monkeypatch: pytest.MonkeyPatch):
    check_causality(*later_duty())
    known = views.newest
    monkeypatch.setattr(views, "newest", lambda one, days, *, by: np.maximum(known(one, days, by=by), 0))
    with pytest.raises(AssertionError):
        check_causality(*later_duty())


def test_an_observation_of_the_realised_law_is_found(monkeypatch: pytest.MonkeyPatch):
    observe = rollout.observe

    def leaking(layout: Any, table: Any, t: int, situation: Any) -> Any:
        seen = observe(layout, table, t, situation)
        ahead = [table.at(min(t + h, PERIODS - 1)).content_duty.max(axis=0) for h in range(len(seen.announced_duty))]
        return replace(seen, announced_duty=np.stack(ahead))

    monkeypatch.setattr(rollout, "observe", leaking)
    with pytest.raises(AssertionError):
        check_causality(*later_duty())


# ---- live law


def check_injection(size: Size, t: int, early: int, form: dict[str, Any] | None = None, **changes: Any) -> None:
    """Law injected at t gives the bytes of law that was written to be announced and in force from then on."""
    live = case(size, **changes)
    suite = live.layout.suite
    new = form or relative(suite, np.random.default_rng(size.seed + 2))
    entry = date.fromordinal(month_start(parse_month(suite.start) + t)).isoformat()
    written = case(size, **{**changes, "instruments": (*suite.instruments, {**new, "entry_into_force": entry})})
    runs: list[Simulation] = [each.simulation(KEYS) for each in (live, written)]
    runs[0].advance(max(0, t - early))
    runs[0].inject(new, t)
    for run in runs:
        run.advance()
    for cell in range(LANE_WIDTH):
        assert differing(*(cell_bytes(run, cell) for run in runs)) == []


@quick(14)
@given(SIZES, PERIOD, st.integers(0, 3))
def test_injected_law_is_scheduled_law(size: Size, t: int, early: int):
    check_injection(size, t, early)


TAX = {"id": "new law", "type": "carbon_tax", "schedule": {"shape": "staircase", "steps": [["EIF", 90.0]]}}


def test_injection_one_period_late_is_found(monkeypatch: pytest.MonkeyPatch):
    whole = {"products": BATTERY, "warm_up": 0, "scored": PERIODS, "run_out": 0}
    check_injection(ORDINARY, 7, 0, TAX, **whole)
    inject = rollout.with_instrument
    monkeypatch.setattr(rollout, "with_instrument", lambda layout, one, new, at: inject(layout, one, new, at + 1))
    with pytest.raises(AssertionError):
        check_injection(ORDINARY, 7, 0, TAX, **whole)


# ---- same bytes


def check_blocks(size: Size, order: list[int], cut: int) -> None:
    """Cells have the same bytes together in their own order, in other blocks in another order, and one alone."""
    any_case = case(size)
    together = bytes_of(any_case, sorted(order))
    for block in (order[:cut], order[cut:], order[-1:]):
        found = bytes_of(any_case, block) if block else {}
        assert [key for key in found if differing(found[key], together[key])] == []


def bytes_of(any_case: Case, keys: list[int]) -> dict[int, dict[str, bytes]]:
    run = any_case.simulation([keys[i] for i in pad(len(keys))])
    run.advance()
    return {key: cell_bytes(run, cell) for cell, key in enumerate(keys)}


@quick(10)
@given(SIZES, st.permutations(range(11)), st.integers(0, 10))
def test_a_cell_has_the_same_bytes_alone_and_in_any_block(size: Size, order: list[int], cut: int):
    check_blocks(size, order, cut)


def test_a_step_that_mixes_cells_is_found(monkeypatch: pytest.MonkeyPatch):
    step = rollout.step

    def mixing(p: Period) -> None:
        step(p)
        p.state.forecast *= 1.0 + 1e-13 * p.state.goods.mean()

    monkeypatch.setattr(rollout, "step", mixing)
    with pytest.raises(AssertionError):
        check_blocks(ORDINARY, list(range(11))[::-1], 4)
