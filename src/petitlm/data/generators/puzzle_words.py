"""People, things and small words that the puzzles share, in English and French."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from petitlm.data.generators.french import accented, elide
from petitlm.data.generators.passage_words import THINGS, Noun

ORDINALS = {
    "en": ("first", "second", "third", "fourth", "fifth", "sixth"),
    "fr": ("premier", "deuxième", "troisième", "quatrième", "cinquième", "sixième"),
}
NAMES = {
    True: ("Lea", "Anna", "Emma", "Alice", "Nora", "Julie", "Sara", "Clara", "Zoe", "Ines", "Marie", "Rosa", "Louise",
           "Eva", "Lucie", "Elsa", "Jeanne", "Manon", "Sofia", "Amina"),
    False: ("Tom", "Paul", "Hugo", "Leo", "Adam", "Lucas", "Max", "Victor", "Felix", "Simon", "Oscar", "Karim", "Noah",
            "Jules", "Martin", "Arthur", "Nathan", "Omar", "Thomas", "Daniel"),
}  # fmt: skip


class Entity(NamedTuple):
    """Somebody or something that a puzzle is about."""

    key: str
    """The same in both languages."""
    said: str
    is_feminine: bool
    is_thing: bool = False


def draw_people(rng: Random, n: int, language: str) -> list[Entity]:
    """`n` people of different first letters, so that no two are easily confused."""
    people: list[Entity] = []
    while len(people) < n:
        is_feminine = rng.random() < 0.5
        name = rng.choice(NAMES[is_feminine])
        if all(name[0] != other.key[0] for other in people):
            people.append(Entity(name, accented(name) if language == "fr" else name, is_feminine))
    return people


def draw_things(rng: Random, n: int, language: str) -> list[Entity]:
    """`n` different things, with their definite articles."""
    nouns: list[Noun] = rng.sample(THINGS, n)
    return [Entity(noun.en, noun.definite(language), noun.is_feminine, True) for noun in nouns]


def listed(words: Sequence[str], language: str) -> str:
    """`Anna, Tom and Lea`, `Anna, Tom et Léa`."""
    joint = " and " if language == "en" else " et "
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + joint + words[-1]


def capital(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def of(entity: Entity) -> str:
    """French `de` before somebody or something: `de Tom`, `d'Anna`, `du sac`, `de l'orange`."""
    if entity.is_thing and entity.said.startswith("le "):
        return f"du {entity.said[3:]}"
    return f"de {entity.said}" if entity.is_thing else elide("de", entity.said)


_CHOICE = re.compile(r"\[(\w):([^|\]]*)\|([^|\]]*)\]")


def fill(template: str, entities: Mapping[str, Entity], language: str, **words: str) -> str:
    """A sentence from its template: `{a}` an entity, `[a:grand|grande]` what agrees with it.

    French has `{que_a}` and `{de_a}` too, elided and contracted as the word asks.
    """
    said = {name: entity.said for name, entity in entities.items()}
    if language == "fr":
        template = _CHOICE.sub(lambda found: found[3] if entities[found[1]].is_feminine else found[2], template)
        for name, entity in entities.items():
            said[f"que_{name}"] = elide("que", entity.said)
            said[f"de_{name}"] = of(entity)
    return capital(template.format(**said, **words))
