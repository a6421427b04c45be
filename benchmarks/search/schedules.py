"""Schedules of levers with set-up costs, mandates and a carbon cap: evaluated in batches, solved exactly.

Minimise over x in {0,1}^(epochs x levers), with parameters c in [0,1] where there are some:

    sum_t [ sum_p x_tp cost_tp + sum_{p<q} x_tp x_tq pair_pq + switch_on_p where p comes on at t + switch_off_p where
    it goes off ] + penalty (shortfalls of mandates + max(0, carbon - carbon_cap)) + |scale^(1/2) rotation (c - d(x))|^2

with carbon = sum_t [carbon_base_t + sum_p x_tp carbon_tp] in whole numbers, nothing on before the first epoch, a
mandate short in each epoch from `from_epoch` on by max(0, at_least - number of its levers on), and
d(x) = clip(centre + shift_matrix (x - 0.5) / 2, 0.05, 0.95).

`published()` reads the six instances of schedule_problems.json, a data file that came with the family's definition:
each has its optimum, its mean over random candidates and three values to check. benchmarks/search/family.py draws
others like them.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.problem import sampled_mean
from optimizers.contract import SearchSpace

FILE = Path(__file__).parent / "schedule_problems.json"
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """From an epoch on, at least so many of these levers are on; each one missing is a violation."""

    from_epoch: int
    levers: tuple[int, ...]
    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The quadratic term. shift_matrix: (n, epochs * levers); centre, scale: (n,); rotation: (n, n), orthogonal."""

    shift_matrix: Floats
    centre: Floats
    scale: Floats
    rotation: Floats

    def target(self, bits: NDArray[np.bool_]) -> Floats:
        """Return where the term is zero, in [0.05, 0.95], shape (batch, n), for bits (batch, epochs, levers)."""
        centred = bits.reshape(len(bits), -1) - 0.5
        return np.clip(self.centre + 0.5 * centred @ self.shift_matrix.T, 0.05, 0.95)

    def cost(self, bits: NDArray[np.bool_], values: Floats) -> Floats:
        """Return the term, shape (batch,)."""
        turned = (values - self.target(bits)) @ self.rotation.T
        return turned**2 @ self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The numbers of one problem. cost, carbon: (epochs, levers); pair: (levers, levers), used above the diagonal."""

    name: str
    cost: Floats
    pair: Floats
    switch_on: Floats
    switch_off: Floats
    carbon: Whole
    carbon_base: Whole
    carbon_cap: int
    penalty: float
    mandates: tuple[Mandate, ...]
    parameters: Parameters | None = None

    @property
    def space(self) -> SearchSpace:
        """Levers and parameters by number."""
        epochs, levers = self.cost.shape
        number = 0 if self.parameters is None else len(self.parameters.centre)
        return SearchSpace(
            epochs=epochs,
            levers=tuple(f"lever_{p}" for p in range(levers)),
            parameters=tuple(f"parameter_{i}" for i in range(number)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """An instance by set of levers, whose code has lever 0 as its highest bit.

    cost, carbon, shortfall: (epochs, sets); switch: (sets before, sets now).
    """

    cost: Floats
    carbon: Whole
    shortfall: Whole
    switch: Floats


def tables(instance: Instance) -> Tables:
    """Return an instance's tables."""
    epochs, levers = instance.cost.shape
    sets = np.arange(1 << levers)
    on = (sets[:, None] >> np.arange(levers)[::-1]) & 1
    pairs = np.einsum("sp,pq,sq->s", on, np.triu(instance.pair, 1), on)
    shortfall = np.zeros((epochs, len(sets)), dtype=np.int64)
    for mandate in instance.mandates:
        missing = np.maximum(0, mandate.at_least - on[:, mandate.levers].sum(axis=1))
        shortfall[mandate.from_epoch :] += missing
    comes = on @ instance.switch_on  # of sets; those of a change are looked up by the levers that changed
    goes = on @ instance.switch_off
    return Tables(
        cost=instance.cost @ on.T + pairs,
        carbon=instance.carbon @ on.T + instance.carbon_base[:, None],
        shortfall=shortfall,
        switch=comes[~sets[:, None] & sets[None, :]] + goes[sets[:, None] & ~sets[None, :]],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleProblem:
    """An instance as a Problem, with its optimum (of the penalised objective) and mean over random candidates."""

    instance: Instance
    optimum: float
    mean_random: float
    space: SearchSpace = field(init=False)
    _running: Floats = field(init=False, repr=False)
    _carbon: Whole = field(init=False, repr=False)
    _switch: Floats = field(init=False, repr=False)
    _rows: Whole = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = tables(self.instance)
        epochs, sets = known.cost.shape
        running = known.cost + self.instance.penalty * known.shortfall
        for name, value in (
            ("space", self.instance.space),
            ("_running", running.ravel()),
            ("_carbon", known.carbon.ravel()),
            ("_switch", known.switch.ravel()),
            ("_rows", np.arange(epochs) * sets),
        ):
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        return self.instance.name

    def evaluate(self, bits: NDArray[np.bool_], values: Floats) -> Floats:
        """Return values, shape (n,), for bits (n, epochs, levers) and parameters (n, parameters)."""
        cost, carbon = self.objectives(bits, values)
        return cost + self.instance.penalty * np.maximum(0.0, carbon - self.instance.carbon_cap)

    def objectives(self, bits: NDArray[np.bool_], values: Floats) -> tuple[Floats, Floats]:
        """Return cost, with the penalty of mandates but without that of the cap, and carbon, each of shape (n,)."""
        levers = bits.shape[2]
        now = np.packbits(bits, axis=2)[:, :, 0].astype(np.int64) >> (8 - levers)
        change = now.copy()
        change[:, 1:] += now[:, :-1] << levers
        rows = now + self._rows
        cost = self._running[rows].sum(axis=1) + self._switch[change].sum(axis=1)
        if self.instance.parameters is not None:
            cost += self.instance.parameters.cost(bits, values)
        return cost, self._carbon[rows].sum(axis=1).astype(float)


def as_problem(instance: Instance) -> ScheduleProblem:
    """Solve an instance and sample its mean over random candidates."""
    unsampled = ScheduleProblem(instance=instance, optimum=solve(instance)[0], mean_random=np.inf)
    return ScheduleProblem(instance=instance, optimum=unsampled.optimum, mean_random=sampled_mean(unsampled)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What the dynamic programme knows after the last epoch.

    cost: (sets, levels of carbon), least cost of ending with a set of levers at carbon low[-1] + level, inf where that
    can't be. low: (epochs + 1,), the least carbon after so many epochs. before: by epoch, the set before that gives the
    least cost of each (set, level before).
    """

    tables: Tables
    cost: Floats
    low: Whole
    before: tuple[NDArray[np.int16], ...]

    def schedule(self, now: int, level: int) -> NDArray[np.bool_]:
        """Return the cheapest schedule that ends with a set of levers at a level of carbon, bool (epochs, levers)."""
        codes = np.zeros(len(self.before), dtype=np.int64)
        for t in range(len(codes) - 1, -1, -1):
            codes[t] = now
            level = int(level + self.low[t + 1] - self.tables.carbon[t, now] - self.low[t])
            now = int(self.before[t][now, level])
        levers = len(self.cost).bit_length() - 1
        return ((codes[:, None] >> np.arange(levers)[::-1]) & 1).astype(bool)


def reach(instance: Instance, *, strict: bool = False) -> Reached:
    """Return the least cost of each (set of levers, carbon), the cap left aside, by dynamic programming over epochs.

    Switching costs are sums over levers, so that the best set before is found lever by lever, in `levers` steps for a
    set instead of 2^levers. strict: a mandate's shortfall is forbidden instead of penalised.
    """
    known = tables(instance)
    epochs, sets = known.cost.shape
    short = np.where(known.shortfall > 0, np.inf, 0.0) if strict else instance.penalty * known.shortfall
    running = known.cost + short
    low = np.concatenate([[0], np.cumsum(known.carbon.min(axis=1))])
    high = np.concatenate([[0], np.cumsum(known.carbon.max(axis=1))])
    cost = np.full((sets, 1), np.inf)
    cost[0] = 0.0
    before: list[NDArray[np.int16]] = []
    for t in range(epochs):
        reached, came = _switched(instance, cost)
        before.append(came)
        cost = np.full((sets, int(high[t + 1] - low[t + 1]) + 1), np.inf)
        for now in range(sets):
            start = int(low[t] + known.carbon[t, now] - low[t + 1])
            cost[now, start : start + reached.shape[1]] = reached[now] + running[t, now]
    return Reached(tables=known, cost=cost, low=low, before=tuple(before))


def solve(instance: Instance, *, constrained: bool = False) -> tuple[float, NDArray[np.bool_]]:
    """Return the least value and one schedule that has it, bool (epochs, levers).

    constrained: keep mandates and cap without fail, whatever it costs; the value is inf where that is impossible. The
    parameters' term is left out: it is zero at d(x), which lies in [0, 1] for every x, so that the optimum is the same
    with it.
    """
    found = reach(instance, strict=constrained)
    over = np.maximum(0, np.arange(found.cost.shape[1]) + found.low[-1] - instance.carbon_cap)
    total = found.cost + (np.where(over > 0, np.inf, 0.0) if constrained else instance.penalty * over)
    now, level = (int(place) for place in np.unravel_index(np.argmin(total), total.shape))
    return float(total[now, level]), found.schedule(now, level)


def front(instance: Instance) -> tuple[Whole, Floats]:
    """Return the Pareto front of carbon and cost, exact, by rising carbon: two arrays of one shape."""
    found = reach(instance)
    least = found.cost.min(axis=0)
    carbon = np.arange(len(least)) + found.low[-1]
    best_so_far = np.concatenate([[np.inf], np.minimum.accumulate(least)[:-1]])
    kept = least < best_so_far
    return carbon[kept], least[kept]


def _switched(instance: Instance, best: Floats) -> tuple[Floats, NDArray[np.int16]]:
    """Return the least cost of each (set now, carbon so far), switching paid, and the set before that gives it."""
    sets, levels = best.shape
    came = np.repeat(np.arange(sets, dtype=np.int16)[:, None], levels, axis=1)
    for p, (on, off) in enumerate(zip(instance.switch_on, instance.switch_off, strict=True)):
        low = 1 << (len(instance.switch_on) - 1 - p)
        cube, origin = best.reshape(-1, 2, low, levels), came.reshape(-1, 2, low, levels)
        switched = cube[:, ::-1] + np.array([off, on])[:, None, None]
        better = switched < cube
        best = np.where(better, switched, cube).reshape(sets, levels)
        came = np.where(better, origin[:, ::-1], origin).reshape(sets, levels)
    return best, came


def read(told: Mapping[str, Any]) -> Instance:
    """Return the instance that one entry of schedule_problems.json describes."""
    parameters = told.get("parameters")
    return Instance(
        name=str(told["name"]),
        **{key: np.array(told[key], dtype=float) for key in ("cost", "pair", "switch_on", "switch_off")},
        carbon=np.array(told["carbon"], dtype=np.int64),
        carbon_base=np.array(told["carbon_base"], dtype=np.int64),
        carbon_cap=int(told["carbon_cap"]),
        penalty=float(told["penalty"]),
        mandates=tuple(
            Mandate(from_epoch=one["from_epoch"], levers=tuple(one["levers"]), at_least=one["at_least"])
            for one in told["mandates"]
        ),
        parameters=parameters
        and Parameters(**{key: np.array(parameters[key]) for key in Parameters.__dataclass_fields__}),
    )


@functools.cache
def entries() -> Sequence[Mapping[str, Any]]:
    """Return the entries of schedule_problems.json as they are written."""
    return json.loads(FILE.read_text(encoding="utf-8"))["instances"]


@functools.cache
def published() -> tuple[ScheduleProblem, ...]:
    """Return the six published instances with the optimum and the random mean of the file."""
    return tuple(
        ScheduleProblem(instance=read(told), optimum=told["optimum"], mean_random=told["mean_random"])
        for told in entries()
    )
