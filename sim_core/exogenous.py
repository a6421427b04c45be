"""Exogenous processes that users write: demand of a market, returns at a node. Keyed randomness, units a period."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from sim_core.errors import ModelError
from sim_core.seeding import normal, uniform

# Which fields each kind takes; the others stay at their defaults.
TAKES: Mapping[str, tuple[str, ...]] = {
    "constant": ("mean",),
    "series": ("values",),
    "normal": ("mean", "sd"),
    "poisson": ("mean",),
    "pmf": ("values", "probabilities"),
    "ar1": ("mean", "sd", "rho"),
}
KINDS = tuple(TAKES)
_MOST_POISSON = 1e6  # the table of the distribution function grows with the square root of the mean
_TABLE_SDS = 10.0  # beyond, both tails hold less than a uniform of 52 bits can tell from 0 or 1
_SUM_ERROR = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A stationary process, or a given series, in units a period; never negative.

    kind: "constant" (mean), "series" (values, the last one repeated), "normal" (mean, sd; below 0 is 0), "poisson"
    (mean), "pmf" (values with probabilities), "ar1" (mean, sd of the process's innovations, rho: D_t = mean +
    rho (D_{t-1} - mean) + sd e_t, started in its stationary distribution; what is passed on is max(D_t, 0)).
    Raises ModelError, naming all faults, for numbers that no such process has.
    """

    kind: str
    mean: float = 0.0
    sd: float = 0.0
    rho: float = 0.0
    values: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        wrong = "; ".join(f"{field} {message}" for field, message in process_objections(self.kind, asdict(self)))
        if wrong:
            raise ModelError(f"a {self.kind} process: {wrong}")

    @property
    def expected(self) -> float:
        """The mean, units a period: of a series over its values; of normal and ar1 as if nothing were cut off at 0."""
        if self.kind == "series":
            return math.fsum(self.values) / len(self.values)
        if self.kind == "pmf":
            return math.fsum(v * p for v, p in zip(self.values, self.probabilities, strict=True))
        return self.mean


def process_objections(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for the numbers of a process; fields that are missing stand at their defaults."""
    if kind not in TAKES:
        yield "kind", f"is {kind!r}; known are {', '.join(KINDS)}"
        return
    takes = TAKES[kind]
    for name in ("mean", "sd", "rho", "values", "probabilities"):
        if name not in takes and fields.get(name):
            yield name, f"means nothing to a {kind} process, which takes {', '.join(takes)}: remove it"
    for name in ("mean", "sd"):
        value = fields.get(name, 0.0)
        if name in takes and not 0.0 <= value < math.inf:
            yield name, f"must be finite and at least 0, not {value:g}"
    if "rho" in takes and not -1.0 < fields.get("rho", 0.0) < 1.0:
        yield "rho", f"must lie between -1 and 1, else nothing is stationary, not {fields['rho']:g}"
    if kind == "poisson" and fields.get("mean", 0.0) > _MOST_POISSON:
        yield "mean", f"must be at most {_MOST_POISSON:g}; beyond, write a normal process with sd = sqrt(mean)"
    if "values" in takes:
        yield from _list_objections(kind, fields.get("values", ()), fields.get("probabilities", ()))


def _list_objections(kind: str, values: Sequence[float], probabilities: Sequence[float]) -> Iterator[tuple[str, str]]:
    if not values:
        yield "values", "must hold one or more numbers"
    for name, items in (("values", values), ("probabilities", probabilities)):
        wrong = next((item for item in items if not 0.0 <= item < math.inf), None)
        if wrong is not None:
            yield name, f"must all be finite and at least 0, not {wrong:g}"
    if kind == "pmf":
        total = math.fsum(probabilities)
        if len(probabilities) != len(values):
            yield "probabilities", f"must be as many as values, {len(values)}, not {len(probabilities)}"
        elif not abs(total - 1.0) <= _SUM_ERROR:
            yield "probabilities", f"must add up to 1, not {total:.12g}"


def process_from_json(value: Mapping[str, Any]) -> Process:
    """Rebuild a process from its JSON form."""
    lists = {name: tuple(value.get(name, ())) for name in ("values", "probabilities")}
    return Process(**{**value, **lists})


def draw(process: Process, *, seed: int, number: int, stream: str, periods: int) -> NDArray[np.float64]:
    """Return a path of the process, (periods,), units a period, >= 0.

    A pure function of (suite seed, scenario number, stream, period): `stream` names the node as well as the purpose,
    say "demand/market-1". A longer path begins with the shorter one.
    """
    match process.kind:
        case "constant":
            return np.full(periods, process.mean, dtype=np.float64)
        case "series":
            last = len(process.values) - 1
            return np.array(process.values, dtype=np.float64)[np.minimum(np.arange(periods), last)]
        case "normal":
            return np.maximum(process.mean + process.sd * normal(seed, number, stream, 1, periods)[:, 0], 0.0)
        case "ar1":
            return np.maximum(_ar1(process, normal(seed, number, stream, 1, periods)[:, 0]), 0.0)
        case _:
            values, cdf = _poisson_table(process.mean) if process.kind == "poisson" else _pmf_table(process)
            place = np.searchsorted(cdf, uniform(seed, number, stream, 1, periods)[:, 0], side="left")
            return values[np.minimum(place, len(values) - 1)]


def _ar1(process: Process, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    path = np.empty_like(noise)
    away = 0.0
    for t, shock in enumerate(noise):
        away = process.rho * away + process.sd * shock if t else process.sd / math.sqrt(1.0 - process.rho**2) * shock
        path[t] = process.mean + away
    return path


def _poisson_table(mean: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread = _TABLE_SDS * math.sqrt(mean) + 50.0  # 50: the upper tail of small means is longer than a normal's
    values = np.arange(max(0.0, math.floor(mean - spread)), math.ceil(mean + spread) + 1.0)
    return values, np.asarray(pdtr(values, mean), dtype=np.float64)


def _pmf_table(process: Process) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values that can occur with their distribution function; its last entry is 1."""
    pairs = [(value, chance) for value, chance in zip(process.values, process.probabilities, strict=True) if chance]
    cdf = np.cumsum([chance for _, chance in pairs])
    cdf[-1] = 1.0
    return np.array([value for value, _ in pairs], dtype=np.float64), cdf
