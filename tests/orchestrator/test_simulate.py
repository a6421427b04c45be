"""`circularbench simulate`: one Entry's cost a period, from the command line, without Ray."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

from orchestrator import cli, shard
from orchestrator.statistics import mean_interval

ROOT = Path(__file__).resolve().parents[2]
SERIAL = ROOT / "experiments" / "serial_clark_scarf.yaml"
SHOP: dict[str, Any] = {
    "version": 1,
    "name": "shop",
    "suite": {
        "name": "shop",
        "archetype": "plain",
        "seed": 1,
        "start": "2026-01",
        "warm_up": 12,
        "scored": 12,
        "discount_rate": 0,
        "splits": {
            "train": {"families": ["eu_baseline"], "scenarios": 2},
            "validation": {"families": ["eu_baseline"], "scenarios": 2},
            "test": {"families": ["none"], "scenarios": 4},
        },
        "network": {
            "nodes": [
                {"name": "factory", "kind": "supplier"},
                {"name": "shop", "kind": "warehouse", "holding": 1, "max_target": {"S": 128}},
                {
                    "name": "customers",
                    "kind": "market",
                    "demand": {"process": "normal", "mean": 50, "sd": 8},
                    "backlog": True,
                    "shortage_cost": 4,
                },
            ],
            "lanes": [{"from": "factory", "to": "shop", "lead": 1}, {"from": "shop", "to": "customers"}],
        },
    },
    "reference": "high",
    "entries": [
        {"name": "high", "controller": "base_stock", "parameters": {"shop.S": 100}},
        {"name": "low", "controller": "base_stock", "parameters": {"shop.S": 20}},
        {
            "name": "searched",
            "controller": "schedule",
            "search": {"method": "random", "evaluations": 4, "width": 2, "scenarios": 2, "finalists": 1, "seed": 1},
        },
    ],
}


class Bench:
    """The shop's experiment file and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "shop.yaml"
        self.file.write_text(json.dumps(SHOP), encoding="utf-8")  # JSON is YAML
        self.results = folder / "results"

    def call(self, *arguments: str | Path) -> Result:
        given = ["simulate", self.file, "--results", self.results, *arguments]
        return CliRunner().invoke(cli.app, [str(argument) for argument in given])

    def object(self, *arguments: str | Path) -> dict[str, Any]:
        done = self.call("--json", *arguments)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def shop(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_serial_system_costs_what_theory_says(tmp_path: Path):
    done = CliRunner().invoke(cli.app, ["simulate", str(SERIAL), "--json", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {"digest", "mean_cost", "ci_lo", "ci_hi", "n", "periods"}
    assert found["mean_cost"] == pytest.approx(47.66, rel=0.005)
    assert (found["ci_hi"] - found["ci_lo"]) / (2 * 1.96) <= 0.001 * found["mean_cost"]
    assert found["ci_lo"] < 47.66 < found["ci_hi"]


def test_the_first_entry_is_simulated_unless_another_is_named(shop: Bench):
    high, low = shop.object(), shop.object("--entry", "low")
    assert high["n"] == 4 and high["periods"] == 12
    assert high["mean_cost"] == pytest.approx(50.0, abs=15.0)  # 100 less demand of 50, held at 1
    assert low["mean_cost"] == pytest.approx(120.0, abs=30.0)  # 30 short, at 4
    assert high["digest"] != low["digest"]


def test_repeating_reuses_the_runs(shop: Bench, simulated: list[tuple[str, str]]):
    first = shop.object()
    assert len(simulated) == 4
    assert shop.object() == first
    assert len(simulated) == 4


def test_more_runs_extend_the_split_and_keep_its_runs(shop: Bench, simulated: list[tuple[str, str]]):
    shop.object()
    more = shop.object("--runs", "6")
    assert more["n"] == 6
    assert [scenario for scenario, _ in simulated] == [f"none/{i}" for i in range(6)]


def test_a_single_run_has_no_interval(shop: Bench):
    found = shop.object("--runs", "1")
    assert found["n"] == 1 and found["ci_lo"] is None and found["ci_hi"] is None


def test_the_table_names_cost_and_metrics(shop: Bench):
    done = shop.call()
    assert done.exit_code == 0
    assert "mean cost, EUR a period" in done.stdout and "service" in done.stdout and "95 %" in done.stdout


def test_an_unknown_entry_is_refused(shop: Bench):
    done = shop.call("--entry", "hihg")
    assert done.exit_code == 2
    assert "'hihg'" in done.output and "'high'" in done.output


def test_a_searched_entry_needs_its_search_first(shop: Bench):
    done = shop.call("--entry", "searched")
    assert done.exit_code == 2
    assert "circularbench run" in done.output


@pytest.mark.parametrize(("failing", "counted"), [(range(1), 3), (range(4), None)])
def test_failed_runs_are_told(shop: Bench, monkeypatch: pytest.MonkeyPatch, failing: range, counted: int | None):
    whole = shard.build

    def build(layout: Any, records: Any) -> Any:
        cells.append(len(cells))
        if cells[-1] in failing:
            raise RuntimeError("the controller fell asleep")
        return whole(layout, records)

    cells: list[int] = []
    monkeypatch.setattr(shard, "build", build)
    monkeypatch.setitem(shard.MAX_CELLS, "kernel", 1)
    done = shop.call("--json")
    assert done.exit_code == 1
    assert "the controller fell asleep" in done.output
    if counted is not None:
        assert json.loads(done.stdout.splitlines()[-1])["n"] == counted


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_trace_has_a_row_for_each_run_and_period(shop: Bench, ending: str):
    path = shop.folder / f"trace.{ending}"
    found = shop.object("--trace", path)
    if ending == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{**row, "cost": float(row["cost"])} for row in csv.DictReader(file)]
        scored = [row["cost"] for row in rows if row["scored"] == "true"]
    else:
        rows = pyarrow.parquet.read_table(path).to_pylist()
        scored = [row["cost"] for row in rows if row["scored"]]
    assert len(rows) == 4 * 24 and len(scored) == 4 * 12
    assert [row["scenario"] for row in rows[::24]] == [f"none/{i}" for i in range(4)]
    assert sum(scored) / len(scored) == pytest.approx(found["mean_cost"], rel=1e-12)


def test_a_trace_of_another_kind_is_refused(shop: Bench):
    done = shop.call("--trace", shop.folder / "trace.xlsx")
    assert done.exit_code == 2
    assert ".parquet" in done.output


def test_the_interval_of_a_mean_is_students():
    found = mean_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert (found.estimate, found.n) == (2.0, 3)
    assert found.low == pytest.approx(2.0 - 4.30265273 / 3**0.5) and found.high == pytest.approx(
        2.0 + 4.30265273 / 3**0.5
    )
