"""How fast is the kernel, and how near to the machine? One run on one core, beside a triad and the NumPy engine.

`make bench-kernel`; writes build/bench/kernel.json. Times are CPU seconds, the best of some rollouts; each rate per
bandwidth is over the mean of the triads before and after it. Drawing scenarios, starting a batch and compiling are
not in the rates; what compiling takes is told beside them.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from benchmarks import kernel_cases as cases
from benchmarks import kernel_child as child
from benchmarks import kernel_machine as engine_room
from benchmarks import kernel_roofline as roofline
from benchmarks import kernel_trace
from benchmarks.kernel_cases import Case, Prepared, best, period_by_period, timed, whole_rollout
from benchmarks.kernel_steps import block_of, time_steps
from benchmarks.kernel_trace import PERIODS, SINCE, WHOLE, count_work
from benchmarks.report import listed, machine, report
from sim_core.engine.rollout import Simulation

Work = Callable[[Case, int, Any], Callable[[], float]]
Counted = Mapping[str, kernel_trace.Work]
# name: unit, target, which way is better
METRICS: Mapping[str, tuple[str, float | None, str]] = {
    "rollout_simple_f32": ("M np/s", 120.0, "higher"),
    "rollout_simple_f64": ("M np/s", None, "higher"),
    "f32_per_triad_gbs": ("M np/s per GB/s", 5.0, "higher"),
    "f64_per_triad_gbs": ("M np/s per GB/s", 2.8, "higher"),
    "vs_numpy_engine": ("x", 10.0, "higher"),
    "rollout_ev24_f64": ("M np/s", 8.0, "higher"),
    "ev24_over_roofline": ("x", 1.5, "lower"),
    "step_api_f64": ("M np/s", 10.0, "higher"),
    "roof_fraction_streaming": ("1", 0.35, "higher"),
    "flat_in_nodes": ("x", 1.5, "lower"),
    "flat_in_scenarios": ("x", 1.5, "lower"),
    "flat_in_periods": ("x", 1.5, "lower"),
    "two_workers": ("x", 1.8, "higher"),
    "f32_rank_tau": ("1", None, "higher"),
    "compile_s": ("s", None, "lower"),
    "cache_load_s": ("s", None, "lower"),
    "triad_gbs": ("GB/s", None, "higher"),
}
NODES, CELLS, HORIZONS = (6, 32, 128, 512, 2000), (64, 256, 1024, 4096, 16384), (60, 120, 240, 480)
_NUMPY_CELLS, _FLAT_CELLS = 256, 256
_STREAM_CELLS, _STREAM_PERIODS = 16384, 30
_CANDIDATES, _EACH = 128, 4
_F64, _F32 = np.float64, np.float32
_MINE = 0.97  # of the clock that a worker needs to count as undisturbed


@dataclass(slots=True)
class Bench:
    """What is found on the way. seconds: of measuring for each rate, at least."""

    seconds: float
    triad: engine_room.Triad
    found: dict[str, float | None] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    triads: list[float] = field(default_factory=list)

    def rate(self, case: Case, cells: int, dtype: Any, how: Work = whole_rollout) -> float:
        """Return M node-periods a second."""
        return case.node_periods(cells) / best(how(case, cells, dtype), self.seconds) / 1e6

    def beside_triad(self, case: Case, cells: int, dtype: Any) -> tuple[float, float]:
        """Return a rate, and the rate per GB/s of the triads around it."""
        before = self.stream()
        found = self.rate(case, cells, dtype)
        return found, found / statistics.mean((before, self.stream()))

    def stream(self) -> float:
        """Return the triad's GB/s as of now."""
        self.triads.append(self.triad())
        return self.triads[-1]


