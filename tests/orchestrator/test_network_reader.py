"""A user's own network: what may be written, what defaults mean, and every fault with its place."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import network_reader
from orchestrator.network_reader import ReadNetwork, read_network
from orchestrator.yaml_reader import parse
from sim_core.exogenous import Process
from sim_core.network import LaneGroup, Network, NodeKind

ROOT = Path(__file__).resolve().parents[2]
SERIAL = """\
nodes:
  - {name: source, kind: supplier, x: 0, y: 0}
  - {name: back, kind: warehouse, x: 30, y: 40, holding: 2, max_target: {S: 64}}
  - {name: front, kind: warehouse, holding: 4}
  - {name: kiosk, kind: warehouse}
  - {name: shop, kind: market, demand: {process: normal, mean: 5, sd: 1}, backlog: true, shortage_cost: 37.12}
lanes:
  - {from: source, to: back, lead: 2}
  - {from: back, to: front, information: 1, cost: 0.5, capacity: 9}
  - {from: back, to: kiosk, km: 7}
  - {from: front, to: shop, share: 0.75}
  - {from: kiosk, to: shop}
  - {from: front, to: kiosk, lateral: true}
"""
DEMAND = "{process: normal, mean: 5, sd: 1}"


def read(text: str, folder: Path | None = None) -> ReadNetwork:
    document = parse(text, "net.yaml")
    assert not document.faults
    return read_network(document.value, document=document, folder=folder)


def network(text: str, folder: Path | None = None) -> Network:
    found = read(text, folder)
    assert found.network is not None, [fault.line("net.yaml") for fault in found.faults]
    return found.network


def refusal(text: str, folder: Path | None = None) -> list[str]:
    found = read(text, folder)
    assert found.network is None
    return [fault.line("net.yaml") for fault in found.faults]


def changed(old: str, new: str, text: str = SERIAL) -> str:
    assert old in text
    return text.replace(old, new, 1)


def lane(found: Network, title: str):
    return next(one for one in found.lanes if found.title(one) == title)


def test_groups_shares_leads_and_distances_have_friendly_defaults():
    found = network(SERIAL)
    groups = {found.title(one): one.group for one in found.lanes}
    assert groups["source -> back"] is LaneGroup.PURCHASE and groups["back -> front"] is LaneGroup.GOODS
    assert groups["front -> kiosk"] is LaneGroup.LATERAL and groups["kiosk -> shop"] is LaneGroup.SALES
    assert (lane(found, "source -> back").lead, lane(found, "back -> kiosk").lead) == (2, 1)
    assert lane(found, "front -> shop").lead == 0, "goods are sold in no time"
    assert (lane(found, "front -> shop").share, lane(found, "kiosk -> shop").share) == (0.75, 0.25)
    assert lane(found, "source -> back").km == pytest.approx(1.3 * 50.0)
    assert (lane(found, "back -> kiosk").km, lane(found, "back -> front").km) == (7.0, 0.0)
    ordered = lane(found, "back -> front")
    assert (ordered.information, ordered.cost, ordered.capacity) == (1, 0.5, 9.0)
    assert not ordered.overseas and lane(found, "source -> back").cost is None


def test_nodes_hold_what_is_written_and_nothing_else():
    found = {node.name: node for node in network(SERIAL).nodes}
    assert found["shop"].demand == Process(kind="normal", mean=5.0, sd=1.0)
    assert (found["shop"].backlog, found["shop"].shortage_cost) == (True, 37.12)
    assert (found["back"].holding, dict(found["back"].max_target)) == (2.0, {"S": 64.0})
    assert (found["kiosk"].holding, found["kiosk"].capacity, found["kiosk"].u_basis) == (None, None, "remaining")


def test_shares_are_even_where_none_is_given():
    text = changed("share: 0.75", "share: ~", SERIAL)
    assert {one.share for one in network(text).in_group(LaneGroup.SALES)} == {0.5}


@pytest.mark.parametrize(
    ("written", "process"),
    [
        ("6", Process(kind="constant", mean=6.0)),
        ("[1, 2, 3.5]", Process(kind="series", values=(1.0, 2.0, 3.5))),
        ("{process: poisson, mean: 6}", Process(kind="poisson", mean=6.0)),
        (
            "{process: pmf, values: [0, 2], probabilities: [0.5, 0.5]}",
            Process(kind="pmf", values=(0.0, 2.0), probabilities=(0.5, 0.5)),
        ),
        ("{process: ar1, mean: 9, sd: 1, rho: 0.5}", Process(kind="ar1", mean=9.0, sd=1.0, rho=0.5)),
    ],
)
def test_the_ways_to_write_demand(written: str, process: Process):
    assert network(changed(DEMAND, written)).nodes[-1].demand == process


def test_returns_and_storage_of_a_remanufacturer():
    found = network(
        """\
