"""What `make bench-search` prints: the table of methods, paired tests, running times, and one honest sentence."""

from collections.abc import Iterator, Sequence

from benchmarks.search import suites
from benchmarks.search.plan import BEST_OF_SA, CORE, EV, FLAGSHIP, ON_SUITE, SA, SHORT, USUAL
from benchmarks.search.results import Results
from benchmarks.search.runs import SUITE

TARGETS = (0.1, 0.05, 0.02, 0.01)  # regrets of the running times
_CLEAR = 0.01  # p below which one method is ahead
_CHAINS = "simulated_annealing_chains"


def lines(results: Results, further: Sequence[str]) -> Iterator[str]:
    """Yield everything that is printed, line by line."""
    yield from regrets(results, further)
    yield from each_problem(results)
    yield from tests(results, further)
    yield from running_times(results)
    yield from on_suite(results)
    yield from ("", *sentence(results, further))
    for method, fault in results.faults().items():
        yield f"{method}: {fault}"


def regrets(results: Results, further: Sequence[str]) -> Iterator[str]:
    """Yield the table: mean regret x 1000 relative to random, a row for each method, best first."""
    columns = (
        ("all 1e3", SHORT, suites.FIFTEEN),
        ("all 1e4", USUAL, suites.FIFTEEN),
        ("sched", USUAL, suites.SCHEDULES),
        ("mixsched", USUAL, suites.MIXED_SCHEDULES),
        ("sched 1e3", SHORT, suites.SIX),
        ("further", USUAL, further),
    )
    yield "mean regret x 1000 (0: optimum, 1000: a random candidate)"
    yield f"{'':38}" + "".join(f"{name:>10}" for name, _, _ in columns) + f"{'CPU us':>10}"
    rows = [(method, [results.mean(method, budget, on) for _, budget, on in columns]) for method in results.methods]
    rows.sort(key=lambda row: [float("inf") if value is None else value for value in (row[1][1], row[1][0])])
    for method, values in rows:
        spent = [run.cpu_us for run in results.of(method, USUAL, suites.FIFTEEN)]
        cost = f"{sum(spent) / len(spent):10.0f}" if spent else f"{'-':>10}"
        yield f"{method:38}" + "".join(_thousand(value) for value in values) + cost


def each_problem(results: Results) -> Iterator[str]:
    """Yield mean regret x 1000 at 1e4 by problem for the methods at the core."""
    yield from ("", "by problem at 1e4, mean regret x 1000")
    yield f"{'':38}" + "".join(f"{_short(method):>12}" for method in CORE)
    for problem in (*suites.FIFTEEN, *suites.MORE):
        values = [results.mean(method, USUAL, [problem]) for method in CORE]
        if all(value is None for value in values):
            continue
        yield f"{problem:38}" + "".join(f"{'-' if v is None else f'{v * 1e3:.2f}':>12}" for v in values)


def tests(results: Results, further: Sequence[str]) -> Iterator[str]:
    """Yield the flagship against each other method on all schedules: ratio of regrets, Wilcoxon's test."""
    yield from ("", f"{FLAGSHIP} against others on schedules at 1e4, pairs of (instance, seed)")
    yield f"{'':38}{'ratio':>8}{'95 % over instances':>22}{'won':>6}{'lost':>6}{'level':>6}{'W':>12}{'p':>12}"
    for method in results.methods:
        shared = [name for name in (*suites.SIX, *further) if results.scores(method, USUAL, [name])]
        test = results.test(FLAGSHIP, method, USUAL, shared) if method != FLAGSHIP else None
        ratio = results.ratio(method, FLAGSHIP, USUAL, shared)
        if test is None or ratio is None:
            continue
        interval = results.interval(method, FLAGSHIP, USUAL, shared)
        span = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "-"
        yield (
            f"{method:38}{ratio:8.2f}{span:>22}{test.wins:6}{test.losses:6}{test.ties:6}"
            f"{test.statistic:12.0f}{test.p:12.2g}"
        )


