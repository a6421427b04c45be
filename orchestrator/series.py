"""The series of single runs by period, as a table: for plots and checks outside of circularbench."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.faults import near_miss
from orchestrator.work import Cell
from sim_core.errors import InfrastructureError, InputError
from sim_core.suite import SuiteDefinition

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".parquet")


def check_ending(path: Path) -> None:
    """Raise InputError unless a file's name ends in .csv or .parquet."""
    if path.suffix not in ENDINGS:
        hint = near_miss(path.suffix, ENDINGS) or "name it .csv or .parquet"
        raise InputError(f"a trace is written as CSV or Parquet, so {path} can't end in {path.suffix!r}; {hint}")


def series_table(suite: SuiteDefinition, cells: Sequence[Cell]) -> "pa.Table":
    """Simulate cells once more and return their series: a row per cell and period, a column per series.

    Columns before the series: scenario, period (0 is the first month of the warm-up), scored. Units of the series:
    sim_core.engine.trace.
    """
    import pyarrow as pa

    from orchestrator.shard import Shard

    series = Shard(suite).trace(cells)
    periods = np.arange(suite.periods)
    scored = (periods >= suite.warm_up) & (periods < suite.warm_up + suite.scored)
    columns = {
        "scenario": pa.array(np.repeat([cell.scenario for cell in cells], suite.periods)),
        "period": pa.array(np.tile(periods, len(cells))),
        "scored": pa.array(np.tile(scored, len(cells))),
    }
    columns |= {name: pa.array(values.T.ravel()) for name, values in series.items()}
    return pa.table(columns)


def write_series(table: "pa.Table", path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending. Raises InfrastructureError when the disk fails."""
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(table, path)
        else:
            pyarrow.parquet.write_table(table, path)
    except OSError as error:
        raise InfrastructureError(f"can't write {path}: {error.strerror}; name another file") from None
