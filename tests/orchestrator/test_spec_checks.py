"""Rules that join fields: products, law, controllers and targets, on a small case without the catalogue's law."""

import pytest

from orchestrator import entry_checks
from orchestrator.spec import loads
from tests.orchestrator.test_spec import OWN, changed, refusal
from tests.orchestrator.test_spec_faults import place

TAX = "{id: T, type: carbon_tax, unit: EUR/t, schedule: {shape: step, from: 2026-01-01, value: 5}}"

# Each case: what is replaced, by what, the part of the line at which the fault must stand, field, words.
OWN_REFUSALS = {
    "a kind of node": ("kind: supplier", "kind: suplier", "suplier", "suite.network.nodes[0].kind", "'supplier'?"),
    "a share": ("{from: shop", "{share: 0.5, from: shop", "0.5", "suite.network.lanes[1].share", "up to 0.5, not 1"),
    "no archetype": ("  archetype: plain\n", "", "suite:", "suite.archetype", "needs an archetype, or a list of pro"),
    "two kinds of products": (
        "  seed: 1",
        "  products: [{archetype: plain}]\n  seed: 1",
        "archetype: plain\n",
        "suite.archetype",
        "stands for the suite's only product, but there is a list of products; give it to each of the products",
    ),
    "products of one name": (
        "archetype: plain",
        "products: [{archetype: plain}, {archetype: plain}]",
        "plain}]",
        "suite.products[1].archetype",
        "the product is called 'plain' like products[0]",
    ),
    "a product's field": (
        "archetype: plain",
        "products: [{archetype: plain, shar: 2}]",
        "shar:",
        "suite.products[0].shar",
        "unknown field (got 2); did you mean 'share'?",
    ),
    "a product's override": (
        "archetype: plain",
        "products: [{archetype: plain, overrides: {product.prise: 2}}]",
        "product.prise",
        "suite.products[0].overrides['product.prise']",
        "unknown parameter of archetype plain; did you mean 'product.price'?",
    ),
    "a lifetime": ("  seed: 1", "  lifetime: normel\n  seed: 1", "normel", "suite.lifetime", "did you mean 'normal'?"),
    "a forecast": (
        "  seed: 1",
        "  forecast: {method: average}\n  seed: 1",
        "average",
        "suite.forecast.method",
        "did you mean 'moving_average'?",
    ),
    "a duty in a part of a year": (
        "  seed: 1",
        "  instruments: [{id: X, type: collection_target, schedule: {shape: step, from: 2026-01-01, value: 0.5}}]\n"
        "  seed: 1",
        "5\n  splits",
        "suite.scored",
        "must be a multiple of 12: compliance windows are calendar years",
    ),
    "an instrument": (
        "  seed: 1",
        "  instruments: [{id: X, type: carbon_tacks}]\n  seed: 1",
        "{id: X",
        "suite.instruments[0]",
        "did you mean 'carbon_tax'?",
    ),
    "an instrument's file": (
        "  seed: 1",
        "  instruments: [law.txt]\n  seed: 1",
        "law.txt",
        "suite.instruments[0]",
        "must be an instrument, or the name of a file of them (.json, .yaml, .yml)",
    ),
    "an instrument twice": (
        "  seed: 1",
        f"  instruments: [{TAX}, {TAX}]\n  seed: 1",
        "T, type",
        "suite.instruments[1].id",
        "the id 'T' is taken by another",
    ),
    "a price without a subject": (
        "  seed: 1",
        "  shortfall_price: {kobalt: 1}\n  seed: 1",
        "kobalt",
        "suite.shortfall_price.kobalt",
        "is neither a material of the suite's products nor an instrument",
    ),
    "a search without training": (
        "parameters: {shop.S: 56.6}",
        "search: {method: random, evaluations: 2, width: 1, scenarios: 1, finalists: 1, seed: 1}",
        "splits",
        "suite.splits.train",
        "the field is missing, and searches tune on it",
    ),
    "no parameters": (
        ", parameters: {shop.S: 56.6}",
        "",
        "{name: only",
        "entries[0].parameters",
        "controller base_stock needs parameters",
    ),
    "a target of no node": (
        "shop.S",
        "shpo.S",
        "shpo.S",
        "entries[0].parameters['shpo.S']",
        "is no target of a node of the network; did you mean 'shop.S'?",
    ),
    "a target without meaning": (
        "shop.S",
        "town.S",
        "town.S",
        "entries[0].parameters['town.S']",
        "a market has no such target",
    ),
    "a target too high": (
        "56.6",
        "256.6",
        "256.6",
        "entries[0].parameters['shop.S']",
        "must be from 0 to 128, the node's max_target (got 256.6)",
    ),
    "a target beyond the cover": (
        ", max_target: {S: 128}",
        "",
        "56.6",
        "entries[0].parameters['shop.S']",
        "must be from 0 to 4, the suite's max_cover (got 56.6)",
    ),
    "no reference": (
        "entries:\n",
        "entries:\n  - {name: other, controller: linear}\n",
        "version",
        "reference",
        "the field is missing",
    ),
}


@pytest.mark.parametrize("case", OWN_REFUSALS)
def test_a_fault_of_the_small_case_is_named_with_its_place(case: str):
    old, new, at, field, words = OWN_REFUSALS[case]
    text = changed(old, new, OWN)
    position = text.rindex(at) if case == "an instrument twice" else text.index(at)
    lines = refusal(text)
    expected = f"{place(text, position)}: {field}: "
    assert [line for line in lines if line.startswith(expected) and words in line], (expected, lines)
    assert len(lines) == 1 or case == "a search without training", lines


def test_targets_of_a_templates_nodes_are_known():
    text = changed(OWN[OWN.index("  network:") : OWN.index("entries:")], "  network: national\n", OWN)
    assert loads(changed("shop.S: 56.6", "local-warehouse-7.S: 2", text)).suite.network == "national"
    (line,) = refusal(changed("shop.S: 56.6", "locel-warehouse-7.S: 2", text))
    assert "did you mean 'local-warehouse-7.S'?" in line


def test_targets_are_not_judged_by_a_network_that_can_not_be_read():
    text = changed("kind: warehouse", "kind: warhouse", changed("shop.S", "shpo.S", OWN))
    assert [line.split(": ")[1] for line in refusal(text)] == ["suite.network.nodes[1].kind"]


def test_a_check_of_targets_that_is_dropped_is_missed(monkeypatch: pytest.MonkeyPatch):
    """The mutant lets a misspelt target through; the controller itself still refuses it."""
    monkeypatch.setattr(entry_checks, "_targets", lambda tree: [])
    assert loads(changed("shop.S", "shpo.S", OWN)).entries[0].parameters == {"shpo.S": 56.6}
