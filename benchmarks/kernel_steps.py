"""The steps of a period, run one by one in their order, with a clock between them.

A block goes through its periods as in a rollout, so that the cache holds what it holds there. What a call from Python
costs is measured with a step that does nothing, and taken off.
"""

# ruff: noqa: SLF001, a measurement needs the kernel's own arrays

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sim_core.control import LEVERS
from sim_core.engine.rollout import observe
from sim_core.kernel.books import balance, build, count, hold, keep_totals, open_books, post, price_units
from sim_core.kernel.collection import consolidate, take_back
from sim_core.kernel.constants import opened
from sim_core.kernel.demand import draw_demand
from sim_core.kernel.duties import keep_past, record
from sim_core.kernel.feed_orders import order_feed
from sim_core.kernel.goods_orders import order_goods
from sim_core.kernel.inspection import inspect
from sim_core.kernel.jit import entry
from sim_core.kernel.period import CHECK_EVERY, gather, set_control
from sim_core.kernel.production import produce
from sim_core.kernel.recycling import recycle
from sim_core.kernel.remanufacture import remanufacture
from sim_core.kernel.sales import sell
from sim_core.kernel.simulation import KernelSimulation
from sim_core.kernel.use_phase import close_vintage

# In the order of sim_core.kernel.period.advance; the last one counts all stocks, every CHECK_EVERY periods.
STEPS = (
    "gather", "draw_demand", "open_books", "price_units", "build", "close_vintage", "take_back", "consolidate",
    "inspect", "remanufacture", "recycle", "produce", "sell", "order_goods", "order_feed", "keep_past", "record",
    "keep_totals", "hold", "post", "count",
)  # fmt: skip
NOTHING = -1
_EMPTY_CALLS = 2000


def step(which, boxed, d, x, w, tm, ct, table, changes, scenario, scan, t, worst, draws, loosest, n):  # noqa: C901, PLR0915, PLR0917
    """Run the step of this number for one block and period."""
    k = opened(boxed)
    if which == 0:
        gather(tm, table, changes, t, scenario, False, n)
    elif which == 1:
        draw_demand(k, draws, x, w, tm, t, 0, n)
    elif which == 2:
        open_books(k, w, n)
    elif which == 3:
        price_units(k, w, tm, n)
    elif which == 4:
        if k.levers.invest_recycler or k.levers.invest_remanufacturer or k.levers.invest_collector:
            build(k, x, w, t, n)
    elif which == 5:
        close_vintage(k, x, t, n)
    elif which == 6:
        take_back(k, x, w, tm, ct, t, n)
    elif which == 7:
        consolidate(k, x, w, tm, ct, t, n)
    elif which == 8:
        inspect(k, x, w, tm, ct, t, n)
    elif which == 9:
        remanufacture(k, x, w, tm, ct, t, n)
    elif which == 10:
        recycle(k, x, w, tm, ct, t, n)
    elif which == 11:
        produce(k, x, w, tm, ct, t, n)
    elif which == 12:
        sell(k, x, w, tm, ct, t, n)
    elif which == 13:
        order_goods(k, x, w, tm, ct, t, n)
    elif which == 14:
        order_feed(k, x, w, tm, ct, t, n)
    elif which == 15:
        if k.size.past:
            keep_past(k, x, w, t, n)
    elif which == 16:
        record(k, d, x, w, tm, t, len(d.lag), n)
    elif which == 17:
        keep_totals(k, x, w, n)
    elif which == 18:
        hold(k, x, w, tm, n)
    elif which == 19:
        post(k, x, w, tm, t, n)
    elif which == 20:
        count(k, x, w, scan[0], scan[1], t + 1, n)
        balance(k, x, w, worst, 0, loosest, n)


compiled_step = entry(step)


class Block(NamedTuple):
    """The first block of a batch: what the kernel is called with. Scratch, terms and control are filled for it."""

    boxed: Any
    d: Any
    x: Any
    w: Any
    tm: Any
    ct: Any
    terms: Any
    changes: Any
    scenario: Any
    scan: Any
    worst: Any
    draws: Any
    loosest: Any
    n: int

    def call(self, which: int, t: int) -> None:
        """Run a step in period t."""
        compiled_step(
            which, self.boxed, self.d, self.x, self.w, self.tm, self.ct, self.terms, self.changes, self.scenario,
            self.scan, t, self.worst, self.draws, self.loosest, self.n,
        )  # fmt: skip


def block_of(run: KernelSimulation, t: int) -> Block:
    """Return the first block as period t - 1 left it: a batch that stands earlier has that period's terms, but no more.

    The arrays are the batch's own: what is timed has to be the same memory, laid out in the same way.
    """
    n = run.lanes
    control = run._controller.decide(observe(run.layout, run._table, 0))
    rows = np.array([LEVERS.index(name) for name in run.layout.suite.levers], dtype=np.int64)
    set_control(run._ct, control.targets, control.levers, rows, n)
    table = run._terms[t - 1][:, run._scenario[:n]]
    run._tm[:, :n] = table
    return Block(
        boxed=run._boxed, d=run._duties, x=run._x[0], w=run._w, tm=run._tm, ct=run._ct[0], terms=run._terms,
        changes=run._changes, scenario=run._scenario[:n], scan=run._scan, worst=np.zeros(n, dtype=run._x.dtype),
        draws=run._draws, loosest=run._dtype.type(1e-4), n=n,
    )  # fmt: skip


def run_steps(block: Block, since: int, until: int, around: Callable[[str, Callable[[], object]], None]) -> None:
    """Take a block through its periods step by step; around is given each step's name and what runs it."""
    for t in range(since, until):
        for which, name in enumerate(STEPS):
            if name != "count" or (t + 1) % CHECK_EVERY == 0:
                around(name, partial(block.call, which, t))


def time_steps(run: KernelSimulation, since: int, periods: int, rounds: int) -> dict[str, float]:
    """Return each step's ns for a cell and period, the fastest of some rounds from the same state.

    run: a batch at period `since`. What a call from Python takes is taken off.
    """
    block = block_of(run, since)
    start = block.x.copy()
    empty = _shortest_call(partial(block.call, NOTHING, since))
    names: list[str] = []
    seconds = np.full(len(STEPS) * periods, np.inf)  # of each call, the fastest of all rounds
    for _ in range(rounds):
        block.x[:] = start
        names.clear()

        def around(name: str, call: Callable[[], object]) -> None:
            begin = time.perf_counter()
            call()
            passed = time.perf_counter() - begin
            seconds[len(names)] = min(passed, seconds[len(names)])
            names.append(name)

        run_steps(block, since, since + periods, around)
    least = dict.fromkeys(STEPS, 0.0)
    for name, passed in zip(names, seconds, strict=False):
        least[name] += max(0.0, passed - empty)
    return {name: total * 1e9 / block.n / periods for name, total in least.items()}


def _shortest_call(call: Callable[[], object]) -> float:
    found = []
    for _ in range(_EMPTY_CALLS):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)
