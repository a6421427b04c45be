"""Scale: the same suite for N times as many units, so that agents can be few or many.

Demand, returns, capacities and absolute targets grow together; prices, rates, shares, lead times and laws stay. The
expected-flow engine is homogeneous in this (its flows grow by the same factor), agents become relatively less random.
"""

from dataclasses import replace

from sim_core.catalogue import Archetype
from sim_core.engine.layout import build_layout
from sim_core.engine.products import resolve
from sim_core.errors import ModelError
from sim_core.network import Lane, Network, Node
from sim_core.scenario import build_scenario
from sim_core.suite import ProductShare, SuiteDefinition

# Totals of the region that stand beside demand in the catalogue. What is a multiple of demand there follows the share.
_TOTALS = ("collection.capacity", "inspection.capacity", "reman.capacity", "second_life.demand")
_STEPS = ("invest.recycler.step", "invest.remanufacturer.step", "invest.collector.step")


def scaled(suite: SuiteDefinition, factor: float) -> SuiteDefinition:
    """Return the suite with `factor` times as many units. Raises ModelError unless the factor is above 0."""
    if not factor > 0.0:
        raise ModelError(f"a suite is scaled by a factor above 0, not {factor:g}")
    network = suite.network
    return replace(
        suite,
        products=tuple(_product(product, factor) for product in suite.products),
        network=network if isinstance(network, str) else _network(network, factor),
    )


def scaled_to(suite: SuiteDefinition, scenario: str, units: float) -> SuiteDefinition:
    """Return the suite scaled so that a scenario expects `units` of demand and exogenous returns over the horizon.

    Raises ModelError for a scenario without any.
    """
    paths = build_scenario(build_layout(suite), scenario).paths
    expected = sum(float(p.sum()) for p in (paths.demand, paths.collector_returns, paths.remanufacturer_returns))
    if not expected > 0.0:
        raise ModelError(f"scenario {scenario} asks for no product: there is nothing to scale to {units:g} units")
    return scaled(suite, units / expected)


def _product(product: ProductShare, factor: float) -> ProductShare:
    base = resolve(product)
    totals = {name: factor * base.value(name) for name in (*_TOTALS, *_STEPS, *_line_capacities(base))}
    return replace(product, share=factor * product.share, overrides={**product.overrides, **totals})


def _line_capacities(base: Archetype) -> list[str]:
    return [f"recycling.{line}.capacity" for line in dict.fromkeys(route.line for route in base.routes)]


def _network(network: Network, factor: float) -> Network:
    return Network(
        nodes=tuple(_node(node, factor) for node in network.nodes),
        lanes=tuple(_lane(lane, factor) for lane in network.lanes),
    )


def _node(node: Node, factor: float) -> Node:
    return replace(
        node,
        capacity=None if node.capacity is None else factor * node.capacity,
        storage=None if node.storage is None else factor * node.storage,
        max_target={letter: factor * most for letter, most in node.max_target.items()},
    )


def _lane(lane: Lane, factor: float) -> Lane:
    return lane if lane.capacity is None else replace(lane, capacity=factor * lane.capacity)
