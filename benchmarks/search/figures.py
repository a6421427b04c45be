"""What build/bench/search.json holds: each figure's unit, target and direction, and how it follows from the runs."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.report import Metric, listed
from benchmarks.search import suites
from benchmarks.search.execute import FRONT
from benchmarks.search.noise import FORMS, LEVELS
from benchmarks.search.plan import BEST_OF_SA, FLAGSHIP, GA, LITERAL, LONG, SA, SEVERAL, SHORT, USUAL
from benchmarks.search.results import Results

KNOWN: Mapping[str, tuple[str, float | None, str]] = {
    "regret_schedules_1e3": ("1", 0.126, "lower"),
    "regret_schedules_1e4": ("1", 0.0145, "lower"),
    "regret_schedules_1e5": ("1", 0.0035, "lower"),
    "ratio_best_of_16_sa": ("x", 2.5, "higher"),
    "ratio_sequential_sa": ("x", 1.0, "higher"),
    "p_best_of_16_sa": ("1", 1e-6, "lower"),
    "p_schedule_ga": ("1", 0.01, "lower"),
    "p_sequential_sa": ("1", 0.01, "lower"),
    "regret_all_1e3": ("1", None, "lower"),
    "regret_all_1e4": ("1", 0.046, "lower"),
    "regret_further_1e4": ("1", None, "lower"),
    "literal_seed_over_random": ("x", None, "lower"),
    "hypervolume_ratio": ("1", 0.94, "higher"),
    "crn8_gain": ("x", 2.5, "higher"),
    "ask_tell_us": ("us/candidate", 50.0, "lower"),
    "ask_256_ms": ("ms", 10.0, "lower"),
}


def figures(results: Results, further: Sequence[str]) -> Iterable[Metric]:
    """Return all metrics; what the runs don't give is None. further: the generated instances of the plan."""
    six, pooled = suites.SIX, (*suites.SIX, *further)
    found: dict[str, float | None] = {
        "regret_schedules_1e3": results.mean(FLAGSHIP, SHORT, six),
        "regret_schedules_1e4": results.mean(FLAGSHIP, USUAL, six),
        "regret_schedules_1e5": results.mean(FLAGSHIP, LONG, six),
        "ratio_best_of_16_sa": results.ratio(BEST_OF_SA, FLAGSHIP, USUAL, six),
        "ratio_sequential_sa": results.ratio(SA, FLAGSHIP, USUAL, six),
        "regret_all_1e3": results.mean(FLAGSHIP, SHORT, suites.FIFTEEN),
        "regret_all_1e4": results.mean(FLAGSHIP, USUAL, suites.FIFTEEN),
        "regret_further_1e4": results.mean(FLAGSHIP, USUAL, further),
        "hypervolume_ratio": results.mean(SEVERAL, USUAL, six, FRONT),
    }
    notes: dict[str, str] = {}
    for name, other in (("best_of_16_sa", BEST_OF_SA), ("schedule_ga", GA), ("sequential_sa", SA)):
        test = results.test(FLAGSHIP, other, USUAL, pooled)
        found[f"p_{name}"] = test and test.p
        if test:
            notes[f"p_{name}"] = (
                f"Wilcoxon W = {test.statistic:g} over {test.n} pairs of {len(pooled)} instances: "
                f"{test.wins} won, {test.losses} lost, {test.ties} level"
            )
        interval = results.interval(other, FLAGSHIP, USUAL, six)
        if interval and f"ratio_{name}" in found:
            notes[f"ratio_{name}"] = f"95 % over instances: {interval[0]:.2f} to {interval[1]:.2f}"
    literal, random = (results.mean(name, USUAL, suites.FIFTEEN) for name in (LITERAL, "random"))
    found["literal_seed_over_random"] = literal / random if literal and random else None
    gains = crn_gains(results)
    found["crn8_gain"] = min((gain for gain, _ in gains.values()), default=None)
    notes["crn8_gain"] = "; ".join(
        f"level {level:g}: 8 common {gain:.2f}x ahead of 8 independent, {more:.2f}x of 64"
        for level, (gain, more) in gains.items()
    )
    with_parameters = [run.cpu_us for run in results.of(FLAGSHIP, USUAL, suites.MIXED_SCHEDULES)]
    wide = [run.ask_ms for run in results.of(FLAGSHIP, LONG, suites.MIXED_SCHEDULES)]
    found["ask_tell_us"] = statistics.median(with_parameters) if with_parameters else None
    found["ask_256_ms"] = statistics.median(wide) if wide else None
    return listed(KNOWN, found, {name: note for name, note in notes.items() if note})


def crn_gains(results: Results) -> Mapping[float, tuple[float, float]]:
    """Return by level how much more regret 8 independent scenarios give than 8 common ones, and 64 independent."""
    found: dict[float, tuple[float, float]] = {}
    for level in LEVELS:
        common, eight, many = (
            results.mean(FLAGSHIP, one.budget, suites.SCHEDULES, one.name) for one in (form.at(level) for form in FORMS)
        )
        if common and eight is not None and many is not None:
            found[level] = (eight / common, many / common)
    return found
