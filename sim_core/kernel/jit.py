"""How the kernel is compiled: no fastmath, NumPy's rules for division, vector code for every loop over cells.

Without fastmath LLVM neither reorders sums nor fuses multiply and add, so that the bytes are the same for every CPU
target. A loop over many rows needs a run-time check that the rows don't overlap; LLVM gives up and writes scalar code,
silently, beyond a number of checks that is too small for these loops. tests/sim_core/kernel watches that the loops are
vector code.

What an entry calls is its own: Numba links a copy of every function into it, under a name that others might ask for, so
that LLVM must keep each one whole, with all its arguments. As private functions they are built into their callers, or
called with the arguments that they use.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numba.core.config
import numpy as np
from numba.core.compiler import CompilerBase, DefaultPassBuilder

_config: Any = numba.core.config
_MEMORY_CHECKS = 4096  # pairs of rows in one loop; LLVM's own limit is 128

llvm.set_option("circularbench", f"--vectorize-memory-check-threshold={_MEMORY_CHECKS}")

OPTIONS = {"fastmath": False, "error_model": "numpy", "boundscheck": False, "nogil": True}
_INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
jit = numba.njit(**_INNER)  # called from compiled code alone
inlined = numba.njit(**_INNER, forceinline=True)  # within a loop over cells: a call that stays a call keeps it scalar
spliced = numba.njit(**_INNER, inline="always")  # becomes part of its caller, so that it can give back records


class _Closed(CompilerBase):
    """Numba's compiler, for a function whose callees nobody else calls."""

    def define_pipelines(self) -> list[Any]:
        """Return Numba's own passes, on a library whose linked functions become private before they are optimised."""
        state: Any = self.state
        library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
        library.enable_object_caching()
        optimize = library._optimize_final_module  # noqa: SLF001, Numba has no public place for this

        def close() -> None:
            for one in library._final_module.functions:  # noqa: SLF001
                if not one.is_declaration and one.linkage is llvm.Linkage.linkonce_odr:
                    one.linkage = llvm.Linkage.internal
            optimize()

        library._optimize_final_module = close  # noqa: SLF001
        state.library = library
        return [DefaultPassBuilder.define_nopython_pipeline(state)]


def entry(function: Callable[..., Any]) -> Any:
    """Compile what is called from Python; its code, with that of all it calls, is kept on disk for other processes.

    Numba looks at the file of the function alone when it asks whether kept code is still good, so the folder is named
    by a digest of all files that have to do with compiling.
    """
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(cache_folder())
    try:
        return numba.njit(**OPTIONS, cache=True, pipeline_class=_Closed)(function)
    finally:
        _config.CACHE_DIR = before


@cache
def cache_folder() -> Path:
    """Return the folder of compiled code: under NUMBA_CACHE_DIR, else beside this file, else in the user's cache."""
    here = Path(__file__).parent
    files = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    texts = b"".join(text for text in files if b"sim_core.kernel.jit" in text)
    name = hashlib.sha256(texts + numba.__version__.encode()).hexdigest()[:16]
    if _config.CACHE_DIR:
        return Path(_config.CACHE_DIR) / name
    own = here / "__pycache__"
    if os.access(own if own.exists() else here, os.W_OK):
        return own / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "circularbench" / name


def numbered(count: int) -> list[np.int64]:
    """Return 0, 1, ... count - 1 as constants for compiled code.

    Numba compiles a function anew for every Python integer that is written into a call; these it takes as variables.
    """
    return [np.int64(number) for number in range(count)]
