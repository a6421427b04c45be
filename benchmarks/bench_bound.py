"""Is the bound a bound, is it tight, and what does it cost? And what do views of the law gain between it and the rules?

`make bench-bound`; writes build/bench/bound.json. Seconds are CPU seconds of one core. Models are those of the tests.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.estimates import plan_of
from benchmarks.report import listed, machine, report
from optimizers.controllers import TUNABLE
from optimizers.controllers import build as build_controllers
from optimizers.controllers.dynamic_programme import hybrid_problem
from optimizers.controllers.hybrid_mdp import best_smu
from optimizers.controllers.hybrid_mdp import solve as solve_hybrid
from orchestrator.entry_checks import VIEWS
from sim_core.bound import bound
from sim_core.control import ControllerRecord
from sim_core.engine.layout import Layout, build_layout
from sim_core.engine.rollout import LANE_WIDTH, Simulation
from sim_core.errors import ModelError
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare
from tests.sim_core.bound_models import TOLERANCE, batteries, exact, size_of, solved, supplied
from tests.sim_core.random_models import KEYS

# name: unit, target, which way is better
METRICS: Mapping[str, tuple[str, float | None, str]] = {
    "bound_seconds_ev24": ("CPU s", 60.0, "lower"),
    "replay_error": ("1", 1e-6, "lower"),
    "bound_violations": ("cells", 0.0, "lower"),
    "rule_gap": ("1", 0.0002, "lower"),
    "foresight_value_announced": ("% of J", None, "higher"),
    "foresight_value_law": ("% of J", None, "higher"),
    "foresight_value_clairvoyant": ("% of J", None, "higher"),
}
HYBRIDS = ("hybrid_k1", "hybrid_k2", "hybrid_k3")
FAMILIES = ("eu_tighten", "eu_weaken", "eu_delay_tariff", "eu_export_delay")
RULES = ("linear", "local_base_stock", "push", "pull", "best_grade_first", "compliance_base_stock", "compliance_greedy")
CERTAIN = {"price.volatility": 0.0, "demand.volatility": 0.0, "disruption.rate": 0.0, "lane_disruption.rate": 0.0}
_REGIONAL_MONTHS = 36
_FORESIGHT_SCENARIOS = 16

Values = NDArray[np.float64]


@dataclass(slots=True)
class Bench:
    """What is found on the way. models: random ones for each part. tries: candidates for the best target control."""

    models: int
    tries: int
    found: dict[str, float | None] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def costs_of(layout: Layout, scenarios: Sequence[str], records: Sequence[ControllerRecord]) -> Values:
    """Return J in EUR of every controller in every scenario, (records, scenarios), by the NumPy engine."""
    built = [build_scenario(layout, name) for name in scenarios]
    cells = len(records) * len(built)
    wide = -(-cells // LANE_WIDTH) * LANE_WIDTH
    place = np.minimum(np.arange(wide), cells - 1)
    rows = place % len(built)
    controller = build_controllers(layout, [records[i] for i in place // len(built)])
    run = Simulation(layout, built, rows, controller, ["benchmark"] * wide)
    run.advance()
    return run.ledger.objective()[:cells].reshape(len(records), len(built))


# ---- what it takes


def seconds(bench: Bench) -> None:
    """One test scenario of the demo: vehicle batteries, 24 nodes, 240 scored months, with its phase 1."""
    suite = plan_of("demo.yaml").suite
    layout = build_layout(suite)
    scenario = build_scenario(layout, suite.scenarios("test")[0])
    start = time.process_time()
    found = bound(layout, scenario)
    bench.found["bound_seconds_ev24"] = time.process_time() - start
    gap = (found.plan - found.lower) / abs(found.plan)
    bench.notes["bound_seconds_ev24"] = (
        f"{scenario.id}: lower {found.lower:.6g}, plan {found.plan:.6g} EUR, apart by {gap:.1e}; "
        f"lacking {found.lacking:.4g}, least {found.least_lacking:.4g} EUR; relaxed: {', '.join(found.relaxed)}"
    )


# ---- whether it is right


def replays(bench: Bench) -> None:
    """Largest relative difference between a plan's cost in the programme and in the engine, where it must be none."""
    errors = dict(replay_errors(bench.models))
    worst = max(errors, key=lambda name: errors[name])
    bench.found["replay_error"] = errors[worst]
    bench.notes["replay_error"] = f"{len(errors)} scenarios, the worst is {worst}"


def replay_errors(models: int, months: int = _REGIONAL_MONTHS) -> Iterator[tuple[str, float]]:
    """Yield a scenario's name and its error: batteries in the region of 24 nodes, and random models."""
    region = batteries(template="regional", scored=months)
    for family in FAMILIES[:: 1 if months >= _REGIONAL_MONTHS else len(FAMILIES)]:
        yield f"regional {family}", solved(region, f"{family}/0", vertex=True).error()
    for seed in range(models):
        found = exact(size_of(seed))
        for name in found.names if found else ():
            run = solved(found.layout, name, vertex=True)
            if run.found.cost:  # where nothing costs anything, a plan may make goods without end
                yield f"random {seed} {name}", run.error()


