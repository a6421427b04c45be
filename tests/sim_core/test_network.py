"""Networks: nodes, lanes, shares and delays."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from sim_core import network as network_module
from sim_core.errors import ModelError
from sim_core.network import NETWORK_TEMPLATES, LaneGroup, Network, NodeKind, build_network

IMMEDIATE = {LaneGroup.SALES, LaneGroup.DISPOSAL, LaneGroup.REPURPOSE}
ASKED_BY_RECEIVER = {LaneGroup.VIRGIN, LaneGroup.EXTERNAL, LaneGroup.GOODS, LaneGroup.SALES}
FAR = 250.0  # km from which on a lane takes a month more


def placed(template: str, seed: int, *, region_km: float = 400.0, import_km: float = 18_000.0) -> Network:
    return build_network(template, seed, region_km=region_km, import_km=import_km)


@pytest.mark.parametrize(("template", "nodes"), [("loop", 12), ("regional", 24)])
def test_a_template_has_its_nodes_in_order_of_kind(template: str, nodes: int):
    network = placed(template, 1)
    assert len(network.nodes) == nodes and len({node.name for node in network.nodes}) == nodes
    kinds = [list(NodeKind).index(node.kind) for node in network.nodes]
    assert kinds == sorted(kinds) and set(kinds) == set(range(len(NodeKind)))


@pytest.mark.parametrize("template", NETWORK_TEMPLATES)
@pytest.mark.parametrize("seed", [0, 7, 20260101])
def test_lanes_join_the_right_kinds_and_their_shares_add_up(template: str, seed: int):
    network = placed(template, seed)
    for group in LaneGroup:
        total: dict[int, float] = defaultdict(float)
        for lane in network.in_group(group):
            assert network.nodes[lane.sender].kind is group.sender
            assert network.nodes[lane.receiver].kind is group.receiver
            assert lane.km >= 0.0 and (lane.lead >= 1 or group in IMMEDIATE)
            total[lane.receiver if group in ASKED_BY_RECEIVER else lane.sender] += lane.share
        anchors = network.of_kind(group.receiver if group in ASKED_BY_RECEIVER else group.sender)
        assert set(total) == set(anchors), f"{group}: every node that asks or ships has a lane"
        assert list(total.values()) == pytest.approx([1.0] * len(anchors))


def test_lanes_stand_in_the_global_edge_order():
    network = placed("regional", 3)
    for group in LaneGroup:
        order = [(lane.receiver, lane.sender) for lane in network.in_group(group)]
        assert order == sorted(order) and len(set(order)) == len(order)


def test_the_first_supplier_is_overseas_and_only_its_lanes_cross_the_border():
    network = placed("regional", 3, import_km=12_345.0)
    first = network.of_kind(NodeKind.SUPPLIER)[0]
    for lane in network.lanes:
        assert lane.overseas == (lane.sender == first)
        assert (lane.km == 12_345.0) == lane.overseas
        assert not lane.overseas or lane.lead == 3


def check_the_overseas_supplier_comes_first(template: str) -> None:
    """By price, wherever the map puts it: else the tariff, and the second source, would hang on the seed."""
    for seed in range(12):
        network = placed(template, seed)
        for lane in network.in_group(LaneGroup.VIRGIN):
            assert lane.share == pytest.approx(0.7 if lane.overseas else 0.3), seed


@pytest.mark.parametrize("template", NETWORK_TEMPLATES)
def test_every_plant_buys_most_from_overseas_wherever_the_map_puts_it(template: str):
    check_the_overseas_supplier_comes_first(template)


def test_a_network_that_buys_from_the_nearest_is_found(monkeypatch):
    shares = network_module._shares
    monkeypatch.setattr(network_module, "_shares", lambda count: shares(count)[::-1])
    with pytest.raises(AssertionError):
        check_the_overseas_supplier_comes_first("regional")


def check_long_lanes_take_a_month_more() -> None:
    seen = set()
    for seed in range(6):
        for lane in placed("regional", seed).lanes:
            if lane.group in IMMEDIATE or lane.overseas:
                assert lane.lead == (3 if lane.overseas else 0)
                continue
            usual = 2 if lane.group is LaneGroup.EXTERNAL else 1
            assert lane.lead == usual + (lane.km > FAR), (lane, seed)
            seen.add(lane.km > FAR)
    assert seen == {False, True}, "the region has lanes of both kinds"


def test_a_long_lane_takes_a_month_more():
    check_long_lanes_take_a_month_more()


def test_a_network_whose_lanes_are_all_short_is_found(monkeypatch):
    monkeypatch.setattr(network_module, "_LONG_KM", np.inf)
    with pytest.raises(AssertionError):
        check_long_lanes_take_a_month_more()


def test_distances_grow_with_the_region_and_imports_do_not():
    near, far = placed("regional", 3, region_km=100.0), placed("regional", 3, region_km=400.0)
    for one, other in zip(near.lanes, far.lanes, strict=True):
        assert (one.sender, one.receiver, one.share) == (other.sender, other.receiver, other.share)
        assert other.km == pytest.approx(one.km if one.overseas else 4.0 * one.km)
    edge = 400.0 * 1.3 * np.sqrt(2.0)
    assert max(lane.km for lane in far.lanes if not lane.overseas) <= edge


def test_a_layout_has_the_catalogues_distances_or_the_suites(bench):
    layout = bench.layout(network="regional", seed=3)
    assert layout.value("distance.region") == 400.0
    assert layout.network == placed("regional", 3, import_km=layout.value("distance.import"))
    other = bench.layout(network="regional", seed=3, overrides={"distance.region": 90.0, "distance.import": 7.0})
    assert other.network == placed("regional", 3, region_km=90.0, import_km=7.0)


def test_the_same_seed_places_the_same_nodes():
    assert placed("regional", 5) == placed("regional", 5)
    assert placed("regional", 5) != placed("regional", 6)


def test_a_cycle_without_delay_is_refused():
    network = placed("loop", 1)
    lanes = tuple(replace(lane, lead=0) if lane.group is LaneGroup.CORES else lane for lane in network.lanes)
    with pytest.raises(ModelError, match=r"collector-1 -> inspection-1 has lead time 0; .* at least 1 month"):
        replace(network, lanes=lanes)


def test_an_unknown_template_is_refused():
    with pytest.raises(ModelError, match=r"unknown network 'ring'; known are"):
        placed("ring", 1)


@pytest.mark.parametrize("template", NETWORK_TEMPLATES)
def test_plants_can_make_what_the_fixed_shares_ask_of_them(bench, template: str):
    """Else no control could serve the demand, and the network would decide the benchmark."""
    from sim_core.engine.state import plant_forecast, warehouse_forecast

    layout = bench.layout(network=template, scored=238, seed=20260101)
    demand = layout.market_share[:, None] * np.ones(8)
    asked = plant_forecast(layout, warehouse_forecast(layout, demand))[:, 0]
    assert asked.sum() == pytest.approx(1.0)
    assert (
        asked <= layout.production_capacity / (layout.production_capacity.sum() / layout.value("production.capacity"))
    ).all()
