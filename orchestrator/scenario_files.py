"""Writes generated scenarios to a folder: Parquet files whose bytes follow from the suite alone, and a manifest.

The files are streamed: batches are drawn here or by workers, put into the order of the scenarios, and written in row
groups of a fixed number of scenarios. Neither workers nor batches leave a trace in the bytes.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.pool import ActorPool, InProcessPool, Pool
from orchestrator.progress import Progress
from orchestrator.scenario_draws import Batch, Drawn, ScenarioShard
from orchestrator.scenario_manifest import (
    FILES,
    MANIFEST,
    PATHS_FILE,
    RECIPES_FILE,
    manifest_of,
    put_manifest,
    records_of,
    replacing,
    request_of,
    sha256_of,
    undamaged,
)
from orchestrator.scenario_tables import RECIPES, paths_schema, series_of
from sim_core.engine.layout import build_layout
from sim_core.errors import InfrastructureError, InputError
from sim_core.generate.contract import SCHEMA_VERSION
from sim_core.generate.timeline import family_of
from sim_core.suite import SPLITS, ProductShare, SplitDefinition, SuiteDefinition

# Scenarios in a row group. Another number makes other bytes, so these are part of what is written.
_ROW_GROUP = {RECIPES_FILE: 8192, PATHS_FILE: 128}
_BATCH = {False: 2048, True: 128}  # scenarios that are drawn at once, without and with paths
_AHEAD = 4  # batches a worker that may be finished before their turn: what waits stays small
_COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
_BATCHES_A_WORKER = 32  # below, starting a worker takes longer than its work
_BY_TIMELINE = 1000  # scenarios of a user's own timeline, unless said otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a folder of scenarios holds. files: sha256 by name. reused: all of it was there already."""

    digest: str
    scenarios: int
    splits: Mapping[str, int]
    files: Mapping[str, str]
    reused: bool

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        own = {"digest": self.digest, "scenarios": self.scenarios, "splits": dict(self.splits)}
        return {**own, "files": dict(self.files), "schema_version": SCHEMA_VERSION, "reused": self.reused}


def plain_suite() -> SuiteDefinition:
    """Return the suite in which a timeline is set where the user names none: EV batteries in a closed loop."""
    return SuiteDefinition(
        name="timeline",
        products=(ProductShare(archetype="ev_battery"),),
        network="loop",
        seed=1,
        start="2026-01",
        warm_up=12,
        scored=120,
        run_out=0,
        splits={},
    )


def suite_with_timeline(suite: SuiteDefinition, form: Mapping[str, Any], count: int | None) -> SuiteDefinition:
    """Return a suite whose one split, test, holds scenarios of a user's own timeline.

    form: see sim_core.generate.timeline; it takes the place of a timeline of that name. count: 1,000 if None. Raises
    ModelError for a form that describes no family.
    """
    name = family_of(form).name
    others = tuple(one for one in suite.timelines if one["name"] != name)
    test = SplitDefinition(families=(name,), scenarios=count or _BY_TIMELINE)
    return replace(suite, timelines=(*others, form), splits={"test": test})


def narrowed(suite: SuiteDefinition, *, split: str | None, count: int | None) -> SuiteDefinition:
    """Return a suite with scenarios in one split alone, or with another number of them in each.

    Each scenario keeps its id, which other splits' families have a say in: those splits stay, empty. Raises InputError
    for a split that the suite lacks.
    """
    if split is not None and split not in suite.splits:
        raise InputError(f"--split {split}: suite {suite.name!r} has {', '.join(suite.splits) or 'none'}; name one")
    wanted = {name: one.scenarios if count is None else count for name, one in suite.splits.items()}
    if split is not None:
        wanted = {name: number if name == split else 0 for name, number in wanted.items()}
    return replace(suite, splits={name: replace(suite.splits[name], scenarios=n) for name, n in wanted.items()})


def generate(
    suite: SuiteDefinition, folder: Path, *, paths: bool, workers: int | None, progress: Progress
) -> Generated:
    """Write a suite's scenarios to a folder, or what of them is missing or damaged there.

    workers: 1 draws in this process, more draw on Ray; None takes one a CPU where there is work for them. Raises
    InfrastructureError when the disk fails.
    """
    wanted = FILES if paths else (RECIPES_FILE,)
    request = request_of(suite)
    try:
        before = records_of(folder, request)
        if before is None:
            _clear(folder, progress)
        good = undamaged(folder, before or {})
        missing = [name for name in FILES if name not in good and (name in wanted or name in (before or {}))]
        if missing:
            good |= _write(suite, folder, missing, workers, progress)
            put_manifest(folder, manifest_of(suite, request, good))
        else:
            progress.note(f"{folder}: already there, {', '.join(good)}")
    except OSError as error:
        raise InfrastructureError(
            f"can't write {folder}: {error}; make room or mend the permissions, then run the same command again"
        ) from error
    splits = {name: one.scenarios for name, one in suite.splits.items() if one.scenarios}
    return Generated(
        digest=manifest_of(suite, request, good)["digest"],
        scenarios=sum(splits.values()),
        splits=splits,
        files={name: good[name]["sha256"] for name in sorted(good)},
        reused=not missing,
    )


