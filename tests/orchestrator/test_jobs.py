"""Jobs: ids and attempts, what is refused, and that a failed job is never taken for a success."""

import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import jobs
from sim_core.errors import InfrastructureError, InputError

RESULT_LINE = '{"cells": 4, "digest": "ab", "failed": 0, "reused": 0, "simulated": 4}'
SPEC = "name: smoke\n"


class FakeCluster:
    """A job client that runs nothing. Jobs end at once with `ends_as`, after `polls` further questions."""

    def __init__(
        self, ends_as: str = "SUCCEEDED", code: int | None = 0, log: str = RESULT_LINE, polls: int = 0
    ) -> None:
        self.ends_as, self.code, self.log, self.polls = ends_as, code, log, polls
        self.jobs: dict[str, str] = {}
        self.shipped: list[dict[str, str]] = []
        self.entrypoints: list[str] = []
        self.breaks = False

    def list_jobs(self) -> list[Any]:
        drivers = [SimpleNamespace(submission_id=None, status=SimpleNamespace(value="RUNNING"))]
        return drivers + [
            SimpleNamespace(submission_id=name, status=SimpleNamespace(value=status))
            for name, status in self.jobs.items()
        ]

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any]) -> str:
        if submission_id in self.jobs:
            raise RuntimeError("Request failed with status code 500: already exists")
        assert set(runtime_env) == {"working_dir"}
        folder = Path(runtime_env["working_dir"])
        self.shipped.append({path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*")})
        self.entrypoints.append(entrypoint)
        self.jobs[submission_id] = self.ends_as
        return submission_id

    def get_job_info(self, job_id: str) -> Any:
        self.polls -= 1
        status = "RUNNING" if self.polls >= 0 else self.ends_as
        return SimpleNamespace(status=SimpleNamespace(value=status), driver_exit_code=self.code, message="it ended")

    def get_job_logs(self, job_id: str) -> str:
        return self.log

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        yield "first\n"
        if self.breaks:
            raise RuntimeError("WebSocket connection closed unexpectedly")
        yield self.log + "\n"


def submit(
    cluster: FakeCluster, *, results: str = "/shared/out", again: bool = False, version: str = "1"
) -> jobs.Submission:
    return jobs.submit(cluster, SPEC, results=results, python="python", version=version, again=again)


def ignore(text: str) -> None:
    """Take a piece of log and do nothing."""


@pytest.mark.parametrize("url", ["s3://bucket/out", "gs://bucket/out", "abfss://a@b/c", "file:///tmp/out", "hdfs:/out"])
def test_urls_can_not_hold_results_and_the_message_says_why(url: str) -> None:
    with pytest.raises(InputError, match="journal is an SQLite file"):
        jobs.results_path(url)


def test_relative_results_are_refused_and_absolute_ones_normalised() -> None:
    with pytest.raises(InputError, match="give an absolute path"):
        jobs.results_path("results/smoke")
    assert jobs.results_path("/shared//a/../out/") == "/shared/out"


@pytest.mark.parametrize(
    ("address", "override", "expected"),
    [
        ("http://127.0.0.1:8265", None, sys.executable),
        ("http://localhost:8265", None, sys.executable),
        ("http://[::1]:8265", None, sys.executable),
        ("http://10.0.0.7:8265", None, "python"),
        ("https://ray.example.org", None, "python"),
        ("http://10.0.0.7:8265", "/opt/cb/bin/python", "/opt/cb/bin/python"),
    ],
)
def test_the_jobs_interpreter(address: str, override: str | None, expected: str) -> None:
    assert jobs.job_python(address, override) == expected


def test_only_the_resolved_spec_is_shipped_and_paths_are_quoted() -> None:
    cluster = FakeCluster()
    submit(cluster, results="/shared/my results;rm")
    assert cluster.shipped == [{"spec.yaml": SPEC}]
    assert "--results '/shared/my results;rm' " in cluster.entrypoints[0]
    assert "--address auto" in cluster.entrypoints[0]


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "SUCCEEDED"])
def test_the_same_submission_attaches_to_a_running_or_succeeded_attempt(status: str) -> None:
    cluster = FakeCluster(ends_as=status)
    first, second = submit(cluster), submit(cluster)
    assert not first.attached and second.attached
    assert first.job == second.job and len(cluster.jobs) == 1


@pytest.mark.parametrize("status", ["FAILED", "STOPPED"])
def test_a_failed_or_stopped_attempt_is_followed_by_the_next_number(status: str) -> None:
    cluster = FakeCluster(ends_as=status)
    names = [submit(cluster).job for _ in range(11)]
    assert [name.rpartition("-")[2] for name in names] == [str(number) for number in range(1, 12)]


