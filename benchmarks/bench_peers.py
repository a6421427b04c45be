"""How fast are the others? Runs four simulators beside ours, on the same problems, in one go and on one core.

`make bench-peers`; writes build/bench/peers.json. The peers live in an environment of their own, build/peers-venv,
with the versions of benchmarks/peers/requirements.txt. In each round a peer and ours run in turn; a ratio is taken
within a round, and the median over the rounds counts. A peer that can't be installed or run has the value null.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Metric, machine, report

HERE = ROOT / "benchmarks" / "peers"
VENV = ROOT / "build" / "peers-venv"
LOCK = HERE / "requirements.txt"
_LIMIT = 600.0  # seconds for one run of one script
_ERRORS = 4.0  # standard errors of the difference within which two costs are the same
_OURS = (
    "Ours: the law in force, arrivals, returns from use, sales or backlog, orders in base-stock form, goods in transit "
    "with their costs, carbon, the ledger, the in-use stock and a mass balance, in float64"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One simulator. name: of its script with_NAME.py and its problem NAME.yaml; target, aim: of ours over it."""

    name: str
    package: str
    what: str
    demand: str
    target: float | None
    aim: float | None = None


PEERS = (
    Peer(
        name="dynaplex",
        package="dynaplex",
        what="one lost-sales node: order up to a level, draw demand, sell, book holding and lost sales, receive; "
        "whole units, queue of 4 orders; compiled by LLVM",
        demand="inside, for every trajectory",
        target=2.0,
        aim=4.0,
    ),
    Peer(
        name="gym_invmgmt",
        package="gym-invmgmt",
        what="one of 6 stock points of a network of 9 nodes: orders, deliveries, sales, backlog, profit, observation; "
        "NumPy rows and Python loops over nodes and links",
        demand="outside by NumPy, counted",
        target=500.0,
    ),
    Peer(
        name="stockpyl",
        package="stockpyl",
        what="one of 4 serial stages: orders, shipments, backorders and costs by predecessor, successor and product; "
        "Python objects, all periods kept",
        demand="inside",
        target=10_000.0,
    ),
    Peer(
        name="supplynetpy",
        package="supplynetpy",
        what="one distributor: a customer's order and a replenishment as SimPy events, holding cost by time",
        demand="outside by NumPy, counted",
        target=None,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one run of one script found. rate: node-periods (of nodes that hold stock) per CPU second."""

    version: str
    rate: float
    cost: float | None = None
    standard_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The rounds of one peer and ours; a side that failed has no readings, and `faults` says why."""

    peer: Peer
    theirs: tuple[Reading, ...] = ()
    ours: tuple[Reading, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)  # "theirs", "ours"

    @property
    def ratio(self) -> float | None:
        """Ours over theirs: the median over rounds, each within its round."""
        if self.faults:
            return None
        return statistics.median(a.rate / b.rate for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def cost_agrees(self) -> bool | None:
        """Whether both found the same cost at the reference levels; None where the problem differs in its costs."""
        theirs, ours = _cost(self.theirs), _cost(self.ours)
        if theirs is None or ours is None:
            return None
        return abs(theirs[0] - ours[0]) <= _ERRORS * (theirs[1] ** 2 + ours[1] ** 2) ** 0.5


class ScriptError(Exception):
    """A script did not say what it found."""


Runner = Callable[[Sequence[str]], Reading]


def run_script(command: Sequence[str]) -> Reading:
    """Run a script and return its reading. Raises ScriptError with the last line that it said instead."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ScriptError(str(error)) from error
    if done.returncode:
        raise ScriptError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    try:
        told = json.loads(done.stdout.strip().splitlines()[-1])
        rate = told["node_periods"] / told["cpu_seconds"]
    except (ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        raise ScriptError(f"said no reading: {error!r}") from error
    known = {name: told[name] for name in ("cost", "standard_error") if name in told}
    return Reading(version=str(told["version"]), rate=rate, **known)


def compare(peer: Peer, their_python: str, *, rounds: int, seconds: float, engine: str, run: Runner) -> Comparison:
    """Run a peer and ours in turn; who comes first changes from round to round."""
    commands = {
        "theirs": [their_python, str(HERE / f"with_{peer.name}.py"), "--seconds", f"{seconds}"],
        "ours": [sys.executable, "-m", "benchmarks.peers.ours", peer.name, "--seconds", f"{seconds}"],
    }
    commands["ours"] += ["--engine", engine]
    found: dict[str, list[Reading]] = {"theirs": [], "ours": []}
    faults: dict[str, str] = {}
    for number in range(rounds):
        for side in ("theirs", "ours") if number % 2 == 0 else ("ours", "theirs"):
            try:
                found[side] += [] if side in faults else [run(commands[side])]
            except ScriptError as error:
                found[side], faults[side] = [], f"failed: {error}"
    return Comparison(peer=peer, theirs=tuple(found["theirs"]), ours=tuple(found["ours"]), faults=faults)


def metrics(comparisons: Iterable[Comparison]) -> Iterable[Metric]:
    """Return ratios first, then each side's rate with what its node-period does."""
    found = list(comparisons)
    for one in found:
        aim = [f"aim {one.peer.aim:g}"] if one.peer.aim else []
        note = "; ".join([*aim, *(f"{side} {fault}" for side, fault in one.faults.items())])
        yield _metric(f"vs_{one.peer.name}", one.ratio, "x", one.peer.target, note=note)
    for one in found:
        peer = one.peer
        what = f"{peer.what}. Demand: {peer.demand}"
        version = one.theirs[0].version if one.theirs else "not measured"
        yield _metric(f"{peer.name}_node_periods", _rate(one.theirs), "1/CPU s", None, what=what, version=version)
    for one in found:
        what = f"{_OURS}. Demand: outside, once for the candidates that share a scenario, counted"
        yield _metric(f"ours_beside_{one.peer.name}_node_periods", _rate(one.ours), "1/CPU s", None, what=what)


def prepare(peers: Sequence[Peer], venv: Path = VENV) -> Mapping[str, str]:
    """Install the peers, each by itself under the lock; return why for those that can't be. Done once per lock."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp, python = venv / ".stamp", str(venv / "bin" / "python")
    if stamp.is_file() and stamp.read_text() == digest:
        return {}
    faults: dict[str, str] = {}
    _call([sys.executable, "-m", "venv", "--clear", str(venv)])
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint", str(LOCK)]
    locked = {line.split("==")[0]: line for line in LOCK.read_text().splitlines() if "==" in line}
    for peer in peers:
        print(f"installing {locked[peer.package]}", flush=True)
        fault = _call([*pip, "--only-binary", ":all:", locked[peer.package]])
        faults |= {peer.name: f"not installed: {fault}"} if fault else {}
    if not faults:
        stamp.write_text(digest)
    return faults


def show(comparisons: Iterable[Comparison]) -> None:
    """Print who was measured, how fast, and what a node-period is."""
    print(f"\n{'peer':12} {'version':8} {'node-periods per CPU second':>30} {'ours':>14} {'ratio':>9}  same cost?")
    for one in comparisons:
        theirs, ours = _cost(one.theirs), _cost(one.ours)
        answer = {True: "yes", False: "NO", None: "-"}[one.cost_agrees]
        if theirs and ours:
            answer += f" ({theirs[0]:.5g} +- {theirs[1]:.2g}, ours {ours[0]:.5g} +- {ours[1]:.2g})"
        figures = (_rate(one.theirs), _rate(one.ours), one.ratio)
        their_rate, our_rate, ratio = ("-" if value is None else f"{value:,.0f}" for value in figures)
        ratio = f"{one.ratio:,.2f}" if one.ratio and one.ratio < 100.0 else ratio
        version = one.theirs[0].version if one.theirs else "-"
        print(f"{one.peer.package:12} {version:8} {their_rate:>30} {our_rate:>14} {ratio:>9}  {answer}")
        for side, fault in one.faults.items():
            print(f"{'':12} {side} {fault}")
        print(f"{'':12} one node-period: {one.peer.what}. Demand: {one.peer.demand}.")
    print(f"{_OURS}.\nSuppliers and markets are simulated and count on neither side: only nodes that hold stock do.")


def _metric(name: str, value: float | None, unit: str, target: float | None, **more: str) -> Metric:
    told = {key: text for key, text in more.items() if text}
    return {"metric": name, "value": value, "unit": unit, "target": target, "better": "higher", **told}


def _rate(readings: Sequence[Reading]) -> float | None:
    return statistics.median(reading.rate for reading in readings) if readings else None


def _cost(readings: Sequence[Reading]) -> tuple[float, float] | None:
    """Return the last run's cost and its standard error: runs repeat the same draws, so the others add nothing."""
    last = readings[-1] if readings else None
    if last is None or last.cost is None or last.standard_error is None:
        return None
    return last.cost, last.standard_error


def _call(command: Sequence[str]) -> str:
    """Run a command; return its complaint in a line, "" if it went well."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    said = [line for line in done.stderr.splitlines() if line.strip()] or ["failed"]
    errors = [line for line in said if line.startswith("ERROR")]  # pip says the cause first, advice last
    return [*errors, said[-1]][0] if done.returncode else ""


def _one_core() -> None:
    """Keep this process and those that it starts on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. Peers that fail are reported and change nothing; ours failing returns 1."""
    parser = argparse.ArgumentParser(description="How fast are the others?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of each reading at least")
    parser.add_argument("--engine", choices=("kernel", "numpy"), default="kernel")
    told: Any = parser.parse_args(argv)
    faults = prepare(PEERS)
    _one_core()
    print(f"{machine()}; one core, {told.rounds} rounds")
    python = str(VENV / "bin" / "python")
    found = []
    for peer in PEERS:
        if peer.name in faults:
            found.append(Comparison(peer=peer, faults={"theirs": faults[peer.name]}))
            continue
        options = {"rounds": told.rounds, "seconds": told.seconds, "engine": told.engine}
        found.append(compare(peer, python, run=run_script, **options))
    show(found)
    report("peers", metrics(found))
    return int(any("ours" in one.faults for one in found))


if __name__ == "__main__":
    sys.exit(main())
