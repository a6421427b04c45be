"""What several test modules share: one local Ray runtime for the whole session, started by the first test that asks."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from orchestrator.runtime import Connection

# A shell starts what runs in its background deaf to interrupts, which tests send to themselves and to what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_runtime() -> "Iterator[Connection]":
    """A private local runtime with 2 CPUs; orchestrator.runtime.connect in a test shares it."""
    from orchestrator.runtime import connect

    with connect(workers=2, address=None) as connection:
        yield connection
