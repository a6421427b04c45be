"""What the machine can do, measured in the same run: memory, cache, arithmetic, through the compiler of the kernel."""

import os
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
_TRIAD_ELEMENTS = 32_000_000  # 384 MB in three arrays: far more than any cache
_TRIAD_BYTES = 12  # an element: two read, one written, float32
_ROW = 1024  # numbers that stay in the first cache
_FEW, _MANY = 5, 40
_OPTIONS = {"error_model": "numpy", "nogil": True}


def pin(core: int) -> None:
    """Keep this process on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def cores() -> list[int]:
    """Return the cores that this process may use, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@numba.njit(**_OPTIONS)
def _triad(a, b, c, factor):
    for i in range(a.size):
        a[i] = b[i] + factor * c[i]


@numba.njit(**_OPTIONS)
def _sweep(x, factor, times):
    for _ in range(times):
        for i in range(x.size):
            x[i] = x[i] * factor


@numba.njit(**_OPTIONS)
def _work(x, a, b, times):
    for _ in range(times):
        for i in range(x.size):
            v = x[i]
            for _ in range(8):
                v = v * a + b
            x[i] = v


@numba.njit(**_OPTIONS)
def _divide(x, a, times):
    for _ in range(times):
        for i in range(x.size):
            x[i] = a / x[i]


class Triad:
    """a = b + s c over float32 arrays that no cache holds; call it for the best of some passes in GB/s."""

    def __init__(self, elements: int = _TRIAD_ELEMENTS) -> None:
        self._arrays = tuple(np.full(elements, value, dtype=np.float32) for value in (0.0, 1.0, 2.0))
        self._bytes = elements * _TRIAD_BYTES
        self._run()

    def __call__(self) -> float:
        return self._bytes / _shortest(self._run, _FEW) / 1e9

    def _run(self) -> None:
        _triad(*self._arrays, np.float32(3.0))


def sweep_bandwidth(size: int, dtype: DTypeLike) -> float:
    """Return GB/s, read and written, of reading, changing and writing a buffer of `size` bytes over and over."""
    x = np.ones(size // np.dtype(dtype).itemsize, dtype=dtype)
    times = max(1, 20_000_000 // size)
    seconds = _shortest(lambda: _sweep(x, x.dtype.type(1.0), times), _MANY)
    return 2.0 * x.nbytes * times / seconds / 1e9


def operations(dtype: DTypeLike) -> float:
    """Return 1e9 multiplications and additions a second, on a row in the first cache."""
    x, times = np.ones(_ROW, dtype=dtype), 200
    one = x.dtype.type(0.5)
    return 16.0 * x.size * times / _shortest(lambda: _work(x, one, one, times), _MANY) / 1e9


def divisions(dtype: DTypeLike) -> float:
    """Return 1e9 divisions a second, on a row in the first cache."""
    x, times = np.ones(_ROW, dtype=dtype), 500
    return x.size * times / _shortest(lambda: _divide(x, x.dtype.type(2.0), times), _MANY) / 1e9


def _shortest(work: Callable[[], object], times: int) -> float:
    work()
    found = []
    for _ in range(times):
        start = time.process_time()  # on a busy machine the clock would count others' work too
        work()
        found.append(time.process_time() - start)
    return min(found)
