"""What is said about a robot on a grid, in English and French."""

from __future__ import annotations

from typing import NamedTuple

from petitlm.data.generators.french import definite
from petitlm.data.generators.passage_words import Noun

COLOURS = {"red": ("rouge", "rouge"), "blue": ("bleu", "bleue"), "green": ("vert", "verte"), "black": ("noir", "noire"),
           "white": ("blanc", "blanche"), "yellow": ("jaune", "jaune")}  # fmt: skip


class Thing(NamedTuple):
    """A thing on the grid, perhaps with a colour."""

    noun: Noun
    colour: str

    @property
    def key(self) -> str:
        """The same in both languages."""
        return f"{self.colour} {self.noun.en}".strip()


def coloured(thing: Thing, language: str, article: str) -> str:
    """`a red key`, `the key`; `une clé rouge`, `la clé`, and for `of` French `du ballon`, `de la clé`."""
    noun = thing.noun
    if language == "en":
        article = "the" if article == "of" else "an" if article == "a" and thing.key[0] in "aeiou" else article
        return f"{article} {thing.key}"
    colour = f" {COLOURS[thing.colour][noun.is_feminine]}" if thing.colour else ""
    if article == "a":
        return f"{'une' if noun.is_feminine else 'un'} {noun.fr}{colour}"
    the = definite(noun.fr, noun.is_feminine)
    if article == "of":
        the = f"du {noun.fr}" if the.startswith("le ") else f"de {the}"
    return f"{the}{colour}"


IMPOSSIBLE = {"en": "There is no way.", "fr": "Il n'y a pas de chemin."}
# Each fact in three ways.
TELL = {
    "en": {
        "size": ("The grid has {w} columns and {h} rows.", "The floor is {w} by {h} cells.", "Grid: {w} x {h}."),
        "robot": ("The robot is at {at} and faces {heading}.", "Robot at {at}, facing {heading}.",
                  "You start from {at} and look {heading}."),
        "wall": ("There is a wall at {all}.", "Wall: {all}.", "Blocked: {all}."),
        "walls": ("There are walls at {all}.", "Walls: {all}.", "Blocked: {all}."),
        "thing": ("{a} is at {at}.", "There is {a} at {at}.", "At {at}: {a}."),
    },
    "fr": {
        "size": ("La grille a {w} colonnes et {h} lignes.", "Le sol fait {w} cases sur {h}.", "Grille : {w} x {h}."),
        "robot": ("Le robot est en {at} et regarde vers {heading}.", "Robot en {at}, tourné vers {heading}.",
                  "Tu pars de {at} et tu regardes vers {heading}."),
        "wall": ("Il y a un mur en {all}.", "Mur : {all}.", "Case bloquée : {all}."),
        "walls": ("Il y a des murs en {all}.", "Murs : {all}.", "Cases bloquées : {all}."),
        "thing": ("{a} est en {at}.", "Il y a {a} en {at}.", "En {at} : {a}."),
    },
}  # fmt: skip
HEADINGS = {
    "en": {"north": "north", "east": "east", "south": "south", "west": "west"},
    "fr": {"north": "le nord", "east": "l'est", "south": "le sud", "west": "l'ouest"},
}
# The things in the order of the task: first all with `the`, then all with `of`.
ORDERS = {
    "en": {
        "go": ("go to {0}.", "drive to {0}.", "move to the cell of {0}."),
        "beside": ("stop next to {0}.", "go right up to {0}, without entering its cell."),
        "go-go": ("go to {0}, then to {1}.", "drive to {0} and then to {1}."),
        "go-go-go": ("go to {0}, then to {1}, then to {2}.",),
        "fetch": ("pick up {0}.", "go and grab {0}.", "fetch {0}."),
        "fetch-go": ("pick up {0}, then go to {1}.", "fetch {0} and then go to {1}."),
        "go-fetch": ("go to {0}, then pick up {1}.",),
        "carry": ("bring {0} to {1}.", "pick up {0} and put it down where {1} is.", "take {0} to {1}."),
        "carry-go": ("bring {0} to {1}, then go to {2}.",),
        "go-carry": ("go to {0}, then bring {1} to {2}.",),
        "carry-first": ("go to {2}, but first bring {0} to {1}.",),
    },
    "fr": {
        "go": ("va jusqu'à {0}.", "rejoins {0}.", "rends-toi à la case {1}."),
        "beside": ("arrête-toi à côté {1}.", "va juste à côté {1}, sans entrer dans sa case."),
        "go-go": ("rejoins {0}, puis {1}.", "passe par {0}, puis rejoins {1}."),
        "go-go-go": ("rejoins {0}, puis {1}, puis {2}.",),
        "fetch": ("ramasse {0}.", "va attraper {0}.", "va chercher {0}."),
        "fetch-go": ("ramasse {0}, puis rejoins {1}.", "va chercher {0}, puis rejoins {1}."),
        "go-fetch": ("rejoins {0}, puis ramasse {1}.",),
        "carry": ("apporte {0} dans la case {3}.", "va prendre {0} et dépose l'objet dans la case {3}.",
                  "va déposer {0} sur la case {3}."),
        "carry-go": ("apporte {0} dans la case {4}, puis rejoins {2}.",),
        "go-carry": ("rejoins {0}, puis apporte {1} dans la case {5}.",),
        "carry-first": ("rejoins {2}, mais avant, apporte {0} dans la case {4}.",),
    },
}
