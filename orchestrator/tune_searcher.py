"""Runs the searches of a sweep under Ray Tune: one fit, one trial a search, one step a generation.

A trial holds its evaluators itself, so that trials and evaluators never wait for each other's CPUs. Trials report, the
driver writes: Tune asks a trial for its next step only after the callback has handed the generation on. Tune's own
state is thrown away: a repeated command starts each search anew, with its evaluations looked up.
"""

import json
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
import ray
from ray import tune
from ray.tune.error import TuneError

from orchestrator.pool import ActorPool, InProcessPool, tables_in_order
from orchestrator.records import CandidateValue, Generation
from orchestrator.runtime import environment
from orchestrator.shard_actor import Runner
from orchestrator.work import Block, SearchJob
from sim_core.errors import InfrastructureError, IntegrityError, JournalConflictError
from sim_core.seeding import canonical_json
from sim_core.suite import SuiteDefinition

# How often a trial whose process died starts again; an error of the search itself is never tried again.
_RESTARTS = 2
TUNE_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # Tune imports MLflow when it is given any callback
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's own would swallow the interrupt and return as if finished
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # snapshots of a state that nobody restores
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # no second generation before the first is journalled
}


class Trial(Protocol):
    """What runs a search: orchestrator.search_trial.SearchTrial, or a stand-in."""

    def step(self) -> Generation:
        """Evaluate one generation."""
        ...


MakeTrial = Callable[..., Trial]
BlockRunner = Runner[Block, pa.Table]
MakeShard = Callable[[SuiteDefinition], BlockRunner]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """All that trials need, put into the object store once a fit."""

    jobs: tuple[SearchJob, ...]
    suite: SuiteDefinition
    known: Mapping[str, Mapping[str, CandidateValue]]
    make_trial: MakeTrial
    make_shard: MakeShard


def run_searches(
    jobs: Sequence[SearchJob],
    suite: SuiteDefinition,
    known: Mapping[str, Mapping[str, CandidateValue]],
    *,
    on_generation: Callable[[Generation], None],
    concurrent: int | None = None,
    make_trial: MakeTrial | None = None,
    make_shard: MakeShard | None = None,
) -> None:
    """Run every search to its last generation in the connected Ray runtime, whose CPUs must be free.

    known: per search id the evaluations to look up, by candidate key. on_generation: called in this process, once per
    generation and in order within a search, before the search goes on. concurrent: at most so many searches at a time;
    None lets the CPUs decide. make_trial, make_shard: picklable stand-ins for SearchTrial and Shard.

    An error of a search or of on_generation stops all searches and is raised with its class. Raises
    InfrastructureError when a search asks for more CPUs than there are, or ended early because its process kept dying.
    """
    if not jobs:
        return
    _check_room(jobs)
    work = _Work(
        jobs=tuple(jobs),
        suite=suite,
        known={job.search: dict(known.get(job.search, {})) for job in jobs},
        make_trial=make_trial or _search_trial,
        make_shard=make_shard or _shard,
    )
    delivery = _Delivery(jobs, on_generation)
    with quiet(), environment(TUNE_VARIABLES), tempfile.TemporaryDirectory(prefix="cb-tune-") as folder:
        tuner = tune.Tuner(
            SearchTrainable,
            param_space={
                "job": tune.grid_search([{"index": i, "actors": job.actors} for i, job in enumerate(jobs)]),
                "work": ray.put(work),
                "seen": None,
            },
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=concurrent),
            run_config=tune.RunConfig(
                name="searches",
                storage_path=folder,
                failure_config=tune.FailureConfig(max_failures=_RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[delivery],
                verbose=0,
            ),
        )
        try:
            results = tuner.fit()
        except TuneError as error:  # Tune keeps only the text of what a callback raises
            if delivery.error is not None:
                raise delivery.error from None
            raise InfrastructureError(f"Ray Tune stopped ({error}); repeat the command to resume") from error
    delivery.check_complete(results.errors)


def _check_room(jobs: Sequence[SearchJob]) -> None:
    cpus = int(ray.cluster_resources().get("CPU", 0))
    for job in jobs:
        if job.actors > cpus:
            raise InfrastructureError(
                f"the search of {job.entry!r} holds {job.actors} shard actors, but there are {cpus} CPUs: it would "
                "wait for ever; lower its actors or use more workers"
            )


def _search_trial(*arguments: Any) -> Trial:
    from orchestrator.search_trial import SearchTrial

    return SearchTrial(*arguments)


def _shard(suite: SuiteDefinition) -> BlockRunner:
    from orchestrator.shard import Shard

    return Shard(suite)