def _clear(folder: Path, progress: Progress) -> None:
    """Remove scenarios of another request: until the new manifest is there, nothing may claim to be whole."""
    there = [name for name in (MANIFEST, *FILES) if (folder / name).exists()]
    if there:
        progress.note(f"{folder}: replacing what is there, drawn from another suite, splits or version")
    for name in there:
        (folder / name).unlink()


def _worth(asked: int | None, batches: int) -> int:
    """Return how many workers to use: by default one a CPU, as far as there is work for them; 1 is this process."""
    most = min(os.cpu_count() or 1, batches // _BATCHES_A_WORKER) if asked is None else min(asked, batches)
    return max(1, most)


def _write(
    suite: SuiteDefinition, folder: Path, names: Sequence[str], asked: int | None, progress: Progress
) -> dict[str, Any]:
    """Draw all scenarios and write the files that are missing; return their records."""
    folder.mkdir(parents=True, exist_ok=True)
    with_paths = PATHS_FILE in names
    schemas = {RECIPES_FILE: RECIPES}
    if with_paths:
        schemas[PATHS_FILE] = paths_schema(series_of(build_layout(suite)))
    rows = {RECIPES_FILE: 1, PATHS_FILE: suite.periods}
    total = sum(one.scenarios for one in suite.splits.values())
    workers = _worth(asked, -(-total // _BATCH[with_paths]))
    with ExitStack() as stack:
        pool = stack.enter_context(_pool(suite, with_paths, workers))
        temporary = {name: stack.enter_context(replacing(folder / name)) for name in names}
        writers = [
            stack.enter_context(_GroupWriter(temporary[name], schemas[name], rows[name] * _ROW_GROUP[name]))
            for name in names
        ]
        progress.note(f"{folder}: writing {', '.join(names)}, {total:,} scenarios")
        progress.wave("generate", total)
        for drawn in _in_order(pool, _batches(suite, _BATCH[with_paths]), workers * _AHEAD):
            for name, writer in zip(names, writers, strict=True):
                table = drawn.recipes if name == RECIPES_FILE else drawn.paths
                if table is not None:
                    writer.write(table)
            progress.advance(drawn.recipes.num_rows)
    return {
        name: {
            "sha256": sha256_of(folder / name),
            "bytes": (folder / name).stat().st_size,
            "rows": total * rows[name],
        }
        for name in names
    }


def _batches(suite: SuiteDefinition, size: int) -> Iterator[Batch]:
    number = 0
    for split in SPLITS:
        ids = suite.scenarios(split)
        for first in range(0, len(ids), size):
            yield Batch(number=number, split=split, scenarios=ids[first : first + size])
            number += 1


def _in_order(pool: Pool[Batch, Drawn], batches: Iterator[Batch], ahead: int) -> Iterator[Drawn]:
    """Yield what is drawn of the batches in their order; at most `ahead` of them wait for their turn."""
    while window := list(islice(batches, ahead)):
        waiting: dict[int, Drawn] = {}
        pool.run(window, lambda batch, drawn, found=waiting: found.__setitem__(batch.number, drawn))
        for batch in window:
            yield waiting.pop(batch.number)


@contextmanager
def _pool(suite: SuiteDefinition, paths: bool, workers: int) -> Iterator[Pool[Batch, Drawn]]:
    make: Callable[[SuiteDefinition], ScenarioShard] = partial(ScenarioShard, paths=paths)
    if workers == 1:
        here: Pool[Batch, Drawn] = InProcessPool(lambda: make(suite))
        yield here
        return
    from orchestrator.runtime import connect

    with (
        connect(workers=workers, address=None) as connection,
        ActorPool[Batch, Drawn](suite, actors=connection.cpus, make_shard=make) as pool,
    ):
        yield pool


class _GroupWriter:
    """Writes tables as one Parquet file, in row groups of `rows` rows wherever the tables begin and end."""

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        text = [field.name for field in schema if pa.types.is_string(field.type) and field.name != "recipe"]
        options: dict[str, Any] = {
            "use_dictionary": text,
            "column_encoding": {one.name: "BYTE_STREAM_SPLIT" for one in schema if pa.types.is_floating(one.type)},
        }
        self._writer = pq.ParquetWriter(path, schema, **options, **_COMPRESSION)
        self._rows = rows
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> "_GroupWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._waiting:
            self._put(pa.concat_tables(self._waiting))
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        if sum(one.num_rows for one in self._waiting) < self._rows:
            return
        whole = pa.concat_tables(self._waiting)
        first = 0
        while whole.num_rows - first >= self._rows:
            self._put(whole.slice(first, self._rows))
            first += self._rows
        self._waiting = [whole.slice(first)] if first < whole.num_rows else []

    def _put(self, table: pa.Table) -> None:
        # Pages end where chunks end, so that a group must be one chunk.
        self._writer.write_table(table.combine_chunks(), row_group_size=self._rows)
