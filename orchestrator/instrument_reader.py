"""Reads one instrument from a file of its own, YAML or JSON, written as in an experiment's `suite.instruments`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.faults import Fault, Place, spec_error
from orchestrator.yaml_reader import read
from sim_core.errors import ModelError
from sim_core.policy.instrument import PolicyInstrument
from sim_core.units import month_start, parse_month


def read_instrument(path: Path, month: str) -> dict[str, Any]:
    """Return the instrument's JSON form. month: "YYYY-MM", that it is to enter into force in.

    Raises SpecError for a file without an instrument, ModelError for another text than a month.
    """
    entry = month_start(parse_month(month))
    value = read(path).value
    if not isinstance(value, Mapping):
        raise spec_error(str(path), [Fault(place=Place(1, 1), message="an instrument is a mapping with id and type")])
    form: dict[str, Any] = json.loads(json.dumps(value, default=str))  # dates as texts
    try:
        PolicyInstrument.from_json(form, entry=entry)
    except ModelError as error:
        raise spec_error(str(path), [Fault(place=Place(1, 1), message=error.message)]) from None
    return form
