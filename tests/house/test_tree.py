"""Sizes, names and marks: what a file of this project looks like."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("sim_core", "optimizers", "orchestrator", "benchmarks", "tests")
LONGEST = 400
VAGUE = re.compile(r"^(utils?|helpers?|common|misc)$")
MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")


def faults(root: Path) -> Iterator[str]:
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        place = path.relative_to(root)
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > LONGEST:
            yield f"{place}: {len(lines)} lines; two ideas in one file?"
        if any(VAGUE.match(part) for part in (*place.parts[:-1], path.stem)):
            yield f"{place}: the name explains nothing"
        yield from (f"{place}:{number}: unfinished" for number, line in enumerate(lines, 1) if MARKS.search(line))


def test_every_file_is_small_named_and_finished():
    assert list(faults(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sim_core/long.py", "\n" * (LONGEST + 1)),
        ("optimizers/utils.py", ""),
        ("orchestrator/common/spec.py", ""),
        ("tests/test_mark.py", "x = 1  # " + "TO" + "DO: later\n"),
    ],
)
def test_a_file_that_breaks_a_rule_is_found(tmp_path: Path, name: str, text: str):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [fault.split(":")[0] for fault in faults(tmp_path)] == [name]
