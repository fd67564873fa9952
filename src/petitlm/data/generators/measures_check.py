"""Time, calendar, money and units: the second route. Reads the question and computes with datetime, calendar, Fraction.

The generator counts minutes, days and cents by itself; here the standard library does, on values read from the text.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from petitlm.data.record import Problem
from petitlm.errors import UsageError

_DAYS = {
    "en": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
_MONTHS = {
    "en": ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
}  # fmt: skip
# In units of the first of each row.
_SIZES = {
    "mm": ("mm", 1), "cm": ("mm", 10), "m": ("mm", 1000), "km": ("mm", 1_000_000),
    "mg": ("mg", 1), "g": ("mg", 1000), "kg": ("mg", 1_000_000), "t": ("mg", 1_000_000_000),
    "ml": ("ml", 1), "cl": ("ml", 10), "l": ("ml", 1000), "m³": ("ml", 1_000_000),
    "s": ("s", 1), "min": ("s", 60), "h": ("s", 3600),
    "cm²": ("cm²", 1), "m²": ("cm²", 10_000), "ha": ("cm²", 100_000_000), "km²": ("cm²", 10_000_000_000),
    "km/h": ("km/h", 1), "m/s": ("km/h", Fraction(18, 5)),
}  # fmt: skip

# What stands for a value in the patterns below.
_VALUES = {
    "en": {
        "C": r"(\d+:\d\d)", "S": r"((?:\d+ hours?(?: and )?)?(?:\d+ minutes?)?)", "D": r"(\d+ [a-z]+ \d+)",
        "M": r"(€[\d.]+)", "W": r"([a-z]+)", "N": r"(\d+)", "U": r"([a-z²³/]+)", "X": r"((?:[\d.]+ [a-z²³/]+ ?)+)",
    },
    "fr": {
        "C": r"(\d+ h(?: \d\d)?)", "S": r"((?:\d+ heures?(?: et )?)?(?:\d+ minutes?)?)",
        "D": r"(\d+(?:er)? [a-zéû]+ \d+)", "M": r"([\d,]+ €)", "W": r"([a-zéû]+)", "N": r"(\d+)", "U": r"([a-z²³/]+)",
        "X": r"((?:[\d,]+ [a-z²³/]+ ?)+)",
    },
}  # fmt: skip
# `<C>` clock, `<S>` span, `<D>` date, `<M>` money, `<W>` word, `<N>` number, `<U>` unit, `<X>` measure.
# Values come in the order of the first pattern of each kind; `~` before a pattern: in the opposite order.
_PATTERNS = {
    "en": {
        "later": ("it is <C>. what time will it be in <S>", "~what time is it <S> after <C>"),
        "earlier": ("it is <C>. what time was it <S> ago", "~what time is it <S> before <C>"),
        "lasts": ("a film starts at <C> and ends at <C>. how long does it last", "how long is it from <C> to <C>"),
        "overnight": ("a train leaves at <C> and arrives at <C> the next day. how long is the journey",
                      "how long is it from <C> to <C> the next day"),
        "zone": (r"it is <C> in (\w+). in (\w+) it is <N> hours? (earlier|later). what time is it in (\w+)",),
        "legs": ("a bus leaves at <C>, drives for <S>, waits for <S> and drives for <S>. when does it arrive",),
        "next": (r"(?:which|what) (?:day|month) (?:comes|is just) (before|after) <W>",),
        "weekday-in": ("today is <W>. what day will it be in <N> days", "~which day is <N> days after <W>"),
        "weekday-ago": ("today is <W>. what day was it <N> days ago", "~which day is <N> days before <W>"),
        "date-after": ("~what is the date <N> days after <D>", "it is <D>. what will the date be in <N> days"),
        "days-between": ("how many days are there from <D> to <D>", "it is <D>. how many days is it until <D>"),
        "weekday-of": ("<D> is a <W>. what day of the week is <D>", "if <D> is a <W>, which day is <D>"),
        "month-length": ("how many days does <W> <N> have", "how long is <W> <N>, in days"),
        "coins": ("how much are <N> 2-euro coins and <N> <N>-euro notes",
                  "i have <N> 2-euro coins and <N> <N>-euro notes. how much is that"),
        "change": (r"a \w+ costs <M>. you pay with <M>. how much change do you get",
                   r"~you give <M> for a \w+ at <M>. how much do you get back"),
        "many": (r"a \w+ costs <M>. how much do <N> \w+ cost", r"~what is the price of <N> \w+ at <M> each"),
        "by-weight": (r"\w+ cost <M> a kilo. how much do <N> g cost",
                      r"~what is the price of <N> g of \w+ at <M> a kilo"),
        "percent": (r"a \w+ costs <M>. the price (rises|falls) by <N> %. what is the new price",
                    r"the price of a \w+, <M>, (rises|falls) by <N> %. what does it cost now"),
        "sum": ("what is <X> plus <X>", "add <X> and <X>"),
        "convert": ("convert <X> to <U>", "how much is <X> in <U>", "write <X> in <U>"),
        "speed": ("a train runs at <N> km/h. how far does it go in <S>", "~how far do you get in <S> at <N> km/h"),
    },
    "fr": {
        "later": ("il est <C>. quelle heure sera-t-il dans <S>", "~quelle heure est-il <S> après <C>"),
        "earlier": ("il est <C>. quelle heure était-il il y a <S>", "~quelle heure est-il <S> avant <C>"),
        "lasts": ("un film commence à <C> et finit à <C>. combien de temps dure-t-il",
                  "combien de temps y a-t-il de <C> à <C>"),
        "overnight": ("un train part à <C> et arrive à <C> le lendemain. combien de temps dure le voyage",
                      "combien de temps y a-t-il de <C> à <C> le lendemain"),
        "zone": (r"il est <C> à (\w+). à (\w+), il est <N> heures? de (moins|plus). quelle heure est-il à (\w+)",),
        "legs": ("un bus part à <C>, roule <S>, attend <S> et roule <S>. à quelle heure arrive-t-il",),
        "next": (r"quel (?:est le )?(?:jour|mois) (?:vient|juste) (avant|après) <W>",),
        "weekday-in": ("aujourd'hui, c'est <W>. quel jour sera-t-on dans <N> jours",
                       "~quel jour est-on <N> jours après <W>"),
        "weekday-ago": ("aujourd'hui, c'est <W>. quel jour était-on il y a <N> jours",
                        "~quel jour est-on <N> jours avant <W>"),
        "date-after": ("~quelle est la date <N> jours après le <D>",
                       "nous sommes le <D>. quelle sera la date dans <N> jours"),
        "days-between": ("combien de jours y a-t-il du <D> au <D>",
                         "nous sommes le <D>. dans combien de jours serons-nous le <D>"),
        "weekday-of": ("le <D> est un <W>. quel jour de la semaine est le <D>",
                       "si le <D> est un <W>, quel jour est le <D>"),
        "month-length": ("combien de jours a le mois d(?:e |')<W> <N>",
                         "quelle est la durée du mois d(?:e |')<W> <N>, en jours"),
        "coins": ("combien font <N> pièces de 2 euros et <N> billets de <N> euros",
                  "j'ai <N> pièces de 2 euros et <N> billets de <N> euros. combien cela fait-il"),
        "change": (r"un \w+ coûte <M>. tu paies avec <M>. combien te rend-on",
                   r"~tu donnes <M> pour un \w+ à <M>. combien récupères-tu"),
        "many": (r"un \w+ coûte <M>. combien coûtent <N> \w+", r"~quel est le prix de <N> \w+ à <M> pièce"),
        "by-weight": (r"les \w+ coûtent <M> le kilo. combien coûtent <N> g",
                      r"~quel est le prix de <N> g de \w+ à <M> le kilo"),
        "percent": (r"un \w+ coûte <M>. le prix (augmente|baisse) de <N> %. quel est le nouveau prix",
                    r"le prix d'un \w+, <M>, (augmente|baisse) de <N> %. combien coûte-t-il maintenant"),
        "sum": ("combien font <X> plus <X>", "ajoute <X> et <X>"),
        "convert": ("convertis <X> en <U>", "combien font <X> en <U>", "écris <X> en <U>"),
        "speed": ("un train roule à <N> km/h. quelle distance parcourt-il en <S>",
                  "~quelle distance parcourt-on en <S> à <N> km/h"),
    },
}  # fmt: skip


_MINUTE = timedelta(minutes=1)


def _compiled(pattern: str, language: str) -> tuple[re.Pattern[str], bool]:
    text = pattern.removeprefix("~").replace(". ", r"\. ")
    return re.compile(re.sub(r"<(\w)>", lambda found: _VALUES[language][found[1]], text)), pattern.startswith("~")


_READ = {
    language: [(kind, *_compiled(pattern, language)) for kind, patterns in kinds.items() for pattern in patterns]
    for language, kinds in _PATTERNS.items()
}


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or cannot be read; None if it is right."""
    asked = problem.question.rstrip("?. ").lower()
    for kind, pattern, is_reversed in _READ[problem.language]:
        if found := pattern.fullmatch(asked):
            values = [value.strip() for value in found.groups()]
            try:
                wanted = _ANSWER[kind](values[::-1] if is_reversed else values, problem.language)
            except (UsageError, ValueError, KeyError) as error:
                return f"cannot compute {problem.question!r}: {error}"
            wanted = f"{wanted[0].upper()}{wanted[1:]}."
            return None if problem.answer == wanted else f"the answer is {wanted!r}, not {problem.answer!r}"
    return f"cannot read the question {problem.question!r}"


