"""Compiles the kernel once on each machine before anything runs there, so that its workers don't all do it at once."""

from collections.abc import Callable, Sequence
from typing import Any

COMPILING = "compiling the kernel, once per installation: about a minute"

Everywhere = Callable[[Callable[[], bool]], Sequence[bool]]


def compile_kernel(note: Callable[[str], Any], everywhere: Everywhere | None = None) -> None:
    """Compile the kernel where its code is missing on disk; only then is the user told.

    everywhere: calls a function on each machine and returns the answers; this process alone if None.
    """
    call = everywhere or _here
    if not all(call(is_compiled)):
        note(COMPILING)
        call(compile_it)


def is_compiled() -> bool:
    """True when the kernel's code for this machine is on disk."""
    from sim_core.kernel.warm import is_warm

    return is_warm()


def compile_it() -> bool:
    """Compile the kernel unless its code is on disk; processes that do so together wait for one of them."""
    from sim_core.kernel.warm import warm

    warm()
    return True


def _here(function: Callable[[], bool]) -> Sequence[bool]:
    return [function()]
