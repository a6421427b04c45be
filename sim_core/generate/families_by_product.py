"""Families of scenarios for a suite of one product, with combinations of law that only test families revise together.

The law of a product that is revised falls into four groups of three. Families to train on revise two or three
instruments of one group; families to test on revise instruments of different groups. Which of these go together follows
an orthogonal array of strength two (C. R. Rao, J. R. Stat. Soc. Suppl. 9 (1947) 128-139): each pair of instruments of
different groups stands in exactly one of the nine pools, and no pair within a group stands in any.

Probabilities and ranges are assumptions of this project; the instruments and their dates are the catalogue's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim_core.generate.family import Family, RevisionRule
from sim_core.generate.revision_process import RevisionProcess
from sim_core.generate.world import NEUTRAL, World
from sim_core.generate.worlds import CRISES, MARKETS, TURMOIL

_Group = tuple[str, str, str]
_Pools = tuple[tuple[str, ...], ...]
_LEVELS = range(3)
_LAST = "2036-12-31"  # day after which nothing is announced: the end of ten scored years
_JUMP = (0.55, 1.9)  # of virgin prices


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLaw:
    """The law of a suite of one product.

    prefix: of its families' names. content, recovery, trade, use: the groups of what is revised; use holds the carbon
    price, landfill, and collection or reuse. fixed: instruments that are never revised. tariffs: those that are law
    only where a scenario enacts them, at days of notice. unmet: duties that no reference controller meets in some
    scenarios.
    """

    prefix: str
    content: _Group
    recovery: _Group
    trade: _Group
    use: _Group
    fixed: tuple[str, ...]
    tariffs: tuple[str, ...]
    unmet: tuple[str, ...]

    @property
    def groups(self) -> tuple[_Group, ...]:
        """The four groups."""
        return self.content, self.recovery, self.trade, self.use

    @property
    def crossed(self) -> _Pools:
        """The nine pools of one instrument of each group."""
        first, second, third, fourth = self.groups
        return tuple(
            (first[i], second[j], third[(i + j) % 3], fourth[(i + 2 * j) % 3]) for i in _LEVELS for j in _LEVELS
        )


EV_LAW = ProductLaw(
    prefix="ev",
    content=("EUBAT-RC-CO", "EUBAT-RC-LI", "EUBAT-RC-NI"),
    recovery=("EUBAT-EFF-LI", "EUBAT-REC-LI", "EUBAT-REC-CU"),  # every route at home recovers cobalt and nickel enough
    trade=("EU-BM", "CF-TARIFF", "CF-CO-DUTY"),
    use=("CF-CARBON", "LFD-RECY", "CF-EV-COLL"),
    fixed=("EUBAT-PASS",),
    tariffs=("CF-TARIFF", "CF-CO-DUTY"),
    unmet=("EUBAT-RC-CO", "CF-EV-COLL"),
)
PHONE_LAW = ProductLaw(
    prefix="phone",
    content=("CF-PH-RC-CO", "CF-PH-RC-AU", "CF-PH-RC-AL"),
    recovery=("WEEE-COLL", "WEEE-REC56", "CF-PH-REC-AL"),
    trade=("BASEL-EW", "CF-PH-TARIFF", "CF-CO-DUTY"),
    use=("CF-CARBON", "LFD-RECY", "CF-PH-REUSE"),
    fixed=("CBAM", "CF-PH-EPR"),
    tariffs=("CF-PH-TARIFF", "CF-CO-DUTY"),
    unmet=("WEEE-COLL", "WEEE-REC56"),
)
# WEEE-COLL and WEEE-REC14 are left out: modules live for thirty years, so that no chain collects two thirds of what was
# sold in the last three, and no route here recovers four fifths of a module. CF-PV-COLL and CF-PV-REC can be met.
PV_LAW = ProductLaw(
    prefix="pv",
    content=("CF-PV-RC-AL", "CF-PV-RC-SI", "CF-PV-RC-AG"),
    recovery=("CF-PV-COLL", "CF-PV-REC", "CF-PV-REC-SI"),
    trade=("CBAM", "CF-PV-DUTY", "CF-AL-DUTY"),
    use=("CF-CARBON", "LFD-RECY", "CF-PV-REUSE"),
    fixed=("CF-PV-LFT",),
    tariffs=("CF-PV-DUTY", "CF-AL-DUTY"),
    unmet=("CF-PV-REC", "CF-PV-RC-AL", "CF-PV-RC-SI", "CF-PV-RC-AG"),
)


def _families(of: ProductLaw) -> Iterator[Family]:
    """Yield a product's families: five to train on, one more to choose on, five to test on."""
    delay = RevisionRule(kind="delay", targets=of.content, probability=1.0, amount=(12, 48), lead_months=(6, 30))
    of_one, of_use = replace(delay, targets=of.content[:1]), replace(delay, targets=of.use[-1:])
    tariff = RevisionRule(kind="enact", targets=of.tariffs[:1], probability=1.0, amount=(0.6, 1.6), lead_months=(0, 3))
    trade, crossed = (of.trade,), of.crossed
    yield _revised(of, "content", "recycled-content duties revised", (of.content,))
    yield _revised(of, "recovery", "what has to be recovered or collected revised", (of.recovery,))
    yield _revised(of, "trade", "rules of imports and exports revised", trade)
    yield _revised(of, "use", "carbon price, landfill ban and collection or reuse revised", (of.use,))
    yield _ruled(of, "delay", "recycled-content duties delayed together, in markets that move", (delay,), MARKETS)
    yield _revised(of, "shock", "rules of imports and exports revised, and virgin prices jump", trade, jump=_JUMP)
    yield _revised(of, "mixed", "law of different groups revised together", crossed[:3])
    yield _revised(of, "mixed_markets", "other pairs of groups revised, in markets that move", crossed[3:6], MARKETS)
    yield _revised(of, "mixed_crises", "other pairs of groups revised, among crises", crossed[6:], CRISES)
    yield _ruled(
        of, "delay_tariff", "a tariff at days of notice, with recycled content and collection or reuse delayed",
        (of_one, of_use, tariff),
    )  # fmt: skip
    yield _revised(
        of, "turmoil", "law of all groups revised eagerly, in markets that move, among crises", crossed, TURMOIL,
        least=3, intensity=0.85,
    )  # fmt: skip


