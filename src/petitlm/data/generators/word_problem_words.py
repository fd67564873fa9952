"""People, things and sentences of the word problems, in English and French.

In a sentence, {P} is the person, {Q} another, {s} and {S} the pronoun, {T} the things counted, {B} boxes or bags, {a}
and {b} numbers; {qu} is `que` before {Q}, {de} is `de` before {T}.
"""

from __future__ import annotations

from typing import NamedTuple

# fmt: off
PEOPLE = {
    "she": ("Lea", "Anna", "Emma", "Alice", "Nora", "Julie", "Sara", "Clara", "Marie", "Lucie", "Jade", "Rosa"),
    "he": ("Tom", "Paul", "Hugo", "Leo", "Adam", "Lucas", "Max", "Victor", "Simon", "Oscar", "Omar", "Karim"),
}
# fmt: on
PRONOUN = {"en": {"she": "she", "he": "he"}, "fr": {"she": "elle", "he": "il"}}


class Counted(NamedTuple):
    """A thing that is counted: English and French, singular and plural."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str

    def name(self, language: str, n: int) -> str:
        """The noun after the number `n`; French counts zero and one as singular."""
        if language == "en":
            return self.en if n == 1 else self.en_plural
        return self.fr if n < 2 else self.fr_plural


THINGS = tuple(
    Counted(*names.split("/"))
    for names in (
        "pencil/pencils/crayon/crayons", "book/books/livre/livres", "apple/apples/pomme/pommes",
        "marble/marbles/bille/billes", "orange/oranges/orange/oranges", "egg/eggs/œuf/œufs",
        "stamp/stamps/timbre/timbres", "card/cards/carte/cartes", "cake/cakes/gâteau/gâteaux",
        "flower/flowers/fleur/fleurs", "nut/nuts/noix/noix", "button/buttons/bouton/boutons",
        "shell/shells/coquillage/coquillages", "candle/candles/bougie/bougies", "ball/balls/balle/balles",
        "plum/plums/prune/prunes", "pen/pens/stylo/stylos", "sweet/sweets/bonbon/bonbons",
        "leaf/leaves/feuille/feuilles", "stone/stones/caillou/cailloux",
    )
)  # fmt: skip
BOXES = tuple(
    Counted(*names.split("/"))
    for names in ("box/boxes/boîte/boîtes", "bag/bags/sac/sacs", "packet/packets/paquet/paquets",
                  "basket/baskets/panier/paniers")
)  # fmt: skip
FRIEND = Counted("friend", "friends", "ami", "amis")

# Sentences by theme and move, in two languages; a move may be told in several ways.
TELL: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "possess": {
        "en": {
            "has": ("{P} has {a} {T}.",),
            "packs": ("{P} has {a} {B} of {b} {T}.",),
            "more": ("{Q} has {a} {T}. {P} has {b} more than {Q}.",),
            "fewer": ("{Q} has {a} {T}. {P} has {b} fewer than {Q}.",),
            "times": ("{Q} has {a} {T}. {P} has {b} times as many as {Q}.",),
            "twice": ("{Q} has {a} {T}. {P} has twice as many as {Q}.",),
            "gets": ("{S} gets {b} more.", "{S} finds {b} more.", "{Q} gives {P} {b} more."),
            "buys": ("{S} buys {a} {B} of {b}.", "{S} gets {a} {B} of {b}."),
            "gives": ("{S} gives {b} to {Q}.", "{S} gives {b} away."),
            "loses": ("{S} loses {b}.", "{S} loses {b} of them."),
            "half": ("{S} gives half of them to {Q}.",),
            "doubles": ("Then {s} doubles what {s} has.",),
            "shares": ("{S} shares them equally among {b} friends.",),
        },
        "fr": {
            "has": ("{P} a {a} {T}.",),
            "packs": ("{P} a {a} {B} de {b} {T}.",),
            "more": ("{Q} a {a} {T}. {P} en a {b} de plus {qu}.",),
            "fewer": ("{Q} a {a} {T}. {P} en a {b} de moins {qu}.",),
            "times": ("{Q} a {a} {T}. {P} en a {b} fois autant {qu}.",),
            "twice": ("{Q} a {a} {T}. {P} en a deux fois autant {qu}.",),
            "gets": ("{S} en reçoit {b} de plus.", "{S} en trouve {b} de plus.", "{Q} en donne {b} de plus à {P}."),
            "buys": ("{S} achète {a} {B} de {b}.", "{S} reçoit {a} {B} de {b}."),
            "gives": ("{S} en donne {b} à {Q}.", "{S} en donne {b}."),
            "loses": ("{S} en perd {b}.", "{S} en égare {b}."),
            "half": ("{S} en donne la moitié à {Q}.",),
            "doubles": ("Puis {s} double ce qu'{s} a.",),
            "shares": ("{S} les partage également entre {b} amis.",),
        },
    },
    "shop": {
        "en": {
            "item": ("{P} buys {a} {T} at {b} euros each.",),
            "also": ("{S} also buys {a} {T} at {b} euros each.",),
            "bag": ("{S} also takes a bag for {b} euros.", "{S} also pays {b} euros for a bag."),
            "voucher": ("{S} has a voucher worth {b} euros.",),
            "note": ("{S} pays with a {b}-euro note.",),
        },
        "fr": {
            "item": ("{P} achète {a} {T} à {b} euros pièce.",),
            "also": ("{S} achète aussi {a} {T} à {b} euros pièce.",),
            "bag": ("{S} prend aussi un sac à {b} euros.", "{S} paie aussi {b} euros pour un sac."),
            "voucher": ("{S} a un bon de réduction de {b} euros.",),
            "note": ("{S} paie avec un billet de {b} euros.",),
        },
    },
    "trip": {
        "en": {
            "strolls": ("{P} walks for {a} hours at {b} km an hour.",),
            "rides": ("{P} cycles for {a} hours at {b} km an hour.", "{P} rides for {a} hours at {b} km an hour."),
            "goes-on": ("Then {s} goes on for {a} hours at {b} km an hour.",),
            "walks": ("Then {s} walks {b} km.", "Then {s} covers {b} km on foot."),
            "planned": ("{S} has planned {b} km in all.",),
        },
        "fr": {
            "strolls": ("{P} marche {a} heures à {b} km à l'heure.",),
            "rides": ("{P} pédale {a} heures à {b} km à l'heure.", "{P} roule {a} heures à {b} km à l'heure."),
            "goes-on": ("Puis {s} continue {a} heures à {b} km à l'heure.",),
            "walks": ("Puis {s} marche {b} km.", "Puis {s} fait {b} km à pied."),
            "planned": ("{S} a prévu {b} km en tout.",),
        },
    },
    "hall": {
        "en": {
            "rows": ("A hall has {a} rows of {b} seats.", "A theatre has {a} rows of {b} seats."),
            "broken": ("{b} seats are broken.", "{b} seats are taken away."),
            "added": ("{b} seats are added.",),
            "classes": ("{a} classes of {b} pupils sit down.", "{a} groups of {b} people sit down."),
        },
        "fr": {
            "rows": ("Une salle a {a} rangées de {b} places.", "Un théâtre a {a} rangées de {b} places."),
            "broken": ("{b} places sont cassées.", "On enlève {b} places."),
            "added": ("On ajoute {b} places.",),
            "classes": ("{a} classes de {b} élèves s'assoient.", "{a} groupes de {b} personnes s'assoient."),
        },
    },
    "work": {
        "en": {
            "earns": ("{P} earns {b} euros a day and works {a} days.", "{P} works {a} days for {b} euros a day."),
            "had": ("{S} already had {b} euros.",),
            "spends": ("{S} spends {b} euros.", "{S} pays {b} euros for food."),
            "wants": ("{S} wants a bike that costs {b} euros.",),
        },
        "fr": {
            "earns": ("{P} gagne {b} euros par jour et travaille {a} jours.",
                      "{P} travaille {a} jours à {b} euros par jour."),
            "had": ("{S} avait déjà {b} euros.",),
            "spends": ("{S} dépense {b} euros.", "{S} paie {b} euros de nourriture."),
            "wants": ("{S} veut un vélo qui coûte {b} euros.",),
        },
    },
}  # fmt: skip

# Question and answer, by theme and what is asked; {n} is the result.
ASK: dict[str, dict[str, dict[str, tuple[str, str]]]] = {
    "possess": {
        "en": {
            "has": ("How many {T} does {s} have?", "{P} has {n} {N}."),
            "now": ("How many {T} does {s} have now?", "{P} has {n} {N}."),
            "each": ("How many {T} does each friend get?", "Each friend gets {n} {N}."),
            "together": ("How many {T} do {P} and {Q} have together?", "{P} and {Q} have {n} {N}."),
        },
        "fr": {
            "has": ("Combien {de} a-t-{s} ?", "{P} a {n} {N}."),
            "now": ("Combien {de} a-t-{s} maintenant ?", "{P} a {n} {N}."),
            "each": ("Combien {de} reçoit chaque ami ?", "Chaque ami reçoit {n} {N}."),
            "together": ("Combien {de} ont {P} et {Q} ensemble ?", "{P} et {Q} ont {n} {N}."),
        },
    },
    "shop": {
        "en": {
            "pays": ("How much does {s} pay?", "{P} pays {n} euros."),
            "change": ("How much change does {s} get?", "{P} gets {n} euros back."),
        },
        "fr": {
            "pays": ("Combien paie-t-{s} ?", "{P} paie {n} euros."),
            "change": ("Combien récupère-t-{s} ?", "{P} récupère {n} euros."),
        },
    },
    "trip": {
        "en": {
            "far": ("How many kilometres does {s} travel?", "{P} travels {n} km."),
            "left": ("How many kilometres are left?", "There are {n} km left."),
        },
        "fr": {
            "far": ("Combien de kilomètres parcourt-{s} ?", "{P} parcourt {n} km."),
            "left": ("Combien de kilomètres reste-t-il ?", "Il reste {n} km."),
        },
    },
    "hall": {
        "en": {"free": ("How many seats are free?", "{n} seats are free.")},
        "fr": {"free": ("Combien de places sont libres ?", "{n} places sont libres.")},
    },
    "work": {
        "en": {
            "has": ("How much does {s} have in the end?", "{P} has {n} euros."),
            "missing": ("How much does {s} still need?", "{P} needs {n} euros more."),
        },
        "fr": {
            "has": ("Combien a-t-{s} à la fin ?", "{P} a {n} euros."),
            "missing": ("Combien lui manque-t-il ?", "Il manque {n} euros à {P}."),
        },
    },
}

# What has nothing to do with the question, told first, where no later `them` can mean it.
BESIDE = {
    "en": ("{P} is {a} years old.", "It is {a} degrees outside.", "{P}'s house has {a} rooms.",
           "{Q} is {a} years old."),
    "fr": ("{P} a {a} ans.", "Il fait {a} degrés dehors.", "La maison {deP} a {a} pièces.", "{Q} a {a} ans."),
}  # fmt: skip
