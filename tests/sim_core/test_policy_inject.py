"""Law injected into a running simulation: the same law as one so dated from the start, and nothing before it."""

from dataclasses import fields

import numpy as np
import pytest

from sim_core.errors import ModelError
from sim_core.policy import timeline
from sim_core.policy.instrument import PolicyInstrument
from sim_core.policy.obligation import obligations
from sim_core.policy.timeline import PolicyTimeline, compile_timeline, inject
from sim_core.policy.views import announced, realised
from sim_core.units import month_start, parse_month
from tests.sim_core.example_law import EXAMPLES, FACTS, read

FIRST, PERIODS, AT = parse_month("2030-01"), 60, 17  # June 2031
LAW = tuple(read(name) for name in ("WEEE", "STAIRCASE", "BLACK-MASS", "CBAM", "LANDFILL-TAX"))
NEW = [name for name in EXAMPLES if name not in {one.id for one in LAW} and not read(name).revisions[1:]]


def compiled(law: tuple[PolicyInstrument, ...]) -> PolicyTimeline:
    duties = obligations(law, FACTS, {})
    return compile_timeline(law, FACTS, FIRST, PERIODS, duties)


def arrays(law: PolicyTimeline) -> dict[str, np.ndarray]:
    return {field.name: getattr(law, field.name) for field in fields(law)}


def check_the_past_keeps_its_bytes(name: str) -> None:
    before, after = arrays(compiled(LAW)), arrays(compiled(inject(LAW, read(name), AT, FIRST)))
    for field, was in before.items():
        now = after[field][..., : was.shape[-1]] if "theta" in field or field == "in_force" else after[field]
        assert now[:AT].tobytes() == was[:AT].tobytes(), field
        assert "theta" not in field or not after[field][:AT, ..., was.shape[-1] :].any()


def check_it_applies_from_the_first_day_of_its_period(name: str) -> None:
    before, after = arrays(compiled(LAW)), arrays(compiled(inject(LAW, read(name), AT, FIRST)))
    changed = [
        t
        for field in before
        for t in range(PERIODS)
        if before[field].shape != after[field].shape or not np.array_equal(before[field][t], after[field][t])
    ]
    grown = after["in_force"][:, before["in_force"].shape[1] :]
    first = int(np.flatnonzero(grown.any(axis=1))[0]) if grown.size else min(changed)
    assert first == AT


@pytest.mark.parametrize("name", NEW)
def test_an_injected_instrument_changes_nothing_before_its_period(name: str):
    check_the_past_keeps_its_bytes(name)


@pytest.mark.parametrize("name", NEW)
def test_an_injected_instrument_applies_from_the_first_day_of_its_period(name: str):
    check_it_applies_from_the_first_day_of_its_period(name)


@pytest.mark.parametrize("late", [-1, 1])
def test_an_injection_one_period_early_or_late_is_found(monkeypatch, late: int):
    shifted = timeline.month_start
    monkeypatch.setattr(timeline, "month_start", lambda month: shifted(month + late))
    with pytest.raises(AssertionError):
        check_it_applies_from_the_first_day_of_its_period("TARIFF")


@pytest.mark.parametrize("name", NEW)
def test_it_is_the_same_law_as_one_so_dated_from_the_start(name: str):
    """Announced, adopted and in force from that day on; an instrument of dates after its entry into force is enough."""
    injected = inject(LAW, read(name), AT, FIRST)
    steps, first = injected[-1].revisions[1].steps, month_start(FIRST + AT)
    dated = PolicyInstrument(
        **{field.name: getattr(injected[-1], field.name) for field in fields(PolicyInstrument)}
        | {"revisions": injected[-1].revisions[1:]}
    )
    assert steps[0][0] == first and (dated.revisions[0].announced, dated.revisions[0].adopted) == (first, first)
    one, other = arrays(compiled(injected)), arrays(compiled((*LAW, dated)))
    assert all(one[field].tobytes() == other[field].tobytes() for field in one)


def test_a_form_without_dates_counts_from_the_injection():
    first = month_start(FIRST + AT)
    form = {"id": "T", "type": "carbon_tax", "schedule": {"shape": "ramp", "value": 10, "increase": 5, "count": 3}}
    plain = PolicyInstrument.from_json(form, entry=first)
    (injected,) = inject((), plain, AT, FIRST)
    months = [month_start(FIRST + AT + number) for number in range(3)]
    assert realised(injected) == tuple(zip(months, (10.0, 15.0, 20.0), strict=True))
    assert announced(injected, first - 1) == () and announced(injected, first) == realised(injected)


def test_an_injection_under_the_id_of_a_law_revises_it():
    form = EXAMPLES["STAIRCASE"]["instrument"]
    stricter = PolicyInstrument.from_json(form | {"schedule": {"shape": "step", "from": "2040-01-01", "value": 0.5}})
    law = inject(LAW, stricter, AT, FIRST)
    assert len(law) == len(LAW)
    cobalt = FACTS.materials.index("cobalt")
    duty = compiled(law).content_duty[:, 0, cobalt]
    assert not duty[:AT].any() and (duty[AT:] == 0.5).all()


def test_an_injection_that_makes_another_rule_of_a_law_is_refused():
    other = PolicyInstrument.from_json(EXAMPLES["STAIRCASE"]["instrument"] | {"scope": {"material": "lithium"}})
    with pytest.raises(ModelError, match="'STAIRCASE' is law with another type, scope or rule"):
        inject(LAW, other, AT, FIRST)


def test_an_injection_before_a_later_revision_is_refused():
    delayed = read("DELAYED")
    plain = PolicyInstrument.from_json(
        {name: value for name, value in EXAMPLES["DELAYED"]["instrument"].items() if name != "revisions"}
    )
    with pytest.raises(ModelError, match="has a revision later than that period"):
        inject((delayed,), plain, 3, FIRST)


def test_an_instrument_with_revisions_is_not_injected():
    with pytest.raises(ModelError, match="'DELAYED' has revisions; inject it plain"):
        inject(LAW, read("DELAYED"), AT, FIRST)


def test_a_duty_that_the_suite_does_not_know_is_refused():
    with pytest.raises(ModelError, match=r"duties \['WEEE'\] are not among the suite's obligations"):
        compile_timeline(LAW, FACTS, FIRST, PERIODS, obligations(LAW[1:], FACTS, {}))
