"""Questions over a given text: the second route. Reads the sentences and looks for the answer backwards from the end.

The generator keeps a world up to date; this route keeps none: it asks of each fact which sentence last settled it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from petitlm.data.record import Problem

_NOT_SAID = {"en": "The text does not say.", "fr": "Le texte ne le dit pas."}
_THING = {"en": r"the \w+", "fr": r"(?:la |le |l')\w+"}
_OPENING_THING = {"en": r"The \w+", "fr": r"(?:La |Le |L')\w+"}
# What a verb tells: with whom or what it begins, and what may follow the thing or place behind it.
_VERBS = {
    "en": {
        "is in": "place", "goes to": "place", "walks to": "place", "takes": "take", "picks up": "take",
        "puts down": "drop", "leaves": "leave", "gives": "give",
    },
    "fr": {
        "est dans": "place", "va dans": "place", "entre dans": "place", "prend": "take", "ramasse": "take",
        "pose": "drop", "laisse": "leave", "donne": "give",
    },
}  # fmt: skip
_TAIL = {"en": r"(?: to (\w+)| (there))?", "fr": r"(?: à (\w+)| (là))?"}
_SENTENCE = {
    language: re.compile(rf"(?:({_OPENING_THING[language]})|(\w+)) ({'|'.join(verbs)}) ({thing}){_TAIL[language]}")
    for (language, verbs), thing in zip(_VERBS.items(), _THING.values(), strict=True)
}
_QUESTIONS = {
    "en": (
        ("where-thing", re.compile(rf"Where is ({_THING['en']})")),
        ("where-person", re.compile(r"Where is (\w+)")),
        ("who-in", re.compile(rf"Who is in ({_THING['en']})")),
        ("who-has", re.compile(rf"Who has ({_THING['en']})")),
        ("what-has", re.compile(r"What does (\w+) have")),
        ("yes-no", re.compile(rf"Is (\w+) in ({_THING['en']})")),
    ),
    "fr": (
        ("where-thing", re.compile(rf"Où est ({_THING['fr']})")),
        ("where-person", re.compile(r"Où est (\w+)")),
        ("who-in", re.compile(rf"Qui est dans ({_THING['fr']})")),
        ("who-has", re.compile(rf"Qui a ({_THING['fr']})")),
        ("what-has", re.compile(r"Qu'est-ce qu(?:e |')(\w+) a")),
        ("yes-no", re.compile(rf"Est-ce qu(?:e |')(\w+) est dans ({_THING['fr']})")),
    ),
}


class _Event(NamedTuple):
    verb: str
    who: str
    thing: str
    place: str
    to: str


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or cannot be derived from its text; None if it is right."""
    events: list[_Event] = []
    for sentence in problem.context.removesuffix(".").split(". "):
        event = _read(sentence, problem.language)
        if event is None:
            return f"cannot read the sentence {sentence!r}"
        events.append(event)
    asked = problem.question.rstrip("? ")
    asked = asked[:1].upper() + asked[1:]
    for kind, pattern in _QUESTIONS[problem.language]:
        if found := pattern.fullmatch(asked):
            wanted = _answer(kind, found.groups(), events, problem.language)
            return None if problem.answer == wanted else f"the text gives {wanted!r}, not {problem.answer!r}"
    return f"cannot read the question {problem.question!r}"


def _read(sentence: str, language: str) -> _Event | None:
    found = _SENTENCE[language].fullmatch(sentence)
    if not found:
        return None
    opening_thing, who, phrase, named, to, there = found.groups()
    verb = _VERBS[language][phrase]
    if (to is not None) != (verb == "give") or (there is not None) != (verb == "leave"):
        return None
    if opening_thing:
        return _Event("lies", "", _lower_first(opening_thing), named, "") if phrase in ("is in", "est dans") else None
    if verb == "place":
        return _Event(verb, who, "", named, "")
    return _Event("drop" if verb == "leave" else verb, who, named, "", to or "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place_of(person: str, events: list[_Event]) -> str:
    return next((e.place for e in reversed(events) if e.verb == "place" and e.who == person), "")


def _last_about(thing: str, events: list[_Event]) -> tuple[int, _Event] | None:
    return next(((i, events[i]) for i in reversed(range(len(events))) if events[i].thing == thing), None)


def _holder_of(thing: str, events: list[_Event]) -> str:
    last = _last_about(thing, events)
    return {"take": last[1].who, "give": last[1].to}.get(last[1].verb, "") if last else ""


def _where(thing: str, events: list[_Event]) -> str:
    last = _last_about(thing, events)
    if last is None:
        return ""
    index, event = last
    if event.verb == "lies":
        return event.place
    if event.verb == "drop":
        return _place_of(event.who, events[:index])
    return _place_of(_holder_of(thing, events), events)


def _answer(kind: str, asked: tuple[str, ...], events: list[_Event], language: str) -> str:
    is_in, has, joint = ("is in", "has", " and ") if language == "en" else ("est dans", "a", " et ")
    subject = asked[0]
    person = subject[:1].upper() + subject[1:]
    if kind in ("where-person", "where-thing", "yes-no"):
        place = _where(subject, events) if kind == "where-thing" else _place_of(subject, events)
        if not place:
            return _NOT_SAID[language]
        opening = ""
        if kind == "yes-no":
            opening = ({"en": "Yes, ", "fr": "Oui, "} if place == asked[1] else {"en": "No, ", "fr": "Non, "})[language]
        return f"{opening}{person} {is_in} {place}."
    if kind == "who-has":
        holder = _holder_of(subject, events)
        return f"{holder[:1].upper()}{holder[1:]} {has} {subject}." if holder else _NOT_SAID[language]
    if kind == "who-in":
        people = dict.fromkeys(e.who for e in events if e.verb == "place")
        there = [who[:1].upper() + who[1:] for who in people if _place_of(who, events) == subject]
        is_in = is_in if len(there) < 2 else "are in" if language == "en" else "sont dans"
        return f"{joint.join(there)} {is_in} {subject}." if there else _NOT_SAID[language]
    things = list(dict.fromkeys(e.thing for e in events if e.thing))
    held = [thing for thing in things if _holder_of(thing, events) == subject]
    return f"{person} {has} {joint.join(held)}." if held else _NOT_SAID[language]
