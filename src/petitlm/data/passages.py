"""Questions over a short given text about people, places and things, English and French: the generator.

A small world runs through a few events; the text tells the events, the answer is read from the world. What the text
does not tell is answered so (`The text does not say.`), never guessed.
Levels: number of sentences, 2 to 5.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeAlias

from petitlm.data.french import accented, elide
from petitlm.data.passage_words import NAMES, NOT_SAID, PLACES, TELL, THINGS, Noun
from petitlm.data.record import Problem

FAMILY = "passages"
VERSION = 1
LEVEL_WEIGHTS = (4, 4, 3, 2)


class Event(NamedTuple):
    """Something that happens.

    `is`, `go`: a person and a place. `take`, `drop`: a person and a thing. `give`: with the person it goes `to`.
    `lies`: a thing and a place.
    """

    verb: str
    who: str = ""
    thing: Noun | None = None
    place: Noun | None = None
    to: str = ""


class World:
    """Who and what is where, as far as the events tell; `decider` remembers which kind of event settled each fact."""

    def __init__(self) -> None:
        self.place_of: dict[str, Noun] = {}
        self.holder_of: dict[Noun, str | None] = {}
        self.lies_in: dict[Noun, Noun | None] = {}
        self.decider: dict[str | Noun, str] = {}
        self.has_acted: set[str] = set()
        self.has_held: set[str] = set()

    def happen(self, event: Event) -> None:
        """Change the world by one event."""
        verb, who, thing, place, to = event
        self.has_acted |= {who, to}
        if verb in ("is", "go"):
            assert place is not None
            self.place_of[who] = place
            self.decider[who] = verb
            for held in self.held_by(who):
                self.decider[held] = "carry"
            return
        assert thing is not None
        self.decider[thing] = verb
        if verb == "lies":
            self.holder_of[thing], self.lies_in[thing] = None, place
        elif verb == "drop":
            self.holder_of[thing], self.lies_in[thing] = None, self.place_of.get(who)
        else:
            self.holder_of[thing] = holder = to if verb == "give" else who
            self.has_held.add(holder)

    def held_by(self, who: str) -> list[Noun]:
        """The things that `who` holds."""
        return [thing for thing, holder in self.holder_of.items() if holder == who]

    def whereabouts(self, thing: Noun) -> Noun | None:
        """Where `thing` is, with whoever holds it; None if the events do not tell."""
        holder = self.holder_of.get(thing)
        return self.place_of.get(holder) if holder else self.lies_in.get(thing)


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: a question settled by a kind of event it is never settled by there."""
    question, decider, _ = structure.split("/", 2)
    return (question, decider) in _HELD_OUT


