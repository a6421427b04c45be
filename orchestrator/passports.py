"""Passports on disk: what an agent run leaves of every unit, as two Parquet files, and how one unit is read back.

`units.parquet` has a row per unit, what it was at the end of the run; `events.parquet` has a row per event, sorted by
unit and time, so that one unit is found without reading the whole file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_core.errors import InfrastructureError, InputError
from sim_core.units import MONTHS_PER_YEAR, parse_month

if TYPE_CHECKING:  # pyarrow takes time to load
    import pyarrow as pa

    from sim_core.agents.passport import Passports
    from sim_core.agents.run import AgentRun
    from sim_core.control import ControllerRecord
    from sim_core.suite import SuiteDefinition

FOLDER = "passports"
UNITS, EVENTS = "units.parquet", "events.parquet"
SCHEMA_VERSION = 1
_ROWS_A_GROUP = 50_000  # small row groups: reading one unit touches one or two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEvent:
    """One line of a passport. period: months from the start; month: "YYYY-MM". carbon: kgCO2e up to then."""

    period: int
    month: str
    event: str
    state: str
    place: str
    life: int
    quality: float
    carbon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPassport:
    """One unit: what it is at the end of the run, and what happened to it."""

    unit: int
    run: str
    product: str
    state: str
    place: str
    born: str
    lives: int
    quality: float
    carbon: float
    events: tuple[UnitEvent, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def follow_units(
    suite: SuiteDefinition, controller: ControllerRecord, *, units: int, results: Path, replication: int = 0
) -> str:
    """Run agents through the suite's first test scenario, write their passports, and return a line that says so.

    units: how many are asked for over the horizon; the suite is scaled to that. Raises ModelError for a suite that
    asks for no product.
    """
    from sim_core.agents.scale import scaled_to

    scenario = suite.scenarios("test")[0]
    run = run_agents(
        scaled_to(suite, scenario, units),
        scenario=scenario,
        controller=controller,
        replication=replication,
        record=True,
    )
    folder = results / FOLDER
    write_passports(run.passports(), folder)
    last = run.units.count - 1
    return (
        f"{folder}: passports of units 0 to {last:,}; see one with: circularbench passport {last} --results {results}"
    )


def run_agents(
    suite: SuiteDefinition, *, scenario: str, controller: ControllerRecord, replication: int = 0, record: bool = False
) -> AgentRun:
    """Run the agent engine to the end. record: keep every unit's history.

    Raises ModelError for a suite, scenario or controller that can't be simulated.
    """
    from optimizers.controllers import build
    from sim_core.agents.run import AgentRun
    from sim_core.engine.layout import build_layout
    from sim_core.scenario import build_scenario

    layout = build_layout(suite)
    run = AgentRun(layout, build_scenario(layout, scenario), build(layout, [controller]), replication, record=record)
    run.advance()
    return run


def write_passports(passports: Passports, folder: Path) -> None:
    """Write a run's two files, each whole or not at all. Raises InfrastructureError when the disk fails."""
    about = {
        "schema_version": str(SCHEMA_VERSION),
        "run": passports.run,
        "start": passports.start,
        "units": str(passports.units.count),
    }
    for name, columns in ((UNITS, _unit_columns(passports)), (EVENTS, _event_columns(passports))):
        import pyarrow as pa

        _write(pa.table(columns).replace_schema_metadata(about), folder / name)


def read_passport(results: Path, unit: int) -> UnitPassport:
    """Return one unit's passport. Raises InputError where there are no passports, or no such unit."""
    import pyarrow.parquet as pq

    folder = results / FOLDER
    if not (folder / UNITS).is_file() or not (folder / EVENTS).is_file():
        raise InputError(
            f"no passports in {folder}; make them: circularbench simulate SPEC --agents 1000 --results {results}"
        )
    about = _about(pq.read_schema(folder / UNITS), folder)
    found = pq.read_table(folder / UNITS, filters=[("unit", "==", unit)]).to_pylist()
    if not found:
        raise InputError(f"no unit {unit} in {folder}; its units are 0 to {int(about['units']) - 1}")
    row = found[0]
    lines = pq.read_table(folder / EVENTS, filters=[("unit", "==", unit)]).to_pylist()
    start = parse_month(about["start"])
    events = tuple(UnitEvent(month=_month(start + line["period"]), **_without(line, "unit")) for line in lines)
    return UnitPassport(run=about["run"], born=_month(start + row["born"]), events=events, **_without(row, "born"))


def find_passports(given: Path | None, below: Path = Path("results")) -> Path:
    """Return the results folder to read passports from: the given one, else the only one below `below` that has some.

    Raises InputError where there is no such folder, or more than one.
    """
    if given is not None:
        return given
    found = sorted(path.parent.parent for path in below.glob(f"*/{FOLDER}/{UNITS}"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"no passports below {below}; name the results that hold them with --results DIR")
    raise InputError(f"passports in {', '.join(map(str, found))}; choose one with --results DIR")


def _unit_columns(passports: Passports) -> dict[str, pa.Array]:
    import pyarrow as pa

    units = passports.units
    return {
        "unit": pa.array(np.arange(units.count, dtype=np.int64)),
        "product": _words(units.column("product"), passports.products),
        "state": _words(units.column("state"), passports.states),
        "place": _words(units.column("place"), (*passports.places, "")),
        "born": pa.array(units.column("born")),
        "lives": pa.array(units.lives()),
        "quality": pa.array(units.column("quality")),
        "carbon": pa.array(units.column("carbon")),
    }


def _event_columns(passports: Passports) -> dict[str, pa.Array]:
    import pyarrow as pa

    history = passports.history
    order = np.argsort(history.unit, kind="stable")
    return {
        "unit": pa.array(history.unit[order]),
        "period": pa.array(history.period[order]),
        "event": _words(history.event[order], passports.events),
        "state": _words(history.state[order], passports.states),
        "place": _words(history.place[order], (*passports.places, "")),
        "life": pa.array((history.category[order].astype(np.int64) + 1) // 2 + 1),
        "quality": pa.array(history.quality[order]),
        "carbon": pa.array(history.carbon[order]),
    }


def _words(codes: np.ndarray[Any, Any], names: Sequence[str]) -> pa.Array:
    """Return codes as text, stored once a word; the last name stands for code -1 as well."""
    import pyarrow as pa

    index = np.where(codes < 0, len(names) - 1, codes).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(index), pa.array(list(names), pa.string()))


def _write(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, temporary, row_group_size=_ROWS_A_GROUP)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"can't write passports {path}: {error}; make room, then repeat the command"
        ) from error


def _about(schema: pa.Schema, folder: Path) -> dict[str, str]:
    about = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    if about.get("schema_version") != str(SCHEMA_VERSION):
        raise InputError(
            f"the passports in {folder} have schema version {about.get('schema_version')}, this circularbench reads "
            f"version {SCHEMA_VERSION}: make them again"
        )
    return about


def _month(number: int) -> str:
    return f"{number // MONTHS_PER_YEAR:04d}-{number % MONTHS_PER_YEAR + 1:02d}"


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
