"""An experiment as a Ray job: submit it once, attach to it, wait for its outcome.

A job ships one file, the resolved spec; the packages are those installed on the cluster. Its id is made of what
it computes (spec, results folder, version) and the number of the attempt, because Ray refuses an id that it has
seen before, even when that job failed.
"""

import asyncio
import ipaddress
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from sim_core.errors import InfrastructureError, InputError
from sim_core.seeding import content_id

SPEC_FILE = "spec.yaml"
_ALIVE_OR_DONE = ("PENDING", "RUNNING", "SUCCEEDED")
_TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")
_POLL_SECONDS = 0.5
# Ray lets these two win over the address that the caller gave.
_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


class JobClient(Protocol):
    """The part of ray.job_submission.JobSubmissionClient that is used here."""

    def list_jobs(self) -> list[Any]:
        """Return what the cluster knows of all jobs, drivers without a submission id among them."""
        ...

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any]) -> str:
        """Start a job; an id that was used before is refused."""
        ...

    def get_job_info(self, job_id: str) -> Any:
        """Return a job's status, message and exit code."""
        ...

    def get_job_logs(self, job_id: str) -> str:
        """Return what a job has written so far."""
        ...

    def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Yield pieces of a job's log until it ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job that runs, or has run, an experiment. attached: it was there before this submission."""

    job: str
    attached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended. exit_code as the command line's own; result: the object that `run --json` printed, if any."""

    status: str
    exit_code: int
    message: str
    result: dict[str, Any] | None


def results_path(text: str) -> str:
    """Return the normalised results folder of a job.

    Raises:
        InputError: it is an object-store URL, or not absolute.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text):
        raise InputError(
            f"--results {text}: a URL can't hold results, because the journal is an SQLite file that needs locks and "
            "fsync, which object stores do not have; give an absolute path on a file system that the cluster's head "
            "and you share, and copy the finished folder afterwards"
        )
    if not text.startswith("/"):
        raise InputError(
            f"--results {text}: a job runs in a folder that Ray deletes afterwards; give an absolute path, "
            f"for instance {Path(text).absolute()}"
        )
    return os.path.normpath(text)


def job_python(address: str, override: str | None) -> str:
    """Return the interpreter of the job: the override, else this one on this machine, else the cluster's `python`."""
    return override or (sys.executable if _is_loopback(address) else "python")


def job_base(spec_yaml: str, results: str, version: str) -> str:
    """Return the part of the job id that all attempts at the same work share."""
    return f"circularbench-{content_id(spec_yaml, results, version)[:16]}-"


def entrypoint(python: str, results: str) -> str:
    """Return the job's shell command. Its address is `auto`: Ray tells the job where its cluster is."""
    command = [python, "-m", "orchestrator", "run", SPEC_FILE, "--results", results, "--address", "auto", "--json"]
    # Not in runtime_env: a variable set there and again by the driver makes Ray refuse the job.
    return "OMP_NUM_THREADS=1 " + shlex.join(command)


def connect(address: str) -> JobClient:
    """Return a client of the cluster whose dashboard listens at `address`.

    The token is Ray's own: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token. Where one of them exists and
    RAY_AUTH_MODE is not set, token mode is switched on for this process.

    Raises:
        InputError: the address is no http(s) address.
        InfrastructureError: nobody answers there, or the token is missing or wrong.
    """
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise InputError(
            f"--address {address}: give the address of the cluster's dashboard, for instance http://127.0.0.1:8265"
        )
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # before Ray is imported: it reads its settings once
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        with _without(_ADDRESS_VARIABLES):
            return JobSubmissionClient(address)
    except AuthenticationError:
        raise InfrastructureError(
            f"{address} refuses this token; put the cluster's token into ~/.ray/auth_token (chmod 600) or name its "
            "file in RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token"
        ) from None
    except (ConnectionError, RuntimeError, OSError) as error:
        raise InfrastructureError(f"no Ray cluster answers at {address}: {error}") from error


