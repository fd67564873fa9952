"""The small realiser by hand: paradigms, joints between words, sentences that are right and sentences that are not."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from random import Random

import pytest

from petitlm.data.generators import generator
from petitlm.data.generators.realiser_en import english
from petitlm.data.generators.realiser_fr import conjugated, french, join
from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.generators.realiser_words import ADJECTIVES, NOUNS, VERBS
from petitlm.data.generators.sentences import draw_sentence

# je, tu, il, nous, vous, ils; from a grammar book.
PARADIGMS = {
    ("be", "present"): "suis es est sommes êtes sont",
    ("be", "imparfait"): "étais étais était étions étiez étaient",
    ("be", "future"): "serai seras sera serons serez seront",
    ("have", "present"): "ai as a avons avez ont",
    ("have", "future"): "aurai auras aura aurons aurez auront",
    ("eat", "present"): "mange manges mange mangeons mangez mangent",
    ("eat", "imparfait"): "mangeais mangeais mangeait mangions mangiez mangeaient",
    ("call", "present"): "appelle appelles appelle appelons appelez appellent",
    ("call", "future"): "appellerai appelleras appellera appellerons appellerez appelleront",
    ("buy", "future"): "achèterai achèteras achètera achèterons achèterez achèteront",
    ("send", "future"): "enverrai enverras enverra enverrons enverrez enverront",
    ("send", "imparfait"): "envoyais envoyais envoyait envoyions envoyiez envoyaient",
    ("see", "future"): "verrai verras verra verrons verrez verront",
    ("know", "present"): "connais connais connaît connaissons connaissez connaissent",
    ("want", "imparfait"): "voulais voulais voulait voulions vouliez voulaient",
    ("go", "future"): "irai iras ira irons irez iront",
    ("take", "present"): "prends prends prend prenons prenez prennent",
    ("hope", "future"): "espérerai espéreras espérera espérerons espérerez espéreront",
}


@pytest.mark.parametrize(("verb", "tense"), list(PARADIGMS))
def test_french_paradigms(verb: str, tense: str) -> None:
    forms = [conjugated(VERBS[verb], tense, person, plural) for plural in (False, True) for person in (1, 2, 3)]
    assert forms == PARADIGMS[verb, tense].split()


def test_irregular_nouns_and_adjectives() -> None:
    plurals = {noun.fr: noun.fr_plural for noun in NOUNS.values()}
    assert {name: plurals[name] for name in ("cheval", "journal", "bateau", "hibou", "souris", "œuf", "parapluie")} == {
        "cheval": "chevaux", "journal": "journaux", "bateau": "bateaux", "hibou": "hiboux", "souris": "souris",
        "œuf": "œufs", "parapluie": "parapluies",
    }  # fmt: skip
    assert ADJECTIVES["old"][1:6] == ("vieux", "vieille", "vieux", "vieilles", "vieil")
    assert ADJECTIVES["white"][1:5] == ("blanc", "blanche", "blancs", "blanches")
    assert ADJECTIVES["jealous"][1:5] == ("jaloux", "jalouse", "jaloux", "jalouses")
    assert ADJECTIVES["red"][1:5] == ("rouge", "rouge", "rouges", "rouges")


def test_joints() -> None:
    assert join(["de", "le", "hôtel"]) == "de l'hôtel"
    assert join(["à", "le", "marché"]) == "au marché"
    assert join(["près", "de", "les", "arbres"]) == "près des arbres"
    assert join(["le", "hibou", "ne", "aime", "pas", "le", "hérisson"]) == "le hibou n'aime pas le hérisson"
    assert join(["parce", "que", "elle", ",", "hier"]) == "parce qu'elle, hier"


# Both sides of a sentence, written by hand.
PAIRS = [
    ("The old man has a beautiful bird.", "Le vieil homme a un bel oiseau."),
    ("Anna does not have a dog.", "Anna n'a pas de chien."),
    ("The girls went to the beach yesterday.", "Les filles sont allées à la plage hier."),
    ("Paul and Anna are tired.", "Paul et Anna sont fatigués."),
    ("Anna and Emma are tired.", "Anna et Emma sont fatiguées."),
    ("Paul invited her.", "Paul l'a invitée."),
    ("The mother lends her umbrella to him.", "La mère lui prête son parapluie."),
    ("The queen sells small red apples.", "La reine vend de petites pommes rouges."),
    ("Does Karim want to help them?", "Est-ce que Karim veut les aider ?"),
    ("Lucas was sad because he did not see the princess.", "Lucas était triste parce qu'il n'a pas vu la princesse."),
    ("The girl who sings will go to the market.", "La fille qui chante ira au marché."),
    ("The horses that ate the carrots slept.", "Les chevaux qui ont mangé les carottes ont dormi."),
    ("The fox eats its cherry.", "Le renard mange sa cerise."),
    ("Simon drinks milk every morning.", "Simon boit du lait tous les matins."),
    ("Nora says that the boys cannot swim.", "Nora dit que les garçons ne peuvent pas nager."),
]


@pytest.mark.parametrize(("en", "fr"), PAIRS)
def test_sentences_written_by_hand(en: str, fr: str) -> None:
    assert read_english(en)
    assert read_english(en) <= read_french(fr)
    assert {french(tree) for tree in read_english(en)} == {fr}
    assert en in {english(tree) for tree in read_french(fr)}


def test_what_one_language_leaves_open_has_several_readings() -> None:
    assert {french(tree) for tree in read_english("They are proud.")} == {"Ils sont fiers.", "Elles sont fières."}
    assert {french(tree) for tree in read_english("You sleep.")} == {"Tu dors.", "Vous dormez."}
    assert {english(tree) for tree in read_french("Nora l'aide.")} == {"Nora helps him.", "Nora helps her."}


WRONG_FRENCH = [
    "Le fille chante.", "Les filles chante.", "La fille chantes.", "La homme dort.", "Le homme dort.", "L'hibou dort.",
    "Les chat dorment.", "La fille est content.", "La fille est heureux.", "Les filles sont heureuse.",
    "Le chat dort pas.", "Le chat ne pas dort.", "Le chat ne dort.", "Elle n'a pas un chien.", "Il va à le marché.",
    "Il est près de le jardin.", "Elle a allée au marché.", "Elle est allé au marché.", "Ils sont allées au marché.",
    "Paul aide la.", "Paul lui aide.", "Paul le donne un livre.", "Il veut mangé une pomme.", "Il a manger une pomme.",
    "Un vieux homme dort.", "Un bel chat dort.", "Elle perd sa échelle.", "Il perd ma clé.", "Ce hôtel est calme.",
    "Elle mange une rouge pomme.", "Elle voit des petites pommes.", "Elle boit de la lait.", "Elle boit le eau.",
    "Elle les a vu.", "Elle a vues les filles.", "Elle mange pommes.", "Est-ce que elle dort ?", "Est-ce qu'elle dort?",
    "La fille qui chantent dort.", "Parce qu'il dort.", "elle dort.", "Elle dort", "Elle  dort.", "Elle dort hier.",
    "Elle a dormi demain.", "Elle dormira hier.", "Paul et Anna dort.", "Je est triste.", "Deux chat dorment.",
]  # fmt: skip
WRONG_ENGLISH = [
    "The girls sings.", "The girl sing.", "A apple is red.", "An dog sleeps.", "These dog sleeps.", "Two cat sleep.",
    "The girl not sings.", "The girl does not sings.", "She did not went to the market.", "She goed to the market.",
    "Him sees Paul.", "Paul sees she.", "He can to swim.", "He can swims.", "He wants swim.", "She will sings.",
    "Does she sleeps?", "Sleeps she?", "The apple red is good.", "The boys who sings sleep.", "I is sad.",
    "They was sad.", "Paul loses her hat.", "The cat who sleeps is black.", "The girl that sings is sad.",
    "She sleeps yesterday.", "She slept tomorrow.", "she sleeps.", "She sleeps", "She sleeps .", "She eats apple.",
    "Paul and Anna sleeps.", "She can not swim.", "Does she sleep.",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_FRENCH)
def test_wrong_french_has_no_reading(text: str) -> None:
    assert not read_french(text)


@pytest.mark.parametrize("text", WRONG_ENGLISH)
def test_wrong_english_has_no_reading(text: str) -> None:
    assert not read_english(text)


# Correct, checked word by word, and not in the texts at hand; and names.
_UNSEEN = {
    "en": """
