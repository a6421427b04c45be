"""Finished runs, asked by method, budget and problems."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.search.runs import Run
from benchmarks.search.statistics import (
    Pair,
    Paired,
    expected_running_time,
    first_hit,
    mean_regret,
    paired,
    ratio_interval,
)

Scores = Mapping[Pair, float]


class Results:
    """Runs of one plan. A problem on which any run of a method failed counts as one without a result for it."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)
        self._failed = {
            (run.job.method, run.job.budget, run.job.setting, run.job.problem) for run in self.runs if run.fault
        }

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the methods that ran in the exact setting, in the order of the plan."""
        return tuple(dict.fromkeys(run.job.method for run in self.runs if run.job.setting == "exact"))

    def of(self, method: str, budget: int, problems: Sequence[str], setting: str = "exact") -> list[Run]:
        """Return the runs that succeeded."""
        return [
            run
            for run in self.runs
            if (run.job.method, run.job.budget, run.job.setting) == (method, budget, setting)
            and run.job.problem in problems
            and (method, budget, setting, run.job.problem) not in self._failed
        ]

    def scores(self, method: str, budget: int, problems: Sequence[str], setting: str = "exact") -> Scores:
        """Return scores by (problem, seed)."""
        found = self.of(method, budget, problems, setting)
        return {(run.job.problem, run.job.seed): run.score for run in found if run.score is not None}

    def mean(self, method: str, budget: int, problems: Sequence[str], setting: str = "exact") -> float | None:
        """Return the mean over all these problems of the mean over seeds; None unless each has a run."""
        return mean_regret(self.scores(method, budget, problems, setting), problems)

    def ratio(
        self, theirs: str, ours: str, budget: int, problems: Sequence[str], setting: str = "exact"
    ) -> float | None:
        """Return mean regret of theirs over that of ours, on their shared (problem, seed); None without any."""
        left, right = self._shared(theirs, ours, budget, problems, setting)
        above, below = mean_regret(left, problems), mean_regret(right, problems)
        if above is None or below is None:
            return None
        return above / below if below else float("inf")

    def interval(self, theirs: str, ours: str, budget: int, problems: Sequence[str]) -> tuple[float, float] | None:
        """Return the ratio's 95 % interval over problems."""
        return ratio_interval(*self._shared(theirs, ours, budget, problems, "exact"))

    def test(
        self, ours: str, theirs: str, budget: int, problems: Sequence[str], setting: str = "exact"
    ) -> Paired | None:
        """Test whether the regret of ours is less, over shared (problem, seed) pairs."""
        return paired(*self._shared(ours, theirs, budget, problems, setting))

    def running_time(self, method: str, budget: int, problems: Sequence[str], target: float) -> float | None:
        """Return the expected evaluations until a regret; None without runs, inf if none reached it."""
        runs = self.of(method, budget, problems)
        hits = [first_hit(run.trace, target) for run in runs]
        return expected_running_time(hits, budget) if runs else None

    def faults(self) -> dict[str, str]:
        """Return by method the first thing that went wrong, with how many runs did."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.fault:
                found.setdefault(run.job.method, []).append(run)
        return {name: f"{len(runs)} failed; {runs[0].job.problem}: {runs[0].fault}" for name, runs in found.items()}

    def _shared(
        self, left: str, right: str, budget: int, problems: Sequence[str], setting: str
    ) -> tuple[Scores, Scores]:
        one, two = (self.scores(method, budget, problems, setting) for method in (left, right))
        both = one.keys() & two.keys()
        return {pair: one[pair] for pair in both}, {pair: two[pair] for pair in both}
