"""How every script here measures and what it prints: one line of JSON. Needs nothing but the standard library."""

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def arguments() -> argparse.ArgumentParser:
    """Return a parser of what all scripts take."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds to measure at least")
    return parser


def measure(work: Callable[[], float], seconds: float) -> tuple[float, float]:
    """Repeat work, which returns the node-periods that it simulated, for some CPU seconds; return the two sums.

    CPU seconds are those of the whole process, user and system, so that threads and waiting neither help nor hurt.
    """
    done = 0.0
    start = time.process_time()
    while True:
        done += work()
        spent = time.process_time() - start
        if spent >= seconds:
            return done, spent


def answer(package: str, node_periods: float, cpu_seconds: float, **more: Any) -> None:
    """Print the reading.

    more: cost and standard_error, EUR a period of the problem's reference levels, where it is the same problem as ours.
    """
    try:
        found = version(package)
    except PackageNotFoundError:  # ours, run from its source
        found = "source"
    told = {"version": found, "node_periods": node_periods, "cpu_seconds": cpu_seconds, **more}
    print(json.dumps(told))
