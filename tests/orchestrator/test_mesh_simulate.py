"""`circularbench simulate --mesh`: the digest of one process, reused rows, and refusals that name a remedy."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli, mesh_backend, shard
from orchestrator.mesh import Mesh
from orchestrator.runtime import Connection
from tests.orchestrator.mesh_bench import TREE, MeshBench


class Desk:
    """The command line in a folder with the experiment."""

    def __init__(self, folder: Path) -> None:
        self.file, self.results = folder / "meshed.yaml", folder / "results"
        self.file.write_text(json.dumps(TREE), encoding="utf-8")  # JSON is YAML

    def call(self, *arguments: str, results: Path | None = None) -> Result:
        given = ["simulate", str(self.file), "--results", str(results or self.results), *arguments]
        return CliRunner().invoke(cli.app, given)

    def object(self, *arguments: str, results: Path | None = None) -> dict[str, Any]:
        done = self.call("--json", *arguments, results=results)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command prints without a mesh."""
    return Desk(tmp_path_factory.mktemp("plain")).object()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mesh", "1x1", "--in-process"),
        ("--mesh", "3x1", "--in-process"),
        ("--mesh", "9x1", "--in-process", "--fault", "kill:shard=2,window=3", "--fault", "kill:shard=0,window=3"),
        ("--mesh", "auto"),
    ],
)
def test_every_mesh_has_the_digest_of_one_process(desk: Desk, plain: dict[str, Any], arguments: tuple[str, ...]):
    assert desk.object(*arguments) == plain


def test_over_actors_too_with_one_killed(ray_runtime: Connection, desk: Desk, plain: dict[str, Any]):
    assert desk.object("--mesh", "2x1", "--fault", "kill:shard=1,window=2") == plain


def test_what_is_done_is_not_done_again(desk: Desk, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    assert desk.object("--mesh", "2x1", "--in-process", "--runs", "3")["n"] == 3
    seen: list[int] = []
    whole = mesh_backend.MeshBackend._loads

    def watched(self: Any, cells: Any) -> Any:
        seen.append(len(cells))
        return whole(self, cells)

    monkeypatch.setattr(mesh_backend.MeshBackend, "_loads", watched)
    assert desk.object("--mesh", "5x1", "--in-process") == plain
    assert desk.object("--mesh", "4x1") == desk.object() == plain  # a mesh of actors, that are not started
    assert seen == [3]


def test_what_does_not_fit_at_once_goes_in_loads(desk: Desk, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard, "_KEPT_SCENARIOS", 2)
    assert desk.object("--mesh", "2x1", "--in-process") == plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mesh", "two"], "write SCENARIOSxNODES"),
        (["--mesh", "2x4"], "can't be cut yet; write 2x1"),
        (["--mesh", "2x1", "--in-process", "--fault", "kill:shard=2,window=0"], "shards 0 to 1"),
        (["--mesh", "2x1", "--in-process", "--fault", "panic"], "write kill:shard=I,window=J"),
        (["--fault", "kill:shard=0,window=0"], "go with --mesh"),
        (["--mesh", "2x1", "--engine", "numpy"], "leave out --mesh"),
        (["--mesh", "2x1", "--in-process", "--address", "auto"], "leave out --address"),
        (["--mesh", "auto", "--address", "auto"], "say how many shards"),
        (["--mesh", "2x1", "--agents", "5"], "leave out --mesh"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(desk: Desk, arguments: list[str], message: str):
    done = desk.call(*arguments)
    assert done.exit_code == 2 and message in done.output, done.output


def test_a_controller_that_looks_at_the_state_is_refused(desk: Desk):
    tree = {**TREE, "entries": [{"name": "greedy", "controller": "compliance_greedy", "parameters": {}}]}
    desk.file.write_text(json.dumps({**tree, "reference": "greedy"}), encoding="utf-8")
    done = desk.call("--mesh", "2x1")
    assert done.exit_code == 2 and "controller 'compliance_greedy' runs on the NumPy engine" in done.output


def test_a_window_that_always_kills_ends_with_a_remedy(desk: Desk, plain: dict[str, Any]):
    faults = ["--fault", "kill:shard=0,window=1"] * 4
    done = desk.call("--mesh", "2x1", "--in-process", *faults)
    assert done.exit_code == 3 and "repeat the command to resume" in done.output
    assert desk.object("--mesh", "2x1", "--in-process") == plain


def test_plan_names_the_mesh_that_auto_takes(desk: Desk):
    done = CliRunner().invoke(cli.app, ["plan", str(desk.file), "--results", str(desk.results)])
    assert done.exit_code == 0 and "mesh: simulate --mesh auto takes 1x1 in this process" in done.stdout


def test_a_mesh_searches_nothing(mesh_bench: MeshBench):
    from contextlib import ExitStack

    from orchestrator.progress import PlainProgress
    from sim_core.errors import InputError

    settings = mesh_backend.MeshSettings(mesh=Mesh(), in_process=True)
    with ExitStack() as stack:
        backend = mesh_backend.MeshBackend(
            mesh_bench.plan, settings, results=Path(), stack=stack, progress=PlainProgress()
        )
        with pytest.raises(InputError, match="circularbench run"):
            backend.searches([], {}, print)
