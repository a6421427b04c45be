"""Tables of a user's network: they say the same as lists, and every fault has its row and column."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import network_tables
from orchestrator.network_reader import read_network
from sim_core.exogenous import Process
from sim_core.network import LaneGroup
from sim_core.network_generator import build_network
from tests.orchestrator.test_network_reader import ROOT, changed, network, read, refusal

NODES = """\
name,kind,holding,demand.process,demand.mean,demand.values,demand.probabilities,backlog,max_target.S
source,supplier,,,,,,,
shop,warehouse,0.18,,,,,,128
town,market,,poisson,6,,,true,
city,market,,pmf,,0;1;2,0.5;0.25;0.25,,
port,market,,,,,,,
"""
LANES = """\
from,to,lead,share,lateral
source,shop,2,,
shop,town,,1,

shop,city,,,
shop,port,,,
"""
TABLES = {"nodes.csv": NODES, "lanes.csv": LANES}


def tables(folder: Path, **texts: str) -> str:
    for name, text in {**TABLES, **{f"{key}.csv": text for key, text in texts.items()}}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return "nodes: nodes.csv\nlanes: lanes.csv\n"


def test_tables_say_the_same_as_lists(tmp_path: Path):
    listed = """\
nodes:
  - {name: source, kind: supplier}
  - {name: shop, kind: warehouse, holding: 0.18, max_target: {S: 128}}
  - {name: town, kind: market, demand: {process: poisson, mean: 6}, backlog: true}
  - {name: city, kind: market, demand: {process: pmf, values: [0, 1, 2], probabilities: [0.5, 0.25, 0.25]}}
  - {name: port, kind: market}