def violations(bench: Bench) -> None:
    """Cells that cost less than the bound of their scenario: random controls of random models, rules on batteries."""
    cells = wrong = left_out = 0
    for costs, lower in [*random_cells(bench.models), *rule_cells()]:
        if lower is None:
            left_out += 1
            continue
        cells += costs.size
        wrong += int((costs < lower - TOLERANCE * np.maximum(1.0, np.abs(costs))).sum())
    bench.found["bound_violations"] = float(wrong)
    bench.notes["bound_violations"] = f"of {cells} cells; {left_out} scenarios have no bound (unbounded programmes)"


def random_cells(models: int) -> Iterator[tuple[Values, float | None]]:
    """Yield J of a random scenario's cells with its bound; None where its programme is unbounded."""
    for seed in range(models):
        found = supplied(size_of(seed))
        run = found.simulation(KEYS)
        run.advance()
        costs = run.ledger.objective()
        for number, name in enumerate(found.names):
            yield costs[number :: len(found.names)], lower_of(found.layout, name)


def rule_cells(families: Sequence[str] = FAMILIES) -> Iterator[tuple[Values, float | None]]:
    """Yield J of the untuned reference controllers on batteries in a loop, with the bound."""
    layout = batteries()
    names = [f"{family}/0" for family in families]
    costs = costs_of(layout, names, [ControllerRecord(kind=kind) for kind in RULES])
    for number, name in enumerate(names):
        yield costs[:, number], lower_of(layout, name)


def lower_of(layout: Layout, name: str) -> float | None:
    """Return a scenario's bound; None where there is none."""
    try:
        return solved(layout, name).found.lower
    except ModelError:
        return None


# ---- what separates rules and plans


def rules(bench: Bench) -> None:
    """How far the best (S, M, U) is from the exact optimum where foresight plays no part: hybrid systems K1 to K3."""
    gaps = {}
    for name in HYBRIDS:
        problem = hybrid_problem(build_layout(replace(plan_of(f"known/{name}.yaml").suite, epoch_months=1)))
        gaps[name] = best_smu(problem)[0] / solve_hybrid(problem).cost - 1.0
    bench.found["rule_gap"] = max(gaps.values())
    bench.notes["rule_gap"] = ", ".join(f"{name} {gap:.4%}" for name, gap in gaps.items())
    gap = target_gap(bench.tries)
    bench.notes["targets on a certain scenario"] = (
        f"the best of {bench.tries} target controls costs {gap:.2%} more than the plan, foresight included"
    )


def target_gap(tries: int) -> float:
    """Return how far the best of random parameters of two base-stock controllers is from the plan, relative.

    Batteries in a loop without law and without noise: what is left is what targets can't say, and what they don't know.
    """
    product = ProductShare(archetype="ev_battery", overrides={"lifetime.scale": 0.2, **CERTAIN})
    layout = batteries(products=(product,), epoch_months=3)
    draw, records = np.random.default_rng(1), []
    for kind in ("local_base_stock", "compliance_base_stock"):
        usual = TUNABLE[kind](layout)
        for _ in range(tries // 2):
            pull = draw.random()
            values = {name: float((1 - pull) * value + pull * draw.random()) for name, value in usual.items()}
            records.append(ControllerRecord(kind=kind, parameters=values))
    plan = solved(layout, "none/0").found.cost
    return float(costs_of(layout, ["none/0"], records).min() / plan - 1.0)


def foresight(bench: Bench) -> None:
    """What each view of the rolling-horizon controller gains over the one below, in % of the lowest view's mean J."""
    names = [name for name in METRICS if name.startswith("foresight_value_")]
    plan = plan_of("controllers.yaml")
    layout, scenarios = build_layout(plan.suite), plan.suite.scenarios("test")[:_FORESIGHT_SCENARIOS]
    costs = costs_of(layout, scenarios, [plan.fixed[f"mpc_{view}"] for view in VIEWS])
    for name, (gain, error) in zip(names, gains(costs), strict=True):
        bench.found[name] = gain
        bench.notes[name] = f"standard error {error:.2g}, {len(scenarios)} paired scenarios"


def gains(costs: Values) -> Iterator[tuple[float, float]]:
    """Yield mean and standard error of what each row of costs, (views, scenarios), is below the one before.

    In % of the first row's mean.
    """
    for below, own in pairwise(costs):
        gain = 100.0 * (below - own) / costs[0].mean()
        yield float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(gain.size))


PARTS: Mapping[str, Callable[[Bench], None]] = {
    "replay": replays,
    "violations": violations,
    "rules": rules,
    "foresight": foresight,
    "seconds": seconds,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 1 if a replay or a bound is wrong."""
    parser = argparse.ArgumentParser(description="Is the bound a bound, is it tight, and what does it cost?")
    parser.add_argument("--models", type=int, default=60, help="random models for replays, and for violations")
    parser.add_argument("--tries", type=int, default=512, help="target controls beside the plan of a certain scenario")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    told: Any = parser.parse_args(argv)
    print(f"{machine()}; one core")
    bench = Bench(models=told.models, tries=told.tries)
    for name in told.only:
        PARTS[name](bench)
    for name, note in bench.notes.items():
        print(f"{name}: {note}")
    report("bound", listed(METRICS, bench.found, bench.notes))
    wrong = (bench.found.get("replay_error") or 0.0) > TOLERANCE or (bench.found.get("bound_violations") or 0.0) > 0.0
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
