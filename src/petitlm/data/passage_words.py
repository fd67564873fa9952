"""The names, nouns and sentences of the short passages, in English and French."""

from __future__ import annotations

from typing import NamedTuple

from petitlm.data.french import definite

NOT_SAID = {"en": "The text does not say.", "fr": "Le texte ne le dit pas."}
NAMES = [
    "Lea",
    "Anna",
    "Emma",
    "Alice",
    "Nora",
    "Julie",
    "Sara",
    "Clara",
    "Marie",
    "Lucie",
    "Elsa",
    "Ines",
    "Rosa",
    "Zoe",
    "Tom",
    "Paul",
    "Hugo",
    "Leo",
    "Adam",
    "Lucas",
    "Max",
    "Victor",
    "Simon",
    "Oscar",
    "Felix",
    "Martin",
    "Noah",
    "Louis",
]


class Noun(NamedTuple):
    """A thing or place: English, French, French gender."""

    en: str
    fr: str
    is_feminine: bool

    def definite(self, language: str) -> str:
        """With its definite article."""
        return f"the {self.en}" if language == "en" else definite(self.fr, self.is_feminine)


PLACES = (
    Noun("kitchen", "cuisine", True),
    Noun("garden", "jardin", False),
    Noun("bedroom", "chambre", True),
    Noun("garage", "garage", False),
    Noun("office", "bureau", False),
    Noun("attic", "grenier", False),
    Noun("cellar", "cave", True),
    Noun("hallway", "couloir", False),
    Noun("stable", "écurie", True),
    Noun("workshop", "atelier", False),
    Noun("library", "bibliothèque", True),
    Noun("park", "parc", False),
)
THINGS = (
    Noun("key", "clé", True),
    Noun("book", "livre", False),
    Noun("apple", "pomme", True),
    Noun("lamp", "lampe", True),
    Noun("ball", "ballon", False),
    Noun("umbrella", "parapluie", False),
    Noun("bag", "sac", False),
    Noun("letter", "lettre", True),
    Noun("hammer", "marteau", False),
    Noun("orange", "orange", True),
    Noun("watch", "montre", True),
    Noun("cup", "tasse", True),
    Noun("pencil", "crayon", False),
    Noun("ladder", "échelle", True),
    Noun("camera", "appareil", False),
    Noun("map", "carte", True),
)

# Sentences of each event: {p} who, {q} to whom, {o} the thing, {x} the place. Only the first needs no known place.
TELL = {
    "en": {
        "is": ("{p} is in {x}.",),
        "go": ("{p} goes to {x}.", "{p} walks to {x}."),
        "take": ("{p} takes {o}.", "{p} picks up {o}."),
        "drop": ("{p} puts down {o}.", "{p} leaves {o} there."),
        "give": ("{p} gives {o} to {q}.",),
        "lies": ("{O} is in {x}.",),
    },
    "fr": {
        "is": ("{p} est dans {x}.",),
        "go": ("{p} va dans {x}.", "{p} entre dans {x}."),
        "take": ("{p} prend {o}.", "{p} ramasse {o}."),
        "drop": ("{p} pose {o}.", "{p} laisse {o} là."),
        "give": ("{p} donne {o} à {q}.",),
        "lies": ("{O} est dans {x}.",),
    },
}