def _clock(text: str) -> datetime:
    hour, minute = (int(part) for part in re.split(r":| h ?", f"{text} 0" if text.endswith("h") else text))
    return datetime(2001, 1, 2, hour, minute)


def _span(text: str) -> timedelta:
    parts = {name[0]: int(n) for n, name in re.findall(r"(\d+) (h|m)", text)}
    if not parts:
        raise UsageError(f"{text!r} is no duration")
    return timedelta(hours=parts.get("h", 0), minutes=parts.get("m", 0))


def _date(text: str, language: str) -> date:
    day, month, year = text.split(" ")
    if (day == "1er") != (int(day.removesuffix("er")) == 1 and language == "fr"):
        raise UsageError(f"{text!r} is not how a date is written")
    return date(int(year), _MONTHS[language].index(month) + 1, int(day.removesuffix("er")))


def _cents(text: str) -> int:
    return int(Decimal(text.strip("€ ").replace(",", ".")) * 100)


def _measure(text: str) -> tuple[str, Fraction]:
    """The smallest unit of its kind, and how many of them."""
    kinds: set[str] = set()
    total = Fraction(0)
    for number, unit in re.findall(r"([\d.,]+) (\S+)", text):
        kind, size = _SIZES[unit]
        kinds.add(kind)
        total += Fraction(number.replace(",", ".")) * size
    if len(kinds) != 1:
        raise UsageError(f"{text!r} mixes units")
    return kinds.pop(), total


