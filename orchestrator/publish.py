"""Publish: writes report, cells and MLflow from a finished sweep's journal, each only when it would change."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.convergence import Convergence, convergence
from orchestrator.leaderboard import Leaderboard
from orchestrator.spec import ExperimentSpec
from orchestrator.tracking_store import database_uri
from sim_core.errors import InfrastructureError
from sim_core.suite import SPLITS, SuiteDefinition

if TYPE_CHECKING:
    from orchestrator.journal import Journal
    from orchestrator.outcome import Outcome

REPORT = "report.html"


def publish(
    spec: ExperimentSpec,
    outcome: "Outcome",
    board: Leaderboard,
    journal: "Journal",
    *,
    results: Path,
    tracking: str | None,
) -> tuple[str | None, str]:
    """Write report.html and MLflow; return MLflow's link and, where it could not be written, a message."""
    from orchestrator.tracking import Sweep, flush

    report, cells = results / REPORT, results / "leaderboard"
    name = f"published/{spec.name}"
    state = journal.get_note(name) or {}
    published = [board.digest, board.to_json()]
    if state.get("content") != published or not (cells / state["cells"]).exists():
        state = {"content": published, "ended_ms": time.time_ns() // 1_000_000, "cells": _write_cells(outcome, cells)}
        journal.put_note(name, state)
    # Experiments of one suite share a folder by default: the note says whose report stands.
    if journal.get_note("report") != [spec.name, *published] or not report.exists():
        try:
            _write_report(spec, outcome, board, report, results)
        except OSError as error:
            raise InfrastructureError(
                f"can't write {report}: {error.strerror}; make room or mend the permissions, then run the same command "
                "again: it resumes"
            ) from error
        journal.put_note("report", [spec.name, *published])
    uri = tracking or database_uri(results)
    sweep = Sweep(
        suite=outcome.plan.suite.name,
        suite_digest=outcome.plan.suite_digest,
        name=spec.name,
        digest=board.digest,
        leaderboard=board.to_json_with_timings(),
        controllers={entry.name: entry.controller.to_json() for entry in outcome.entries},
        cells=cells / state["cells"],
        report=report,
        started_ms=journal.get_note(f"started_ms/{spec.name}"),
        ended_ms=state["ended_ms"],
    )
    flushed = flush(sweep, uri=uri, cursor=journal.get_note(f"mlflow/{spec.name}"))
    if flushed.cursor is not None:
        journal.put_note(f"mlflow/{spec.name}", flushed.cursor)
    return flushed.link, flushed.message


def recipe_lines(suite: SuiteDefinition) -> str:
    """Return the suite's scenarios as JSON lines, one recipe each, splits in order."""
    from sim_core.generate.recipe import recipes_of

    lines = [
        f'{{"split":"{split}","recipe":{recipe.to_json()}}}'
        for split in SPLITS
        for recipe in recipes_of(suite, suite.scenarios(split))
    ]
    return "\n".join(lines) + "\n"


def _write_cells(outcome: "Outcome", folder: Path) -> str:
    """Write the test runs of all Entries as one Parquet file; return its name."""
    from orchestrator.tables import table, write_part

    distinct = {row.key: row for entry in outcome.entries for row in entry.cells}
    return write_part(table([distinct[key] for key in sorted(distinct)]), folder).name


def _write_report(spec: ExperimentSpec, outcome: "Outcome", board: Leaderboard, path: Path, results: Path) -> None:
    from orchestrator.plan import instruments
    from orchestrator.report import write_report

    suite = outcome.plan.suite
    against: list[dict[str, Any]] = []
    if board.random is not None:
        for name, interval in board.versus(board.random).items():
            if interval is not None and name != board.random:
                against.append(
                    {
                        "name": name,
                        "cost_diff": interval.estimate,
                        "cost_diff_lo": interval.low,
                        "cost_diff_hi": interval.high,
                    }
                )
    write_report(
        path,
        title=f"{spec.name}: {suite.name}",
        leaderboard=board.to_json_with_timings(),
        reference=spec.reference,
        confidence=spec.statistics.confidence,
        against_random=against,
        searches=[_search(convergence(outcome.plan, name, found)) for name, found in outcome.searches.items()],
        suite=_facts(suite),
        instruments=instruments(suite),
        assumptions=_assumptions(suite),
        reproduce={
            "command": f"circularbench run {results / 'experiment.yaml'} --results {results}",
            "digest": board.digest,
            "code": outcome.plan.code,
            "suite": outcome.plan.suite_digest,
        },
    )


def _search(found: Convergence) -> dict[str, Any]:
    return {**asdict(found), "points": list(zip(found.evaluations, found.median, strict=True))}


def _facts(suite: SuiteDefinition) -> dict[str, Any]:
    return {
        "products": ", ".join(f"{product.label} ({product.archetype})" for product in suite.products),
        "network": suite.network if isinstance(suite.network, str) else f"own, {len(suite.network.nodes)} nodes",
        "horizon": f"{suite.scored} months scored from {suite.start} + {suite.warm_up} months of warm-up",
        "discount rate": f"{suite.discount_rate:.1%} a year",
        "price of a shortfall (EUR/kg or unit)": ", ".join(
            f"{name} {price:g}" for name, price in suite.shortfall_price.items()
        ),
        **{f"{name} families": ", ".join(split.families) for name, split in suite.splits.items()},
        **{f"{name} scenarios": str(split.scenarios) for name, split in suite.splits.items()},
    }


def _assumptions(suite: SuiteDefinition) -> list[dict[str, Any]]:
    """Return the parameters that no source backs, each with its range."""
    from sim_core.engine.products import resolve

    several = len(suite.products) > 1
    return [
        {
            "parameter": f"{product.label}: {entry.name}" if several else entry.name,
            "value": f"{entry.value:g}",
            "range": f"{entry.low:g} to {entry.high:g}" if entry.low is not None and entry.high is not None else "",
            "unit": entry.unit,
            "note": entry.note,
        }
        for product in suite.products
        for entry in resolve(product).parameters.values()
        if entry.assumed
    ]
