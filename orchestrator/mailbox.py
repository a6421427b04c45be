"""The mailbox of a run under way: where `circularbench inject` leaves law for it, and finds what became of it.

A request and its answer are files in RUN/live, each whole and checked, or not there. The driver holds a lock on the
mailbox while it runs; the lock goes with its process, however that ends.
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sim_core.errors import InfrastructureError, InputError
from sim_core.seeding import canonical_json

LIVE = "live"
_LOCK = "driver.lock"
_REQUEST, _ANSWER = ".request.json", ".answer.json"
_POLL_S = 0.1
_LOCK_TRIES = 5
_ENDED = "the run ended before it took the law up; nothing was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Law to be injected: an instrument in its JSON form, from the first day of a month "YYYY-MM" on."""

    name: str  # of its file
    instrument: Mapping[str, Any]
    month: str


class Mailbox:
    """The driver's side. Made by `opened`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pending(self) -> list[Request]:
        """Return the requests that have no answer, in the order of their names. One that is damaged is refused here."""
        found: list[Request] = []
        for path in sorted(self._folder.glob(f"*{_REQUEST}")):
            name = path.name.removesuffix(_REQUEST)
            if (self._folder / f"{name}{_ANSWER}").exists():
                continue
            body = _read(path)
            if body is None:
                self._write(name, {"refused": "the request was damaged on its way; send it again"})
            else:
                found.append(Request(name=name, instrument=body["instrument"], month=body["month"]))
        return found

    def accept(self, request: Request, period: int, periods: int) -> None:
        """Answer that the law is in force from the start of a period."""
        self._write(request.name, {"month": request.month, "period": period, "periods": periods})

    def refuse(self, request: Request, reason: str) -> None:
        """Answer why the law can't be injected."""
        self._write(request.name, {"refused": reason})

    def _write(self, name: str, body: Mapping[str, Any]) -> None:
        _write(self._folder / f"{name}{_ANSWER}", body)


@contextmanager
def opened(results: Path) -> Iterator[Mailbox]:
    """Take requests for the run in a results folder; what waits at the end is refused.

    Raises InfrastructureError when another process takes them.
    """
    folder = results / LIVE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise InfrastructureError(f"can't open the mailbox {folder}: {error.strerror}; mend its permissions") from error
    with lock:
        if not _taken(lock):
            raise InfrastructureError(f"another process runs in {results}: wait until it ends")
        for suffix in (_REQUEST, _ANSWER, ".tmp"):  # of a run before this one
            for path in folder.glob(f"*{suffix}"):
                path.unlink(missing_ok=True)
        mailbox = Mailbox(folder)
        try:
            yield mailbox
        finally:
            for request in mailbox.pending():
                mailbox.refuse(request, _ENDED)


def ask(results: Path, instrument: Mapping[str, Any], month: str, limit_s: float) -> dict[str, Any]:
    """Leave a request for the run in a results folder and wait for its answer: {month, period, periods}.

    Raises InputError when no run is under way there or it refuses, InfrastructureError when it doesn't answer in time.
    """
    folder = results / LIVE
    if not _is_held(folder):
        raise InputError(
            f"no run is under way in {results}: name the results folder of a `circularbench simulate --mesh` that runs"
        )
    name = secrets.token_hex(8)
    _write(folder / f"{name}{_REQUEST}", {"instrument": dict(instrument), "month": month})
    answered = folder / f"{name}{_ANSWER}"
    deadline = time.monotonic() + limit_s
    while True:
        held = _is_held(folder)  # looked at before the answer: a run that ends answers first
        if answered.exists():
            break
        if not held or time.monotonic() > deadline:
            (folder / f"{name}{_REQUEST}").unlink(missing_ok=True)
            if not held:
                raise InputError(_ENDED)
            raise InfrastructureError(
                f"the run in {results} didn't answer within {limit_s:.0f} s; the request was taken back unless it is "
                "taken up at this moment: look at the run's notes, then repeat the command with a longer --wait"
            )
        time.sleep(_POLL_S)  # another process answers by a file, which gives no signal
    body = _read(answered)
    if body is None:
        raise InfrastructureError(f"the answer {answered} is damaged; look at the run's notes")
    if "refused" in body:
        raise InputError(body["refused"])
    return body


def _taken(lock: IO[str]) -> bool:
    """Take the lock; whoever only looks whether it is held has it for a moment, which is waited for."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_POLL_S)  # who only looks lets go at once
        else:
            return True
    return False


def _is_held(folder: Path) -> bool:
    """True while a driver holds the mailbox."""
    try:
        with (folder / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _write(path: Path, body: Mapping[str, Any]) -> None:
    """Write a file that is there whole, with its checksum, or not at all."""
    text = canonical_json(body)
    form = {"body": body, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(form))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InfrastructureError(f"can't write {path}: {error.strerror}; make room or mend the permissions") from error


def _read(path: Path) -> dict[str, Any] | None:
    """Return the body of a file; None for a damaged one."""
    try:
        form = json.loads(path.read_text(encoding="utf-8"))
        whole = hashlib.sha256(canonical_json(form["body"]).encode()).hexdigest() == form["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return form["body"] if whole else None
