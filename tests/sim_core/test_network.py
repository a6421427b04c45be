"""Networks: nodes, lanes, shares, delays and what is refused."""

import json
from dataclasses import asdict, replace

import pytest

from sim_core import network as network_module
from sim_core.errors import ModelError
from sim_core.exogenous import Process
from sim_core.network import (
    BY_RECEIVER,
    FORWARD_IN_PERIOD,
    IMMEDIATE,
    ORDERED,
    Lane,
    LaneGroup,
    Network,
    Node,
    NodeKind,
    arrange,
    find_cycle,
    group_of,
    least_lead,
    network_from_json,
)

KIND = NodeKind


def small(**changes) -> Network:
    """A plant, two warehouses in a row, a market and a remanufacturer, given out of order."""
    nodes = {
        "shop": Node(name="shop", kind=KIND.MARKET, demand=Process(kind="poisson", mean=6.0), backlog=True),
        "front": Node(name="front", kind=KIND.WAREHOUSE, holding=0.2, max_target={"S": 50.0}),
        "reman": Node(name="reman", kind=KIND.REMANUFACTURER, storage=8.0, returns=Process(kind="constant", mean=1.0)),
        "back": Node(name="back", kind=KIND.WAREHOUSE),
        "plant": Node(name="plant", kind=KIND.PLANT, capacity=20.0, cost=-1.0),
    }
    nodes |= {name: replace(nodes[name], **fields) for name, fields in changes.items()}
    index = {name: i for i, name in enumerate(nodes)}
    lanes = [
        Lane(group=group, sender=index[sender], receiver=index[receiver], lead=lead, share=1.0)
        for group, sender, receiver, lead in (
            (LaneGroup.SALES, "front", "shop", 0),
            (LaneGroup.REMAN_GOODS, "reman", "front", 0),
            (LaneGroup.GOODS, "back", "front", 1),
            (LaneGroup.GOODS, "plant", "back", 2),
        )
    ]
    return arrange(list(nodes.values()), lanes)


def with_lane(network: Network, name: str, *more: Lane, **changes) -> Network:
    """The network with a lane changed, and others added."""
    lanes = [replace(lane, **changes) if network.title(lane) == name else lane for lane in network.lanes]
    return arrange(network.nodes, [*lanes, *more]) if more else replace(network, lanes=tuple(lanes))


def node(network: Network, name: str) -> int:
    return next(i for i, found in enumerate(network.nodes) if found.name == name)


def lane(network: Network, group: LaneGroup, sender: str, receiver: str, lead: int = 1, share: float = 1.0) -> Lane:
    return Lane(group=group, sender=node(network, sender), receiver=node(network, receiver), lead=lead, share=share)


def test_nodes_given_in_any_order_are_arranged_by_kind_and_lanes_follow():
    network = small()
    assert [found.name for found in network.nodes] == ["plant", "front", "back", "shop", "reman"]
    assert [network.title(found) for found in network.lanes] == [
        "back -> front",
        "plant -> back",
        "front -> shop",
        "reman -> front",
    ]
    assert network.of_kind(KIND.WAREHOUSE, KIND.PLANT) == [0, 1, 2]
    assert [found.lead for found in network.in_group(LaneGroup.GOODS)] == [1, 2]


def test_a_network_survives_the_way_through_json():
    network = small()
    again = network_from_json(json.loads(json.dumps(asdict(network))))
    assert again == network and again.nodes[3].demand == Process(kind="poisson", mean=6.0)


def test_every_pair_of_kinds_has_one_group_at_most():
    for sender in NodeKind:
        for receiver in NodeKind:
            fits = [g for g in LaneGroup if sender in g.senders and receiver in g.receivers]
            plain = [group for group in fits if group is not LaneGroup.LATERAL]
            assert len(plain) <= 1
            assert group_of(sender, receiver) == (plain[0] if plain else None)
    assert group_of(KIND.WAREHOUSE, KIND.WAREHOUSE) is LaneGroup.GOODS
    assert group_of(KIND.WAREHOUSE, KIND.WAREHOUSE, lateral=True) is LaneGroup.LATERAL
    assert group_of(KIND.PLANT, KIND.WAREHOUSE, lateral=True) is None


