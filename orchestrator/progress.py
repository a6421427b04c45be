"""How far a sweep has come: a bar with the time left on a terminal, plain notes elsewhere.

Everything goes to stderr, so that stdout stays free for results.
"""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID


class Progress(Protocol):
    """What a sweep tells its watcher. A context manager: inside it the display is live."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def wave(self, name: str, total: int) -> None:
        """Begin a wave of `total` runs that remain to be done (not counting those found in the journal)."""
        ...

    def advance(self, n: int = 1) -> None:
        """Count `n` more runs of the present wave as done."""
        ...

    def note(self, text: str) -> None:
        """Tell the user one line."""
        ...


class PlainProgress:
    """Notes as plain lines, no bars: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, or to stderr as it is at the time of writing."""
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def wave(self, name: str, total: int) -> None:
        """Say nothing: a log is read afterwards."""

    def advance(self, n: int = 1) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Write the line and flush, so that whoever follows the log sees it at once."""
        print(text, file=self._stream or sys.stderr, flush=True)


class BarProgress:
    """One bar a wave, with counts, time spent and time left."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Draw on `stream` (default: stderr); it is taken to be a terminal."""
        self._bars = _bars(stream or sys.stderr)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def wave(self, name: str, total: int) -> None:
        """Begin a new bar; the bars of earlier waves stay where they ended."""
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(name, total=total)

    def advance(self, n: int = 1) -> None:
        """Move the present bar; without a wave there is nothing to move."""
        if self._task is not None:
            self._bars.advance(self._task, n)

    def note(self, text: str) -> None:
        """Print the line above the bars; brackets are text, not markup."""
        self._bars.console.print(text, markup=False, highlight=False)


def make_progress(stream: TextIO | None = None) -> Progress:
    """Return bars where `stream` (default: stderr) is a terminal, plain notes where it is not."""
    target = stream or sys.stderr
    return BarProgress(target) if target.isatty() else PlainProgress(target)


def _bars(stream: TextIO) -> "RichBars":
    """Build the bars; rich is imported here, so that machines that only read notes do not pay for it."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        console=Console(file=stream, force_terminal=True),
        # A run without new results still redraws its clock; four times a second costs next to nothing.
        refresh_per_second=4,
    )
