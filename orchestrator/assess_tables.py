"""What `suite assess` shows: figures beside their targets, the foresight ladder by family, tiers."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table

from orchestrator.entry_checks import VIEWS

_MEANING = {
    "pair_coverage": "admissible pairs of instruments revised together",
    "leak_ratio": "nearest 5 % of unseen scenarios to train, over train's own",
    "kendall_tau_halves": "agreement of rankings between disjoint halves, mean",
    "kendall_tau_halves_p05": "the same, 5th percentile of halvings",
    "flip_share": "scenarios that flip the top two, intervals excluding 0",
    "headroom_least_family": "reference above the bound, least of families",
    "ladder_headroom": "myopic above clairvoyant, mean of families",
    "ladder_headroom_least_family": "the same, least of families",
    "discrimination_median": "of a scenario: its ranking against all others'",
    "discrimination_low_share": "scenarios with a discrimination below 0.2",
    "law_tier_correlation": "pressure of a scenario's law against its difficulty",
}


def assessment_tables(found: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the parts of an assessment's JSON form, in order."""
    yield _figures(found)
    yield _ladder(found)
    yield from _rest(found)


def _figures(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"Assessment of {found['suite']}", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("figure")
    table.add_column("what", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    for row in found["metrics"]:
        value, target = row["value"], row["target"]
        met = "" if target is None else "not measured" if value is None else "met" if value >= target else "missed"
        table.add_row(
            row["metric"],
            _MEANING[row["metric"]],
            "-" if value is None else f"{value:.3f}",
            "" if target is None else f"{target:g}",
            met,
        )
    return table


def _ladder(found: Mapping[str, Any]) -> Table:
    table = Table(title="Headroom by family, % of J", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("family")
    for name in ("n", "reference above bound", *(f"gain: {view}" for view in VIEWS[1:]), "left above bound"):
        table.add_column(name, justify="right")
    for row in found["families"]:
        names = ("headroom", *(f"gain_{view}" for view in VIEWS[1:]), "left")
        cells = ("-" if row.get(name) is None else f"{100.0 * row[name]:.2f}" for name in names)
        table.add_row(row["family"], str(row["n"]), *cells)
    return table


def _rest(found: Mapping[str, Any]) -> Iterator[str]:
    held = ", ".join(
        f"{name} {tier['scenarios']} ({100.0 * tier['difficulty']:.2f} % regret)"
        for name, tier in found["tiers"].items()
    )
    yield f"{found['scenarios']} scenarios; tiers: {held or 'none'}"
    yield f"ranking: {', '.join(found['ranking'])}"
    for row in found["metrics"]:
        if "note" in row:
            yield f"{row['metric']}: {row['note']}"
    if found["failed"]:
        yield f"left out, because runs failed: {', '.join(found['failed'])}"
    yield f"digest: {found['digest']}"
