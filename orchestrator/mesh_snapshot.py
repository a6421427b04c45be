"""Snapshots: a shard's state at the start of a window as checked bytes, and those of a whole gang. Nothing is pickled.

Bytes of a snapshot: the sha256 of all that follows (32 bytes), the head's length (8, little end first), the head as
JSON, and the arrays in NumPy's own format.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from orchestrator.work import Cell, Injection
from sim_core.errors import FenceError, IntegrityError
from sim_core.seeding import canonical_json, content_id

Arrays = Mapping[str, NDArray[Any]]
_FORMAT = 1
_SHA_BYTES, _LENGTH_BYTES = 32, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a snapshot says of itself. cells: id of the cells; lots: cells of each lot, and the error that ended it.

    window: the next one to be computed. injections: the law that was injected so far, in order.
    """

    shard: int
    window: int
    cells: str
    lots: tuple[tuple[int, str], ...]
    injections: tuple[Injection, ...]


def cells_id(cells: Sequence[Cell]) -> str:
    """Return what tells the cells of one shard from others."""
    return content_id("cells", [cell.key for cell in cells])


def pack(head: Head, states: Sequence[Arrays]) -> bytes:
    """Return the bytes of a snapshot. states: of the lots, in their order; empty for one that an error ended."""
    text = canonical_json({"format": _FORMAT, **asdict(head)}).encode()
    stream = io.BytesIO()
    arrays = {f"{lot}.{name}": values for lot, state in enumerate(states) for name, values in state.items()}
    np.savez(stream, allow_pickle=False, **arrays)
    body = len(text).to_bytes(_LENGTH_BYTES, "little") + text + stream.getvalue()
    return hashlib.sha256(body).digest() + body


def checksum(data: bytes) -> str:
    """Return the checksum that a snapshot bears, as it stands there."""
    return data[:_SHA_BYTES].hex()


def read_head(data: bytes) -> Head:
    """Return what a snapshot says of itself. Raises IntegrityError for bytes that are not those that were packed."""
    body = memoryview(data)[_SHA_BYTES:]
    if len(data) < _SHA_BYTES + _LENGTH_BYTES or hashlib.sha256(body).digest() != data[:_SHA_BYTES]:
        raise IntegrityError("a snapshot of a shard is damaged: its checksum does not match; it must not be taken up")
    form = json.loads(bytes(body[_LENGTH_BYTES : _LENGTH_BYTES + _length(data)]))
    if form.pop("format") != _FORMAT:
        raise IntegrityError("a snapshot of a shard was written by another version; it must not be taken up")
    lots = tuple((int(count), str(message)) for count, message in form["lots"])
    injections = tuple(Injection(**one) for one in form["injections"])
    return Head(**{**form, "lots": lots, "injections": injections})


def unpack(data: bytes) -> tuple[Head, list[Arrays]]:
    """Return a snapshot's head and the states of its lots. Raises IntegrityError as read_head does."""
    head = read_head(data)
    states: list[dict[str, NDArray[Any]]] = [{} for _ in head.lots]
    with np.load(
        io.BytesIO(memoryview(data)[_SHA_BYTES + _LENGTH_BYTES + _length(data) :]), allow_pickle=False
    ) as held:
        for name in held.files:
            lot, _, array = name.partition(".")
            states[int(lot)][array] = held[name]
    return head, list(states)


@dataclass(frozen=True, slots=True, kw_only=True)
class GangSnapshot:
    """The snapshots of all shards of a gang, by shard, at the start of one window."""

    window: int
    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> Self:
        """Put a gang's snapshots together.

        Raises FenceError unless they are those of shards 0, 1, 2, ... at one window, after the same injections, and
        IntegrityError for a damaged one.
        """
        heads = [read_head(part) for part in parts]
        windows = sorted({head.window for head in heads})
        laws = {tuple(one.id for one in head.injections) for head in heads}
        if len(windows) != 1:
            raise FenceError(
                f"snapshots of windows {windows} are no state of a gang: it stands at one window or at none"
            )
        if [head.shard for head in heads] != list(range(len(heads))) or len(laws) != 1:
            raise FenceError(f"snapshots of shards {[head.shard for head in heads]} do not make one gang under one law")
        return cls(window=windows[0], parts=tuple(parts))


def _length(data: bytes) -> int:
    return int.from_bytes(data[_SHA_BYTES : _SHA_BYTES + _LENGTH_BYTES], "little")
