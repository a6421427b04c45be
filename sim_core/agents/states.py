"""The states of a unit of product, and what may happen to it in each.

Rules for this file: no time, no place, no randomness, no arrays of units. It says what is legal and nothing else.

Theory of operation. A unit is born by one of four events (`BIRTHS`). From then on it is in exactly one state, and every
change is an event looked up in `TRANSITIONS`: state -> event -> next state. What is not in the table can't happen: a
missing key is a TransitionError, which means that an engine is wrong, never that a unit was unlucky. RECYCLED and
DISPOSED have no events: nothing happens to a unit that has left.

    (born) -> VIRGIN -> IN_USE -> RETURNED -> REMANUFACTURED -> IN_USE -> ...
                           |          |-> IN_USE (a second life), RECYCLED, DISPOSED
                           `-> DISPOSED (nobody collected it)

REMANUFACTURED is a unit that is fit for another sale, remanufactured or reused as it was: its class tells which. A unit
in hibernation (kept in a drawer) is IN_USE, as it has not been given back. Production scrap is material, not a unit.
"""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import TransitionError


class MaterialState(StrEnum):
    """Where a unit stands in its life."""

    VIRGIN = "virgin"  # new goods, not yet sold
    IN_USE = "in_use"  # with a first or later user, in hibernation, or in a second life
    RETURNED = "returned"  # given back: at collectors, inspection, remanufacturers, recyclers or between them
    REMANUFACTURED = "remanufactured"  # goods again
    RECYCLED = "recycled"  # now material
    DISPOSED = "disposed"  # landfilled, or out of the system's reach


class LifeEvent(StrEnum):
    """What happens to a unit."""

    MADE = "made"
    BOUGHT = "bought"  # finished goods from outside
    FOUND_IN_USE = "found_in_use"  # sold before the horizon
    TAKEN_IN = "taken_in"  # an exogenous return
    SHIPPED = "shipped"
    ARRIVED = "arrived"
    SOLD = "sold"
    HIBERNATED = "hibernated"
    COLLECTED = "collected"
    LOST = "lost"  # its use ended and nobody collected it
    GRADED = "graded"
    REUSED = "reused"
    REMANUFACTURED = "remanufactured"
    REJECTED = "rejected"  # not fit for remanufacture after all
    REPURPOSED = "repurposed"
    RECYCLED = "recycled"
    LANDFILLED = "landfilled"


BIRTHS: Mapping[LifeEvent, MaterialState] = {
    LifeEvent.MADE: MaterialState.VIRGIN,
    LifeEvent.BOUGHT: MaterialState.VIRGIN,
    LifeEvent.FOUND_IN_USE: MaterialState.IN_USE,
    LifeEvent.TAKEN_IN: MaterialState.RETURNED,
}

TRANSITIONS: Mapping[MaterialState, Mapping[LifeEvent, MaterialState]] = {
    MaterialState.VIRGIN: {
        LifeEvent.SHIPPED: MaterialState.VIRGIN,
        LifeEvent.ARRIVED: MaterialState.VIRGIN,
        LifeEvent.SOLD: MaterialState.IN_USE,
    },
    MaterialState.IN_USE: {
        LifeEvent.HIBERNATED: MaterialState.IN_USE,
        LifeEvent.COLLECTED: MaterialState.RETURNED,
        LifeEvent.LOST: MaterialState.DISPOSED,
    },
    MaterialState.RETURNED: {
        LifeEvent.SHIPPED: MaterialState.RETURNED,
        LifeEvent.ARRIVED: MaterialState.RETURNED,
        LifeEvent.GRADED: MaterialState.RETURNED,
        LifeEvent.REJECTED: MaterialState.RETURNED,
        LifeEvent.REUSED: MaterialState.REMANUFACTURED,
        LifeEvent.REMANUFACTURED: MaterialState.REMANUFACTURED,
        LifeEvent.REPURPOSED: MaterialState.IN_USE,
        LifeEvent.RECYCLED: MaterialState.RECYCLED,
        LifeEvent.LANDFILLED: MaterialState.DISPOSED,
    },
    MaterialState.REMANUFACTURED: {
        LifeEvent.SHIPPED: MaterialState.REMANUFACTURED,
        LifeEvent.ARRIVED: MaterialState.REMANUFACTURED,
        LifeEvent.SOLD: MaterialState.IN_USE,
    },
    MaterialState.RECYCLED: {},
    MaterialState.DISPOSED: {},
}

STATES = tuple(MaterialState)
EVENTS = tuple(LifeEvent)
STATE_CODE: Mapping[MaterialState, int] = {state: i for i, state in enumerate(STATES)}
EVENT_CODE: Mapping[LifeEvent, int] = {event: i for i, event in enumerate(EVENTS)}
ILLEGAL = -1

_NEXT = np.array(
    [
        [STATE_CODE[TRANSITIONS[state][event]] if event in TRANSITIONS[state] else ILLEGAL for event in EVENTS]
        for state in STATES
    ],
    dtype=np.int8,
)


def next_state(state: MaterialState, event: LifeEvent) -> MaterialState:
    """Return the state after an event. Raises TransitionError for one that can't happen in this state."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise TransitionError(_refusal(state, event, "a unit")) from None


def next_states(states: NDArray[np.int8], event: LifeEvent, units: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the state codes of many units after an event; `units` are their numbers, for the message.

    Raises TransitionError, naming the first unit, for an event that can't happen in its state.
    """
    after = _NEXT[states, EVENT_CODE[event]]
    wrong = after == ILLEGAL
    if wrong.any():
        first = int(np.argmax(wrong))
        raise TransitionError(_refusal(STATES[states[first]], event, f"unit {units[first]}"))
    return after


def _refusal(state: MaterialState, event: LifeEvent, unit: str) -> str:
    legal = ", ".join(TRANSITIONS[state]) or "nothing"
    return f"{unit} is {state} and can't be {event}; legal here: {legal}. This is a fault of the engine: report it"
