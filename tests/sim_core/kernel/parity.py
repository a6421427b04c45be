"""The same cells in both engines, and in what their ledgers and states differ."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from sim_core.control import LEVERS, Controller
from sim_core.engine.compliance import _Account
from sim_core.engine.pipeline import Pipeline
from sim_core.engine.rollout import Simulation
from sim_core.kernel import tables
from sim_core.kernel.constants import BUILT_KINDS, GROUPS
from sim_core.kernel.simulation import KernelSimulation
from sim_core.ledger import Flow, Ledger
from sim_core.policy.kinds import AT_MOST, TYPES
from sim_core.scenario import build_scenario
from tests.sim_core.random_models import Alert, Case, Random, Size, case

SAME = 1e-9  # relative
DUST = 1e-12  # of all that a cell paid, moved or holds: sums whose terms cancel leave roundings of that
COUNTED = (Flow.DUTY, Flow.SHORT)  # windows, where a duty of dust counts as one
LIST_OF_ORIGINS = (["post_consumer"], ["post_consumer", "external"], ["manufacturing_scrap"])
STOCKS = (
    "goods", "feed", "collected", "queue", "cores", "second_life", "recycler_feed", "backlog", "owed", "forecast",
    "at_goods", "returns_forecast",
)  # fmt: skip
FIRST = {"cargo": "lane_slot", "request": "lane_request"}  # the tables of first state rows of lanes
Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]


def kernel(one: Case, keys: list[int], controller: Controller | None = None, **options: Any) -> KernelSimulation:
    """The kernel's side of Case.simulation: any number of cells, in turn over the case's scenarios by their key."""
    used = sorted({key % len(one.names) for key in keys})
    rows = np.array([used.index(key % len(one.names)) for key in keys], dtype=np.intp)
    scenarios = [build_scenario(one.layout, one.names[i]) for i in used]
    labels = [f"cell {key}" for key in keys]
    return KernelSimulation(one.layout, scenarios, rows, controller or Alert(one.layout, keys), labels, **options)


# ---- models


def rich(size: Size, **changes: Any) -> Case:
    """The random model of a size, with any levers; its duties look back, have least volumes and any register."""
    draw = np.random.default_rng([size.seed, 3])
    levers = LEVERS if draw.random() < 0.6 else tuple(name for name in LEVERS if draw.random() < 0.6)
    law = tuple(any_duty(one, draw) for one in case(size).layout.suite.instruments)
    return case(size, **{"instruments": law, "levers": levers, **changes})


def any_duty(form: Mapping[str, Any], draw: Random) -> Mapping[str, Any]:
    """An instrument with what `instrument` of the random models leaves at its default, if it is a duty."""
    if "window" not in form:
        return form
    facts = TYPES[form["type"]]
    basis, delivered = (names[draw.integers(len(names))] for names in (facts.bases, facts.delivered))
    more: dict[str, Any] = {"basis": basis, "delivered": delivered}
    if basis not in ("content", "calendar") and draw.random() < 0.5:
        more["lag"] = int(draw.integers(1, 4))
    if form["type"] == "recycled_content_mandate":
        more["level"] = ("plant", "system")[draw.integers(2)]
        more["eligible_origins"] = LIST_OF_ORIGINS[draw.integers(len(LIST_OF_ORIGINS))]
    flexibility = {name: rule for name, rule in form["flexibility"].items() if draw.random() < 0.7}
    if draw.random() < 0.3:
        flexibility["de_minimis"] = float(10 ** draw.uniform(0, 5))
    if "certificates" in flexibility and form["type"] == "ets_cap":
        flexibility["certificates"] = {"price": "carbon_price", "limit": 0.3}
    if basis in ("collected", "ended", "placed") and draw.random() < 0.3:
        more["measure"] = "mass"
    return {**form, **more, "flexibility": flexibility}


# ---- ledgers


def apart(one: Ledger, other: Ledger, doubtful: np.ndarray | float = 0.0) -> list[str]:
    """The accounts and flows in which two ledgers differ. doubtful: (B,) by how much counts of windows may."""
    found: list[str] = []
    moved = {name: amount for name, amount in one.flow.items() if name not in COUNTED}
    for mine, yours in ((one.money, other.money), (moved, other.flow)):
        least = DUST * sum(np.abs(amount) for amount in mine.values())
        its = {str(name): amount for name, amount in yours.items()}
        found += [str(name) for name, amount in mine.items() if far(amount, its[str(name)], least).any()]
    for name in COUNTED:
        found += [str(name)] * bool(far(one.flow[name], other.flow[name], SAME + doubtful).any())
    return found


@contextmanager
def doubtful_windows(cells: int) -> Iterator[np.ndarray]:
    """Count the windows that runs of the NumPy engine close with a duty of dust, (B,): 1 or 0 is due by a rounding."""
    found, known = np.zeros(cells), dict[int, np.ndarray]()
    add, close = _Account.add, _Account.close

    def adding(self: Any, volumes: Any, theta: np.ndarray, in_force: np.ndarray) -> None:
        owed = in_force if self.obligation.sense == AT_MOST else theta
        known[id(self)] = known.get(id(self), False) | (owed > 0.0)
        add(self, volumes, theta, in_force)

    def closing(self: Any, amounts: np.ndarray, *rest: Any, **more: Any) -> None:
        close(self, amounts, *rest, **more)
        found[:] += known.pop(id(self)) & (amounts[0] <= SAME * amounts[0].max(initial=1.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Account, "add", adding)
        patch.setattr(_Account, "close", closing)
        yield found


def far(mine: np.ndarray, yours: np.ndarray, least: Any) -> np.ndarray:
    """Where two arrays differ by more than roundings, or one holds no number."""
    return ~(np.abs(mine - yours) <= SAME * np.abs(mine) + least)


# ---- states


def unlike(one: Simulation, other: KernelSimulation) -> list[str]:
    """The fields of the state in which two runs differ."""
    assert one.t == other.t
    found: list[str] = []
    units, mass = one.state.product() + one.state.use.total(), one.state.loose_material()
    total = units.sum(axis=0) + mass.sum(axis=0)
    for name, (mine, yours) in states(one, other).items():
        assert mine.shape == yours.shape, name
        scale = np.abs(mine).max(axis=tuple(range(mine.ndim - 1)), initial=0.0) if name.startswith("duty") else total
        found += [name] * bool(far(mine, yours, DUST * np.maximum(scale, 1.0)).any())
    return found


def states(one: Simulation, other: KernelSimulation) -> Pairs:
    """What both engines keep, by name, cells last."""
    return {**_stocks(one, other), **_use(one, other), **_lanes(one, other), **_accounts(one, other)}


def held(run: KernelSimulation, first: int, *shape: int) -> np.ndarray:
    """Rows of the kernel's state from `first` on, in a shape, cells last."""
    rows = np.moveaxis(run._x[:, first : first + int(np.prod(shape)), : run.lanes], 1, 0)
    return rows.reshape(*shape, rows.shape[1] * rows.shape[2])[..., : len(run._rows)]


