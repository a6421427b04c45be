"""Faults of a file: where each stands, what is wrong, the value met and what to do instead."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from sim_core.errors import SpecError

_MAX_LISTED = 200
_SHOWN_LENGTH = 60

TreePath = tuple[str | int, ...]


class Place(NamedTuple):
    """Where something stands in a file; both count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a file: where, which field, what, the value met and what to do instead.

    file: of a fault that stands in another file than the one that was asked for.
    """

    place: Place
    message: str
    path: TreePath = ()
    got: str = ""
    hint: str = ""
    file: str = ""

    def line(self, name: str) -> str:
        """Return the one line `file:line:column: field.path: message (got VALUE); hint`."""
        where = f"{self.file or name}:{self.place.line}:{self.place.column}: "
        field_path = f"{dotted(self.path)}: " if self.path else ""
        got = f" (got {self.got})" if self.got else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}{field_path}{self.message}{got}{hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A fault in a plain tree, not yet placed in a file. key: it concerns the field's name, not its value."""

    path: TreePath
    message: str
    hint: str = ""
    key: bool = False


def dotted(path: TreePath) -> str:
    """Return a path as users write it: suite.splits.train, entries[2].search."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


def shown(value: Any) -> str:
    """Return a short, printable form of a value for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."


def value_at(tree: Any, *path: str | int) -> Any:
    """Return what stands at a path, None where there is no such place."""
    for part in path:
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, (list, tuple)) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def whole_at(tree: Any, *path: str | int) -> int | None:
    """Return the whole number at a path, None where there is none."""
    value = value_at(tree, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_at(tree: Any, *path: str | int) -> str | None:
    """Return the text at a path, None where there is none."""
    value = value_at(tree, *path)
    return value if isinstance(value, str) else None


def list_at(tree: Any, *path: str | int) -> list[Any]:
    """Return the items of the list at a path, none where there is no list."""
    value = value_at(tree, *path)
    return list(value) if isinstance(value, (list, tuple)) else []


def numbers_at(tree: Any, *path: str | int) -> dict[str, float]:
    """Return what the mapping at a path holds of numbers, by name; empty where there is no mapping."""
    value = value_at(tree, *path)
    items = value.items() if isinstance(value, Mapping) else ()
    return {
        name: float(number)
        for name, number in items
        if isinstance(name, str) and isinstance(number, (int, float)) and not isinstance(number, bool)
    }


def repeats(items: Sequence[Any], path: TreePath, message: str) -> Iterator[Objection]:
    """Yield an objection for each text of a list that stands in it before."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, str):
            continue
        if item in seen:
            yield Objection(path=(*path, index), message=message, hint="remove one of them")
        seen.add(item)


def spec_error(name: str, faults: Sequence[Fault]) -> SpecError:
    """Return the one SpecError that lists all faults in the order of the file, then those of the files it names."""
    ordered = sorted(faults, key=lambda fault: (fault.file, fault.place))
    lines = list(dict.fromkeys(fault.line(name) for fault in ordered))
    if len(lines) > _MAX_LISTED:
        lines[_MAX_LISTED:] = [f"{name}: and {len(lines) - _MAX_LISTED} more"]
    return SpecError("\n".join(lines))


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest known word, else the list of what is known."""
    plain = {_folded(name): name for name in known}
    close = get_close_matches(_folded(word), list(plain), n=1)
    if close:
        return f"did you mean '{plain[close[0]]}'?"
    names = list(plain.values())
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known: {', '.join(names[:12])}{more}"


def _folded(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")
