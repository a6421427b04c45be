"""The error tree, grouped by what the caller should do.

CircularBenchError
    InputError            the input is wrong: mend it and run again (exit code 2)
        SpecError         a place in the experiment file (orchestrator.spec)
        ModelError        a network, scenario or controller that can't be simulated
    RunError              some runs failed, the rest are valid (exit code 1)
    IntegrityError        a promise of the model or the journal is broken: stop (exit code 3)
        BalanceError      mass was created or lost
        TransitionError   a unit changed its state in a way that no lifecycle allows
        JournalConflictError  the same key came back with another value
        FenceError        a call to a shard that does not follow its state
    InfrastructureError   the machine, the cluster or a server: repeat the command to resume (exit code 3)
        JournalBusyError  another driver holds the journal

Every class takes one message, so that each survives pickling on its way out of a worker.
"""


class CircularBenchError(Exception):
    """Base of all errors that circularbench raises on purpose."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(CircularBenchError):
    """The input is wrong; the message names the place and the remedy."""

    exit_code = 2


class SpecError(InputError):
    """One or more faults in an experiment file, all of them in one message."""


class ModelError(InputError):
    """A network, scenario or controller that can't be simulated."""


class RunError(CircularBenchError):
    """Some runs failed; the others are valid and journalled."""

    exit_code = 1


class IntegrityError(CircularBenchError):
    """A promise of the model or of the journal is broken; nothing further may be trusted."""


class BalanceError(IntegrityError):
    """Mass was created or lost in a period."""


class TransitionError(IntegrityError):
    """A unit was to change its state in a way that no lifecycle allows."""


class JournalConflictError(IntegrityError):
    """A journal key came back with a different value."""


class FenceError(IntegrityError):
    """A call that would change a shard's state does not follow that state; nothing was changed."""


class InfrastructureError(CircularBenchError):
    """The machine, the cluster or a server failed; repeating the command resumes."""


class JournalBusyError(InfrastructureError):
    """Another live driver holds the journal's lease."""
