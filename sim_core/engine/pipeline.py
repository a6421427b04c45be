"""Goods in transit: one ring of period slots per lane group; cargo keeps the lead time that it left with."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sim_core.engine.lanes import Lanes


def add_up(matrix: csr_array, flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add lane flows (E, ..., B) up at nodes (n, ..., B), in global edge order."""
    nodes = len(matrix.indptr) - 1
    if flow.size == 0 or nodes == 0:
        return np.zeros((nodes, *flow.shape[1:]))
    total = matrix @ flow.reshape(flow.shape[0], -1)
    return total.reshape(nodes, *flow.shape[1:])


class Pipeline:
    """The cargo of a lane group, (ring, E, *cargo, B): what leaves in t with lead L arrives at the start of t + L.

    A lead of 0 arrives in t itself: only where the receiver's step comes after the sender's.
    """

    def __init__(self, lanes: Lanes, lead: NDArray[np.intp], cargo: tuple[int, ...], cells: int) -> None:
        self.lanes = lanes
        self._lead = lead
        self._ring = int(lead.max(initial=0)) + 1
        self._slots = np.zeros((self._ring, lanes.count, *cargo, cells))
        self._rows = np.arange(lanes.count)
        self._on_lanes: NDArray[np.float64] | None = None  # until cargo moves
        self._inbound: NDArray[np.float64] | None = None

    @property
    def longest(self) -> int:
        """Periods after which everything that is on the lanes now has arrived."""
        return self._ring

    def send(self, t: int, flow: NDArray[np.float64], *, sooner: int = 0) -> None:
        """Ship lane flows (E, *cargo, B) in period t, `sooner` periods faster where the lead allows (at least 1)."""
        lead = np.maximum(1, self._lead - sooner) if sooner else self._lead
        self._slots[(t + lead) % self._ring, self._rows] += flow
        self._on_lanes = self._inbound = None

    def take(self, t: int) -> NDArray[np.float64]:
        """Take what arrives in period t, by lane: (E, *cargo, B)."""
        slot = self._slots[t % self._ring].copy()
        self._slots[t % self._ring] = 0.0
        self._on_lanes = self._inbound = None
        return slot

    def arrive(self, t: int) -> NDArray[np.float64]:
        """Take what arrives in period t, added up at receivers: (n, *cargo, B)."""
        return add_up(self.lanes.to_receiver, self.take(t))

    def arriving(self, t: int) -> NDArray[np.float64]:
        """Return what will arrive on each lane in period t, which is no further off than the longest lead time."""
        return self._slots[t % self._ring]

    def on_lanes(self) -> NDArray[np.float64]:
        """Return what is in transit on each lane: (E, *cargo, B), to be read only."""
        found = self._on_lanes
        if found is None:
            found = self._on_lanes = np.add.reduce(self._slots, axis=0)
        return found

    def inbound(self) -> NDArray[np.float64]:
        """Return what is in transit to each receiver: (n, *cargo, B), to be read only."""
        if self._inbound is None:
            self._inbound = add_up(self.lanes.to_receiver, self.on_lanes())
        return self._inbound
