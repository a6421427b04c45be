"""MLflow: one experiment per suite, one parent run per sweep, one run per Entry, written once by the driver.

What MLflow shows is a pure function of the journal, written when a sweep has ended. Writing may fail or be cut
short at any call; every step first looks up what is there, so writing again completes it and never doubles a run.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.tracking_store import (
    DEFAULT_PORT,
    analyze,
    artifact_location,
    check_uri,
    prepare,
    quiet_mlflow,
    sqlite_path,
    without_secrets,
)
from orchestrator.tracking_view import SHARED_VIEW_TAG, link, numbers, shared_view, texts
from sim_core.errors import CircularBenchError, InfrastructureError, InputError
from sim_core.seeding import content_id

KEY_TAG = "circularbench.key"
_ATTEMPTS = 2
_TOTAL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Everything MLflow shows of one sweep: a pure function of the journal.

    leaderboard: `Leaderboard.to_json()`. controllers: Entry name -> ControllerRecord JSON. cells: one Parquet file
    with a row per run, or None. report: the HTML report, or None. started_ms, ended_ms: milliseconds since 1970,
    as the journal noted them, so that writing again gives the same times.
    """

    suite: str
    suite_digest: str
    name: str
    digest: str
    leaderboard: Mapping[str, Any]
    controllers: Mapping[str, Mapping[str, Any]]
    cells: Path | None
    report: Path | None
    started_ms: int
    ended_ms: int

    @property
    def key(self) -> str:
        """The content id of the sweep's parent run."""
        return self.entry_key("")

    def entry_key(self, entry: str) -> str:
        """Return the content id of an Entry's run."""
        return content_id("mlflow-run", self.suite_digest, self.name, self.digest, entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What came of a flush.

    link: the address that opens on the leaderboard, None when MLflow could not be written. cursor: to be kept and
    handed to the next flush. message: empty on success, else what failed and what to do.
    """

    link: str | None
    experiment_id: str | None
    cursor: str | None
    message: str


class Client(Protocol):
    """The part of `mlflow.MlflowClient` that is used."""

    # ruff: disable[D102] the methods are described by MLflow
    def get_experiment_by_name(self, name: str) -> Any: ...
    def create_experiment(self, name: str, artifact_location: str | None = None) -> str: ...
    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None: ...
    def search_runs(self, experiment_ids: list[str], filter_string: str = "") -> Sequence[Any]: ...
    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Any: ...
    def log_batch(self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()) -> Any: ...
    def log_artifact(self, run_id: str, local_path: str) -> None: ...
    def log_dict(self, run_id: str, dictionary: dict[str, Any], artifact_file: str) -> None: ...
    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None: ...

    # ruff: enable[D102]


@contextlib.contextmanager
def open_client(uri: str) -> Iterator[Client]:
    """Yield the one MlflowClient of a flush and let go of its database afterwards."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    try:
        yield client
    finally:
        # MLflow caches the store for the life of the process; a server on the same SQLite file must find it free.
        store = client._tracking_client.store  # noqa: SLF001, MLflow has no public way to it
        engine = getattr(store, "engine", None)
        if engine is not None:
            engine.dispose()


ClientFactory = Callable[[str], contextlib.AbstractContextManager[Client]]


def flush(
    sweep: Sweep,
    *,
    uri: str,
    cursor: str | None,
    base_url: str = f"http://127.0.0.1:{DEFAULT_PORT}",
    timeout_s: int = 5,
    client_factory: ClientFactory = open_client,
) -> Flushed:
    """Write a sweep to MLflow unless `cursor` says that it is there already; never raises into the sweep.

    uri: an SQL store or a tracking server. cursor: `Flushed.cursor` of the last flush. base_url: where the user
    will open a local database (`tracking_store.server_command`); a tracking server's own address is used instead.
    timeout_s: for each request; a server that is down or hangs costs at most two of them.
    """
    address = uri if uri.startswith("http") else base_url
    written = content_id("mlflow-flush", sweep.key, sweep.leaderboard, sweep.controllers, uri)

    def done(experiment_id: str) -> Flushed:
        address_of_view = link(address, experiment_id, _view_key(sweep))
        return Flushed(
            link=address_of_view, experiment_id=experiment_id, cursor=f"{written}:{experiment_id}", message=""
        )

    known = _experiment_of(cursor, written, uri)
    if known is not None:
        return done(known)
    failure = ""
    for _ in range(_ATTEMPTS):
        try:
            check_uri(uri)
            with quiet_mlflow(timeout_s):
                return done(_write(sweep, uri, timeout_s, client_factory))
        except InputError as error:
            failure = error.message
            break
        except Exception as error:  # noqa: BLE001, MLflow is a view of the journal: its faults may not touch the sweep
            failure = _fault(error)
    message = f"MLflow not updated: {without_secrets(uri)}: {failure}; run the command again"
    return Flushed(link=None, experiment_id=None, cursor=cursor, message=message)


def _experiment_of(cursor: str | None, written: str, uri: str) -> str | None:
    """Return the experiment's id when the cursor says that this very content is in this very store."""
    key, _, experiment_id = (cursor or "").partition(":")
    path = sqlite_path(uri)
    if key != written or (path is not None and not path.exists()):
        return None
    return experiment_id


def _write(sweep: Sweep, uri: str, timeout_s: int, client_factory: ClientFactory) -> str:
    prepare(uri, timeout_s)
    with client_factory(uri) as client:
        experiment_id = _experiment(client, sweep, uri)
        _Writer(client=client, sweep=sweep, experiment_id=experiment_id).write()
    analyze(uri, timeout_s)
    return experiment_id


def _experiment(client: Client, sweep: Sweep, uri: str) -> str:
    name = f"circularbench/{sweep.suite}"
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=artifact_location(uri))
    if experiment.lifecycle_stage != "active":
        raise InfrastructureError(
            f"experiment {name!r} was deleted in MLflow: "
            f"restore it with `mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )
    return experiment.experiment_id


class _Writer:
    """Writes one sweep into one experiment; each run is looked up by its key before it is created."""

    def __init__(self, *, client: Client, sweep: Sweep, experiment_id: str) -> None:
        self._client = client
        self._sweep = sweep
        self._experiment_id = experiment_id
        self._deadline = time.monotonic() + _TOTAL_S

    def write(self) -> None:
        """Write the parent, the Entries, the artifacts and, last, the shared view that shows them."""
        sweep = self._sweep
        entries = sweep.leaderboard["entries"]
        parent = self._run(
            sweep.key,
            name=sweep.name,
            tags={"circularbench.kind": "sweep", "mlflow.note.content": "One sweep; its Entries are the child runs."},
            metrics={"entries": float(len(entries)), **numbers(_parts_of_score(sweep.leaderboard))},
            params={"suite": sweep.suite, "suite_digest": sweep.suite_digest, "sweep_digest": sweep.digest},
        )
        names: set[str] = set()
        for row in entries:
            names.update(numbers(row))
            self._entry(row, parent)
        self._artifacts(parent)
        view = shared_view(
            name=f"Leaderboard: {sweep.name}", sweep_key=sweep.key, metrics=names, created_ms=sweep.ended_ms
        )
        self._client.set_experiment_tag(self._experiment_id, SHARED_VIEW_TAG + _view_key(sweep), view)

    def _entry(self, row: Mapping[str, Any], parent: str) -> None:
        name = row["name"]
        controller = self._sweep.controllers.get(name, {})
        kind = {"controller_kind": controller["kind"]} if controller else {}
        run_id = self._run(
            self._sweep.entry_key(name),
            name=name,
            tags={"circularbench.kind": "entry", "mlflow.parentRunId": parent},
            metrics=numbers(row),
            params={"sweep_digest": self._sweep.digest, **texts(row), **kind},
        )
        # Whole, as a file: parameters are cut at 6,000 characters.
        self._client.log_dict(run_id, {"row": dict(row), "controller": dict(controller)}, "entry.json")

    def _run(
        self, key: str, *, name: str, tags: Mapping[str, str], metrics: Mapping[str, float], params: Mapping[str, str]
    ) -> str:
        """Find or create the run of a key, complete what it lacks, and close it. Returns the run's id."""
        from mlflow.entities import Metric, Param

        if time.monotonic() > self._deadline:
            raise InfrastructureError(f"it took more than {_TOTAL_S:.0f} s")
        run = self._find(key)
        if run is None:
            marks = {KEY_TAG: key, "circularbench.sweep": self._sweep.key, "mlflow.source.name": "circularbench"}
            run = self._client.create_run(
                self._experiment_id, start_time=self._sweep.started_ms, tags={**marks, **tags}, run_name=name
            )
        run_id, known = run.info.run_id, run.data
        new_metrics = {name: value for name, value in metrics.items() if known.metrics.get(name) != value}
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, self._sweep.ended_ms, 0) for name, value in new_metrics.items()],
            params=[Param(name, value) for name, value in params.items() if name not in known.params],
        )
        self._client.set_terminated(run_id, status="FINISHED", end_time=self._sweep.ended_ms)
        return run_id

    def _find(self, key: str) -> Any | None:
        found = self._client.search_runs([self._experiment_id], filter_string=f"tags.`{KEY_TAG}` = '{key}'")
        return min(found, key=lambda run: run.info.run_id) if found else None

    def _artifacts(self, parent: str) -> None:
        files = {"cells.parquet": self._sweep.cells, "report.html": self._sweep.report}
        with tempfile.TemporaryDirectory(prefix="circularbench-") as folder:
            for name, source in files.items():
                if source is not None:
                    copy = shutil.copyfile(source, Path(folder) / name)
                    self._client.log_artifact(parent, str(copy))


def _parts_of_score(leaderboard: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many scenarios carry a bound, and how many of them are part of scores."""
    return {name: leaderboard.get(name) for name in ("bounded", "scored", "bound_cost", "reference_cost")}


def _view_key(sweep: Sweep) -> str:
    return content_id("mlflow-view", sweep.key)


def _fault(error: Exception) -> str:
    """Say on one line what went wrong: the operating system's own words when it is the cause, else the outermost."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None and not isinstance(cause, CircularBenchError):
        cause = deeper
    shown = cause if isinstance(cause, OSError) else error
    text = " ".join(str(shown).split())
    short = text if len(text) <= 300 else f"{text[:297]}..."
    return short if isinstance(shown, CircularBenchError) else f"{type(shown).__name__}: {short}"
