"""Families of regulatory scenarios: which revisions of the real timeline a family may draw, and how often.

Probabilities and ranges here are assumptions of this project; the instruments and their dates are the catalogue's.
"""

from dataclasses import dataclass, replace

from sim_core.generate.revision_process import RevisionProcess
from sim_core.generate.world import NEUTRAL, World


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRule:
    """A revision that a family may draw.

    kind: delay (all later steps move by `amount` months), tighten or weaken (later steps times `amount`), freeze
    (no further step), repeal (value 0 from adoption), enact (an instrument that is not law today, times `amount`).
    targets: instrument ids; one draw serves all of them. probability of the draw. amount: (low, high), drawn uniformly.
    lead_months: (low, high) months from announcement to the entry into force that it acts on.
    """

    kind: str
    targets: tuple[str, ...]
    probability: float
    amount: tuple[float, float]
    lead_months: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A named distribution of scenarios.

    price_shock: price level of virgin material after a jump, as a factor range. catalogue: whether the catalogue's law
    applies at all. world: how prices, demand, returns and disruptions move. process: revises the law beside the rules.
    """

    name: str
    description: str
    rules: tuple[RevisionRule, ...] = ()
    price_shock: tuple[float, float] = (1.0, 1.0)
    catalogue: bool = True
    world: World = NEUTRAL
    process: RevisionProcess | None = None


# The instruments of the catalogue that apply in every family with a catalogue, in the order of their obligations. The
# catalogue holds more law than this; a row joins a suite only through a name here.
BASE_LAW = (
    "EUBAT-EFF-LI",
    "EUBAT-REC-LI",
    "EUBAT-REC-CO",
    "EUBAT-REC-CU",
    "EUBAT-REC-NI",
    "EUBAT-RC-CO",
    "EUBAT-RC-LI",
    "EUBAT-RC-NI",
    "EU-BM",
    "CF-TARIFF",
    "CF-CARBON",
    "EUBAT-PASS",
    "WEEE-COLL",
    "WEEE-REC14",
    "WEEE-REC56",
    "BASEL-EW",
)

_CONTENT = ("EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI")
_RECOVERY = ("EUBAT-REC-LI", "EUBAT-REC-CO", "EUBAT-REC-CU", "EUBAT-REC-NI")
_DELAY = RevisionRule(kind="delay", targets=_CONTENT, probability=1.0, amount=(12, 48), lead_months=(6, 30))
_TARIFF = RevisionRule(kind="enact", targets=("CF-TARIFF",), probability=1.0, amount=(0.6, 1.6), lead_months=(1, 6))
_SMALL_DELAY = RevisionRule(kind="delay", targets=_CONTENT, probability=0.25, amount=(6, 24), lead_months=(6, 24))
_REVISED = (*_CONTENT, *_RECOVERY, "EUBAT-EFF-LI", "EU-BM", "CF-TARIFF", "EUBAT-PASS")
# Assumptions: the carbon price a third below and above its trend for four and two and a half years on average; a slump
# of demand in ten years; metals' prices as correlated as base metals' monthly returns have been, about one half.
_MARKETS = World(
    carbon_levels=(-0.25, 0.35),
    carbon_switches=(0.25, 0.4),
    carbon_jumps=0.4,
    carbon_jump=0.2,
    slumps=0.1,
    slump_depth=(0.1, 0.35),
    slump_months=9.0,
    price_correlation=0.5,
    premium_correlation=-0.4,
    collection_drift=(-0.04, 0.10),
    collection_noise=0.15,
)
_CRISES = World(crises=0.25, crisis_branching=0.6, crisis_months=4.0, crisis_reach=0.6)
_TURMOIL = replace(_MARKETS, crises=0.25, crisis_branching=0.6, crisis_months=4.0, crisis_reach=0.6)

FAMILIES = (
    Family(name="none", description="no law but the suite's own instruments, never revised", catalogue=False),
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
        world=_MARKETS,
    ),
    Family(
        name="eu_crises",
        description="disruptions that cause further ones, in the whole region",
        rules=(_SMALL_DELAY,),
        world=_CRISES,
    ),
    Family(
        name="eu_turmoil",
        description="law revised eagerly, markets that move and crises at once",
        process=RevisionProcess(pools=(_REVISED,), least=3, intensity=0.5),
        world=_TURMOIL,
    ),
)
FAMILY_NAMES = tuple(family.name for family in FAMILIES)


def family(name: str) -> Family:
    """Return a family by name. Raises KeyError for an unknown one (a spec is checked against FAMILY_NAMES before)."""
    return FAMILIES[FAMILY_NAMES.index(name)] if name in FAMILY_NAMES else _unknown(name)


def _unknown(name: str) -> Family:
    raise KeyError(f"unknown family {name!r}; known are {list(FAMILY_NAMES)}")
