"""A user's own law and history as a family of scenarios, with revisions drawn around it.

A timeline is plain data:

    name          of the family
    description   optional
    instruments   PolicyInstruments in their written form (docs/policies.md), with all that was announced and revised
    law           ids of the catalogue's instruments that apply beside them; none by default
    revisions     optional: how the law may go on. instruments (ids of those two; by default all of `instruments`),
                  least and most of them that one scenario exposes to revision (1 and all, at most 6), intensity (1,
                  a factor on how often), from and to (days between which a revision may be announced)
    world         optional: the shipped family whose markets, demand and disruptions it takes; by default the plain ones
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from json import loads
from typing import Any

from sim_core.catalogue.law import law as catalogue_law
from sim_core.errors import ModelError
from sim_core.generate.families import FAMILY_NAMES, family
from sim_core.generate.family import PROPOSED, Family
from sim_core.generate.revision_process import FIRST, LAST, MOST_INSTRUMENTS, RevisionProcess
from sim_core.generate.world import NEUTRAL
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.reading import Reader, one_of
from sim_core.policy.shapes import read_day
from sim_core.seeding import canonical_json


def family_of(form: Mapping[str, Any]) -> Family:
    """Return the family that a timeline describes. Raises ModelError with the field at fault and a remedy."""
    try:
        return _family_of(canonical_json(form))
    except (TypeError, ValueError) as error:
        raise ModelError(f"timeline: {error}; write texts, finite numbers, lists and mappings") from None


@lru_cache(maxsize=64)
def _family_of(text: str) -> Family:
    """Read a timeline, given as JSON text: equal ones are one family."""
    read = Reader(loads(text), "timeline")
    name = read.text("name")
    read.place = f"timeline {name!r}"
    if name in FAMILY_NAMES:
        raise ModelError(f"{read.place}.name: a shipped family is called so; take another name")
    forms = read.take("instruments")
    if not isinstance(forms, list) or not forms:
        raise ModelError(f"{read.place}.instruments: list one or more instruments, as docs/policies.md describes them")
    own = tuple(PolicyInstrument.from_json(one) for one in forms)
    ids = [one.id for one in own]
    binding = tuple(dict.fromkeys(row.instrument for row in catalogue_law() if row.binds))
    law = tuple(one_of(key, binding, f"{read.place}.law") for key in read.names("law"))
    twice = {key for key in ids if ids.count(key) > 1 or key in law}
    if twice:
        raise ModelError(f"{read.place}: {sorted(twice)} stand there twice; one id is one instrument")
    world = read.take("world", "")
    found = Family(
        name=name,
        description=read.text("description", "a timeline of the user's own"),
        law=law,
        proposed=tuple(key for key in law if key in PROPOSED),
        own=own,
        world=family(one_of(world, FAMILY_NAMES, f"{read.place}.world")).world if world else NEUTRAL,
        process=_process(Reader(read.take("revisions", {}), f"{read.place}.revisions"), own, law),
    )
    read.close()
    return found


def _process(read: Reader, own: tuple[PolicyInstrument, ...], law: tuple[str, ...]) -> RevisionProcess | None:
    """Return how the law goes on; None where `most` is 0: it stays as it is written."""
    known = tuple(one.id for one in own)
    pool = tuple(one_of(key, (*known, *law), f"{read.place}.instruments") for key in read.names("instruments")) or known
    widest = min(len(pool), MOST_INSTRUMENTS)
    most = _whole(read, "most", widest, least=0, most=widest)
    least = _whole(read, "least", min(1, most), least=min(1, most), most=most)
    intensity = read.number("intensity", default=1.0, least=0.0, most=100.0)
    first, last = (
        date.fromordinal(read_day(read.take(name, default), f"{read.place}.{name}", None)).isoformat()
        for name, default in (("from", FIRST), ("to", LAST))
    )
    read.close()
    if first > last:
        raise ModelError(f"{read.place}: revisions can't end on {last} when they begin on {first}; swap from and to")
    if most == 0 or intensity == 0.0:
        return None
    return RevisionProcess(pools=(pool,), least=least, most=most, intensity=intensity, first=first, last=last)


def _whole(read: Reader, name: str, default: int, *, least: int, most: int) -> int:
    found = read.number(name, default=default, least=least, most=most)
    if found != int(found):
        raise ModelError(f"{read.place}.{name}: write a whole number, not {found:g}")
    return int(found)
