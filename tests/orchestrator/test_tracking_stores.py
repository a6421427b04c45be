import contextlib
import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.tracking import flush, open_client
from orchestrator.tracking_store import check_uri, database_uri, quiet_mlflow, server_command, without_secrets
from sim_core.errors import InputError
from tests.orchestrator.test_tracking import ENTRIES, make_sweep

# ---------------------------------------------------------------------------- stores


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "", "sqlite://", "sqlite:///:memory:", "http://"])
def test_other_stores_are_refused_with_a_reason(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only SQL stores are supported"):
        check_uri(uri)
    assert "only SQL stores" in flush(make_sweep(tmp_path), uri=uri, cursor=None).message


def test_postgresql_goes_through_psycopg_3() -> None:
    check_uri("postgresql+psycopg://user:word@host/db")
    with pytest.raises(InputError, match=r"postgresql\+psycopg://"):
        check_uri("postgresql://user:word@host/db")


def test_messages_hold_no_password() -> None:
    assert without_secrets("postgresql+psycopg://user:word@host/db?x=word") == "postgresql+psycopg://host/db"


def test_a_server_that_is_down_costs_little_and_raises_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.monotonic()
    flushed = flush(make_sweep(tmp_path), uri=f"http://127.0.0.1:{port}", cursor="before")
    assert time.monotonic() - begun < 15 + import_allowance()
    assert (flushed.link, flushed.cursor) == (None, "before")
    assert flushed.message == (
        f"MLflow not updated: http://127.0.0.1:{port}: "
        "ConnectionRefusedError: [Errno 111] Connection refused; run the command again"
    )


def test_a_server_that_never_answers_costs_two_timeouts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        flushed = flush(
            make_sweep(tmp_path), uri=f"http://127.0.0.1:{silent.getsockname()[1]}", cursor=None, timeout_s=1
        )
        assert time.monotonic() - begun < 10 + import_allowance()
    assert flushed.message.endswith("TimeoutError: timed out; run the command again")


def import_allowance() -> float:
    """The first import of mlflow takes many seconds on a busy machine; it's no part of the promise."""
    return 0.0 if "mlflow.tracking" in sys.modules else 60.0


def test_a_file_that_is_no_database_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    message = flush(make_sweep(tmp_path), uri=database_uri(tmp_path), cursor=None).message
    assert "can't be written (file is not a database)" in message


def test_settings_and_log_levels_are_restored() -> None:
    before = (dict(os.environ), logging.getLogger("alembic").level)
    with quiet_mlflow(3):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (dict(os.environ), logging.getLogger("alembic").level) == before


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder whose MLflow database holds a sweep, flushed twice."""
    folder = tmp_path_factory.mktemp("results")
    for _ in range(2):
        flushed = flush(make_sweep(folder), uri=database_uri(folder), cursor=None)
        assert flushed.message == ""
    return folder


def test_a_real_sqlite_store(results: Path) -> None:
    with contextlib.closing(sqlite3.connect(results / "mlflow.db")) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (statistics,) = connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        (points,) = connection.execute("SELECT count(*) FROM metrics WHERE key = 'cost'").fetchone()
    assert (mode, runs, points) == ("wal", len(ENTRIES) + 1, len(ENTRIES))
    assert statistics > 0
    assert not [path.name for path in results.iterdir() if path.name.startswith(".")]
    with quiet_mlflow(5), open_client(database_uri(results)) as client:
        experiment = client.get_experiment_by_name("circularbench/ev_eu")
        (parent,) = client.search_runs([experiment.experiment_id], "tags.`circularbench.kind` = 'sweep'")
    assert experiment.artifact_location == (results / "mlartifacts").as_uri()
    stored = results / "mlartifacts" / parent.info.run_id / "artifacts"
    assert sorted(path.name for path in stored.iterdir()) == ["cells.parquet", "report.html"]
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", 1_700_000_060_000)


def test_a_database_that_was_removed_is_written_again(results: Path, tmp_path: Path) -> None:
    uri = database_uri(tmp_path)
    shutil.copyfile(results / "mlflow.db", tmp_path / "mlflow.db")
    cursor = flush(make_sweep(tmp_path), uri=uri, cursor=None).cursor
    (tmp_path / "mlflow.db").unlink()
    assert flush(make_sweep(tmp_path), uri=uri, cursor=cursor).message == ""
    assert (tmp_path / "mlflow.db").exists()


def test_the_server_is_local_and_silent(results: Path) -> None:
    command = server_command(results, port=5123)
    assert command.argv[command.argv.index("--host") + 1] == "127.0.0.1"
    assert command.argv[command.argv.index("--backend-store-uri") + 1] == f"sqlite:///{results}/mlflow.db"
    assert command.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert command.url == "http://127.0.0.1:5123"
    with pytest.raises(InputError, match="no results folder"):
        server_command(results / "absent")


# ---------------------------------------------------------------------------- the page that the link opens


@contextlib.contextmanager
def mlflow_server(results: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = server_command(results, port=port)
    with (results / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command.argv, env=dict(command.environment), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: answers(f"{command.url}/health"), seconds=90, what="the MLflow server's first answer")
        yield command.url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, TimeoutError):
        return False


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come in {seconds:.0f} s"
        time.sleep(0.25)  # polls another process, which gives no signal


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        reason = "chromium and chromium-driver are not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    switches = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-component-update disable-sync disable-dev-shm-usage window-size=1600,900"
    )
    for switch in [*switches.split(), f"user-data-dir={profile}"]:
        options.add_argument(f"--{switch}")
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield window
    finally:
        window.quit()


def cells(window: Any, column: str) -> list[str]:
    """Return the texts of a column of MLflow's runs table, from the top row down."""
    found = window.execute_script(
        "return [...document.querySelectorAll('[role=gridcell]')]"
        ".filter(e => e.getAttribute('col-id') === arguments[0])"
        ".map(e => [e.getBoundingClientRect().top, e.innerText])",
        column,
    )
    return [text.split("\n")[-1] for _, text in sorted(found)]


@pytest.mark.chromium
def test_the_link_opens_on_the_leaderboard(results: Path, tmp_path: Path) -> None:
    with mlflow_server(results) as url, browser(tmp_path / "profile") as window:
        flushed = flush(make_sweep(results), uri=url, cursor=None)  # the same sweep, through the server
        assert flushed.message == ""
        window.get(flushed.link)
        wait_for(lambda: len(cells(window, "metrics.`rank`")) >= len(ENTRIES), seconds=60, what="the runs table")
        names = [name for name in cells(window, "attributes.`Run Name`") if name]
        assert names == list(ENTRIES)
        assert cells(window, "metrics.`rank`") == ["1", "2", "3", "4", "5"]
        assert cells(window, "metrics.`cost`")[0] == "103000000"
        assert cells(window, "metrics.`cost_diff`") == ["-9000000", "-6000000", "-3000000", "0", "3000000"]
        visible = window.execute_script(
            "return [...document.querySelectorAll('[role=columnheader]')].map(e => [e.innerText.trim(),"
            " e.getBoundingClientRect().left]).filter(e => e[0]).sort((a, b) => a[1] - b[1]).map(e => e[0])"
        )
        order = [name for name in dict.fromkeys(visible) if name in {"rank", "cost", "cost_diff", "carbon"}]
        assert order == ["rank", "cost", "cost_diff", "carbon"]
