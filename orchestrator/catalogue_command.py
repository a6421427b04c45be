"""`circularbench catalogue`: list, filter and explain the law that the catalogue holds."""

import json
from typing import Annotated, Any

import typer

from sim_core.errors import InputError


def catalogue(
    instrument: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="explain this instrument; without: list them")
    ] = None,
    *,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="such as recycled_content_mandate")] = "",
    where: Annotated[str, typer.Option(metavar="JURISDICTION", help="such as EU, US-CA, CN")] = "",
    archetype: Annotated[str, typer.Option(metavar="NAME", help="what binds a product, such as ev_battery")] = "",
    confidence: Annotated[str, typer.Option(metavar="WORD", help="high, medium or low")] = "",
    verification: Annotated[str, typer.Option(metavar="WORD", help="secondary_source, partly or unverified")] = "",
    status: Annotated[str, typer.Option(metavar="WORD", help="such as in_force, proposed, repealed")] = "",
    binds: Annotated[
        bool | None, typer.Option("--binds/--no-binds", help="only what the model can express, or can't")
    ] = None,
    since: Annotated[str, typer.Option(metavar="DATE", help="applies on this day or later")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="applies on this day or earlier")] = "",
    text: Annotated[str, typer.Option(metavar="WORDS", help="in id, name, subject, metric or reference")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: one JSON object")] = False,
) -> None:
    """List the catalogue's law with dates, values and how sure they are; or explain one instrument."""
    from orchestrator.catalogue_view import checked, explain, explanation, listing, listing_table, relaxed
    from sim_core.catalogue.law import LawQuery

    query = LawQuery(
        type=kind, jurisdiction=where, archetype=archetype, confidence=confidence, verification=verification,
        status=status, binds=binds, since=since, until=until, text=text,
    )  # fmt: skip
    if instrument is not None:
        if query != LawQuery():
            raise InputError("name an instrument, or filter the list, not both")
        found = explain(instrument)
        typer.echo(_line(found) if as_json else explanation(found))
        return
    rows = listing(checked(query))
    if not rows:
        typer.echo(relaxed(query), err=True)
    if as_json:
        typer.echo(_line({"count": len(rows), "instruments": rows}))
    elif rows:
        from orchestrator.console import make_console

        make_console(stderr=False).print(listing_table(rows))


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
