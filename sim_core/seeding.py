"""Counter-based randomness and content ids.

A random number is a pure function of (suite seed, scenario, stream, node, period): there is no stateful
stream, so the same cell draws the same numbers alone, in a batch, or on any worker.

Generator: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox_4x32(counter: Sequence[NDArray[np.uint64]], key: tuple[int, int]) -> list[NDArray[np.uint64]]:
    """Return four arrays of 32-bit words (held in uint64) for four broadcastable counter words and a 64-bit key."""
    c0, c1, c2, c3 = np.broadcast_arrays(*counter)
    k0, k1 = np.uint64(key[0] & 0xFFFFFFFF), np.uint64(key[1] & 0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return [c0, c1, c2, c3]


def uniforms(seed: int, scenarios: NDArray[np.uint64], stream: str, nodes: int, periods: int) -> NDArray[np.float64]:
    """Return uniforms in the open interval (0, 1) of several scenarios, (B, periods, nodes), 52 random bits each.

    `scenarios` are the scenarios' own 64-bit numbers (`scenario_number`), (B,), never their rows in a block.
    """
    period = np.arange(periods, dtype=np.uint64)[:, None]
    node = np.arange(nodes, dtype=np.uint64)[None, :]
    return uniforms_at(seed, scenarios[:, None, None], stream, period, node)


def uniforms_at(
    seed: int, scenario: NDArray[np.uint64], stream: str, period: NDArray[np.uint64], node: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return the uniforms of chosen scenarios, periods and nodes, which are broadcast against each other."""
    stream_word = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "little")
    words = philox_4x32([period, node, scenario & _LOW, scenario >> _SHIFT], (seed, stream_word ^ (seed >> 32)))
    bits = (words[0] << np.uint64(20)) | (words[1] >> np.uint64(12))
    return (bits.astype(np.float64) + 0.5) * 2.0**-52


def uniform(seed: int, scenario: int, stream: str, nodes: int, periods: int) -> NDArray[np.float64]:
    """Return uniforms in the open interval (0, 1) of one scenario, (periods, nodes): a row of `uniforms`."""
    return uniforms(seed, np.array([scenario], dtype=np.uint64), stream, nodes, periods)[0]


def normal(seed: int, scenario: int, stream: str, nodes: int, periods: int) -> NDArray[np.float64]:
    """Return standard normals, shape (periods, nodes), by the inverse distribution function (right in the tails)."""
    return ndtri(uniform(seed, scenario, stream, nodes, periods))


def canonical_json(value: Any) -> str:
    """Return the one text of a JSON value: sorted keys, no spaces, floats by shortest exact repr, no NaN or inf."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def content_id(*parts: Any) -> str:
    """Return the sha256 hex digest of the canonical JSON of the parts."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def scenario_number(family: str, index: int) -> int:
    """Return the 64-bit number that keys a scenario's randomness."""
    return int.from_bytes(hashlib.sha256(f"{family}/{index}".encode()).digest()[:8], "little")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} has no canonical JSON form")
    return value
