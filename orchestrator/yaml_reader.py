"""A strict reader of YAML: a plain tree, the place of every key and value, and every fault at once.

PyYAML parses the text into events; the tree is built from them without recursion, by the rules of the YAML 1.2 core
schema. What YAML versions or people read in two ways is refused with a remedy: duplicate keys, anchors and
aliases, tags, merge keys, yes/no/on/off, 1:30, 010, 0o10, 0x10, 1_000, NaN and infinity. Dates stay text.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from orchestrator.faults import Fault, Place, TreePath, shown, spec_error
from orchestrator.yaml_scalars import resolve

MAX_BYTES = 1 << 22
MAX_DEPTH = 50
MAX_NODES = 20_000
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_SHOWN_LENGTH = 60

_REMEDIES = (
    ("'\\t'", "a tab stands where only spaces may: indent with spaces"),
    ("mapping values are not allowed", "quote a text that holds ': ', and check the indentation"),
    ("could not find expected ':'", "check the indentation, and that every key ends in ':'"),
    ("but found another document", "keep one document a file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as read.

    value: dict, list, str, int, float, bool or None, nested; None where `faults` says why (those paths are in
    `unread`). whole is False when reading stopped early: then value is None and says nothing.
    """

    name: str
    value: Any
    keys: dict[TreePath, Place]
    values: dict[TreePath, Place]
    faults: tuple[Fault, ...]
    unread: frozenset[TreePath]
    whole: bool

    def place(self, path: TreePath, *, key: bool = False) -> Place:
        """Return where the value (or, on demand, the key) at a path stands, or the nearest thing that encloses it."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        if path in first or path in second:
            return first.get(path) or second[path]
        for length in range(len(path) - 1, 0, -1):
            for places in (self.keys, self.values):
                if path[:length] in places:
                    return places[path[:length]]
        return self.values.get((), Place(1, 1))

    def is_unread(self, path: TreePath) -> bool:
        """Tell whether a fault already explains the value at a path or one that encloses it."""
        return any(path[:length] in self.unread for length in range(len(path) + 1))


def read(path: str | Path) -> Document:
    """Read a file. Raises SpecError with every fault that makes it unreadable or ambiguous."""
    document = parse(read_text(path), str(path))
    if document.faults:
        raise spec_error(document.name, document.faults)
    return document


def read_text(path: str | Path) -> str:
    """Return a file's text. Raises SpecError when it can't be opened, is larger than MAX_BYTES or isn't UTF-8."""
    start = Place(1, 1)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise spec_error(str(path), [Fault(place=start, message=f"can't be read: {reason}")]) from error
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES} bytes: keep tables in files of their own"
        raise spec_error(str(path), [Fault(place=start, message=message)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_at(data[: error.start].decode("utf-8", errors="replace"))
        raise spec_error(str(path), [Fault(place=place, message="not UTF-8: save the file as UTF-8")]) from error


def parse(text: str, name: str) -> Document:
    """Build the tree of a text. Never raises: what is wrong is in the document's faults."""
    builder = _Builder()
    try:
        loader = _Loader(text)
        try:
            while builder.going and loader.check_event():
                builder.take(loader.get_event())
        except (ValueError, OverflowError):  # PyYAML lets these out
            builder.stop(_place(loader.get_mark()), "not valid YAML: an escape or a version number is out of range")
    except _TooDeepError as error:
        builder.stop(error.place, _TOO_DEEP)
    except yaml.MarkedYAMLError as error:
        _stop_at_syntax(builder, error)
    except ReaderError as error:
        place = _place_at(text[: error.position])
        builder.stop(place, f"character U+{int(error.character):04X} is not allowed in YAML: remove it")
    return builder.document(name)


def dump(value: Any) -> str:
    """Return the YAML text of a plain tree; `parse` gives back an equal tree."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


@dataclass(slots=True)
class _Frame:
    """An open mapping or list; `key` is the mapping's key that waits for its value."""

    container: dict[str, Any] | list[Any]
    path: TreePath
    key: str | None = None
    repeated: bool = False  # the waiting key was given before: its value is read, checked and dropped


@dataclass(slots=True)
class _Builder:
    """Turns PyYAML's events into a tree with an explicit stack."""

    going: bool = True
    value: Any = None
    keys: dict[TreePath, Place] = field(default_factory=dict)
    values: dict[TreePath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unread: set[TreePath] = field(default_factory=set)
    frames: list[_Frame] = field(default_factory=list)
    nodes: int = 0
    documents: int = 0

    def document(self, name: str) -> Document:
        if self.going and not self.documents:
            self.stop(Place(1, 1), "the file is empty")
        return Document(
            name=name,
            value=self.value if self.going else None,
            keys=self.keys,
            values=self.values,
            faults=tuple(self.faults),
            unread=frozenset(self.unread),
            whole=self.going,
        )

    def stop(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place=place, message=message))
        self.going = False

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.stop(_place(event.start_mark), "a second document ('---') begins: keep one document a file")
            case yaml.CollectionEndEvent():
                self.frames.pop()
            case yaml.NodeEvent():
                self._take_node(event)
            case _:
                pass

    def _take_node(self, event: yaml.NodeEvent) -> None:
        place = _place(event.start_mark)
        self.nodes += 1
        frame = self.frames[-1] if self.frames else None
        if self.nodes > MAX_NODES:
            self.stop(place, f"more than {MAX_NODES} keys and values: keep tables in files of their own")
        elif frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, place)
        else:
            self._take_value(event, place)

    def _take_key(self, frame: _Frame, event: yaml.NodeEvent, place: Place) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self.stop(place, "a key must be plain text, not a list, a mapping or an alias")
            return
        key = event.value
        path = (*frame.path, key)
        frame.key, frame.repeated = key, path in self.keys
        self._refuse_marks(event, path, place)
        if frame.repeated:
            first = self.keys[path].line
            self._fault(path, place, f"the key is given twice, first in line {first}", "remove one of them")
            return
        self.keys[path] = place
        value = self._scalar(event, path, place)
        if event.style is None and key == "<<":
            self._unreadable(path, place, "merge keys ('<<') are refused", "write the fields out")
        elif path not in self.unread and not isinstance(value, str):
            self._unreadable(path, place, f"a key must be text (got {shown(value)})", "quote it")

    def _take_value(self, event: yaml.NodeEvent, place: Place) -> None:
        path = self._next_path()
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_marks(event, path, place)
            value = self._scalar(event, path, place)
        else:
            self._unreadable(path, place, f"an alias (*{_name(event)}) is refused", "write the value out")
            value = None
        self._put(path, value, place)

    def _open(self, event: yaml.CollectionStartEvent, place: Place) -> None:
        if len(self.frames) == MAX_DEPTH:
            self.stop(place, _TOO_DEEP)
            return
        path = self._next_path()
        self._refuse_marks(event, path, place)
        frame = _Frame([] if isinstance(event, yaml.SequenceStartEvent) else {}, path)
        self._put(path, frame.container, place)
        self.frames.append(frame)

    def _next_path(self) -> TreePath:
        if not self.frames:
            return ()
        frame = self.frames[-1]
        return (*frame.path, len(frame.container) if isinstance(frame.container, list) else frame.key or "")

    def _put(self, path: TreePath, value: Any, place: Place) -> None:
        self.values.setdefault(path, place)
        if not self.frames:
            self.value = value
            return
        frame = self.frames[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif frame.key is not None:
            if not frame.repeated:
                frame.container[frame.key] = value
            frame.key = None

    def _scalar(self, event: yaml.ScalarEvent, path: TreePath, place: Place) -> Any:
        try:
            value = resolve(event.value) if event.style is None else event.value
        except ValueError as error:
            self.faults.append(Fault(place=place, path=path, message=str(error), got=event.value[:_SHOWN_LENGTH]))
            self.unread.add(path)
            return None
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            self._unreadable(path, place, "half a surrogate pair is no character", "write the character itself")
        return value

    def _refuse_marks(self, event: yaml.NodeEvent, path: TreePath, place: Place) -> None:
        if event.anchor is not None:
            self._fault(path, place, f"an anchor (&{_name(event)}) is refused", "write each value out where it's used")
        tag = getattr(event, "tag", None)
        if tag is None:
            return
        self._fault(path, place, f"an explicit tag ({shown(tag)}) is refused", "remove it, or quote the value for text")
        if isinstance(event, yaml.ScalarEvent):
            self.unread.add(path)

    def _fault(self, path: TreePath, place: Place, message: str, hint: str) -> None:
        self.faults.append(Fault(place=place, path=path, message=message, hint=hint))

    def _unreadable(self, path: TreePath, place: Place, message: str, hint: str) -> None:
        self._fault(path, place, message, hint)
        self.unread.add(path)


class _TooDeepError(Exception):
    """Brackets are nested too deep."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


class _Loader(yaml.SafeLoader):
    """Counts brackets while scanning: the scanner reads far ahead, in time that grows with the square of the depth."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 (PyYAML gives the name)
        """Take an opening bracket."""
        if self.flow_level == MAX_DEPTH:
            raise _TooDeepError(_place(self.get_mark()))
        super().fetch_flow_collection_start(TokenClass)


class _Dumper(yaml.SafeDumper):
    """Writes what `parse` reads back: text that would resolve to something else is quoted."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML gives the name)
        """Write every value out: aliases are refused on reading."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        plain = isinstance(resolve(text), str) and text != "<<" and text.isprintable()
    except ValueError:
        plain = False
    # Tables as text stay readable; PyYAML falls back to quotes where a block can't hold the text.
    style = "|" if "\n" in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else style)


_Dumper.add_representer(str, _represent_text)


def _stop_at_syntax(builder: _Builder, error: yaml.MarkedYAMLError) -> None:
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    remedy = next((f"; {remedy}" for sign, remedy in _REMEDIES if sign in problem), "")
    builder.stop(_place(mark) if mark else Place(1, 1), f"not valid YAML: {problem}{remedy}")


def _name(event: yaml.NodeEvent) -> str:
    return str(event.anchor)[:_SHOWN_LENGTH]


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _place_at(before: str) -> Place:
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", before)
    return Place(len(lines), len(lines[-1]) + 1)
