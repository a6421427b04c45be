"""`submit` against a real Ray head in token mode: a job's outcome is the command's, and no token is ever shown."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sim_core.kernel.warm import warm

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "experiments" / "smoke.yaml"
PORTS = (
    "--port",
    "--dashboard-port",
    "--ray-client-server-port",
    "--node-manager-port",
    "--object-manager-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
)
START_LIMIT_S = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A Ray head of this test's own: its dashboard, its folder, and the environment that holds its token."""

    address: str
    folder: Path
    token: str = field(repr=False)
    environment: dict[str, str]

    def submit(self, spec: Path, results: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Submit as a user would, and see that the token stays unseen."""
        command = [sys.executable, "-m", "orchestrator", "submit", str(spec)]
        command += ["--address", self.address, "--results", str(results), "--json", *more]
        # A user need not say more than where the token lies.
        environment = {name: value for name, value in self.environment.items() if name != "RAY_AUTH_MODE"}
        done = subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=150, check=False
        )
        assert self.token not in done.stdout + done.stderr
        return done


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


def token_environment(token_file: Path) -> dict[str, str]:
    """Return an environment with the token's file, the packages of this checkout, and no other cluster's address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return kept | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }


def end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop a head and whatever it started: its process group, and processes that name its folder."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=20)
    for other in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in (other / "cmdline").read_bytes() and other.name != str(os.getpid()):
                os.kill(int(other.name), signal.SIGKILL)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    warm()  # the limits below are those of a job, not of compiling
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir="/tmp"))
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token = secrets.token_hex(32)
    token_file.write_text(token, encoding="utf-8")
    environment = token_environment(token_file)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={folder / 'ray'}"]
    command += ["--object-store-memory=100000000", *(f"{name}={port}" for name, port in ports.items())]
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    address = f"http://127.0.0.1:{ports['--dashboard-port']}"
    try:
        await_answer(address, process, folder)
        yield Head(address=address, folder=folder, token=token, environment=environment)
    finally:
        end(process, folder)
        shutil.rmtree(folder, ignore_errors=True)


def await_answer(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when the dashboard answers at all; a refusal for want of the token is an answer."""
    for _ in range(START_LIMIT_S):
        try:
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{address}/api/version", timeout=5).close()
            return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
                break
    raise AssertionError(f"the head did not start: {(folder / 'head.log').read_text(encoding='utf-8')}")


def fake_interpreter(folder: Path, name: str, script: str) -> Path:
    """Write a program that stands for the job's python."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)
    return path


def test_without_the_token_nothing_is_told(head: Head) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{head.address}/api/jobs/", timeout=30)
    assert refused.value.code == 401
    refused.value.close()


def test_a_wrong_token_ends_in_3_with_the_remedy(head: Head, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text(secrets.token_hex(32), encoding="utf-8")
    stranger = Head(address=head.address, folder=tmp_path, token=head.token, environment=token_environment(wrong))
    done = stranger.submit(SMOKE, tmp_path / "out")
    assert done.returncode == 3
    assert "RAY_AUTH_TOKEN_PATH" in done.stderr and "Traceback" not in done.stderr


def test_the_smoke_experiment_runs_as_a_job_and_lands_in_mlflow(head: Head, tmp_path: Path) -> None:
    results = tmp_path / "out"
    done = head.submit(SMOKE, results, "--wait")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["status"], told["failed"], told["attached"]) == ("SUCCEEDED", 0, False)
    assert told["simulated"] > 0
    with contextlib.closing(sqlite3.connect(results / "mlflow.db")) as database:
        (runs,) = database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
    board = subprocess.run(
        [sys.executable, "-m", "orchestrator", "leaderboard", "--results", str(results), "--json"],
        env=head.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(board.stdout.splitlines()[-1])
    assert shown["digest"] == told["digest"]
    assert runs == 1 + len(shown["entries"])  # the sweep's parent and one run an Entry
    again = head.submit(SMOKE, results, "--wait")
    assert again.returncode == 0
    assert json.loads(again.stdout.splitlines()[-1]) == told | {"attached": True}


def test_a_job_that_fails_is_not_a_success_and_the_next_try_is_a_new_attempt(head: Head, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    line = '{"digest": "ab", "cells": 4, "simulated": 4, "reused": 0, "failed": 1}'
    shows = 'ls; echo "threads $OMP_NUM_THREADS"'
    python = str(fake_interpreter(tmp_path, "some-runs-failed", f"{shows}; echo '{line}'; exit 1"))
    first = head.submit(SMOKE, blocked / "out", "--wait", "--python", python)
    told = json.loads(first.stdout.splitlines()[-1])
    assert (first.returncode, told["exit_code"], told["failed"]) == (1, 1, 1)
    assert "\nspec.yaml\nthreads 1\n" in first.stderr  # one file was shipped, one thread is allowed

    second = head.submit(SMOKE, blocked / "out", "--wait")
    assert second.returncode in (2, 3), second.stderr
    told_again = json.loads(second.stdout.splitlines()[-1])
    assert told_again["status"] == "FAILED"
    assert [told["job"][-2:], told_again["job"][-2:]] == ["-1", "-2"]


def test_a_bad_spec_is_refused_before_it_is_shipped(head: Head, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nnmae: smoke\n", encoding="utf-8")
    done = head.submit(bad, tmp_path / "out", "--wait")
    assert done.returncode == 2
    assert "nmae" in done.stderr and not (tmp_path / "out").exists()