def whole(run: KernelSimulation, table: str, number: int) -> int:
    """An entry of one of the kernel's tables of whole numbers."""
    return int(run._k.z[place(run, table) + number])


def place(run: KernelSimulation, table: str) -> int:
    """Where the kernel's constants hold the first entry of a table."""
    return int(run._k.z[tables._HEAD * tables._names.index(table)])


def _stocks(one: Simulation, other: KernelSimulation) -> Pairs:
    state, r, t = one.state, other._k.r, one.t
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in STOCKS:
        mine = getattr(state, name)
        found[name] = mine, held(other, getattr(r, name), *mine.shape[:-1])
    for row, kind in enumerate(BUILT_KINDS):
        if one.layout.count[kind] and t:
            found[f"built {kind}"] = one._capacity._steps[kind][t - 1], held(other, r.built + row)
    return found


def _use(one: Simulation, other: KernelSimulation) -> Pairs:
    """Units with users, by market, product, class and month or vintage of sale. The kernel has those last."""
    use, r = one.state.use, other._k.r
    if not other._k.size.durable:  # the kernel has no rows for what is consumed
        stocks = (use._recent, use._vintages, use.hibernating, use._failed)
        return {f"in use {i}": (stock, np.zeros_like(stock)) for i, stock in enumerate(stocks)}
    months, vintages = len(use._recent), len(use._vintages)
    shape = use.hibernating.shape[:-1]
    new = use._vintages[:, :, :, 0].sum(axis=1)  # (vintages, P, B)
    easy = np.moveaxis(use._easy * new, 0, 1)
    found = {
        "recent": (np.moveaxis(use._recent, 0, 3), held(other, r.recent, *shape, months)),
        "vintages": (np.moveaxis(use._vintages, 0, 3), held(other, r.vintage, *shape, vintages)),
        "hibernating": (use.hibernating, held(other, r.hibernating, *shape)),
        "failed": (use._failed, held(other, r.failed, *shape)),
    }
    if other._k.levers.design_for_disassembly:
        shares = held(other, r.easy, *easy.shape[:-1])
        found["easy"] = easy, shares * np.moveaxis(new, 0, 1)  # the shares of dust are chance
        found["easy units"] = use._easy_units, held(other, r.easy_units, *use._easy_units.shape[:-1])
        found["easy share"] = use.easy_share, held(other, r.easy_share, *use.easy_share.shape[:-1])
    return found


def _lanes(one: Simulation, other: KernelSimulation) -> Pairs:
    """What is on each lane, in the order in which it arrives; and orders on their way."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for number, group in enumerate(GROUPS):
        for what, pipes in (("cargo", one.state.pipes), ("request", one.state.requests)):
            for lane in range(pipes[group].lanes.count if group in pipes else 0):
                e = whole(other, "group_start", number) + lane
                found[f"{what} {group} {lane}"] = _of_lane(one.t, pipes[group], lane, other, what, e)
    return found


def _of_lane(
    t: int, pipe: Pipeline, lane: int, other: KernelSimulation, what: str, e: int
) -> tuple[np.ndarray, np.ndarray]:
    first = whole(other, FIRST[what], e)
    ring = int(pipe._lead[lane]) + 1
    arrivals = range(t, t + ring)
    mine = np.stack([pipe.arriving(arrival)[lane] for arrival in arrivals])
    slots = held(other, first, ring, *mine.shape[1:-1])
    return mine, slots[[arrival % ring for arrival in arrivals]]


def _accounts(one: Simulation, other: KernelSimulation) -> Pairs:
    """What stands in each duty's books: required, counted, volume, debt and what is banked, oldest first."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    duties = other._duties
    for number, account in enumerate(one._compliance._accounts):
        mine = [account._required, account._counted, account._volume, account._debt, *account._bank]
        first, end = duties.first[number : number + 2]
        if first == end:  # of a duty of plants in a network without any
            continue
        yours = np.stack([held(other, int(row), len(mine)) for row in duties.state[first:end]], axis=1)
        if not account.obligation.flexibility.de_minimis:  # without one the NumPy engine doesn't add volumes up
            mine[2] = yours[2]
        found[f"duty {account.obligation.id}"] = np.stack(mine), yours
    return found


def cell_bytes(run: KernelSimulation, cell: int) -> bytes:
    """All that a cell's state in the kernel holds, its ledger with it."""
    return held(run, 0, run._x.shape[1])[:, cell].tobytes()
