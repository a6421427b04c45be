"""A user's own network, from YAML or tables, with every fault at once.

`read_network` takes what stands under `suite.network`: a mapping of `nodes` and `lanes`, each a list, the name of a CSV
or Parquet table or a table as text, or the name of a YAML file that holds such a mapping. docs/networks.md describes
the fields.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.faults import Fault, TreePath, near_miss, shown
from orchestrator.network_tables import TABLE_SUFFIXES, InYaml, Record, read_table, table_records
from orchestrator.yaml_reader import Document, parse, read_text
from sim_core.errors import ModelError, SpecError
from sim_core.exogenous import KINDS as PROCESSES
from sim_core.exogenous import Process, process_objections
from sim_core.network import (
    BY_RECEIVER,
    IMMEDIATE,
    TARGETS,
    Lane,
    LaneGroup,
    Network,
    Node,
    NodeKind,
    arrange,
    group_of,
    lane_objections,
    node_objections,
    shared_among,
)

FILE_SUFFIXES = (".yaml", ".yml")
ROAD_FACTOR = 1.3  # road distance over straight line (assumption, common in logistics planning)

_NODE_FIELDS = {
    "name": "text",
    "kind": "text",
    **dict.fromkeys(("x", "y", "capacity", "holding", "cost", "storage", "shortage_cost"), "number"),
    "demand": "process",
    "returns": "process",
    "backlog": "truth",
    "max_target": "numbers",
    "u_basis": "text",
}
_LANE_FIELDS = {
    "from": "text",
    "to": "text",
    "lead": "whole",
    "information": "whole",
    **dict.fromkeys(("share", "km", "cost", "capacity"), "number"),
    "overseas": "truth",
    "lateral": "truth",
}
_PROCESS_FIELDS = {
    "process": "text",
    **dict.fromkeys(("mean", "sd", "rho"), "number"),
    "values": "list",
    "probabilities": "list",
}
_COLUMNS = {
    "nodes": (
        *_NODE_FIELDS,
        *(f"{process}.{name}" for process in ("demand", "returns") for name in _PROCESS_FIELDS),
        *(f"max_target.{letter}" for letter in TARGETS),
    ),
    "lanes": tuple(_LANE_FIELDS),
}
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "must be text"),
    "number": ((int, float), "must be a number"),
    "whole": (int, "must be a whole number"),
    "truth": (bool, "must be true or false"),
    "numbers": (dict, "must be a mapping of S, M or U to numbers"),
    "list": ((list, tuple), "must be a list of numbers"),
}
_MAX_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNetwork:
    """What was read. network: None where faults say why. tree: the same in plain form, without other files."""

    network: Network | None
    tree: Any
    faults: tuple[Fault, ...] = ()


def read_network(
    value: Any, *, document: Document | None = None, path: TreePath = (), folder: Path | None = None
) -> ReadNetwork:
    """Read what stands at a path of a document. Never raises: what is wrong is in the faults.

    folder: where names of files begin; None, for a tree that is built in code, refuses them.
    """
    where = InYaml(document=document, path=path)
    if isinstance(value, str):
        return _read_file(value, where, folder)
    return _Reader(where, folder).read(value)


def _read_file(name: str, where: InYaml, folder: Path | None) -> ReadNetwork:
    if folder is None:
        return ReadNetwork(network=None, tree=name, faults=(where.fault((), "names a file: write its contents here"),))
    file = folder / name
    try:
        document = parse(read_text(file), str(file))
    except SpecError as error:
        reason = error.message.removeprefix(f"{file}:").split(": ", 1)[-1]
        fault = where.fault((), f"the network's file {reason}", got=shown(name))
        return ReadNetwork(network=None, tree=name, faults=(fault,))
    faults = [
        Fault(place=fault.place, path=fault.path, message=fault.message, got=fault.got, hint=fault.hint, file=str(file))
        for fault in document.faults
    ]
    if not document.whole:
        return ReadNetwork(network=None, tree=name, faults=tuple(faults))
    reader = _Reader(InYaml(document=document, path=(), file=str(file)), file.parent)
    reader.faults += faults
    return reader.read(document.value)


@dataclass(slots=True)
class _Written:
    """A lane as written, with its ends and group found; share None where none is given."""

    record: Record
    sender: int
    receiver: int
    group: LaneGroup
    values: Mapping[str, Any]

    @property
    def share(self) -> float | None:
        return self.values.get("share")

    @property
    def anchor(self) -> tuple[LaneGroup, int]:
        return shared_among(self.group, self.sender, self.receiver)


@dataclass(slots=True)
class _Reader:
    """Reads one network and gathers its faults."""

    where: InYaml
    folder: Path | None
    faults: list[Fault] = field(default_factory=list)
    named: set[str] = field(default_factory=set)  # all nodes, with those that have faults

    def read(self, value: Any) -> ReadNetwork:
        if not isinstance(value, Mapping):
            self._say(self.where.fault((), "must be a mapping with nodes and lanes", got=shown(value)))
            return ReadNetwork(network=None, tree=value, faults=tuple(self.faults))
        for name in value:
            if name not in _COLUMNS:
                hint = near_miss(str(name), _COLUMNS)
                self._say(self.where.fault((name,), "unknown field", got=shown(value[name]), hint=hint, key=True))
        tree: dict[str, Any] = {}
        nodes = self._nodes(self._section(value, "nodes", tree))
        lanes = self._lanes(self._section(value, "lanes", tree), nodes)
        network = None
        if not self.faults:
            try:
                network = arrange([node for _, node in nodes], lanes)
            except ModelError as error:
                self._say(self.where.fault((), error.message))
        return ReadNetwork(network=network, tree=tree, faults=tuple(self.faults))

    def _say(self, fault: Fault) -> None:
        """Keep a fault, unless one of the document's already explains it."""
        document = self.where.document
        if document is None or not document.is_unread(fault.path) or fault.file != self.where.file:
            self.faults.append(fault)

    def _section(self, value: Mapping[str, Any], name: str, tree: dict[str, Any]) -> list[Record]:
        """Return the records of nodes or lanes, and put their plain form into the tree."""
        section, where = value.get(name), self.where.below(name)
        if section is None:
            self._say(self.where.fault((name,), "the field is missing", key=True))
            return []
        if isinstance(section, str):
            return self._table(section, name, where, tree)
        if not isinstance(section, (list, tuple)):
            message = "must be a list, the name of a table (.csv, .parquet) or a table as text"
            self._say(where.fault((), message, got=shown(section)))
            return []
        tree[name] = list(section)
        records: list[Record] = []
        for index, item in enumerate(section):
            if isinstance(item, Mapping):
                given = {key: inner for key, inner in item.items() if inner is not None}
                records.append(Record(values=given, where=where.below(index)))
            else:
                self._say(where.fault((index,), "must be a mapping of fields", got=shown(item)))
        return records

    def _table(self, section: str, name: str, where: InYaml, tree: dict[str, Any]) -> list[Record]:
        if "\n" in section:
            records, faults = table_records(section, _COLUMNS[name], block=where)
            tree[name] = section
        elif self.folder is None or not section.endswith(TABLE_SUFFIXES):
            message = "must be a list, the name of a table (.csv, .parquet) or a table as text"
            self._say(where.fault((), message, got=shown(section)))
            return []
        else:
            file = self.folder / section
            text, faults = read_table(file)
            records, more = table_records(text, _COLUMNS[name], file=str(file)) if not faults else ([], [])
            faults = [*faults, *more]
            tree[name] = text if text.endswith("\n") else f"{text}\n"
        for fault in faults:
            self._say(fault)
        return records

    def _nodes(self, records: Iterable[Record]) -> list[tuple[Record, Node]]:
        found: list[tuple[Record, Node]] = []
        for record in records:
            values = self._typed(record, record.values, _NODE_FIELDS, required=("name", "kind"))
            name, kind = values.pop("name", None), values.pop("kind", None)
            if name in self.named:
                message = "the name is taken by another node"
                self._say(record.where.fault(("name",), message, got=shown(name), hint="give each node its own"))
            self.named |= {name} - {None}
            if name is None or kind is None:
                continue
            if not 0 < len(name) <= _MAX_NAME or not name.isprintable() or name.strip() != name:
                message = f"must have 1 to {_MAX_NAME} printable characters, the first and last no spaces"
                self._say(record.where.fault(("name",), message, got=shown(name)))
            if kind not in list(NodeKind):
                hint = near_miss(kind, list(NodeKind))
                self._say(record.where.fault(("kind",), "unknown kind of node", got=shown(kind), hint=hint))
                continue
            node = Node(name=name, kind=NodeKind(kind), **values)
            for at, message in node_objections(node):
                self._say(record.where.fault((at,), message))
            found.append((record, node))
        return found

    def _lanes(self, records: Iterable[Record], nodes: Sequence[tuple[Record, Node]]) -> list[Lane]:
        index = {node.name: i for i, (_, node) in enumerate(nodes)}
        written: list[_Written] = []
        seen: set[tuple[LaneGroup, int, int]] = set()
        for record in records:
            values = self._typed(record, record.values, _LANE_FIELDS, required=("from", "to"))
            ends = [self._end(record, name, values.pop(name, None), index) for name in ("from", "to")]
            if ends[0] is None or ends[1] is None:
                continue
            kinds = nodes[ends[0]][1].kind, nodes[ends[1]][1].kind
            group = group_of(*kinds, lateral=bool(values.get("lateral")))
            if group is None:
                self._say(_impossible(record, *kinds, lateral=bool(values.get("lateral"))))
                continue
            if (group, ends[0], ends[1]) in seen:
                self._say(record.where.fault((), "the lane is given twice", hint="make one of the two"))
            seen.add((group, ends[0], ends[1]))
            written.append(_Written(record, ends[0], ends[1], group, values))
        shares = self._shares(written, nodes)
        return [self._lane(lane, shares[i], nodes) for i, lane in enumerate(written)]

    def _end(self, record: Record, name: str, value: str | None, index: Mapping[str, int]) -> int | None:
        if value is not None and value not in self.named:
            hint = near_miss(value, sorted(self.named))
            self._say(record.where.fault((name,), "unknown node", got=shown(value), hint=hint))
        return index.get(value or "")

    def _shares(self, lanes: Sequence[_Written], nodes: Sequence[tuple[Record, Node]]) -> list[float]:
        """Return every lane's share: as given, or an even part of what the given ones leave."""
        together: dict[tuple[LaneGroup, int], list[_Written]] = {}
        for lane in lanes:
            together.setdefault(lane.anchor, []).append(lane)
        rest: dict[tuple[LaneGroup, int], float] = {}
        for (group, anchor), members in together.items():
            given = math.fsum(lane.share for lane in members if lane.share is not None)
            open_lanes = [lane for lane in members if lane.share is None]
            rest[group, anchor] = (1.0 - given) / len(open_lanes) if open_lanes else 0.0
            end = f"{'into' if group in BY_RECEIVER else 'out of'} {nodes[anchor][1].name}"
            what = f"the shares of the lanes {end} that carry {group.cargo} ({group.name}) add up to {given:g}"
            if open_lanes and given >= 1.0:
                message = f"{what}, so nothing is left for this lane"
                self._say(open_lanes[0].record.where.fault((), message, hint="give each of them a share"))
            elif not open_lanes and abs(given - 1.0) > 1e-9 and group is not LaneGroup.LATERAL:
                self._say(members[0].record.where.fault(("share",), f"{what}, not 1"))
        return [rest[lane.anchor] if lane.share is None else lane.share for lane in lanes]

    def _lane(self, lane: _Written, share: float, nodes: Sequence[tuple[Record, Node]]) -> Lane:
        values = {name: value for name, value in lane.values.items() if name not in ("lateral", "share")}
        ends = nodes[lane.sender], nodes[lane.receiver]
        if "km" not in values and all({"x", "y"} & set(record.values) for record, _ in ends):
            (_, one), (_, other) = ends
            values["km"] = ROAD_FACTOR * math.hypot(one.x - other.x, one.y - other.y)
        values.setdefault("lead", 0 if lane.group in IMMEDIATE else 1)
        found = Lane(group=lane.group, sender=lane.sender, receiver=lane.receiver, share=share, **values)
        for name, message in lane_objections(found):
            if name != "share" or lane.share is not None:
                self._say(lane.record.where.fault((name,), message))
        return found

    def _typed(
        self,
        record: Record,
        values: Mapping[str, Any],
        fields: Mapping[str, str],
        *,
        at: TreePath = (),
        required: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return the fields that hold what they should; the others are faults."""
        for name in required:
            if values.get(name) is None:
                self._say(record.where.fault((*at, name), "the field is missing", key=True))
        found: dict[str, Any] = {}
        for name, value in values.items():
            path = (*at, name)
            if name not in fields:
                hint = near_miss(str(name), fields)
                self._say(record.where.fault(path, "unknown field", got=shown(value), hint=hint, key=True))
            elif fields[name] == "process":
                process = self._process(record, path, value)
                if process is not None:
                    found[name] = process
            elif fields[name] == "numbers" and isinstance(value, Mapping):
                found[name] = self._typed(record, value, dict.fromkeys(TARGETS, "number"), at=path)
            elif value is not None and self._fits(record, path, value, fields[name]):
                found[name] = _plain(value, fields[name])
        return found

    def _fits(self, record: Record, path: TreePath, value: Any, kind: str) -> bool:
        types, message = _TYPES[kind]
        fits = isinstance(value, types) and (kind == "truth" or not isinstance(value, bool))
        if fits and isinstance(value, (list, tuple)):
            fits = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value)
        if not fits:
            hint = "quote it" if kind == "text" and isinstance(value, (bool, int, float)) else ""
            self._say(record.where.fault(path, message, got=shown(value), hint=hint))
        return fits

    def _process(self, record: Record, path: TreePath, value: Any) -> Process | None:
        """Return the process: a mapping, a number (constant) or a list of numbers (a series)."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value, shorthand = {"process": "constant", "mean": value}, True
        elif isinstance(value, (list, tuple)):
            if not self._fits(record, path, value, "list"):
                return None
            value, shorthand = {"process": "series", "values": value}, True
        else:
            shorthand = False
        if not isinstance(value, Mapping):
            message = f"must be a number, a list of numbers, or a mapping with process ({', '.join(PROCESSES)})"
            self._say(record.where.fault(path, message, got=shown(value)))
            return None
        before = len(self.faults)
        values = self._typed(record, value, _PROCESS_FIELDS, at=path, required=("process",))
        kind = values.pop("process", None)
        if kind is None or len(self.faults) > before:
            return None
        for name, message in process_objections(kind, values):
            inner = "process" if name == "kind" else name
            hint = near_miss(kind, PROCESSES) if name == "kind" else ""
            self._say(record.where.fault(path if shorthand else (*path, inner), message, hint=hint))
        return Process(kind=kind, **values) if len(self.faults) == before else None


def _plain(value: Any, kind: str) -> Any:
    """Return a value as the simulation holds it: 3 and 3.0 are the same number, and give the same digest."""
    if kind == "list":
        return tuple(float(item) for item in value)
    return float(value) if kind == "number" else value


def _impossible(record: Record, sender: NodeKind, receiver: NodeKind, *, lateral: bool) -> Fault:
    if lateral:
        message = f"only a warehouse transfers to a warehouse, not a {sender} to a {receiver}"
        return record.where.fault(("lateral",), message, hint="remove `lateral`")
    to = dict.fromkeys(str(kind) for group in LaneGroup if sender in group.senders for kind in group.receivers)
    by = dict.fromkeys(str(kind) for group in LaneGroup if receiver in group.receivers for kind in group.senders)
    possible = (
        f"a {sender} ships to: {', '.join(to) or 'nobody'}; a {receiver} receives from: {', '.join(by) or 'nobody'}"
    )
    return record.where.fault((), f"no lane can lead from a {sender} to a {receiver}", hint=possible)