class SearchTrainable(tune.Trainable):
    """One search at a time; Tune hands the same process the next one through reset_config."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return 1 CPU for an in-process shard, or 1 CPU per shard actor and none for the trial itself."""
        actors = config["job"]["actors"]
        if actors == 1:
            return tune.PlacementGroupFactory([{"CPU": 1}])
        return tune.PlacementGroupFactory([{"CPU": 0}, *({"CPU": 1} for _ in range(actors))])

    def setup(self, config: dict[str, Any]) -> None:
        """Fetch the work. The search itself starts with the first step, where its errors are carried home."""
        self._work: _Work = ray.get(config["work"])
        self._pool: InProcessPool[Block, pa.Table] | ActorPool[Block, pa.Table] | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to another search."""
        self.cleanup()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Return one generation, or the error that ends the sweep: as a failed trial Tune would try it again."""
        try:
            if self._trial is None:
                self._trial = self._start()
            generation = self._trial.step()
            body = canonical_json(generation.body())
        except Exception as error:  # noqa: BLE001  any error belongs to the driver
            return {"fault": _portable(error), "done": True}
        return {
            "generation": body,
            "simulated": generation.simulated,
            "cpu_s": generation.cpu_s,
            "done": generation.last,
        }

    def cleanup(self) -> None:
        """Free the shard actors' CPUs."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _begin(self, config: dict[str, Any]) -> None:
        self._seen: dict[str, CandidateValue]
        self._seen, spent_s = ray.get(config["seen"]) if config["seen"] is not None else ({}, 0.0)
        job = self._work.jobs[config["job"]["index"]]
        self._job = replace(job, spent_s=job.spent_s + spent_s)
        self._trial: Trial | None = None

    def _start(self) -> Trial:
        work, job = self._work, self._job
        if job.actors == 1:
            self._pool = InProcessPool(partial(work.make_shard, work.suite))
        else:  # the actors land in the trial's own placement group
            self._pool = ActorPool(work.suite, actors=job.actors, make_shard=work.make_shard)
        known = {**work.known[job.search], **self._seen}
        return work.make_trial(job, work.suite, known, partial(tables_in_order, self._pool))


def _portable(error: Exception) -> Exception:
    """Return the error with its remote traceback as a note, in a form that surely reaches the driver."""
    error.add_note(traceback.format_exc())
    try:
        return ray.get(ray.put([error]))[0]
    except Exception:  # noqa: BLE001  whatever its pickling does, the text must arrive
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


class _Delivery(tune.Callback):
    """Hands generations on in the driver, each once, also when a restarted search reports them again."""

    def __init__(self, jobs: Sequence[SearchJob], on_generation: Callable[[Generation], None]) -> None:
        self._jobs = jobs
        self._on_generation = on_generation
        self._delivered: dict[str, dict[int, Generation]] = {}
        self._ended: set[str] = set()
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks with its state; a journal can't be, and nobody restores it

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002  the names are Tune's
        trials: list[Any],  # noqa: ARG002
        trial: Any,  # noqa: ARG002
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Take a generation off the result, so that Tune's state stays small, and hand it on."""
        try:
            if (fault := result.pop("fault", None)) is not None:
                raise fault
            body = json.loads(result.pop("generation"))
            timing = {"simulated": result["simulated"], "cpu_s": result.get("cpu_s", 0.0)}
            self._deliver(replace(Generation.from_body(body), **timing))
        except Exception as error:
            self.error = error
            raise

    def on_trial_recover(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Give a search that starts again what it told so far and took for it, so that nothing is simulated twice."""
        search = self._jobs[trial.config["job"]["index"]].search
        told = self._delivered.get(search, {}).values()
        seen = {value.candidate: value for generation in told for value in generation.values}
        trial.set_config({**trial.config, "seen": ray.put((seen, sum(one.cpu_s for one in told)))})

    def _deliver(self, generation: Generation) -> None:
        delivered = self._delivered.setdefault(generation.search, {})
        before = delivered.get(generation.index)
        if before is None:
            if generation.index != len(delivered):
                raise IntegrityError(
                    f"the search of {self._entry(generation.search)!r} told generation {generation.index} "
                    f"as its number {len(delivered)}"
                )
            self._on_generation(generation)
            delivered[generation.index] = generation
        elif before.body() != generation.body():
            raise JournalConflictError(
                f"the search of {self._entry(generation.search)!r} started again after a crash and told another "
                f"generation {generation.index}: it isn't deterministic"
            )
        if generation.last:
            self._ended.add(generation.search)

    def _entry(self, search: str) -> str:
        return next(job.entry for job in self._jobs if job.search == search)

    def check_complete(self, errors: Sequence[Exception]) -> None:
        """Raise InfrastructureError, with Tune's last error, unless every search told its last generation."""
        missing = [job.entry for job in self._jobs if job.search not in self._ended]
        if missing:
            raise InfrastructureError(
                f"the searches of {missing} ended early: their processes failed {_RESTARTS + 1} times; repeat the "
                "command to resume, with fewer workers if memory ran out: "
                f"{errors[-1] if errors else 'Tune gives no reason'}"
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Tune's notices off stderr; what matters in them is raised."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