lanes: [{from: source, to: shop, lead: 2}, {from: shop, to: town}, {from: shop, to: city}, {from: shop, to: port}]
"""
    assert network(tables(tmp_path), tmp_path) == network(listed)


def test_what_was_read_stands_alone(tmp_path: Path):
    """The plain form needs no other file, and reading it again gives it back."""
    found = read(tables(tmp_path), tmp_path)
    assert found.tree == {"nodes": NODES, "lanes": LANES}
    again = read_network(json.loads(json.dumps(found.tree)))
    assert (again.network, again.tree) == (found.network, found.tree)
    (tmp_path / "net.yaml").write_text(tables(tmp_path))
    assert read_network("net.yaml", folder=tmp_path).network == found.network


def test_parquet_says_the_same_as_csv(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    text = tables(tmp_path)
    for name in ("nodes", "lanes"):
        table = pc.read_csv(tmp_path / f"{name}.csv", convert_options=pc.ConvertOptions(strings_can_be_null=True))
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert network(text.replace(".csv", ".parquet"), tmp_path) == network(text, tmp_path)
    nested = [
        {"name": "shop", "kind": "plant", "demand": None, "max_target": {"S": 4.0}},
        {
            "name": "town",
            "kind": "market",
            "demand": {"process": "pmf", "values": [0.1, 2.0], "probabilities": [0.5, 0.5]},
            "max_target": None,
        },
    ]
    pq.write_table(pa.Table.from_pylist(nested), tmp_path / "nodes.parquet")
    (tmp_path / "lanes.csv").write_text("from,to\nshop,town\n")
    found = network("nodes: nodes.parquet\nlanes: lanes.csv\n", tmp_path)
    assert found.nodes[1].demand == Process(kind="pmf", values=(0.1, 2.0), probabilities=(0.5, 0.5))
    assert dict(found.nodes[0].max_target) == {"S": 4.0}


def test_a_table_of_a_large_network_gives_it_back_exactly(tmp_path: Path):
    built = build_network("national", 3, region_km=400.0, import_km=18_000.0)
    for name, header, rows in (
        ("nodes", ["name", "kind", "x", "y"], [[n.name, n.kind, repr(n.x), repr(n.y)] for n in built.nodes]),
        (
            "lanes",
            ["from", "to", "lead", "share", "km", "overseas", "lateral"],
            [
                [built.nodes[one.sender].name, built.nodes[one.receiver].name, one.lead, repr(one.share), repr(one.km)]
                + [str(flag).lower() for flag in (one.overseas, one.group is LaneGroup.LATERAL)]
                for one in built.lanes
            ],
        ),
    ):
        text = io.StringIO()
        csv.writer(text).writerows([header, *rows])
        (tmp_path / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8-sig", newline="")
    assert network("nodes: nodes.csv\nlanes: lanes.csv\n", tmp_path) == built


# Each case: the table, what is replaced, by what, row and column of the fault, field, words.
TABLE_REFUSALS = {
    "column": ("nodes", "holding", "holdng", "1:3", "holdng", "unknown column (got 'holdng'); did you mean 'holding'?"),
    "nested column": ("nodes", "demand.mean", "demand.men", "1:5", "demand.men", "did you mean 'demand.mean'?"),
    "column twice": ("lanes", "share", "lead", "1:4", "lead", "the column is given twice; remove one of them"),
    "kind": ("nodes", "shop,warehouse", "shop,warehuse", "3:2", "kind", "did you mean 'warehouse'?"),
    "number": ("nodes", "0.18", "0x18", "3:3", "holding", "must be a finite decimal number, or true or false (got"),
    "text": ("nodes", "0.18", "cheap", "3:3", "holding", "must be a number (got 'cheap')"),
    "truth": (
        "nodes",
        "true",
        "yes",
        "4:8",
        "backlog",
        "must be a finite decimal number, or true or false (got 'yes')",
    ),
    "process": ("nodes", "poisson", "poison", "4:4", "demand.process", "did you mean 'poisson'?"),
    "list": ("nodes", "0;1;2", "0;x;2", "5:6", "demand.values", "must be a list of numbers (got a list of 3)"),
    "pmf": ("nodes", "0.5;0.25;0.25", "0.5;0.5", "5:7", "demand.probabilities", "as many as values, 3, not 2"),
    "name missing": ("nodes", "port,market", ",market", "6:1", "name", "the field is missing"),
    "short row": ("nodes", "port,market,,,,,,,", "port,market", "6:1", "", "the row has 2 cells, the header 9"),
    "node": ("lanes", "shop,city", "shop,citty", "5:2", "to", "unknown node (got 'citty'); did you mean 'city'?"),
    "pair": ("lanes", "shop,city", "town,city", "5:1", "", "no lane can lead from a market to a market"),
    "lead": ("lanes", "shop,2", "shop,0", "2:3", "lead", "is 0; it must be at least 1 period"),
    "quote": ("lanes", "shop,port,,,", 'shop,"port,,,', "6:1", "", "not valid CSV: unexpected end of data"),
    "semicolons": ("lanes", "from,to,lead,share,lateral", "from;to", "1:1", "", "parted by commas (got 'from;to')"),
}


@pytest.mark.parametrize("case", TABLE_REFUSALS)
def test_a_fault_in_a_table_is_named_with_row_and_column(tmp_path: Path, case: str):
    table, old, new, at, field, words = TABLE_REFUSALS[case]
    lines = refusal(tables(tmp_path, **{table: changed(old, new, TABLES[f"{table}.csv"])}), tmp_path)
    start = f"{tmp_path / table}.csv:{at}: " + (f"{field}: " if field else "")
    assert [line for line in lines if line.startswith(start) and words in line], lines


def test_faults_in_a_block_of_csv_name_row_and_column():
    text = "nodes: |\n  name,kind\n  a,plnt\n  b,market\nlanes: |\n  from,to\n  a,b\n"
    assert refusal(text) == [
        "net.yaml:1:8: nodes: row 2, column 2: kind: unknown kind of node (got 'plnt'); did you mean 'plant'?"
    ]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ("none.csv", "can't be read: No such file or directory"),
        ("none.parquet", "can't be read: No such file or directory"),
        ("bad.parquet", "can't be read: "),
        ("latin.csv", "not UTF-8: save the table as UTF-8"),
        ("empty.csv", "the table is empty"),
    ],
)
def test_tables_that_can_not_be_read(tmp_path: Path, nodes: str, words: str):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "latin.csv").write_bytes(b"name,kind\n\xe9,market\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    lines = refusal(tables(tmp_path).replace("nodes.csv", nodes), tmp_path)
    assert [line for line in lines if line.startswith(f"{tmp_path / nodes}:1:1: ") and words in line], lines


def test_large_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = tables(tmp_path)
    monkeypatch.setattr(network_tables, "MAX_ROWS", 4)
    assert any("nodes.csv:6:1: more than 4 rows" in line for line in refusal(text, tmp_path))
    monkeypatch.setattr(network_tables, "MAX_TABLE_BYTES", 100)
    assert any("nodes.csv:1:1: the table is larger than 100 bytes" in line for line in refusal(text, tmp_path))


def test_files_are_named_in_files_only():
    for value in ("net.yaml", {"nodes": "nodes.csv", "lanes": []}):
        assert read_network(value).faults


def test_csv_needs_no_pyarrow(tmp_path: Path):
    tables(tmp_path)
    program = (
        "import sys; from pathlib import Path; from orchestrator.network_reader import read_network\n"
        "found = read_network({'nodes': 'nodes.csv', 'lanes': 'lanes.csv'}, folder=Path(sys.argv[1]))\n"
        "print(len(found.network.nodes), 'pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "5 False"


@settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from('abfrom,to\n";.=1x\r '), max_size=60))
def test_any_text_is_a_table_or_refused(text: str):
    found = read_network({"nodes": f"{text}\n", "lanes": LANES})
    assert found.network is None and found.faults
