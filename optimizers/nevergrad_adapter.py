"""Nevergrad's choice of a method behind the contract; needs the extra `search`."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, usable
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.foreign import Spelt, joined, optional, same, spelt
from optimizers.generational import Generational
from optimizers.moves import uniform_bits
from sim_core.seeding import content_id


class NevergradAdapter(Generational):
    """NGOpt (Meunier et al. 2021), which picks a method by dimension, kind of axes, budget and width.

    Levers are ordered choices, parameters numbers in [0, 1]. NGOpt is told of a width of two at least: for one it may
    pick methods that run in threads of their own. It minimises numbers and knows neither failures nor violations: a
    candidate with a violation is told as the worst feasible one so far plus its violation, one that failed as the worst
    of all so far, and before there is any, once there is. In a space without levers NGOpt takes a surrogate model
    that fails with NumPy 2.4; differential evolution with two-point crossover is taken there.

    NGOpt's methods draw from a generator of their own, and some from NumPy's global one as well: its state is put
    aside around each call, so that neither disturbs the other. Raises InputError where nevergrad isn't installed.
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
        ng = optional("nevergrad")
        number = int(content_id("nevergrad", seed)[:8], 16)
        self._global_state = np.random.RandomState(number).get_state()  # noqa: NPY002: nevergrad knows no other
        self._flying: dict[int, tuple[Any, Spelt]] = {}
        self._late: list[Any] = []  # failures that wait for a number to be told as
        self._worst: float | None = None
        self._worst_feasible = 0.0
        self._proposals = 0
        self._method: Any = None
        if space.dimension:
            with self._apart():
                parametrization = _parametrization(ng, space)
                parametrization.value = self._first()
                parametrization.random_state = np.random.RandomState(number)
                method = ng.optimizers.NGOpt if space.bits else ng.optimizers.TwoPointsDE
                self._method = method(parametrization, budget=budget, num_workers=max(2, width))

    def propose(self, n: int) -> Points:
        """Return n of NGOpt's candidates."""
        if self._method is None:
            bits = np.zeros((n, self.space.epochs, self.space.columns), dtype=np.bool_)
            return Points(bits=bits, values=np.zeros((n, 0)))
        with self._apart():
            asked = [self._method.ask() for _ in range(n)]
        drawn = [self._spelt(one.value) for one in asked]
        origin = np.arange(self._proposals, self._proposals + n)
        self._proposals += n
        self._flying.update(zip(origin.tolist(), zip(asked, drawn, strict=True), strict=True))
        bits, values = joined(self.space, drawn)
        return Points(bits=bits, values=values, origin=origin)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Tell NGOpt what its candidates, and those that took their place, cost."""
        with self._apart():
            for evaluation, origin in zip(evaluations, origins.tolist(), strict=True):
                asked, drawn = self._flying.pop(origin, (None, None))
                if asked is None or drawn is None:
                    continue
                if not same(self.space, evaluation.candidate, drawn):
                    asked = asked.spawn_child(new_value=self._value(evaluation.candidate))
                self._tell(asked, evaluation)
        in_flight = set(self._in_flight.values())
        self._flying = {number: flight for number, flight in self._flying.items() if number in in_flight}

    def _first(self) -> Any:
        """Return where NGOpt begins, in its terms; by itself it would begin in the middle, whatever the seed."""
        values = np.array(self.space.start or self.rng.random(len(self.space.parameters)))
        bits = uniform_bits(self.rng, self.space, 1)
        return self._value(Candidate(bits=np.zeros_like(bits[0]) if self.space.start else bits[0], values=values))

    def _tell(self, asked: Any, evaluation: Evaluation) -> None:
        if not usable(evaluation):
            self._late.append(asked)
        else:
            violation = max(evaluation.violation, 0.0)
            if not violation:
                self._worst_feasible = max(self._worst_feasible, evaluation.value)
            value = self._worst_feasible + violation if violation else evaluation.value
            self._worst = value if self._worst is None else max(self._worst, value)
            self._method.tell(asked, value)
        if self._worst is not None:
            for late in self._late:
                self._method.tell(late, self._worst)
            self._late = []

    def _spelt(self, value: Any) -> Spelt:
        tracks, values = value
        states = np.zeros((self.space.epochs, len(self.space.levers)), dtype=np.int64)
        for lever, track in enumerate(tracks):
            states[:, lever] = track
        return states, np.array(values, dtype=np.float64).reshape(-1)

    def _value(self, candidate: Candidate) -> Any:
        states, values = spelt(self.space, candidate)
        tracks = tuple(tuple(track) for track in states.T.tolist()) if self.space.bits else ()
        return tracks, (values if len(values) else ())

    @contextmanager
    def _apart(self) -> Iterator[None]:
        before = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._global_state)  # noqa: NPY002
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on settings and values that it would do better without
                yield
        finally:
            self._global_state = np.random.get_state()  # noqa: NPY002
            np.random.set_state(before)  # noqa: NPY002


def _parametrization(ng: Any, space: SearchSpace) -> Any:
    states = space.states or (2,) * len(space.levers)
    tracks = [ng.p.TransitionChoice(list(range(one)), repetitions=space.epochs) for one in states if space.epochs]
    values = ng.p.Tuple()
    if space.parameters:
        values = ng.p.Array(shape=(len(space.parameters),)).set_bounds(0.0, 1.0)
    return ng.p.Tuple(ng.p.Tuple(*tracks), values)
