"""A linkage learner for flat and deceptive spaces: the parameter-less population pyramid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import NOWHERE, Energy, energy_of
from optimizers.archive import Points
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import UNKNOWN, Generational
from optimizers.linkage_tree import linkage_tree
from optimizers.moves import around, reflect, uniform_bits

_SHARE = 4  # candidates of one ask that a climber makes: with more, many are judged against a state that has moved on
_GROWN = 1.1  # a level's tree is learnt again when it has so many times the members
_STEP = 0.15  # standard deviation of a value's step in a climb

Point = tuple[NDArray[np.bool_], NDArray[np.float64]]  # bits, flat, and values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A change to try: of these dimensions, copied from a member of the climber's level, or turned in a climb."""

    dimensions: NDArray[np.int64]
    donor: int | None = None  # drawn when the trial is made


@dataclass(slots=True, kw_only=True, eq=False)
class Level:
    """One storey of the pyramid: distinct members, one a row, and the groups that were learnt from them."""

    bits: NDArray[np.bool_]
    values: NDArray[np.float64]
    groups: list[NDArray[np.int64]] = field(default_factory=list)
    learnt_from: int = 0

    def add(self, point: Point) -> None:
        """Take in a member."""
        self.bits = np.concatenate([self.bits, point[0][None]])
        self.values = np.concatenate([self.values, point[1][None]])


@dataclass(slots=True, kw_only=True, eq=False)
class Climber:
    """A point on its way up and the trials before it. level: 0 while it flips bits, then 1 for the first storey."""

    point: Point | None = None
    energy: Energy = NOWHERE
    level: int = 0
    trials: list[Trial] = field(default_factory=list)  # the next one last
    improved: bool = False


