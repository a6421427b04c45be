import ast
import inspect
import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from benchmarks import bench_kernel, kernel_trace
from benchmarks.bench_kernel import METRICS, Bench
from benchmarks.kernel_cases import LAW, Case, Prepared, best, loop_network, simple_layout
from benchmarks.kernel_roofline import KINDS, Pace, lines, roof, show, show_steps
from benchmarks.kernel_steps import STEPS
from benchmarks.kernel_trace import WHOLE, Work, count_work
from benchmarks.report import ROOT, listed, report
from sim_core.kernel import period
from sim_core.network import NodeKind

CONTRACT = (
    "rollout_simple_f32", "rollout_simple_f64", "f32_per_triad_gbs", "f64_per_triad_gbs", "vs_numpy_engine",
    "rollout_ev24_f64", "ev24_over_roofline", "step_api_f64", "roof_fraction_streaming", "flat_in_nodes",
    "flat_in_scenarios", "flat_in_periods", "two_workers", "f32_rank_tau", "compile_s", "cache_load_s",
)  # fmt: skip


@pytest.mark.parametrize("nodes", [6, 7, 32, 128, 512, 2000])
def test_networks_of_every_size_have_as_many_lanes_as_nodes(nodes: int):
    network = loop_network(nodes)
    assert len(network.nodes) == len(network.lanes) == nodes
    into = Counter(lane.receiver for lane in network.lanes)
    assert max(into.values()) <= 2


def test_loops_are_linked_to_one_ring():
    network = loop_network(32)
    reached, after = {0}, {lane.sender: lane.receiver for lane in network.lanes}
    place = 0
    while after[place] not in reached:
        place = after[place]
        reached.add(place)
    suppliers = len(network.of_kind(NodeKind.SUPPLIER))
    assert len(reached) == len(network.nodes) - suppliers + 1  # all but the other suppliers, who feed the ring


def test_a_size_without_a_place_for_its_warehouses_is_refused():
    with pytest.raises(ValueError, match="9 nodes make 1 loops with 3 warehouses"):
        loop_network(9)


def test_the_simple_case_has_one_product_of_one_material_under_four_instruments():
    layout = simple_layout(6, 60)
    assert (len(layout.products.archetypes), len(layout.facts.materials)) == (1, 1)
    assert {one["type"] for one in LAW} == {"carbon_tax", "landfill_tax", "recycled_content_mandate", "epr_fee"}
    assert len(layout.obligations) == 1


def test_prepared_numbers_are_the_same_for_cells_of_a_candidate():
    control = Prepared(simple_layout(6, 60), 6, repeat=3).decide(None)  # type: ignore[arg-type]
    assert control.targets.shape == (3, 6, 6)
    assert (control.targets[..., 0] == control.targets[..., 2]).all()
    assert (control.targets[..., 2] != control.targets[..., 3]).any()


def test_the_shortest_of_three_calls_counts_and_the_first_does_not():
    seconds = iter([0.1, 3.0, 2.0, 4.0])
    assert best(lambda: next(seconds), 0.0) == 2.0


def test_a_rate_is_divided_by_the_triads_around_it(monkeypatch: pytest.MonkeyPatch):
    triads = iter([10.0, 99.0, 20.0])
    bench = Bench(seconds=0.0, triad=lambda: next(triads))  # type: ignore[arg-type]
    monkeypatch.setattr(Bench, "rate", lambda self, *_: float(self.stream()))
    assert bench.beside_triad(None, 1, None) == (99.0, 99.0 / 15.0)  # type: ignore[arg-type]


def test_a_rollout_counts_cells_times_nodes_times_periods():
    assert Case(layout=simple_layout(6, 60), scenarios=[]).node_periods(10) == 3600.0


def test_metrics_are_the_contract_and_what_was_not_measured_is_null(tmp_path):
    file = report("kernel", listed(METRICS, {"two_workers": 1.9}, {"two_workers": "quiet"}), tmp_path)
    told = json.loads(file.read_text())
    assert [one["metric"] for one in told][: len(CONTRACT)] == list(CONTRACT)
    assert all(set(one) >= {"metric", "value", "unit", "target", "better"} for one in told)
    by_name = {one["metric"]: one for one in told}
    assert by_name["two_workers"] == {
        "metric": "two_workers", "value": 1.9, "unit": "x", "target": 1.8, "better": "higher", "note": "quiet",
    }  # fmt: skip
    assert by_name["compile_s"]["value"] is None
    assert {name: METRICS[name][1] for name in CONTRACT[:6]} == dict(
        zip(CONTRACT[:6], (120.0, None, 5.0, 2.8, 10.0, 8.0), strict=True)
    )


