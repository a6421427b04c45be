"""Metropolis chains over single changes: what the annealing methods share."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, usable
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import UNKNOWN, Generational
from optimizers.moves import around, reflect, uniform_bits
from optimizers.settings import Setting
from optimizers.space import Domain

_FIRST_DIFFERENCES = 64  # single changes whose mean difference in value is the unit of temperature
_FIRST_STEP, _LEAST_STEP, _WIDEST_STEP = 0.25, 1e-3, 0.5  # standard deviation of a value's moves
_WANTED, _ADAPTED = 0.4, 0.15  # share of a value's moves to be accepted, and how fast its step follows

Energy = tuple[float, float]  # violation and value: the violation is compared first
NOWHERE: Energy = (math.inf, math.inf)  # of a chain that has not begun


def temperature_settings(start: float, end: float) -> dict[str, Setting]:
    """Return the two settings that an annealing method has, with their usual values."""
    domain = Domain(low=1e-6, high=1e3, log=True)
    unit = "in mean differences of a single change near the start"
    return {
        "start_temperature": Setting(usual=start, domain=domain, meaning=f"temperature of the first move, {unit}"),
        "end_temperature": Setting(usual=end, domain=domain, meaning=f"temperature of the last move, {unit}"),
    }


def energy_of(evaluation: Evaluation) -> Energy:
    """Return an evaluation's energy; NOWHERE for one that can't be learnt from."""
    return (max(evaluation.violation, 0.0), evaluation.value) if usable(evaluation) else NOWHERE


class Chain:
    """One walker: where it is, what that costs, and the order in which it tries the dimensions.

    bits: bool (bits,), flat. values: (parameters,).
    """

    def __init__(self, space: SearchSpace) -> None:
        self.bits = np.zeros(space.bits, dtype=np.bool_)
        self.values = np.zeros(len(space.parameters))
        self.energy = NOWHERE
        self._order: list[int] = []

    def next_dimension(self, rng: np.random.Generator, dimension: int) -> int:
        """Return the next dimension to change: sweeps visit each once, in a random order."""
        if not self._order:
            self._order = rng.permutation(dimension).tolist()
        return self._order.pop()

    def move_to(self, bits: NDArray[np.bool_], values: NDArray[np.float64], energy: Energy) -> None:
        """Go to a point."""
        self.bits[:], self.values[:], self.energy = bits.reshape(-1), values, energy


class Annealing(Generational):
    """Chains that change one bit or one value at a time and accept by Metropolis et al. (1953).

    The temperature falls geometrically with the share of the budget told (Kirkpatrick, Gelatt and Vecchi 1983), from
    `start_temperature` to `end_temperature`, both in units of the mean difference that the first 64 accepted or refused
    changes made: no scale of the problem has to be known. Sweeps visit every dimension once, in a random order. A
    parameter's moves are Gaussian, and their width follows their rate of acceptance (Corana et al. 1987). Points with
    more violation are refused and points with less accepted, whatever their value.

    A schedule that the search was told already is judged again from memory, without an evaluation.
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
        self.chains = [Chain(space) for _ in range(self.chain_count())]
        self._turn = 0
        self._bits = space.bits
        self._steps = np.full(len(space.parameters), _FIRST_STEP)
        self._known: dict[bytes, Energy] = {}
        self._differences, self._counted = 0.0, 0

    @abstractmethod
    def chain_count(self) -> int:
        """Return how many chains there are."""

    @property
    def temperature(self) -> float:
        """The temperature now, in the units of the value."""
        start, end = self.number("start_temperature"), self.number("end_temperature")
        progress = min(1.0, self.told / max(1, self.budget))
        unit = self._differences / self._counted if self._counted else 0.0
        return unit * start * (end / start) ** progress

    def propose(self, n: int) -> Points:
        """Return n single changes, the chains taking turns; a chain that has not begun draws a random point."""
        which = (self._turn + np.arange(n)) % len(self.chains)
        self._turn = int((self._turn + n) % len(self.chains))
        bits = uniform_bits(self.rng, self.space, n) if any(c.energy == NOWHERE for c in self.chains) else None
        flat = np.zeros((n, self._bits), dtype=np.bool_) if bits is None else bits.reshape(n, self._bits)
        values = np.zeros((n, len(self.space.parameters)))
        dimensions = np.zeros(n, dtype=np.int64)
        for row, number in enumerate(which.tolist()):
            chain = self.chains[number]
            if chain.energy == NOWHERE:
                start = self.space.start
                values[row] = around(self.rng, start, 1)[0] if start else self.rng.random(values.shape[1])
            else:
                dimensions[row] = self._change(chain)
                flat[row], values[row] = self._changed(chain, int(dimensions[row]))
        shape = (n, self.space.epochs, self.space.columns)
        return Points(bits=flat.reshape(shape), values=values, origin=which + len(self.chains) * dimensions)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Let each chain judge its own proposals. Candidates that no chain proposed are the first chain's to judge."""
        told = [(e, int(origin) if origin != UNKNOWN else 0) for e, origin in zip(evaluations, origins, strict=True)]
        for evaluation, _ in told:
            candidate = evaluation.candidate
            self._known[candidate.bits.tobytes() + candidate.values.tobytes()] = energy_of(evaluation)
        for evaluation, origin in self.judged(told):
            self._judge(evaluation, *divmod(origin, len(self.chains)))

    def judged(self, told: Sequence[tuple[Evaluation, int]]) -> Iterable[tuple[Evaluation, int]]:
        """Return the evaluations that the chains are to judge, in order: all of them, unless a method chooses."""
        return told

    def accepts(self, chain: Chain, energy: Energy, bits: NDArray[np.bool_]) -> bool:
        """Return whether a chain goes to a point: by Metropolis, at the temperature now. bits: flat."""
        if energy[0] != chain.energy[0]:
            return energy[0] < chain.energy[0]
        rise = energy[1] - chain.energy[1] + self.pull(chain, bits)
        if rise <= 0.0:
            return True
        temperature = self.temperature
        return temperature > 0.0 and float(self.rng.random()) < math.exp(-rise / temperature)

    def pull(self, chain: Chain, bits: NDArray[np.bool_]) -> float:  # noqa: ARG002
        """Return what a move would add to a chain's energy beyond the point's own value: here nothing."""
        return 0.0

    def _change(self, chain: Chain) -> int:
        """Return a dimension whose change leads to a point not known yet, judging known ones on the way."""
        dimension = max(1, self.space.dimension)
        for _ in range(dimension):
            place = chain.next_dimension(self.rng, dimension)
            if place >= self._bits:
                return place
            chain.bits[place] ^= True
            energy = self._known.get(chain.bits.tobytes() + chain.values.tobytes())
            chain.bits[place] ^= True
            if energy is None:
                return place
            self._revisit(chain, place, energy)
        return chain.next_dimension(self.rng, dimension)

    def _revisit(self, chain: Chain, place: int, energy: Energy) -> None:
        if energy == NOWHERE:
            return
        bits = chain.bits.copy()
        bits[place] ^= True
        if self.accepts(chain, energy, bits):
            chain.move_to(bits, chain.values, energy)

    def _changed(self, chain: Chain, place: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        bits, values = chain.bits.copy(), chain.values.copy()
        if place < self._bits:
            bits[place] ^= True
        elif place < self.space.dimension:
            number = place - self._bits
            moved = values[number] + self._steps[number] * self.rng.standard_normal()
            values[number] = moved if 0.0 <= moved <= 1.0 else reflect(moved)
        return bits, values

    def _judge(self, evaluation: Evaluation, place: int, number: int) -> None:
        chain, candidate, energy = self.chains[number], evaluation.candidate, energy_of(evaluation)
        if energy == NOWHERE:
            return
        begun = chain.energy != NOWHERE
        if begun and self._counted < _FIRST_DIFFERENCES and energy[0] == chain.energy[0]:
            self._differences += abs(energy[1] - chain.energy[1])
            self._counted += 1
        accepted = not begun or self.accepts(chain, energy, candidate.bits.reshape(-1))
        if accepted:
            chain.move_to(candidate.bits, candidate.values, energy)
        if begun and self._bits <= place < self.space.dimension:
            number = place - self._bits
            step = self._steps[number] * math.exp(_ADAPTED * (accepted - _WANTED))
            self._steps[number] = min(max(step, _LEAST_STEP), _WIDEST_STEP)