class LinkageLearner(Generational):
    """P3, the parameter-less population pyramid (Goldman and Punch 2014), with several climbers at once.

    A climber begins at a random point and flips bits, in a random order, until no flip helps. It then joins the first
    level and tries each group of that level's linkage tree, smallest first: the group's bits are copied from a random
    member that differs there, and kept unless worse. A climber that a level has improved joins the next one; after the
    last level it begins anew.

    Changed from the paper: of a climber's trials, up to four are in flight from one state; the first that improves is
    kept, and others that improved too are tried again. Points told before are judged from memory. A level's tree is
    learnt again once the level has grown by a tenth. Values of parameters step at random in a climb, and in the levels
    move towards or beyond a member's, one by one and all at once.
    """

    def __init__(
        self,
        space: SearchSpace,
        budget: int,
        width: int,
        seed: int,
        *,
        settings: Mapping[str, float] | None = None,
        reproducible: bool = True,
    ) -> None:
        super().__init__(space, budget, width, seed, settings=settings, reproducible=reproducible)
        self.levels: list[Level] = []
        self.climbers = [Climber() for _ in range(max(1, width // _SHARE))]
        self._turn = 0
        self._members: set[bytes] = set()
        self._known: dict[bytes, Energy] = {}
        self._offered: list[tuple[Point, Energy]] = []  # told, but of nobody's making: the next starts
        self._flying: dict[int, tuple[Climber, Trial | None]] = {}
        self._proposals = 0

    def propose(self, n: int) -> Points:
        """Return the climbers' next trials, in turns, and random points once all of them have to wait."""
        drawn: list[Point] = []
        waiting = 0
        while len(drawn) < n:
            if waiting == len(self.climbers):
                drawn.append(self._random())
                continue
            climber = self.climbers[self._turn]
            self._turn = (self._turn + 1) % len(self.climbers)
            found = self._next(climber)
            waiting = 0 if found else waiting + 1
            if found:
                self._flying[self._proposals + len(drawn)] = (climber, found[1])
                drawn.append(found[0])
        origin = np.arange(self._proposals, self._proposals + n)
        self._proposals += n
        flat = np.array([bits for bits, _ in drawn], dtype=np.bool_)
        values = np.array([values for _, values in drawn], dtype=np.float64).reshape(n, len(self.space.parameters))
        return Points(bits=flat.reshape(n, self.space.epochs, self.space.columns), values=values, origin=origin)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Let climbers keep what improved them."""
        before = {id(climber): climber.energy for climber in self.climbers}
        kept: set[int] = set()
        for evaluation, origin in zip(evaluations, origins.tolist(), strict=True):
            point = (evaluation.candidate.bits.reshape(-1), evaluation.candidate.values)
            energy = energy_of(evaluation)
            self._known[_key(point)] = energy
            climber, trial = self._flying.pop(origin, (None, None))
            if energy == NOWHERE:
                continue
            if climber is None:
                if origin == UNKNOWN:
                    self._offered.append((point, energy))
            elif id(climber) in kept and trial is not None:
                if energy < before[id(climber)]:
                    climber.trials.append(trial)
            elif self._judge(climber, point, energy):
                kept.add(id(climber))
        asked = set(self._in_flight.values())
        self._flying = {number: flight for number, flight in self._flying.items() if number in asked}

    def _next(self, climber: Climber) -> tuple[Point, Trial | None] | None:
        """Return a climber's next trial of an unknown point, or None where it has to wait for what is in flight."""
        for _ in range(4 * self.space.dimension + 16):
            if climber.point is None or not climber.trials:
                if any(one is climber for one, _ in self._flying.values()):
                    return None
                if climber.point is not None:
                    self._rise(climber)
                elif self._offered:
                    self._judge(climber, *self._offered.pop(0))
                else:
                    return self._random(), None
                continue
            trial = climber.trials.pop()
            made = self._made(climber, climber.point, trial)
            if made is None:
                continue
            point, trial = made
            energy = self._known.get(_key(point))
            if energy is None:
                return point, trial
            if energy != NOWHERE:
                self._judge(climber, point, energy)
        return None

    def _judge(self, climber: Climber, point: Point, energy: Energy) -> bool:
        """Move a climber to a point unless it is worse; return whether it is better."""
        if climber.point is None:
            climber.point, climber.energy = (point[0].copy(), point[1].copy()), energy
            self._climb(climber)
            return False
        better = energy < climber.energy
        if better or (energy == climber.energy and climber.level):
            climber.point, climber.energy = (point[0].copy(), point[1].copy()), energy
            climber.improved = climber.improved or better
        return better

    def _climb(self, climber: Climber) -> None:
        order = self.rng.permutation(self.space.dimension)
        climber.trials = [Trial(dimensions=order[i : i + 1]) for i in range(len(order))]
        climber.improved = False

    def _rise(self, climber: Climber) -> None:
        """Send a climber on: up again while flips help, then into the levels, and at last to a new start."""
        if climber.point is None:
            return
        if climber.level == 0 and climber.improved:
            self._climb(climber)
            return
        if (climber.level == 0 or climber.improved) and _key(climber.point) not in self._members:
            self._members.add(_key(climber.point))
            if climber.level == len(self.levels):
                empty = (np.zeros((0, self.space.bits), dtype=np.bool_), np.zeros((0, len(self.space.parameters))))
                self.levels.append(Level(bits=empty[0], values=empty[1]))
            self.levels[climber.level].add(climber.point)
        if climber.level == len(self.levels):
            climber.point, climber.energy, climber.level, climber.trials = None, NOWHERE, 0, []
            return
        climber.level += 1
        climber.improved = False
        climber.trials = self._mixing(self.levels[climber.level - 1])

    def _mixing(self, level: Level) -> list[Trial]:
        members = len(level.bits)
        if members >= max(2, _GROWN * level.learnt_from):
            level.groups, level.learnt_from = linkage_tree(level.bits), members
        values = np.arange(self.space.bits, self.space.dimension)
        groups = [
            *level.groups,
            *(values[i : i + 1] for i in range(len(values))),
            *([values] if len(values) > 1 else []),
        ]
        order = self.rng.permutation(len(groups))
        return [Trial(dimensions=groups[i]) for i in sorted(order.tolist(), key=lambda i: -len(groups[i]))]

    def _made(self, climber: Climber, point: Point, trial: Trial) -> tuple[Point, Trial] | None:
        """Return the point that a trial leads to, with its donor; None where no member differs there."""
        bits, values = point[0].copy(), point[1].copy()
        flat = trial.dimensions[trial.dimensions < self.space.bits]
        places = trial.dimensions[trial.dimensions >= self.space.bits] - self.space.bits
        if climber.level == 0:
            bits[flat] ^= True
            values[places] += _STEP * self.rng.standard_normal(len(places))
            return (bits, reflect(values)), trial
        level = self.levels[climber.level - 1]
        differs = (level.bits[:, flat] != bits[flat]).any(axis=1) | (level.values[:, places] != values[places]).any(
            axis=1
        )
        donors = np.flatnonzero(differs)
        if not len(donors):
            return None
        donor = trial.donor if trial.donor is not None else int(donors[self.rng.integers(len(donors))])
        bits[flat] = level.bits[donor, flat]
        values[places] += self.rng.uniform(-0.5, 1.5) * (level.values[donor, places] - values[places])
        return (bits, reflect(values)), Trial(dimensions=trial.dimensions, donor=donor)

    def _random(self) -> Point:
        values = self.rng.random(len(self.space.parameters))
        if self.space.start:
            values = around(self.rng, self.space.start, 1)[0]
        return uniform_bits(self.rng, self.space, 1).reshape(-1), values


def _key(point: Point) -> bytes:
    return point[0].tobytes() + point[1].tobytes()
