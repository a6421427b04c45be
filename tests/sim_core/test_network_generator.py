"""Networks from templates: counts, reach, degrees, shares, distances, and load that capacity can bear."""

from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest

from sim_core import network_generator
from sim_core.errors import ModelError
from sim_core.network import BY_RECEIVER, IMMEDIATE, LaneGroup, Network, NodeKind
from sim_core.network_generator import NETWORK_TEMPLATES, build_network, template_nodes

COUNTS = {"minimal": 6, "loop": 12, "regional": 24, "national": 200, "continental": 2000}
TIERED = ("national", "continental")
SEEDS = (0, 7, 20260101)
LARGE = ["continental"]  # built once, its checks share it
CASES = [(template, seed) for template in COUNTS if template not in LARGE for seed in SEEDS] + [("continental", 0)]
FAR = (250.0, 1500.0)  # km from which on a lane takes a month more


@cache
def placed(template: str, seed: int, region_km: float = 400.0, import_km: float = 18_000.0) -> Network:
    return build_network(template, seed, region_km=region_km, import_km=import_km)


def loads(network: Network) -> np.ndarray:
    """What the markets' demand of 1 asks of each node, through the fixed shares."""
    load = np.zeros(len(network.nodes))
    markets = network.of_kind(NodeKind.MARKET)
    load[markets] = 1.0 / len(markets)
    pending = dict.fromkeys(range(len(network.nodes)), 0)
    lanes = [*network.in_group(LaneGroup.SALES), *network.in_group(LaneGroup.GOODS)]
    into = defaultdict(list)
    for lane in lanes:
        pending[lane.sender] += 1
        into[lane.receiver].append(lane)
    ready = [i for i, count in pending.items() if not count]
    while ready:
        receiver = ready.pop()
        for lane in into[receiver]:
            load[lane.sender] += lane.share * load[receiver]
            pending[lane.sender] -= 1
            if not pending[lane.sender]:
                ready.append(lane.sender)
    return load


def test_the_templates():
    assert tuple(COUNTS) == NETWORK_TEMPLATES
    for template, count in COUNTS.items():
        assert len(template_nodes(template)) == count
    with pytest.raises(ModelError, match="unknown network 'ring'; known are"):
        placed("ring", 1)


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_a_template_has_its_nodes_and_the_lanes_that_its_kinds_allow(template: str, seed: int):
    network = placed(template, seed)
    assert {node.name: node.kind for node in network.nodes} == template_nodes(template)
    kinds = {node.kind for node in network.nodes}
    assert len(kinds) == (6 if template == "minimal" else len(NodeKind))
    expected = {group for group in LaneGroup if kinds & set(group.senders) and kinds & set(group.receivers)}
    expected -= {LaneGroup.PURCHASE}  # finished goods come from the plants
    if template == "loop":
        expected -= {LaneGroup.LATERAL}  # a single warehouse has no neighbour
    assert {lane.group for lane in network.lanes} == expected


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_every_node_is_reached_and_reaches_on(template: str, seed: int):
    network = placed(template, seed)
    sends: dict[LaneGroup, set[int]] = defaultdict(set)
    receives: dict[LaneGroup, set[int]] = defaultdict(set)
    for lane in network.lanes:
        sends[lane.group].add(lane.sender)
        receives[lane.group].add(lane.receiver)
    for group in {lane.group for lane in network.lanes}:
        senders, receivers = set(network.of_kind(*group.senders)), set(network.of_kind(*group.receivers))
        if group in (LaneGroup.GOODS, LaneGroup.SALES, LaneGroup.REUSE, LaneGroup.REMAN_GOODS):
            continue  # between tiers, see below
        assert sends[group] == senders, group
        assert receives[group] == receivers, group
    warehouses = set(network.of_kind(NodeKind.WAREHOUSE))
    assert receives[LaneGroup.SALES] == set(network.of_kind(NodeKind.MARKET))
    assert receives[LaneGroup.GOODS] == warehouses
    assert sends[LaneGroup.GOODS] | sends[LaneGroup.SALES] == warehouses | set(network.of_kind(NodeKind.PLANT))
    assert (loads(network)[list(warehouses)] > 0.0).all()


