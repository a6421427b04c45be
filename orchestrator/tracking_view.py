"""The leaderboard as MLflow's runs table shows it: the columns, the shared view that selects them, the link.

MLflow 3 opens an experiment on a page without metric columns. A shared view is an experiment tag that holds the
runs table's state (columns, filter, order); a link that names the view's key opens on that state.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

SHARED_VIEW_TAG = "mlflow.sharedViewState."
COLUMNS = (
    "rank",
    "score",
    "score_lo",
    "score_hi",
    "compliant",
    "avoidable_hi",
    "cost",
    "cost_diff",
    "cost_diff_lo",
    "cost_diff_hi",
    "carbon",
    "circularity",
    "compliance",
    "cpu_s",
    "n",
)
_PINNED_WIDTHS = {"attributes.`Run Name`": 190, "runDateAndNestInfo": 100}
_WIDTHS = {"rank": 70, "score": 80, "circularity": 95, "compliance": 95, "n": 60}
_WIDTH = 108


def shared_view(*, name: str, sweep_key: str, metrics: Iterable[str], created_ms: int) -> str:
    """Return the tag value of a saved view: the Entries of one sweep, leaderboard columns, best rank first.

    metrics: the metric names that the sweep's runs have; columns without a value are left out.
    """
    present = set(metrics)
    columns = [_metric(column) for column in COLUMNS if column in present]
    state = {
        "searchFilter": f"tags.`circularbench.kind` = 'entry' and tags.`circularbench.sweep` = '{sweep_key}'",
        "orderByKey": _metric("rank"),
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [*_PINNED_WIDTHS, *columns],
        "columnWidths": {**_PINNED_WIDTHS, **{_metric(column): _WIDTHS.get(column, _WIDTH) for column in COLUMNS}},
        "runsHiddenMode": "FIRST_10_RUNS",
        "groupBy": None,
    }
    envelope = {"name": name, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(state)}
    return json.dumps(envelope)


def link(base_url: str, experiment_id: str, view_key: str) -> str:
    """Return the address that opens an experiment's runs table on a shared view."""
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": view_key})
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numeric fields of a leaderboard row (None and texts left out), as MLflow metrics.

    They are rounded to 9 significant digits, because MLflow prints every digit that it holds; exact values are in
    the journal and the Parquet file.
    """
    return {name: float(f"{value:.9g}") for name, value in row.items() if isinstance(value, (int, float))}


def texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the text fields of a leaderboard row, as MLflow parameters."""
    return {name: value for name, value in row.items() if isinstance(value, str)}


def _metric(name: str) -> str:
    return f"metrics.`{name}`"
