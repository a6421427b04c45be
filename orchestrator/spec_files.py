"""What an experiment file refers to: a network, its tables, instruments and timelines in files of their own.

All of it is read in, so that the experiment stands alone afterwards.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.faults import Fault, Place, list_at, shown, value_at
from orchestrator.network_reader import FILE_SUFFIXES, read_network
from orchestrator.timeline_reader import read_timeline
from orchestrator.yaml_reader import Document, parse, read_text
from sim_core.errors import SpecError

_INSTRUMENT_SUFFIXES = (".json", *FILE_SUFFIXES)


def with_files(document: Document, folder: Path) -> Document:
    """Return a document whose network and law stand in its value; what is wrong with them is in its faults."""
    for name, read in (
        ("network", _read_network),
        ("instruments", _read_instruments),
        ("timelines", _read_timelines),
    ):
        given = value_at(document.value, "suite", name)
        if given is not None and not document.is_unread(("suite", name)):
            document = read(document, given, folder)
    return document


def _read_network(document: Document, given: Any, folder: Path) -> Document:
    if not isinstance(given, Mapping) and not str(given).endswith(FILE_SUFFIXES):
        return document  # a template's name, which the field checks
    path = ("suite", "network")
    found = read_network(given, document=document, path=path, folder=folder)
    if found.faults:
        # The field would object to the same once more.
        faults = (*document.faults, *found.faults)
        return replace(document, faults=faults, unread=document.unread | {path})
    return _put(document, "network", found.tree)


def _read_instruments(document: Document, given: Any, folder: Path) -> Document:
    if not isinstance(given, list) or not any(isinstance(item, str) for item in given):
        return document
    forms: list[Any] = []
    faults: list[Fault] = []
    for index, item in enumerate(list_at(document.value, "suite", "instruments")):
        path = ("suite", "instruments", index)
        if not isinstance(item, str):
            forms.append(item)
        elif not item.endswith(_INSTRUMENT_SUFFIXES):
            message = f"must be an instrument, or the name of a file of them ({', '.join(_INSTRUMENT_SUFFIXES)})"
            faults.append(Fault(place=document.place(path), path=path, message=message, got=shown(item)))
        else:
            value, more = _read_file(folder / item)
            faults += more
            forms += value if isinstance(value, list) else [value]
    if faults:
        unread = document.unread | {("suite", "instruments")}
        return replace(document, faults=(*document.faults, *faults), unread=unread)
    return _put(document, "instruments", forms)


def _read_timelines(document: Document, given: Any, folder: Path) -> Document:
    if not isinstance(given, list) or not any(isinstance(item, str) for item in given):
        return document
    forms: list[Any] = []
    faults: list[Fault] = []
    for index, item in enumerate(given):
        try:
            forms.append(read_timeline(folder / item) if isinstance(item, str) else item)
        except SpecError as error:
            path = ("suite", "timelines", index)
            faults.append(Fault(place=document.place(path), path=path, message=error.message))
    if faults:
        unread = document.unread | {("suite", "timelines")}
        return replace(document, faults=(*document.faults, *faults), unread=unread)
    return _put(document, "timelines", forms)


def _read_file(path: Path) -> tuple[Any, list[Fault]]:
    name, start = str(path), Place(1, 1)
    try:
        text = read_text(path)
        if path.suffix == ".json":
            return json.loads(text), []
    except SpecError as error:
        return None, [Fault(place=start, message=error.message.removeprefix(f"{name}:1:1: "), file=name)]
    except json.JSONDecodeError as error:
        return None, [Fault(place=Place(error.lineno, error.colno), message=f"not valid JSON: {error.msg}", file=name)]
    document = parse(text, name)
    return document.value, [replace(fault, file=name) for fault in document.faults]


def _put(document: Document, name: str, value: Any) -> Document:
    suite = {**document.value["suite"], name: value}
    return replace(document, value={**document.value, "suite": suite})
