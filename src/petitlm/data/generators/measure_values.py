"""Times, dates, money and measures as people write them in English and French, with whole-number arithmetic of our own.

`14:05` and `14 h 05`; `3 May 2024` and `3 mai 2024`; `€2.50` and `2,50 €`; `2.35 km` and `2,35 km`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
}  # fmt: skip
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def clock(minutes: int, language: str) -> str:
    """A time of day from minutes after midnight, whatever the day."""
    hour, minute = divmod(minutes % 1440, 60)
    if language == "en":
        return f"{hour}:{minute:02d}"
    return f"{hour} h {minute:02d}" if minute else f"{hour} h"


def span(minutes: int, language: str) -> str:
    """`1 hour and 35 minutes`, `2 heures`."""
    hour, minute = divmod(minutes, 60)
    name, joint = ("hour", " and ") if language == "en" else ("heure", " et ")
    hours = f"{hour} {name}{'s' if hour > 1 else ''}" if hour else ""
    return joint.join(part for part in (hours, f"{minute} minute{'s' if minute > 1 else ''}" if minute else "") if part)


def money(cents: int, language: str) -> str:
    """`€2.50`, `2,50 €`; whole euros without cents."""
    euros, rest = divmod(cents, 100)
    number = f"{euros}.{rest:02d}" if rest else str(euros)
    return f"€{number}" if language == "en" else f"{number.replace('.', ',')} €"


def decimal(value: Fraction, language: str) -> str:
    """A number with a finite decimal expansion, up to six places, without zeros at its end."""
    whole, rest = divmod(value, 1)
    places = f"{int(rest * 10**6):06d}".rstrip("0")
    assert Fraction(int(rest * 10**6), 10**6) == rest, value
    return f"{whole}{'.' if language == 'en' else ','}{places}" if places else str(whole)


class Date(NamedTuple):
    """A day of the Gregorian calendar."""

    year: int
    month: int
    day: int

    def said(self, language: str) -> str:
        """`3 May 2024`, `3 mai 2024`, `1er mai 2024`."""
        day = "1er" if self.day == 1 and language == "fr" else str(self.day)
        return f"{day} {MONTHS[language][self.month - 1]} {self.year}"

    def number(self) -> int:
        """Days since 1 January of year 1."""
        y = self.year - 1
        before = sum(month_length(self.year, month) for month in range(1, self.month))
        return 365 * y + y // 4 - y // 100 + y // 400 + before + self.day - 1

    def later(self, days: int) -> Date:
        """The date so many days later."""
        year, month, day = self.year, self.month, self.day + days
        while day > month_length(year, month):
            day -= month_length(year, month)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return Date(year, month, day)

    def weekday(self) -> int:
        """0 for Monday; 1 January of year 1 was one."""
        return self.number() % 7


def month_length(year: int, month: int) -> int:
    """Days of a month."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and is_leap else _LENGTHS[month - 1]
