"""PolicyInstrument: one regulation whose value is a right-continuous staircase in days, revised while time runs.

Each Revision, once announced, replaces the staircase from its announcement on; what lay before stays. What is
announced, enacted and realised follows from the revisions alone (sim_core.policy.views). A value comes into force on
a day and stays; nothing is interpolated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

from sim_core.errors import ModelError
from sim_core.policy.arithmetic import Steps
from sim_core.policy.kinds import AT_LEAST, AT_MOST, ORIGINS, TYPES, InstrumentType
from sim_core.units import MONTHS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whom and what an instrument concerns, by name; an empty field means all.

    archetype, product: a product is meant when both its archetype and its label are. process: one word of the type.
    """

    archetype: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    material: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    jurisdiction: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The legal window of a duty: `months` months, the first one beginning in a month number congruent to `phase`."""

    months: int = MONTHS_PER_YEAR
    phase: int = 0

    def closes(self, month: int) -> bool:
        """Return whether the window ends with month number `month`."""
        return (month + 1 - self.phase) % self.months == 0

    def first_month(self, month: int) -> int:
        """Return the first month number of the window that holds `month`."""
        return month - (month - self.phase) % self.months


@dataclass(frozen=True, slots=True, kw_only=True)
class Flexibility:
    """How a duty may be met beside delivering in its window. 0 where a rule doesn't apply.

    bank_windows, bank_share: a surplus serves in the next `bank_windows` windows, `bank_share` of it.
    carry_share: the part of a window's duty that may be left to the next one, which owes it in addition.
    certificate_limit: the part of a duty that certificates may cover, at certificate_price EUR per unit of the duty
    (None: the scenario's carbon price). de_minimis: volume of the basis in a window below which nothing is due.
    """

    bank_windows: int = 0
    bank_share: float = 1.0
    carry_share: float = 0.0
    certificate_limit: float = 0.0
    certificate_price: float | None = math.inf
    de_minimis: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """What the law charges for each unit of a shortfall, in the law's own unit, such as USD/lb."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """CBAM: the emissions embedded in a material and the free benchmark, kgCO2e/kg; None embedded: the catalogue's."""

    material: str
    benchmark: float
    embedded: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A staircase with the days on which it was announced and adopted.

    steps: (first day in force, value), in order; before the first step the instrument is out of force. wider: the
    staircase of each further stage of a staircase of scope. announced <= adopted, and no step that a revision changes
    lies before its adoption.
    """

    announced: int
    adopted: int
    steps: Steps
    wider: tuple[Steps, ...] = ()

    def __post_init__(self) -> None:
        if self.announced > self.adopted:
            raise ModelError("a revision can't be adopted before it is announced")
        if any(later[0] <= earlier[0] for steps in (self.steps, *self.wider) for earlier, later in pairwise(steps)):
            raise ModelError("the steps of a revision must lie in increasing order of days")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInstrument:
    """One regulation with its scope and all its revisions, the original first.

    type: a key of TYPES. unit: of the value. sense: whether a duty's value is a least or a largest one. wider: further
    stages of a staircase of scope. window, level ("plant" or "system"), delivered, basis (registers), lag (windows
    before, of which the mean is the basis), measure ("unit" or "mass"), eligible_origins, penalty, flexibility: of a
    duty. grandfather: what happens to stock and goods in transit when the law changes. status: "law", "counterfactual"
    or "user".
    """

    id: str
    type: str
    revisions: tuple[Revision, ...]
    name: str = ""
    scope: Scope = Scope()
    wider: tuple[Scope, ...] = ()
    unit: str = "fraction"
    sense: str = AT_LEAST
    window: Window = Window()
    level: str = "system"
    delivered: str = ""
    basis: str = ""
    lag: int = 0
    measure: str = "unit"
    eligible_origins: tuple[str, ...] = ORIGINS
    penalty: Penalty | None = None
    flexibility: Flexibility = Flexibility()
    grandfather: str = ""
    benchmarks: tuple[Benchmark, ...] = ()
    status: str = "user"
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for earlier, later in pairwise(self.revisions):
            if later.announced < earlier.announced or later.adopted < earlier.adopted:
                raise ModelError(f"{self.id}: revisions must lie in order of announcement and of adoption")
        if any(len(revision.wider) != len(self.wider) for revision in self.revisions):
            raise ModelError(
                f"{self.id}: a revision must have steps for each of the {1 + len(self.wider)} stages of scope"
            )

    @property
    def kind(self) -> InstrumentType:
        """What all instruments of this type have in common."""
        return TYPES[self.type]

    @property
    def acts(self) -> str:
        """Return "duty", "mask" or "charge". A ceiling on landfill is a duty, a ban a mask."""
        return "duty" if self.type == "landfill_ban" and self.sense == AT_MOST else self.kind.acts

    @property
    def neutral(self) -> float:
        """The value that means out of force: 0, or infinity where 0 is the strictest value (or one that charges)."""
        return math.inf if self.sense == AT_MOST or self.type == "cbam" else 0.0

    @property
    def process(self) -> str:
        """The process it acts on; the type's first one where the scope names none."""
        return self.scope.process[0] if self.scope.process else self.kind.processes[0]

    def parts(self) -> tuple["PolicyInstrument", ...]:
        """Return one instrument for each stage of scope, this one where there is only one."""
        if not self.wider:
            return (self,)
        return tuple(
            replace(
                self,
                scope=scope,
                wider=(),
                revisions=tuple(
                    replace(revision, steps=(revision.steps, *revision.wider)[number], wider=())
                    for revision in self.revisions
                ),
            )
            for number, scope in enumerate((self.scope, *self.wider))
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, from which `from_json` rebuilds the same instrument."""
        from sim_core.policy.form_out import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], entry: int | None = None) -> Self:
        """Build an instrument from what a user wrote.

        entry: the day of its entry into force, for an instrument that is injected; else the form's own. Raises
        ModelError naming the instrument, the entry and the remedy.
        """
        from sim_core.policy.form import from_json

        return from_json(cls, value, entry)
