"""Families of regulatory scenarios: which revisions of the real timeline a family may draw, and how often.

Probabilities and ranges here are assumptions of this project; the instruments and their dates are the catalogue's.
"""

from dataclasses import replace

from sim_core.generate.families_by_product import EV_FAMILIES, PHONE_FAMILIES, PV_FAMILIES
from sim_core.generate.family import Family, RevisionRule
from sim_core.generate.revision_process import RevisionProcess
from sim_core.generate.worlds import CRISES, MARKETS, TURMOIL

_CONTENT = ("EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI")
_RECOVERY = ("EUBAT-REC-LI", "EUBAT-REC-CO", "EUBAT-REC-CU", "EUBAT-REC-NI")
_DELAY = RevisionRule(kind="delay", targets=_CONTENT, probability=1.0, amount=(12, 48), lead_months=(6, 30))
_TARIFF = RevisionRule(kind="enact", targets=("CF-TARIFF",), probability=1.0, amount=(0.6, 1.6), lead_months=(1, 6))
_SMALL_DELAY = RevisionRule(kind="delay", targets=_CONTENT, probability=0.25, amount=(6, 24), lead_months=(6, 24))
_REVISED = (*_CONTENT, *_RECOVERY, "EUBAT-EFF-LI", "EU-BM", "CF-TARIFF", "EUBAT-PASS")

_BATTERY_LAW = (
    Family(name="none", description="no law but the suite's own instruments, never revised", law=()),
    Family(name="eu_baseline", description="the law as adopted, small delays at times", rules=(_SMALL_DELAY,)),
    Family(name="eu_delay", description="recycled-content duties delayed by one to four years", rules=(_DELAY,)),
    Family(
        name="eu_tariff",
        description="a tariff on imported battery metals, at days to months of notice",
        rules=(_TARIFF, _SMALL_DELAY),
    ),
    Family(
        name="eu_price_shock",
        description="virgin prices jump up or down for good",
        rules=(_SMALL_DELAY,),
        price_shock=(0.55, 1.9),
    ),
    Family(
        name="eu_export_delay",
        description="the black-mass export ban applies years later than adopted",
        rules=(
            RevisionRule(kind="delay", targets=("EU-BM",), probability=1.0, amount=(24, 120), lead_months=(1, 6)),
            _SMALL_DELAY,
        ),
    ),
    Family(
        name="eu_tighten",
        description="recycled-content shares raised before they apply",
        rules=(
            RevisionRule(kind="tighten", targets=_CONTENT, probability=1.0, amount=(1.15, 1.6), lead_months=(18, 48)),
        ),
    ),
    Family(
        name="eu_weaken",
        description="duties weakened, or frozen at the first step; recovery targets delayed",
        rules=(
            RevisionRule(kind="weaken", targets=_CONTENT, probability=0.6, amount=(0.5, 0.85), lead_months=(3, 24)),
            RevisionRule(kind="freeze", targets=_CONTENT, probability=0.4, amount=(1.0, 1.0), lead_months=(6, 24)),
            RevisionRule(kind="delay", targets=_RECOVERY, probability=0.5, amount=(12, 36), lead_months=(6, 12)),
        ),
    ),
    Family(name="eu_delay_tariff", description="delayed duties together with a tariff", rules=(_DELAY, _TARIFF)),
    Family(
        name="eu_export_reopened",
        description="the black-mass export ban repealed, duties delayed at times",
        rules=(
            RevisionRule(kind="repeal", targets=("EU-BM",), probability=1.0, amount=(48, 132), lead_months=(3, 12)),
            _SMALL_DELAY,
        ),
    ),
    Family(
        name="eu_revised",
        description="any part of battery law delayed, weakened, tightened, repealed or followed by a tariff",
        process=RevisionProcess(pools=(_REVISED,), intensity=0.35),
    ),
    Family(
        name="eu_markets",
        description="a carbon price with regimes and jumps, slumps, prices that move together, drifting returns",
        rules=(_SMALL_DELAY,),
        world=MARKETS,
    ),
    Family(
        name="eu_crises",
        description="disruptions that cause further ones, in the whole region",
        rules=(_SMALL_DELAY,),
        world=CRISES,
    ),
    Family(
        name="eu_turmoil",
        description="law revised eagerly, markets that move and crises at once",
        process=RevisionProcess(pools=(_REVISED,), least=3, intensity=0.5),
        world=TURMOIL,
    ),
)
# Cobalt of 16 and 26 % is more than what comes back and what the market offers in a scenario where both are low.
_UNMET = ("EUBAT-RC-CO",)
FAMILIES = (
    *(replace(one, unmet=_UNMET) if one.law else one for one in _BATTERY_LAW),
    *EV_FAMILIES,
    *PHONE_FAMILIES,
    *PV_FAMILIES,
)
FAMILY_NAMES = tuple(family.name for family in FAMILIES)


def family(name: str) -> Family:
    """Return a family by name. Raises KeyError for an unknown one (a spec is checked against FAMILY_NAMES before)."""
    return FAMILIES[FAMILY_NAMES.index(name)] if name in FAMILY_NAMES else _unknown(name)


def _unknown(name: str) -> Family:
    raise KeyError(f"unknown family {name!r}; known are {list(FAMILY_NAMES)}")
