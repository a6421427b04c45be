"""`circularbench suite`: does a suite of scenarios tell controllers apart?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim_core.errors import InputError

suite = typer.Typer(name="suite", help="Judge a suite of scenarios.", no_args_is_help=True, add_completion=False)


@suite.callback()
def options() -> None:
    """Judge a suite of scenarios."""


@suite.command()
def assess(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", exists=True, dir_okay=False, readable=True, help="experiment file (YAML)")
    ],
    *,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", file_okay=False, help="default: ./results/<suite>")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: one JSON object")] = False,
    scenarios: Annotated[int, typer.Option(min=0, help="assessed test scenarios, the first ones; 0: all")] = 0,
    replicated: Annotated[int, typer.Option(min=0, help="scenarios whose top two are run on replications")] = 96,
    replications: Annotated[int, typer.Option(min=1, max=1000, help="replications of each; 1: no flips")] = 64,
    ladder: Annotated[int, typer.Option(min=0, help="scenarios of each family under the foresight ladder")] = 3,
    workers: Annotated[int | None, typer.Option(min=1, help="worker processes; default: one a CPU")] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="no Ray: everything in this process")] = False,
    address: Annotated[str | None, typer.Option(help="a running Ray cluster; default: a local one")] = None,
) -> None:
    """Measure how well a suite's scenarios tell its Entries apart. Repeating it resumes it."""
    if in_process and (workers is not None or address is not None):
        raise InputError("--in-process uses no Ray; leave out --workers and --address")
    from orchestrator.assess import Size
    from orchestrator.assess import assess as run_assessment
    from orchestrator.assess_tables import assessment_tables
    from orchestrator.backend import RunSettings
    from orchestrator.console import make_console
    from orchestrator.progress import make_progress
    from orchestrator.spec import load

    loaded = load(spec)
    folder = results if results is not None else Path("results") / loaded.suite.name
    size = Size(scenarios=scenarios, replicated=replicated, replications=replications, ladder=ladder)
    settings = RunSettings(workers=workers, in_process=in_process, address=address)
    with make_progress() as progress:
        found = run_assessment(loaded, folder, size=size, settings=settings, progress=progress).to_json()
    console = make_console(stderr=as_json)
    for part in assessment_tables(found):
        console.print(part, soft_wrap=isinstance(part, str))
    if as_json:
        typer.echo(json.dumps(found, sort_keys=True, allow_nan=False))
