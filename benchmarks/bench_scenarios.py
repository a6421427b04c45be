"""How fast are scenarios drawn, how small are they on disk, and does memory stay flat?

`make bench-scenarios`; writes build/bench/scenarios.json. Rates are per second of CPU time of one core, the best of
some repetitions, because other work on the machine only ever takes from them. A suite deals its scenarios over families
in turn: recipes_per_s is that of all families in turn, with their JSON text. Paths are those of the slowest family.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.report import listed, machine, report
from sim_core.engine.layout import Layout, build_layout
from sim_core.generate.families import FAMILIES, FAMILY_NAMES
from sim_core.generate.paths import draw_many
from sim_core.generate.process_generator import ProcessGenerator
from sim_core.generate.recipe import draw_recipes
from sim_core.kernel.draws import uniforms
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition

# name: unit, target, which way is better
METRICS: Mapping[str, tuple[str, float | None, str]] = {
    "recipes_per_s": ("1/CPU s", 10_000.0, "higher"),
    "recipes_per_s_slowest": ("1/CPU s", None, "higher"),
    "paths_per_s": ("1/CPU s", 1_500.0, "higher"),
    "bytes_per_recipe": ("bytes", 1024.0, "lower"),
    "memory_growth_mib": ("MiB", 16.0, "lower"),
    "scenarios_per_s": ("1/CPU s", None, "higher"),
}
PERIODS = 156
_RECIPES, _PATHS, _SCENARIOS = 1024, 128, 64  # in a batch
_WARM = 65_536  # recipes after which memory has its size: caches of dates and instruments are full
_PAGE = 4096


@dataclass(slots=True)
class Bench:
    """What is found on the way. stream: recipes that are drawn and dropped one batch after the other."""

    repeats: int
    stream: int
    found: dict[str, float | None] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def layout() -> Layout:
    """Vehicle batteries in the region of 24 nodes, 156 months."""
    return build_layout(
        SuiteDefinition(
            name="bench_scenarios",
            products=(ProductShare(archetype="ev_battery"),),
            network="regional",
            seed=20260101,
            start="2026-01",
            warm_up=12,
            scored=PERIODS - 12,
            run_out=0,
            splits={"test": SplitDefinition(families=("eu_baseline",), scenarios=1)},
        )
    )


def best_rate(work: Callable[[int], Any], count: int, repeats: int) -> float:
    """Return how many of `count` things a call of `work` does in a CPU second, the best of some calls."""
    seconds = []
    for repeat in range(repeats):
        start = time.process_time()
        work(repeat)
        seconds.append(time.process_time() - start)
    return count / min(seconds)


def told(rates: Mapping[str, float]) -> str:
    """Name the rate of each family, slowest first."""
    return ", ".join(f"{name} {rates[name]:,.0f}" for name in sorted(rates, key=lambda name: rates[name]))


def recipes(bench: Bench) -> None:
    """Recipes with their JSON text, drawn in batches."""
    suite, largest = layout().suite, 0

    def text(name: str, batch: int) -> int:
        drawn = draw_recipes(suite, name, range(batch * _RECIPES, (batch + 1) * _RECIPES))
        return max(len(one.to_json()) for one in drawn)

    rates: dict[str, float] = {}
    for name in FAMILY_NAMES:
        largest = max(largest, text(name, 0))
        rates[name] = best_rate(lambda repeat, name=name: text(name, repeat + 1), _RECIPES, bench.repeats)
    bench.found["recipes_per_s"] = len(rates) / sum(1.0 / rate for rate in rates.values())
    bench.found["recipes_per_s_slowest"] = min(rates.values())
    bench.notes["recipes_per_s"] = told(rates)
    bench.found["bytes_per_recipe"] = float(largest)
    bench.notes["bytes_per_recipe"] = "the largest recipe"


def paths(bench: Bench) -> None:
    """All paths of a scenario, given its recipe, with compiled draws."""
    model = layout()

    # One of each kind of world; families of one kind take the same time.
    kinds = {family.world: family.name for family in reversed(FAMILIES)}
    rates: dict[str, float] = {}
    for name in kinds.values():
        drawn = draw_recipes(model.suite, name, range(_PATHS))
        work = partial(draw_many, model.suite, drawn, model.products.archetypes, model.network, source=uniforms)
        work()
        rates[name] = best_rate(lambda _, work=work: work(), _PATHS, bench.repeats)
    bench.found["paths_per_s"] = min(rates.values())
    bench.notes["paths_per_s"] = told(rates)


def scenarios(bench: Bench) -> None:
    """Whole scenarios: recipe, paths, and law compiled to monthly arrays."""
    generator = ProcessGenerator(layout(), source=uniforms)

    name = "eu_turmoil"  # all that families have: revisions, markets and crises
    generator.sample_batch(name, range(1))
    bench.found["scenarios_per_s"] = best_rate(
        lambda _: generator.sample_batch(name, range(_SCENARIOS)), _SCENARIOS, min(2, bench.repeats)
    )
    bench.notes["scenarios_per_s"] = name


def memory(bench: Bench) -> None:
    """Growth of the process over a stream of recipes, from the point at which caches are full."""
    suite, turn, first = layout().suite, len(FAMILY_NAMES), 0
    for batch in range(-(-bench.stream // _RECIPES)):
        if batch * _RECIPES >= min(_WARM, bench.stream // 2) and not first:
            first = resident()
        index = batch // turn * _RECIPES
        texts = [
            one.to_json() for one in draw_recipes(suite, FAMILY_NAMES[batch % turn], range(index, index + _RECIPES))
        ]
        del texts
    bench.found["memory_growth_mib"] = max(0, resident() - first) / 2**20
    bench.notes["memory_growth_mib"] = f"over {bench.stream:,} recipes; {resident() / 2**20:.0f} MiB at the end"


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


PARTS: Mapping[str, Callable[[Bench], None]] = {
    "recipes": recipes,
    "paths": paths,
    "scenarios": scenarios,
    "memory": memory,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 1 if a recipe is too large or memory grows."""
    parser = argparse.ArgumentParser(description="How fast are scenarios drawn, and how small are they?")
    parser.add_argument("--repeats", type=int, default=7, help="of each timed batch")
    parser.add_argument("--stream", type=int, default=1_000_000, help="recipes that memory must not grow with")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    said: Any = parser.parse_args(argv)
    print(f"{machine()}; one core")
    bench = Bench(repeats=said.repeats, stream=said.stream)
    for name in said.only:
        PARTS[name](bench)
    for name, note in bench.notes.items():
        print(f"{name}: {note}")
    report("scenarios", listed(METRICS, bench.found, bench.notes))
    held = ("bytes_per_recipe", "memory_growth_mib")
    return int(any((bench.found.get(name) or 0.0) > (METRICS[name][1] or 0.0) for name in held))


if __name__ == "__main__":
    sys.exit(main())
