"""Path-integral annealing: a simulation of quantum annealing by replicas that hold each other."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.annealing import NOWHERE, Annealing, Chain, temperature_settings
from optimizers.settings import Setting
from optimizers.space import Domain


class PathIntegralAnnealing(Annealing):
    """Simulated quantum annealing by path-integral Monte Carlo (Martonak, Santoro and Tosatti 2002).

    A transverse-field model at inverse temperature beta is, by the Suzuki-Trotter formula, a classical one of P
    replicas in a ring. Each has the value of its own schedule, and equal bits of neighbours attract each other by
    J = -(T / 2) ln tanh(field / T), where T = P / beta is fixed. The field falls linearly to zero over the budget: the
    replicas, loose at first, are drawn together.

    Changed from the paper: replicas take turns to change one bit each, and no move changes a bit of all replicas; J is
    held at what a field of a thousandth of T gives, as it would be infinite at the end; T falls as in simulated
    annealing where the two temperatures differ. Values of parameters have no spin: replicas share nothing there.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        **temperature_settings(0.1, 0.05),
        "replicas": Setting(
            usual=4.0, domain=Domain(low=2.0, high=64.0, integer=True), meaning="Trotter replicas in the ring"
        ),
        "field": Setting(
            usual=2.0,
            domain=Domain(low=1e-3, high=1e3, log=True),
            meaning="transverse field at the start, in T",
        ),
    }

    def chain_count(self) -> int:
        """Return the number of replicas."""
        return round(self.number("replicas"))

    @property
    def coupling(self) -> float:
        """The attraction J of equal bits in neighbouring replicas, in units of T."""
        left = 1.0 - min(1.0, self.told / max(1, self.budget))
        return coupling(self.number("field") * left)

    def pull(self, chain: Chain, bits: NDArray[np.bool_]) -> float:
        """Return by how much a move would raise the attraction's energy, -J times the product of neighbours' spins."""
        number = self.chains.index(chain)
        ring = [self.chains[number - 1], self.chains[(number + 1) % len(self.chains)]]
        changed = bits != chain.bits
        rise = 0.0
        for neighbour in ring:
            if neighbour.energy == NOWHERE:
                continue
            apart = int(np.count_nonzero(bits[changed] != neighbour.bits[changed]))
            rise += 2.0 * (2 * apart - int(np.count_nonzero(changed)))
        return rise * self.coupling * self.temperature


def coupling(field: float) -> float:
    """Return J / T for a field in units of T: nothing for a strong field, about 3.5 where it has gone."""
    return -0.5 * math.log(math.tanh(max(field, 1e-3)))
