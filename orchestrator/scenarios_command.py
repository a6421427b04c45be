"""`circularbench scenarios`: draw a suite's scenarios into files, and say what such files hold."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim_core.errors import InputError

if TYPE_CHECKING:
    from sim_core.suite import SuiteDefinition

scenarios = typer.Typer(name="scenarios", help="Generate scenarios into files and describe them.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="last line of stdout: one JSON object")]


@scenarios.command()
def generate(
    spec: Annotated[
        Path | None,
        typer.Argument(metavar="[SPEC]", exists=True, dir_okay=False, readable=True, help="experiment file (YAML)"),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", file_okay=False, help="folder to write to")],
    paths: Annotated[
        bool, typer.Option("--paths", help="also demand, prices, outages by month: paths.parquet")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="1: this process, without Ray; default: one a CPU where it pays")
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="train, validation or test; default: all")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="scenarios in each split, in place of the file's")
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="your own law (YAML, JSON, CSV) as the family"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a suite's scenarios as Parquet. Running it again writes only what is missing or damaged."""
    from orchestrator.progress import make_progress
    from orchestrator.scenario_files import generate as write
    from orchestrator.scenario_files import narrowed

    suite = _suite(spec, timeline, count)
    with make_progress() as progress:
        found = write(narrowed(suite, split=split, count=count), out, paths=paths, workers=workers, progress=progress)
    if as_json:
        typer.echo(_line(found.to_json()))
        return
    splits = ", ".join(f"{name} {number:,}" for name, number in found.splits.items())
    typer.echo(f"{found.scenarios:,} scenarios ({splits}) in {out}: {', '.join(found.files)}")
    typer.echo(f"digest: {found.digest}")


@scenarios.command()
def describe(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder that `scenarios generate` wrote")],
    *,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="draw sample timelines")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show families, tiers and coverage of generated scenarios, and draw sample timelines as PNG and SVG."""
    from orchestrator.scenarios_view import describe as read
    from orchestrator.scenarios_view import draw_pictures, tables

    found = read(folder)
    drawn = [str(path) for path in draw_pictures(folder, found)] if pictures else []
    if as_json:
        typer.echo(_line({**found.form, "pictures": drawn}))
        return
    from orchestrator.console import make_console

    console = make_console(stderr=False)
    for table in tables(found.form):
        console.print(table)
    for path in drawn:
        console.print(f"picture: {path}", soft_wrap=True)
    console.print(f"digest: {found.form['digest']}", soft_wrap=True)


def _suite(spec: Path | None, timeline: Path | None, count: int | None) -> "SuiteDefinition":
    """Return the experiment's suite, or one whose law is the user's own timeline."""
    if spec is None and timeline is None:
        raise InputError("name the experiment file, or your own law with --timeline FILE")
    from orchestrator.scenario_files import plain_suite, suite_with_timeline

    if spec is None:
        suite = plain_suite()
        typer.echo(
            f"note: no experiment file, so {suite.products[0].label} on network {suite.network}, {suite.warm_up} + "
            f"{suite.scored} months from {suite.start}, seed {suite.seed}",
            err=True,
        )
    else:
        from orchestrator.spec import load

        suite = load(spec).to_suite()
    if timeline is None:
        return suite
    from orchestrator.timeline_reader import read_timeline

    return suite_with_timeline(suite, read_timeline(timeline), count)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