def test_again_starts_a_new_attempt_after_a_success_but_not_beside_a_running_one() -> None:
    done, running = FakeCluster(), FakeCluster(ends_as="RUNNING")
    submit(done)
    submit(running)
    assert not submit(done, again=True).attached
    assert submit(running, again=True).attached


def test_other_results_or_another_version_are_another_job() -> None:
    cluster = FakeCluster()
    made = {submit(cluster).job, submit(cluster, results="/shared/b").job, submit(cluster, version="2").job}
    assert len(made) == 3


def test_of_two_submitters_at_once_the_second_attaches(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(ends_as="RUNNING")
    first = submit(cluster)
    lists = iter([[], cluster.list_jobs()])
    monkeypatch.setattr(cluster, "list_jobs", lambda: next(lists))
    assert submit(cluster) == jobs.Submission(job=first.job, attached=True)


def test_a_refused_job_is_an_infrastructure_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**named: Any) -> str:
        raise RuntimeError("Request failed with status code 500: no space left")

    cluster = FakeCluster()
    monkeypatch.setattr(cluster, "submit_job", refuse)
    with pytest.raises(InfrastructureError, match="no space left"):
        submit(cluster)


def test_wait_returns_the_runs_result_and_passes_the_log_on() -> None:
    log: list[str] = []
    ended = jobs.wait(FakeCluster(log=f"noise\n{{broken\n{RESULT_LINE}\ntrailer"), "job", echo=log.append)
    assert (ended.exit_code, ended.status) == (0, "SUCCEEDED")
    assert ended.result is not None and ended.result["digest"] == "ab"
    assert log[0] == "first\n"


def test_a_log_that_breaks_off_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_POLL_SECONDS", 0.0)
    log: list[str] = []
    cluster = FakeCluster(ends_as="FAILED", code=2, polls=2)
    cluster.breaks = True
    assert jobs.wait(cluster, "job", echo=log.append).exit_code == 2
    assert "breaks off" in log[-1]


def check_that_no_ended_job_is_swallowed(wait: Callable[..., jobs.Outcome]) -> None:
    """The promise of `submit --wait`: 0 for a job that succeeded, and for no other."""
    assert wait(FakeCluster(), "job", echo=ignore).exit_code == 0
    cases = [
        ("FAILED", 1, RESULT_LINE, 1),
        ("FAILED", 1, "No module named orchestrator", 3),
        ("FAILED", 2, "error: spec.yaml:1:1", 2),
        ("FAILED", 3, "", 3),
        ("FAILED", 0, RESULT_LINE, 3),
        ("FAILED", None, RESULT_LINE, 3),
        ("FAILED", -9, "", 3),
        ("STOPPED", None, RESULT_LINE, 3),
    ]
    for status, code, log, expected in cases:
        ended = wait(FakeCluster(ends_as=status, code=code, log=log), "job", echo=ignore)
        assert ended.exit_code == expected, (status, code, ended)


def test_submit_wait_never_swallows_a_failed_job() -> None:
    check_that_no_ended_job_is_swallowed(jobs.wait)


def test_mutant_that_swallows_a_failed_job_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def swallow(status: str, driver_exit_code: int | None, message: str, result: dict[str, Any] | None) -> jobs.Outcome:
        return jobs.Outcome(status=status, exit_code=0, message=message, result=result)

    monkeypatch.setattr(jobs, "outcome", swallow)
    with pytest.raises(AssertionError):
        check_that_no_ended_job_is_swallowed(jobs.wait)


def test_a_wait_that_takes_too_long_ends_and_says_that_the_job_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_POLL_SECONDS", 0.0)
    with pytest.raises(InfrastructureError, match="it goes on"):
        jobs.wait(FakeCluster(polls=10**9), "job", echo=ignore, timeout=0.05)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "127.0.0.1:8265", "auto", "http://"])
def test_an_address_that_is_no_dashboard_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="dashboard"):
        jobs.connect(address)


def test_addresses_in_the_environment_are_hidden_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:8265")
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    with pytest.raises(ZeroDivisionError), jobs._without(("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")):
        assert "RAY_ADDRESS" not in os.environ
        raise ZeroDivisionError
    assert os.environ["RAY_ADDRESS"] == "http://elsewhere:8265"


def test_a_token_is_found_where_ray_looks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not jobs.has_token()
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("t", encoding="utf-8")
    token.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert jobs.has_token()
    token.unlink()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert jobs.has_token()