def _said_time(time: datetime, language: str) -> str:
    if language == "en":
        return f"{time.hour}:{time:%M}"
    return f"{time.hour} h {time:%M}" if time.minute else f"{time.hour} h"


def _said_span(span: timedelta, language: str) -> str:
    hours, minutes = divmod(span // _MINUTE, 60)
    words = {"en": ("hour", "minute", " and "), "fr": ("heure", "minute", " et ")}[language]
    said = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((hours, words[0]), (minutes, words[1])) if n]
    return words[2].join(said)


def _said_date(day: date, language: str) -> str:
    name = _MONTHS[language][day.month - 1]
    if language == "en":
        return f"{day.day} {name.capitalize()} {day.year}"
    return f"{'1er' if day.day == 1 else day.day} {name} {day.year}"


def _said_days(span: timedelta, language: str) -> str:
    return f"{span.days} {'days' if language == 'en' else 'jours'}"


def _said_money(cents: int | Fraction, language: str) -> str:
    amount = Fraction(cents)
    if amount.denominator != 1:
        raise UsageError(f"{amount} cents cannot be paid")
    said = f"{Decimal(amount.numerator) / 100:.2f}".removesuffix(".00")
    return f"€{said}" if language == "en" else f"{said.replace('.', ',')} €"


def _said_measure(value: Fraction, unit: str, language: str) -> str:
    number = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    number = number.rstrip("0").rstrip(".") if "." in number else number
    unit = {"l": "L", "cl": "cL", "ml": "mL"}.get(unit, unit)
    return f"{number if language == 'en' else number.replace('.', ',')} {unit}"


