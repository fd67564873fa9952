"""How values and wishes are put into words at the counters of the dialogues."""

from __future__ import annotations

from petitlm.data.generators import dialogue_words as say
from petitlm.data.generators.number_words import feminine, to_words

Value = int | str
"""A count, an hour of the day, an index of a day, kind or size; a city or a name as text."""


def on_days(language: str, day: int) -> str:
    """`Mondays`, `lundi`: the day as one of every week."""
    return say.DAYS[language][day] + ("s" if language == "en" else "")


def counted(language: str, slot: str, value: int) -> str:
    """`four people`, `une pizza`."""
    number = to_words(value, language)
    if language == "fr" and slot in say.FEMININE_COUNTS:
        number = feminine(number)
    return f"{number} {say.COUNTS[language][slot][value > 1]}"


def at_hour(language: str, hour: int) -> str:
    """`at 8 in the evening`, `à 20 h`."""
    if language == "fr":
        return f"à {hour} h"
    part = "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"
    return f"at {hour if hour < 12 else hour - 12} in the {part}"


def said_alone(language: str, slot: str, value: Value) -> str:
    """A value by itself: `four people`, `on Friday`, `to Lyon`."""
    if slot in say.COUNTED:
        return counted(language, slot, int(value))
    if slot == "day":
        return f"on {say.DAYS[language][int(value)]}" if language == "en" else say.DAYS[language][int(value)]
    if slot == "hour":
        return at_hour(language, int(value))
    if slot == "city":
        return f"{'to' if language == 'en' else 'à'} {value}"
    if slot == "kind":
        return say.KINDS[language][int(value)]
    if slot == "size":
        return say.SIZES[language][int(value)]
    return str(value)


def composed(domain: str, language: str, known: dict[str, Value]) -> str:
    """Everything known, as one phrase: `a table for four people on Friday`, `two large ham pizzas`."""
    if domain == "pizza":
        return _composed_pizza(language, known)
    is_en = language == "en"
    said = {slot: said_alone(language, slot, value) for slot, value in known.items()}
    if domain == "train":
        head = said.get("tickets", "train tickets" if is_en else "des billets de train")
        parts = [head, said.get("city", ""), said.get("day", "")]
        if not is_en and "city" in said:
            parts[1] = f"pour {known['city']}"
    else:
        who = f"{'for' if is_en else 'pour'} {said.get('people') or said.get('name')}"
        heads = {"table": ("a table", "une table"), "haircut": ("an appointment", "un rendez-vous")}
        has_who = "people" in said or "name" in said
        parts = [heads[domain][not is_en], who if has_who else "", said.get("day", ""), said.get("hour", "")]
    return " ".join(filter(None, parts))


def _composed_pizza(language: str, known: dict[str, Value]) -> str:
    number, size, kind = (known.get(slot) for slot in ("pizzas", "size", "kind"))
    is_one = number == 1
    if language == "en":
        words = [to_words(int(number), "en") if number else "some",
                 say.SIZES["en"][int(size)] if size is not None else "",
                 say.KINDS["en"][int(kind)] if kind is not None else "", "pizza" if is_one else "pizzas"]  # fmt: skip
        return " ".join(filter(None, words))
    plural = "" if is_one else "s"
    some = "des" if size is None else "de"
    words = [feminine(to_words(int(number), "fr")) if number else some,
             say.SIZES["fr"][int(size)] + plural if size is not None else "", f"pizza{plural}",
             say.KINDS["fr"][int(kind)] if kind is not None else ""]  # fmt: skip
    return " ".join(filter(None, words))


def capital(text: str) -> str:
    """`text` with a large first letter."""
    return text[0].upper() + text[1:]
