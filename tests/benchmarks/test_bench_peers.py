import json
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import bench_peers
from benchmarks.bench_peers import (
    HERE,
    LOCK,
    PEERS,
    Comparison,
    Reading,
    ScriptError,
    compare,
    metrics,
    run_script,
    show,
)
from benchmarks.peers.ours import Levels, simulate
from benchmarks.report import report
from optimizers.controllers.fixed_base_stock import fixed_schedule
from orchestrator.plan import make_plan
from orchestrator.spec import load
from sim_core.engine.layout import build_layout
from sim_core.network import GOODS_POINTS
from sim_core.scenario import build_scenario

PEER = PEERS[0]


def reading(rate: float, cost: float | None = None, error: float | None = None) -> Reading:
    return Reading(version="1", rate=rate, cost=cost, standard_error=error)


class Script:
    """Answers with rates from two lists, and notes who was asked."""

    def __init__(self, theirs: list[float], ours: list[float]) -> None:
        self.left = {"theirs": list(theirs), "ours": list(ours)}
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str]) -> Reading:
        side = "ours" if "benchmarks.peers.ours" in command else "theirs"
        self.asked.append(side)
        rate = self.left[side].pop(0)
        if not rate:
            raise ScriptError("no such module")
        return reading(rate)


def compared(script: Script, rounds: int) -> Comparison:
    return compare(PEER, "python", rounds=rounds, seconds=0.0, engine="kernel", run=script)


def test_the_ratio_is_taken_within_a_round_and_its_median_counts():
    found = compared(Script([1.0, 10.0, 100.0], [4.0, 20.0, 300.0]), 3)
    assert found.ratio == 3.0  # of 4, 2 and 3; the ratio of the medians is 2


def test_who_comes_first_changes_from_round_to_round():
    script = Script([1.0] * 3, [1.0] * 3)
    compared(script, 3)
    assert script.asked == ["theirs", "ours", "ours", "theirs", "theirs", "ours"]


def test_a_side_that_fails_is_told_and_the_other_still_measured(capsys: pytest.CaptureFixture[str]):
    found = compared(Script([0.0], [5.0, 7.0]), 2)
    by_name = {metric["metric"]: metric for metric in metrics([found])}
    assert by_name["vs_dynaplex"]["value"] is None
    assert "theirs failed: no such module" in by_name["vs_dynaplex"]["note"]
    assert by_name["dynaplex_node_periods"]["value"] is None
    assert by_name["ours_beside_dynaplex_node_periods"]["value"] == 6.0
    show([found])
    assert "no such module" in capsys.readouterr().out


def test_costs_are_the_same_within_four_standard_errors():
    one = Comparison(peer=PEER, theirs=(reading(1.0, 10.0, 0.3),), ours=(reading(1.0, 11.9, 0.4),))
    assert one.cost_agrees is True
    assert replace(one, ours=(reading(1.0, 12.1, 0.4),)).cost_agrees is False
    assert replace(one, ours=(reading(1.0),)).cost_agrees is None
    assert replace(one, ours=()).cost_agrees is None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise ImportError('there is none')", "there is none"),
        ("print('hello')", "said no reading"),
        ("print('{}')", "said no reading"),
        ("", "said no reading"),
    ],
)
def test_a_script_without_a_reading_is_an_error(program: str, said: str):
    with pytest.raises(ScriptError, match=said):
        run_script([sys.executable, "-c", program])


def test_a_script_that_is_not_there_is_an_error():
    with pytest.raises(ScriptError, match="nowhere"):
        run_script(["/nowhere/python"])


def test_a_reading_is_node_periods_over_cpu_seconds():
    told = {"version": "2", "node_periods": 30.0, "cpu_seconds": 4.0, "cost": 1.5, "standard_error": None, "cells": 8}
    program = f"print('warm'); print({json.dumps(json.dumps(told))})"
    assert run_script([sys.executable, "-c", program]) == Reading(version="2", rate=7.5, cost=1.5)


def test_the_file_holds_what_every_benchmark_writes(tmp_path):
    file = report("peers", metrics([compared(Script([0.0], [5.0]), 1)]), tmp_path)
    told = json.loads(file.read_text())
    assert [set(metric) >= {"metric", "value", "unit", "target", "better"} for metric in told] == [True] * 3
    assert told[0]["value"] is None


def test_an_unchanged_lock_is_not_installed_again(tmp_path, monkeypatch: pytest.MonkeyPatch):
    calls: list[Sequence[str]] = []

    def call(command: Sequence[str]) -> str:
        calls.append(command)
        tmp_path.mkdir(exist_ok=True)
        return "ERROR: no matching distribution" if command[-1].startswith(refused) else ""

    monkeypatch.setattr(bench_peers, "_call", call)
    refused = "stockpyl"
    faults = bench_peers.prepare(PEERS, tmp_path)
    assert faults == {"stockpyl": "not installed: ERROR: no matching distribution"}
    refused = "nothing"
    assert bench_peers.prepare(PEERS, tmp_path) == {}  # a failure is tried again
    done = len(calls)
    assert bench_peers.prepare(PEERS, tmp_path) == {}
    assert len(calls) == done


def test_a_command_that_is_not_there_is_a_complaint():
    assert "nowhere" in bench_peers._call(["/nowhere/pip"])
    program = "import sys; sys.exit('warning\\nERROR: no such version\\nsee the handbook')"
    assert bench_peers._call([sys.executable, "-c", program]) == "ERROR: no such version"
    assert bench_peers._call([sys.executable, "-c", ""]) == ""


def test_every_peer_is_locked_and_has_a_script():
    locked = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in locked)
    assert {peer.package for peer in PEERS} <= {line.split("==")[0] for line in locked}
    assert all((HERE / f"with_{peer.name}.py").is_file() for peer in PEERS)


@pytest.mark.parametrize(("name", "stocks"), [("dynaplex", 1), ("gym_invmgmt", 6), ("stockpyl", 4), ("supplynetpy", 1)])
def test_ours_runs_each_problem(name: str, stocks: int):
    plan = make_plan(load(HERE / f"{name}.yaml"))
    suite = replace(plan.suite, scored=12)
    layout = build_layout(suite)
    targets = fixed_schedule(layout, plan.fixed["reference"].parameters).targets[:, :, None].repeat(8, axis=2)
    scenarios = [build_scenario(layout, suite.scenarios("test")[0])]
    rows = np.zeros(8, dtype=np.intp)
    ledger = simulate("numpy", layout, scenarios, rows, Levels(targets, len(suite.levers)))
    assert len(layout.network.of_kind(*GOODS_POINTS)) == stocks
    assert (ledger.objective() > 0.0).all()