def _next(v: list[str], language: str) -> str:
    names = _DAYS[language] if v[1] in _DAYS[language] else _MONTHS[language]
    at = names.index(v[1]) + (1 if v[0] in ("after", "après") else -1)
    return names[at % len(names)]


def _weekday_of(v: list[str], language: str) -> str:
    known, asked = _date(v[0], language), _date(v[2], language)
    if _DAYS[language][known.weekday()] != v[1]:
        raise UsageError(f"{v[0]} is not a {v[1]}")
    return _DAYS[language][asked.weekday()]


def _zone(v: list[str], language: str) -> str:
    if v[2] != v[5] or v[1] == v[2]:
        raise UsageError(f"the question is about {v[5]}, the text about {v[1]} and {v[2]}")
    shift = timedelta(hours=int(v[3]))
    return _said_time(_clock(v[0]) + shift if v[4] in ("later", "plus") else _clock(v[0]) - shift, language)


def _convert(v: list[str], language: str) -> str:
    kind, value = _measure(v[0])
    target, size = _SIZES[v[1]]
    if kind != target:
        raise UsageError(f"{v[0]} cannot be told in {v[1]}")
    return _said_measure(value / size, v[1], language)


def _sum(v: list[str], language: str) -> str:
    (kind, a), (other, b) = _measure(v[0]), _measure(v[1])
    units = re.findall(r"[\d.,]+ (\S+)", v[0])
    if kind != other or units != re.findall(r"[\d.,]+ (\S+)", v[1]):
        raise UsageError(f"{v[0]} and {v[1]} have other units")
    whole, rest = divmod(a + b, _SIZES[units[0]][1])
    said = [_said_measure(Fraction(whole), units[0], language)]
    return " ".join([*said, _said_measure(rest / _SIZES[units[1]][1], units[1], language)] if rest else said)


def _day_of_week(name: str, days: int, language: str) -> str:
    first = next(date(2001, 1, day) for day in range(1, 8) if _DAYS[language][date(2001, 1, day).weekday()] == name)
    return _DAYS[language][(first + timedelta(days=days)).weekday()]


_ANSWER: dict[str, Callable[[list[str], str], str]] = {
    "later": lambda v, language: _said_time(_clock(v[0]) + _span(v[1]), language),
    "earlier": lambda v, language: _said_time(_clock(v[0]) - _span(v[1]), language),
    "lasts": lambda v, language: _said_span(_clock(v[1]) - _clock(v[0]), language),
    "overnight": lambda v, language: _said_span(_clock(v[1]) + timedelta(days=1) - _clock(v[0]), language),
    "legs": lambda v, language: _said_time(_clock(v[0]) + sum(map(_span, v[1:]), timedelta()), language),
    "zone": _zone,
    "next": _next,
    "weekday-in": lambda v, language: _day_of_week(v[0], int(v[1]), language),
    "weekday-ago": lambda v, language: _day_of_week(v[0], -int(v[1]), language),
    "date-after": lambda v, language: _said_date(_date(v[0], language) + timedelta(days=int(v[1])), language),
    "days-between": lambda v, language: _said_days(_date(v[1], language) - _date(v[0], language), language),
    "weekday-of": _weekday_of,
    "month-length": lambda v, language: _said_days(
        timedelta(days=calendar.monthrange(int(v[1]), _MONTHS[language].index(v[0]) + 1)[1]), language
    ),
    "coins": lambda v, language: _said_money(100 * (2 * int(v[0]) + int(v[1]) * int(v[2])), language),
    "change": lambda v, language: _said_money(_cents(v[1]) - _cents(v[0]), language),
    "many": lambda v, language: _said_money(_cents(v[0]) * int(v[1]), language),
    "by-weight": lambda v, language: _said_money(Fraction(_cents(v[0]) * int(v[1]), 1000), language),
    "percent": lambda v, language: _said_money(
        _cents(v[0]) * Fraction(100 + int(v[2]) * (-1 if v[1] in ("falls", "baisse") else 1), 100), language
    ),
    "convert": _convert,
    "sum": _sum,
    "speed": lambda v, language: _said_measure(Fraction(int(v[0])) * (_span(v[1]) // _MINUTE) / 60, "km", language),
}