def running_times(results: Results) -> Iterator[str]:
    """Yield expected running times to regrets on the six schedules."""
    yield from ("", "expected evaluations to a regret, six schedules, budget 1e4 (inf: never reached)")
    yield f"{'':38}" + "".join(f"{target:>10g}" for target in TARGETS)
    for method in results.methods:
        times = [results.running_time(method, USUAL, suites.SIX, target) for target in TARGETS]
        if None not in times:
            yield f"{method:38}" + "".join(f"{value:10.0f}" for value in times if value is not None)


def on_suite(results: Results) -> Iterator[str]:
    """Yield the methods on the EV-battery suite: mean regret x 1000 against its bound, and the flagship's test."""
    yield from ("", "EV-battery suite, mean regret x 1000 (0: its bound, not reachable; 1000: a random candidate)")
    yield f"{'':38}{'at 1e3':>10}{'at 1e4':>10}{'won, lost, p of the flagship at 1e3':>38}{'at 1e4':>24}"
    for method in ON_SUITE:
        means = [results.mean(method, budget, [EV], SUITE) for budget in (SHORT, USUAL)]
        if all(value is None for value in means):
            continue
        told = [results.test(FLAGSHIP, method, budget, [EV], SUITE) for budget in (SHORT, USUAL)]
        tests_ = [f"{one.wins}, {one.losses}, {one.p:.2g}" if one and method != FLAGSHIP else "-" for one in told]
        yield f"{method:38}" + "".join(_thousand(value) for value in means) + f"{tests_[0]:>38}{tests_[1]:>24}"


def sentence(results: Results, further: Sequence[str]) -> Iterator[str]:
    """Yield where quantum-inspired search beats simulated annealing, where it loses, and where the runs can't tell."""
    others = ((SA, "sequential SA"), (BEST_OF_SA, "best-of-16 SA"), (_CHAINS, "64-chain SA"))
    places: list[tuple[str, int, Sequence[str], str]] = [
        ("the six schedules at 1e3", SHORT, suites.SIX, "exact"),
        ("the six schedules at 1e4", USUAL, suites.SIX, "exact"),
        (f"{len(further)} further schedules at 1e4", USUAL, further, "exact"),
        ("the EV-battery suite at 1e3", SHORT, [EV], SUITE),
        ("the EV-battery suite at 1e4", USUAL, [EV], SUITE),
        ("all fifteen at 1e3", SHORT, suites.FIFTEEN, "exact"),
        ("all fifteen at 1e4", USUAL, suites.FIFTEEN, "exact"),
        *((f"{name} at 1e4", USUAL, [name], "exact") for name in suites.FIFTEEN if name not in suites.SIX),
    ]
    for method, name in others:
        verdicts: dict[str, list[str]] = {"beats": [], "can't be told from": [], "loses to": []}
        for place, budget, problems, setting in places:
            verdict = _verdict(results, method, budget, problems, setting)
            if verdict:
                verdicts[verdict[0]].append(f"{place} ({verdict[1]})")
        for verb, where in verdicts.items():
            if where:
                yield f"quantum-inspired {verb} {name} on {', '.join(where)}."


def _verdict(
    results: Results, method: str, budget: int, problems: Sequence[str], setting: str
) -> tuple[str, str] | None:
    """Return a verb and a figure. Ahead needs both the smaller mean and p < 0.01 in the paired test."""
    ratio = results.ratio(method, FLAGSHIP, budget, problems, setting)
    if ratio is None:
        return None
    ahead = results.test(FLAGSHIP, method, budget, problems, setting)
    behind = results.test(method, FLAGSHIP, budget, problems, setting)
    if ahead is None or behind is None:
        return "can't be told from", "same regrets"
    if ratio > 1.0 and ahead.p < _CLEAR:
        return "beats", f"{ratio:.2f}x, p {ahead.p:.1g}"
    if ratio < 1.0 and behind.p < _CLEAR:
        return "loses to", f"{ratio:.2f}x, p {behind.p:.1g}"
    return "can't be told from", f"{ratio:.2f}x, p {min(ahead.p, behind.p):.2g}, {ahead.n} pairs"


def _thousand(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value * 1e3:10.1f}"


def _short(method: str) -> str:
    return {FLAGSHIP: "quantum", BEST_OF_SA: "best-of SA", SA: "SA"}.get(method, method)