def test_what_can_pass_in_no_time_within_a_period_can_not_run_in_a_circle():
    """The order of the period serves kinds one after the other; then no choice of zero lead times can close a loop."""
    kinds = list(NodeKind)
    edges = [
        (kinds.index(sender), kinds.index(receiver))
        for group in LaneGroup
        if least_lead(group) == 0 and group is not LaneGroup.SALES  # what is sold comes back later, from use
        for sender in group.senders
        for receiver in group.receivers
        if (sender, receiver) != (KIND.PLANT, KIND.EXTERNAL)  # surplus is sold, not stored
    ]
    assert find_cycle(edges) == []
    assert set(IMMEDIATE).isdisjoint(FORWARD_IN_PERIOD) and set(IMMEDIATE).isdisjoint(ORDERED)
    assert all(least_lead(group) == 1 for group in ORDERED) and set(ORDERED) < set(BY_RECEIVER)


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ([], []),
        ([(1, 2), (2, 3), (1, 3)], []),
        ([(1, 2), (2, 3), (3, 1)], [1, 2, 3, 1]),
        ([(0, 1), (1, 2), (2, 1)], [1, 2, 1]),
        ([(4, 4)], [4, 4]),
        ([(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 2)], [3, 4, 2, 3]),
    ],
)
def test_cycles_are_found(edges: list[tuple[int, int]], cycle: list[int]):
    assert find_cycle(edges) == cycle


def test_a_long_chain_is_no_problem():
    assert find_cycle([(i, i + 1) for i in range(5000)]) == []
    assert find_cycle([*((i, i + 1) for i in range(5000)), (5000, 0)])[-1] == 0


def check_orders_in_a_circle_are_refused() -> None:
    network = small()
    back = lane(network, LaneGroup.GOODS, "front", "back", share=0.5)
    with pytest.raises(ModelError, match=r"orders run in a circle within a period: front -> back -> front; make one"):
        with_lane(network, "plant -> back", back, share=0.5)
    transfer = replace(back, group=LaneGroup.LATERAL, share=1.0)
    assert with_lane(network, "", transfer).in_group(LaneGroup.LATERAL) == [transfer]


def test_orders_in_a_circle_are_refused_and_transfers_are_not():
    check_orders_in_a_circle_are_refused()


