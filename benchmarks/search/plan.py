"""Which searches `make bench-search` runs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.search import suites
from benchmarks.search.execute import FRONT
from benchmarks.search.noise import ESTIMATORS
from benchmarks.search.peers import NSGA2, PEERS
from benchmarks.search.runs import SEQUENTIAL, SUITE, Job

FLAGSHIP = "quantum_inspired"
BEST_OF_SA = "simulated_annealing_best_of"
SA = "simulated_annealing"
GA = "evolution"
LITERAL = "seed_literal"
CORE = (FLAGSHIP, BEST_OF_SA, GA, SA)
SEVERAL = "decomposition"  # told several objectives, so out of the tables of regret
SHORT, USUAL, LONG = 1_000, 10_000, 100_000
OURS = (
    FLAGSHIP,
    SA,
    BEST_OF_SA,
    "simulated_annealing_chains",
    GA,
    "random",
    LITERAL,
    "path_integral_annealing",
    "qiea",
    "fast_ga",
    "umda",
    "cma_es",
    "differential_evolution",
    "linkage_learner",
    "optuna",
    "nevergrad",
)
ON_SUITE = (FLAGSHIP, GA, "cma_es", BEST_OF_SA, SA, "random")
EV = "ev_battery"
_SLOW = {"optuna": 0, "nevergrad": SHORT}  # the adapters' budgets unless slow ones are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Seeds of each part: core on all schedules, core on the fifteen, every method there, 1e5, and so on."""

    core: int
    others: int
    every: int
    long: int
    peers: int
    noise: int
    fronts: int
    suite: int
    further: int  # instances of the generator


FULL = Size(
    core=15,
    others=7,  # seven pairs are the fewest that can show p < 0.01
    every=2,
    long=3,
    peers=1,
    noise=5,
    fronts=5,
    suite=7,
    further=len(suites.FURTHER),
)
QUICK = Size(core=2, others=1, every=1, long=0, peers=0, noise=1, fronts=1, suite=0, further=2)


def jobs(size: Size, known: Collection[str], *, slow: bool = False, more: bool = False) -> Iterator[Job]:
    """Yield the jobs of a size for the methods that are known, those that the acceptance rests on first.

    slow: peers at budgets that take hours too. more: the core on suites.MORE too.
    """
    core = [method for method in CORE if method in known]
    flagship = core[:1] if FLAGSHIP in core else []
    schedules = (*suites.SIX, *suites.FURTHER[: size.further])
    yield from product(core, schedules, USUAL, size.core)
    yield from product(core, suites.SIX, SHORT, size.core)
    for budget in (SHORT, USUAL):
        yield from product(core, suites.FIFTEEN, budget, size.others)
        every = [name for name in OURS if name in known and (slow or budget <= _SLOW.get(name, budget))]
        yield from product(every, suites.FIFTEEN, budget, size.every)
    yield from product(flagship, suites.SIX, LONG, size.long)
    yield from product(core, suites.MORE if more else [], USUAL, size.others)
    for setting, estimator in ESTIMATORS.items():
        yield from product(flagship, suites.SCHEDULES, estimator.budget, size.noise, setting)
    for method, seeds in ((SEVERAL, size.fronts), (NSGA2, size.peers)):
        yield from product([method] if method in known else [], suites.SIX, USUAL, seeds, FRONT)
    for budget in (SHORT, USUAL):
        # One candidate at a time leaves most of the kernel's lanes empty, at seven times the CPU: not at 1e4.
        on_suite = [name for name in ON_SUITE if name in known and (budget == SHORT or name not in SEQUENTIAL)]
        yield from product(on_suite, [EV], budget, size.suite, SUITE)
    for budget in (SHORT, USUAL):
        for name, kind in PEERS.items():
            if name in known and budget <= (kind.slowest if slow else kind.most):
                yield from product([name], suites.FIFTEEN, budget, size.peers)


def product(
    methods: Sequence[str], problems: Sequence[str], budget: int, seeds: int, setting: str = "exact"
) -> Iterator[Job]:
    """Yield a job for each method, problem and seed, seeds outermost: a part that is cut short has whole seeds."""
    for seed in range(seeds):
        for problem in problems:
            for method in methods:
                yield Job(method=method, problem=problem, budget=budget, seed=seed, setting=setting)
