"""Lifecycles: the table of legal transitions, and passports that can't disagree with it."""

import numpy as np
import pytest

from sim_core.agents.passport import OUTSIDE, Units
from sim_core.agents.states import (
    BIRTHS,
    EVENTS,
    STATE_CODE,
    STATES,
    TRANSITIONS,
    LifeEvent,
    MaterialState,
    next_state,
    next_states,
)
from sim_core.errors import IntegrityError, TransitionError

FINAL = (MaterialState.RECYCLED, MaterialState.DISPOSED)


def test_the_six_states_are_those_of_the_project():
    assert [state.name for state in MaterialState] == [
        "VIRGIN", "IN_USE", "RETURNED", "REMANUFACTURED", "RECYCLED", "DISPOSED",
    ]  # fmt: skip
    assert set(TRANSITIONS) == set(MaterialState)


@pytest.mark.parametrize("state", STATES)
def test_every_event_either_follows_the_table_or_is_refused_by_name(state: MaterialState):
    units = np.array([41], dtype=np.int64)
    now = np.array([STATE_CODE[state]], dtype=np.int8)
    for event in EVENTS:
        if event in TRANSITIONS[state]:
            after = TRANSITIONS[state][event]
            assert next_state(state, event) is after
            assert STATES[next_states(now, event, units)[0]] is after
        else:
            with pytest.raises(TransitionError, match=f"is {state} and can't be {event}; legal here"):
                next_state(state, event)
            with pytest.raises(TransitionError, match=f"unit 41 is {state} and can't be {event}"):
                next_states(now, event, units)


def test_an_illegal_transition_stops_everything():
    assert issubclass(TransitionError, IntegrityError)
    assert TransitionError("").exit_code == 3


def test_nothing_happens_after_the_end_and_every_state_can_be_reached():
    assert [state for state in STATES if not TRANSITIONS[state]] == list(FINAL)
    reached, new = set(), set(BIRTHS.values())
    while new:
        reached |= new
        new = {after for state in new for after in TRANSITIONS[state].values()} - reached
    assert reached == set(MaterialState)


def test_a_passport_tells_a_whole_life():
    units = Units(record=True)
    ids = units.create(LifeEvent.MADE, 3, t=4, product=0, place=2, carbon=50.0)
    one = ids[1:2]
    units.happen(LifeEvent.SOLD, ids, t=5, place=7)
    units.happen(LifeEvent.COLLECTED, one, t=90, place=9, carbon=1.5)
    units.happen(LifeEvent.GRADED, one, t=91, quality=np.array([0.8]))
    units.happen(LifeEvent.REMANUFACTURED, one, t=92, category=2)
    units.happen(LifeEvent.SOLD, one, t=93, place=7)
    units.happen(LifeEvent.LOST, ids[:1], t=99, place=OUTSIDE)
    history = units.history()
    mine = history.unit == 1
    assert history.period[mine].tolist() == [4, 5, 90, 91, 92, 93]
    assert [STATES[code].name for code in history.state[mine]] == [
        "VIRGIN", "IN_USE", "RETURNED", "RETURNED", "REMANUFACTURED", "IN_USE",
    ]  # fmt: skip
    assert history.quality[mine].tolist() == [1.0, 1.0, 1.0, 0.8, 0.8, 0.8]
    assert history.carbon[mine].tolist() == [50.0, 50.0, 51.5, 51.5, 51.5, 51.5]
    assert units.lives().tolist() == [1, 2, 1]
    assert units.column("place").tolist() == [OUTSIDE, 7, 7]
    assert units.in_state(MaterialState.IN_USE) == 2


def test_an_illegal_event_changes_nothing():
    units = Units(record=True)
    ids = units.create(LifeEvent.MADE, 2, t=0, product=0, place=0)
    with pytest.raises(TransitionError, match="unit 0 is virgin and can't be collected"):
        units.happen(LifeEvent.COLLECTED, ids, t=1, place=5)
    assert units.column("place").tolist() == [0, 0]
    assert units.history().count == 2


def test_columns_outgrow_their_first_room():
    units = Units(record=False)
    for t in range(5):
        units.create(LifeEvent.MADE, 1000, t=t, product=t, place=0)
    assert units.count == 5000
    assert np.array_equal(units.column("product"), np.repeat(np.arange(5), 1000))
    assert units.history().count == 0
