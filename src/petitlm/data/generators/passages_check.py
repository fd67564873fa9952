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
        ("before", re.compile(rf"Where was (\w+) before going to ({_THING['en']})")),
        ("first-taker", re.compile(rf"Who was the first to take ({_THING['en']})")),
        ("giver", re.compile(rf"Who gave ({_THING['en']}) to (\w+)")),
        ("how-many-in", re.compile(rf"How many people are in ({_THING['en']})")),
        ("how-many-held", re.compile(r"How many things does (\w+) have")),
    ),
    "fr": (
        ("where-thing", re.compile(rf"Où est ({_THING['fr']})")),
        ("where-person", re.compile(r"Où est (\w+)")),
        ("who-in", re.compile(rf"Qui est dans ({_THING['fr']})")),
        ("who-has", re.compile(rf"Qui a ({_THING['fr']})")),
        ("what-has", re.compile(r"Qu'est-ce qu(?:e |')(\w+) a")),
        ("yes-no", re.compile(rf"Est-ce qu(?:e |')(\w+) est dans ({_THING['fr']})")),
        ("before", re.compile(rf"Où était (\w+) avant d'aller dans ({_THING['fr']})")),
        ("first-taker", re.compile(rf"Qui a pris ({_THING['fr']}) en premier")),
        ("giver", re.compile(rf"Qui a donné ({_THING['fr']}) à (\w+)")),
        ("how-many-in", re.compile(rf"Combien de personnes sont dans ({_THING['fr']})")),
        ("how-many-held", re.compile(r"Combien d'objets a (\w+)")),
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
            answer = _history if kind in _HISTORY_KINDS else _answer
            wanted = answer(kind, found.groups(), events, problem.language)
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


_HISTORY_KINDS = frozenset({"before", "first-taker", "giver", "how-many-in", "how-many-held"})


def _history(kind: str, asked: tuple[str, ...], events: list[_Event], language: str) -> str:
    """The answer to a question about the past of the passage, or about how many."""
    subject, is_english = asked[0], language == "en"
    if kind == "before":
        last = ""
        for event in events:
            if event.verb == "place" and event.who == subject:
                if event.place == asked[1]:
                    break
                last = event.place
        return f"{subject} {'was in' if is_english else 'était dans'} {last}." if last else _NOT_SAID[language]
    if kind == "first-taker":
        taker = next((event.who for event in events if event.verb == "take" and event.thing == subject), "")
        said = f"{taker} was the first to take {subject}." if is_english else f"{taker} a pris {subject} en premier."
        return said if taker else _NOT_SAID[language]
    if kind == "giver":
        givers = {e.who for e in events if e.verb == "give" and e.thing == subject and e.to == asked[1]}
        gave, to = ("gave", "to") if is_english else ("a donné", "à")
        return f"{' and '.join(sorted(givers))} {gave} {subject} {to} {asked[1]}." if givers else _NOT_SAID[language]
    if kind == "how-many-held":
        n = sum(_holder_of(thing, events) == subject for thing in {e.thing for e in events if e.thing})
        things = ("thing" if n == 1 else "things") if is_english else ("objet" if n == 1 else "objets")
        return f"{subject} {'has' if is_english else 'a'} {n} {things}."
    people = {name for e in events for name in (e.who, e.to) if name}
    places = [_place_of(who, events) for who in people]
    if "" in places:
        return _NOT_SAID[language]
    n = places.count(subject)
    if is_english:
        return f"{n} {'person is' if n == 1 else 'people are'} in {subject}."
    return f"{n} {'personne est' if n == 1 else 'personnes sont'} dans {subject}."
