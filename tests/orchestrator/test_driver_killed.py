"""Kill -9 of a driver whose searches run under Ray Tune: the repeated command recommends the same, byte for byte."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.backend import RunSettings
from orchestrator.journal import Journal
from orchestrator.outcome import JOURNAL, read_outcome
from orchestrator.simulate import controller_of
from sim_core.seeding import canonical_json
from tests.orchestrator.test_resume import PLAIN, journalled, wait_for

pytestmark = pytest.mark.cluster


def raced(bench: Any) -> dict[str, Any]:
    """Two seeds of each search, 16 generations each, and races of what they find."""
    tree = bench.tree()
    tree["suite"]["splits"]["train"]["scenarios"] = 14
    for entry in tree["entries"][1:]:
        race = {"candidates": 4, "scenarios": 12, "first": 4}
        entry["search"] |= {"evaluations": 32, "width": 2, "repeats": 2, "race": race}
    return tree


def recommended(bench: Any, results: Path, tree: dict[str, Any]) -> bytes:
    """Return the chosen controllers and all finalists of a finished sweep."""
    plan = bench.plan(tree)
    with Journal(results / JOURNAL, read_only=True) as journal:
        finals = read_outcome(plan, journal).finals
        found = {
            name: [controller_of(plan, name, journal).to_json(), *(one.to_json() for one in finals[name].finalists)]
            for name in plan.searches
        }
    return canonical_json(found).encode()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder whose name is short enough for Ray's sockets; a killed driver can't clear its own."""
    folder = Path(tempfile.mkdtemp(prefix="k-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_driver_killed_in_mid_search_under_tune(
    bench: Any, tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, results = raced(bench), tmp_path / "results"
    spec = bench.file(tmp_path, tree)
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(short_folder))
        child = bench.child(PLAIN, "run", spec, "--workers", "2", "--results", results, warnings="default")
    try:
        wait_for(bench, results, tree, child, generations=4)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    done = journalled(bench, results, tree)
    assert 4 <= done.generations < 64 and not done.cells
    undisturbed = bench.run(tmp_path / "undisturbed", tree)
    resumed = bench.run(results, tree, RunSettings(workers=2))
    assert resumed.digest == undisturbed.digest
    assert resumed.reused >= done.evaluations
    assert recommended(bench, results, tree) == recommended(bench, tmp_path / "undisturbed", tree)
