"""Tunes a search method's own settings, with Ray Tune: its SETTINGS are the outer search's space.

A trial is one setting, run on every problem with every seed; the outer search, an OptimizerSearcher in generations,
minimises the mean normalised regret. The lowest of many noisy means is flattered, so the best settings and the usual
one then run once more, with seeds that the outer search never saw, and only these runs decide.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import ray
from numpy.typing import NDArray
from ray import tune
from scipy.stats import rankdata

from optimizers import get
from optimizers.archive import stack
from optimizers.contract import Evaluation, SearchSpace
from optimizers.generational import Generational
from orchestrator.optimizer_searcher import OptimizerSearcher
from orchestrator.runtime import environment
from orchestrator.tune_searcher import TUNE_VARIABLES, quiet
from sim_core.errors import InputError

Settings = Mapping[str, float]


class TuningProblem(Protocol):
    """A problem to tune on: picklable, with its least value and the mean of random candidates."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        ...

    @property
    def optimum(self) -> float:
        """The least value, or the best one known."""
        ...

    @property
    def mean_random(self) -> float:
        """The mean value of random candidates."""
        ...

    def evaluate(self, bits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values, shape (n,), for bits (n, epochs, columns) and values (n, parameters)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRow:
    """One setting's runs. regret: mean over problems and seeds, 0 at the optimum and 1 at the mean of random ones.

    standard_error: of that mean. rank: mean over problems and seeds of its rank among the rows of the table, 1 the
    best. fresh: whether its seeds are those that decide.
    """

    settings: Settings
    regret: float
    standard_error: float
    rank: float
    runs: int
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What tuning found. best: the settings to use, {} for the usual ones. tried, decided: rows, best first."""

    method: str
    best: Settings
    tried: tuple[SettingsRow, ...]
    decided: tuple[SettingsRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    method: type[Generational]
    problems: tuple[TuningProblem, ...]
    budget: int
    width: int


def tune_settings(
    method: str | type[Generational],
    problems: Sequence[TuningProblem],
    *,
    trials: int,
    budget: int,
    width: int,
    seeds: Sequence[int],
    fresh_seeds: Sequence[int],
    finalists: int = 4,
    outer: str = "evolution",
    outer_width: int = 8,
    outer_seed: int = 1,
) -> Tuning:
    """Tune a method's settings in the connected Ray runtime.

    trials: settings tried. budget, width: of each of the method's own searches. seeds: of the outer search's runs;
    fresh_seeds: of those that decide between its `finalists` best and the usual settings. outer: what searches.

    The same arguments give the same answer on any number of workers. Raises InputError for a method without
    settings, for no problems, and for seeds that are in both lists.
    """
    found = get(method) if isinstance(method, str) else method
    _check(found, problems, seeds, fresh_seeds)
    domains = {name: setting.domain for name, setting in found.SETTINGS.items()}
    space = SearchSpace(epochs=0, levers=(), parameters=tuple(domains), domains=tuple(domains.values()))
    width_of_trials = min(outer_width, trials)
    searcher = OptimizerSearcher(
        outer,
        space,
        metric="regret",
        mode="min",
        budget=trials,
        width=width_of_trials,
        seed=outer_seed,
        in_generations=True,
    )
    work = ray.put(_Work(method=found, problems=tuple(problems), budget=budget, width=width))
    tried = _fit(searcher, work, tuple(seeds), domains)
    ordered = sorted(tried.values(), key=lambda one: float(np.mean(one[1])))
    candidates = [{}, *(settings for settings, _ in ordered[:finalists])]
    run = ray.remote(num_cpus=1)(_regrets)
    decided = ray.get([run.remote(work, settings, tuple(fresh_seeds)) for settings in candidates])
    rows = _rows(candidates, decided, fresh=True)
    return Tuning(
        method=found.__name__,
        best=rows[0].settings,
        tried=_rows([settings for settings, _ in ordered], [regrets for _, regrets in ordered], fresh=False),
        decided=rows,
    )


def regret_of(
    problem: TuningProblem, method: type[Generational], settings: Settings, *, budget: int, width: int, seed: int
) -> float:
    """Return the regret of what one search recommends: 0 at the optimum, 1 at the mean of random candidates."""
    search = method(problem.space, budget, width, seed, settings=settings)
    done = 0
    while done < budget:
        asked = search.ask(min(width, budget - done))
        points = stack(problem.space, asked)
        values = problem.evaluate(points.bits, points.values).tolist()
        search.tell(
            [
                Evaluation(candidate=candidate, value=value, standard_error=0.0, n=1)
                for candidate, value in zip(asked, values, strict=True)
            ]
        )
        done += len(asked)
    best = stack(problem.space, [search.recommend()])
    value = float(problem.evaluate(best.bits, best.values)[0])
    return (value - problem.optimum) / (problem.mean_random - problem.optimum)


def _check(
    method: type[Generational],
    problems: Sequence[TuningProblem],
    seeds: Sequence[int],
    fresh_seeds: Sequence[int],
) -> None:
    if not method.SETTINGS:
        raise InputError(f"{method.__name__} has no settings to tune")
    if not problems or not seeds or not fresh_seeds:
        raise InputError("tuning needs at least one problem, one seed to search with and one to decide with")
    if shared := sorted(set(seeds) & set(fresh_seeds)):
        raise InputError(f"seeds {shared} would both search and decide: give other fresh seeds")


def _regrets(work: _Work, settings: Settings, seeds: Sequence[int]) -> list[float]:
    """Return the regrets of one setting, problems outermost."""
    return [
        regret_of(problem, work.method, settings, budget=work.budget, width=work.width, seed=seed)
        for problem in work.problems
        for seed in seeds
    ]


class _SettingsTrainable(tune.Trainable):
    """One setting at a time; Tune hands the same process the next one through reset_config."""

    def setup(self, config: dict[str, Any]) -> None:
        """Fetch the work."""
        self._work: _Work = ray.get(config["work"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to other settings."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Run all problems and seeds."""
        settings = {name: self.config[name] for name in self._work.method.SETTINGS}
        regrets = _regrets(self._work, settings, self.config["seeds"])
        return {
            "regret": float(np.mean(regrets)),
            "standard_error": _standard_error(regrets),
            "n": len(regrets),
            "regrets": regrets,
            "done": True,
        }


def _fit(
    searcher: OptimizerSearcher, work: Any, seeds: tuple[int, ...], names: Mapping[str, Any]
) -> dict[str, tuple[Settings, list[float]]]:
    """Return settings and regrets of the trials that ended well, by settings."""
    with quiet(), environment(TUNE_VARIABLES), tempfile.TemporaryDirectory(prefix="cb-tune-") as folder:
        results = tune.Tuner(
            _SettingsTrainable,
            param_space={"work": work, "seeds": list(seeds)},
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="settings",
                storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
    found = [
        ({name: one.config[name] for name in names}, one.metrics["regrets"])
        for one in results
        if one.error is None and one.metrics and one.config
    ]
    if not found:
        raise InputError(f"no setting of the method could be run: {results.errors[0] if results.errors else ''}")
    return {repr(sorted(settings.items())): (settings, regrets) for settings, regrets in found}


def _rows(settings: Sequence[Settings], regrets: Sequence[Sequence[float]], *, fresh: bool) -> tuple[SettingsRow, ...]:
    """Return a table's rows, least regret first; of equal ones the first given."""
    ranks = rankdata(np.array(regrets), axis=0).mean(axis=1)
    rows = [
        SettingsRow(
            settings=one,
            regret=float(np.mean(values)),
            standard_error=_standard_error(values),
            rank=float(rank),
            runs=len(values),
            fresh=fresh,
        )
        for one, values, rank in zip(settings, regrets, ranks, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.regret))


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
