"""The words of the small realiser, English and French, written by hand: one word of each language for one meaning.

A noun, adjective or verb is named by its English word. Regular forms follow from rules; a slash gives an irregular
plural (`mouse/mice`), and every French verb outside the regular first group has its forms written out.
"""

from __future__ import annotations

from typing import NamedTuple

MASCULINE, FEMININE = "m", "f"


class Noun(NamedTuple):
    """A noun of both languages."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str
    """"m" or "f", of the French noun."""
    kind: str
    """person, animal, thing, food, mass (food that is not counted), drink (likewise), place or furniture."""


class Adjective(NamedTuple):
    """An adjective of both languages, the French one with its four forms."""

    en: str
    masculine: str
    feminine: str
    masculines: str
    feminines: str
    before_vowel: str
    """The masculine singular before a vowel: `bel`, `vieil`, `nouvel`; elsewhere the usual one."""
    comes_first: bool
    """Whether it stands before the French noun."""
    kinds: frozenset[str]
    """Kinds of nouns that it suits."""


class Verb(NamedTuple):
    """A verb of both languages. English forms may have two words: `look for`."""

    en: str
    en_s: str
    en_past: str
    fr: str
    present: tuple[str, ...]
    """je, tu, il, nous, vous, ils."""
    participle: str
    future: str
    """Stem of the future: `ser` in `serai`."""
    frame: str
    """What follows: "" nothing, "object", "recipient" (an object and to whom), "to" (a place to go to)."""
    objects: tuple[str, ...]
    """Kinds of nouns, or nouns, that can be its object."""
    is_state: bool
    """A state: its French past is the imparfait; of the others it is the passé composé."""
    takes_etre: bool


_NOUNS = """
boy garçon m person; girl fille f person; man/men homme m person; woman/women femme f person; king roi m person;
queen reine f person; father père m person; mother mère f person; brother frère m person; sister sœur f person;
uncle oncle m person; aunt tante f person; prince prince m person; princess princesse f person;
cat chat m animal; dog chien m animal; horse cheval/chevaux m animal; bird oiseau/oiseaux m animal;
rabbit lapin m animal; cow vache f animal; mouse/mice souris/souris f animal; fox renard m animal;
bear ours/ours m animal; goat chèvre f animal; duck canard m animal; hen poule f animal; frog grenouille f animal;
elephant éléphant m animal; owl hibou/hiboux m animal; hedgehog hérisson m animal; turtle tortue f animal;
squirrel écureuil m animal; wolf/wolves loup m animal;
ball ballon m thing; book livre m thing; key clé f thing; hat chapeau/chapeaux m thing; lamp lampe f thing;
letter lettre f thing; box boîte f thing; umbrella parapluie m thing; flower fleur f thing; bicycle vélo m thing;
boat bateau/bateaux m thing; knife/knives couteau/couteaux m thing; shirt chemise f thing;
coat manteau/manteaux m thing; newspaper journal/journaux m thing; toy jouet m thing; basket panier m thing;
bag sac m thing; cup tasse f thing; plate assiette f thing; ring bague f thing; computer ordinateur m thing;
ladder échelle f thing; bottle bouteille f thing; drum tambour m thing; guitar guitare f thing;
apple pomme f food; orange orange f food; egg œuf m food; cake gâteau/gâteaux m food; carrot carotte f food;
cherry/cherries cerise f food; tomato/tomatoes tomate f food; strawberry/strawberries fraise f food;
pear poire f food; lemon citron m food; onion oignon m food; biscuit biscuit m food;
bread/- pain/- m mass; cheese/- fromage/- m mass; soup/- soupe/- f mass; rice/- riz/- m mass;
chocolate/- chocolat/- m mass; honey/- miel/- m mass; milk/- lait/- m drink; water/- eau/- f drink; tea/- thé/- m drink;
garden jardin m place; kitchen cuisine f place; school école f place; market marché m place; park parc m place;
forest forêt f place; village village m place; church église f place; hotel hôtel m place; museum musée m place;
beach plage f place; castle château/châteaux m place; hospital hôpital/hôpitaux m place;
library/libraries bibliothèque f place; station gare f place; bridge pont m place; tree arbre m place;
table table f furniture; bed lit m furniture; chair chaise f furniture; sofa canapé m furniture; door porte f furniture;
window fenêtre f furniture; wall mur m furniture
"""

_ADJECTIVES = """
small petit - + person animal thing food place; big grand - + animal thing place furniture;
pretty joli - + thing place; young jeune - + person animal; old vieux vieille + person animal thing place;
new nouveau nouvelle + thing place furniture; beautiful beau belle + person animal thing place;
bad mauvais - + food; good bon bonne + food;
black noir - - animal thing furniture; white blanc blanche - animal thing furniture;
red rouge - - thing food furniture; green vert - - thing furniture; blue bleu - - thing furniture;
brown brun - - animal; grey gris - - animal thing; yellow jaune - - thing furniture;
sad triste - - person; tired fatigué - - person animal;
happy heureux heureuse - person; kind gentil gentille - person; calm calme - - person animal place;
clever intelligent - - person animal; jealous jaloux jalouse - person; proud fier fière - person;
brave courageux courageuse - person; heavy lourd - - thing; light léger légère - thing;
round rond - - thing furniture; broken cassé - - thing furniture; dangerous dangereux dangereuse - animal;
empty vide - - thing place; expensive cher chère - thing; quick rapide - - animal; shy timide - - person animal
"""
_IRREGULAR = {"beau": ("beaux", "bel"), "nouveau": ("nouveaux", "nouvel"), "vieux": ("vieux", "vieil")}

_COUNTED = "thing", "food"
_FOOD = "food", "mass"
_SEEN = "person", "animal", "thing", "food", "furniture"
_PEOPLE = ("person",)
# English base/s-form/past where irregular | French infinitive | present | participle | future stem | frame | objects
_VERBS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("see//saw", "voir: vois vois voit voyons voyez voient: vu: verr", "object", _SEEN),
    ("eat//ate", "manger", "object", _FOOD),
    ("drink//drank", "boire: bois bois boit buvons buvez boivent: bu: boir", "object", ("drink",)),
    ("buy//bought", "acheter: achète achètes achète achetons achetez achètent: acheté: achèter", "object",
     (*_COUNTED, "mass")),
    ("sell//sold", "vendre: vends vends vend vendons vendez vendent: vendu: vendr", "object", (*_COUNTED, "mass")),
    ("find//found", "trouver", "object", ("animal", *_COUNTED)),
    ("look for/looks for/looked for", "chercher", "object", ("person", "animal", *_COUNTED)),
    ("take//took", "prendre: prends prends prend prenons prenez prennent: pris: prendr", "object", _COUNTED),
    ("carry/carries/carried", "porter", "object",
     ("book", "box", "bag", "basket", "ladder", "chair", "bottle", "umbrella")),
    ("break//broke", "casser", "object", ("lamp", "cup", "plate", "bottle", "toy", "chair", "window", "umbrella")),
    ("wash/washes/", "laver", "object", ("dog", "shirt", "coat", "plate", "cup", "bottle", "table", "window")),
    ("lose//lost", "perdre: perds perds perd perdons perdez perdent: perdu: perdr", "object", ("thing",)),
    ("open//", "ouvrir: ouvre ouvres ouvre ouvrons ouvrez ouvrent: ouvert: ouvrir", "object",
     ("box", "letter", "umbrella", "bag", "bottle", "door", "window")),
    ("write//wrote", "écrire: écris écris écrit écrivons écrivez écrivent: écrit: écrir", "object", ("letter", "book")),
    ("hide//hid", "cacher", "object", _COUNTED),
    ("draw//drew", "dessiner", "object", ("animal", "thing", "place")),
    ("watch/watches/", "regarder", "object", ("person", "animal")),
    ("help//", "aider", "object", _PEOPLE),
    ("invite//", "inviter", "object", _PEOPLE),
    ("thank//", "remercier", "object", _PEOPLE),
    ("call//", "appeler: appelle appelles appelle appelons appelez appellent: appelé: appeller", "object", _PEOPLE),
    ("wait for/waits for/waited for", "attendre: attends attends attend attendons attendez attendent: attendu: attendr",
     "object", _PEOPLE),
    ("listen to/listens to/listened to", "écouter", "object", _PEOPLE),
    ("know//knew", "connaître: connais connais connaît connaissons connaissez connaissent: connu: connaîtr", "object",
     _PEOPLE),
    ("love//", "aimer", "object", ("person", "animal")),
    ("have/has/had", "avoir: ai as a avons avez ont: eu: aur", "object", ("animal", *_COUNTED)),
    ("want//", "vouloir: veux veux veut voulons voulez veulent: voulu: voudr", "object", _COUNTED),
    ("sleep//slept", "dormir: dors dors dort dormons dormez dorment: dormi: dormir", "", ()),
    ("sing//sang", "chanter", "", ()),
    ("dance//", "danser", "", ()),
    ("laugh//", "rire: ris ris rit rions riez rient: ri: rir", "", ()),
    ("smile//", "sourire: souris souris sourit sourions souriez sourient: souri: sourir", "", ()),
    ("cry/cries/cried", "pleurer", "", ()),
    ("work//", "travailler", "", ()),
    ("swim//swam", "nager", "", ()),
    ("play//", "jouer", "", ()),
    ("run//ran", "courir: cours cours court courons courez courent: couru: courr", "", ()),
    ("go/goes/went", "aller: vais vas va allons allez vont: allé: ir", "to", ()),
    ("return//", "retourner", "to", ()),
    ("leave//left", "partir: pars pars part partons partez partent: parti: partir", "", ()),
    ("arrive//", "arriver", "", ()),
    ("fall//fell", "tomber", "", ()),
    ("give//gave", "donner", "recipient", _COUNTED),
    ("show//", "montrer", "recipient", _COUNTED),
    ("lend//lent", "prêter", "recipient", ("thing",)),
    ("send//sent", "envoyer: envoie envoies envoie envoyons envoyez envoient: envoyé: enverr", "recipient", ("thing",)),
    ("be/is/was", "être: suis es est sommes êtes sont: été: ser", "be", ()),
    ("can/can/could", "pouvoir: peux peux peut pouvons pouvez peuvent: pu: pourr", "modal", ()),
    ("must/must/", "devoir: dois dois doit devons devez doivent: dû: devr", "modal", ()),
    ("say//said", "dire: dis dis dit disons dites disent: dit: dir", "that", ()),
    ("think//thought", "penser", "that", ()),
    ("hope//", "espérer: espère espères espère espérons espérez espèrent: espéré: espérer", "that", ()),
)
_STATES = {"be", "have", "know", "love", "want"}
_WITH_ETRE = {"go", "return", "leave", "arrive", "fall"}

NAMES = {
    "Paul": MASCULINE, "Tom": MASCULINE, "Jules": MASCULINE, "Adam": MASCULINE, "Lucas": MASCULINE, "Victor": MASCULINE,
    "Oscar": MASCULINE, "Simon": MASCULINE, "Martin": MASCULINE, "Karim": MASCULINE, "Noah": MASCULINE,
    "Anna": FEMININE, "Emma": FEMININE, "Alice": FEMININE, "Nora": FEMININE, "Julie": FEMININE, "Sara": FEMININE,
    "Clara": FEMININE, "Marie": FEMININE, "Rosa": FEMININE, "Louise": FEMININE, "Amina": FEMININE,
}  # fmt: skip

PREPOSITIONS = {
    "in": ("dans",), "under": ("sous",), "on": ("sur",), "behind": ("derrière",), "in front of": ("devant",),
    "near": ("près", "de"), "to": ("à",),
}  # fmt: skip
"""English to French; the last French word joins with the article (`près du`, `au`)."""
WHERE = {
    "in": ("garden", "kitchen", "park", "forest", "village", "church", "hotel", "museum", "castle", "library"),
    "under": ("table", "bed", "chair", "tree", "bridge"),
    "on": ("table", "bed", "chair", "sofa"),
    "behind": ("door", "wall", "tree", "sofa", "church", "school", "hotel"),
    "in front of": ("door", "window", "school", "museum", "station", "hotel", "tree"),
    "near": ("table", "window", "school", "station", "hospital", "tree", "castle", "market", "church"),
    "to": ("market", "school", "park", "church", "hotel", "museum", "beach", "castle", "hospital", "library",
           "station"),
}
"""The places that each preposition suits."""

TIMES = {
    "present": {"every day": "tous les jours", "every morning": "tous les matins", "on Mondays": "le lundi"},
    "past": {"yesterday": "hier", "last week": "la semaine dernière", "this morning": "ce matin"},
    "future": {"tomorrow": "demain", "next week": "la semaine prochaine", "this evening": "ce soir"},
}
"""Tense to adverbs, English to French."""
JOINTS = {"because": ("parce", "que"), "but": ("mais",), "and": ("et",), "when": ("quand",)}
NUMBERS = {
    "2": ("two", "deux"), "3": ("three", "trois"), "4": ("four", "quatre"), "5": ("five", "cinq"), "6": ("six", "six"),
    "7": ("seven", "sept"), "9": ("nine", "neuf"), "10": ("ten", "dix"),
}  # fmt: skip


def _plural_en(word: str) -> str:
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"


def _plural_fr(word: str) -> str:
    return word if word.endswith(("s", "x")) else f"{word}s"


def _noun(row: str) -> Noun:
    en, fr, gender, kind = row.split()
    en, _, en_plural = en.partition("/")
    fr, _, fr_plural = fr.partition("/")
    return Noun(en, en_plural or _plural_en(en), fr, fr_plural or _plural_fr(fr), gender, kind)


def _adjective(row: str) -> Adjective:
    en, masculine, feminine, first, *kinds = row.split()
    if feminine == "-":
        feminine = masculine if masculine.endswith("e") else f"{masculine}e"
    masculines, before_vowel = _IRREGULAR.get(masculine, (_plural_fr(masculine), masculine))
    return Adjective(
        en, masculine, feminine, masculines, f"{feminine}s", before_vowel, first == "+", frozenset(kinds)
    )  # fmt: skip


def _first_group(infinitive: str) -> tuple[tuple[str, ...], str, str]:
    """Present, participle and stem of the future of a regular verb in -er."""
    stem = infinitive[:-2]
    we = f"{stem}e" if stem.endswith("g") else stem
    present = (f"{stem}e", f"{stem}es", f"{stem}e", f"{we}ons", f"{stem}ez", f"{stem}ent")
    return present, f"{stem}é", infinitive


def _past_en(base: str) -> str:
    return f"{base}d" if base.endswith("e") else f"{base}ed"


def _verb(en: str, fr: str, frame: str, objects: tuple[str, ...]) -> Verb:
    base, en_s, en_past = en.split("/")
    infinitive, *forms = fr.split(": ")
    present, participle, future = (tuple(forms[0].split()), forms[1], forms[2]) if forms else _first_group(infinitive)
    return Verb(
        base, en_s or f"{base}s", en_past or _past_en(base), infinitive, present, participle, future, frame, objects,
        base in _STATES, base in _WITH_ETRE,
    )  # fmt: skip


NOUNS = {noun.en: noun for noun in (_noun(row) for row in _NOUNS.split(";"))}
ADJECTIVES = {adjective.en: adjective for adjective in (_adjective(row) for row in _ADJECTIVES.split(";"))}
VERBS = {verb.en: verb for verb in (_verb(*row) for row in _VERBS)}

_VOWELS = tuple("aeiouyàâäéèêëîïôöùûüœæ")
_ASPIRATED = ("hibou", "hiboux", "hérisson", "hérissons")


def opens_with_vowel(word: str) -> bool:
    """Whether `le`, `de`, `ne` are elided before a French word: it opens with a vowel or a silent h."""
    return word.lower().startswith(_VOWELS) or (word.startswith("h") and word not in _ASPIRATED)
