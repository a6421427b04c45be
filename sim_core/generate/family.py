"""Family: what a distribution of regulatory scenarios is made of; sim_core.generate.families holds the shipped ones."""

from dataclasses import dataclass

from sim_core.generate.revision_process import RevisionProcess
from sim_core.generate.world import NEUTRAL, World
from sim_core.policy.instrument import PolicyInstrument

# The instruments of the catalogue that apply where a family names no others, in the order of their obligations. The
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
PROPOSED = ("CF-TARIFF",)  # counterfactual law that applies in a scenario only where that enacts it


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """A named distribution of scenarios; equal to itself alone.

    law: the catalogue's instruments that apply, by id, in the order of their obligations; none in a family without
    law. proposed: those of them that are law only where a scenario enacts them. own: instruments of a user, law
    beside the catalogue's, as they stood first. price_shock: price level of virgin material after a jump, as a factor
    range. world: how prices, demand, returns and disruptions move. process: revises the law beside the rules. unmet:
    the duties that no reference controller meets in some of the family's scenarios; it meets all others in all.
    """

    name: str
    description: str
    rules: tuple[RevisionRule, ...] = ()
    price_shock: tuple[float, float] = (1.0, 1.0)
    law: tuple[str, ...] = BASE_LAW
    proposed: tuple[str, ...] = PROPOSED
    own: tuple[PolicyInstrument, ...] = ()
    world: World = NEUTRAL
    process: RevisionProcess | None = None
    unmet: tuple[str, ...] = ()
