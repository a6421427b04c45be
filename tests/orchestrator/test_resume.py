"""Kill -9 in mid-sweep, run again: nothing journalled is simulated again, and the digest is the undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import races, waves
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL
from sim_core.control import ControllerRecord
from sim_core.errors import InputError

# For each (place, when, number, arguments): a forked process runs the command line and kills itself at the nth call
# of a function, before the call or after it, or (sqlite3) between the insert of n records and its COMMIT. Prints how
# each ended.
KILLED = """
import functools, importlib, json, os, signal, sqlite3, sys
from orchestrator import cli, sweep, shard, search_trial, publish, report

def kill_at(place, when, number):
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), [0]
    def counted(*positional, **named):
        calls[0] += 1
        if when == "before" and calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*positional, **named)
        if when == "after" and calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, counted)

class Cut(sqlite3.Connection):
    rows = 0
    def executemany(self, query, rows):
        self.rows = len(rows)
        return super().executemany(query, rows)
    def execute(self, query, *values):
        if query == "COMMIT" and self.rows == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(query, *values)

for place, when, number, arguments in json.loads(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        if place == "sqlite3":
            limit = number
            sqlite3.connect = functools.partial(sqlite3.connect, factory=Cut)
        else:
            kill_at(place, when, number)
        cli.app(arguments, prog_name="circularbench")
        os._exit(99)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

# Runs the command line and does nothing else, so that the test can kill it wherever it is.
PLAIN = "import sys; from orchestrator import cli; cli.app(sys.argv[1:], prog_name='circularbench')"


@dataclass(frozen=True)
class Done:
    """What the journal of a killed sweep holds: candidates by search, cells by (scenario, controller digest)."""

    evaluations: int
    generations: int
    candidates: frozenset[tuple[str, str]]
    cells: frozenset[tuple[str, str]]

    @property
    def count(self) -> int:
        return self.evaluations + len(self.cells)


def journalled(bench: Any, results: Path, tree: dict[str, Any] | None = None) -> Done:
    """Read the journal as it lies, WAL and all, without touching it."""
    if not (results / JOURNAL).exists():
        return Done(0, 0, frozenset(), frozenset())
    plan = bench.plan(tree)
    candidates: set[tuple[str, str]] = set()
    cells: set[tuple[str, str]] = set()
    records = dict(plan.fixed)
    evaluations = generations = 0
    with Journal(results / JOURNAL, read_only=True) as journal:
        for name, jobs in plan.searches.items():
            searches = races.searched(plan, name, journal)
            for job, found in zip(jobs, searches, strict=True):
                generations += len(found)
                evaluations += sum(len(generation.values) for generation in found) * len(job.scenarios)
                candidates |= {(job.search, value.candidate) for generation in found for value in generation.values}
            if races.ended(searches):
                finals = races.journalled(plan, name, searches, journal)
                cells |= {(cell.scenario, cell.controller.digest) for cell in finals.run.values()}
                chosen = journal.cells(cell.key for cell in plan.choice_cells(finals.finalists))
                cells |= {(row.scenario, row.controller) for row in chosen.values()}
                choice = journal.choice(plan.choice_key(name, finals.finalists))
                if choice is not None:
                    records[name] = ControllerRecord.from_json(choice["controller"])
        for record in records.values():
            scored = journal.cells(cell.key for cell in plan.score_cells(record))
            cells |= {(row.scenario, row.controller) for row in scored.values()}
    return Done(evaluations, generations, frozenset(candidates), frozenset(cells))


class Watch:
    """Writes down what shards are asked for: cells by (scenario, controller digest), candidates by key."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from orchestrator.search_trial import SearchTrial
        from orchestrator.shard import Shard

        self.cells: list[tuple[str, str]] = []
        self.candidates: list[tuple[str, str]] = []
        run, evaluate = Shard.run, SearchTrial._evaluate
        searching: list[str] = []

        def watched_run(shard: Shard, block: Any) -> Any:
            if not searching:
                self.cells += [(cell.scenario, cell.controller.digest) for cell in block.cells]
            return run(shard, block)

        def watched_evaluate(trial: SearchTrial, candidates: Any) -> Any:
            self.candidates += [(trial._job.search, candidate.key) for candidate in candidates]
            searching.append("yes")
            try:
                return evaluate(trial, candidates)
            finally:
                searching.pop()

        patch.setattr(Shard, "run", watched_run)
        patch.setattr(SearchTrial, "_evaluate", watched_evaluate)


def check_resumes(bench: Any, undisturbed: Any, results: Path, done: Done, tree: Any = None) -> None:
    """Run the sweep again: it does what is missing, nothing else, and ends where an undisturbed one ends."""
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        resumed = bench.run(results, tree)
    again = (done.candidates & set(watch.candidates)) | (done.cells & set(watch.cells))
    assert not again, f"{len(again)} journalled records were simulated again"
    assert resumed.reused >= done.count
    assert resumed.simulated == resumed.cells - done.count
    assert resumed.digest == undisturbed.digest
    assert resumed.leaderboard.to_json() == undisturbed.leaderboard.to_json()


POINTS = {
    # what the journal then holds: generations of the two searches (3 each), cells of choose (8) and score (12)
    "nothing journalled": ("orchestrator.journal:Journal.put_generation", "before", 1, (0, 0)),
    "one generation journalled": ("orchestrator.journal:Journal.put_generation", "after", 1, (1, 0)),
    "in the second search": ("orchestrator.journal:Journal.put_generation", "after", 5, (5, 0)),
    "choose written, not journalled": ("orchestrator.journal:Journal.put_cells", "before", 1, (6, 0)),
    "choose journalled, nothing chosen": ("orchestrator.journal:Journal.put_cells", "after", 1, (6, 8)),
    "one of two chosen": ("orchestrator.journal:Journal.put_choice", "after", 1, (6, 8)),
    "in the transaction that scores": ("sqlite3", "before COMMIT", 12, (6, 8)),
    "score journalled, nothing published": ("orchestrator.journal:Journal.put_cells", "after", 2, (6, 20)),
    "report written, not noted": ("orchestrator.report:write_report", "after", 1, (6, 20)),
}


@pytest.fixture(scope="module")
def killed(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each point the results of a run that was killed there."""
    results: dict[str, Path] = {}
    jobs: list[Any] = []
    for point, (place, when, number, _) in POINTS.items():
        folder = tmp_path_factory.mktemp("killed")
        results[point] = folder / "results"
        arguments = ["run", str(bench.file(folder)), "--in-process", "--results", str(results[point])]
        jobs.append((place, when, number, arguments))
    out, err = bench.child(KILLED, json.dumps(jobs)).communicate()
    assert [int(line) for line in out.split()] == [-signal.SIGKILL] * len(POINTS), err
    return results


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_sweep_resumes_where_the_journal_ends(
    bench: Any, finished: Any, killed: dict[str, Path], tmp_path: Path, point: str
) -> None:
    results = copy_of(killed[point], tmp_path)
    done = journalled(bench, results)
    assert (done.generations, len(done.cells)) == POINTS[point][-1]
    check_resumes(bench, finished.result, results, done)
    assert (results / "report.html").exists()


def copy_of(results: Path, folder: Path) -> Path:
    return Path(shutil.copytree(results, folder / "copy"))


def test_a_sweep_that_forgets_known_evaluations_fails_that_check(
    bench: Any, finished: Any, killed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = copy_of(killed["in the second search"], tmp_path)
    done = journalled(bench, results)
    monkeypatch.setattr(waves, "known_values", lambda _: {})
    with pytest.raises(AssertionError, match="records were simulated again"):
        check_resumes(bench, finished.result, results, done)


def test_a_sweep_that_forgets_finished_searches_fails_that_check(
    bench: Any, finished: Any, killed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = copy_of(killed["in the second search"], tmp_path)
    done = journalled(bench, results)
    search = waves.Waves.search

    def forgetful(self: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "generations", lambda *_: [])
            search(self)

    monkeypatch.setattr(waves.Waves, "search", forgetful)
    with pytest.raises(AssertionError, match="records were simulated again"):
        check_resumes(bench, finished.result, results, done)


def test_a_sweep_that_forgets_finished_cells_fails_that_check(
    bench: Any, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = copy_of(finished.results, tmp_path)
    done = journalled(bench, results)
    assert done.count == bench.cells
    cells, asked = Journal.cells, set()

    def forgetful(self: Journal, keys: Any) -> Any:
        wanted = frozenset(keys)
        if wanted in asked:
            return cells(self, wanted)
        asked.add(wanted)
        return {}

    monkeypatch.setattr(Journal, "cells", forgetful)
    with pytest.raises(AssertionError, match="records were simulated again"):
        check_resumes(bench, finished.result, results, done)


def longer(bench: Any) -> dict[str, Any]:
    """The tiny experiment with searches long enough to be caught at work."""
    tree = bench.tree()
    for entry in tree["entries"][1:]:
        entry["search"] |= {"evaluations": 32, "width": 2}
    return tree


def wait_for(bench: Any, results: Path, tree: dict[str, Any], child: "subprocess.Popen[str]", generations: int) -> None:
    """Wait until the running child has journalled so many generations, reading its journal meanwhile."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit and child.poll() is None:
        if journalled_count(bench, results, tree) >= generations:
            return
        time.sleep(0.05)  # the child needs the processor more than this loop does
    raise AssertionError(f"the child ended too early: {child.communicate()[1]}")


def journalled_count(bench: Any, results: Path, tree: dict[str, Any]) -> int:
    try:
        return journalled(bench, results, tree).generations
    except InputError:  # the child may be in the middle of making the file
        return 0


def test_a_running_sweep_may_be_watched_but_not_joined_and_survives_kill_9_at_any_time(
    bench: Any, tmp_path: Path
) -> None:
    tree, results = longer(bench), tmp_path / "results"
    spec = bench.file(tmp_path, tree)
    child = bench.child(PLAIN, "run", spec, "--in-process", "--results", results)
    try:
        wait_for(bench, results, tree, child, generations=4)
        os.kill(child.pid, signal.SIGSTOP)
        # A reader sees how far it is, a second driver is told who holds the journal.
        watched = bench.call("plan", spec, "--results", results, "--json")
        assert watched.exit_code == 0
        assert json.loads(watched.stdout)["waves"][0]["done"] > 0
        second = bench.call("run", spec, "--in-process", "--results", results)
        assert second.exit_code == 3
        assert f"held by process {child.pid}" in second.stderr and "Traceback" not in second.output
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    done = journalled(bench, results, tree)
    assert 4 <= done.generations < 32 and not done.cells
    undisturbed = bench.run(tmp_path / "undisturbed", tree)
    check_resumes(bench, undisturbed, results, done, tree)
