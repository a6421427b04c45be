"""Vector code: the kernel's loops over cells take several cells at a time.

Two kinds of loops are none of these: those that add up one number over lanes, products or windows, and those that only
copy, such as the terms of each cell's scenario, whose places in the table follow no order.
"""

import numba
import numpy as np
import pytest
from numba.core.compiler import Compiler

from sim_core.kernel.jit import OPTIONS
from sim_core.kernel.period import advance, start_totals
from sim_core.kernel.sales import sell
from sim_core.kernel.simulation import KernelSimulation
from sim_core.network import NodeKind
from tests.sim_core.kernel import assembly
from tests.sim_core.kernel.parity import kernel, rich
from tests.sim_core.random_models import Size

# A copy of its loop over lanes, for fewer than 4 cells, has these written out one after the other.
WRITTEN_OUT = ("_share_virgin",)
needs_vectors = pytest.mark.skipif(not assembly.has_avx2(), reason="this processor has no AVX2 to make vector code for")


def started() -> KernelSimulation:
    run = kernel(rich(Size(dict.fromkeys(NodeKind, 2), 2, 6, 3)), list(range(8)))
    run.advance(1)
    return run


@needs_vectors
def test_all_loops_of_a_step_are_vector_code():
    run = started()
    row = numba.typeof(run._w)
    signature = (numba.typeof(run._k), *(row,) * 4, numba.types.int64, numba.types.int64)
    assert assembly.scalar_functions(sell, signature) == []
    assert assembly.packed_instructions(sell, signature) > 100


@needs_vectors
@pytest.mark.slow  # compiles the whole kernel once more
def test_all_loops_of_the_kernel_are_vector_code():
    started()
    (signature,) = [one for one in advance.signatures if numba.types.float64 in (array.dtype for array in one[2:3])]
    found = assembly.scalar_functions(advance, signature)
    assert [name for name in found if not any(one in name for one in WRITTEN_OUT)] == []


def beside(x, w, kept, number, n):
    """Writes at an index of which LLVM does not know that it goes up by one: it might be below 0, from the end."""
    stock, book = w[0], x[0]
    for i in range(n):
        kept[number + i] = 0.5 * kept[number + i] + (stock[i] - book[i])


@needs_vectors
def test_a_loop_that_goes_cell_by_cell_is_named():
    rows, integer = numba.typeof(np.zeros((2, 8))), numba.types.int64
    found = assembly.scalar_functions(
        numba.njit(**OPTIONS)(beside), (rows, rows, numba.typeof(np.zeros(8)), integer, integer)
    )
    assert any("beside" in name for name in found)


def test_what_an_entry_calls_is_its_own():
    """Functions that others might ask for are kept whole, with all their arguments."""
    run = started()
    (signature,) = [one for one in start_totals.signatures if numba.types.float64 is one[1].dtype][:1]
    compiler = start_totals._compiler.pipeline_class
    kept = [assembly.open_functions(start_totals, signature, one) for one in (compiler, Compiler)]
    assert kept[0] == [] and len(kept[1]) > 0
    assert run.t == 1
