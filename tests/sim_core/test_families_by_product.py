"""Families by product: groups of law that train revises alone, and pools that cross them exactly once."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from sim_core.catalogue.law import law, select
from sim_core.generate.families import FAMILIES
from sim_core.generate.families_by_product import (
    EV_FAMILIES,
    EV_LAW,
    PHONE_FAMILIES,
    PHONE_LAW,
    PV_FAMILIES,
    PV_LAW,
    ProductLaw,
)
from sim_core.generate.family import Family

PRODUCTS = {
    "ev_battery": (EV_LAW, EV_FAMILIES),
    "smartphone": (PHONE_LAW, PHONE_FAMILIES),
    "pv_module": (PV_LAW, PV_FAMILIES),
}
LAWS = [of for of, _ in PRODUCTS.values()]


def not_crossed_once(of: ProductLaw) -> list[tuple[str, str]]:
    """Pairs of two groups that don't stand in exactly one pool, and pairs of one group that stand in any."""
    stand = Counter(pair for pool in of.crossed for pair in combinations(sorted(pool), 2))
    group = {key: place for place, keys in enumerate(of.groups) for key in keys}
    return [pair for pair in combinations(sorted(group), 2) if stand[pair] != int(group[pair[0]] != group[pair[1]])]


@pytest.mark.parametrize("of", LAWS, ids=lambda of: of.prefix)
def test_every_pair_of_two_groups_stands_in_exactly_one_pool(of: ProductLaw):
    assert not_crossed_once(of) == []
    assert len(of.crossed) == 9 and len({key for group in of.groups for key in group}) == 12


def test_a_group_that_shares_an_instrument_with_another_is_found():
    assert not_crossed_once(replace(EV_LAW, use=("CF-CARBON", "LFD-RECY", "EU-BM"))) != []


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_product_s_law_is_the_catalogue_s_and_concerns_it(product: str):
    of, families = PRODUCTS[product]
    for one in families:
        rows = select(law(), one.law)
        assert all(group[0].concerns(product) for group in rows.values()), one.name
        assert 8 <= len(one.law) <= 14 and len(set(one.law)) == len(one.law)
        assert set(one.proposed) == set(one.law) & set(of.tariffs)
        assert one in FAMILIES and one.name.startswith(f"{of.prefix}_") and one.description


@pytest.mark.parametrize("one", [*EV_FAMILIES, *PHONE_FAMILIES, *PV_FAMILIES], ids=lambda one: one.name)
def test_a_family_proposes_only_what_its_scenarios_may_enact(one: Family):
    exposed = one.process.instruments if one.process else tuple(key for rule in one.rules for key in rule.targets)
    assert set(exposed) <= set(one.law) and set(one.proposed) <= set(exposed)
