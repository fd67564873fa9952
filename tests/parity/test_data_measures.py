"""The generator's own calendar against the standard library's."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.generators.measure_values import Date, clock, decimal, money, month_length, span


@given(st.dates(date(1583, 1, 1), date(2400, 12, 31)), st.integers(0, 3000))
def test_dates_are_those_of_the_standard_library(day: date, days: int) -> None:
    ours, later = Date(day.year, day.month, day.day), day + timedelta(days=days)
    assert ours.later(days) == (later.year, later.month, later.day)
    assert ours.weekday() == day.weekday()
    assert ours.later(days).number() - ours.number() == days
    assert ours.number() + 1 == day.toordinal()
    assert month_length(day.year, day.month) == calendar.monthrange(day.year, day.month)[1]


def test_how_values_are_written() -> None:
    times = [clock(5, "en"), clock(1505, "en"), clock(-60, "fr"), clock(845, "fr")]
    assert times == ["0:05", "1:05", "23 h", "14 h 05"]
    spans = [span(61, "en"), span(120, "fr"), span(95, "fr")]
    assert spans == ["1 hour and 1 minute", "2 heures", "1 heure et 35 minutes"]
    assert [money(250, "en"), money(205, "fr"), money(300, "fr")] == ["€2.50", "2,05 €", "3 €"]
    assert [decimal(Fraction(47, 20), "fr"), decimal(Fraction(3), "en"), decimal(Fraction(1, 10**6), "en")] == [
        "2,35", "3", "0.000001",
    ]  # fmt: skip
    assert [Date(2024, 5, 1).said("fr"), Date(2024, 12, 1).said("en")] == ["1er mai 2024", "1 December 2024"]