aunts carrot donkey fridays guitars hairdresser loses mondays oven saturdays shepherdess swims thursdays tomato tuesdays
tuna uncles wednesdays amina emma karim oscar brest dijon grenoble lille metz nantes reims rennes rouen toulouse
""",
    "fr": """
aidées aidés canards carotte courageuses hérisson hérissons invitées jalouses lavent remercient remerciée remerciées
tomates vendez vends vélos écoutées écoutés bille boulangère escalada guida inventrice lapine ourse pizzas poivrons
radeau renarde tisserand tisserande ânesse amina karim noah nora sara
""",
}
_REAL = {
    "en": ("novels_en", "ud_english_ewt", "gutenberg_children", "openstax_us_history"),
    "fr": ("novels_fr", "python_docs_fr", "ud_french_gsd", "gutenberg_children"),
}


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower().replace("’", "'")))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_words_are_those_of_real_text(shared: Path, language: str) -> None:
    """An outside judge of endings: every form (in French of the third person, past or present) is in real text."""
    real: set[str] = set()
    for name in _REAL[language]:
        with gzip.open(shared / "data" / "text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                real |= _words(json.loads(line)["text"])
    rng, made = Random(5), set()
    # The other persons and the future are those of the paradigms above.
    rare = re.compile(r"\b(?:je|j'|tu|nous|vous|m'|t')|\w+r(?:a|ont)\b", re.IGNORECASE)
    for at in range(6000):
        said = (english if language == "en" else french)(draw_sentence(rng, at % 6))
        if language == "en" or not rare.search(said):
            made |= _words(said)
    for family in ("stories", "dialogue"):
        for at in range(1200):
            problem = generator(family).draw(rng, language, at % 6, False)
            made |= _words(f"{problem.question} {problem.answer}")
    assert len(made) > 800
    assert made - real <= set(_UNSEEN[language].split())
