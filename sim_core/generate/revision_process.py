"""How real law is revised in one scenario: a seeded hazard process for each instrument that a family exposes.

An instrument goes from proposal to announcement, entry into force, phase-in and force; in each stage competing hazards
(sim_core.generate.hazards) delay, freeze, weaken, tighten, amend, repeal or extend it. Waiting times are exponential
with the rates of the stage, and one revision follows another only once that is adopted. Draws are keyed by the
instrument and the number of its revision, so that another instrument in the family changes nothing for this one.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_core.errors import ModelError
from sim_core.generate.events import Event, iso
from sim_core.generate.hazards import Hazard, hazards_of
from sim_core.policy.arithmetic import Steps
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.kinds import AT_LEAST
from sim_core.policy.revisions import IN_MONTHS, revise
from sim_core.seeding import uniforms, uniforms_at
from sim_core.units import add_months, day

MOST_INSTRUMENTS = 6  # that one scenario revises
MOST_EVENTS = 7  # of one scenario, so that its recipe stays below 1 KB; the last announced ones are left out
_MOST_REVISIONS = 3  # of one instrument
_DAYS_PER_YEAR = 365.2425
_COLUMNS = 6  # uniforms of one revision
_WAIT, _KIND, _AMOUNT, _NOTICE, _ENDS, _PHASED = range(_COLUMNS)
_COUNTERS = np.arange(_MOST_REVISIONS * _COLUMNS, dtype=np.uint64)
_MOST_PHASES = 2  # after the first
_EXPIRING = 540  # days before its end from which an extension may be announced
_PHASE_MONTHS = (12, 24)  # from half the value to the whole one
FIRST, LAST = "2026-01-01", "2050-12-31"  # between which a revision may be announced
_NEVER = day("2999-12-31")
_OF_LAW = ("pending", "phase_in", "in_force", "expiring")
_STREAM = "revisions"
_Rates = tuple[float, tuple[Hazard, ...]]
_Stages = tuple[tuple[str, float, int, int], ...]  # name, rate a day, first day, day after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionProcess:
    """Which law a family's scenarios revise, and how eagerly.

    pools: admissible combinations. A scenario draws one pool, and from it `least` to `most` instruments that are
    exposed to their hazards. intensity: factor on all rates. first, last: ISO days between which a revision may be
    announced.
    """

    pools: tuple[tuple[str, ...], ...]
    least: int = 2
    most: int = MOST_INSTRUMENTS
    intensity: float = 1.0
    first: str = FIRST
    last: str = LAST

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most <= MOST_INSTRUMENTS:
            raise ModelError(
                f"least and most must be 1 to {MOST_INSTRUMENTS} in order, not {self.least} and {self.most}"
            )
        if not self.pools or any(len(set(pool)) < max(self.least, len(pool)) for pool in self.pools):
            raise ModelError(f"name one or more pools of {self.least} or more instruments, each once")

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments of all pools, each once."""
        return tuple(dict.fromkeys(one for pool in self.pools for one in pool))

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last day on which a revision may be announced."""
        return day(self.first), day(self.last)

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The pairs of instruments that one scenario may revise, each in alphabetical order."""
        if self.most < 2:
            return frozenset()
        return frozenset(pair for pool in self.pools for pair in combinations(sorted(pool), 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the process has to know of an instrument.

    targets: its id alone. span: the days between which a revision may be announced. steps: as it is law first, none
    where it isn't law yet. proposed: the catalogue's steps. free: the first day on which a revision may be announced.
    least_value: whether more is stricter. scales: whether part of it means anything. rates: the hazards of each stage
    and their sum. stages: of the steps.
    """

    targets: tuple[str, ...]
    span: tuple[int, int]
    steps: Steps
    proposed: Steps
    free: int
    neutral: float
    ceiling: float
    least_value: bool
    scales: bool
    rates: Mapping[str, _Rates]
    stages: _Stages

    @property
    def risk(self) -> float:
        """How many first revisions there are on average, were there no end to them."""
        return math.fsum(rate * max(0, end - max(begin, self.free)) for _, rate, begin, end in self.stages)


def frame_of(one: PolicyInstrument, *, proposed: bool, span: tuple[int, int]) -> Frame:
    """Return the frame of an instrument as it stood first. proposed: it is law only once it is enacted."""
    original, scales = one.revisions[-1], one.unit != "bool"
    hazards = hazards_of(one.type, one.acts, scales=scales)
    rates = {stage: (math.fsum(each.rate for each in several), several) for stage, several in hazards.items()}
    steps = () if proposed else original.steps
    return Frame(
        targets=(one.id,),
        span=span,
        steps=steps,
        proposed=original.steps,
        free=span[0] if proposed else max(span[0], original.adopted + 1),
        neutral=one.neutral,
        ceiling=one.kind.ceiling,
        least_value=one.sense == AT_LEAST,
        scales=scales,
        rates=rates,
        stages=_stages(steps, one.neutral, rates, span),
    )


class _Move(NamedTuple):
    """A revision on the way to an Event, with days as ordinals; ends: 0 where it doesn't end."""

    announced: int
    adopted: int
    kind: str
    amount: float
    targets: tuple[str, ...]
    ends: int = 0


_ANNOUNCED = attrgetter("announced")


def draw_events(
    process: RevisionProcess, frames: Mapping[str, Frame], seed: int, numbers: NDArray[np.uint64]
) -> list[tuple[Event, ...]]:
    """Draw the revisions of a batch of scenarios, each in order of announcement.

    frames: by instrument id. numbers: the scenarios' own, (B,).
    """
    names = process.instruments
    words = np.array([_word(name) for name in names], dtype=np.uint64)
    rows, columns = np.nonzero(_choose(process, seed, numbers, words))
    keys = numbers[rows], words[columns]
    # Most pairs of scenario and instrument see no revision at all; that is known before anything else is drawn of them.
    risk = np.array([process.intensity * frames[name].risk for name in names])
    struck = -np.log(uniforms_at(seed, keys[0], _STREAM, _COUNTERS[:1], keys[1])) < risk[columns] * (1.0 + 1e-9)
    pairs = np.nonzero(struck)[0]
    courses = [_Course(frames[names[i]]) for i in columns[pairs]]
    alive = list(range(len(courses)))
    for number in range(_MOST_REVISIONS):
        counters = _COUNTERS[number * _COLUMNS : (number + 1) * _COLUMNS]
        at = pairs[alive]
        u = uniforms_at(seed, keys[0][at, None], _STREAM, counters, keys[1][at, None])
        alive = [i for i, own in zip(alive, u.tolist(), strict=True) if courses[i].goes_on(own, process.intensity)]
    found: list[list[_Move]] = [[] for _ in numbers]
    for row, course in zip(rows[pairs].tolist(), courses, strict=True):
        found[row] += course.moves
    return [_events(moves) for moves in found]


class _Course:
    """An instrument on its way through one scenario: its staircase, and what was done to it."""

    __slots__ = ("frame", "free", "moves", "news", "stages", "steps")

    def __init__(self, frame: Frame) -> None:
        self.frame, self.steps, self.stages, self.free = frame, frame.steps, frame.stages, frame.free
        self.moves: list[_Move] = []
        self.news: list[_Move] = []  # of the last revision

    def goes_on(self, u: Sequence[float], intensity: float) -> bool:
        """Draw the next revision; return whether another one may follow. u: (_COLUMNS,)."""
        if self.moves:
            self._apply()
        struck = _wait(self.stages, self.free, -math.log(u[_WAIT]) / intensity)
        if struck is None:
            return False
        frame, (announced, stage) = self.frame, struck
        self.news = _moves(frame, self.steps, _pick(frame.rates[stage], u[_KIND]), announced, u)
        self.moves += self.news
        return self.news[-1].kind != "repeal"

    def _apply(self) -> None:
        """Make what the last revision left the staircase of the next one."""
        frame = self.frame
        for move in self.news:
            source = frame.proposed if move.kind == "enact" else self.steps
            self.steps = revise(
                source,
                move.kind,
                move.amount,
                move.adopted,
                move.ends or None,
                neutral=frame.neutral,
                ceiling=frame.ceiling,
            )
        self.free = self.news[-1].adopted + 1
        self.stages = _stages(self.steps, frame.neutral, frame.rates, frame.span)


def _events(moves: list[_Move]) -> tuple[Event, ...]:
    moves.sort(key=_ANNOUNCED)  # what is announced on one day stays in its order
    return tuple(
        [
            Event(
                kind=kind,
                targets=targets,
                announced=iso(announced),
                adopted=iso(adopted),
                amount=amount,
                ends=iso(ends) if ends else "",
            )
            for announced, adopted, kind, amount, targets, ends in moves[:MOST_EVENTS]
        ]
    )


@cache
def _word(instrument: str) -> int:
    """Return the instrument's node number, which no other instrument in a family moves."""
    return int.from_bytes(hashlib.sha256(instrument.encode()).digest()[:4], "little")


def _choose(
    process: RevisionProcess, seed: int, numbers: NDArray[np.uint64], words: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Return which instruments each scenario exposes, (B, instruments): those of its pool that are drawn lowest."""
    u = uniforms(seed, numbers, "revised", 2, 1)[:, 0]
    pool = np.floor(u[:, 0] * len(process.pools)).astype(np.intp)
    count = process.least + np.floor(u[:, 1] * (process.most - process.least + 1)).astype(np.intp)
    rank = uniforms_at(seed, numbers[:, None], "revised or not", np.zeros((1, 1), dtype=np.uint64), words[None, :])
    inside = np.array([[name in one for name in process.instruments] for one in process.pools])
    rank = np.where(inside[pool], rank, np.inf)
    place = np.argsort(np.argsort(rank, axis=1, kind="stable"), axis=1, kind="stable")
    return (place < count[:, None]) & np.isfinite(rank)


def _wait(stages: _Stages, start: int, waiting: float) -> tuple[int, str] | None:
    """Return the day on which a hazard strikes and the stage on that day; None where none does in time.

    waiting: what the integral of the rate has reached by then, a unit exponential.
    """
    for stage, rate, begin, end in stages:
        if end <= start:
            continue
        first = max(begin, start)
        risk = rate * (end - first)
        if waiting < risk:
            return first + int(waiting / rate), stage
        waiting -= risk
    return None


def _stages(steps: Steps, neutral: float, rates: Mapping[str, _Rates], span: tuple[int, int]) -> _Stages:
    """Return the stages of a staircase in which it may still be revised."""
    if not steps:
        return (("proposed", rates["proposed"][0] / _DAYS_PER_YEAR, *span),)
    in_force = [first for first, value in steps if value != neutral]
    if not in_force:
        return ()
    ends = steps[-1][0] if steps[-1][1] == neutral else _NEVER
    soon = max(in_force[-1], ends - _EXPIRING)
    found: list[tuple[str, float, int, int]] = []
    begin = span[0]
    for stage, until in zip(_OF_LAW, (in_force[0], in_force[-1], soon, ends), strict=True):
        end = min(until, span[1])
        if end > begin:
            found.append((stage, rates[stage][0] / _DAYS_PER_YEAR, begin, end))
            begin = end
    return tuple(found)


def _pick(rates: _Rates, u: float) -> Hazard:
    left = u * rates[0]
    for hazard in rates[1]:
        left -= hazard.rate
        if left < 0.0:
            return hazard
    return rates[1][-1]


def _moves(frame: Frame, steps: Steps, hazard: Hazard, announced: int, u: Sequence[float]) -> list[_Move]:
    notice = hazard.notice[0] + int((hazard.notice[1] - hazard.notice[0] + 1) * u[_NOTICE])
    amount = hazard.amount[0] + (hazard.amount[1] - hazard.amount[0]) * u[_AMOUNT]
    if hazard.kind not in IN_MONTHS and not frame.least_value and amount:
        amount = 1.0 / amount
    amount = float(round(amount)) if hazard.kind in IN_MONTHS else round(amount, 4)
    adopted = announced + notice
    if hazard.kind == "enact":
        return _enacted(frame, hazard, _Move(announced, adopted, "enact", amount, frame.targets), u)
    if hazard.kind not in ("amend", "repeal") or steps[-1][1] == frame.neutral:
        later = next((first for first, _ in steps if first > announced), adopted + 1)
        adopted = min(adopted, later - 1)  # it comes before the step that it changes
    return [_Move(announced, adopted, hazard.kind, amount, frame.targets)]


def _enacted(frame: Frame, hazard: Hazard, whole: _Move, u: Sequence[float]) -> list[_Move]:
    """Return the enactment, until an end or for good, and the further steps of its phase-in."""
    if u[_ENDS] < hazard.temporary:
        low, high = hazard.ends
        whole = whole._replace(ends=add_months(whole.adopted, low + round((high - low) * u[_ENDS] / hazard.temporary)))
    later = [
        _Move(whole.announced, on, "amend", round(factor, 4), frame.targets)
        for on, factor in _phases(frame, hazard, whole.adopted, u)
        if not whole.ends or on < whole.ends
    ]
    if later and len(frame.proposed) == 1:
        half = 0.5 if frame.least_value else 2.0  # of what is asked for: a largest value is twice as high first
        whole = whole._replace(amount=round(whole.amount * half, 4))
    return [whole, *later]


def _phases(frame: Frame, hazard: Hazard, adopted: int, u: Sequence[float]) -> Iterator[tuple[int, float]]:
    """Yield (day, factor) of the steps after the first one: the proposal's own, or the second half of its value."""
    values = [step for step in frame.proposed if step[1] not in (frame.neutral, 0.0)]
    if len(frame.proposed) > 1:
        for (_, before), (on, value) in list(pairwise(values))[:_MOST_PHASES]:
            yield adopted + on - values[0][0], value / before
    elif frame.scales and u[_PHASED] < hazard.phased:
        low, high = _PHASE_MONTHS
        yield (
            add_months(adopted, low + round((high - low) * u[_PHASED] / hazard.phased)),
            2.0 if frame.least_value else 0.5,
        )
