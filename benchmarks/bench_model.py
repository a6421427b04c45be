"""Is the model right? Prints the known answers and the agent engine against the fluid one.

`make bench-model`; writes build/bench/model.json, a list of {metric, value, unit, target, better}.
"""

import sys
from collections.abc import Iterable

from benchmarks.agent_fluid import metrics as agent_metrics
from benchmarks.known_answers import known_answers
from benchmarks.report import Metric, machine, report


def measure_known_answers() -> Iterable[Metric]:
    """Check every known answer, print them as a table, and return how many were met."""
    answers, passed = known_answers(), 0
    print(f"{'known answer':44} {'answer':>12} {'found':>12} {'SE':>9}")
    for known in answers:
        verdict = known.check()
        passed += verdict.passed
        word = "ok" if verdict.passed else "WRONG"
        for i, (found, error, answer) in enumerate(zip(verdict.found, verdict.error, verdict.answer, strict=True)):
            print(f"{known.name if i == 0 else '':44} {answer:12.6g} {found:12.6g} {error:9.2g}  {word}")
    yield {
        "metric": "known_answers_passed",
        "value": passed,
        "unit": "answers",
        "target": len(answers),
        "better": "higher",
    }


def main() -> int:
    """Measure, print, write; return 1 if a known answer was missed."""
    print(f"{machine()}; one process\n")
    found = [*measure_known_answers(), *agent_metrics()]
    report("model", found)
    return int(found[0]["value"] < found[0]["target"])


if __name__ == "__main__":
    sys.exit(main())
