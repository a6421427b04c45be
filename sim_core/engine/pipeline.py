"""Goods in transit: one ring of monthly slots per lane group; cargo keeps the lead time that it left with."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sim_core.engine.layout import Lanes


def add_up(matrix: csr_array, flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add lane flows (E, ..., B) up at nodes (n, ..., B), in global edge order."""
    total = matrix @ flow.reshape(flow.shape[0], -1)
    return total.reshape(-1, *flow.shape[1:])


class Pipeline:
    """The cargo of a lane group, (ring, E, *cargo, B): what leaves in t with lead L arrives at the start of t + L."""

    def __init__(self, lanes: Lanes, cargo: tuple[int, ...], cells: int) -> None:
        self.lanes = lanes
        self._ring = int(lanes.lead.max(initial=0)) + 1
        self._slots = np.zeros((self._ring, lanes.count, *cargo, cells))
        self._rows = np.arange(lanes.count)

    def send(self, t: int, flow: NDArray[np.float64], *, sooner: int = 0) -> None:
        """Ship lane flows (E, *cargo, B) at the end of period t, `sooner` months faster where the lead allows."""
        lead = np.maximum(1, self.lanes.lead - sooner)
        self._slots[(t + lead) % self._ring, self._rows] += flow

    def arrive(self, t: int) -> NDArray[np.float64]:
        """Take what arrives at the start of period t, added up at receivers: (n, *cargo, B)."""
        slot = self._slots[t % self._ring]
        arrived = add_up(self.lanes.to_receiver, slot)
        slot[...] = 0.0
        return arrived

    def on_lanes(self) -> NDArray[np.float64]:
        """Return what is in transit on each lane: (E, *cargo, B)."""
        return self._slots.sum(axis=0)

    def total(self) -> NDArray[np.float64]:
        """Return all that is in transit, cargo added up: (B,)."""
        return self._slots.reshape(-1, self._slots.shape[-1]).sum(axis=0)

    def inbound(self) -> NDArray[np.float64]:
        """Return what is in transit to each receiver: (n, *cargo, B)."""
        return add_up(self.lanes.to_receiver, self.on_lanes())
