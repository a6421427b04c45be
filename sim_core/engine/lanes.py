"""Lanes of one group as arrays, with the sparse sums that add lane flows up at nodes in global edge order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sim_core.engine.products import Products
from sim_core.network import LaneGroup, Network
from sim_core.units import KG_PER_T

_USED_GOODS = (
    LaneGroup.RETURNS, LaneGroup.CORES, LaneGroup.REMAN_FEED, LaneGroup.RECYCLE_FEED, LaneGroup.SCRAP,
    LaneGroup.REJECTS, LaneGroup.SECOND_LIFE_RETURNS, LaneGroup.DISPOSAL, LaneGroup.REPURPOSE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """The E lanes of one group. sender, receiver: positions among the nodes of the group's kinds.

    cost EUR and carbon kgCO2e per unit of product, (E, P), or per kg of material, (E, 1). limit: units or kg a period.
    to_receiver, to_sender: sparse 0/1 matrices that add lane flows up at nodes. served: (senders,) the sum of each
    sender's shares: 1, or 0 where it has no lane of this group.
    """

    sender: NDArray[np.intp]
    receiver: NDArray[np.intp]
    lead: NDArray[np.intp]
    information: NDArray[np.intp]
    share: NDArray[np.float64]
    cost: NDArray[np.float64]
    carbon: NDArray[np.float64]
    freight: NDArray[np.float64]  # (2, E, P or 1, 1) cost and carbon
    limit: NDArray[np.float64]
    overseas: NDArray[np.float64]
    to_receiver: csr_array
    to_sender: csr_array
    served: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of lanes."""
        return len(self.sender)

    @property
    def limited(self) -> bool:
        """True where some lane has a capacity."""
        return bool(np.isfinite(self.limit).any())


def build_lanes(network: Network, group: LaneGroup, products: Products) -> Lanes:
    """Compile a group's lanes."""
    lanes = network.in_group(group)
    senders, receivers = network.of_kind(*group.senders), network.of_kind(*group.receivers)
    place_out = {node: i for i, node in enumerate(senders)}
    place_in = {node: i for i, node in enumerate(receivers)}
    sender = np.array([place_out[lane.sender] for lane in lanes], dtype=np.intp)
    receiver = np.array([place_in[lane.receiver] for lane in lanes], dtype=np.intp)
    overseas = np.array([float(lane.overseas) for lane in lanes])
    share = np.array([lane.share for lane in lanes])
    km = np.array([lane.km for lane in lanes])
    road = products.common("transport.reverse" if group in _USED_GOODS else "transport.truck")
    freight = np.where(overseas > 0, products.common("transport.ocean"), road) * km / KG_PER_T
    emitted = np.where(overseas > 0, products.common("carbon.ocean"), products.common("carbon.truck")) * km / KG_PER_T
    weight = products.mass if group.cargo == "product" else np.ones(1)  # kg per unit of cargo
    cost, carbon = freight[:, None] * weight, emitted[:, None] * weight
    for i, lane in enumerate(lanes):
        if lane.cost is not None:
            cost[i] = lane.cost
    edges, ones = np.arange(len(lanes)), np.ones(len(lanes))
    to_sender = csr_array((ones, (sender, edges)), shape=(len(senders), len(lanes)))
    return Lanes(
        sender=sender,
        receiver=receiver,
        lead=np.array([lane.lead for lane in lanes], dtype=np.intp),
        information=np.array([lane.information for lane in lanes], dtype=np.intp),
        share=share,
        cost=cost,
        carbon=carbon,
        freight=np.stack([cost, carbon])[..., None],
        limit=np.array([np.inf if lane.capacity is None else lane.capacity for lane in lanes]),
        overseas=overseas,
        to_receiver=csr_array((ones, (receiver, edges)), shape=(len(receivers), len(lanes))),
        to_sender=to_sender,
        served=(to_sender @ share > 0.0).astype(np.float64),
    )
