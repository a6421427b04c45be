"""Demand drawn in compiled code: of markets with a process of their own, keyed by cell instead of read from a table.

So cells of one scenario may face shocks of their own, and no path is kept: memory stays flat in cells and periods. The
numbers are those of sim_core.exogenous for the same key, to 1e-12.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_core.engine.layout import Layout
from sim_core.kernel.constants import opened
from sim_core.kernel.draws import fill_ar1_demand, fill_normal_demand, stream_key
from sim_core.kernel.jit import entry, jit
from sim_core.network import NodeKind

Array = NDArray[Any]
DRAWN = ("normal", "ar1")


class Draws(NamedTuple):
    """The markets whose demand is drawn, D of them, and the cells' keys. An empty market list draws nothing."""

    market: Array  # (D,)
    correlated: Array  # (D,) 1 for ar1
    numbers: Array  # (D, 3) mean, standard deviation, correlation
    key: Array  # (D, 2) of each market's stream
    share: Array  # (P,) of each product in a market's demand
    low: Array  # (cells,) words of the cells' numbers
    high: Array


def drawn_markets(layout: Layout) -> list[int]:
    """Return the markets, counted among markets, whose demand can be drawn in compiled code."""
    nodes = [layout.network.nodes[i] for i in layout.network.of_kind(NodeKind.MARKET)]
    return [i for i, node in enumerate(nodes) if node.demand is not None and node.demand.kind in DRAWN]


def compile_draws(layout: Layout, shocks: NDArray[np.uint64] | None, dtype: np.dtype[Any]) -> Draws:
    """Return what is drawn for cells with these numbers, (cells,); nothing where there are none."""
    markets = [] if shocks is None else drawn_markets(layout)
    nodes = [layout.network.nodes[layout.network.of_kind(NodeKind.MARKET)[i]] for i in markets]
    processes = [node.demand for node in nodes if node.demand is not None]
    keys = [stream_key(layout.suite.seed, f"demand at {node.name}") for node in nodes]
    words = np.zeros(0, dtype=np.uint64) if shocks is None else np.asarray(shocks, dtype=np.uint64)
    return Draws(
        market=np.array(markets, dtype=np.int64),
        correlated=np.array([int(one.kind == "ar1") for one in processes], dtype=np.int64),
        numbers=np.array([(one.mean, one.sd, one.rho) for one in processes], dtype=dtype).reshape(-1, 3),
        key=np.array(keys, dtype=np.uint64).reshape(-1, 2),
        share=np.asarray(layout.products.share, dtype=dtype),
        low=(words & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        high=(words >> np.uint64(32)).astype(np.uint32),
    )


@entry
def draw_opening(boxed, draws, x, w, tm, first, n):
    """Write the first period's demand of the markets that are drawn."""
    draw_demand(opened(boxed), draws, x, w, tm, 0, first, n)


@jit
def draw_demand(k, draws, x, w, tm, t, first, n):
    """Write period t's demand of the markets that are drawn, for n cells from cell `first` on."""
    products = k.size.products
    if len(draws.market) == 0:
        return
    low, high = draws.low[first : first + n], draws.high[first : first + n]
    for row in range(len(draws.market)):
        demand = k.q.demand + draws.market[row] * products
        out, spare = w[k.s.plain], w[k.s.plain + 1]
        mean, sd, rho = draws.numbers[row, 0], draws.numbers[row, 1], draws.numbers[row, 2]
        key0, key1 = draws.key[row, 0], draws.key[row, 1]
        if draws.correlated[row]:
            fill_ar1_demand(out[:n], x[k.r.away + row][:n], spare[:n], low, high, t, 0, key0, key1, mean, sd, rho)
        else:
            fill_normal_demand(out[:n], spare[:n], low, high, t, 0, key0, key1, mean, sd)
        for p in range(products):
            to, share = tm[demand + p], draws.share[p]
            for i in range(n):
                to[i] = share * out[i]
