"""Mutants: a kernel with anything wrong in it is found by its parity, one that makes or loses mass by its own balance.

Compiled code is not patched: what it reads is, its constants and terms, and its state between two periods.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from sim_core.engine.state import BY_CLASS, BY_PRODUCT, MATERIAL
from sim_core.errors import BalanceError
from sim_core.kernel import tables
from sim_core.kernel.constants import COMMON, GROUPS, VALUES
from sim_core.kernel.period import CHANGES, DIFFERS
from sim_core.kernel.simulation import KernelSimulation
from sim_core.ledger import Account, Flow, Ledger
from sim_core.network import LaneGroup, NodeKind
from tests.sim_core.kernel.parity import apart, kernel, place, rich, whole
from tests.sim_core.random_models import KEYS, PERIODS, Case, Size

Mutant = Callable[[KernelSimulation], None]
WHOLE = {"warm_up": 0, "scored": PERIODS, "run_out": 0}
SEEDS = (3, 0, 5, 7, 6)  # in one of these models each number matters
FLAGS = ("total_u", "backlog", "scored")
PIPES = (*BY_CLASS, *BY_PRODUCT, *MATERIAL)
STOCKS = (
    "goods", "feed", "collected", "queue", "cores", "second_life", "recycler_feed", "failed", "hibernating", "recent",
    "vintage",
)  # fmt: skip


@cache
def model(seed: int) -> tuple[Case, Ledger]:
    """A model with two of every node, and what the NumPy engine books in it."""
    one = rich(Size(dict.fromkeys(NodeKind, 2), 2, 6, seed), **WHOLE)
    run = one.simulation(KEYS)
    run.advance()
    return one, run.ledger


def found(seed: int, mutate: Mutant) -> list[str]:
    """The accounts that show a mutant in a model; counts of windows are none of them."""
    one, expected = model(seed)
    run = kernel(one, KEYS)
    try:
        mutate(run)
        run.advance()
    except BalanceError:
        return ["balance"]
    return apart(expected, run.ledger, float(PERIODS * len(KEYS)))


def seen_in_any(mutate: Mutant) -> bool:
    return any(found(seed, mutate) for seed in SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_as_it_is_has_parity(seed: int):
    assert found(seed, lambda run: None) == []


# ---- constants and terms


def part(run: KernelSimulation, name: str) -> np.ndarray:
    """A table's floats in the constants, to be written to."""
    floats = [one for one in tables._names if one not in tables._whole]
    starts = [place(run, one) for one in floats]
    ends = [*starts[1:], len(run._k.f)]
    at = floats.index(name)
    return run._k.f[starts[at] : ends[at]]


def wrong(values: np.ndarray) -> None:
    """Make numbers so small that even a capacity that nobody reaches is missed; what is none, something."""
    values[...] = np.where(np.isfinite(values), values, 1.0) * 1e-3 + 1e-3


def flipped(values: np.ndarray) -> None:
    values[...] = values <= 0.0


FLOATS = [name for name in tables._names if name not in tables._whole and name not in ("value", "common", "number")]


@pytest.mark.parametrize("name", FLOATS)
def test_a_wrong_table_is_found(name: str):
    assert seen_in_any(lambda run: (flipped if name in FLAGS else wrong)(part(run, name)))


@pytest.mark.parametrize("row", range(len(VALUES)), ids=VALUES)
def test_a_wrong_value_of_products_is_found(row: int):
    assert seen_in_any(lambda run: wrong(part(run, "value").reshape(len(VALUES), -1)[row]))


@pytest.mark.parametrize("row", range(len(COMMON)), ids=COMMON)
def test_a_wrong_number_of_the_region_is_found(row: int):
    assert seen_in_any(lambda run: wrong(part(run, "common")[row : row + 1]))


TERMS = tuple(model(SEEDS[0])[0].simulation(KEYS)._table.paths)


def term(run: KernelSimulation, name: str) -> np.ndarray:
    """A term's rows in all periods, to be written to."""
    first = getattr(run._k.q, name)
    run._changes[...] = CHANGES | DIFFERS
    return run._terms[:, first : first + int(np.prod(run._table.paths[name].shape[1:-1]))]


@pytest.mark.parametrize("name", TERMS)
def test_a_wrong_term_is_found(name: str):
    assert seen_in_any(lambda run: wrong(term(run, name)))


