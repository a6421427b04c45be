"""The examples of docs/policies.md and the suite that they are about, for the tests of law."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sim_core.engine.compliance import ComplianceBook, Settlement
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.kinds import ORIGINS
from sim_core.policy.obligation import obligations
from sim_core.policy.timeline import LawFacts, compile_timeline
from sim_core.suite import ProductShare, SplitDefinition, SuiteDefinition
from sim_core.units import parse_month

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)]
EXAMPLES = {block["instrument"]["id"]: block for block in BLOCKS if "instrument" in block}
CELLS = 3
BY_PRODUCT = (
    "placed", "placed_again", "ended", "collected", "reused", "landfilled", "exported", "treated_mass",
    "recovered_mass", "imported_goods",
)  # fmt: skip


def facts() -> LawFacts:
    suite = next(block["suite"] for block in BLOCKS if "suite" in block)
    materials = list(suite["embedded"])
    bom = np.array([[suite["bom"][product].get(name, 0.0) for name in materials] for product in suite["products"]])
    recovery = np.array([[route.get(name, 0.0) for name in materials] for route in suite["recovery"].values()])
    return LawFacts(
        jurisdiction=suite["jurisdiction"],
        products=tuple(suite["products"]),
        archetypes=tuple(suite["products"].values()),
        materials=tuple(materials),
        routes=tuple(suite["recovery"]),
        bom=bom,
        recovery=np.repeat(recovery[:, None, :], len(bom), axis=1),
        efficiency=recovery @ bom.T / bom.sum(axis=1),
        exported=np.array([route in suite["exported"] for route in suite["recovery"]]),
        embedded=np.array(list(suite["embedded"].values())),
        traceability_cost=np.array([suite["traceability_cost"][product] for product in suite["products"]]),
    )


FACTS = facts()


def read(name: str) -> PolicyInstrument:
    return PolicyInstrument.from_json(EXAMPLES[name]["instrument"])


def suite_of(start: str, months: int) -> SuiteDefinition:
    return SuiteDefinition(
        name="examples", products=(ProductShare(archetype="ev_battery"),), network="loop", seed=1, start=start,
        warm_up=0, scored=months, run_out=0, splits={"test": SplitDefinition(families=("none",), scenarios=1)},
    )  # fmt: skip


def register(flows: dict[str, float]) -> dict[str, np.ndarray]:
    """One month's register of one plant from amounts by dotted name."""
    products, materials = len(FACTS.products), len(FACTS.materials)
    found = {name: np.zeros((products, CELLS)) for name in BY_PRODUCT}
    found |= {name: np.zeros((materials, CELLS)) for name in ("virgin", "imported")}
    found |= {"emissions": np.zeros(CELLS), "content": np.zeros((1, products, materials, CELLS))}
    found["recycled"] = np.zeros((1, products, materials, len(ORIGINS), CELLS))
    for path, amount in flows.items():
        name, *rest = path.split(".")
        known = (FACTS.materials,) if name in ("virgin", "imported") else (FACTS.products, FACTS.materials, ORIGINS)
        index = tuple(axis.index(word) for axis, word in zip(known, rest, strict=False))
        value = found[name]
        if name in ("content", "recycled"):
            value = value[0]
        value[index or ...] = amount
    return found


def settle(instrument: PolicyInstrument, book: dict[str, Any]) -> list[Settlement]:
    """Book years of flows, each spread evenly over its months, and return what closed, in order."""
    years = len(next(iter(book["flows"].values())))
    months, start = 12 * years, str(book["start"])
    owed = obligations((instrument,), FACTS, {})
    law = compile_timeline((instrument,), FACTS, parse_month(start), months, owed)
    books = ComplianceBook(owed, suite_of(start, months), plants=1, cells=CELLS)
    found: list[Settlement] = []
    for t in range(months):
        settled = books.record(
            t,
            register({name: amounts[t // 12] / 12 for name, amounts in book["flows"].items()}),
            theta=np.repeat(law.theta[t][:, None], CELLS, axis=1),
            in_force=np.repeat(law.in_force[t][:, None], CELLS, axis=1),
            carbon_price=np.full(CELLS, float(book.get("carbon_price", 0.0))),
        )
        if settled is not None:
            found.append(settled)
    return found
