"""Generated scenarios as Arrow tables: a row for each recipe, and a row for each scenario and period of its paths."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sim_core.engine.layout import Layout
from sim_core.generate.contract import SCHEMA_VERSION
from sim_core.generate.paths import Paths
from sim_core.generate.recipe import Recipe, instruments
from sim_core.generate.tiers import felt, horizon, notices, pressure, tier_of
from sim_core.network import LaneGroup, Network, NodeKind
from sim_core.suite import SuiteDefinition
from sim_core.units import month_starts, parse_month

# Unit of each field of Paths, and what its columns stand for beside the period.
_MARKET, _PRODUCT, _MATERIAL = "market", "product", "material"
_PATHS: dict[str, tuple[str, tuple[str | NodeKind | LaneGroup, ...]]] = {
    "demand": ("units/month", (_MARKET, _PRODUCT)),
    "virgin_price": ("EUR/kg", (_MATERIAL,)),
    "external_price": ("EUR/kg", (_MATERIAL,)),
    "external_capacity": ("kg/month", (_MATERIAL,)),
    "carbon_price": ("EUR/t", ()),
    "product_price": ("EUR/unit", (_PRODUCT,)),
    "collection_share": ("fraction", (_PRODUCT,)),
    "supplier_available": ("fraction", (NodeKind.SUPPLIER,)),
    "plant_available": ("fraction", (NodeKind.PLANT,)),
    "remanufacturer_available": ("fraction", (NodeKind.REMANUFACTURER,)),
    "recycler_available": ("fraction", (NodeKind.RECYCLER,)),
    "virgin_open": ("fraction", (LaneGroup.VIRGIN,)),
    "goods_open": ("fraction", (LaneGroup.GOODS,)),
    "collector_returns": ("units/month", (NodeKind.COLLECTOR, _PRODUCT)),
    "remanufacturer_returns": ("units/month", (NodeKind.REMANUFACTURER, _PRODUCT)),
}


class Series(NamedTuple):
    """A column of paths: its name "field:market:product", its unit, its field of Paths, its place beside the period."""

    name: str
    unit: str
    field: str
    place: tuple[int, ...]


def _field(name: str, kind: pa.DataType, unit: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit})


RECIPES = pa.schema(
    [
        _field("scenario", pa.string(), "family/index"),
        _field("split", pa.string(), "name"),
        _field("family", pa.string(), "name"),
        _field("index", pa.int64(), "1"),
        _field("seed", pa.int64(), "1"),
        _field("tier", pa.string(), "name"),
        _field("pressure", pa.float64(), "1"),
        _field("events", pa.int32(), "1"),
        _field("events_felt", pa.int32(), "1"),
        _field("instruments_revised", pa.int32(), "1"),
        _field("shortest_notice", pa.int32(), "days", nullable=True),
        _field("notices", pa.list_(pa.int32()), "days"),
        _field("recipe", pa.string(), "JSON"),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)


def recipes_table(suite: SuiteDefinition, split: str, recipes: Sequence[Recipe]) -> pa.Table:
    """Return a row for each recipe, in their order."""
    rows = [_recipe_row(suite, split, recipe) for recipe in recipes]
    columns = zip(*rows, strict=True) if rows else [()] * len(RECIPES)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, RECIPES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=RECIPES)


def _recipe_row(suite: SuiteDefinition, split: str, recipe: Recipe) -> tuple[object, ...]:
    noticed: tuple[int | None, ...] = ()
    if recipe.events:  # the law need not be put together where nobody revises it
        noticed = notices(recipe, instruments(suite, recipe), horizon(suite))
    pressing, effective = pressure(recipe, noticed), felt(recipe, noticed).events
    revised = {target for event in effective for target in event.targets}
    return (
        recipe.scenario,
        split,
        recipe.family,
        recipe.index,
        recipe.seed,
        tier_of(pressing),
        pressing,
        len(recipe.events),
        len(effective),
        len(revised),
        min((days for days in noticed if days is not None), default=None),
        noticed,
        recipe.to_json(),
    )


def series_of(layout: Layout) -> tuple[Series, ...]:
    """Return the columns of a suite's paths, in the order of the fields of Paths; no name stands there twice."""
    names = _axes(layout)
    found: list[Series] = []
    for path in fields(Paths):
        unit, axes = _PATHS[path.name]
        shape = tuple(len(names[axis]) for axis in axes)
        for place in np.ndindex(shape):
            words = [names[axis][i] for axis, i in zip(axes, place, strict=True)]
            found.append(Series(":".join((path.name, *words)), unit, path.name, place))
    return tuple(found)


def paths_schema(series: Sequence[Series]) -> pa.Schema:
    """Return the schema of a table of paths."""
    first = [
        _field("scenario", pa.string(), "family/index"),
        _field("period", pa.int32(), "months since the start"),
        _field("month", pa.date32(), "first day of the month"),
    ]
    columns = [_field(one.name, pa.float64(), one.unit) for one in series]
    return pa.schema([*first, *columns], metadata={"schema_version": str(SCHEMA_VERSION)})


def paths_table(
    suite: SuiteDefinition, series: Sequence[Series], scenarios: Sequence[str], paths: Sequence[Paths]
) -> pa.Table:
    """Return a row for each scenario and period, scenarios in their order."""
    count, periods = len(scenarios), suite.periods
    days = month_starts(parse_month(suite.start), periods)[:-1] - date(1970, 1, 1).toordinal()
    arrays = [
        pa.array(scenarios, pa.string()).take(pa.array(np.repeat(np.arange(count), periods))),
        pa.array(np.tile(np.arange(periods, dtype=np.int32), count)),
        pa.array(np.tile(days.astype(np.int32), count)).cast(pa.date32()),
    ]
    for one in series:
        values = [getattr(path, one.field)[(slice(None), *one.place)] for path in paths]
        arrays.append(pa.array(np.concatenate(values) if values else np.empty(0)))
    return pa.Table.from_arrays(arrays, schema=paths_schema(series))


def _axes(layout: Layout) -> dict[str | NodeKind | LaneGroup, list[str]]:
    """Return what the places of each axis of Paths are called."""
    network = layout.network
    found: dict[str | NodeKind | LaneGroup, list[str]] = {
        _MARKET: _nodes(network, NodeKind.MARKET),
        _PRODUCT: [product.label for product in layout.suite.products],
        _MATERIAL: list(layout.products.materials),
    }
    for _, axes in _PATHS.values():
        for axis in axes:
            if isinstance(axis, NodeKind):
                found[axis] = _nodes(network, axis)
            elif isinstance(axis, LaneGroup):
                found[axis] = _told_apart([network.title(lane) for lane in network.in_group(axis)])
    return found


def _nodes(network: Network, kind: NodeKind) -> list[str]:
    return [network.nodes[i].name for i in network.of_kind(kind)]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names with a number behind those that stand there again: two lanes may join the same nodes."""
    return [name if (again := names[:i].count(name)) == 0 else f"{name} #{again + 1}" for i, name in enumerate(names)]
