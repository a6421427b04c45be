"""Demand drawn in the kernel: with a scenario's own number it is the scenario's, with others cells go their own way."""

from dataclasses import replace

import numpy as np
import pytest

from sim_core.exogenous import Process
from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import Network, NodeKind
from sim_core.scenario import build_scenario
from sim_core.seeding import scenario_number
from tests.sim_core.kernel.parity import apart, kernel
from tests.sim_core.random_models import KEYS, Alert, Case, Size, case
from tests.sim_core.test_flows import simulation

PROCESSES = (
    Process(kind="normal", mean=500.0, sd=300.0),
    Process(kind="ar1", mean=400.0, sd=90.0, rho=0.7),
    Process(kind="constant", mean=300.0),
    None,
)


@pytest.fixture(scope="module")
def one() -> Case:
    """A model with four markets, of which two can be drawn."""
    found = case(Size({**dict.fromkeys(NodeKind, 1), NodeKind.MARKET: 4}, 2, 3, 11))
    network = found.layout.suite.network
    assert isinstance(network, Network)
    process = iter(PROCESSES)
    nodes = tuple(
        replace(node, demand=next(process)) if node.kind is NodeKind.MARKET else node for node in network.nodes
    )
    draws = case(Size(dict.fromkeys(NodeKind, 1), 2, 3, 11), network=replace(network, nodes=nodes))
    return Case(draws.layout, found.names)


def own_numbers(one: Case) -> np.ndarray:
    """The numbers of the scenarios that the cells of `kernel` are in."""
    pairs = [one.names[key % len(one.names)].rpartition("/") for key in KEYS]
    return np.array([scenario_number(family, int(index)) for family, _, index in pairs], dtype=np.uint64)


def test_drawn_demand_is_the_scenarios_own(one: Case):
    numpy_run = simulation(one, Alert(one.layout, KEYS))
    numpy_run.advance()
    drawn = kernel(one, KEYS, shocks=own_numbers(one))
    drawn.advance()
    assert apart(numpy_run.ledger, drawn.ledger) == []
    drawn = kernel(one, KEYS, shocks=own_numbers(one) + np.uint64(1))
    drawn.advance()
    assert "demand" in apart(numpy_run.ledger, drawn.ledger)


def test_cells_of_one_scenario_face_shocks_of_their_own_wherever_they_lie(one: Case):
    scenario = build_scenario(one.layout, one.names[0])
    shocks = np.arange(70, dtype=np.uint64)

    def objective(cells: np.ndarray, lanes: int) -> np.ndarray:
        run = KernelSimulation(
            one.layout,
            [scenario],
            np.zeros(len(cells), dtype=np.intp),
            Alert(one.layout, [1] * len(cells)),
            [""] * len(cells),
            shocks=shocks[cells],
            lanes=lanes,
        )
        run.advance()
        return run.ledger.objective()

    whole = objective(np.arange(70), 32)
    assert len(np.unique(whole)) == 70
    some = np.array([69, 3, 33])
    assert np.array_equal(objective(some, 8), whole[some])
