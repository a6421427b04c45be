"""KernelSimulation: what sim_core.engine.rollout.Simulation does, compiled, in blocks of cells that fit the cache."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim_core.control import LEVERS, Control, Controller
from sim_core.engine.books import TOLERANCE
from sim_core.engine.layout import Layout
from sim_core.engine.rollout import observe
from sim_core.engine.terms import TermsTable
from sim_core.errors import BalanceError, ModelError
from sim_core.kernel.compiled import Compiled, compile_constants
from sim_core.kernel.demand import compile_draws, draw_opening
from sim_core.kernel.duties import compile_duties
from sim_core.kernel.opening import fill_opening, scan_rows
from sim_core.kernel.period import CHANGES, DIFFERS, advance, set_control, set_flows, start_totals
from sim_core.ledger import Account, Flow, Ledger
from sim_core.policy.instrument import PolicyInstrument
from sim_core.scenario import Scenario, with_instrument

Array = NDArray[Any]
_CACHE_BYTES = 2_000_000  # of a block's state, terms and scratch: somewhat more than a core's own cache holds
_LEAST_LANES, _MOST_LANES = 256, 1024
_PAGE = 4096  # rows whose distance is a multiple of it fall into the same lines of the cache
_FLOAT32_TOLERANCE = 1e-4


class KernelSimulation:
    """B cells under way in compiled code. Arguments, methods and bytes as promised by the NumPy engine, to 1e-9.

    t: the next period. dtype: float64, or float32 for screening. lanes: cells in a block, chosen by the size of the
    state unless given; it changes no result.
    """

    def __init__(
        self,
        layout: Layout,
        scenarios: Sequence[Scenario],
        rows: NDArray[np.intp],
        controller: Controller,
        labels: list[str],
        *,
        dtype: DTypeLike = np.float64,
        look_back: bool = False,
        shocks: NDArray[np.uint64] | None = None,
        lanes: int | None = None,
    ) -> None:
        """Start a batch.

        scenarios: the distinct ones; rows: (B,) the scenario of each cell; controller decides for all B cells;
        labels: (B,) what errors call the cells. look_back: keep past registers even where no duty of the scenarios
        looks back, for one that is injected. shocks: (B,) a number for each cell that keys the demand of markets with
        a normal or ar1 process of their own, in place of the scenario's own number; see sim_core.kernel.demand.
        """
        self.layout = layout
        self.t = 0
        self._dtype = np.dtype(dtype)
        self._scenarios, self._rows = list(scenarios), np.asarray(rows, dtype=np.int64)
        self._controller, self._labels = controller, labels
        self._table = TermsTable(layout, scenarios, self._rows)
        duties = self._scenarios[0].obligations
        past = layout.suite.periods if look_back or any(one.lag for one in duties) else 0
        compiled = compile_constants(layout, self._table.paths, self._dtype, past_months=past)
        self._k, self._boxed = compiled.constants, compiled.boxed
        self._duties, state = compile_duties(layout, duties, self._k.s, self._dtype, compiled.state_rows)
        scratch, terms, self._flow_rows = compiled.scratch_rows, compiled.term_rows, compiled.control_rows
        self._fresh = len(duties)
        self.lanes = lanes or _lane_width(len(rows), state + scratch + terms, self._dtype)
        stride = _stride(self.lanes, self._dtype)
        blocks = -(-len(rows) // self.lanes)
        self._x = np.zeros((blocks, state, stride), dtype=self._dtype)
        self._w = np.zeros((scratch, stride), dtype=self._dtype)
        self._tm = np.zeros((terms, stride), dtype=self._dtype)
        self._ct = np.zeros((blocks, int(self._k.c.chosen) + 1, stride), dtype=self._dtype)
        self._decided = False
        self._worst = np.zeros(blocks * self.lanes, dtype=self._dtype)
        self._scan = scan_rows(compiled)
        self._lever_row = np.array([LEVERS.index(name) for name in layout.suite.levers], dtype=np.int64)
        self._scenario = self._padded(self._rows)
        self._draws = compile_draws(layout, None if shocks is None else self._padded(shocks), self._dtype)
        self._read_terms()
        self._open(compiled)

    @property
    def ledger(self) -> Ledger:
        """The ledger of all cells, float64, as it stands."""
        ledger = Ledger(self.layout.suite, len(self._rows))
        for row, account in enumerate(Account):
            ledger.money[account] = self._row(self._k.r.money + row)
        for row, flow in enumerate(Flow):
            ledger.flow[flow] = self._row(self._k.r.flow + row)
        return ledger

    def advance(self, until: int | None = None) -> None:
        """Simulate up to the start of period `until`, or to the end. Raises BalanceError if mass is created or lost."""
        suite = self.layout.suite
        end = suite.periods if until is None else min(until, suite.periods)
        while self.t < end:
            if not self._decided or self.t % suite.epoch_months == 0:
                control = self._controller.decide(observe(self.layout, self._table, self.t))
                self._check_form(control)
                self._set(control)
                self._decided = True
            stop = min(end, (self.t // suite.epoch_months + 1) * suite.epoch_months)
            self._run(stop)
            self.t = stop

    def state(self) -> dict[str, Array]:
        """Return all that the cells carry into period t, as plain arrays: see `take_up`.

        x: (rows, B) stocks, cargo, forecasts, accounts and ledger; control: (rows, B) what was decided at the last
        review; t, fresh, decided: numbers. Blocks and lanes leave no trace in it.
        """
        return {
            "x": self._by_cell(self._x),
            "control": self._by_cell(self._ct),
            "t": np.array(self.t, dtype=np.int64),
            "fresh": np.array(self._fresh, dtype=np.int64),
            "decided": np.array(self._decided, dtype=np.int64),
        }

    def take_up(self, state: Mapping[str, Array]) -> None:
        """Go on from where `state` was taken: with the bytes of the run that gave it.

        That run had the same layout, cells, controllers, precision and law: what was injected into it is injected into
        this one before. A controller that remembers what it saw is not restored. Raises ModelError for a state of
        other cells, law or precision.
        """
        x, control = state["x"], state["control"]
        least, wanted = int(self._k.c.chosen) + 1, (self._x.shape[1], len(self._rows))
        if x.shape != wanted or x.dtype != self._dtype or control.dtype != self._dtype:
            raise ModelError(
                f"a state of {x.dtype} {x.shape} can't be taken up; these cells and law need {self._dtype} {wanted}"
            )
        if control.shape not in ((least, wanted[1]), (self._flow_rows, wanted[1])):
            raise ModelError(f"a state with controls of shape {control.shape} can't be taken up; {least} rows are set")
        self._x, self._ct = self._in_blocks(x), self._in_blocks(control)
        self.t, self._fresh, self._decided = int(state["t"]), int(state["fresh"]), bool(state["decided"])

    def inject(self, instrument: PolicyInstrument | Mapping[str, Any], at_period: int | None = None) -> None:
        """Bring an instrument into force in the running simulation; see sim_core.engine.rollout.Simulation.inject.

        Raises ModelError, beside what the NumPy engine raises it for, for a duty that looks back on past windows when
        nothing was kept of them.
        """
        self._scenarios = self.amended(instrument, at_period)
        self._table = TermsTable(self.layout, self._scenarios, self._rows)
        self._adopt(self._scenarios[0].obligations)
        self._read_terms()

    def amended(self, instrument: PolicyInstrument | Mapping[str, Any], at_period: int | None = None) -> list[Scenario]:
        """Return the scenarios as `inject` would have them, and change nothing. Raises ModelError as `inject` does."""
        at = self.t if at_period is None else at_period
        if not self.t <= at < self.layout.suite.periods:
            raise ModelError(
                f"period {at} can't be changed; the simulation stands at {self.t} of {self.layout.suite.periods}"
            )
        scenarios = [with_instrument(self.layout, one, instrument, at) for one in self._scenarios]
        duties = scenarios[0].obligations
        if not self._k.size.past and any(one.lag for one in duties):
            raise ModelError("a duty that looks back on past windows needs look_back=True from the start of the run")
        return scenarios

    # ---- how it is done

    def _open(self, compiled: Compiled) -> None:
        """Fill lanes, stocks and forecasts as they stand before the first period."""
        demand = self._table.paths["demand"][0]
        drawn, scenarios = self._draws.market, demand.shape[-1]
        if not len(drawn) and scenarios < len(self._rows):  # cells of one scenario open alike
            opening = np.zeros((self._x.shape[1], scenarios), dtype=self._dtype)
            self._fill(compiled, opening, demand)
            rows = np.flatnonzero(opening.any(axis=1))
            for block, scenario in enumerate(self._scenario.reshape(-1, self.lanes)):
                self._x[block, rows, : self.lanes] = opening[rows][:, scenario]
            return
        for block, scenario in enumerate(self._scenario.reshape(-1, self.lanes)):
            first, start = block * self.lanes, demand[..., scenario]
            if len(drawn):
                draw_opening(self._boxed, self._draws, self._x[block], self._w, self._tm, first, self.lanes)
                rows = self._tm[self._k.q.demand : self._k.q.demand + math.prod(start.shape[:2]), : self.lanes]
                start[drawn] = rows.reshape(start.shape)[drawn]
                self._x[block, self._k.r.away : self._k.r.away + len(drawn)] = 0.0
            self._fill(compiled, self._x[block], start)

    def _fill(self, compiled: Compiled, x: Array, demand: NDArray[np.float64]) -> None:
        """Write the opening of some cells, (rows, cells or more), whose first period has this demand, (K, P, cells)."""
        cells = demand.shape[-1]
        fill_opening(self.layout, compiled, x[:, :cells], demand)
        w = self._w if self._w.shape[1] >= cells else np.zeros((len(self._w), cells), dtype=self._dtype)
        start_totals(self._boxed, x, w, *self._scan, cells)

    def _run(self, stop: int) -> None:
        loosest = np.array(1e-4 if self._dtype == np.float64 else 1.0, dtype=self._dtype)[()]
        advance(
            self._boxed, self._duties, self._x, self._w, self._tm, self._ct, self._terms, self._changes, self._scenario,
            self._scan, self.t, stop, self._fresh, self._worst, self._draws, loosest, self.lanes,
        )  # fmt: skip
        self._fresh = len(self._duties.lag)
        self._check_balance(stop)

    def _set(self, control: Control) -> None:
        """Copy a control to the rows of all blocks. Raises ModelError for numbers that are none."""
        chosen = int(self._k.c.chosen)
        control = _readable(control)
        if set_control(self._ct, control.targets, control.levers, self._lever_row, self.lanes):
            raise ModelError("a controller set targets or levers that are not all numbers in [0, 1]")
        self._ct[:, chosen] = control.flows is not None
        if control.flows is None:
            return
        if self._ct.shape[1] < self._flow_rows:
            more = np.zeros((len(self._ct), self._flow_rows - self._ct.shape[1], self._ct.shape[2]), dtype=self._dtype)
            self._ct = np.concatenate([self._ct, more], axis=1)
        if set_flows(self._ct, chosen, control.flows, self.lanes):
            raise ModelError("a controller set flows that are not all finite numbers from 0 up")

    def _check_balance(self, stop: int) -> None:
        worst: Array = self._worst[: len(self._rows)]
        allowed = TOLERANCE if self._dtype == np.float64 else _FLOAT32_TOLERANCE
        if not bool((worst <= allowed).all()):
            cell = int(np.argmax(np.where(np.isnan(worst), np.inf, worst)))
            raise BalanceError(
                f"mass balance broken before period {stop}: relative error {float(worst[cell]):.3g} in "
                f"{self._labels[cell]} (allowed {allowed:g}); the kernel is wrong, no result of this run may be used"
            )

    def _check_form(self, control: Control) -> None:
        cells, nodes = len(self._rows), len(self.layout.network.nodes)
        for name, values, shape in (
            ("targets", control.targets, (3, nodes, cells)),
            ("levers", control.levers, (len(self.layout.suite.levers), cells)),
        ):
            if values.shape != shape:
                raise ModelError(f"a controller set {name} of shape {values.shape}; this suite takes {shape}")
        rows = self._flow_rows - int(self._k.c.chosen) - 1
        if control.flows is not None and control.flows.shape != (rows, cells):
            raise ModelError(f"a controller set flows of shape {control.flows.shape}; this suite takes {(rows, cells)}")

    def _read_terms(self) -> None:
        """Lay out all terms as (T, rows, scenarios), and note which rows change from one period to the next."""
        paths, periods = self._table.paths, self.layout.suite.periods
        terms = [values.reshape(periods, math.prod(values.shape[1:-1]), values.shape[-1]) for values in paths.values()]
        self._terms = np.ascontiguousarray(np.concatenate(terms, axis=1), dtype=self._dtype)
        self._changes = np.full(self._terms.shape[:2], CHANGES, dtype=np.int8)
        self._changes[1:] = CHANGES * (self._terms[1:] != self._terms[:-1]).any(axis=2)
        self._changes += DIFFERS * (self._terms != self._terms[..., :1]).any(axis=2)

    def _adopt(self, duties: Sequence[Any]) -> None:
        """Make room for the accounts of duties that are new, behind those that are there; and for their terms."""
        before = self._x.shape[1]
        compiled = compile_constants(self.layout, self._table.paths, self._dtype, past_months=int(self._k.size.past))
        self._k, self._boxed = compiled.constants, compiled.boxed
        self._duties, rows = compile_duties(self.layout, duties, self._k.s, self._dtype, compiled.state_rows)
        self._tm = np.zeros((compiled.term_rows, self._tm.shape[1]), dtype=self._dtype)
        more = np.zeros((len(self._x), rows - before, self._x.shape[2]), dtype=self._dtype)
        self._x = np.concatenate([self._x, more], axis=1)

    def _padded(self, values: Array) -> Array:
        """Return values by cell for whole blocks, the first cell repeated."""
        index = np.arange(len(self._x) * self.lanes)
        return values[np.where(index < len(values), index, 0)]

    def _by_cell(self, values: Array) -> Array:
        """Return a copy of values by block, (blocks, rows, lanes or more), as (rows, B)."""
        held = np.moveaxis(values[:, :, : self.lanes], 1, 0)
        return np.ascontiguousarray(held.reshape(len(held), -1)[:, : len(self._rows)])

    def _in_blocks(self, values: Array) -> Array:
        """Return values by cell, (rows, B), in blocks, as `_by_cell` took them; the last block is padded."""
        blocks, rows = len(self._x), len(values)
        found = np.zeros((blocks, rows, self._x.shape[2]), dtype=self._dtype)
        padded = np.stack([self._padded(row) for row in values]).reshape(rows, blocks, self.lanes)
        found[:, :, : self.lanes] = np.moveaxis(padded, 0, 1)
        return found

    def _row(self, row: int) -> NDArray[np.float64]:
        return self._x[:, row, : self.lanes].reshape(-1)[: len(self._rows)].astype(np.float64)


def _readable(control: Control) -> Control:
    """Return a control in the one form that compiled code takes: float64, contiguous, writeable."""
    targets, levers, flows = (
        None if values is None else np.require(values, np.float64, ("C", "W"))
        for values in (control.targets, control.levers, control.flows)
    )
    return replace(control, targets=targets, levers=levers, flows=flows)


def _lane_width(cells: int, rows: int, dtype: np.dtype[Any]) -> int:
    """Return how many cells a block holds: as many as the cache has room for, in whole vectors."""
    fitting = _CACHE_BYTES // (rows * dtype.itemsize)
    width = _MOST_LANES
    while width > _LEAST_LANES and (width > fitting or width >= 2 * cells):
        width //= 2
    return min(width, -(-cells // 8) * 8)


def _stride(lanes: int, dtype: np.dtype[Any]) -> int:
    """Return the length of a row: that of its lanes in whole cache lines, never a divisor of a page's length."""
    line = 64 // dtype.itemsize
    return (-(-lanes // line) + 1) * line
