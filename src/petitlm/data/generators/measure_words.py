"""What questions about time, calendar, money and units say, in English and French."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """Two units of one kind: `factor` small ones are a large one; asked for on three levels from `level`."""

    large: str
    small: str
    factor: Fraction
    level: int


UNITS = tuple(
    Unit(large, small, Fraction(factor), level)
    for large, small, factor, level in (
        ("m", "cm", 100, 0), ("cm", "mm", 10, 0), ("km", "m", 1000, 0), ("kg", "g", 1000, 0), ("L", "cL", 100, 0),
        ("h", "min", 60, 0), ("min", "s", 60, 0), ("L", "mL", 1000, 1), ("t", "kg", 1000, 1), ("m", "mm", 1000, 2),
        ("g", "mg", 1000, 2), ("km", "m", 1000, 3), ("kg", "g", 1000, 3), ("L", "mL", 1000, 3), ("m", "cm", 100, 3),
        ("h", "s", 3600, 4), ("m²", "cm²", 10_000, 4), ("m³", "L", 1000, 4), ("km²", "m²", 1_000_000, 5),
        ("m/s", "km/h", Fraction(18, 5), 5), ("ha", "m²", 10_000, 5),
    )
)  # fmt: skip

# Invented towns: real ones have real clocks.
TOWNS = ("Lumo", "Karsa", "Velin", "Tarno", "Miro", "Selda", "Brano", "Quena", "Dorim", "Fanto")
WARES = {
    "en": (("book", "books"), ("pen", "pens"), ("lamp", "lamps"), ("cup", "cups"), ("game", "games"), ("bag", "bags"),
           ("hat", "hats"), ("ticket", "tickets"), ("pencil", "pencils"), ("football", "footballs"),
           ("knife", "knives"), ("basket", "baskets"), ("coat", "coats"), ("mirror", "mirrors"),
           ("carpet", "carpets"), ("jumper", "jumpers"), ("plate", "plates"), ("candle", "candles")),
    "fr": (("livre", "livres"), ("stylo", "stylos"), ("vase", "vases"), ("bol", "bols"), ("jeu", "jeux"),
           ("sac", "sacs"), ("chapeau", "chapeaux"), ("billet", "billets"), ("crayon", "crayons"),
           ("ballon", "ballons"), ("couteau", "couteaux"), ("panier", "paniers"), ("manteau", "manteaux"),
           ("miroir", "miroirs"), ("tapis", "tapis"), ("pull", "pulls"), ("plat", "plats"),
           ("parapluie", "parapluies")),
}  # fmt: skip
FOODS = {
    "en": ("apples", "pears", "carrots", "cherries", "tomatoes", "nuts", "plums", "beans"),
    "fr": ("pommes", "poires", "carottes", "cerises", "tomates", "noix", "prunes", "fèves"),
}

ASK = {
    "en": {
        "later": ("It is {t}. What time will it be in {s}?", "What time is it {s} after {t}?"),
        "earlier": ("It is {t}. What time was it {s} ago?", "What time is it {s} before {t}?"),
        "lasts": ("A film starts at {t} and ends at {u}. How long does it last?", "How long is it from {t} to {u}?"),
        "overnight": (
            "A train leaves at {t} and arrives at {u} the next day. How long is the journey?",
            "How long is it from {t} to {u} the next day?",
        ),
        "zone": ("It is {t} in {A}. In {B} it is {n} {w}. What time is it in {B}?",),
        "legs": ("A bus leaves at {t}, drives for {s0}, waits for {s1} and drives for {s2}. When does it arrive?",),
        "next": ("Which {what} comes {w} {x}?", "What {what} is just {w} {x}?"),
        "weekday-in": ("Today is {x}. What day will it be in {n} days?", "Which day is {n} days after {x}?"),
        "weekday-ago": ("Today is {x}. What day was it {n} days ago?", "Which day is {n} days before {x}?"),
        "date-after": ("What is the date {n} days after {d}?", "It is {d}. What will the date be in {n} days?"),
        "days-between": ("How many days are there from {d} to {e}?", "It is {d}. How many days is it until {e}?"),
        "weekday-of": (
            "{d} is a {x}. What day of the week is {e}?", "If {d} is a {x}, which day is {e}?",
        ),
        "month-length": ("How many days does {m} {y} have?", "How long is {m} {y}, in days?"),
        "coins": ("How much are {n} 2-euro coins and {m} {b}-euro notes?",
                  "I have {n} 2-euro coins and {m} {b}-euro notes. How much is that?"),
        "change": ("A {x} costs {p}. You pay with {q}. How much change do you get?",
                   "You give {q} for a {x} at {p}. How much do you get back?"),
        "many": ("A {x} costs {p}. How much do {n} {xs} cost?", "What is the price of {n} {xs} at {p} each?"),
        "by-weight": ("{x} cost {p} a kilo. How much do {g} g cost?",
                      "What is the price of {g} g of {x} at {p} a kilo?"),
        "percent": ("A {x} costs {p}. The price {w} by {n} %. What is the new price?",
                    "The price of a {x}, {p}, {w} by {n} %. What does it cost now?"),
        "convert": ("Convert {x} to {u}.", "How much is {x} in {u}?", "Write {x} in {u}."),
        "sum": ("What is {x} plus {y}?", "Add {x} and {y}."),
        "speed": ("A train runs at {v} km/h. How far does it go in {s}?", "How far do you get in {s} at {v} km/h?"),
    },
    "fr": {
        "later": ("Il est {t}. Quelle heure sera-t-il dans {s} ?", "Quelle heure est-il {s} après {t} ?"),
        "earlier": ("Il est {t}. Quelle heure était-il il y a {s} ?", "Quelle heure est-il {s} avant {t} ?"),
        "lasts": ("Un film commence à {t} et finit à {u}. Combien de temps dure-t-il ?",
                  "Combien de temps y a-t-il de {t} à {u} ?"),
        "overnight": (
            "Un train part à {t} et arrive à {u} le lendemain. Combien de temps dure le voyage ?",
            "Combien de temps y a-t-il de {t} à {u} le lendemain ?",
        ),
        "zone": ("Il est {t} à {A}. À {B}, il est {n} de {w}. Quelle heure est-il à {B} ?",),
        "legs": ("Un bus part à {t}, roule {s0}, attend {s1} et roule {s2}. À quelle heure arrive-t-il ?",),
        "next": ("Quel {what} vient {w} {x} ?", "Quel est le {what} juste {w} {x} ?"),
        "weekday-in": ("Aujourd'hui, c'est {x}. Quel jour sera-t-on dans {n} jours ?",
                       "Quel jour est-on {n} jours après {x} ?"),
        "weekday-ago": ("Aujourd'hui, c'est {x}. Quel jour était-on il y a {n} jours ?",
                        "Quel jour est-on {n} jours avant {x} ?"),
        "date-after": ("Quelle est la date {n} jours après le {d} ?",
                       "Nous sommes le {d}. Quelle sera la date dans {n} jours ?"),
        "days-between": ("Combien de jours y a-t-il du {d} au {e} ?",
                         "Nous sommes le {d}. Dans combien de jours serons-nous le {e} ?"),
        "weekday-of": (
            "Le {d} est un {x}. Quel jour de la semaine est le {e} ?", "Si le {d} est un {x}, quel jour est le {e} ?",
        ),
        "month-length": ("Combien de jours a le mois {dem} {y} ?",
                         "Quelle est la durée du mois {dem} {y}, en jours ?"),
        "coins": ("Combien font {n} pièces de 2 euros et {m} billets de {b} euros ?",
                  "J'ai {n} pièces de 2 euros et {m} billets de {b} euros. Combien cela fait-il ?"),
        "change": ("Un {x} coûte {p}. Tu paies avec {q}. Combien te rend-on ?",
                   "Tu donnes {q} pour un {x} à {p}. Combien récupères-tu ?"),
        "many": ("Un {x} coûte {p}. Combien coûtent {n} {xs} ?", "Quel est le prix de {n} {xs} à {p} pièce ?"),
        "by-weight": ("Les {x} coûtent {p} le kilo. Combien coûtent {g} g ?",
                      "Quel est le prix de {g} g de {x} à {p} le kilo ?"),
        "percent": ("Un {x} coûte {p}. Le prix {w} de {n} %. Quel est le nouveau prix ?",
                    "Le prix d'un {x}, {p}, {w} de {n} %. Combien coûte-t-il maintenant ?"),
        "convert": ("Convertis {x} en {u}.", "Combien font {x} en {u} ?", "Écris {x} en {u}."),
        "sum": ("Combien font {x} plus {y} ?", "Ajoute {x} et {y}."),
        "speed": ("Un train roule à {v} km/h. Quelle distance parcourt-il en {s} ?",
                  "Quelle distance parcourt-on en {s} à {v} km/h ?"),
    },
}  # fmt: skip
