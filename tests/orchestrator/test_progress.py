"""The progress display: bars on a terminal, nothing but notes elsewhere."""

import io

import pytest

from orchestrator.progress import BarProgress, PlainProgress, Progress, make_progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def follow(progress: Progress) -> None:
    """Two waves, as a sweep reports them."""
    with progress as live:
        live.wave("search", 4)
        live.advance()
        live.advance(3)
        live.note("2 runs found in the journal [so far]")
        live.wave("score", 2)
        live.advance(2)


def test_a_stream_that_is_no_terminal_gets_notes_only() -> None:
    stream = io.StringIO()
    follow(make_progress(stream))
    assert stream.getvalue() == "2 runs found in the journal [so far]\n"


def test_a_terminal_gets_one_bar_a_wave_with_counts_and_time_left() -> None:
    stream = Terminal()
    follow(make_progress(stream))
    text = stream.getvalue()
    assert "search" in text and "score" in text
    assert "4/4" in text and "2/2" in text
    assert "left" in text
    assert "2 runs found in the journal [so far]" in text


def test_the_display_stops_when_the_sweep_raises() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), BarProgress(stream) as progress:
        progress.wave("search", 4)
        raise KeyboardInterrupt
    # The cursor is shown again: a bar that stayed live would leave the terminal without one.
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")


def test_advance_before_a_wave_and_a_wave_of_nothing_are_harmless() -> None:
    with BarProgress(Terminal()) as progress:
        progress.advance(3)
        progress.wave("score", 0)


def test_plain_notes_follow_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    PlainProgress().note("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")
