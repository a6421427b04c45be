"""Optuna's tree-structured Parzen estimator behind the contract; needs the extra `search`."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers.archive import Points, usable
from optimizers.contract import Candidate, Evaluation, SearchSpace
from optimizers.foreign import Spelt, joined, optional, same, spelt
from optimizers.generational import Generational
from sim_core.seeding import content_id

_VIOLATION = "violation"
_CONSTRAINTS = "constraints"  # where Optuna keeps what constraints_func gave


class OptunaAdapter(Generational):
    """TPE (Bergstra et al. 2011) as Optuna takes it by default, with its constant liar for batches.

    Levers are categorical, parameters real numbers in [0, 1]. Optuna is told of violations as constraints, and of
    failures as failures. A candidate that took the place of a repeated one is told as a trial of its own. Sampling
    takes time in proportion to dimensions x candidates told: it is for some hundred evaluations of some ten dimensions.

    Raises InputError where Optuna isn't installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        budget: int,
        width: int,
        seed: int,
        *,
        settings: Mapping[str, float] | None = None,
        reproducible: bool = True,
    ) -> None:
        super().__init__(space, budget, width, seed, settings=settings, reproducible=reproducible)
        optuna = optional("optuna")
        states = space.states or (2,) * len(space.levers)
        self._axes: dict[str, Any] = {
            f"{epoch}/{lever}": optuna.distributions.CategoricalDistribution(tuple(range(states[lever])))
            for epoch in range(space.epochs)
            for lever in range(len(space.levers))
        }
        self._axes |= {
            f"value {place}": optuna.distributions.FloatDistribution(0.0, 1.0) for place in range(len(space.parameters))
        }
        loudness = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constraints and constant liar are marked experimental
            sampler = optuna.samplers.TPESampler(
                seed=int(content_id("optuna", seed)[:8], 16), constant_liar=True, constraints_func=_constraints
            )
            self._study = optuna.create_study(sampler=sampler)
        optuna.logging.set_verbosity(loudness)
        self._flying: dict[int, tuple[Any, Spelt]] = {}

    def propose(self, n: int) -> Points:
        """Return n of Optuna's trials."""
        trials = [self._study.ask(self._axes) for _ in range(n)]
        drawn = [self._spelt(trial.params) for trial in trials]
        origin = np.array([trial.number for trial in trials], dtype=np.int64)
        self._flying.update(zip(origin.tolist(), zip(trials, drawn, strict=True), strict=True))
        bits, values = joined(self.space, drawn)
        return Points(bits=bits, values=values, origin=origin)

    def learn(self, evaluations: Sequence[Evaluation], origins: NDArray[np.int64]) -> None:
        """Tell Optuna each trial's outcome; proposals that were never asked have failed."""
        states = optional("optuna").trial.TrialState
        for evaluation, origin in zip(evaluations, origins.tolist(), strict=True):
            trial, drawn = self._flying.pop(origin, (None, None))
            asked = trial is not None and drawn is not None and same(self.space, evaluation.candidate, drawn)
            if trial is not None and not (asked and usable(evaluation)):
                self._study.tell(trial, state=states.FAIL)
            elif trial is not None:
                trial.set_user_attr(_VIOLATION, max(evaluation.violation, 0.0))
                self._study.tell(trial, evaluation.value)
            if not asked and usable(evaluation):
                self._add(evaluation)
        in_flight = set(self._in_flight.values())
        for number in [number for number in self._flying if number not in in_flight]:
            self._study.tell(self._flying.pop(number)[0], state=states.FAIL)

    def _add(self, evaluation: Evaluation) -> None:
        optuna = optional("optuna")
        violation = max(evaluation.violation, 0.0)
        trial = optuna.trial.create_trial(
            params=self._params(evaluation.candidate),
            distributions=self._axes,
            value=evaluation.value,
            user_attrs={_VIOLATION: violation},
            system_attrs={_CONSTRAINTS: (violation,)},
        )
        self._study.add_trial(trial)

    def _spelt(self, params: Mapping[str, Any]) -> Spelt:
        levers = len(self.space.levers)
        states = [params[f"{epoch}/{lever}"] for epoch in range(self.space.epochs) for lever in range(levers)]
        values = [params[f"value {place}"] for place in range(len(self.space.parameters))]
        return np.array(states, dtype=np.int64).reshape(self.space.epochs, levers), np.array(values, dtype=np.float64)

    def _params(self, candidate: Candidate) -> dict[str, Any]:
        states, values = spelt(self.space, candidate)
        return dict(zip(self._axes, [*states.reshape(-1).tolist(), *values.tolist()], strict=True))


def _constraints(trial: Any) -> tuple[float, ...]:
    return (float(trial.user_attrs.get(_VIOLATION, 0.0)),)