def simple(bench: Bench) -> None:
    """The simple case in both precisions, and where its time goes."""
    case, found = cases.simple_case(), bench.found
    for name, dtype in (("f32", _F32), ("f64", _F64)):
        found[f"rollout_simple_{name}"], found[f"{name}_per_triad_gbs"] = bench.beside_triad(
            case, cases.SIMPLE_CELLS, dtype
        )
    work = count_work("simple")
    run = case.start(256, _F64)
    run.advance(SINCE)
    title = f"simple, {case.nodes} nodes, float64, blocks of {run.lanes} cells"
    roofline.show_steps(title, work, time_steps(run, SINCE, PERIODS, 30), case.nodes)
    streaming(bench, case, work)


def streaming(bench: Bench, case: Case, work: Counted) -> None:
    """State far larger than the caches, advanced period by period: the bytes that must move, over the triad's."""
    whole = work[WHOLE]
    control = 3 * case.nodes  # rows that the controller hands over, read anew for every block and period
    moved = (whole.read + whole.written + control) * 8.0 / case.nodes
    run = case.start(_STREAM_CELLS, _F64)
    until = iter(range(SINCE + 1, SINCE + 1 + _STREAM_PERIODS))
    run.advance(SINCE)
    before = bench.stream()
    seconds = min(timed(lambda: run.advance(next(until))) for _ in range(_STREAM_PERIODS))
    rate = _STREAM_CELLS * case.nodes / seconds
    bench.found["roof_fraction_streaming"] = rate * moved / 1e9 / statistics.mean((before, bench.stream()))
    size = block_of(run, SINCE).x.nbytes * _STREAM_CELLS / run.lanes
    bench.notes["roof_fraction_streaming"] = (
        f"{moved:.0f} bytes a node-period at {rate / 1e6:.1f} M node-periods/s; {size / 1e6:.0f} MB of state"
    )


def full_model(bench: Bench) -> None:
    """The regional battery network: rate, roofline, NumPy engine, and ranks in float32."""
    case = cases.ev_case()
    rate, _ = bench.beside_triad(case, cases.EV_CELLS, _F64)
    bench.found["rollout_ev24_f64"] = rate
    run = case.start(cases.EV_CELLS, _F64)
    run.advance(SINCE)
    times = time_steps(run, SINCE, PERIODS, 20)
    block = block_of(run, SINCE).x.nbytes
    pace = roofline.Pace(
        cache=engine_room.sweep_bandwidth(block, _F64),
        operations=engine_room.operations(_F64),
        divisions=engine_room.divisions(_F64),
    )
    kinds = [node.kind for node in case.layout.network.nodes]
    table = list(roofline.lines(kinds, count_work("ev"), times, pace, 8))
    roofline.show(f"ev24, float64, blocks of {run.lanes} cells, {block / 1e6:.2f} MB of state", table, pace)
    roof = roofline.roof(table, case.nodes)
    bench.found["ev24_over_roofline"] = 1e3 / rate / roof
    bench.notes["ev24_over_roofline"] = (
        f"{1e3 / rate:.1f} ns a node-period in the rollout, {sum(times.values()) / case.nodes:.1f} by steps, "
        f"{roof:.1f} roofline"
    )
    beside_numpy(bench, case)
    ranks(bench, case)


def beside_numpy(bench: Bench, case: Case) -> None:
    """The NumPy engine on the same cells."""
    controller, labels = Prepared(case.layout, _NUMPY_CELLS), ["benchmark"] * _NUMPY_CELLS
    run = Simulation(case.layout, case.scenarios, case.rows(_NUMPY_CELLS), controller, labels)
    theirs = case.node_periods(_NUMPY_CELLS) / timed(run.advance) / 1e6
    ours = bench.rate(case, _NUMPY_CELLS, _F64)
    bench.found["vs_numpy_engine"] = ours / theirs
    bench.notes["vs_numpy_engine"] = f"{ours:.2f} against {theirs:.2f} M node-periods/s, {_NUMPY_CELLS} cells of ev24"