def has_token() -> bool:
    """Tell whether this process has a Ray token to show."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").exists()


def submit(
    client: JobClient, spec_yaml: str, *, results: str, python: str, version: str, again: bool = False
) -> Submission:
    """Start the experiment as a job, or attach to the attempt that is running or has succeeded.

    An attempt that failed or was stopped is followed by the next number; with `again` a succeeded one is too.

    Raises:
        InfrastructureError: the cluster refuses the job.
    """
    base = job_base(spec_yaml, results, version)
    with _infrastructure("the cluster's job list can't be read"):
        number, status = _latest(client.list_jobs(), base)
    if status in _ALIVE_OR_DONE and not (again and status == "SUCCEEDED"):
        return Submission(job=f"{base}{number}", attached=True)
    job = f"{base}{number + 1}"
    with tempfile.TemporaryDirectory(prefix="circularbench-") as folder:
        (Path(folder) / SPEC_FILE).write_text(spec_yaml, encoding="utf-8")
        try:
            client.submit_job(
                entrypoint=entrypoint(python, results), submission_id=job, runtime_env={"working_dir": folder}
            )
        except (RuntimeError, OSError) as error:
            # Two submitters at once ask for the same number: one of them gets it, the other attaches.
            with _infrastructure("the cluster's job list can't be read"):
                if _latest(client.list_jobs(), base)[0] > number:
                    return Submission(job=job, attached=True)
            raise InfrastructureError(f"the cluster refuses job {job}: {error}") from error
    return Submission(job=job, attached=False)


def wait(client: JobClient, job: str, *, echo: Callable[[str], None], timeout: float | None = None) -> Outcome:
    """Pass the job's log to `echo` as it grows and return how the job ended. The job's status decides, not its log.

    Raises:
        InfrastructureError: the cluster can't be asked any more, or `timeout` seconds are over; the job goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        asyncio.run(_tail(client, job, echo, timeout))
    except TimeoutError:
        raise _too_late(job, timeout) from None
    with _infrastructure(f"the cluster can't be asked about job {job}; submit the same again to attach to it"):
        info = client.get_job_info(job)
        while info.status.value not in _TERMINAL:
            if deadline is not None and time.monotonic() > deadline:
                raise _too_late(job, timeout)
            time.sleep(_POLL_SECONDS)  # the log ends before the status does, and the SDK has no call that waits for it
            info = client.get_job_info(job)
        result = _result(client.get_job_logs(job))
    return outcome(info.status.value, info.driver_exit_code, info.message or "", result)


def outcome(status: str, driver_exit_code: int | None, message: str, result: dict[str, Any] | None) -> Outcome:
    """Translate Ray's word on a finished job: only SUCCEEDED is 0.

    A failed job keeps the exit code of its command where that code speaks of circularbench: 2 for a bad spec, 1 for
    failed runs (believed only with a result, because a missing package also ends in 1); all else is 3.
    """
    if status == "SUCCEEDED":
        code = 0
    elif status == "FAILED" and driver_exit_code == 2:
        code = 2
    elif status == "FAILED" and driver_exit_code == 1 and result is not None:
        code = 1
    else:
        code = 3
    return Outcome(status=status, exit_code=code, message=message.strip(), result=result)


async def _tail(client: JobClient, job: str, echo: Callable[[str], None], timeout: float | None) -> None:
    """Follow the log until the job ends; a connection that breaks ends the log, not the wait."""
    from aiohttp import ClientError

    try:
        async with asyncio.timeout(timeout):
            async for text in client.tail_job_logs(job):
                echo(text)
    except (RuntimeError, ClientError) as error:
        echo(f"(the log breaks off here: {error}; still waiting for the job)\n")


def _result(log: str) -> dict[str, Any] | None:
    """Return the last line of the log that is a run's JSON object."""
    for line in reversed(log.splitlines()):
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(value, dict) and "digest" in value:
                return value
    return None


def _latest(jobs: Sequence[Any], base: str) -> tuple[int, str]:
    """Return number and status of the last attempt, (0, "") where there is none."""
    attempts = [(0, "")]
    for job in jobs:
        name = job.submission_id or ""
        if name.startswith(base) and name.removeprefix(base).isdigit():
            attempts.append((int(name.removeprefix(base)), job.status.value))
    return max(attempts)


def _too_late(job: str, timeout: float | None) -> InfrastructureError:
    return InfrastructureError(
        f"job {job} has not ended within {timeout:g} s; it goes on: submit the same again to attach to it"
    )


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _infrastructure(message: str) -> Iterator[None]:
    """Name what could not be done when the cluster does not answer."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise InfrastructureError(f"{message}: {error}") from error


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    """Hide environment variables for a moment."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
