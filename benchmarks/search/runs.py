"""What a search is, what came of it, and the file in which finished searches are kept.

A search is a Job; what came of it a Run. Runs are kept as lines of JSON under the job and a digest of the code that it
ran, so that a second `make bench-search` runs only what is new or what changed.
"""

import ast
import dataclasses
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import optimizers
from benchmarks.report import ROOT
from benchmarks.search import peers
from orchestrator.plan import code_digest

SUITE = "suite"
SEQUENTIAL = ("simulated_annealing",)  # learns from each value before it asks for the next
_BESIDE = ("problem", "schedules", "family", "landscapes", "pseudo_boolean", "methods", "exact", "noise", "fronts")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Job:
    """A search: method, problem, budget in evaluations, seed (of the method and of the mask).

    setting: "exact", where the value is told; a name of noise.ESTIMATORS, where it is estimated; "front", where the
    method is told several objectives; or "suite", on the EV-battery network.
    """

    method: str
    problem: str
    budget: int
    seed: int
    setting: str = "exact"

    @property
    def width(self) -> int:
        """Return the batch, by one rule for all problems: 16 to 1e3 evaluations, 64 to 1e4, 256 beyond."""
        if self.method in SEQUENTIAL:
            return 1
        return 16 if self.budget <= 1_000 else 64 if self.budget <= 10_000 else 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a job gave.

    score: of an exact setting the best regret told; of an estimated one the true regret of what is recommended; of a
    front its share of the exact hypervolume. None after a fault. trace: (evaluations, best regret told so far), one
    entry for each improvement, exact settings only. recommended: regret of the recommended candidate, of ours.
    cpu_us: CPU microseconds of ask and tell per candidate; ask_ms: CPU milliseconds of the median ask. fault: why the
    search ended early, "" if it didn't.
    """

    job: Job
    score: float | None
    trace: tuple[tuple[int, float], ...] = ()
    recommended: float | None = None
    cpu_us: float = 0.0
    ask_ms: float = 0.0
    fault: str = ""


def code(job: Job) -> str:
    """Return a digest (16 hex digits) of what a run depends on: its method's source, the problems', NumPy's version.

    A method's source is its module and what that imports of optimizers/, so that a change of one method leaves the
    others' runs valid. A run on the suite depends on the model too.
    """
    return _code(job.method, suite=job.setting == SUITE)


@cache
def _code(method: str, *, suite: bool) -> str:
    digest = hashlib.sha256(np.__version__.encode())
    here = Path(__file__).parent
    if suite:
        digest.update(code_digest().encode())
        digest.update((here / "ev_battery.py").read_bytes())
    files = [here / f"{name}.py" for name in _BESIDE] + [here / "schedule_problems.json"]
    if method in peers.PEERS:
        digest.update(importlib.metadata.version(peers.PEERS[method].package).encode())
        files.append(here / "peers.py")
    else:
        found = inspect.getsourcefile(optimizers.get(method))
        files += sorted(_imported(Path(str(found)), set()))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _imported(file: Path, found: set[Path]) -> set[Path]:
    """Add a file of optimizers/ and all that it imports from there."""
    if file in found or not file.is_file():
        return found
    found.add(file)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optimizers."):
            _imported(ROOT / f"{str(node.module).replace('.', '/')}.py", found)
    return found


class Kept:
    """Finished runs by job, in a file of JSON lines that only grows; of two lines for a job and code the last counts.

    A line that was cut off (a killed benchmark) is skipped, and what it said is run again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: dict[tuple[Job, str], Run] = {}
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if text and not text.endswith("\n"):  # the next line must not go on where this one was cut off
            with file.open("a", encoding="utf-8") as end:
                end.write("\n")
        for line in text.splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            run = _run(told)
            self._found[run.job, told["code"]] = run

    def get(self, job: Job) -> Run | None:
        """Return a job's run of today's code, None if there is none."""
        return self._found.get((job, code(job)))

    def add(self, run: Run) -> None:
        """Keep a run."""
        self._found[run.job, code(run.job)] = run
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"code": code(run.job), **dataclasses.asdict(run)})
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return those of some jobs that are not finished, each once, in order."""
        return [job for job in dict.fromkeys(jobs) if self.get(job) is None]


def _run(told: Mapping[str, Any]) -> Run:
    more = {key: told[key] for key in ("score", "recommended", "cpu_us", "ask_ms", "fault")}
    return Run(job=Job(**told["job"]), trace=tuple((int(at), float(value)) for at, value in told["trace"]), **more)
