"""Questions about how the facts of a passage came about, for its longer levels: before, first, from whom, how many."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from petitlm.data.generators.passage_words import NOT_SAID, PLACES, THINGS, Noun
from petitlm.data.generators.passage_world import Event, World

Found: TypeAlias = tuple[str, str, str, str] | None
"""Question, answer, what settles it ("unsaid" if nothing), subject of the question."""

HELD_OUT = frozenset({("before", "is"), ("first-taker", "lies"), ("giver", "twice"), ("how-many-in", "one")})


def _in(place: Noun, language: str) -> str:
    return f"{'in' if language == 'en' else 'dans'} {place.definite(language)}"


def _ask_before(rng: Random, language: str, events: list[Event], world: World) -> Found:
    """Only about a place that the person came to once: otherwise there are several times before it."""
    stays: dict[str, list[tuple[str, Noun]]] = {}
    for event in events:
        if event.place is not None and event.who:
            stays.setdefault(event.who, []).append((event.verb, event.place))
    if not stays:
        return None
    who = rng.choice(list(stays))
    places = [place for _, place in stays[who]]
    once = [at for at, place in enumerate(places) if places.count(place) == 1]
    if not once:
        return None
    at = rng.choice(once)
    place = places[at].definite(language)
    if language == "en":
        question = f"Where was {who} before going to {place}?"
    else:
        question = f"Où était {who} avant d'aller dans {place} ?"
    subject = f"{who}+{places[at].en}"
    if at == 0:
        return question, NOT_SAID[language], "unsaid", subject
    was = "was" if language == "en" else "était"
    return question, f"{who} {was} {_in(places[at - 1], language)}.", stays[who][at - 1][0], subject


def _ask_first_taker(rng: Random, language: str, events: list[Event], world: World) -> Found:
    taken = [event for event in events if event.verb == "take"]
    things = list(dict.fromkeys(event.thing for event in taken if event.thing))
    thing = rng.choice(things) if things and rng.random() < 0.85 else rng.choice([t for t in THINGS if t not in things])
    name = thing.definite(language)
    question = f"Who was the first to take {name}?" if language == "en" else f"Qui a pris {name} en premier ?"
    if thing not in things:
        return question, NOT_SAID[language], "unsaid", thing.en
    who = next(event.who for event in taken if event.thing is thing)
    decider = "lies" if any(event.verb == "lies" and event.thing is thing for event in events) else "take"
    answer = f"{who} was the first to take {name}." if language == "en" else f"{who} a pris {name} en premier."
    return question, answer, decider, thing.en


def _ask_giver(rng: Random, language: str, events: list[Event], world: World) -> Found:
    given = [event for event in events if event.verb == "give"]
    if not given:
        return None
    one = rng.choice(given)
    assert one.thing is not None
    thing, to = one.thing, one.to
    if rng.random() < 0.2:
        to = rng.choice(list(dict.fromkeys(event.who for event in events if event.who)))
    givers = list(dict.fromkeys(event.who for event in given if event.thing is thing and event.to == to))
    if len(givers) > 1:
        return None
    name = thing.definite(language)
    question = f"Who gave {name} to {to}?" if language == "en" else f"Qui a donné {name} à {to} ?"
    subject = f"{thing.en}+{to}"
    if not givers:
        return question, NOT_SAID[language], "unsaid", subject
    decider = "twice" if sum(event.thing is thing for event in given) > 1 else "once"
    gave = "gave" if language == "en" else "a donné"
    return question, f"{givers[0]} {gave} {name} {'to' if language == 'en' else 'à'} {to}.", decider, subject


def _ask_how_many_in(rng: Random, language: str, events: list[Event], world: World) -> Found:
    """Only where the text tells of everybody where they are."""
    people = {name for event in events for name in (event.who, event.to) if name}
    places = list(dict.fromkeys(world.place_of.values()))
    if people != set(world.place_of) or not places:
        return None
    place = rng.choice(places) if rng.random() < 0.9 else rng.choice(PLACES)
    n = sum(where is place for where in world.place_of.values())
    if n == 0:
        return None
    where = _in(place, language)
    if language == "en":
        answer = f"{n} {'person is' if n == 1 else 'people are'} {where}."
        return f"How many people are {where}?", answer, "one" if n == 1 else "many", place.en
    answer = f"{n} {'personne est' if n == 1 else 'personnes sont'} {where}."
    return f"Combien de personnes sont {where} ?", answer, "one" if n == 1 else "many", place.en


def _ask_how_many_held(rng: Random, language: str, events: list[Event], world: World) -> Found:
    holders = [who for who in dict.fromkeys(world.holder_of.values()) if who]
    if not holders:
        return None
    who = rng.choice(holders)
    n = len(world.held_by(who))
    if language == "en":
        return f"How many things does {who} have?", f"{who} has {n} {'thing' if n == 1 else 'things'}.", "held", who
    return f"Combien d'objets a {who} ?", f"{who} a {n} {'objet' if n == 1 else 'objets'}.", "held", who


HISTORY: dict[str, Callable[[Random, str, list[Event], World], Found]] = {
    "before": _ask_before,
    "first-taker": _ask_first_taker,
    "giver": _ask_giver,
    "how-many-in": _ask_how_many_in,
    "how-many-held": _ask_how_many_held,
}
