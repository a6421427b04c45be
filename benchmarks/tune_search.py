"""Tunes a search method's settings on schedule problems of the drawn family, never on the published six.

Writes build/bench/tune_search_METHOD.json: what was tried, and what decided on fresh seeds.
"""

import argparse
import json
from dataclasses import asdict

from benchmarks.report import FOLDER, machine
from benchmarks.search.family import drawn
from orchestrator.optimizer_tuning import SettingsRow, Tuning, tune_settings
from orchestrator.runtime import connect

_SHOWN = 10


def table(rows: tuple[SettingsRow, ...]) -> str:
    """Return the first rows as text."""
    lines = [f"{'regret x 1000':>14} {'error':>7} {'rank':>6}  settings"]
    for row in rows[:_SHOWN]:
        settings = ", ".join(f"{name} {value:.4g}" for name, value in row.settings.items()) or "the usual ones"
        lines.append(f"{1000 * row.regret:14.2f} {1000 * row.standard_error:7.2f} {row.rank:6.2f}  {settings}")
    return "\n".join(lines)


def tune(options: argparse.Namespace) -> Tuning:
    """Tune one method as the command line says."""
    problems = [drawn(number, mixed=bool(number % 2)) for number in range(options.problems)]
    seeds = range(1, 1 + options.seeds)
    with connect(workers=options.workers, address=None):
        return tune_settings(
            options.method,
            problems,
            trials=options.trials,
            budget=options.budget,
            width=options.width,
            seeds=tuple(seeds),
            fresh_seeds=tuple(range(1001, 1001 + 2 * options.seeds)),
            outer=options.outer,
        )


def main() -> None:
    """Tune, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method")
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--outer", default="evolution")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    print(machine())
    tuned = tune(options)
    print(f"tried, on the seeds that were searched with:\n{table(tuned.tried)}\n")
    print(f"decided, on fresh seeds:\n{table(tuned.decided)}\n")
    print(f"best settings of {tuned.method}: {json.dumps(tuned.best) if tuned.best else 'the usual ones'}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"tune_search_{options.method}.json"
    file.write_text(json.dumps(asdict(tuned), indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
