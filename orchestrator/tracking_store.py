"""Where MLflow keeps its records: which stores are accepted, how one is made ready, how its server is started.

Nothing here imports mlflow at the top level; a finished sweep never needs it.
"""

import contextlib
import logging
import os
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sim_core.errors import InfrastructureError, InputError

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
DEFAULT_PORT = 5000
_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql+psycopg://"
_REMOTE = ("http://", "https://")
_LOUD_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3", "huey")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCommand:
    """How to start the MLflow server of a results folder: execute `argv` under `environment`, then open `url`."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    url: str


def database_uri(results: Path) -> str:
    """Return the URI of a results folder's own SQLite database, by absolute path."""
    return f"{_SQLITE}{(results / DATABASE).resolve()}"


def check_uri(uri: str) -> None:
    """Raise InputError, with the reason and the remedy, unless `uri` names an SQL store or a tracking server."""
    if uri.startswith(_REMOTE) and urlsplit(uri).hostname:
        return
    if uri.startswith(_POSTGRESQL):
        return
    if uri.startswith(_SQLITE) and len(uri) > len(_SQLITE) and ":memory:" not in uri and "?" not in uri:
        return
    if uri.startswith("postgresql"):
        reason = f"PostgreSQL is reached through psycopg 3: write {_POSTGRESQL}USER@HOST/DATABASE"
    else:
        reason = (
            "only SQL stores are supported (MLflow's file store is frozen, slow and can't look a run up by key): use "
            f"{_SQLITE}/ABSOLUTE/PATH/mlflow.db, {_POSTGRESQL}..., or the http:// address of a tracking server"
        )
    raise InputError(f"MLflow address {without_secrets(uri)!r}: {reason}")


def without_secrets(uri: str) -> str:
    """Return the URI without user, password and query, fit for a message."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return uri
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def sqlite_path(uri: str) -> Path | None:
    """Return the absolute path of a SQLite URI's file, or None for any other store."""
    return Path(uri[len(_SQLITE) :]).resolve() if uri.startswith(_SQLITE) else None


def artifact_location(uri: str) -> str | None:
    """Return where a SQLite store's artifacts lie (a folder beside the file); other stores decide for themselves."""
    path = sqlite_path(uri)
    return None if path is None else (path.parent / ARTIFACTS).as_uri()


@contextlib.contextmanager
def quiet_mlflow(timeout_s: int) -> Iterator[None]:
    """Hold MLflow to one try per request of at most `timeout_s`, without telemetry, log lines or warnings.

    All is restored at the end, so that a user's own MLflow settings hold everywhere else.

    The HTTP layer may not retry: it would repeat a create whose answer was lost, and make a second run. The
    caller retries from its look-up instead.
    """
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_s),
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": str(timeout_s),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    levels = {name: logging.getLogger(name).level for name in _LOUD_LOGGERS}
    for name in _LOUD_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow's own dependencies; no user can act on them
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def prepare(uri: str, timeout_s: int) -> None:
    """Make an SQL store ready for the client: reachable, tables created once, and WAL for SQLite.

    MLflow itself retries an unreachable database for most of an hour, so reach it first with one bounded try.
    Raises InfrastructureError when it can't be reached or written.
    """
    path = sqlite_path(uri)
    if path is not None:
        if not path.exists():
            _create_sqlite(path, timeout_s)
        _run_sqlite(path, timeout_s, "PRAGMA journal_mode=WAL", "BEGIN IMMEDIATE", "ROLLBACK")
    elif uri.startswith(_POSTGRESQL):
        _reach_postgresql(uri, timeout_s)
        _create_tables(uri)


def analyze(uri: str, timeout_s: int) -> None:
    """Refresh SQLite's statistics, without which MLflow sorts runs by a metric some 50 times slower.

    PostgreSQL does this by itself. Raises InfrastructureError when the file can't be written.
    """
    path = sqlite_path(uri)
    if path is not None:
        _run_sqlite(path, timeout_s, "ANALYZE")


def server_command(results: Path, *, port: int = DEFAULT_PORT) -> ServerCommand:
    """Return the command that serves a results folder's MLflow database on 127.0.0.1.

    The database is created here when there is none: several server workers on a new SQLite file crash.
    Raises InputError when `results` is no folder, InfrastructureError when the database can't be written.
    """
    if not results.is_dir():
        raise InputError(f"no results folder at {results}: run an experiment first, or name its folder with --results")
    uri = database_uri(results)
    with quiet_mlflow(timeout_s=5):
        prepare(uri, timeout_s=5)
    flags = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": uri,
        "--default-artifact-root": str((results / ARTIFACTS).resolve()),
    }
    options = [word for flag in flags.items() for word in flag]
    return ServerCommand(
        argv=(sys.executable, "-m", "mlflow", "server", *options, "--no-serve-artifacts"),
        environment={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        url=f"http://127.0.0.1:{port}",
    )


def _run_sqlite(path: Path, timeout_s: int, *statements: str) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=timeout_s, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
    except sqlite3.Error as error:
        raise InfrastructureError(f"the MLflow database {path} can't be written ({error})") from error


def _create_sqlite(path: Path, timeout_s: int) -> None:
    """Create the file under another name and move it, whole, to its place: a kill leaves no half-made tables."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            draft = Path(folder) / path.name
            _create_tables(f"{_SQLITE}{draft}")
            _run_sqlite(draft, timeout_s, "PRAGMA wal_checkpoint(TRUNCATE)")
            draft.replace(path)
    except OSError as error:
        raise InfrastructureError(f"the MLflow database {path} can't be created ({error})") from error


def _create_tables(uri: str) -> None:
    from mlflow.store.db.utils import _all_tables_exist, _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        if not _all_tables_exist(engine):
            _initialize_tables(engine)
    finally:
        engine.dispose()


def _reach_postgresql(uri: str, timeout_s: int) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(uri, connect_args={"connect_timeout": timeout_s})
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        raise InfrastructureError(f"the MLflow database {without_secrets(uri)} can't be reached ({error})") from error
    finally:
        engine.dispose()
