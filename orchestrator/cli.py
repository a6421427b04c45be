"""The command line. Everything but typer is imported inside the commands, so that none pays for another.

Results go to stdout; progress, notes and errors to stderr. With --json the last line of stdout is one object and all
else goes to stderr. Exit codes: 0 ok, 1 some runs failed, 2 bad input, 3 infrastructure, 130 interrupted; after 3 and
130 the same command resumes.
"""

import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from orchestrator.catalogue_command import catalogue
from orchestrator.command_line import (
    EngineOption,
    JsonOption,
    ResultsOption,
    SpecArgument,
    load_experiment,
    print_object,
    results_of,
    say,
)
from orchestrator.scenarios_command import scenarios
from orchestrator.simulate_command import inject, simulate
from orchestrator.suite_command import suite
from sim_core.errors import CircularBenchError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.jobs import JobClient, Submission
    from orchestrator.sweep import SweepResult

INTERRUPTED = 130
UNEXPECTED = 3


class OneExit(TyperGroup):
    """The one place where an error becomes a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors raised on purpose end without a traceback."""
        try:
            return super().invoke(ctx)
        except CircularBenchError as error:
            say(f"error: {error.message}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            say("interrupted; repeat the command to resume")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of stdout left (`| head`); Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(UNEXPECTED) from None
        except Exception as error:
            # typer's own errors (usage, exit) know how to show themselves.
            if hasattr(error, "exit_code"):
                raise
            traceback.print_exc()
            say(f"error: unexpected {type(error).__name__}: {error}; repeat the command to resume")
            raise typer.Exit(UNEXPECTED) from None


app = typer.Typer(
    name="circularbench",
    cls=OneExit,
    help="Benchmark controllers of closed-loop supply chains under changing regulation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Entry point of the command `circularbench`."""
    app(prog_name="circularbench")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"circularbench {_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """Benchmark controllers of closed-loop supply chains under changing regulation."""


app.command()(catalogue)
app.command()(simulate)
app.command()(inject)
app.add_typer(scenarios)
app.add_typer(suite)


@app.command()
def validate(spec: SpecArgument) -> None:
    """Check an experiment file and name all its faults at once."""
    loaded = load_experiment(spec)
    for note in loaded.check_model():
        say(f"note: {note}")
    typer.echo(f"ok: {spec}: experiment {loaded.name}, suite {loaded.suite.name}, {len(loaded.entries)} Entries")


@app.command()
def plan(
    spec: SpecArgument, results: ResultsOption = None, engine: EngineOption = None, as_json: JsonOption = False
) -> None:
    """Show what a run would do: its waves, what is done already, and which policy instruments bind."""
    from orchestrator.outcome import describe

    loaded = load_experiment(spec, engine)
    folder = results_of(loaded, results)
    described = describe(loaded, folder)
    if as_json:
        print_object(described)
        return
    from orchestrator.console import instruments_table, make_console, waves_table

    console = make_console(stderr=False)
    console.print(waves_table(described))
    console.print(instruments_table(described))
    console.print(f"mesh: simulate --mesh auto takes {described['mesh']}", soft_wrap=True)
    console.print(f"results: {folder}    digest of the plan: {described['digest']}", soft_wrap=True)


@app.command()
def run(
    spec: SpecArgument,
    *,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    workers: Annotated[int | None, typer.Option(min=1, help="worker processes; default: one a CPU")] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="no Ray: everything in this process")] = False,
    address: Annotated[str | None, typer.Option(help="a running Ray cluster; default: a local one")] = None,
    tracking: Annotated[str | None, typer.Option(help="MLflow tracking URI; default: inside the results")] = None,
    engine: EngineOption = None,
) -> None:
    """Run an experiment and print its leaderboard. Running the same command again resumes."""
    if in_process and (workers is not None or address is not None):
        raise InputError("--in-process uses no Ray; leave out --workers and --address")
    from orchestrator.backend import RunSettings
    from orchestrator.progress import make_progress
    from orchestrator.sweep import run_sweep

    loaded = load_experiment(spec, engine)
    folder = results_of(loaded, results)
    settings = RunSettings(workers=workers, in_process=in_process, address=address, tracking=tracking)
    with make_progress() as progress:
        result = run_sweep(loaded, folder, settings=settings, progress=progress)
    _print_result(result, as_json=as_json)
    if result.failed:
        raise typer.Exit(1)


@app.command()
def leaderboard(
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", exists=True, dir_okay=False, help="experiment file (YAML)")
    ] = None,
    results: ResultsOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the leaderboard of finished runs, from the journal alone."""
    if spec is None and results is None:
        raise InputError("name the experiment file, or its results with --results DIR")
    loaded = load_experiment(spec, engine) if spec is not None else None
    folder = results if results is not None else results_of(loaded, None) if loaded is not None else Path()
    if not folder.is_dir():
        raise InputError(f"no results at {folder}; run the experiment first, or name its folder with --results DIR")
    from orchestrator.outcome import read_leaderboard

    board = read_leaderboard(folder, loaded).to_json_with_timings()
    if as_json:
        print_object(board)
        return
    _print_board(board, stderr=False)


@app.command()
def passport(
    unit: Annotated[int, typer.Argument(metavar="UNIT", min=0, help="number of a unit of product")],
    *,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="DIR", file_okay=False, help="default: the only ones that hold any"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to one unit of an agent run: states, places, lives, quality, carbon."""
    from orchestrator.passports import find_passports, read_passport

    found = read_passport(find_passports(results), unit)
    if as_json:
        print_object(found.to_json())
        return
    from orchestrator.console import make_console, passport_table

    make_console(stderr=False).print(passport_table(found.to_json()))


@app.command()
def submit(
    spec: SpecArgument,
    *,
    address: Annotated[str, typer.Option(metavar="URL", help="the cluster's dashboard: http://127.0.0.1:8265")],
    results: Annotated[str, typer.Option(metavar="ABS", help="absolute path that the cluster's head can write")],
    wait: Annotated[bool, typer.Option("--wait", help="follow the log; exit as the job does")] = False,
    as_json: JsonOption = False,
    python: Annotated[str | None, typer.Option(metavar="PATH", help="the job's interpreter on the cluster")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="S", help="stop waiting after S seconds")] = None,
    again: Annotated[bool, typer.Option("--again", help="a new attempt even if one succeeded")] = False,
) -> None:
    """Run an experiment as a Ray job. Submitting the same again attaches to it."""
    from orchestrator import jobs

    folder = jobs.results_path(results)
    text = load_experiment(spec).to_yaml()
    client = jobs.connect(address)
    if not jobs.has_token():
        say(
            f"warning: {address} takes jobs without a token, so whoever reaches it can run code there; see docs/jobs.md"
        )
    submission = jobs.submit(
        client, text, results=folder, python=jobs.job_python(address, python), version=_version(), again=again
    )
    say(f"{'attached to' if submission.attached else 'submitted'} job {submission.job}")
    if wait:
        _wait(client, submission, as_json=as_json, timeout=timeout)
    elif as_json:
        print_object({"job": submission.job, "attached": submission.attached})


@app.command()
def mlflow(
    results: Annotated[Path, typer.Option("--results", metavar="DIR", exists=True, file_okay=False, help="results")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = 5000,
) -> None:
    """Open the results in MLflow: this command becomes its server."""
    from orchestrator.tracking_store import server_command

    command = server_command(results, port=port)
    say(f"MLflow serves {results} at {command.url}; end it with Ctrl-C")
    # The server takes this process's place, so that Ctrl-C and the exit code are its own.
    os.execve(command.argv[0], command.argv, command.environment)  # noqa: S606  a fixed program, no shell


def _version() -> str:
    """Return the version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("circularbench")
    except PackageNotFoundError:
        return "(not installed)"


def _command() -> str:
    """Return how this command can be called again from the same shell."""
    return "circularbench" if shutil.which("circularbench") else sys.argv[0]


def _print_board(board: dict[str, Any], *, stderr: bool) -> "Console":
    """Print the leaderboard, the foresight ladder and what scores rest on; return the console."""
    from orchestrator.console import ladder_table, leaderboard_table, make_console, score_notes

    console = make_console(stderr=stderr)
    console.print(leaderboard_table(board["entries"]))
    ladder = ladder_table(board)
    if ladder is not None:
        console.print(ladder)
    for note in score_notes(board):
        console.print(note, soft_wrap=True)
    return console


def _print_result(result: "SweepResult", *, as_json: bool) -> None:
    """Print the leaderboard and where to look further; the counts as one object when machines read."""
    console = _print_board(result.leaderboard.to_json_with_timings(), stderr=as_json)
    lines = [
        f"{result.cells:,} runs: {result.simulated:,} simulated, {result.reused:,} reused, {result.failed:,} failed",
        f"report: {result.report}",
        result.mlflow_message,
        f"MLflow: {_command()} mlflow --results {result.report.parent}" if result.mlflow_link else "",
        f"  then: {result.mlflow_link}" if result.mlflow_link else "",
        f"digest: {result.digest}",
    ]
    for line in lines:
        if line:
            # A link or a path is copied whole: never broken over two lines.
            console.print(line, soft_wrap=True)
    if as_json:
        names = ("digest", "cells", "simulated", "reused", "failed")
        print_object({name: getattr(result, name) for name in names})


def _wait(client: "JobClient", submission: "Submission", *, as_json: bool, timeout: float | None) -> None:
    """Follow the job to its end and leave with its exit code."""
    from orchestrator import jobs

    log = sys.stderr if as_json else sys.stdout
    ended = jobs.wait(client, submission.job, echo=lambda text: _write(log, text), timeout=timeout)
    if ended.exit_code:
        say(f"error: job {submission.job} ended as {ended.status}: {ended.message}")
    if as_json:
        about = {"job": submission.job, "attached": submission.attached, "status": ended.status}
        print_object({**about, "exit_code": ended.exit_code, **(ended.result or {})})
    raise typer.Exit(ended.exit_code)


def _write(stream: Any, text: str) -> None:
    stream.write(text)
    stream.flush()
