"""OptimizerSearcher: a search method of ours as Ray Tune's search_alg, for users who want candidates as trials.

Sweeps don't use it: there one trial is a whole search. Tune calls suggest for each trial and on_trial_complete when it
ends, in whatever order trials end. A method learns from whole generations of `width` candidates, so results are held
until there are so many of them.

in_generations=True holds the next generation back until all of the last one are in: the search is then the same,
whatever trial is faster, and up to width - 1 trials' places stand empty meanwhile. Otherwise no place stands empty
and what the search does depends on who was faster: it isn't reproducible.
"""

import json
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ray.tune.search import Searcher

from optimizers import get, restore
from optimizers.contract import MOST_ASKED, Candidate, Evaluation, SearchSpace
from optimizers.event_log import read, written
from optimizers.generational import Generational
from orchestrator.faults import near_miss
from orchestrator.tune_domains import TuneSpace, from_tune, of_space
from sim_core.errors import InputError, IntegrityError

FORMAT = 1


class OptimizerSearcher(Searcher):
    """Suggests the candidates of a search method.

    space: a SearchSpace, a param_space of Tune's domains, or None to take the Tuner's param_space. budget: candidates
    in all; width: candidates of a generation, at most 256. settings: what the method leaves to be tuned.

    Of a trial's last result `metric` is its value, `fidelity` over how many scenarios it was measured,
    `standard_error` and `violation` what they say; where a result lacks the last three they are 1, 0 and 0. A trial
    that failed, or whose metric isn't a finite number, is told as a failed evaluation (impute="failed"), which no
    method learns from, or as the worst value told so far (impute="worst"), which drives the search away.

    Raises InputError for an unknown method or mode, a space that can't be searched, and a result without the metric.
    """

    def __init__(
        self,
        method: str,
        space: SearchSpace | Mapping[str, Any] | None = None,
        *,
        metric: str | None = None,
        mode: str | None = None,
        budget: int,
        width: int,
        seed: int,
        settings: Mapping[str, float] | None = None,
        fidelity: str = "n",
        standard_error: str = "standard_error",
        violation: str = "violation",
        impute: Literal["failed", "worst"] = "failed",
        in_generations: bool = False,
    ) -> None:
        if mode not in (None, "min", "max"):
            raise InputError(f"mode is {mode!r}: write 'min' or 'max'")
        if not 1 <= width <= MOST_ASKED:
            raise InputError(f"width is {width}: a generation holds 1 to {MOST_ASKED} candidates")
        if impute not in ("failed", "worst"):
            raise InputError(f"impute is {impute!r}: write 'failed' or 'worst'")
        super().__init__(metric=metric, mode=mode)
        self._metric, self._mode = metric, mode  # the base drops one where the other is missing
        self._method = method
        self._budget, self._width, self._seed = budget, width, seed
        self._settings = dict(settings or {})
        self._names = (fidelity, standard_error, violation)
        self._impute = impute
        self._in_generations = in_generations
        get(method)
        self._columns: TuneSpace | None = None
        self._search: Generational | None = None
        self._saved: dict[str, Any] | None = None
        self._asked = 0  # candidates are numbered as they are asked
        self._candidates: dict[int, Candidate] = {}  # those not yet told
        self._waiting: deque[int] = deque()  # asked, not yet suggested
        self._trials: dict[str, int] = {}  # suggested, not yet ended
        self._reports: dict[str, dict[str, Any]] = {}
        self._ended: dict[int, Evaluation] = {}  # ended, not yet told, in the order they ended
        self._worst = -math.inf
        if space is not None:
            self._set_space(of_space(space) if isinstance(space, SearchSpace) else from_tune(space))

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:  # noqa: ARG002
        """Take metric, mode and, unless there is one, the space from the Tuner. Return whether the space was taken."""
        self._metric, self._mode = self._metric or metric, self._mode or mode
        if self._columns is not None:
            return False
        self._set_space(from_tune(config))
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next candidate, FINISHED after the budget, None while a generation is held back."""
        search, columns = self._ready()
        if not self._waiting:
            if self._asked >= self._budget:
                return Searcher.FINISHED
            if self._in_generations and self._candidates:
                return None
            for candidate in search.ask(min(self._width, self._budget - self._asked)):
                self._candidates[self._asked] = candidate
                self._waiting.append(self._asked)
                self._asked += 1
        number = self._waiting.popleft()
        self._trials[trial_id] = number
        return columns.config(self._candidates[number])

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember a report, for a trial that a scheduler ends without giving its last one again."""
        if trial_id in self._trials:
            self._reports[trial_id] = result

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take a trial's last result, or its failure; trials that this searcher didn't suggest are left aside."""
        search, _ = self._ready()
        number = self._trials.pop(trial_id, None)
        last = result or self._reports.pop(trial_id, None)
        self._reports.pop(trial_id, None)
        if number is None:
            return
        self._ended[number] = self._evaluation(self._candidates[number], None if error else last)
        if self._in_generations:
            if not self._waiting and not self._trials:
                self._tell(search, sorted(self._ended))
        elif len(self._ended) >= self._width:
            self._tell(search, list(self._ended))

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,  # noqa: ARG002
    ) -> None:
        """Tell the search what is known from elsewhere. A pruned trial's value isn't comparable and is left aside."""
        search, columns = self._ready()
        if not pruned:
            result = None if error else {self._metric or "": value}
            search.tell([self._evaluation(columns.candidate(parameters), result)])

    def recommend(self) -> dict[str, Any]:
        """Return the config that the method recommends. A generation that isn't complete doesn't count.

        Raises LookupError before any successful evaluation.
        """
        search, columns = self._ready()
        if self._ended and not self._in_generations:
            self._tell(search, list(self._ended))
        return columns.config(search.recommend())

    def save(self, checkpoint_path: str) -> None:
        """Write the search with its candidates in flight to a JSON file, whole or not at all."""
        search, _ = self._ready()
        state = {
            "format": FORMAT,
            "method": self._method,
            "in_generations": self._in_generations,
            "search": search.save(),
            "asked": self._asked,
            "worst": self._worst.hex(),
            "candidates": {str(number): written(one) for number, one in self._candidates.items()},
            "waiting": list(self._waiting),
            "trials": self._trials,
            "ended": [[number, *_told(one)] for number, one in self._ended.items()],
        }
        draft = Path(f"{checkpoint_path}.draft")
        draft.write_text(json.dumps(state, allow_nan=False), encoding="utf-8")
        draft.replace(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Read what `save` wrote; nothing in it is unpickled.

        Raises IntegrityError for a file that isn't a search's, or belongs to another search than this searcher's.
        """
        try:
            state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{checkpoint_path} holds no state of a search ({error})") from None
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise IntegrityError(f"{checkpoint_path} holds no state of a search of format {FORMAT}")
        self._saved = state
        if self._columns is not None:  # else the Tuner gives the space first
            self._take_up(self._columns)

    def _set_space(self, columns: TuneSpace) -> None:
        if not columns.space.dimension:
            raise InputError("nothing in the param_space is searched: give at least one domain, such as tune.uniform")
        self._columns = columns
        if self._saved is not None:
            self._take_up(columns)
            return
        self._search = get(self._method)(
            columns.space,
            self._budget,
            self._width,
            self._seed,
            settings=self._settings,
            reproducible=self._in_generations,
        )

    def _take_up(self, columns: TuneSpace) -> None:
        state, self._saved = self._saved or {}, None
        saved = state["search"]
        own = (self._method, self._in_generations, self._budget, self._width, self._seed, self._settings)
        names = ("budget", "width", "seed", "settings")
        if own != (state["method"], state["in_generations"], *(saved[name] for name in names)):
            raise IntegrityError("the saved search has another method, budget, width, seed or settings than this one")
        self._search = restore(self._method, columns.space, saved)
        self._asked, self._worst = state["asked"], float.fromhex(state["worst"])
        self._candidates = {int(number): read(columns.space, one) for number, one in state["candidates"].items()}
        self._waiting = deque(state["waiting"])
        self._trials = dict(state["trials"])
        self._reports = {}
        self._ended = {number: _evaluation_of(self._candidates[number], rest) for number, *rest in state["ended"]}

    def _ready(self) -> tuple[Generational, TuneSpace]:
        if self._search is None or self._columns is None:
            raise InputError("the searcher has no space yet: give it one, or a param_space to the Tuner")
        if self._metric is None or self._mode is None:
            raise InputError("the searcher needs a metric and a mode: give them to it, or to tune.TuneConfig")
        return self._search, self._columns

    def _tell(self, search: Generational, numbers: list[int]) -> None:
        search.tell([self._ended[number] for number in numbers])
        for number in numbers:
            del self._ended[number], self._candidates[number]

    def _evaluation(self, candidate: Candidate, result: Mapping[str, Any] | None) -> Evaluation:
        """Return what a result says; None for a failure."""
        metric = self._metric or ""
        if result and metric not in result:
            raise InputError(f"a trial's result has no {metric!r}: {near_miss(metric, list(result))}")
        usual = zip((metric, *self._names), (math.nan, 1.0, 0.0, 0.0), strict=True)
        numbers = [_number((result or {}).get(name), otherwise) for name, otherwise in usual]
        value, n, standard_error, violation = numbers
        if not all(map(math.isfinite, numbers)):
            failed = self._impute == "failed" or self._worst == -math.inf
            value = math.nan if failed else self._worst
            return Evaluation(candidate=candidate, value=value, standard_error=0.0, n=0, failed=failed)
        value = -value if self._mode == "max" else value
        self._worst = max(self._worst, value)
        return Evaluation(
            candidate=candidate,
            value=value,
            standard_error=standard_error,
            n=int(n),
            violation=max(0.0, violation),
        )


def _number(value: Any, otherwise: float) -> float:
    return otherwise if value is None else float(value)


def _told(evaluation: Evaluation) -> list[Any]:
    numbers = (evaluation.value, evaluation.standard_error, evaluation.violation)
    return [[float(number).hex() for number in numbers], evaluation.n, evaluation.failed]


def _evaluation_of(candidate: Candidate, told: list[Any]) -> Evaluation:
    (value, standard_error, violation), n, failed = told
    return Evaluation(
        candidate=candidate,
        value=float.fromhex(value),
        standard_error=float.fromhex(standard_error),
        n=n,
        violation=float.fromhex(violation),
        failed=failed,
    )
