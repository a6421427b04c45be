"""The only place that starts or joins a Ray runtime, and the checks that this runtime may be trusted."""

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sim_core.errors import CircularBenchError, InfrastructureError

_PACKAGES = ("sim_core", "optimizers", "orchestrator")
# A Ray session folder adds up to 75 characters to the temporary folder; Linux allows a socket's path 107.
_LONGEST_TEMP_PATH = 29
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
_JOIN_LIMIT_S = 120.0
_LISTEN_LIMIT_S = 10.0
_TASK_LIMIT_S = 1200.0  # a small machine may take minutes to compile
# One core per worker: a library that starts its own threads would take its neighbours' cores.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # Tune's trials otherwise change to a folder of their own, where a relative PYTHONPATH means nothing.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
# Ray reports a dead worker on the driver's stdout; whoever meets it raises or retries, and stdout is the user's.
_DRIVER = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
_LOCAL = {
    "RAY_worker_niceness": "0",  # workers start at nice +15 otherwise
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a notice about GPUs
}


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A joined Ray runtime: its address, whether this process started it, its nodes, the CPUs a sweep may hold."""

    address: str
    local: bool
    nodes: int
    cpus: int


@contextmanager
def connect(*, workers: int | None, address: str | None) -> Iterator[Connection]:
    """Start a private local Ray runtime (no address) or join the one at `address` ("auto" or host:port).

    workers: CPUs to use; None takes every core here, or every CPU of the cluster. On exit only what was started here
    is stopped; inside an open connection a second one shares the first. Raises InfrastructureError when the runtime
    can't be reached, has no CPU, or runs other code than this process.
    """
    check_installation()
    with environment(_DRIVER):  # read when ray is imported
        import ray

    if ray.is_initialized():
        yield _describe(workers, local=address is None)
    elif address is None:
        with _local(workers if workers is not None else os.cpu_count() or 1) as connection:
            yield connection
    else:
        with _joined(workers, address) as connection:
            yield connection


def check_installation() -> Path:
    """Return the folder that holds the three packages.

    Raises InfrastructureError when they come from different ones, as happens when a folder of the same name comes
    first on the import path.
    """
    specs = {name: find_spec(name) for name in _PACKAGES}  # finds without importing
    folders = {
        name: Path(next(iter(spec.submodule_search_locations))).resolve().parent
        for name, spec in specs.items()
        if spec is not None and spec.submodule_search_locations is not None
    }
    if len(set(folders.values())) > 1:
        places = ", ".join(f"{name} in {folder}" for name, folder in folders.items())
        raise InfrastructureError(
            f"the packages come from different installations ({places}); run from a folder that has no folder named "
            f"{', '.join(_PACKAGES)}, or take the stray one off PYTHONPATH"
        )
    return folders["orchestrator"]


def on_each_node(function: Callable[[], Answer], limit: float = _TASK_LIMIT_S) -> list[Answer]:
    """Call a function once on each node that offers CPUs, all at once; return the answers, in the order of the nodes.

    Raises InfrastructureError for a node that can't answer, or not within `limit` seconds.
    """
    return list(_answers(function, limit).values())


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process and what it starts; on exit they are as before."""
    before = {name: os.environ.get(name) for name in (*values, "RAY_AUTH_MODE")}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _local(cpus: int) -> Iterator[Connection]:
    import ray

    folder = _short_temp_folder()
    paths = [str(check_installation()), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Ray itself turns token mode on for a local runtime; set here it would come too late once ray is imported.
    settings = {**_ONE_THREAD, **_LOCAL, "RAY_AUTH_TOKEN": _token(), "PYTHONPATH": os.pathsep.join(paths)}
    try:
        with environment(settings):
            try:
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=str(folder / "r"),  # Ray opens its own folder to everybody, so it lies in a closed one
                )
            except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
                raise InfrastructureError(f"a local Ray with {cpus} CPUs didn't start: {_last_line(error)}") from error
            yield _describe(cpus, local=True)
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _joined(workers: int | None, address: str) -> Iterator[Connection]:
    import ray

    _check_listening(address)
    try:
        with environment({"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}):
            try:
                ray.init(
                    address=address,
                    runtime_env={"env_vars": _cluster_variables()},
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
                raise _unreachable(address, error) from error
            _check_nodes()
            yield _describe(workers, local=False)
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Raise InfrastructureError when nothing listens at host:port; Ray itself would wait for many minutes."""
    place = (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address
    host, _, port = place.rpartition(":")
    if not port.isdigit():
        return  # "auto": Ray looks for a runtime on this machine and says at once when there is none
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LISTEN_LIMIT_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(place, error) from error


def _unreachable(address: str, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"no Ray runtime answers at {address!r} ({_last_line(error)}); check that `ray start --head` runs there, that "
        "this machine holds its token (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH), and that both run the same versions of "
        "Ray and Python"
    )


def _describe(workers: int | None, *, local: bool) -> Connection:
    import ray

    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < 1:
        raise InfrastructureError("the Ray cluster offers no CPU; start it with num_cpus of at least 1")
    return Connection(
        address=ray.get_runtime_context().gcs_address,
        local=local,
        nodes=len(_alive_nodes()),
        cpus=cpus if workers is None else min(workers, cpus),
    )


def _alive_nodes() -> list[Mapping[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _cluster_variables() -> dict[str, str]:
    """Return the variables that workers elsewhere need, less those that a Ray job has set: Ray refuses both."""
    import json

    folder = check_installation()
    wanted = dict(_ONE_THREAD)
    if folder.name != "site-packages":  # a source checkout, which every node must hold at the same place
        wanted["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    taken = (job.get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in wanted.items() if name not in taken}


def _identity() -> tuple[str, str]:
    """Return what must be equal on every node, the digest of the code, and where the code lies."""
    from orchestrator.plan import code_digest

    return code_digest(), str(check_installation())


def _check_nodes() -> None:
    """Raise InfrastructureError unless each node that offers CPUs runs the code that this process runs."""
    own, _ = _identity()
    for node, (digest, folder) in _answers(_identity, _JOIN_LIMIT_S).items():
        if digest != own:
            raise InfrastructureError(
                f"node {node} runs other code (digest {digest[:12]} in {folder}) than this process (digest {own[:12]} "
                f"in {check_installation()}); install the same wheel on every node"
            )


def _answers(function: Callable[[], Answer], limit: float) -> dict[str, Answer]:
    """Return what a function answers on each node that offers CPUs, by the node's address."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=2)(function)
    nodes = [node for node in _alive_nodes() if node["Resources"].get("CPU", 0) > 0]
    waiting = {
        node["NodeManagerAddress"]: task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    }
    found: dict[str, Answer] = {}
    for node, answer in waiting.items():
        try:
            found[node] = ray.get(answer, timeout=limit)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, CircularBenchError):  # it names its own remedy
                raise InfrastructureError(f"node {node}: {cause.message}") from error
            raise InfrastructureError(
                f"node {node} can't run circularbench ({_last_line(error)}); install the wheel of this version there"
            ) from error
    return found


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _short_temp_folder() -> Path:
    parent = tempfile.gettempdir()
    if len(parent) + len("/cb-12345678") > _LONGEST_TEMP_PATH:
        parent = "/tmp"  # noqa: S108  the folder made in it is new and private
    return Path(tempfile.mkdtemp(prefix="cb-", dir=parent))


@cache
def _token() -> str:
    """Return the secret of this process's own runtimes; Ray reads it once a process, so there is one."""
    return secrets.token_hex(32)
