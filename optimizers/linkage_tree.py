"""Which bits belong together: a tree of ever larger groups, learnt from good points."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

_SAME = 1e-9  # groups closer than this always agree, and are only moved together


def linkage_tree(members: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return groups of bits, smallest first, without the group of all: members is (n, bits).

    Groups are merged by average distance (UPGMA) of 1 - mutual information / joint entropy, as in the linkage trees of
    Thierens (2010). Groups whose bits agree in every member are not split further.
    """
    bits = members.shape[1]
    if bits < 2:
        return [np.array([bit]) for bit in range(bits)]
    distance = distances(members)
    merges = linkage(distance[np.triu_indices(bits, 1)], method="average")
    groups: list[NDArray[np.int64] | None] = [np.array([bit]) for bit in range(bits)]
    for left, right, apart, _ in merges:
        first, second = groups[int(left)], groups[int(right)]
        parts = [group for group in (first, second) if group is not None]
        groups.append(np.concatenate(parts))
        if apart < _SAME:
            groups[int(left)] = groups[int(right)] = None
            groups[-1] = np.concatenate(parts)
    return sorted((group for group in groups[:-1] if group is not None), key=len)


def distances(members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 - mutual information / joint entropy of pairs of columns, (bits, bits); 0 where both are constant."""
    on = members.astype(np.float64)
    n = len(on)
    both = on.T @ on / n
    share = on.mean(axis=0)
    only = share[:, None] - both
    joint = _plogp(both) + _plogp(only) + _plogp(only.T) + _plogp(1.0 - both - only - only.T)
    single = _plogp(share) + _plogp(1.0 - share)
    information = single[:, None] + single[None, :] - joint
    apart = 1.0 - np.divide(information, joint, out=np.ones_like(joint), where=joint > 1e-12)
    return np.maximum(apart, 0.0)


def _plogp(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(chance, 0.0, 1.0)
    return -held * np.log(np.where(held > 0.0, held, 1.0))