def _revised(
    of: ProductLaw, name: str, description: str, pools: _Pools, world: World = NEUTRAL, *,
    jump: tuple[float, float] = (1.0, 1.0), least: int = 2, intensity: float = 0.7,
) -> Family:  # fmt: skip
    process = RevisionProcess(pools=pools, least=least, most=len(pools[0]), intensity=intensity, last=_LAST)
    law, proposed = _law(of, process.instruments)
    return Family(
        name=f"{of.prefix}_{name}",
        description=description,
        price_shock=jump,
        law=law,
        proposed=proposed,
        world=world,
        process=process,
        unmet=of.unmet,
    )


def _ruled(
    of: ProductLaw, name: str, description: str, rules: tuple[RevisionRule, ...], world: World = NEUTRAL
) -> Family:
    law, proposed = _law(of, tuple(key for rule in rules for key in rule.targets))
    return Family(
        name=f"{of.prefix}_{name}",
        description=description,
        rules=rules,
        law=law,
        proposed=proposed,
        world=world,
        unmet=of.unmet,
    )


def _law(of: ProductLaw, revised: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the law of a family and what of it is only proposed: the tariffs that a scenario can enact."""
    proposed = tuple(key for key in of.tariffs if key in revised)
    everything = (*(key for group in of.groups for key in group), *of.fixed)
    return tuple(key for key in everything if key not in of.tariffs or key in proposed), proposed


EV_FAMILIES = tuple(_families(EV_LAW))
PHONE_FAMILIES = tuple(_families(PHONE_LAW))
PV_FAMILIES = tuple(_families(PV_LAW))
