"""Lives: the programme counts units by the life that they are in, the engine by class.

Of one life there are two classes, reused as they were and remanufactured, and they differ in P(grade | class) alone.
The programme forgets which it was and takes what suits it best between the two: a relaxation that saves two columns of
five.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.products import Products

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lives:
    """The lives that units of some products can have; L of them, P products, C classes."""

    products: Products

    @property
    def count(self) -> int:
        """Number of lives L, unused ones included."""
        return int(self.products.life[-1]) + 1

    @property
    def health(self) -> Array:
        """State of health of a unit when it is sold, (P, L)."""
        return self.of_classes(self.products.health)

    @property
    def again(self) -> Array:
        """1.0 where a unit may be sold once more, (P, L)."""
        return self.of_classes(self.products.again)

    def of_classes(self, values: Array) -> Array:
        """Return what the classes of a life have in common, (..., L), of values by class, (..., C)."""
        return values[..., np.searchsorted(self.products.life, np.arange(self.count))]

    def together(self, units: Array) -> Array:
        """Return units by life, (..., L), from those by class, (..., C)."""
        return np.add.reduceat(units, np.searchsorted(self.products.life, np.arange(self.count)), axis=-1)

    def graded(self, *grades: int) -> tuple[Array, Array]:
        """Return the least and the highest P(one of these grades | class) in each life, (P, L) both."""
        share = self.products.grade_share[:, list(grades)].sum(axis=1)
        begins = np.searchsorted(self.products.life, np.arange(self.count))
        return np.minimum.reduceat(share, begins, axis=-1), np.maximum.reduceat(share, begins, axis=-1)
