"""What every benchmark prints and writes: build/bench/NAME.json, a list of {metric, value, unit, target, better}.

A value of None stands for what could not be measured; a target of None for a figure that none was set for.
"""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench"
Metric = Mapping[str, Any]


def machine() -> str:
    """Say on what a benchmark ran."""
    return f"machine: {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def listed(
    known: Mapping[str, tuple[str, float | None, str]], found: Mapping[str, float | None], notes: Mapping[str, str]
) -> Iterator[Metric]:
    """Yield all metrics in their order; one that was not measured has the value None.

    known: name -> (unit, target, better). notes: what is said of some of them.
    """
    for name, (unit, target, better) in known.items():
        told = {"note": notes[name]} if name in notes else {}
        yield {"metric": name, "value": found.get(name), "unit": unit, "target": target, "better": better, **told}


def report(name: str, metrics: Iterable[Metric], folder: Path = FOLDER) -> Path:
    """Print metrics as a table and write them to NAME.json; return the file."""
    found = list(metrics)
    wide = max((len(metric["metric"]) for metric in found), default=0)
    print()
    for metric in found:
        value = "-" if metric["value"] is None else f"{metric['value']:.6g}"
        target = "" if metric["target"] is None else f"target {metric['target']}"
        print(f"{metric['metric']:{wide}} {value:>12} {metric['unit']:15} {target}".rstrip())
    file = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")
    return file
