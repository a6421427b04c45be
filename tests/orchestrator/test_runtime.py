import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import runtime
from orchestrator.runtime import Connection, check_installation, connect, environment
from sim_core.errors import InfrastructureError

ROOT = Path(runtime.__file__).parents[1]

# A driver of its own: it crashes a worker, is interrupted inside the connection, and tells what is left afterwards.
INTERRUPTED = """
import json, os, signal, sys
from pathlib import Path
from orchestrator.runtime import connect

def look():
    import orchestrator
    return [os.nice(0), os.environ["OMP_NUM_THREADS"], os.environ["RAY_AUTH_MODE"], orchestrator.__file__]

def crash():
    print("a worker's words")
    os._exit(1)

before = dict(os.environ)
try:
    with connect(workers=1, address=None) as connection:
        import ray
        from ray.exceptions import WorkerCrashedError
        worker = ray.get(ray.remote(look).remote())
        try:
            ray.get(ray.remote(max_retries=0)(crash).remote())
        except WorkerCrashedError:
            pass
        temp = [path.stat().st_mode & 0o777 for path in Path(sys.argv[1]).iterdir() if path.name.startswith("cb-")]
        os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    changed = {name for name in {*os.environ, *before} if os.environ.get(name) != before.get(name)}
    left = changed - {"RAY_CLIENT_MODE", "PYTHONBREAKPOINT"}
    print(json.dumps({
        "cpus": connection.cpus, "local": connection.local, "worker": worker, "temp": temp,
        "left": sorted(left), "initialized": ray.is_initialized(),
    }))
"""

JOINED = """
import json, sys
import orchestrator.plan
from orchestrator.runtime import connect
from sim_core.errors import InfrastructureError

answers = []
with connect(workers=1, address=sys.argv[1]) as connection:
    answers.append([connection.cpus, connection.nodes, connection.local])
orchestrator.plan.code_digest = lambda: "of changed code"
try:
    with connect(workers=1, address=sys.argv[1]):
        answers.append("joined")
except InfrastructureError as error:
    answers.append(error.message)
print(json.dumps(answers))
"""


def drive(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_private_runtime_is_quiet_and_leaves_nothing_after_an_interrupt(tmp_path: Path) -> None:
    temp, home = tmp_path / "t", tmp_path / "home"
    temp.mkdir()
    home.mkdir()
    short = Path("/tmp") / f"cbt-{os.getpid()}"  # a socket's path is limited, so pytest's own folder is too deep
    short.symlink_to(temp)
    try:
        done = drive(INTERRUPTED, str(temp), TMPDIR=str(short), HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"))
    finally:
        short.unlink()
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()  # neither the worker's words nor Ray's report of its death
    told = json.loads(line)
    assert (told["cpus"], told["local"]) == (1, True)
    assert told["worker"] == [0, "1", "token", str(ROOT / "orchestrator" / "__init__.py")]
    assert told["temp"] == [0o700]
    assert not told["initialized"]
    assert told["left"] == []
    assert list(temp.iterdir()) == []
    assert list(home.iterdir()) == []  # no token, no results, no statistics


def test_a_second_connection_shares_the_first_and_leaves_it_open(ray_runtime: Connection) -> None:
    import ray

    with connect(workers=1, address=None) as shared:
        assert shared.address == ray_runtime.address
        assert shared.cpus == 1
    assert ray.is_initialized()
    with connect(workers=None, address=None) as shared:
        assert shared.cpus == 2


def test_joining_a_cluster_checks_its_code(ray_runtime: Connection) -> None:
    done = drive(JOINED, ray_runtime.address)
    assert done.returncode == 0, done.stderr
    (joined, refused) = json.loads(done.stdout.splitlines()[-1])
    assert joined == [1, 1, False]
    assert "runs other code" in refused
    assert "install the same wheel on every node" in refused


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfrastructureError, match=r"no Ray runtime answers at '127.0.0.1:1'.*ray start --head"):
        runtime._check_listening("127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")  # as a Ray job finds it
    with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:2"):
        runtime._check_listening("auto")


def test_packages_from_different_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "optimizers").mkdir()
    (tmp_path / "optimizers" / "__init__.py").touch()
    script = "from orchestrator.runtime import connect\nwith connect(workers=1, address=None): pass"
    done = drive(script, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert "InfrastructureError: the packages come from different installations" in done.stderr
    assert f"optimizers in {tmp_path.resolve()}" in done.stderr
    assert check_installation() == ROOT


def test_a_jobs_own_variables_are_not_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert runtime._cluster_variables()["OMP_NUM_THREADS"] == "1"
    job = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "4"}}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    variables = runtime._cluster_variables()
    assert "OMP_NUM_THREADS" not in variables
    assert variables["MKL_NUM_THREADS"] == "1"


def test_the_temporary_folder_leaves_room_for_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 60)))
    folder = runtime._short_temp_folder()
    try:
        assert len(str(folder)) <= runtime._LONGEST_TEMP_PATH
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()


def test_a_function_is_called_once_on_each_node(ray_runtime: Connection) -> None:
    def process() -> int:
        return os.getpid()

    answers = runtime.on_each_node(process)
    assert len(answers) == ray_runtime.nodes == 1 and answers != [os.getpid()]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (ModuleNotFoundError("No module named 'sim_core'"), r"node [\d.]+ can't run .*No module .*install the wheel"),
        (InfrastructureError("no room for compiled code; make some"), r"node [\d.]+: no room for .*; make some$"),
    ],
    ids=["foreign", "own"],
)
def test_a_node_that_fails_is_named_with_the_reason(ray_runtime: Connection, fault: Exception, message: str) -> None:
    def refuse() -> None:
        raise fault

    with pytest.raises(InfrastructureError, match=message):
        runtime.on_each_node(refuse)


def test_variables_are_as_before_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CB_OLD", "old")
    monkeypatch.delenv("CB_NEW", raising=False)
    with pytest.raises(KeyError), environment({"CB_OLD": "changed", "CB_NEW": "new"}):
        assert (os.environ["CB_OLD"], os.environ["CB_NEW"]) == ("changed", "new")
        raise KeyError
    assert os.environ["CB_OLD"] == "old"
    assert "CB_NEW" not in os.environ
