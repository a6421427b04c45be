"""SearchSpace: what a search decides, as one object, and how methods see it.

Every method searches the same encoded space: bits, one row an epoch, and values in [0, 1], one a parameter. A lever of
two states is one column of bits; one of k states is ceil(log2 k) columns that spell its state, codes beyond the last
state wrapping round to the first ones. A parameter's value is its place in its domain: even, or even in logarithms;
an integer has an equal share of [0, 1] for each of its numbers. `settle` turns every code of a point into the same
one, so that equal points have equal keys; `decode` gives a point in its own units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim_core.seeding import content_id

if TYPE_CHECKING:
    from optimizers.contract import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The numbers that a parameter may take, both ends included.

    integer: whole numbers only, else all of them. log: spread evenly in logarithms. Raises ValueError for an empty or
    infinite range, for ends of an integer that aren't whole, and for a logarithm of what isn't positive.
    """

    low: float = 0.0
    high: float = 1.0
    integer: bool = False
    log: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a domain needs finite ends, the lower one first: {self.low} to {self.high}")
        if self.integer and (self.low != round(self.low) or self.high != round(self.high)):
            raise ValueError(f"an integer's ends must be whole numbers: {self.low} to {self.high}")
        if self.log and self.low <= 0.0:
            raise ValueError(f"a logarithmic domain starts above 0, not at {self.low}")

    def numbers(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers at places in [0, 1]; whole ones for an integer."""
        low, high = self._ends
        found = low + (high - low) * np.clip(places, 0.0, 1.0)
        found = np.exp(found) if self.log else found
        return np.clip(np.floor(found + 0.5 + 1e-12) if self.integer else found, self.low, self.high)

    def places(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places of numbers in [0, 1]: of an integer, the middle of its share."""
        low, high = self._ends
        if high == low:
            return np.full(np.shape(numbers), 0.5)
        half = 0.5 if self.integer else 0.0
        middle = 0.5 * (self._scaled(numbers - half) + self._scaled(numbers + half))
        return np.clip((middle - low) / (high - low), 0.0, 1.0)

    def _scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(numbers) if self.log else np.asarray(numbers, dtype=np.float64)

    @property
    def _ends(self) -> tuple[float, float]:
        half = 0.5 if self.integer else 0.0
        low, high = self._scaled(np.array([self.low - half, self.high + half]))
        return float(low), float(high)


UNIT = Domain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A weighted sum that may not exceed `at_most`: of lever states, in each epoch or over all, and of parameters.

    levers, parameters: (name, weight) pairs; states count from 0, parameters in their own units. Negative weights and
    a negative limit make an "at least". What exceeds the limit, summed over epochs, is the violation.
    """

    name: str
    levers: tuple[tuple[str, float], ...] = ()
    parameters: tuple[tuple[str, float], ...] = ()
    at_most: float
    each_epoch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A candidate in its own units. states: int, shape (epochs, levers). parameters: number by name."""

    states: NDArray[np.int64]
    parameters: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Review epochs x levers plus parameters, with the constraints between them.

    states: number of states of each lever; empty: all are off or on. domains: of each parameter; empty: all in
    [0, 1]. start: values in [0, 1] of a known practice, one per parameter, or empty. With every lever in its first
    state it is the first candidate that any method proposes, so that all searches of a space start from the same
    knowledge. Raises ValueError for lengths that don't agree, a lever of fewer than two states, a start outside of
    [0, 1], and a constraint that names what isn't there.
    """

    epochs: int
    levers: tuple[str, ...]
    parameters: tuple[str, ...]
    start: tuple[float, ...] = ()
    states: tuple[int, ...] = ()
    domains: tuple[Domain, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if self.start and len(self.start) != len(self.parameters):
            raise ValueError(f"start has {len(self.start)} values for {len(self.parameters)} parameters")
        if not all(0.0 <= value <= 1.0 for value in self.start):
            raise ValueError(f"start must lie in [0, 1]: {self.start}")
        if self.states and len(self.states) != len(self.levers):
            raise ValueError(f"states has {len(self.states)} numbers for {len(self.levers)} levers")
        if any(states < 2 for states in self.states):
            raise ValueError(f"a lever has two states or more: {self.states}")
        if self.domains and len(self.domains) != len(self.parameters):
            raise ValueError(f"domains has {len(self.domains)} entries for {len(self.parameters)} parameters")
        for constraint in self.constraints:
            for name, _ in (*constraint.levers, *constraint.parameters):
                if name not in self.levers and name not in self.parameters:
                    raise ValueError(f"constraint {constraint.name!r} names {name!r}, no lever or parameter")

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Columns of bits of each lever."""
        return tuple((states - 1).bit_length() for states in self.states) or (1,) * len(self.levers)

    @property
    def columns(self) -> int:
        """Columns of bits of all levers."""
        return sum(self.widths)

    @property
    def bits(self) -> int:
        """Number of on/off decisions."""
        return self.epochs * self.columns

    @property
    def dimension(self) -> int:
        """Number of bits plus number of parameters."""
        return self.bits + len(self.parameters)

    @property
    def coded(self) -> bool:
        """Whether a point may have several codes: a lever of more than two states, or an integer."""
        return any(states > 2 for states in self.states) or any(domain.integer for domain in self.domains)

    @property
    def digest(self) -> str:
        """Content id of all that the space says."""
        domains = [(one.low, one.high, one.integer, one.log) for one in self.domains]
        limits = [
            (one.name, list(one.levers), list(one.parameters), one.at_most, one.each_epoch) for one in self.constraints
        ]
        return content_id("space", self.epochs, self.levers, self.parameters, self.start, self.states, domains, limits)

    def states_of(self, bits: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the lever states, (n, epochs, levers), of bits (n, epochs, columns)."""
        if not self.states:
            return bits.astype(np.int64)
        found = np.zeros((*bits.shape[:2], len(self.levers)), dtype=np.int64)
        column = 0
        for lever, (width, states) in enumerate(zip(self.widths, self.states, strict=True)):
            code = bits[:, :, column : column + width] @ (1 << np.arange(width))
            found[:, :, lever] = code % states
            column += width
        return found

    def bits_of(self, states: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the bits, (n, epochs, columns), that spell lever states (n, epochs, levers)."""
        if not self.states:
            return states.astype(np.bool_)
        spelt = [
            ((states[:, :, lever, None] >> np.arange(width)) & 1).astype(np.bool_)
            for lever, width in enumerate(self.widths)
        ]
        return np.concatenate([np.zeros((*states.shape[:2], 0), dtype=np.bool_), *spelt], axis=2)

    def settle(
        self, bits: NDArray[np.bool_], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return bits (n, epochs, columns) and values (n, parameters) with every point in the same one of its codes."""
        if self.states:
            bits = self.bits_of(self.states_of(bits))
        if any(domain.integer for domain in self.domains):
            values = values.copy()
            for column, domain in enumerate(self.domains):
                if domain.integer:
                    values[:, column] = domain.places(domain.numbers(values[:, column]))
        return bits, values

    def decode(self, candidate: "Candidate") -> Point:
        """Return a candidate in its own units."""
        domains = self.domains or (UNIT,) * len(self.parameters)
        numbers = [float(one.numbers(value)) for one, value in zip(domains, candidate.values, strict=True)]
        return Point(
            states=self.states_of(candidate.bits[None])[0],
            parameters=dict(zip(self.parameters, numbers, strict=True)),
        )

    def encode(self, point: Point) -> "Candidate":
        """Return the candidate that a point in its own units is. Raises KeyError for a parameter that is missing."""
        from optimizers.contract import Candidate

        domains = self.domains or (UNIT,) * len(self.parameters)
        numbers = [np.array(point.parameters[name], dtype=np.float64) for name in self.parameters]
        places = [float(domain.places(number)) for domain, number in zip(domains, numbers, strict=True)]
        return Candidate(
            bits=self.bits_of(np.asarray(point.states, dtype=np.int64)[None])[0],
            values=np.array(places, dtype=np.float64),
        )

    def violation(self, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each of n points exceeds the constraints' limits, summed: 0 where it keeps them all."""
        total = np.zeros(len(bits))
        if not self.constraints:
            return total
        states = self.states_of(bits)
        domains = self.domains or (UNIT,) * len(self.parameters)
        for constraint in self.constraints:
            weights = self._weights(self.levers, constraint.levers)
            by_epoch = states @ weights
            numbers = np.zeros(len(bits))
            for name, weight in constraint.parameters:
                column = self.parameters.index(name)
                numbers += weight * domains[column].numbers(values[:, column])
            if constraint.each_epoch:
                excess = np.maximum(by_epoch + numbers[:, None] - constraint.at_most, 0.0).sum(axis=1)
            else:
                excess = np.maximum(by_epoch.sum(axis=1) + numbers - constraint.at_most, 0.0)
            total += np.where(excess > 1e-9, excess, 0.0)  # rounding is no violation
        return total

    @staticmethod
    def _weights(names: Sequence[str], pairs: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
        found = np.zeros(len(names))
        for name, weight in pairs:
            found[names.index(name)] += weight
        return found
