"""What has to be measured in a process of its own: compiling, and rates of workers side by side.

`python -m benchmarks.kernel_child first` says how long the first run takes, `... rate --core N --seconds S` says
"ready", waits for a line, runs the simple case over and over, and says what it reached.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.report import ROOT

_CELLS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """node_periods a second of the clock, and the part of that time in which the worker had its core."""

    node_periods: float
    had_core: float


def first_runs() -> tuple[float, float]:
    """Return the CPU seconds of a first run where nothing is compiled yet, and where all is; float64."""
    with TemporaryDirectory() as folder:
        seconds = [_first_run(Path(folder)) for _ in range(2)]
    return seconds[0], seconds[1]


def _first_run(folder: Path) -> float:
    told = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(_command("first"), cwd=ROOT, env=told, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["seconds"])


def rates(cores: Sequence[int], seconds: float) -> list[Rate]:
    """Return the rates of workers that run at the same time, one on each of the cores."""
    with ExitStack() as stack:
        workers = []
        for core in cores:
            command = _command("rate", "--core", str(core), "--seconds", str(seconds))
            workers.append(stack.enter_context(subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )))  # fmt: skip
        for worker in workers:
            if not worker.stdout or worker.stdout.readline().strip() != "ready":
                raise RuntimeError("a worker did not get ready")
        for worker in workers:
            if worker.stdin:
                worker.stdin.write("go\n")
                worker.stdin.flush()
        return [Rate(**json.loads(worker.stdout.readline())) for worker in workers if worker.stdout]


def _command(*more: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.kernel_child", *more]


def _first() -> dict[str, float]:
    from benchmarks.kernel_cases import simple_case, timed

    case = simple_case(6, 60)
    return {"seconds": timed(lambda: case.start(8, "float64").advance(1))}


def _rate(core: int, seconds: float) -> dict[str, float]:
    from benchmarks.kernel_cases import simple_case, whole_rollout
    from benchmarks.kernel_machine import pin

    pin(core)
    case = simple_case()
    once = whole_rollout(case, _CELLS, "float64")
    once()
    print("ready", flush=True)
    sys.stdin.readline()
    rollouts, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        once()
        rollouts += 1
    passed = time.perf_counter() - start
    return {
        "node_periods": rollouts * case.node_periods(_CELLS) / passed,
        "had_core": (time.process_time() - used) / passed,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("first", "rate"))
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0)
    told: Any = parser.parse_args(argv)
    print(json.dumps(_first() if told.what == "first" else _rate(told.core, told.seconds)), flush=True)


if __name__ == "__main__":
    main()
