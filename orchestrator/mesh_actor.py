"""A mesh's shard in a Ray actor of its own, and the seat that holds it."""

import os
import signal
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.mesh import Windows
from orchestrator.mesh_shard import MeshShard, ShardDiedError
from sim_core.errors import InfrastructureError
from sim_core.suite import SuiteDefinition

_START_LIMIT_S = 600.0


class MeshActor:
    """Hands calls on to one plain shard.

    Ray's restarts and retries stay off: a restarted actor would answer from an empty state. Who starts what again is
    decided in one place, orchestrator.gang.
    """

    def __init__(self, suite: SuiteDefinition, windows: Windows, number: int) -> None:
        self._arguments = (suite, windows, number)
        self._shard: MeshShard | None = None

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Return the shard's answer. Errors of the shard, its constructor's too, reach the caller with their class."""
        if self._shard is None:
            self._shard = MeshShard(*self._arguments, _die)
        return getattr(self._shard, name)(*arguments, **named)

    def ready(self) -> None:
        """Answer once the process is up."""


RemoteShard: Any = ray.remote(max_restarts=0, max_task_retries=0)(MeshActor)


class ActorSeat:
    """A member in a process somewhere in the connected Ray runtime. seats: of the gang, which share the CPUs."""

    def __init__(self, suite: SuiteDefinition, windows: Windows, number: int, seats: int) -> None:
        self._arguments = (suite, windows, number)
        self._seats = seats
        self._actor: Any = None
        self._started: Any = None
        self.alive = False

    def start(self) -> None:
        """See Seat.start. More seats than CPUs take equal parts of them."""
        self.close()
        cpus = max(1, int(ray.cluster_resources().get("CPU", 0)))
        self._actor = RemoteShard.options(num_cpus=1 / -(-self._seats // cpus)).remote(*self._arguments)
        self._started = self._actor.ready.remote()
        self.alive = True

    def settle(self) -> None:
        """See Seat.settle."""
        done, _ = ray.wait([self._started], timeout=_START_LIMIT_S)
        if not done:
            raise InfrastructureError(
                f"shard {self._arguments[2]} didn't start within {_START_LIMIT_S:.0f} s; look for other work that "
                "holds the cluster's CPUs, then repeat the command to resume"
            )
        self.receive(self._started)

    def send(self, call: str, *arguments: Any, **named: Any) -> Any:
        """See Seat.send."""
        try:
            return self._actor.call.remote(call, arguments, named)
        except RayError as error:
            raise self._died(error) from error

    def receive(self, sent: Any) -> Any:
        """See Seat.receive."""
        try:
            return ray.get(sent)
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, Exception) else error) from error
        except RayError as error:
            raise self._died(error) from error

    def close(self) -> None:
        """See Seat.close."""
        if self._actor is not None:
            ray.kill(self._actor)
        self._actor, self.alive = None, False

    def _died(self, error: Exception) -> ShardDiedError:
        self.close()  # what can't be reached is not to come back
        return ShardDiedError(f"shard {self._arguments[2]} died: {(str(error).strip().splitlines() or [''])[0]}")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
