"""What travels from shards and searches to the journal: plain frozen records with one JSON form each.

A record's body holds only what is a function of its key: no timing, no worker, no order of arrival.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sim_core.control import ControllerRecord
from sim_core.seeding import content_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One run: a scenario simulated under a controller.

    status is "ok" or "failed"; a failed run has no metrics and a message. Units of the metrics: sim_core.metrics.
    """

    key: str
    controller: str  # digest of the ControllerRecord
    scenario: str  # "family/index"
    family: str
    status: str
    message: str
    metrics: Mapping[str, float | None]

    def body(self) -> dict[str, Any]:
        """Return the JSON body that the journal stores under `key`."""
        return {name: value for name, value in asdict(self).items() if name != "key"}

    @classmethod
    def from_body(cls, key: str, body: Mapping[str, Any]) -> Self:
        """Rebuild a row from a journal record."""
        return cls(key=key, **body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateValue:
    """One search evaluation: the mean objective of a candidate over the search's n common scenarios.

    objectives: for a method that searches several, the means of cost (EUR), carbon (t CO2e) and circularity, negated.
    """

    candidate: str  # Candidate.key
    value: float | None  # None when the evaluation failed
    standard_error: float | None
    n: int
    violation: float
    message: str = ""
    objectives: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the value as plain data, without objectives where there are none."""
        body = asdict(self)
        if not self.objectives:
            del body["objectives"]
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Rebuild a value from plain data."""
        return cls(**{**body, "objectives": tuple(body.get("objectives", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One step of one search: all its candidates in the order asked, told together.

    `finalists` is empty but in the last generation, where it lists the controllers to be judged on validation
    scenarios, best first. `simulated` counts the cells that this process simulated (not looked up), `cpu_s` the CPU
    seconds that it took; they are not part of the body.
    """

    search: str  # the search's content id
    index: int
    values: tuple[CandidateValue, ...]
    finalists: tuple[ControllerRecord, ...] = ()
    simulated: int = 0
    cpu_s: float = field(default=0.0, compare=False)

    @property
    def key(self) -> str:
        """The journal key: a search's generation is written once."""
        return content_id("generation", self.search, self.index)

    @property
    def last(self) -> bool:
        """True for the generation that ends its search."""
        return bool(self.finalists)

    def body(self) -> dict[str, Any]:
        """Return the JSON body that the journal stores."""
        return {
            "search": self.search,
            "index": self.index,
            "values": [value.to_json() for value in self.values],
            "finalists": [record.to_json() for record in self.finalists],
        }

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Rebuild a generation from a journal record."""
        return cls(
            search=body["search"],
            index=body["index"],
            values=tuple(CandidateValue.from_json(value) for value in body["values"]),
            finalists=tuple(ControllerRecord.from_json(record) for record in body["finalists"]),
        )
