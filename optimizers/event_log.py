"""What a search was asked and told, in order: all that it takes to bring it back.

A method is deterministic, so its log is its state: restoring one replays the asks and tells, whatever the method and
whatever libraries it uses, and candidates that were in flight are in flight again. Plain data only, nothing unpickled.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optimizers.contract import Candidate, Evaluation, Optimizer, SearchSpace
from sim_core.errors import IntegrityError

_NOT_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class EventLog:
    """The asks and tells of one search. Candidates are noted by their place among those asked, or spelt out."""

    def __init__(self) -> None:
        self._events: list[list[Any]] = []
        self._places: dict[str, int] = {}

    def asked(self, n: int, candidates: Sequence[Candidate]) -> None:
        """Note an ask for n and what it gave."""
        self._events.append(["ask", n])
        for candidate in candidates:
            self._places.setdefault(candidate.key, len(self._places))

    def told(self, evaluations: Sequence[Evaluation]) -> None:
        """Note a tell."""
        self._events.append(["tell", [self._noted(evaluation) for evaluation in evaluations]])

    def events(self) -> list[list[Any]]:
        """Return all events as plain data."""
        return [
            ["tell", [_plain(one) for one in what]] if kind == "tell" else ["ask", what] for kind, what in self._events
        ]

    def _noted(self, evaluation: Evaluation) -> tuple[Any, ...]:
        one = evaluation.candidate
        place = self._places.get(one.key)
        return (
            place if place is not None else written(one),
            evaluation.value,
            evaluation.standard_error,
            evaluation.n,
            evaluation.violation,
            evaluation.failed,
            evaluation.objectives,
        )


def written(candidate: Candidate) -> list[Any]:
    """Return a candidate as plain data: its bits and its values, without loss."""
    return [np.packbits(candidate.bits).tobytes().hex(), [value.hex() for value in candidate.values.tolist()]]


def read(space: SearchSpace, plain: Sequence[Any]) -> Candidate:
    """Return the candidate of a space that was written as plain data."""
    packed = np.frombuffer(bytes.fromhex(plain[0]), dtype=np.uint8)
    bits = np.unpackbits(packed, count=space.bits).astype(np.bool_).reshape(space.epochs, space.columns)
    return Candidate(bits=bits, values=np.array([float.fromhex(value) for value in plain[1]], dtype=np.float64))


def replay(search: Optimizer, events: Sequence[Sequence[Any]]) -> None:
    """Ask and tell a new search all that a log holds. Raises IntegrityError for a log that isn't this search's."""
    asked: dict[str, Candidate] = {}
    places: list[Candidate] = []
    for kind, what in events:
        if kind == "ask":
            for candidate in search.ask(what):
                if candidate.key not in asked:
                    asked[candidate.key] = candidate
                    places.append(candidate)
            continue
        if any(isinstance(one[0], int) and one[0] >= len(places) for one in what):
            raise IntegrityError("a search's state tells of a candidate that the search never asked: it isn't its own")
        search.tell([_evaluation(search.space, places, one) for one in what])


def _evaluation(space: SearchSpace, places: Sequence[Candidate], plain: Sequence[Any]) -> Evaluation:
    where, value, error, n, violation, failed, objectives = plain
    return Evaluation(
        candidate=places[where] if isinstance(where, int) else read(space, where),
        value=_number_read(value),
        standard_error=_number_read(error),
        n=n,
        violation=_number_read(violation),
        failed=failed,
        objectives=tuple(_number_read(one) for one in objectives),
    )


def _plain(noted: Sequence[Any]) -> list[Any]:
    where, value, error, n, violation, failed, objectives = noted
    return [
        where,
        _number_written(value),
        _number_written(error),
        n,
        _number_written(violation),
        failed,
        [_number_written(one) for one in objectives],
    ]


def _number_written(value: float) -> float | str:
    """Return a number as JSON can hold it without loss."""
    return float(value) if math.isfinite(value) else str(float(value))


def _number_read(value: float | str) -> float:
    return _NOT_NUMBERS[value] if isinstance(value, str) else value
