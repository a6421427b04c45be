"""Which rows a step of the kernel reads and writes, and how much it computes: counted, not estimated.

`python -m benchmarks.kernel_trace CASE` runs the kernel's own code uncompiled, on rows that note every access and
numbers that note every operation, and prints what each step does for a cell and period as JSON. Draws are left out.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.report import ROOT

CELLS, SINCE, PERIODS = 2, 120, 12  # two cells, so that a loop's second turn is seen; a year in mid-run
CASES = ("simple", "ev", "tiny")
_ARRAYS = ("x", "tm", "ct")  # state, terms, control; the rest is scratch
WHOLE = "period"  # stands for all steps of a period together: rows of the state alone, each counted once


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a step does for one cell in a period, on average.

    read, written: rows of state, terms and control that it must read, because it hasn't written them before, and
    write, each counted once. state: of those, rows of the state. loads, stores: numbers that its loops take from
    memory and put there; operations: additions, multiplications, comparisons; divisions.
    """

    read: float
    written: float
    state: float
    loads: float
    stores: float
    operations: float
    divisions: float


def count_work(case: str) -> dict[str, Work]:
    """Return each step's work in a case, one of CASES, from a process that doesn't compile."""
    command = [sys.executable, "-m", "benchmarks.kernel_trace", case]
    told = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=True)
    return {name: Work(**values) for name, values in json.loads(done.stdout).items()}


class _Notes:
    """Counts of the step that runs."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.read: set[tuple[str, int]] = set()
        self.written: set[tuple[str, int]] = set()


_notes = _Notes()


class _Number(float):
    """A number that counts what is done with it."""

    __slots__ = ()


def _counting(name: str, kind: str, *, compares: bool) -> Callable[..., Any]:
    own = getattr(float, name)

    def operate(*args: Any) -> Any:
        _notes.count[kind] += 1
        found = own(*(float(arg) for arg in args))
        return found if compares else _Number(found)

    return operate


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "neg", "truediv", "rtruediv", "lt", "le", "gt", "ge"):
    _kind = "divisions" if "div" in _name else "operations"
    _compares = _name in ("lt", "le", "gt", "ge")
    setattr(_Number, f"__{_name}__", _counting(f"__{_name}__", _kind, compares=_compares))


class _Row:
    """A row that notes its reads and writes; a number read twice in a turn of a loop is loaded once."""

    __slots__ = ("_at", "_name", "_row", "_values")

    def __init__(self, name: str, row: int, values: list[float]) -> None:
        self._name, self._row, self._values, self._at = name, row, values, -1

    def __getitem__(self, i: int) -> _Number:
        if i != self._at:
            self._at = i
            _notes.count["loads"] += 1
            if (self._name, self._row) not in _notes.written:
                _notes.read.add((self._name, self._row))
        return _Number(self._values[i])

    def __setitem__(self, i: int, value: float) -> None:
        self._at = i
        _notes.count["stores"] += 1
        _notes.written.add((self._name, self._row))
        self._values[i] = float(value)


class _Rows:
    """An array of rows in the place of a NumPy array."""

    def __init__(self, name: str, array: Any) -> None:
        self._name, self._rows = name, array.tolist()
        self.shape = array.shape

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return _Row(self._name, int(key[0]), self._rows[key[0]])[key[1]]
        return _Row(self._name, int(key), self._rows[key])

    def __setitem__(self, key: tuple[int, int], value: float) -> None:
        _Row(self._name, int(key[0]), self._rows[key[0]])[key[1]] = value


class _Plain:
    """Constants as Python's floats: NumPy's would do the sums themselves, uncounted."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Any:
        value = self._array[key]
        return _Plain(value) if isinstance(value, np.ndarray) else float(value)


def _plain(fields: Any) -> Any:
    """Return a named tuple with its arrays of floats as _Plain."""
    changed = {
        name: _Plain(value)
        for name, value in fields._asdict().items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }
    return fields._replace(**changed)


def trace(case: str) -> Mapping[str, Work]:
    """Return each step's work in a case. To be called where nothing is compiled."""
    from benchmarks.kernel_cases import ev_case, simple_case
    from benchmarks.kernel_steps import STEPS, block_of, run_steps

    made = {"ev": ev_case, "simple": simple_case, "tiny": lambda: simple_case(6)}[case]()
    block = block_of(made.start(CELLS, np.float64, lanes=CELLS, inside=False), SINCE)
    block = block._replace(
        boxed=_plain(block.boxed), d=_plain(block.d), x=_Rows("x", block.x), w=_Rows("w", block.w),
        tm=_Rows("tm", block.tm), ct=_Rows("ct", block.ct),
    )  # fmt: skip
    found: dict[str, Counter[str]] = {WHOLE: Counter()}
    whole = _Notes()

    def around(name: str, call: Callable[[], object]) -> None:
        global _notes  # noqa: PLW0603, numbers and rows know no other place
        nonlocal whole
        whole = _Notes() if name == STEPS[0] else whole
        _notes = _Notes()
        call()
        found[WHOLE]["read"] += _state(_notes.read - whole.read - whole.written)
        found[WHOLE]["written"] += _state(_notes.written - whole.written)
        whole.read |= _notes.read - whole.written
        whole.written |= _notes.written
        total = found.setdefault(name, Counter())
        for kind, amount in _notes.count.items():
            total[kind] += amount / CELLS  # type: ignore[assignment]
        total["read"] += sum(array in _ARRAYS for array, _ in _notes.read)
        total["written"] += sum(array in _ARRAYS for array, _ in _notes.written)
        total["state"] += _state(_notes.read | _notes.written)

    run_steps(block, SINCE, SINCE + PERIODS, around)
    names = Work.__dataclass_fields__
    return {step: Work(**{name: total[name] / PERIODS for name in names}) for step, total in found.items()}


def _state(rows: set[tuple[str, int]]) -> int:
    return sum(array == "x" for array, _ in rows)


if __name__ == "__main__":
    print(json.dumps({name: asdict(work) for name, work in trace(sys.argv[1]).items()}))