@pytest.mark.parametrize("name", ["expedite", "build", "life", "warm_up", "scored_end"])
def test_a_wrong_time_is_found(name: str):
    def later(run: KernelSimulation) -> None:
        run._k.size[name] += 1

    assert seen_in_any(later)


def test_one_product_s_recovery_of_one_material_is_found_by_a_millionth():
    def less(run: KernelSimulation) -> None:
        values = part(run, "recovery")
        values[int(values.argmax())] *= 1.0 - 1e-6

    assert seen_in_any(less)


POSTED = (
    Account.PRODUCTION, Account.DISPOSAL, Flow.DEMAND, Flow.DISPLACED, Flow.DUE, Flow.LACKING, Flow.ENDED_VALUE,
    Flow.ENDED_MATERIAL_VALUE, Flow.KEPT_VALUE, Flow.RECOVERED_VALUE,
)  # fmt: skip


@pytest.mark.parametrize("name", POSTED)
def test_an_account_that_is_left_out_of_the_books_is_reported(name: Account | Flow):
    def left_out(run: KernelSimulation) -> None:
        start, last = place(run, "posted"), int(run._k.size.posted) - 1
        posted = run._k.z[start : start + last + 1]
        at = posted.tolist().index([*Account, *Flow].index(name))
        posted[[at, last]] = posted[[last, at]]
        run._k.size["posted"] -= 1

    assert breaks_balance(left_out)


# ---- lanes


def lanes_of(run: KernelSimulation, group: LaneGroup) -> Iterator[int]:
    at = GROUPS.index(group)
    yield from range(whole(run, "group_start", at), whole(run, "group_start", at + 1))


@pytest.mark.parametrize("group", PIPES, ids=str)
def test_a_lead_time_that_is_a_month_too_long_is_found(group: LaneGroup):
    def later(run: KernelSimulation) -> None:
        """What leaves is put into the slot that has just been emptied, a whole ring ahead."""
        for lane in lanes_of(run, group):
            run._k.z[place(run, "lane_lead") + lane] += 1

    assert seen_in_any(later)


def leave_in_slot(run: KernelSimulation, group: LaneGroup) -> None:
    """Let what arrives stay on its lane, too, in each period."""
    for t in range(PERIODS):
        kept: list[tuple[slice, np.ndarray]] = []
        for lane in lanes_of(run, group):
            slot, ring, cargo = (whole(run, f"lane_{name}", lane) for name in ("slot", "ring", "cargo"))
            rows = slice(slot + t % ring * cargo, slot + t % ring * cargo + cargo)
            kept.append((rows, run._x[:, rows].copy()))
        run.advance(t + 1)
        for rows, cargo_left in kept:
            run._x[:, rows] += cargo_left


def breaks_balance(mutate: Mutant) -> bool:
    return any(found(seed, mutate) == ["balance"] for seed in SEEDS)


@pytest.mark.parametrize("group", PIPES, ids=str)
def test_a_slot_that_is_not_cleared_breaks_the_balance(group: LaneGroup):
    assert breaks_balance(lambda run: leave_in_slot(run, group))


@pytest.mark.parametrize("group", PIPES, ids=str)
def test_a_slot_that_is_not_cleared_is_found_by_parity(group: LaneGroup, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(KernelSimulation, "_check_balance", lambda self, stop: None)
    assert seen_in_any(lambda run: leave_in_slot(run, group))


# ---- stocks


@pytest.mark.parametrize("name", STOCKS)
@pytest.mark.parametrize("amount", [1.0, -1.0])
def test_mass_that_comes_from_nowhere_or_is_lost_breaks_the_balance(name: str, amount: float):
    def changing(run: KernelSimulation) -> None:
        first = getattr(run._k.r, name)
        fields = sorted(run._k.r[other] for other in run._k.r.dtype.names)
        after = next(row for row in fields if row > first)
        run.advance(6)
        rows = run._x[:, first:after]
        np.add(rows, amount, out=rows)

    assert breaks_balance(changing)


def test_the_balance_names_the_cell():
    one, _ = model(SEEDS[0])
    run = kernel(one, KEYS, lanes=8)
    run.advance(6)
    run._x[0, int(run._k.r.goods), 5] += 1e3
    with pytest.raises(BalanceError, match="in cell 5"):
        run.advance()
