"""Seats: where the members of a gang live, each in this process or in one of its own. A seat outlives its member."""

from typing import Any, Protocol

from orchestrator.mesh import Windows
from orchestrator.mesh_shard import MeshShard, ShardDiedError
from sim_core.suite import SuiteDefinition


class Seat(Protocol):
    """One member's place.

    Calls that are sent are done in the order in which they were sent. alive: False before `start` and once a call found
    the member dead.
    """

    alive: bool

    def start(self) -> None:
        """Begin to seat a new member, without a state; see settle."""
        ...

    def settle(self) -> None:
        """Wait until the new member is up. Raises ShardDiedError when it died, InfrastructureError when none comes."""
        ...

    def send(self, call: str, *arguments: Any, **named: Any) -> Any:
        """Hand a call over; return what `receive` takes."""
        ...

    def receive(self, sent: Any) -> Any:
        """Return the answer. Raises ShardDiedError when the member died, else what the call raised."""
        ...

    def close(self) -> None:
        """Let the member go."""
        ...


class InProcessSeat:
    """A member in this process. A fault on demand drops it with all that it holds, as a killed process would."""

    def __init__(self, suite: SuiteDefinition, windows: Windows, number: int) -> None:
        self._arguments = (suite, windows, number)
        self._member: MeshShard | None = None
        self.alive = False

    def start(self) -> None:
        """See Seat.start."""
        self._member = MeshShard(*self._arguments, self._die)
        self.alive = True

    def settle(self) -> None:
        """See Seat.settle: it is up at once."""

    def send(self, call: str, *arguments: Any, **named: Any) -> tuple[Any, Exception | None]:
        """Do the call at once; see Seat.send."""
        if self._member is None:
            return None, ShardDiedError(f"shard {self._arguments[2]} has died")
        try:
            return getattr(self._member, call)(*arguments, **named), None
        except ShardDiedError as error:
            self._member = None
            return None, error
        except Exception as error:  # noqa: BLE001, handed to whoever receives the answer
            return None, error

    def receive(self, sent: tuple[Any, Exception | None]) -> Any:
        """See Seat.receive."""
        answer, error = sent
        if error is not None:
            self.alive = self.alive and self._member is not None
            raise error
        return answer

    def close(self) -> None:
        """See Seat.close."""
        self._member, self.alive = None, False

    def _die(self) -> None:
        raise ShardDiedError(f"shard {self._arguments[2]} was ended in the middle of a window")
