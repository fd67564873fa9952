"""Time, calendar, money and units in English and French: the generator.

Levels: 0 whole hours, neighbouring days and months, whole euros, large units in small ones; 1 minutes, days of a week,
larger prices; 2 past the full hour, weeks, prices with cents, small units in large ones; 3 durations, dates, change
with cents, decimals; 4 past midnight, time zones, days between dates, price by weight, speed; 5 journeys of several
parts, leap years, percentages, areas and volumes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import NamedTuple

from petitlm.data.generators.french import elide
from petitlm.data.generators.measure_values import MONTHS, WEEKDAYS, Date, clock, decimal, money, month_length, span
from petitlm.data.generators.measure_words import ASK, FOODS, TOWNS, UNITS, WARES
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "measures"
VERSION = 1
LEVEL_WEIGHTS = (2, 3, 3, 3, 3, 3)

# Wordings that training sees for other kinds, or kinds that it sees in other wordings.
_HELD_OUT = frozenset(
    {"later/1", "weekday-in/1", "convert/2", "date-after/1", "overnight/1", "change/1", "weekday-of/1"}
)


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`, a kind of question with its wording."""
    return structure in _HELD_OUT


class _Made(NamedTuple):
    given: dict[str, str]
    answer: str
    key: str


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one question; with `held_out`, in a wording that training never sees for its kind."""
    while True:
        kind = rng.choice(_LEVELS[level])
        wording = rng.randrange(len(ASK[language][kind]))
        structure = f"{kind}/{wording}"
        if is_held_out(structure) == held_out:
            break
    given, answer, key = _MAKE[kind](rng, language, level)
    question = ASK[language][kind][wording].format(**given)
    question = in_haste(rng, question[0].upper() + question[1:])
    answer = f"{answer[0].upper()}{answer[1:]}."
    return Problem(FAMILY, language, level, structure, f"{FAMILY}:{kind}:{key}", question, answer)


def _span_of(rng: Random, level: int, minute: int) -> int:
    """How long: whole hours; then within the hour that follows `minute`; then past it."""
    if level == 0:
        return 60 * rng.randint(1, 6)
    if level == 1:
        return 5 * rng.randint(1, max(1, (59 - minute) // 5))
    return rng.randint(61 - minute if minute > 1 else 60, 180 if level == 2 else 420)


def _later(rng: Random, language: str, level: int) -> _Made:
    hour, minute = rng.randint(6, 17), 0 if level == 0 else 5 * rng.randint(0, 10) if level == 1 else rng.randint(0, 59)
    start, length = 60 * hour + minute, _span_of(rng, level, minute)
    given = {"t": clock(start, language), "s": span(length, language)}
    return _Made(given, clock(start + length, language), f"{start}+{length}")


def _earlier(rng: Random, language: str, level: int) -> _Made:
    start, length = rng.randint(8 * 60, 23 * 60), rng.randint(5, 59 if level == 1 else 180 if level == 2 else 420)
    start, length = (start - start % 60 + 55, 5 * (length // 5)) if level == 1 else (start, length)
    given = {"t": clock(start, language), "s": span(length, language)}
    return _Made(given, clock(start - length, language), f"{start}-{length}")


def _lasts(rng: Random, language: str, level: int) -> _Made:
    start, length = rng.randint(8 * 60, 19 * 60), rng.randint(25, 240)
    given = {"t": clock(start, language), "u": clock(start + length, language)}
    return _Made(given, span(length, language), f"{start}..{start + length}")


def _overnight(rng: Random, language: str, level: int) -> _Made:
    start, end = rng.randint(17 * 60, 23 * 60 + 59), rng.randint(1, 11 * 60)
    given = {"t": clock(start, language), "u": clock(end, language)}
    return _Made(given, span(end + 1440 - start, language), f"{start}..{end}")


def _zone(rng: Random, language: str, level: int) -> _Made:
    here, there = rng.sample(TOWNS, 2)
    time, hours, is_later = rng.randint(0, 1439), rng.randint(1, 11), rng.random() < 0.5
    word = {"en": ("earlier", "later"), "fr": ("moins", "plus")}[language][is_later]
    name = {"en": "hour", "fr": "heure"}[language]
    shift = f"{hours} {name}{'s' if hours > 1 else ''}"
    given = {"t": clock(time, language), "A": here, "B": there, "n": shift, "w": word}
    minutes = 60 * hours if is_later else -60 * hours
    return _Made(given, clock(time + minutes, language), f"{time}{minutes:+}")


def _legs(rng: Random, language: str, level: int) -> _Made:
    start, *legs = rng.randint(5 * 60, 22 * 60), rng.randint(35, 240), rng.randint(5, 59), rng.randint(35, 240)
    given = {"t": clock(start, language)} | {f"s{i}": span(leg, language) for i, leg in enumerate(legs)}
    return _Made(given, clock(start + sum(legs), language), f"{start}+{legs[0]}+{legs[1]}+{legs[2]}")


def _next_day(rng: Random, language: str, level: int) -> _Made:
    names, is_after = rng.choice((WEEKDAYS, MONTHS))[language], rng.random() < 0.5
    at = rng.randrange(len(names))
    what = {7: {"en": "day", "fr": "jour"}, 12: {"en": "month", "fr": "mois"}}[len(names)][language]
    word = {"en": ("before", "after"), "fr": ("avant", "après")}[language][is_after]
    step = 1 if is_after else -1
    given = {"what": what, "w": word, "x": names[at]}
    return _Made(given, names[(at + step) % len(names)], f"{len(names)},{at}{step:+}")


def _weekday_in(rng: Random, language: str, level: int) -> _Made:
    at, days = rng.randrange(7), rng.randint(2, 6) if level == 1 else rng.randint(8, 60)
    names = WEEKDAYS[language]
    return _Made({"x": names[at], "n": str(days)}, names[(at + days) % 7], f"{at}+{days}")


def _weekday_ago(rng: Random, language: str, level: int) -> _Made:
    at, days = rng.randrange(7), rng.randint(2, 6) if level == 1 else rng.randint(8, 60)
    names = WEEKDAYS[language]
    return _Made({"x": names[at], "n": str(days)}, names[(at - days) % 7], f"{at}-{days}")


def _any_date(rng: Random) -> Date:
    year, month = rng.randint(1990, 2060), rng.randint(1, 12)
    return Date(year, month, rng.randint(1, month_length(year, month)))


def _date_after(rng: Random, language: str, level: int) -> _Made:
    start, days = _any_date(rng), rng.randint(5, 60) if level == 3 else rng.randint(60, 400)
    return _Made(
        {"d": start.said(language), "n": str(days)}, start.later(days).said(language), f"{start.said('en')}+{days}"
    )  # fmt: skip


def _days_between(rng: Random, language: str, level: int) -> _Made:
    start, days = _any_date(rng), rng.randint(10, 120) if level == 4 else rng.randint(120, 500)
    end = start.later(days)
    name = "days" if language == "en" else "jours"
    given = {"d": start.said(language), "e": end.said(language)}
    return _Made(given, f"{end.number() - start.number()} {name}", f"{start.said('en')}..{end.said('en')}")


def _weekday_of(rng: Random, language: str, level: int) -> _Made:
    start, days = _any_date(rng), rng.randint(8, 60) if level == 4 else rng.randint(60, 800)
    end, names = start.later(days), WEEKDAYS[language]
    given = {"d": start.said(language), "e": end.said(language), "x": names[start.weekday()]}
    return _Made(given, names[end.weekday()], f"{start.said('en')}..{end.said('en')}")


def _month_length(rng: Random, language: str, level: int) -> _Made:
    month = rng.choice((2, 2, 2, rng.randint(1, 12)))
    year = rng.choice((1900, 2000, 2100)) if level == 5 and rng.random() < 0.3 else rng.randint(1900, 2100)
    name = "days" if language == "en" else "jours"
    given = {"m": MONTHS[language][month - 1], "dem": elide("de", MONTHS[language][month - 1]), "y": str(year)}
    return _Made(given, f"{month_length(year, month)} {name}", f"{year}-{month}")


def _coins(rng: Random, language: str, level: int) -> _Made:
    n, m, note = rng.randint(2, 9), rng.randint(2, 6), rng.choice((5, 10, 20))
    given = {"n": str(n), "m": str(m), "b": str(note)}
    return _Made(given, money(100 * (2 * n + note * m), language), f"{n}x2+{m}x{note}")


def _price(rng: Random, level: int) -> int:
    """Cents: whole euros, then fives of cents."""
    return 100 * rng.randint(2, 9 if level == 0 else 45) if level < 2 else 5 * rng.randint(11, 900)


def _change(rng: Random, language: str, level: int) -> _Made:
    price = _price(rng, level)
    notes = [note for note in (500, 1000, 2000, 5000, 10_000) if note > price]
    paid = rng.choice(notes[:2])
    given = {"x": rng.choice(WARES[language])[0], "p": money(price, language), "q": money(paid, language)}
    return _Made(given, money(paid - price, language), f"{paid}-{price}")


def _many(rng: Random, language: str, level: int) -> _Made:
    if level < 2:
        price, n = 100 * rng.randint(2, 9 if level == 0 else 20), rng.randint(2, 9)
    else:
        price, n = 5 * rng.randint(5, 99) if level == 2 else rng.randint(101, 1999), rng.randint(3, 12)
    one, several = rng.choice(WARES[language])
    given = {"x": one, "xs": several, "p": money(price, language), "n": str(n)}
    return _Made(given, money(price * n, language), f"{n}x{price}")


def _by_weight(rng: Random, language: str, level: int) -> _Made:
    grams = rng.choice((50, 100, 125, 200, 250, 300, 400, 500, 600, 700, 750, 800, 1200, 1250, 1500, 2500))
    step = Fraction(1000, grams).numerator  # so that the price comes out in whole cents
    price = step * rng.randint(-(-120 // step), max(1, 1600 // step))
    given = {"x": rng.choice(FOODS[language]), "p": money(price, language), "g": str(grams)}
    return _Made(given, money(price * grams // 1000, language), f"{price}x{grams}")


def _percent(rng: Random, language: str, level: int) -> _Made:
    percent, falls = rng.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75)), rng.random() < 0.6
    price = 100 * rng.randint(4, 400)
    word = {"en": ("rises", "falls"), "fr": ("augmente", "baisse")}[language][falls]
    given = {"x": rng.choice(WARES[language])[0], "p": money(price, language), "n": str(percent), "w": word}
    new = price * (100 - percent if falls else 100 + percent) // 100
    return _Made(given, money(new, language), f"{price}{'-' if falls else '+'}{percent}%")


def _convert(rng: Random, language: str, level: int) -> _Made:
    unit = rng.choice([unit for unit in UNITS if unit.level <= level < unit.level + 3])
    large, small, factor = unit.large, unit.small, unit.factor
    if level in (0, 1):
        n = rng.randint(2, 12 if level == 0 else 60)
        return _Made({"x": f"{n} {large}", "u": small}, f"{n * factor} {small}", f"{n}{large}>{small}")
    if level == 2 and rng.random() < 0.6:
        a, b = rng.randint(1, 20), rng.randint(1, int(factor) - 1)
        given = {"x": f"{a} {large} {b} {small}", "u": small}
        return _Made(given, f"{a * factor + b} {small}", f"{a}{large}{b}>{small}")
    if level == 2 or factor % 10:
        n = rng.randint(2, 40)
        given = {"x": f"{decimal(n * factor, language)} {small}", "u": large}
        return _Made(given, f"{n} {large}", f"{n}{large}<{small}")
    value = Fraction(rng.randint(1, 9999), rng.choice((10, 100)))
    if rng.random() < 0.5 or str(factor).strip("0") != "1":  # an hour of 3600 s does not divide into decimals
        given = {"x": f"{decimal(value, language)} {large}", "u": small}
        return _Made(given, f"{decimal(value * factor, language)} {small}", f"{value}{large}>{small}")
    whole = rng.randint(1, 9999)
    given = {"x": f"{whole} {small}", "u": large}
    return _Made(given, f"{decimal(whole / factor, language)} {large}", f"{whole}{small}>{large}")


def _sum(rng: Random, language: str, level: int) -> _Made:
    unit = rng.choice([unit for unit in UNITS if unit.level < 2])
    factor = int(unit.factor)
    (a, b), (c, d) = ((rng.randint(1, 20), rng.randint(1, factor - 1)) for _ in range(2))
    total = (a + c) * factor + b + d
    whole, rest = divmod(total, factor)
    given = {"x": f"{a} {unit.large} {b} {unit.small}", "y": f"{c} {unit.large} {d} {unit.small}"}
    answer = f"{whole} {unit.large}" + (f" {rest} {unit.small}" if rest else "")
    return _Made(given, answer, f"{a * factor + b}+{c * factor + d}{unit.small}")


def _speed(rng: Random, language: str, level: int) -> _Made:
    speed = 6 * rng.randint(3, 50)
    minutes = 10 * rng.randint(1, 30)
    given = {"v": str(speed), "s": span(minutes, language)}
    return _Made(given, f"{speed * minutes // 60} km", f"{speed}x{minutes}")


_MAKE: dict[str, Callable[[Random, str, int], _Made]] = {
    "later": _later, "earlier": _earlier, "lasts": _lasts, "overnight": _overnight, "zone": _zone, "legs": _legs,
    "next": _next_day, "weekday-in": _weekday_in, "weekday-ago": _weekday_ago, "date-after": _date_after,
    "days-between": _days_between, "weekday-of": _weekday_of, "month-length": _month_length, "coins": _coins,
    "change": _change, "many": _many, "by-weight": _by_weight, "percent": _percent, "convert": _convert, "sum": _sum,
    "speed": _speed,
}  # fmt: skip
_LEVELS = (
    ("later", "next", "coins", "convert", "convert", "change", "change", "many", "many"),
    ("later", "later", "earlier", "weekday-in", "weekday-ago", "change", "change", "many", "many", "convert"),
    ("later", "earlier", "weekday-in", "weekday-ago", "many", "convert"),
    ("earlier", "lasts", "date-after", "month-length", "change", "many", "convert"),
    ("overnight", "zone", "days-between", "weekday-of", "by-weight", "sum", "speed", "convert"),
    ("legs", "date-after", "days-between", "weekday-of", "month-length", "percent", "convert"),
)