@pytest.mark.parametrize("template", TIERED)
def test_local_warehouses_sell_and_central_ones_supply_them(template: str):
    network = placed(template, 0)
    central = {i for i, node in enumerate(network.nodes) if node.name.startswith("central-warehouse")}
    local = set(network.of_kind(NodeKind.WAREHOUSE)) - central
    assert {lane.sender for lane in network.in_group(LaneGroup.SALES)} == local
    tiers = Counter((lane.sender in central, lane.receiver in central) for lane in network.in_group(LaneGroup.GOODS))
    assert set(tiers) == {(True, False), (False, True)}, "central to local, and plant to central"
    for group in (LaneGroup.REUSE, LaneGroup.REMAN_GOODS):
        assert {lane.receiver for lane in network.in_group(group)} == central
    for lane in network.in_group(LaneGroup.LATERAL):
        assert (lane.sender in central) == (lane.receiver in central)


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_lateral_lanes_lead_both_ways(template: str, seed: int):
    pairs = {(lane.sender, lane.receiver) for lane in placed(template, seed).in_group(LaneGroup.LATERAL)}
    assert {(receiver, sender) for sender, receiver in pairs} == pairs
    assert bool(pairs) == (template not in ("minimal", "loop"))


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_shares_add_up(template: str, seed: int):
    network = placed(template, seed)
    total: dict[tuple[LaneGroup, int], float] = defaultdict(float)
    for lane in network.lanes:
        total[lane.group, lane.receiver if lane.group in BY_RECEIVER else lane.sender] += lane.share
    assert list(total.values()) == pytest.approx([1.0] * len(total), abs=1e-9)
    assert min(lane.share for lane in network.lanes) > 0.0


def check_the_overseas_suppliers_come_first(template: str, seed: int) -> None:
    """By price, wherever the map puts them: else the tariff, and the second source, would hang on the seed."""
    network = placed(template, seed)
    suppliers = network.of_kind(NodeKind.SUPPLIER)
    far: dict[int, float] = defaultdict(float)
    for lane in network.lanes:
        assert not lane.overseas or lane.group is LaneGroup.VIRGIN
        if lane.group is LaneGroup.VIRGIN:
            assert lane.overseas == (lane.sender < suppliers[0] + max(1, len(suppliers) // 2))
            far[lane.receiver] += lane.share * lane.overseas
    plants = network.of_kind(NodeKind.PLANT)
    share = 1.0 if len(suppliers) == 1 else 0.7
    assert [far[plant] for plant in plants] == pytest.approx([share] * len(plants))


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_every_plant_buys_most_from_overseas(template: str, seed: int):
    check_the_overseas_suppliers_come_first(template, seed)


def test_a_network_that_buys_most_nearby_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network_generator, "_OVERSEAS_SHARE", 0.3)
    placed.cache_clear()
    with pytest.raises(AssertionError):
        check_the_overseas_suppliers_come_first("regional", 0)
    placed.cache_clear()


def check_leads_follow_distance(template: str, seed: int) -> None:
    for lane in placed(template, seed).lanes:
        if lane.group in IMMEDIATE:
            assert lane.lead == 0
        elif lane.overseas:
            assert 0.5 * 18_000.0 <= lane.km <= 18_000.0
            assert lane.lead == (3 if lane.km > 0.75 * 18_000.0 else 2)
        else:
            assert lane.lead == 1 + sum(lane.km > far for far in FAR) + (lane.group is LaneGroup.EXTERNAL)


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_a_long_lane_takes_months_more(template: str, seed: int):
    check_leads_follow_distance(template, seed)


def test_leads_differ_between_lanes_of_a_group():
    for template, most in (("regional", 2), ("continental", 3)):
        leads = {lane.lead for lane in placed(template, 0).in_group(LaneGroup.GOODS)}
        assert leads == set(range(1, most + 1)), template


def test_a_network_whose_lanes_are_all_short_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network_generator, "_LONG_KM", (np.inf,))
    placed.cache_clear()
    with pytest.raises(AssertionError):
        check_leads_follow_distance("regional", 0)
    placed.cache_clear()


