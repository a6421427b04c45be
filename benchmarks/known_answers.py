"""Known answers: numbers from the literature and from exact recursions that the simulator has to give.

Each comes with the file under experiments/ that states the problem, as users would write it, or with a function of the
public API. An answer is met within 1e-6 (arithmetic), or within 3 standard errors where the problem is random and the
standard error at most 0.1 % of the answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.estimates import Finding, Trace, Values, exact, mean_of, variance_ratio, with_demand
from benchmarks.known_law import law_answers
from sim_core.circularity import chained_lives, expected_lives, material_circularity
from sim_core.resilience import Resilience, resilience

EXACT = 1e-6  # relative, of arithmetic
WIDTH = 3.0  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found: (k,) numbers with their standard errors, 0 where nothing is random, against the answers.

    sharp: the largest standard error allowed, relative to the answer.
    """

    found: Values
    error: Values
    answer: Values
    sharp: float = 1e-3

    @property
    def passed(self) -> bool:
        """Whether every number is close enough to its answer, and known well enough to say so."""
        size = np.abs(self.answer)
        near = np.abs(self.found - self.answer) <= WIDTH * self.error + EXACT * np.maximum(size, 1.0)
        return bool((near & (self.error <= self.sharp * size)).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """One answer. find: what the simulator says. answer: what it should say, (k,). sharp: see Verdict."""

    name: str
    answer: tuple[float, ...]
    find: Callable[[], Finding]
    sharp: float = 1e-3

    def check(self) -> Verdict:
        """Run the simulator and compare."""
        found, error = self.find()
        return Verdict(found=found, error=error, answer=np.array(self.answer, dtype=np.float64), sharp=self.sharp)


def known_answers() -> tuple[KnownAnswer, ...]:
    """Return all of them; those of one file stand together."""
    return (*_functions(), *_law(), *_stocks(), *_bullwhip(), *_costs(), *_loss_functions())


def _functions() -> Iterator[KnownAnswer]:
    """Metrics as functions: material circularity, expected lives, resilience."""
    for number, (given, answer) in enumerate(_MCI):
        yield _arithmetic(f"mci_{number}", float(material_circularity(**given)), answer)
    # Uses of a new unit: of two states of use, of remanufacture alone, of remanufacture or recycling of the rest.
    yield _arithmetic("uses_from_new", expected_lives(np.array([[0.30, 0.50], [0.45, 0.0]])), 3.157895)
    yield _arithmetic("lives_per_unit", expected_lives(np.array([[0.7 * 0.85]])), 2.469136)
    yield _arithmetic("uses_by_collection", expected_lives(np.array([[0.6]])), 2.5)
    # The same units, counted over a horizon that has room for four lives: what a mean of lifecycle counts would say.
    yield _arithmetic("uses_counted_in_a_horizon", float(chained_lives(np.array([0.6]), 4)[0]), 2.176)
    yield _arithmetic("lifecycle_multiplier", expected_lives(np.array([[0.8 * (0.7 + 0.3 * 0.9)]])), 4.464286)

    # Performance drops by 0.4 and comes back in a line over 8 periods, or with a time constant of 3 in a window of 20.
    line = _recovery(8.0, lambda time: 1.0 - time / 8.0)
    curve = _recovery(20.0, lambda time: np.exp(-time / 3.0))
    yield _arithmetic("resilience_triangle_loss", float(line.loss[0]), 1.6)
    yield _arithmetic("resilience_exponential_loss", float(curve.loss[0]), 1.198473)
    yield _arithmetic("resilience_exponential_time_to_recover", float(curve.time_to_recover[0]), 6.238325)


def _recovery(window: float, left: Callable[[Values], Values], steps: int = 20_000) -> Resilience:
    """Return the resilience of a system that is down by 0.4 x left(time), observed in small steps."""
    time = (np.arange(steps)[:, None] + 0.5) * (window / steps)
    return resilience(1.0 - 0.4 * left(time), np.ones((steps, 1)), window / steps)


def _law() -> Iterator[KnownAnswer]:
    for name, answer, found in law_answers():
        yield KnownAnswer(name=name, answer=answer, find=lambda found=found: found)


def _arithmetic(name: str, found: float, answer: float) -> KnownAnswer:
    return KnownAnswer(name=name, answer=(answer,), find=lambda: (np.array([found]), np.zeros(1)))


_MCI: Sequence[tuple[Mapping[str, float], float]] = (
    ({}, 0.1),
    ({"utility": 2.0}, 0.55),
    ({"utility": 0.9}, 0.0),
    ({"utility": 0.5}, 0.0),
    ({"recycled_feed": 1.0, "to_recycling": 1.0}, 1.0),
    ({"reused_feed": 1.0, "to_reuse": 1.0}, 1.0),
    ({"recycled_feed": 0.5, "to_recycling": 0.5}, 0.55),
    (
        {"recycled_feed": 0.25, "to_recycling": 0.25, "feed_efficiency": 0.8, "collection_efficiency": 0.8},
        0.301869159,
    ),
    ({"recycled_feed": 0.3, "to_recycling": 0.5}, 0.46),
    ({"recycled_feed": 0.9, "feed_efficiency": 0.75}, 0.476744186),
)


def _stocks() -> Iterator[KnownAnswer]:
    """Stock in use and what leaves it, by distribution functions."""
    fixed, normal = (1, 3, 6, 10, 15, 20, 25, 30, 35, 40), (0.999571, 2.995311, 5.968302, 9.850081, 14.479368)
    normal += (19.608654, 24.990434, 30.463424, 35.959165, 41.458736)
    readings: Sequence[tuple[str, str, Callable[[Trace], Values], Sequence[float]]] = (
        ("stock_fixed_life", "in_use", lambda trace: trace["in_use"][:10, 0], fixed),
        ("stock_fixed_life", "leaving", lambda trace: trace["ended_use"][:10, 0], (0, 0, 0, 0, 0, 1, 2, 3, 4, 5)),
        ("stock_normal_life", "in_use", lambda trace: trace["in_use"][:10, 0], normal),
        ("weibull_returns", "leaving", lambda trace: trace["ended_use"][[20, 40], 0], (63.212056, 98.989569)),
        # The stock of continuous time lies between those before and after a period's sales.
        ("weibull_returns", "in_use", lambda trace: (trace["in_use"] - 0.5 * trace["sold"])[-1:, 0], (1771.249521,)),
        ("geometric_returns", "leaving", lambda trace: trace["ended_use"][-1:, 0], (100.0,)),
        ("geometric_returns", "in_use", lambda trace: (trace["in_use"] - trace["sold"])[-1:, 0], (1150.0,)),
    )
    for file, name, read, answer in readings:
        find = exact(f"known/{file}.yaml", "make", read)
        yield KnownAnswer(name=f"{file}_{name}", answer=tuple(float(value) for value in answer), find=find)
    find = exact("known/lives_per_unit.yaml", "recover", lambda trace: (trace["sold"] / trace["produced"])[-1:, 0])
    yield KnownAnswer(name="lives_per_unit_simulated", answer=(2.469136,), find=find)


def _bullwhip() -> Iterator[KnownAnswer]:
    """Chen et al. (2000): Var(orders) / Var(demand) = 1 + (2 L / p + 2 L^2 / p^2)(1 - rho^p)."""
    for file, rho, answer in (
        ("bullwhip_l1_p5", 0.0, 1.48),
        ("bullwhip_l2_p5", 0.0, 2.12),
        ("bullwhip_l2_p10", 0.0, 1.48),
        ("bullwhip_l4_p5", 0.0, 3.88),
        ("bullwhip_l2_p5_rho", 0.5, 2.085),
    ):
        find = _response_ratio(f"known/{file}.yaml", rho)
        yield KnownAnswer(name=f"{file}_response", answer=(answer,), find=find)
    for file, answer, runs in (("bullwhip_l2_p5", 2.12, 32), ("bullwhip_l2_p5_rho", 2.085, 32)):
        find = variance_ratio(f"known/{file}.yaml", "order_up_to", runs)
        yield KnownAnswer(name=f"{file}_variance", answer=(answer,), find=find)


def _response_ratio(file: str, rho: float) -> Callable[[], Finding]:
    """Return what finds the variance ratio without noise: from the orders' response to one unit more of demand.

    Orders are linear in demand, so Var(q) / Var(D) is the sum over i, j of r_i r_j rho^|i - j|, r the response.
    """

    def find() -> Finding:
        trace = with_demand(file, (100.0,) * 30 + (101.0, 100.0), 70)
        response = (trace["ordered"] - 100.0)[20:, 0]
        lag = np.abs(np.subtract.outer(range(len(response)), range(len(response))))
        return np.array([response @ np.where(lag == 0, 1.0, rho**lag) @ response]), np.zeros(1)

    return find


def _costs() -> Iterator[KnownAnswer]:
    """Mean cost a period of inventory systems under given base-stock levels."""
    costs: Sequence[tuple[str, str, float, int]] = (
        ("serial_clark_scarf", "optimum", 47.6601, 160),
        ("known/newsvendor_normal", "optimum", 1.997605, 160),
        ("known/newsvendor_normal", "s40", 7.356132, 160),
        ("known/newsvendor_poisson", "optimum", 3.570107, 192),
        ("known/serial_three_stages", "optimum", 86.0253, 160),
        ("known/serial_five_stages", "optimum", 0.5 * 451.73, 96),
        *((f"known/hybrid_{case}", entry, answer, 64) for case, entry, answer in _HYBRID),
    )
    for file, entry, answer, runs in costs:
        name = f"{file.removeprefix('known/')}_{entry}"
        yield KnownAnswer(name=name, answer=(answer,), find=mean_of(f"{file}.yaml", entry, "cost", runs))


# Exact Markov chains, value iteration for the optimum. same_triple: the levels of the other reading of U.
_HYBRID = (
    ("k1", "smu", 14.433054),
    ("k1", "push", 14.931459),
    ("k1", "no_reman", 23.3),
    ("k1_total", "smu", 14.433054),
    ("k1_total", "same_triple", 14.482812),
    ("k2", "smu", 19.855789),
    ("k2", "push", 19.908421),
    ("k2", "no_reman", 22.0),
    ("k2_total", "smu", 19.855789),
    ("k2_total", "same_triple", 19.94),
    ("k3", "smu", 17.578181),
    ("k3", "push", 18.082416),
    ("k3", "no_reman", 29.3),
    ("k3_total", "smu", 17.578181),
    ("k3_total", "same_triple", 17.651151),
)


def _loss_functions() -> Iterator[KnownAnswer]:
    """Backlog and stock on hand under Poisson demand of mean 25 over the lead time: the Poisson loss function.

    A backlog that is seldom has an error of its own size: it is asked to be known within 0.5 % alone.
    """
    for entry, series, answer, sharp in (
        ("s25", "backlog", 1.988074, 1e-3),
        ("s25", "goods_on_hand", 1.988074, 1e-3),
        ("s30", "backlog", 0.451864, 5e-3),
        ("s30", "goods_on_hand", 5.451864, 1e-3),
        ("s32", "backlog", 0.215105, 5e-3),
    ):
        find = mean_of("known/base_stock_poisson.yaml", entry, series, 192)
        yield KnownAnswer(name=f"base_stock_poisson_{entry}_{series}", answer=(answer,), find=find, sharp=sharp)
