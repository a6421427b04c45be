"""Origins: recycled feed that all duties treat alike is one stock in the programme, under its first origin.

The engine keeps three origins apart. Where no duty tells them from each other, the programme may: whoever may use a kg
of either uses the same kg, at the same price. European law counts all three, so that two columns of three are saved.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import ORIGINS
from sim_core.policy.obligation import Obligation

Array = NDArray[np.float64]
RECYCLED = len(ORIGINS) - 1


def alike(obligations: Iterable[Obligation], materials: int) -> NDArray[np.intp]:
    """Return the origin that each stands under in the programme, (M, 3): the first that duties treat the same way."""
    eligible = [
        (quantity.materials, quantity.origins)
        for one in obligations
        for quantity in (one.delivered, one.basis)
        if quantity.register == "recycled"
    ]
    place = np.zeros((materials, RECYCLED), dtype=np.intp)
    for m in range(materials):
        treated = [tuple(o in origins for of, origins in eligible if m in of) for o in range(RECYCLED)]
        place[m] = [treated.index(way) for way in treated]
    return place


def apart(together: tuple[Array, Array], start: Array, arrived: Array, place: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return use (T, n, P, M, 3) and sales (T, n, M, 3) of feed by its true origin, from those `together` by `place`.

    Each month takes of the origins that stand together in proportion to what is there. start: (n, M, 3) kg on hand.
    arrived: (T, n, M, 3) kg.
    """
    used, sold = together
    of_use, of_sales, stock = np.zeros_like(used), np.zeros_like(sold), start.copy()
    group = place[:, :, None] == np.arange(RECYCLED)  # (M, 3 origins, 3 places)
    for t in range(len(used)):
        stock = stock + arrived[t]
        there = np.einsum("nmo,mog->nmg", stock, group)
        some = group & (there[:, :, None] > 0.0)
        portion = np.divide(stock[..., None], there[:, :, None], out=np.zeros(some.shape), where=some)
        of_use[t] = np.einsum("npmg,nmog->npmo", used[t], portion)
        of_sales[t] = np.einsum("nmg,nmog->nmo", sold[t], portion)
        stock = np.maximum(0.0, stock - of_use[t].sum(axis=1) - of_sales[t])
    return of_use, of_sales
