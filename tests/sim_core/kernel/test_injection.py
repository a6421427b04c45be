"""Live law in the kernel: the bytes of law that was so dated from the start, the amounts of the NumPy engine."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.errors import ModelError
from sim_core.kernel import simulation
from sim_core.network import NodeKind
from sim_core.suite import ProductShare
from sim_core.units import month_start, parse_month
from tests.sim_core.kernel.parity import any_duty, apart, cell_bytes, doubtful_windows, kernel, rich, unlike
from tests.sim_core.random_models import KEYS, PERIODS, SIZES, Case, Size, case, relative
from tests.sim_core.test_properties import quick

ORDINARY = Size(dict.fromkeys(NodeKind, 1), 1, 0, 5)
WHOLE = {"products": (ProductShare(archetype="ev_battery"),), "warm_up": 0, "scored": PERIODS, "run_out": 0}
PERIOD = st.integers(1, PERIODS - 1)
TAX = {"id": "new law", "type": "carbon_tax", "schedule": {"shape": "staircase", "steps": [["EIF", 90.0]]}}


def duty(name: str, **more: Any) -> dict[str, Any]:
    """A collection target on the mean of the two windows of three months before."""
    schedule = {"shape": "staircase", "steps": [["EIF", 0.6]]}
    window = {"months": 3}
    form = {"id": name, "type": "collection_target", "schedule": schedule, "window": window, "lag": 2}
    return {**form, "penalty": {"value": 5.0, "unit": "EUR/unit"}, **more}


def any_law(size: Size) -> tuple[Case, Mapping[str, Any]]:
    """A random model, and an instrument that it does not have."""
    draw = np.random.default_rng([size.seed, 4])
    live = rich(size)
    return live, any_duty(relative(live.layout.suite, draw), draw)


def check_the_same_bytes(live: Case, written: Case, new: Mapping[str, Any], t: int, early: int) -> None:
    injected, scheduled = (kernel(one, KEYS, look_back=True) for one in (live, written))
    injected.advance(max(0, t - early))
    injected.inject(new, t)
    for run in (injected, scheduled):
        run.advance()
    assert [i for i in range(len(KEYS)) if cell_bytes(injected, i) != cell_bytes(scheduled, i)] == []


def with_law(one: Case, t: int, new: Mapping[str, Any], size: Size, **changes: Any) -> Case:
    """The case with the law written into its suite, in force from period t on."""
    suite = one.layout.suite
    entry = date.fromordinal(month_start(parse_month(suite.start) + t)).isoformat()
    law = (*suite.instruments, {**new, "entry_into_force": entry})
    return case(size, **{"levers": suite.levers, **changes, "instruments": law})


@quick(12)
@given(SIZES, PERIOD, st.integers(0, 3))
def test_injected_law_is_scheduled_law(size: Size, t: int, early: int):
    live, new = any_law(size)
    check_the_same_bytes(live, with_law(live, t, new, size), new, t, early)


def test_injection_one_period_late_is_found(monkeypatch: pytest.MonkeyPatch):
    live = case(ORDINARY, **WHOLE)
    written = with_law(live, 7, TAX, ORDINARY, **WHOLE)
    check_the_same_bytes(live, written, TAX, 7, 0)
    inject = simulation.with_instrument
    monkeypatch.setattr(simulation, "with_instrument", lambda layout, one, new, at: inject(layout, one, new, at + 1))
    with pytest.raises(AssertionError):
        check_the_same_bytes(live, written, TAX, 7, 0)


def check_parity(one: Case, laws: list[tuple[int, Mapping[str, Any]]]) -> None:
    """Both engines learn of the same law in the same periods."""
    with doubtful_windows(len(KEYS)) as doubtful:
        runs = one.simulation(KEYS), kernel(one, KEYS, look_back=True)
        for run in runs:
            for t, new in laws:
                run.advance(t)
                run.inject(new)
            run.advance()
    assert (apart(runs[0].ledger, runs[1].ledger, doubtful), unlike(*runs)) == ([], [])


@quick(12)
@given(SIZES, PERIOD)
def test_injected_law_acts_as_in_the_numpy_engine(size: Size, t: int):
    live, new = any_law(size)
    check_parity(live, [(t, new)])


@pytest.mark.parametrize("periods", [(7, 7), (6, 8), (0, 7), (0, 0)])
def test_duties_that_look_back_may_follow_one_another(periods: tuple[int, int]):
    """In mid-window, in a period with another, and before anything has happened."""
    one = case(ORDINARY, **WHOLE)
    check_parity(one, [(t, duty(f"live {i}")) for i, t in enumerate(periods)])
    check_parity(one, [(t, duty(f"live {i}", lag=i)) for i, t in enumerate(periods)])


def test_a_duty_that_looks_back_needs_what_was_kept():
    one = case(ORDINARY, **WHOLE)
    run, other = kernel(one, KEYS), kernel(one, KEYS)
    for each in (run, other):
        each.advance(4)
    with pytest.raises(ModelError, match="needs look_back=True from the start"):
        run.inject(duty("live"))
    for each in (run, other):
        each.inject(TAX)  # what was refused is no law
        each.advance()
    assert [i for i in range(len(KEYS)) if cell_bytes(run, i) != cell_bytes(other, i)] == []


def test_what_is_over_stays_as_it_was():
    run = kernel(case(ORDINARY, **WHOLE), KEYS)
    run.advance(7)
    before, rows = run.ledger.objective(), run._x.shape[1]
    kept = run._x.copy()
    run.inject({**duty("live"), "lag": 0})
    assert (run.ledger.objective() == before).all() and (run._x[:, :rows] == kept).all() and run._x.shape[1] > rows


@pytest.mark.parametrize("period", [6, PERIODS, -1])
def test_a_period_that_is_over_or_beyond_the_end_is_refused(period: int):
    run = kernel(case(ORDINARY, **WHOLE), KEYS)
    run.advance(7)
    with pytest.raises(ModelError, match="can't be changed; the simulation stands at 7"):
        run.inject(TAX, period)
