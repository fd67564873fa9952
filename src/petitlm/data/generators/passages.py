"""Questions over a short given text about people, places and things, English and French: the generator.

A small world runs through a few events; the text tells the events, the answer is read from the world. What the text
does not tell is answered so (`The text does not say.`), never guessed.
Levels: 0 to 3 two to five sentences; 4 seven sentences and 5 ten, with more people, things and places, and with
questions about the past of the passage and about numbers (`passage_history`).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeAlias

from petitlm.data.generators.french import accented, elide
from petitlm.data.generators.passage_history import HELD_OUT, HISTORY
from petitlm.data.generators.passage_words import NOT_SAID, PLACES, TELL, THINGS, Noun
from petitlm.data.generators.passage_world import Event, World, draw_name, live, outline
from petitlm.data.generators.typing_habits import in_haste
from petitlm.data.record import Problem

FAMILY = "passages"
VERSION = 1
LEVEL_WEIGHTS = (4, 4, 3, 2, 0, 0)
CATEGORY = "reading"


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a question settled by a kind of event it is never settled by there."""
    question, decider, _ = structure.split("/", 2)
    return (question, decider) in _HELD_OUT


_HELD_OUT = frozenset({("where-thing", "give"), ("yes-no", "is"), ("who-has", "carry"), ("what-has", "give")})
_HELD_OUT |= HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one passage with its question; with `held_out`, one of a structure that training never sees."""
    return draw_conversation(rng, language, level, held_out, 1)[0]


def draw_conversation(rng: Random, language: str, level: int, held_out: bool, n_questions: int) -> list[Problem]:
    """Make `n_questions` different questions about one passage; `held_out` is about the last, the others are not."""
    while True:
        events, world = live(rng, 2 + level) if level < 4 else live(rng, *_CROWDS[level])
        wanted = [False] * (n_questions - 1) + [held_out]
        asked = [_ask(rng, language, level, world, events, held) for held in wanted]
        if None not in asked and (n_questions == 1 or len(set(asked)) == n_questions):
            break
    told = _told(rng, language, events)
    return [_problem(language, level, told, each, in_haste(rng, each.question)) for each in asked if each]


# Of the longer levels: events, numbers of people to choose from, things, places.
_CROWDS = {4: (7, (3,), 3, 3), 5: (10, (3, 4), 4, 4)}


class _Asked(NamedTuple):
    question: str
    answer: str
    structure: str
    key: str


def _ask(rng: Random, language: str, level: int, world: World, events: list[Event], held_out: bool) -> _Asked | None:
    """A question about the world after `events`; None if the kinds drawn have none of the wanted structure."""
    # A long passage is asked again before it is thrown away; short ones never were, and keep what a seed gives.
    kinds, n_tries = (_KINDS, 1) if level < 4 else (_LONG_KINDS, 6)
    for _ in range(n_tries):
        kind = rng.choice(kinds)
        if kind in _QUESTIONS:
            found = _QUESTIONS[kind](rng, language, world)
        else:
            found = HISTORY[kind](rng, language, events, world)
        if found is not None and ((kind, found[2]) in _HELD_OUT) == held_out:
            question, answer, decider, subject = found
            verbs, fillers = outline(events)
            structure = f"{kind}/{decider}/{verbs}"
            return _Asked(question, answer, structure, f"{FAMILY}:{structure}:{fillers}:{subject}")
    return None


def _problem(language: str, level: int, told: str, asked: _Asked, question: str) -> Problem:
    spelled = accented if language == "fr" else str
    question, answer, told = spelled(question), spelled(asked.answer), spelled(told)
    return Problem(FAMILY, language, level, asked.structure, asked.key, question, answer, told)


def _told(rng: Random, language: str, events: list[Event]) -> str:
    placed: set[str] = set()
    sentences: list[str] = []
    for event in events:
        if event.place:
            placed.add(event.who)
        sentences.append(_tell(rng, language, event, event.who in placed))
    return " ".join(sentences)


def _tell(rng: Random, language: str, event: Event, is_placed: bool) -> str:
    """The sentence of an event; `is_placed`: the text tells where it happens, so it may say `there`."""
    verb, who, thing, place, to = event
    templates = TELL[language][verb]
    template = rng.choice(templates if is_placed else templates[:1])
    if thing is None:
        assert place is not None
        return template.format(who, place.definite(language))
    name = thing.definite(language)
    if verb == "lies":
        assert place is not None
        return template.format(name[0].upper() + name[1:], place.definite(language))
    return template.format(who, name, to)


_Found: TypeAlias = tuple[str, str, str, str] | None
"""Question, answer, kind of event that settles it ("unsaid" if none), subject of the question."""


def _in(place: Noun, language: str) -> str:
    return f"{'in' if language == 'en' else 'dans'} {place.definite(language)}"


def _is(language: str) -> str:
    return "is" if language == "en" else "est"


def _ask_where_person(rng: Random, language: str, world: World) -> _Found:
    told = list(world.place_of)
    unsaid = not told or rng.random() < 0.15
    who = draw_name(rng, told) if unsaid else rng.choice(told)
    question = f"Where is {who}?" if language == "en" else f"Où est {who} ?"
    if unsaid:
        return question, NOT_SAID[language], "unsaid", who
    return question, f"{who} {_is(language)} {_in(world.place_of[who], language)}.", world.decider[who], who


def _ask_where_thing(rng: Random, language: str, world: World) -> _Found:
    told = list(world.holder_of)
    if not told or rng.random() < 0.12:
        thing = rng.choice([thing for thing in THINGS if thing not in told])
    else:
        thing = rng.choice(told)
    name = thing.definite(language)
    question = f"Where is {name}?" if language == "en" else f"Où est {name} ?"
    place = world.whereabouts(thing)
    if place is None:
        return question, NOT_SAID[language], "unsaid", thing.en
    answer = f"{name[0].upper()}{name[1:]} {_is(language)} {_in(place, language)}."
    return question, answer, world.decider[thing], thing.en


def _ask_who_has(rng: Random, language: str, world: World) -> _Found:
    told = [thing for thing, holder in world.holder_of.items() if holder]
    if rng.random() < 0.2:
        thing = rng.choice([thing for thing in THINGS if thing not in world.holder_of])
    elif told:
        thing = rng.choice(told)
    else:
        return None
    name = thing.definite(language)
    question = f"Who has {name}?" if language == "en" else f"Qui a {name} ?"
    holder = world.holder_of.get(thing)
    if not holder:
        return question, NOT_SAID[language], "unsaid", thing.en
    return question, f"{holder} {'has' if language == 'en' else 'a'} {name}.", world.decider[thing], thing.en


def _ask_what_has(rng: Random, language: str, world: World) -> _Found:
    holders = [who for who in dict.fromkeys(world.holder_of.values()) if who]
    if holders and rng.random() < 0.8:
        who = rng.choice(holders)
    else:
        # Not one who gave everything away: whether that leaves nothing, the text does not settle.
        present = [name for name in world.place_of if name not in world.has_held]
        who = rng.choice(present) if present and rng.random() < 0.6 else draw_name(rng, world.has_acted)
    held = world.held_by(who)
    question = f"What does {who} have?" if language == "en" else f"Qu'est-ce {elide('que', who)} a ?"
    if not held:
        return question, NOT_SAID[language], "unsaid", who
    joint, has = (" and ", "has") if language == "en" else (" et ", "a")
    answer = f"{who} {has} {joint.join(thing.definite(language) for thing in held)}."
    return question, answer, world.decider[held[-1]] if len(held) == 1 else "several", who


def _ask_yes_no(rng: Random, language: str, world: World) -> _Found:
    told = list(world.place_of)
    if not told:
        return None
    who = rng.choice(told)
    place = world.place_of[who]
    asked = place if rng.random() < 0.5 else rng.choice([other for other in PLACES if other != place])
    if language == "en":
        question, yes, no = f"Is {who} {_in(asked, language)}?", "Yes", "No"
    else:
        question, yes, no = f"Est-ce {elide('que', who)} est {_in(asked, language)} ?", "Oui", "Non"
    answer = f"{yes if asked == place else no}, {who} {_is(language)} {_in(place, language)}."
    return question, answer, world.decider[who], f"{who}+{asked.en}"


def _ask_who_in(rng: Random, language: str, world: World) -> _Found:
    told = list(dict.fromkeys(world.place_of.values()))
    place = rng.choice(told) if told and rng.random() < 0.8 else rng.choice(PLACES)
    there = [who for who, where in world.place_of.items() if where == place]
    is_in = f"{_is(language)} {_in(place, language)}"
    question = f"Who {is_in}?" if language == "en" else f"Qui {is_in} ?"
    if not there:
        return question, NOT_SAID[language], "unsaid", place.en
    if len(there) == 1:
        return question, f"{there[0]} {is_in}.", world.decider[there[0]], place.en
    joint, are = (" and ", "are") if language == "en" else (" et ", "sont")
    return question, f"{joint.join(there)} {are} {_in(place, language)}.", "several", place.en


_QUESTIONS: dict[str, Callable[[Random, str, World], _Found]] = {
    "where-person": _ask_where_person,
    "where-thing": _ask_where_thing,
    "who-has": _ask_who_has,
    "what-has": _ask_what_has,
    "yes-no": _ask_yes_no,
    "who-in": _ask_who_in,
}
_KINDS = tuple(_QUESTIONS)
_LONG_KINDS = (*_KINDS, *HISTORY, *HISTORY)