_HELD_OUT = frozenset({("where-thing", "give"), ("yes-no", "is"), ("who-has", "carry"), ("what-has", "give")})


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one passage with its question; with `held_out`, one of a structure that training never sees."""
    return draw_conversation(rng, language, level, held_out, 1)[0]


def draw_conversation(rng: Random, language: str, level: int, held_out: bool, n_questions: int) -> list[Problem]:
    """Make `n_questions` different questions about one passage; `held_out` is about the last, the others are not."""
    while True:
        events, world = _live(rng, 2 + level)
        wanted = [False] * (n_questions - 1) + [held_out]
        asked = [_ask(rng, language, world, events, held) for held in wanted]
        if None not in asked and len(set(asked)) == n_questions:
            break
    told = _told(rng, language, events)
    return [_problem(language, level, told, question) for question in asked if question]


class _Asked(NamedTuple):
    question: str
    answer: str
    structure: str
    key: str


def _ask(rng: Random, language: str, world: World, events: list[Event], held_out: bool) -> _Asked | None:
    """A question about the world after `events`; None if the kind drawn has none of the wanted structure."""
    kind = rng.choice(_KINDS)
    found = _QUESTIONS[kind](rng, language, world)
    if found is None:
        return None
    question, answer, decider, subject = found
    structure = f"{kind}/{decider}/{_pattern(events)}"
    if is_held_out(structure) != held_out:
        return None
    return _Asked(question, answer, structure, f"{FAMILY}:{structure}:{','.join(map(_fillers, events))}:{subject}")


def _problem(language: str, level: int, told: str, asked: _Asked) -> Problem:
    spelled = accented if language == "fr" else str
    question, answer, told = spelled(asked.question), spelled(asked.answer), spelled(told)
    return Problem(FAMILY, language, level, asked.structure, asked.key, question, answer, told)


def _live(rng: Random, n_events: int) -> tuple[list[Event], World]:
    """Draw events that make sense one after the other, and the world they leave."""
    people: list[str] = rng.sample(NAMES, rng.choice((2, 2, 3)))
    things = rng.sample(THINGS, 2)
    places = rng.sample(PLACES, 3)
    world = World()
    events: list[Event] = []
    while len(events) < n_events:
        event = _next_event(rng, world, people, things, places)
        if event is not None:
            world.happen(event)
            events.append(event)
    return events, world


def _next_event(rng: Random, world: World, people: list[str], things: list[Noun], places: list[Noun]) -> Event | None:
    who = rng.choice(people)
    verb = rng.choice(("move", "move", "take", "drop", "give", "lies"))
    if verb == "move":
        place = rng.choice(places)
        here = world.place_of.get(who)
        # "is" after an act could be read as the place of that act, so it only introduces a person.
        verb = "go" if who in world.has_acted else rng.choice(("is", "go"))
        return None if place == here else Event(verb, who, place=place)
    thing = rng.choice(things)
    holder = world.holder_of.get(thing)
    if verb == "lies":
        return None if thing in world.decider else Event("lies", thing=thing, place=rng.choice(places))
    if verb == "take":
        where = world.whereabouts(thing)
        reachable = where is None or where == world.place_of.get(who)
        return Event("take", who, thing) if holder is None and reachable else None
    if holder is None:
        return None
    if verb == "drop":
        return Event("drop", holder, thing)
    if who == holder or world.place_of.get(who) != world.place_of.get(holder):
        return None
    return Event("give", holder, thing, to=who)


def _fillers(event: Event) -> str:
    return "+".join((event.who, event.thing.en if event.thing else "", event.place.en if event.place else "", event.to))


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
    thing = event.thing.definite(language) if event.thing else ""
    place = event.place.definite(language) if event.place else ""
    templates = TELL[language][event.verb]
    template = rng.choice(templates if is_placed else templates[:1])
    return template.format(p=event.who, q=event.to, o=thing, O=thing[:1].upper() + thing[1:], x=place)


def _pattern(events: list[Event]) -> str:
    """Verbs with people numbered by appearance: `is0.take0.go1`."""
    order: dict[str, int] = {}
    for event in events:
        for name in (event.who, event.to):
            if name:
                order.setdefault(name, len(order))
    return ".".join(f"{e.verb}{order.get(e.who, '')}{order.get(e.to, '')}" for e in events)


_Found: TypeAlias = tuple[str, str, str, str] | None
"""Question, answer, kind of event that settles it ("unsaid" if none), subject of the question."""


def _in(place: Noun, language: str) -> str:
    return f"{'in' if language == 'en' else 'dans'} {place.definite(language)}"


def _is(language: str) -> str:
    return "is" if language == "en" else "est"


def _ask_where_person(rng: Random, language: str, world: World) -> _Found:
    told = list(world.place_of)
    unsaid = not told or rng.random() < 0.15
    who = rng.choice([name for name in NAMES if name not in world.place_of]) if unsaid else rng.choice(told)
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
        absent = [name for name in NAMES if name not in world.has_acted]
        who = rng.choice(present if present and rng.random() < 0.6 else absent)
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


_QUESTIONS: dict[str, Callable[[Random, str, World], _Found]] = {
    "where-person": _ask_where_person,
    "where-thing": _ask_where_thing,
    "who-has": _ask_who_has,
    "what-has": _ask_what_has,
    "yes-no": _ask_yes_no,
}
_KINDS = tuple(_QUESTIONS)
