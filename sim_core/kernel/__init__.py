"""The kernel: the model of sim_core.engine compiled with Numba, for large batches of cells."""