def test_the_first_supplier_is_as_far_as_imports_are():
    network = placed("national", 3, 400.0, 12_345.0)
    first = network.of_kind(NodeKind.SUPPLIER)[0]
    assert {lane.km for lane in network.lanes if lane.sender == first} == {12_345.0}


def test_distances_grow_with_the_region_and_imports_do_not():
    near, far = placed("regional", 3, 100.0), placed("regional", 3, 400.0)
    for one, other in zip(near.lanes, far.lanes, strict=True):
        assert (one.sender, one.receiver, one.share) == (other.sender, other.receiver, other.share)
        assert other.km == pytest.approx(one.km if one.overseas else 4.0 * one.km)
    assert max(lane.km for lane in far.lanes if not lane.overseas) <= 400.0 * 1.3 * np.sqrt(2.0)
    assert max(node.x for node in placed("continental", 0).nodes) > 2000.0


def test_the_same_seed_places_the_same_nodes():
    again = build_network("national", 7, region_km=400.0, import_km=18_000.0)
    assert again == placed("national", 7) != placed("national", 0)


@pytest.mark.parametrize("template", TIERED)
def test_degrees_are_small_with_a_few_hubs(template: str):
    network = placed(template, 0)
    assert len(network.lanes) < 9 * len(network.nodes)
    sold = Counter(lane.sender for lane in network.in_group(LaneGroup.SALES))
    bought = Counter(lane.receiver for lane in network.in_group(LaneGroup.SALES))
    degrees = np.sort(np.array(list(sold.values())))
    assert degrees[-1] >= 2.5 * np.median(degrees), "some serve far more markets than most"
    assert np.median(list(bought.values())) <= 4


def test_markets_of_the_larger_templates_stand_around_cities():
    """The mean distance to the nearest other market, over that of places drawn evenly, is well below 1."""
    for template, side in (("national", 800.0), ("continental", 3200.0)):
        network = placed(template, 0)
        spots = np.array([[n.x, n.y] for n in network.nodes if n.kind is NodeKind.MARKET])
        away = np.hypot(*(spots[:, None] - spots[None]).transpose(2, 0, 1))
        np.fill_diagonal(away, np.inf)
        even = 0.5 * side / np.sqrt(len(spots))  # Clark and Evans (1954)
        assert away.min(axis=1).mean() / even < 0.75, template


def check_capacity_bears_the_load(template: str, seed: int) -> None:
    """Sites share the region's capacity evenly: with very uneven loads, no control could serve the demand."""
    network = placed(template, seed)
    load = loads(network)
    plants = network.of_kind(NodeKind.PLANT)
    assert load[plants].sum() == pytest.approx(1.0)
    assert load[plants].max() * len(plants) < 1.3, "production has 1.35 times what demand needs"
    collected = np.zeros(len(load))
    for group in (LaneGroup.RETURNS, LaneGroup.CORES):
        for lane in network.in_group(group):
            collected[lane.receiver] += lane.share * (collected if group is LaneGroup.CORES else load)[lane.sender]
    inspections = network.of_kind(NodeKind.INSPECTION)
    assert collected[inspections].max() * len(inspections) < 1.5


@pytest.mark.parametrize(("template", "seed"), CASES)
def test_plants_can_make_what_the_fixed_shares_ask_of_them(template: str, seed: int):
    check_capacity_bears_the_load(template, seed)


def test_shares_that_overload_a_plant_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network_generator, "_balanced", lambda pull, load, goal: pull / pull.sum(axis=1, keepdims=True))
    placed.cache_clear()
    with pytest.raises(AssertionError):
        check_capacity_bears_the_load("national", 0)
    placed.cache_clear()


def test_a_layout_has_the_catalogues_distances(bench):
    layout = bench.layout(network="regional", seed=3)
    assert layout.network == placed("regional", 3)
