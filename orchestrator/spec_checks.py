"""Rules of the experiment file that join several fields.

They work on the plain tree as read, ignore what is missing or of a wrong type (the fields' own checks report
that), and so run beside the fields' checks: users see all faults at once.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.faults import Objection, TreePath, near_miss, value_at
from sim_core.catalogue import ARCHETYPES, archetype
from sim_core.catalogue import objections as override_objections
from sim_core.suite import SPLITS

MONTHS_IN_YEAR = 12

# what an Entry with this controller must give: "nothing", "search", or one of "search or parameters"
CONTROLLERS: Mapping[str, str] = {
    "linear": "nothing",
    "compliance_base_stock": "search or parameters",
    "schedule": "search",
}


def objections(tree: Any) -> list[Objection]:
    """Return what is wrong across the fields of an experiment, in no particular order."""
    return [
        *_horizon(tree),
        *_splits(tree),
        *_catalogue_names(tree),
        *_levers(tree),
        *_entry_names(tree),
        *_controllers(tree),
        *_searches(tree),
    ]


def _horizon(tree: Any) -> Iterator[Objection]:
    start = _text(tree, "suite", "start")
    if start is not None and re.fullmatch("[0-9]{4}-(0[2-9]|1[0-2])", start):
        yield Objection(
            path=("suite", "start"),
            message="must be a January: compliance windows are calendar years, and a part of a year can't be judged",
            hint=f"write {start[:4]}-01",
        )
    for name in ("warm_up", "scored"):
        months = _whole(tree, "suite", name)
        if months is not None and months > 0 and months % MONTHS_IN_YEAR:
            yield Objection(
                path=("suite", name),
                message="must be a multiple of 12: compliance windows are calendar years, scored whole or not at all",
                hint=f"write {max(MONTHS_IN_YEAR, round(months / MONTHS_IN_YEAR) * MONTHS_IN_YEAR)}",
            )


def _splits(tree: Any) -> Iterator[Objection]:
    for split in SPLITS:
        path: TreePath = ("suite", "splits", split, "families")
        families = _sequence(tree, *path)
        yield from _repeats(families, path, "the family is listed twice")
        for index, family in enumerate(families):
            seen = _split_before_test(tree, family) if split == "test" else None
            if seen:
                yield Objection(
                    path=(*path, index),
                    message=f"the family is in {seen} too; a test family must be one that nothing was tuned on",
                    hint="remove it from one of the two",
                )
        scenarios = _whole(tree, "suite", "splits", split, "scenarios")
        if scenarios is not None and 0 < scenarios < len(families):
            yield Objection(
                path=("suite", "splits", split, "scenarios"),
                message=f"fewer scenarios than the split's {len(families)} families: some would never be simulated",
                hint=f"write at least {len(families)}",
            )


def _split_before_test(tree: Any, family: Any) -> str | None:
    """Return the split, of those used before the test, that holds a family."""
    before = ("train", "validation")
    return next((name for name in before if family in _sequence(tree, "suite", "splits", name, "families")), None)


def _catalogue_names(tree: Any) -> Iterator[Objection]:
    name = _text(tree, "suite", "archetype")
    if name not in ARCHETYPES:
        return
    product = archetype(name)
    for field, kind, known in (
        ("shortfall_price", "material", product.materials),
        ("overrides", "parameter", tuple(product.parameters)),
    ):
        given = value_at(tree, "suite", field)
        for word in given if isinstance(given, Mapping) else ():
            if word not in known:
                message = f"unknown {kind} of archetype {name}"
                yield Objection(path=("suite", field, word), message=message, hint=near_miss(word, known), key=True)
    given = value_at(tree, "suite", "overrides")
    numbers = {
        word: float(value)
        for word, value in (given.items() if isinstance(given, Mapping) else ())
        if word in product.parameters and isinstance(value, int | float) and not isinstance(value, bool)
    }
    for word, message in override_objections(product, numbers):
        yield Objection(path=("suite", "overrides", word), message=message)


def _levers(tree: Any) -> Iterator[Objection]:
    path: TreePath = ("suite", "levers")
    yield from _repeats(_sequence(tree, *path), path, "the lever is listed twice")


def _entry_names(tree: Any) -> Iterator[Objection]:
    names: dict[str, int] = {}
    for index in range(len(_sequence(tree, "entries"))):
        name = _text(tree, "entries", index, "name")
        if name is not None and names.setdefault(name, index) != index:
            message = f"the name is taken by entries[{names[name]}]"
            yield Objection(path=("entries", index, "name"), message=message, hint="give each Entry its own")
    reference = _text(tree, "reference")
    if names and reference is not None and reference not in names:
        message = "differences are paired against this Entry, but entries has none of that name"
        yield Objection(path=("reference",), message=message, hint=near_miss(reference, names))


def _controllers(tree: Any) -> Iterator[Objection]:
    for index in range(len(_sequence(tree, "entries"))):
        controller = _text(tree, "entries", index, "controller")
        need = CONTROLLERS.get(controller or "")
        if need is None:
            continue
        searched, fixed = (value_at(tree, "entries", index, name) is not None for name in ("search", "parameters"))
        if need != "nothing" and not searched and not (fixed and "parameters" in need):
            message = f"controller {controller} needs {need}"
            yield Objection(path=("entries", index, "search"), message=message, hint="add it to this Entry")
        if need == "nothing" and searched:
            message = f"controller {controller} has nothing to search for"
            yield Objection(path=("entries", index, "search"), message=message, hint="remove it", key=True)
        if fixed and "parameters" not in need:
            message = f"controller {controller} takes no fixed parameters"
            yield Objection(path=("entries", index, "parameters"), message=message, hint="remove it", key=True)
        elif fixed and searched:
            message = "an Entry gives either search or parameters"
            yield Objection(path=("entries", index, "parameters"), message=message, hint="remove one of them", key=True)


def _searches(tree: Any) -> Iterator[Objection]:
    available = _whole(tree, "suite", "splits", "train", "scenarios")
    for index in range(len(_sequence(tree, "entries"))):
        path: TreePath = ("entries", index, "search")
        evaluations, width = _whole(tree, *path, "evaluations"), _whole(tree, *path, "width")
        for field, limit, what in (
            ("scenarios", available, "scenarios of the train split"),
            ("width", evaluations, "evaluations"),
            ("finalists", evaluations, "evaluations"),
            ("actors", width, "candidates of a generation (width)"),
        ):
            value = _whole(tree, *path, field)
            if value is not None and limit is not None and value > limit > 0:
                message = f"is more than the {limit} {what}"
                yield Objection(path=(*path, field), message=message, hint=f"write at most {limit}")


def _repeats(items: list[Any], path: TreePath, message: str) -> Iterator[Objection]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, str):
            continue
        if item in seen:
            yield Objection(path=(*path, index), message=message, hint="remove one of them")
        seen.add(item)


def _whole(tree: Any, *path: str | int) -> int | None:
    value = value_at(tree, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(tree: Any, *path: str | int) -> str | None:
    value = value_at(tree, *path)
    return value if isinstance(value, str) else None


def _sequence(tree: Any, *path: str | int) -> list[Any]:
    value = value_at(tree, *path)
    return list(value) if isinstance(value, (list, tuple)) else []
