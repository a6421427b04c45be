"""Rules of the experiment file that join several fields of the suite; those of its Entries are in entry_checks.

They work on the plain tree as read, ignore what is missing or of a wrong type (the fields' own checks report
that), and so run beside the fields' checks: users see all faults at once.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.entry_checks import entry_objections
from orchestrator.faults import (
    Objection,
    TreePath,
    list_at,
    near_miss,
    numbers_at,
    repeats,
    text_at,
    value_at,
    whole_at,
)
from sim_core.catalogue import ARCHETYPES, LIFETIMES, MOST_LIVES, Archetype, archetype, with_lifetime, with_lives
from sim_core.catalogue import objections as override_objections
from sim_core.errors import ModelError
from sim_core.generate.families import FAMILY_NAMES
from sim_core.generate.timeline import family_of
from sim_core.policy.instrument import PolicyInstrument
from sim_core.suite import SPLITS, WITHOUT_LAW
from sim_core.units import MONTHS_PER_YEAR


def objections(tree: Any) -> list[Objection]:
    """Return what is wrong across the fields of an experiment, in no particular order."""
    instruments, refused = _instruments(tree)
    return [
        *refused,
        *(_horizon(tree) if _judged_by_year(tree, instruments) else ()),
        *_splits(tree),
        *_products(tree),
        *_overrides(tree),
        *_shortfall_prices(tree, instruments),
        *_timelines(tree),
        *_levers(tree),
        *entry_objections(tree),
    ]


def structural_templates(tree: Any) -> list[str]:
    """Return the archetypes of a suite that run but may not stand on a leaderboard."""
    return [base.name for _, base in _archetypes(tree) if not base.ranked]


def _judged_by_year(tree: Any, instruments: Mapping[str, PolicyInstrument]) -> bool:
    """Tell whether compliance is judged over windows of whole years."""
    families = {str(family) for split in SPLITS for family in list_at(tree, "suite", "splits", split, "families")}
    duties = (one for one in instruments.values() if one.acts == "duty")
    return bool(families - {WITHOUT_LAW}) or any(one.window.months % MONTHS_PER_YEAR == 0 for one in duties)


def _horizon(tree: Any) -> Iterator[Objection]:
    start = text_at(tree, "suite", "start")
    if start is not None and re.fullmatch("[0-9]{4}-(0[2-9]|1[0-2])", start):
        yield Objection(
            path=("suite", "start"),
            message="must be a January: compliance windows are calendar years, and a part of a year can't be judged",
            hint=f"write {start[:4]}-01",
        )
    for name in ("warm_up", "scored"):
        months = whole_at(tree, "suite", name)
        if months is not None and months > 0 and months % MONTHS_PER_YEAR:
            yield Objection(
                path=("suite", name),
                message="must be a multiple of 12: compliance windows are calendar years, scored whole or not at all",
                hint=f"write {max(MONTHS_PER_YEAR, round(months / MONTHS_PER_YEAR) * MONTHS_PER_YEAR)}",
            )


def _splits(tree: Any) -> Iterator[Objection]:
    timelines = list_at(tree, "suite", "timelines")
    known = (*FAMILY_NAMES, *(name for name in (text_at(one, "name") for one in timelines) if name is not None))
    unread = any(isinstance(one, str) for one in timelines)  # then a family may be the one that could not be read
    for split in SPLITS:
        path: TreePath = ("suite", "splits", split, "families")
        families = list_at(tree, *path)
        yield from repeats(families, path, "the family is listed twice")
        for index, family in enumerate(families):
            if isinstance(family, str) and family not in known and not unread:
                yield Objection(path=(*path, index), message="unknown family", hint=near_miss(family, known))
            new = split != "test" or family == WITHOUT_LAW
            seen = None if new else _split_before_test(tree, family)
            if seen:
                yield Objection(
                    path=(*path, index),
                    message=f"the family is in {seen} too; a test family must be one that nothing was tuned on",
                    hint="remove it from one of the two",
                )
        scenarios = whole_at(tree, "suite", "splits", split, "scenarios")
        if scenarios is not None and 0 < scenarios < len(families):
            yield Objection(
                path=("suite", "splits", split, "scenarios"),
                message=f"fewer scenarios than the split's {len(families)} families: some would never be simulated",
                hint=f"write at least {len(families)}",
            )


def _split_before_test(tree: Any, family: Any) -> str | None:
    """Return the split, of those used before the test, that holds a family."""
    before = ("train", "validation")
    return next((name for name in before if family in list_at(tree, "suite", "splits", name, "families")), None)


def _products(tree: Any) -> Iterator[Objection]:
    products = list_at(tree, "suite", "products")
    single = value_at(tree, "suite", "archetype") is not None
    if isinstance(value_at(tree, "suite"), Mapping) and not single and not products:
        message = "a suite needs an archetype, or a list of products"
        yield Objection(path=("suite", "archetype"), message=message, hint=f"known: {', '.join(ARCHETYPES)}")
    for field in ("archetype", "overrides", "lifetime", "lives") if products else ():
        if value_at(tree, "suite", field):
            message = "stands for the suite's only product, but there is a list of products"
            yield Objection(path=("suite", field), message=message, hint="give it to each of the products", key=True)
    labels: dict[str, int] = {}
    for index in range(len(products)):
        given = text_at(tree, "suite", "products", index, "name")
        label = given or text_at(tree, "suite", "products", index, "archetype")
        if label is not None and labels.setdefault(label, index) != index:
            message = f"the product is called {label!r} like products[{labels[label]}]"
            path: TreePath = ("suite", "products", index, "name" if given else "archetype")
            yield Objection(path=path, message=message, hint="give each a name of its own")


def _archetypes(tree: Any) -> Iterator[tuple[TreePath, Archetype]]:
    """Yield the path of each product whose archetype is known, and the archetype with its lifetime and lives."""
    paths: list[TreePath] = [("suite", "products", i) for i in range(len(list_at(tree, "suite", "products")))]
    for path in paths or [("suite",)]:
        name, lifetime = text_at(tree, *path, "archetype"), text_at(tree, *path, "lifetime")
        if name in ARCHETYPES:
            lives = whole_at(tree, *path, "lives") or 0
            base = with_lives(archetype(name), lives if 0 < lives <= MOST_LIVES else 0)
            yield path, with_lifetime(base, lifetime if lifetime in LIFETIMES else "")


def _overrides(tree: Any) -> Iterator[Objection]:
    for path, product in _archetypes(tree):
        given = value_at(tree, *path, "overrides")
        known = tuple(product.parameters)
        for word in given if isinstance(given, Mapping) else ():
            if word not in known:
                message = f"unknown parameter of archetype {product.name}"
                hint = near_miss(str(word), known)
                yield Objection(path=(*path, "overrides", word), message=message, hint=hint, key=True)
        numbers = numbers_at(tree, *path, "overrides")
        for word, message in override_objections(product, {name: numbers[name] for name in numbers if name in known}):
            yield Objection(path=(*path, "overrides", word), message=message)


def _shortfall_prices(tree: Any, instruments: Mapping[str, PolicyInstrument]) -> Iterator[Objection]:
    from sim_core.catalogue.law import law

    given = value_at(tree, "suite", "shortfall_price")
    materials = dict.fromkeys(material for _, product in _archetypes(tree) for material in product.materials)
    if not isinstance(given, Mapping) or not given or not list(_archetypes(tree)):
        return
    known = (*materials, *instruments, *dict.fromkeys(row.instrument for row in law() if row.binds))
    for word in given:
        if word not in known:
            message = "is neither a material of the suite's products nor an instrument"
            path: TreePath = ("suite", "shortfall_price", word)
            yield Objection(path=path, message=message, hint=near_miss(str(word), known), key=True)


def _instruments(tree: Any) -> tuple[dict[str, PolicyInstrument], list[Objection]]:
    """Return the suite's own instruments by id, and what is wrong with the others."""
    found: dict[str, PolicyInstrument] = {}
    refused: list[Objection] = []
    for index, form in enumerate(list_at(tree, "suite", "instruments")):
        path: TreePath = ("suite", "instruments", index)
        if not isinstance(form, Mapping):
            continue
        try:
            instrument = PolicyInstrument.from_json(form)
        except ModelError as error:
            refused.append(Objection(path=path, message=error.message))
            continue
        if instrument.id in found:
            message = f"the id {instrument.id!r} is taken by another of the suite's instruments"
            refused.append(Objection(path=(*path, "id"), message=message, hint="give each its own"))
        found[instrument.id] = instrument
    return found, refused


def _timelines(tree: Any) -> Iterator[Objection]:
    path: TreePath = ("suite", "timelines")
    seen: list[str] = []
    for index, form in enumerate(list_at(tree, *path)):
        if not isinstance(form, Mapping):
            continue
        try:
            name = family_of(form).name
        except ModelError as error:
            yield Objection(path=(*path, index), message=error.message)
            continue
        if name in seen:
            yield Objection(path=(*path, index, "name"), message="another timeline is called so", hint="rename one")
        seen.append(name)


def _levers(tree: Any) -> Iterator[Objection]:
    path: TreePath = ("suite", "levers")
    yield from repeats(list_at(tree, *path), path, "the lever is listed twice")