def test_a_search_for_cycles_that_sees_none_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network_module, "find_cycle", lambda edges: [])
    with pytest.raises(pytest.fail.Exception):
        check_orders_in_a_circle_are_refused()


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("plant -> back", {"lead": 0}, "lead is 0; it must be at least 1 period, because every cycle needs a delay"),
        ("front -> shop", {"lead": 1}, "lead is 1; SALES lanes take no time: write 0"),
        ("reman -> front", {"lead": -1}, "lead is -1; it must be at least 0"),
        ("plant -> back", {"information": -1}, "information must be at least 0, not -1"),
        ("front -> shop", {"information": 1}, "information delays orders, but nothing is ordered on this lane"),
        ("plant -> back", {"share": 0.7}, r"the shares of the GOODS lanes into back add up to 0.7, not 1"),
        ("reman -> front", {"share": 0.7}, r"the shares of the REMAN_GOODS lanes out of reman add up to 0.7, not 1"),
        ("plant -> back", {"share": -0.1}, r"share must be in \[0, 1\], not -0.1"),
        ("plant -> back", {"share": float("nan")}, r"share must be in \[0, 1\], not nan"),
        ("plant -> back", {"km": -1.0}, "km must be finite and at least 0, not -1"),
        ("plant -> back", {"cost": float("inf")}, "cost must be finite and at least 0, not inf"),
        ("plant -> back", {"capacity": -2.0}, "capacity must be finite and at least 0, not -2"),
        ("reman -> front", {"capacity": 2.0}, "capacity would leave the rest nowhere on REMAN_GOODS lanes"),
        ("plant -> back", {"group": LaneGroup.VIRGIN}, "can't be VIRGIN: it joins plant and warehouse"),
        ("plant -> back", {"receiver": 99}, "a lane joins a node that is not one of the 5"),
    ],
)
def test_what_no_lane_has_is_refused(name: str, changes: dict, words: str):
    with pytest.raises(ModelError, match=words):
        with_lane(small(), name, **changes)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("shop", {"capacity": 3.0}, "market shop: capacity means nothing at a market; it belongs to supplier, plant"),
        ("plant", {"demand": Process(kind="constant")}, "plant plant: demand means nothing at a plant"),
        ("plant", {"backlog": True}, "backlog means nothing at a plant; it belongs to market: remove it"),
        ("plant", {"capacity": -3.0}, "capacity must be finite and at least 0, not -3"),
        ("plant", {"x": float("inf")}, "x must be finite, not inf"),
        ("front", {"max_target": {"M": 3.0}}, "max_target of 'M' means nothing at a warehouse; known are S"),
        ("front", {"max_target": {"Z": 3.0}}, "max_target of 'Z' means nothing"),
        ("front", {"max_target": {"S": 0.0}}, "max_target of S must be finite and greater than 0, not 0"),
        ("reman", {"u_basis": "all"}, "u_basis is 'all'; it is one of remaining, total"),
        ("back", {"name": "front"}, "2 nodes are called front: rename all but one"),
    ],
)
def test_what_no_node_has_is_refused(name: str, changes: dict, words: str):
    with pytest.raises(ModelError, match=words):
        small(**{name: changes})


def test_lanes_that_repeat_lead_back_or_stand_out_of_order_are_refused():
    network = small()
    with pytest.raises(ModelError, match="lane plant -> back is given twice: make one of the two"):
        with_lane(network, "plant -> back", lane(network, LaneGroup.GOODS, "plant", "back", share=0.5), share=0.5)
    with pytest.raises(ModelError, match="lane front -> front leads back to where it starts"):
        with_lane(network, "", lane(network, LaneGroup.LATERAL, "front", "front"))
    with pytest.raises(ModelError, match="lanes must be ordered by group, receiver and sender; see arrange"):
        replace(network, lanes=network.lanes[::-1])
    with pytest.raises(ModelError, match="nodes must be ordered by kind; see arrange"):
        replace(network, nodes=network.nodes[::-1])
    with pytest.raises(ModelError, match="a network needs nodes"):
        arrange([], [])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("front -> shop", "nothing can get to market shop: give it a lane from a plant or a warehouse"),
        ("plant -> back", "nothing can get to warehouse back"),
        ("reman -> front", "nothing can get out of remanufacturer reman: give it a lane to a plant or a warehouse"),
    ],
)
def test_loose_ends_are_refused(name: str, words: str):
    network = small()
    with pytest.raises(ModelError, match=words):
        replace(network, lanes=tuple(lane for lane in network.lanes if network.title(lane) != name))


def test_what_a_warehouse_orders_is_split_over_makers_and_suppliers_together():
    network = small()
    source = Node(name="source", kind=KIND.SUPPLIER)
    moved = [replace(one, sender=one.sender + 1, receiver=one.receiver + 1) for one in network.lanes]
    bought = Lane(group=LaneGroup.PURCHASE, sender=0, receiver=3, lead=1, share=0.4)
    with pytest.raises(ModelError, match=r"the shares of the GOODS lanes into back add up to 1\.4, not 1"):
        arrange([source, *network.nodes], [*moved, bought])
    shared = [replace(one, share=0.6) if (one.sender, one.receiver) == (1, 3) else one for one in moved]
    assert len(arrange([source, *network.nodes], [*shared, bought]).lanes) == 5


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ModelError, match=r"plant: capacity must .*; .*front: holding must"):
        small(plant={"capacity": -1.0}, front={"holding": -1.0})
