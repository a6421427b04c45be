"""`circularbench simulate` and `circularbench inject`: one controller's runs, and law for those that are under way."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from sim_core.errors import InputError

if TYPE_CHECKING:
    from orchestrator.mesh_backend import MeshOptions


def simulate(
    spec: SpecArgument,
    *,
    results: ResultsOption = None,
    as_json: JsonOption = False,
    entry: Annotated[str | None, typer.Option(metavar="NAME", help="which entry; default: the first")] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="how many test scenarios; default: all")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="series by run and period, .csv or .parquet")
    ] = None,
    agents: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=5_000_000, help="follow about N units through the first run: see passport"
        ),
    ] = None,
    engine: EngineOption = None,
    mesh: Annotated[
        str | None, typer.Option(metavar="SxN", help="spread over S x N shards, or auto; default: this process")
    ] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="no Ray: all shards in this process")] = False,
    address: Annotated[
        str | None, typer.Option(help="with --mesh: a running Ray cluster; default: a local one")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="with --mesh, for tests: kill:shard=I,window=J ends a shard there, once"),
    ] = None,
) -> None:
    """Simulate one Entry: its cost a period. Running the same command again reuses its runs."""
    from orchestrator.progress import make_progress
    from orchestrator.series import check_ending
    from orchestrator.simulate import export_trace, simulate_entry

    if trace is not None:
        check_ending(trace)
    over = _mesh(mesh, in_process=in_process, address=address, faults=tuple(fault or ()))
    if over is not None and (trace is not None or agents is not None):
        raise InputError("--trace and --agents are of this process alone; leave out --mesh, or them")
    loaded = load_experiment(spec, engine)
    folder = results_of(loaded, results)
    with make_progress() as progress:
        found = simulate_entry(loaded, folder, entry=entry, runs=runs, progress=progress, mesh=over)
    if trace is not None:
        say(f"{trace}: {export_trace(loaded, found, runs, trace):,} rows")
    if agents is not None:
        from orchestrator.passports import follow_units

        say(follow_units(loaded.to_suite(), found.controller, units=agents, results=folder))
    from orchestrator.console import make_console, simulation_table

    make_console(stderr=as_json).print(simulation_table(found))
    if found.failed:
        say(f"{found.failed:,} runs failed, the first with: {found.message}")
    if found.injections:
        say("law was injected into these runs: they are kept under keys of their own, and no other command reads them")
    if as_json:
        print_object(found.to_json())
    if found.failed:
        raise typer.Exit(1)


def inject(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="results folder of a `simulate --mesh` under way")],
    instrument: Annotated[
        Path,
        typer.Argument(metavar="INSTRUMENT", exists=True, dir_okay=False, readable=True, help="instrument (YAML)"),
    ],
    *,
    at: Annotated[str, typer.Option("--at", metavar="YYYY-MM", help="announced and in force from this month on")],
    wait: Annotated[float, typer.Option("--wait", min=1, metavar="S", help="how long to wait for the answer")] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Bring law into force in a simulation that is under way, in the same month in all its runs."""
    from orchestrator.instrument_reader import read_instrument
    from orchestrator.mailbox import ask

    form = read_instrument(instrument, at)
    answer = ask(run, form, at, wait)
    typer.echo(
        f"{form['id']} is in force from {answer['month']} on, period {answer['period']} of {answer['periods']}, "
        "in all runs",
        err=as_json,
    )
    if as_json:
        print_object({"instrument": form["id"], "month": answer["month"], "period": answer["period"]})


def _mesh(mesh: str | None, *, in_process: bool, address: str | None, faults: tuple[str, ...]) -> "MeshOptions | None":
    if mesh is None:
        if address is not None or faults:
            raise InputError("--address and --fault go with --mesh, for instance --mesh 2x1")
        return None
    from orchestrator.mesh_backend import MeshOptions

    return MeshOptions(mesh=mesh, in_process=in_process, address=address, faults=faults)
