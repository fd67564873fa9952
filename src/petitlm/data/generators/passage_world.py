"""A small world of people, places and things that a few random events run through."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import NamedTuple

from petitlm.data.generators.passage_words import NAMES, PLACES, SYLLABLES, THINGS, Noun


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


def draw_name(rng: Random, taken: Collection[str] = ()) -> str:
    """A first name that is not `taken`; one in four is invented, so that names are copied, not learned by heart."""
    while True:
        name = rng.choice(NAMES)
        if rng.random() < 0.25:
            name = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()
        if name not in taken:
            return name


def live(rng: Random, n_events: int) -> tuple[list[Event], World]:
    """Draw events that make sense one after the other, and the world they leave."""
    people: list[str] = []
    for _ in range(rng.choice((2, 2, 3))):
        people.append(draw_name(rng, people))
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


def pattern(events: list[Event]) -> str:
    """Verbs with people numbered by appearance: `is0.take0.go1`."""
    order: dict[str, int] = {}
    for event in events:
        for name in (event.who, event.to):
            if name:
                order.setdefault(name, len(order))
    return ".".join(f"{e.verb}{order.get(e.who, '')}{order.get(e.to, '')}" for e in events)
