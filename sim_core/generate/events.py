"""Event: a revision drawn for one scenario, as a recipe stores it."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A revision drawn for one scenario: what it does to which instruments, and when. Days are ISO dates."""

    kind: str
    targets: tuple[str, ...]
    announced: str
    adopted: str
    amount: float = 0.0
    ends: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without what is empty."""
        form: dict[str, Any] = {
            "kind": self.kind,
            "targets": self.targets,
            "announced": self.announced,
            "adopted": self.adopted,
        }
        if self.amount:
            form["amount"] = self.amount
        if self.ends:
            form["ends"] = self.ends
        return form


@lru_cache(maxsize=16384)
def iso(ordinal: int) -> str:
    """Return the ISO date of a day."""
    return date.fromordinal(ordinal).isoformat()
