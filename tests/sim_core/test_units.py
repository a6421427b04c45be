"""The calendar and the conversions."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_core.errors import ModelError
from sim_core.units import add_months, day, month_start, month_starts, parse_month


def test_months_and_days_are_counted_by_the_calendar():
    assert parse_month("2026-01") + 11 == parse_month("2026-12")
    starts = month_starts(parse_month("2028-01"), 3)
    assert (starts[1:] - starts[:-1]).tolist() == [31, 29, 31]
    assert date.fromordinal(int(starts[0])) == date(2028, 1, 1)
    assert day("2031-08-18") == month_start(parse_month("2031-08")) + 17


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-1-1", "Jan 2026", ""])
def test_a_bad_month_is_refused(text: str):
    with pytest.raises(ModelError, match="is not a month; write it as YYYY-MM"):
        parse_month(text)


def test_a_bad_day_is_refused():
    with pytest.raises(ModelError, match="write it as YYYY-MM-DD"):
        day("2026-02-30")


def test_adding_months_keeps_the_day_or_the_end_of_the_month():
    assert add_months(day("2031-08-18"), 29) == day("2034-01-18")
    assert add_months(day("2027-12-31"), 2) == day("2028-02-29")
    assert add_months(day("2028-03-31"), -1) == day("2028-02-29")


@given(st.integers(day("2000-01-01"), day("2090-01-01")), st.integers(-400, 400))
def test_adding_months_is_off_by_at_most_the_month_ends(ordinal: int, months: int):
    there = date.fromordinal(add_months(ordinal, months))
    start = date.fromordinal(ordinal)
    assert (there.year - start.year) * 12 + there.month - start.month == months
    assert there.day <= start.day and start.day - there.day <= 3
