"""The NumPy engine: expected flows of a closed loop, batched over cells. The equations are in docs/model.md.

Every array keeps the cells (scenario x candidate pairs) on its last axis, so that each number of a cell is computed
by the same operations in the same order whatever stands beside it in the batch.
"""