def ranks(bench: Bench, case: Case) -> None:
    """Kendall's tau of candidates' mean objective in float32 and float64."""
    cells = _CANDIDATES * _EACH
    controller, objective = Prepared(case.layout, cells, repeat=_EACH), []
    for dtype in (_F32, _F64):
        run = case.start(cells, dtype, controller=controller)
        run.advance()
        objective.append(run.ledger.objective().reshape(_CANDIDATES, _EACH).mean(axis=1))
    bench.found["f32_rank_tau"] = float(kendalltau(*objective).statistic)
    worst = float(np.abs(objective[0] / objective[1] - 1.0).max())
    bench.notes["f32_rank_tau"] = (
        f"{_CANDIDATES} candidates on {_EACH} scenarios; objectives differ by {worst:.1e} at most"
    )


def step_api(bench: Bench) -> None:
    """A controller that acts every period, all Python counted."""
    case = cases.simple_case(epoch=1)
    bench.found["step_api_f64"] = bench.rate(case, cases.SIMPLE_CELLS, _F64, period_by_period)


def flat(bench: Bench) -> None:
    """Cost of a node-period over sizes of network, batch and horizon; float64."""
    sizes: dict[str, Iterable[tuple[str, Callable[[], Case], int]]] = {
        "flat_in_nodes": [(f"{n} nodes", lambda n=n: cases.simple_case(n, 120), _FLAT_CELLS) for n in NODES],
        "flat_in_scenarios": [(f"{b} cells", lambda: cases.simple_case(32, 120), b) for b in CELLS],
        "flat_in_periods": [(f"{t} periods", lambda t=t: cases.simple_case(32, t), 1024) for t in HORIZONS],
    }
    print("\ncost of a node-period in ns, float64")
    for name, points in sizes.items():
        costs = {label: 1e3 / bench.rate(make(), cells, _F64) for label, make, cells in points}
        bench.found[name] = max(costs.values()) / min(costs.values())
        bench.notes[name] = ", ".join(f"{label} {cost:.1f} ns" for label, cost in costs.items())
        print(f"{name:18} {bench.notes[name]}")


def workers(bench: Bench, cores: Sequence[int]) -> None:
    """Two workers at once over one; a worker that had to share its core is told of."""
    if len(cores) < 2:
        bench.found["two_workers"], bench.notes["two_workers"] = None, "one core: not measured"
        return
    one = child.rates(cores[:1], 3.0)
    both = child.rates(cores[:2], 3.0)
    bench.found["two_workers"] = sum(rate.node_periods for rate in both) / one[0].node_periods
    had = min(rate.had_core for rate in (*one, *both))
    if had < _MINE:
        bench.notes["two_workers"] = f"NOT A QUIET MACHINE: a worker had its core for {had:.0%} of the time only"
        print(f"\nwarning: two_workers: {bench.notes['two_workers']}")


def compiling(bench: Bench) -> None:
    """What the first run takes without and with compiled code on disk."""
    bench.found["compile_s"], bench.found["cache_load_s"] = child.first_runs()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="How fast is the kernel?")
    parser.add_argument("--seconds", type=float, default=1.5, help="of measuring for each rate at least")
    parts = {"simple": simple, "full": full_model, "step": step_api, "flat": flat, "compile": compiling}
    parser.add_argument("--only", nargs="+", choices=(*parts, "workers"), default=(*parts, "workers"))
    told: Any = parser.parse_args(argv)
    cores = engine_room.cores()
    engine_room.pin(cores[-1])
    print(f"{machine()}; one core")
    bench = Bench(seconds=told.seconds, triad=engine_room.Triad())
    for name, part in parts.items():
        if name in told.only:
            part(bench)
    if "workers" in told.only:
        workers(bench, cores)
    bench.found["triad_gbs"] = statistics.median(bench.triads or [bench.stream()])
    bench.notes["triad_gbs"] = "median of " + ", ".join(f"{one:.1f}" for one in bench.triads)
    for name, note in bench.notes.items():
        print(f"{name}: {note}")
    report("kernel", listed(METRICS, bench.found, bench.notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
