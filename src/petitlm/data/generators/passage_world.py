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
        self.has_acted.add(who)
        if to:
            self.has_acted.add(to)
        if verb in ("is", "go"):
            assert place is not None
            self.place_of[who] = place
            self.decider[who] = verb
            for held, holder in self.holder_of.items():
                if holder == who:
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


def live(
    rng: Random, n_events: int, n_people: tuple[int, ...] = (2, 2, 3), n_things: int = 2, n_places: int = 3
) -> tuple[list[Event], World]:
    """Draw events that make sense one after the other, and the world they leave; `n_people` is one of those given."""
    people: list[str] = []
    for _ in range(rng.choice(n_people)):
        people.append(draw_name(rng, people))
    things = rng.sample(THINGS, n_things)
    places = rng.sample(PLACES, n_places)
    world = World()
    events: list[Event] = []
    for _ in range(n_events):
        event = _next_event(rng, world, people, things, places)
        world.happen(event)
        events.append(event)
    return events, world


_ACTS = ("move", "move", "take", "drop", "give", "lies")
_ARRIVALS = ("is", "go")


def _next_event(rng: Random, world: World, people: list[str], things: list[Noun], places: list[Noun]) -> Event:
    """The first of random events that can happen in `world`."""
    choice, place_of, bits = rng.choice, world.place_of, rng.getrandbits
    n_people, n_acts = len(people), len(_ACTS)
    people_bits, act_bits = n_people.bit_length(), n_acts.bit_length()
    while True:
        # `choice(people)` and `choice(_ACTS)` written out: they are a third of the time that an event takes.
        while (at := bits(people_bits)) >= n_people:
            pass
        who = people[at]
        while (at := bits(act_bits)) >= n_acts:
            pass
        verb = _ACTS[at]
        if verb == "move":
            place = choice(places)
            # "is" after an act could be read as the place of that act, so it only introduces a person.
            verb = "go" if who in world.has_acted else choice(_ARRIVALS)
            if place is not place_of.get(who):
                return Event(verb, who, None, place)
            continue
        thing = choice(things)
        if verb == "lies":
            if thing not in world.decider:
                return Event("lies", "", thing, choice(places))
            continue
        holder = world.holder_of.get(thing)
        if verb == "take":
            where = world.lies_in.get(thing)
            if holder is None and (where is None or where is place_of.get(who)):
                return Event("take", who, thing)
        elif holder is None:
            continue
        elif verb == "drop":
            return Event("drop", holder, thing)
        elif who != holder and place_of.get(who) is place_of.get(holder):
            return Event("give", holder, thing, None, who)


def outline(events: list[Event]) -> tuple[str, str]:
    """Verbs with people numbered by appearance, `is0.take0.go1`, and the people, things and places themselves."""
    order = {"": ""}
    verbs: list[str] = []
    fillers: list[str] = []
    for verb, who, thing, place, to in events:
        for name in (who, to):
            if name not in order:
                order[name] = str(len(order) - 1)
        verbs.append(f"{verb}{order[who]}{order[to]}")
        fillers.append(f"{who}+{thing.en if thing else ''}+{place.en if place else ''}+{to}")
    return ".".join(verbs), ",".join(fillers)