def test_one_core_alone_measures_no_pair_of_workers():
    bench = Bench(seconds=0.0, triad=lambda: 1.0)  # type: ignore[arg-type]
    bench_kernel.workers(bench, [0])
    assert bench.found == {"two_workers": None}


# ---- steps and counted work


def calls(function: object) -> list[str]:
    """The names that a function calls, in the order of its text."""
    tree = ast.parse(inspect.getsource(getattr(function, "py_func", function)))  # type: ignore[arg-type]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [node.func.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))]  # type: ignore[attr-defined]


def test_the_steps_are_those_of_the_kernel_in_its_order():
    once = {"range", "len", "review", "book_value", "balance"}  # not in every period, or part of count
    assert [name for name in calls(period._advance) if name not in once] == list(STEPS)


def test_every_step_belongs_to_one_kind_of_node_or_to_the_books():
    named = [step for _, steps in KINDS.values() for step in steps]
    assert len(named) == len(set(named))
    assert set(named) <= set(STEPS)
    assert {kind for kinds, _ in KINDS.values() for kind in kinds} == set(NodeKind)


def test_counted_work_is_that_of_the_code_that_is_timed():
    """Run uncompiled: step by step, a block comes to the same bytes as in the kernel's own period."""
    program = """
import numpy as np
from benchmarks.kernel_cases import simple_case
from benchmarks.kernel_steps import block_of, run_steps
case = simple_case(6, 60)
whole, steps = (case.start(2, np.float64, lanes=2, inside=False) for _ in range(2))
whole.advance(24)
steps.advance(13)
run_steps(block_of(steps, 13), 13, 24, lambda name, call: call())
print((whole._x == steps._x).all(), whole._x.any(axis=(0, 2)).sum())
"""
    told = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=told, capture_output=True, text=True, check=True)
    same, rows = done.stdout.split()
    assert same == "True"
    assert int(rows) > 50


def test_work_is_counted_by_step():
    work = count_work("tiny")
    assert set(work) == {*STEPS, WHOLE}
    assert all(work[name].loads > 0 for name in ("take_back", "recycle", "sell", "record"))
    rows = sum(work[name].read + work[name].written for name in STEPS)
    assert 0 < work[WHOLE].read + work[WHOLE].written < rows


def test_rows_and_numbers_count_what_is_done_with_them(monkeypatch: pytest.MonkeyPatch):
    notes = kernel_trace._Notes()
    monkeypatch.setattr(kernel_trace, "_notes", notes)
    rows = kernel_trace._Rows("x", np.ones((3, 2)))
    one, two = rows[0], rows[1]
    for i in range(2):
        one[i] = 2.0 * two[i] + two[i]  # a number is loaded once in a turn
        two[i] = one[i] / two[i]  # what was stored is at hand
    rows[2, 1] = 1 if rows[0, 1] > 5.0 else -two[1]
    assert notes.count == {"loads": 3, "stores": 5, "operations": 6, "divisions": 2}
    assert notes.read == {("x", 1)}  # row 0 was written before it was read
    assert notes.written == {("x", 0), ("x", 1), ("x", 2)}


def test_the_roofline_is_the_longest_of_its_limits(capsys: pytest.CaptureFixture[str]):
    nothing = Work(**dict.fromkeys((one.name for one in fields(Work)), 0.0))
    work = dict.fromkeys(STEPS, nothing)
    work["sell"] = Work(read=60, written=40, state=60, loads=300, stores=100, operations=10, divisions=1)
    work["produce"] = Work(read=1, written=1, state=2, loads=5, stores=5, operations=10, divisions=40)
    times = dict.fromkeys(STEPS, 0.0) | {"sell": 32.0, "produce": 20.0}
    pace = Pace(cache=100.0, operations=10.0, divisions=4.0)
    kinds = [NodeKind.MARKET, NodeKind.MARKET, NodeKind.PLANT, NodeKind.SUPPLIER]
    table = {line.kind: line for line in lines(kinds, work, times, pace, 8)}
    market, plant = table["market"], table["plant"]
    assert (market.nodes, market.bytes, market.roof, market.limit) == (2, 800.0, 8.0, "rows")
    assert (plant.roof, plant.limit, plant.ns) == (10.0, "divisions", 20.0)
    assert roof(list(table.values()), len(kinds)) == 18.0 / 4
    show("a table", list(table.values()), pace)
    show_steps("its steps", work, times, len(kinds))
    said = capsys.readouterr().out
    assert "61.5%" in said  # of the time is with markets
    assert "divisions" in said
