"""Which search finds the better schedules? Our methods and peers from PyPI, at equal evaluations, exact optima known.

`make bench-search`; writes build/bench/search.json. Problems of IOHprofiler and peers are installed by themselves into
build/search/site-packages, with the versions of benchmarks/search/peers.txt; on the path they come behind the
project's own packages. Bits are masked by a draw for each (problem, seed). Finished searches are kept in
build/bench/search/runs.jsonl: stopping and starting again goes on where it stopped.
"""

import argparse
import hashlib
import importlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optimizers
from benchmarks.report import FOLDER, ROOT, machine, report
from benchmarks.search import plan, suites
from benchmarks.search.execute import execute_all
from benchmarks.search.figures import figures
from benchmarks.search.peers import PEERS
from benchmarks.search.results import Results
from benchmarks.search.runs import Job, Kept
from benchmarks.search.tables import lines
from sim_core.errors import InputError

PACKAGES = ROOT / "build" / "search" / "site-packages"  # a name that linters leave alone
LOCK = ROOT / "benchmarks" / "search" / "peers.txt"
RUNS = FOLDER / "search" / "runs.jsonl"
_EACH = 30.0  # seconds between two lines of progress


def prepare(folder: Path = PACKAGES, lock: Path = LOCK) -> str:
    """Install what the lock names into a folder and put it last on the path; return why not, "" if it went well."""
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / ".stamp"
    if not stamp.is_file() or stamp.read_text() != digest:
        print(f"installing {lock.name} into {folder}", flush=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        pip += ["--upgrade", "--only-binary", ":all:", "--target", str(folder), "--requirement", str(lock)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            return next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "pip failed")
        stamp.write_text(digest)
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    return ""


def present(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Return which methods can be started, and why the others can't."""
    found: list[str] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            if name in PEERS:
                importlib.import_module(PEERS[name].package)
            else:
                optimizers.get(name)
        except ImportError as error:
            missing[name] = str(error)
        except InputError:
            missing[name] = "not among the methods of optimizers/"
        else:
            found.append(name)
    return found, missing


def chosen(told: Any, known: Sequence[str]) -> list[Job]:
    """Return the jobs that the command line asks for, each once."""
    size = plan.QUICK if told.quick else plan.FULL
    if told.seeds:
        size = replace(size, core=told.seeds, others=told.seeds, every=told.seeds, long=told.seeds, suite=told.seeds)
    jobs = dict.fromkeys(plan.jobs(size, known, slow=told.slow_peers, more=told.more_problems))
    bits = importlib.util.find_spec("ioh") is not None
    return [
        job
        for job in jobs
        if (not told.methods or job.method in told.methods)
        and (not told.problems or any(part in job.problem for part in told.problems))
        and (not told.budget or job.budget == told.budget)
        and (bits or not suites.needs_ioh(job.problem))
    ]


def work(jobs: Sequence[Job], kept: Kept, processes: int) -> None:
    """Run what isn't kept yet, and keep it."""
    missing = kept.missing(jobs)
    print(f"{len(jobs)} searches, {len(jobs) - len(missing)} of them finished before", flush=True)
    said = begun = time.monotonic()
    for number, run in enumerate(execute_all(missing, processes=processes, more_packages=[str(PACKAGES)]), 1):
        kept.add(run)
        if time.monotonic() - said > _EACH:
            said = time.monotonic()
            print(f"{number} of {len(missing)} after {said - begun:.0f} s", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Search, print, write. What can't be installed or started is said and left out."""
    parser = argparse.ArgumentParser(description="Which search finds the better schedules?")
    parser.add_argument("--quick", action="store_true", help="few seeds and instances: a look, no evidence")
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--problems", nargs="+", help="only those whose names hold one of these")
    parser.add_argument("--seeds", type=int, help="instead of 15, 7 or 2 by what they are for")
    parser.add_argument("--budget", type=int, help="only the searches of this many evaluations")
    parser.add_argument("--slow-peers", action="store_true", help="nevergrad at 1e4, optuna at 1e3: hours")
    parser.add_argument("--more-problems", action="store_true", help="the core on problems beside the fifteen too")
    parser.add_argument("--processes", type=int, default=2)
    told: Any = parser.parse_args(argv)
    print(machine())
    fault = prepare()
    if fault:
        print(f"without IOHprofiler's problems and the peers: {fault}")
    known, missing = present([*plan.OURS, plan.SEVERAL, *PEERS])
    for why in dict.fromkeys(missing.values()):
        print(f"left out, {why}: {', '.join(name for name in missing if missing[name] == why)}")
    jobs = chosen(told, known)
    kept = Kept(RUNS)
    work(jobs, kept, told.processes)
    results = Results(run for job in jobs if (run := kept.get(job)))
    further = [name for name in suites.FURTHER if any(job.problem == name for job in jobs)]
    print()
    for line in lines(results, further):
        print(line)
    report("search", figures(results, further))
    return 0


if __name__ == "__main__":
    sys.exit(main())
