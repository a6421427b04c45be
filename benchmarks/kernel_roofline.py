"""A rollout beside its own roofline, by kind of node: the rows that must move, the arithmetic, and the ns it takes.

The roofline of a step is the longest of three times that no code for the same layout goes below: its rows of state,
terms and control through the cache that holds the block, its operations, and its divisions, each at the pace measured
in this run. What passes through scratch rows between loops is in no roofline: it is the kernel's own doing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.kernel_steps import STEPS
from benchmarks.kernel_trace import Work
from sim_core.network import NodeKind

# Steps by the kind of node that they are for; the landfill, second life and external markets go with who serves them.
KINDS: Mapping[str, tuple[tuple[NodeKind, ...], tuple[str, ...]]] = {
    "market": ((NodeKind.MARKET,), ("close_vintage", "take_back", "sell")),
    "collector": ((NodeKind.COLLECTOR,), ("consolidate",)),
    "inspection": ((NodeKind.INSPECTION, NodeKind.SECOND_LIFE), ("inspect",)),
    "remanufacturer": ((NodeKind.REMANUFACTURER,), ("remanufacture",)),
    "recycler": ((NodeKind.RECYCLER, NodeKind.LANDFILL), ("recycle",)),
    "plant": ((NodeKind.PLANT,), ("produce",)),
    "warehouse": ((NodeKind.WAREHOUSE,), ("order_goods",)),
    "supplier": ((NodeKind.SUPPLIER, NodeKind.EXTERNAL), ("order_feed",)),
}
BOOKS = "law and books"  # what a cell pays for once, however many nodes it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the machine can do: GB/s through the cache that holds a block, 1e9 operations and divisions a second."""

    cache: float
    operations: float
    divisions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A kind of node in the table; all but `nodes` are for a cell and period, over all nodes of the kind.

    rows: read and written. touched: numbers that its loops load and store, of any row. limit: what its roofline is.
    """

    kind: str
    nodes: int
    rows: float
    bytes: float
    touched: float
    ns: float
    roof: float
    limit: str


def lines(
    kinds: Sequence[NodeKind], work: Mapping[str, Work], times: Mapping[str, float], pace: Pace, itemsize: int
) -> Iterator[Line]:
    """Yield the table. kinds: of all nodes; times: ns of each step for a cell and period."""
    left = [name for name in STEPS if name in work]
    for kind, (members, steps) in KINDS.items():
        nodes = sum(kinds.count(member) for member in members)
        own = [name for name in steps if name in left]
        left = [name for name in left if name not in own]
        yield _line(kind, nodes, own, work, times=times, pace=pace, itemsize=itemsize)
    yield _line(BOOKS, len(kinds), left, work, times=times, pace=pace, itemsize=itemsize)


def _line(
    kind: str,
    nodes: int,
    steps: Sequence[str],
    work: Mapping[str, Work],
    *,
    times: Mapping[str, float],
    pace: Pace,
    itemsize: int,
) -> Line:
    rows = sum(work[name].read + work[name].written for name in steps)
    limits = {
        "rows": rows * itemsize / pace.cache,
        "operations": sum(work[name].operations for name in steps) / pace.operations,
        "divisions": sum(work[name].divisions for name in steps) / pace.divisions,
    }
    limit = max(limits, key=lambda name: limits[name])
    return Line(
        kind=kind,
        nodes=nodes,
        rows=rows,
        bytes=rows * itemsize,
        touched=sum(work[name].loads + work[name].stores for name in steps),
        ns=sum(times[name] for name in steps),
        roof=limits[limit],
        limit=limit,
    )


def roof(table: Sequence[Line], nodes: int) -> float:
    """Return the roofline of a node-period, ns."""
    return sum(line.roof for line in table) / nodes


def show(title: str, table: Sequence[Line], pace: Pace) -> None:
    """Print the table, each kind for one of its nodes, and what the kernel asks of the first cache beside it."""
    print(f"\n{title}; for a node, cell and period")
    print(
        f"roofline at {pace.cache:.1f} GB/s through the block's cache, {pace.operations:.1f} G operations/s, "
        f"{pace.divisions:.2f} G divisions/s"
    )
    head = ("kind", "nodes", "rows", "bytes", "loads+stores", "ns", "roof ns", "ratio", "limit", "share")
    print("{:15} {:>5} {:>7} {:>7} {:>12} {:>7} {:>7} {:>6} {:11} {:>6}".format(*head))
    whole = sum(line.ns for line in table)
    for line in table:
        each = max(line.nodes, 1)
        ratio = f"{line.ns / line.roof:6.2f}" if line.roof else f"{'-':>6}"
        print(
            f"{line.kind:15} {line.nodes:5} {line.rows / each:7.1f} {line.bytes / each:7.0f} "
            f"{line.touched / each:12.1f} {line.ns / each:7.2f} {line.roof / each:7.2f} {ratio} {line.limit:11} "
            f"{line.ns / whole:6.1%}"
        )


def show_steps(title: str, work: Mapping[str, Work], times: Mapping[str, float], nodes: int) -> None:
    """Print every step's part of a node-period."""
    print(f"\n{title}; ns and numbers for a node-period")
    print(f"{'step':14} {'ns':>7} {'share':>6} {'loads':>7} {'stores':>7} {'operations':>10} {'divisions':>9}")
    whole = sum(times.values())
    for name in sorted((name for name in times if name in work), key=lambda name: -times[name]):
        one = work[name]
        counts = (one.loads / nodes, one.stores / nodes, one.operations / nodes, one.divisions / nodes)
        print(f"{name:14} {times[name] / nodes:7.3f} {times[name] / whole:6.1%} {counts[0]:7.2f} {counts[1]:7.2f} "
              f"{counts[2]:10.2f} {counts[3]:9.2f}")  # fmt: skip
    print(f"{'all':14} {whole / nodes:7.3f}")