nodes:
  - {name: works, kind: plant, cost: 10, holding: 1, max_target: {S: 16}}
  - {name: shop, kind: market, demand: 2, backlog: true, shortage_cost: 20}
  - {name: cores, kind: remanufacturer, storage: 8, u_basis: total, max_target: {M: 16, U: 16},
     returns: {process: pmf, values: [0, 1, 2, 3], probabilities: [0.2, 0.4, 0.3, 0.1]}}
lanes:
  - {from: works, to: shop}
  - {from: cores, to: works, lead: 0}
"""
    )
    cores = found.nodes[-1]
    assert (cores.kind, cores.storage, cores.u_basis) == (NodeKind.REMANUFACTURER, 8.0, "total")
    assert cores.returns is not None and cores.returns.expected == pytest.approx(1.3)
    assert lane(found, "cores -> works").group is LaneGroup.REMAN_GOODS


# Each case: what is replaced, by what, the part of the line at which the fault must stand, field, words.
REFUSALS = {
    "kind": (
        "kind: supplier",
        "kind: suplier",
        "suplier",
        "nodes[0].kind",
        "(got 'suplier'); did you mean 'supplier'?",
    ),
    "field": ("holding: 2", "holdng: 2", "holdng", "nodes[1].holdng", "unknown field (got 2); did you mean 'holding'?"),
    "type": ("holding: 4", "holding: x", "x}", "nodes[2].holding", "must be a number (got 'x')"),
    "truth": ("backlog: true", "backlog: 1", "1, short", "nodes[4].backlog", "must be true or false (got 1)"),
    "number as name": ("name: kiosk,", "name: 7,", "7,", "nodes[3].name", "must be text (got 7); quote it"),
    "name": ("{name: kiosk, kind", "{kind", "{kind: w", "nodes[3].name", "the field is missing"),
    "name twice": ("name: kiosk,", "name: front,", "front,", "nodes[3].name", "the name is taken by another node"),
    "long name": ("name: kiosk", "name: " + "k" * 65, "kkk", "nodes[3].name", "1 to 64 printable characters"),
    "process": ("process: normal", "process: norml", "norml", "nodes[4].demand.process", "did you mean 'normal'?"),
    "process field": ("sd: 1}", "sigma: 1}", "sigma", "nodes[4].demand.sigma", "unknown field (got 1); known: process"),
    "process number": ("sd: 1}", "sd: -1}", "-1}", "nodes[4].demand.sd", "must be finite and at least 0, not -1"),
    "process missing": ("{process: normal, ", "{", "demand: {mean", "nodes[4].demand.process", "the field is missing"),
    "no process": (DEMAND, "much", "much", "nodes[4].demand", "must be a number, a list of numbers, or a mapping"),
    "short series": (DEMAND, "[]", "[]", "nodes[4].demand", "must hold one or more numbers"),
    "list of texts": (DEMAND, "[1, a]", "[1, a]", "nodes[4].demand", "must be a list of numbers (got a list of 2)"),
    "target": ("{S: 64}", "{M: 64}", "{M", "nodes[1].max_target", "of 'M' means nothing at a warehouse; known are S"),
    "no target": ("{S: 64}", "{Z: 64}", "Z:", "nodes[1].max_target.Z", "unknown field (got 64); known: S, M, U"),
    "misplaced": ("kind: supplier", "kind: supplier, backlog: true", "true", "nodes[0].backlog", "belongs to market"),
    "negative": ("holding: 4", "holding: -4", "-4", "nodes[2].holding", "must be finite and at least 0, not -4"),
    "node": ("to: back,", "to: bakc,", "bakc", "lanes[0].to", "unknown node (got 'bakc'); did you mean 'back'?"),
    "pair": ("from: source", "from: shop", "{from: shop", "lanes[0]", "no lane can lead from a market to a warehouse"),
    "lead": ("lead: 2", "lead: 0", "0}", "lanes[0].lead", "is 0; it must be at least 1 period, because every cycle"),
    "late sale": ("share: 0.75", "lead: 1", "1}", "lanes[3].lead", "is 1; SALES lanes take no time: write 0"),
    "half a period": ("lead: 2", "lead: 1.5", "1.5", "lanes[0].lead", "must be a whole number (got 1.5)"),
    "shares": ("share: 0.75", "share: 1", "{from: kiosk", "lanes[4]", "add up to 1, so nothing is left for this lane"),
    "share": ("share: 0.75", "share: -1", "-1}", "lanes[3].share", "must be in [0, 1], not -1"),
    "information": ("share: 0.75", "information: 1", "1}", "lanes[3].information", "nothing is ordered on this lane"),
    "lateral": (
        "share: 0.75",
        "lateral: true",
        "true",
        "lanes[3].lateral",
        "only a warehouse transfers to a warehouse",
    ),
    "lane twice": ("to: kiosk, km: 7", "to: front", "{from: back, to: front}", "lanes[2]", "the lane is given twice"),
    "lane as text": (
        "{from: kiosk, to: shop}",
        "kiosk",
        "kiosk\n",
        "lanes[4]",
        "must be a mapping of fields (got 'kio",
    ),
    "no lanes": (SERIAL[SERIAL.index("lanes:") :], "", "nodes:", "lanes", "the field is missing"),
    "other list": ("lanes:", "links: []\nlanes:", "links", "links", "unknown field (got a list of 0)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_fault_is_named_with_its_place(case: str):
    old, new, at, field, words = REFUSALS[case]
    text = changed(old, new)
    position = text.index(at, 0 if at == "nodes:" else text.rindex("\n", 0, SERIAL.index(old) + 1) + 1)
    place = f"{text.count(chr(10), 0, position) + 1}:{position - text.rfind(chr(10), 0, position)}"
    lines = refusal(text)
    assert [line for line in lines if line.startswith(f"net.yaml:{place}: {field}: ") and words in line], lines


def test_impossible_pairs_say_what_is_possible():
    (line,) = [one for one in refusal(changed("from: source, to: back", "from: shop, to: back")) if "no lane" in one]
    assert "a market ships to: collector;" in line
    assert line.endswith("a warehouse receives from: supplier, plant, warehouse, inspection, remanufacturer")


def test_shares_that_are_all_given_must_add_up():
    text = changed("{from: kiosk, to: shop}", "{from: kiosk, to: shop, share: 0.5}")
    assert refusal(text) == [
        "net.yaml:11:36: lanes[3].share: the shares of the lanes into shop that carry product (SALES) add up to 1.25, "
        "not 1"
    ]


def test_what_only_the_whole_network_shows():
    circle = changed("{from: front, to: kiosk, lateral: true}", "{from: kiosk, to: back}")
    start = (
        "net.yaml:1:1: orders run in a circle within a period: back -> kiosk -> back; make one of these lanes `lateral`"
    )
    assert [line.startswith(start) for line in refusal(circle)] == [True]
    loose = changed("  - {from: kiosk, to: shop}\n", "", changed("share: 0.75", "share: 1"))
    loose = changed("  - {from: back, to: kiosk, km: 7}\n", "", changed(", lateral: true", ", lead: 1", loose))
    assert network(loose).in_group(LaneGroup.SALES)[0].share == 1.0
    alone = changed("  - {from: front, to: kiosk, lead: 1}\n", "", loose)
    assert refusal(alone) == [
        "net.yaml:1:1: nothing can get to warehouse kiosk: give it a lane from a plant or a warehouse"
    ]


def test_all_faults_at_once_and_none_because_of_another():
    text = changed("kind: supplier", "kind: suplier", changed("mean: 5", "mean: x", changed("km: 7", "kn: 7")))
    fields = sorted(line.split(": ")[1] for line in refusal(text))
    assert fields == ["lanes[2].kn", "nodes[0].kind", "nodes[4].demand.mean"]


def test_a_fault_of_reading_is_not_told_twice():
    document = parse(changed("holding: 4", "holding: 0x4"), "net.yaml")
    assert read_network(document.value, document=document).faults == ()
    assert len(document.faults) == 1


def test_a_network_file_that_is_missing_or_broken(tmp_path: Path):
    found = read_network("none.yaml", folder=tmp_path)
    assert [fault.line("x") for fault in found.faults] == [
        "x:1:1: the network's file can't be read: No such file or directory (got 'none.yaml')"
    ]
    (tmp_path / "bad.yaml").write_text(changed("kind: supplier", "kind: suplier", changed("lead: 2", "lead: 1:30")))
    lines = [fault.line("x") for fault in read_network("bad.yaml", folder=tmp_path).faults]
    assert [line.rsplit(":", 4)[0].startswith(str(tmp_path / "bad.yaml")) for line in lines] == [True, True]
    (tmp_path / "torn.yaml").write_text("nodes: [")
    assert read_network("torn.yaml", folder=tmp_path).faults[0].file == str(tmp_path / "torn.yaml")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9.0, 9.0)
    | st.sampled_from(["shop", "plant", "", "a,b\n"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "kind", "from", "to", "process", "demand", "S"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=150)
@given(st.data(), values)
def test_any_value_anywhere_is_taken_or_refused(data: st.DataObject, value: object):
    tree = parse(SERIAL, "x").value
    section = data.draw(st.sampled_from(["nodes", "lanes", None]))
    if section is None:
        tree[data.draw(st.sampled_from(["nodes", "lanes"]))] = value
    else:
        item = data.draw(st.sampled_from(tree[section]))
        fields = network_reader._NODE_FIELDS if section == "nodes" else network_reader._LANE_FIELDS
        item[data.draw(st.sampled_from(sorted(fields)))] = value
    found = read_network(tree)
    assert (found.network is None) == bool(found.faults)
    if found.network is not None:
        assert read_network(found.tree).network == found.network
