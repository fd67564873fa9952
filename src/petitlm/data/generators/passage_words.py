"""The names, nouns and sentences of the short passages, in English and French."""

from __future__ import annotations

from dataclasses import dataclass, field

from petitlm.data.generators.french import definite

NOT_SAID = {"en": "The text does not say.", "fr": "Le texte ne le dit pas."}
# fmt: off
NAMES = (
    "Lea", "Anna", "Emma", "Alice", "Nora", "Julie", "Sara", "Clara", "Marie", "Lucie", "Elsa", "Ines", "Rosa", "Zoe",
    "Jeanne", "Camille", "Manon", "Eva", "Louise", "Jade", "Olivia", "Sofia", "Ada", "Iris", "Amina", "Fatou", "Mia",
    "Tom", "Paul", "Hugo", "Leo", "Adam", "Lucas", "Max", "Victor", "Simon", "Oscar", "Felix", "Martin", "Noah",
    "Louis", "Jules", "Arthur", "Gabriel", "Nathan", "Sam", "Omar", "Karim", "Ivan", "David", "Thomas", "Daniel",
)
# Two or three make an invented name.
SYLLABLES = (
    "ba", "be", "bi", "bo", "da", "de", "di", "do", "du", "fa", "fe", "fi", "ga", "go", "gu", "ja", "jo", "ka",
    "ke", "ki", "ko", "la", "le", "li", "lo", "lu", "ma", "me", "mi", "mo", "na", "ne", "ni", "no", "pa", "pe",
    "pi", "ra", "re", "ri", "ro", "ru", "sa", "se", "si", "so", "ta", "te", "ti", "to", "va", "ve", "vi", "za",
    "zo", "an", "el", "il", "ran", "min", "tor", "bel", "dan", "nis", "lin", "mar", "sol", "kar", "ver",
)
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """A thing or place: English, French, French gender. Two are equal only if they are one."""

    en: str
    fr: str
    is_feminine: bool
    _definite: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        said = {"en": f"the {self.en}", "fr": definite(self.fr, self.is_feminine)}
        object.__setattr__(self, "_definite", said)

    def definite(self, language: str) -> str:
        """With its definite article."""
        return self._definite[language]


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
    Noun("barn", "grange", True),
    Noun("shop", "boutique", True),
    Noun("forest", "forêt", True),
    Noun("church", "église", True),
    Noun("yard", "cour", True),
    Noun("tent", "tente", True),
    Noun("castle", "château", False),
    Noun("museum", "musée", False),
    Noun("airport", "aéroport", False),
    Noun("cabin", "cabane", True),
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
    Noun("knife", "couteau", False),
    Noun("spoon", "cuillère", True),
    Noun("plate", "assiette", True),
    Noun("bottle", "bouteille", True),
    Noun("box", "boîte", True),
    Noun("candle", "bougie", True),
    Noun("hat", "chapeau", False),
    Noun("coat", "manteau", False),
    Noun("shoe", "chaussure", True),
    Noun("ring", "bague", True),
    Noun("phone", "téléphone", False),
    Noun("guitar", "guitare", True),
    Noun("flower", "fleur", True),
    Noun("pear", "poire", True),
    Noun("lemon", "citron", False),
    Noun("bread", "pain", False),
    Noun("rope", "corde", True),
    Noun("brush", "brosse", True),
    Noun("basket", "panier", False),
    Noun("doll", "poupée", True),
    Noun("needle", "aiguille", True),
    Noun("sword", "épée", True),
    Noun("egg", "œuf", False),
)

# Sentences of each event: who, then the thing or place, then to whom; "lies": the thing, then the place.
# Only the first needs no known place.
TELL = {
    "en": {
        "is": ("{} is in {}.",),
        "go": ("{} goes to {}.", "{} walks to {}."),
        "take": ("{} takes {}.", "{} picks up {}."),
        "drop": ("{} puts down {}.", "{} leaves {} there."),
        "give": ("{} gives {} to {}.",),
        "lies": ("{} is in {}.",),
    },
    "fr": {
        "is": ("{} est dans {}.",),
        "go": ("{} va dans {}.", "{} entre dans {}."),
        "take": ("{} prend {}.", "{} ramasse {}."),
        "drop": ("{} pose {}.", "{} laisse {} là."),
        "give": ("{} donne {} à {}.",),
        "lies": ("{} est dans {}.",),
    },
}
