"""The stage `filter`: each rule finds what it is for, and leaves good text alone."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import random
from pathlib import Path

import pytest

from petitlm.data.corpus.schema import documents
from petitlm.data.sources.filters import Filter, line_languages
from petitlm.errors import ConfigError

EN = (
    "The river that runs behind the old mill was low that summer, and the children of the village walked along its bed "
    "to look for fish in the pools that were left. They found two eels, a boot, and a letter in a bottle, which nobody "
    "could read because the ink had run. On the way home it began to rain at last, and by evening the water stood as "
    "high as the bridge. Nobody spoke of the letter for many years, until the miller's daughter found it again."
)
FR = (
    "La rivière qui coule derrière le vieux moulin était basse cet été-là, et les enfants du village marchaient dans "
    "son lit pour chercher des poissons dans les trous. Ils y trouvèrent deux anguilles, une botte et une lettre dans "
    "une bouteille, que personne ne put lire. Sur le chemin du retour, il se mit enfin à pleuvoir, et le soir l'eau "
    "arrivait à la hauteur du pont. On ne parla plus de la lettre pendant des années."
)
RNG = random.Random(5)
BLOB = base64.b64encode(RNG.randbytes(900)).decode()
CASES = {
    "too-short": "Only three words",
    "too-long": "one two three four five six seven eight nine ten " * 11_000,
    "one-character": EN[:100] + "=" * 400,
    "blob": f"{EN[:200]} {BLOB}",
    "repetition": EN[:120] * 12,
    "boilerplate": f"We care for your privacy.\nRead our privacy policy\nAccept all cookies here\n{EN[:90]}",
    "script-mix": "Log in to yоur pаypal аccount nоw to cоnfirm your nаme and раss word, it is urgent for all of you",
    "language-mix": f"{EN}\n{FR}",
    "few-letters": "12 45 78.3 and 1999 2001 with 33 44 55 66 77 88 99 100 101 of 102 103 104 105 106",
    "symbols": "# the # and # of # that # is # for # with # this # be # have # to # it # you # was",
    "word-length": "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f the of",
    "bullets": "\n".join(f"- {sentence}" for sentence in EN.replace(", ", ". ").split(". ")),
    "cut-lines": "\n".join(f"{line}, as they said…" for line in EN.replace(", ", ". ").split(". ")),
    "no-stop-words": " ".join(f"{a}{b}ing" for a in "brtlmsk" for b in ("old", "urn", "ank")),
}


@pytest.mark.parametrize("reason", CASES)
def test_each_rule_finds_what_it_is_for(reason: str) -> None:
    found = Filter().why(CASES[reason], "human", "reference", "en")
    assert found is not None
    assert found[0] == reason, found
    assert set(CASES) == set(Filter.reasons)


@pytest.mark.parametrize(("text", "form", "language"), [
    (EN, "reference", "en"), (FR, "book", "fr"), (EN, None, None), ("Oui.\nYes.", "pair", "fr"),
    ("ok see u", "message", "en"),
    ("– Viens vite, ma sœur…\n\n– Non…\n\n– Pourquoi pas ce soir ?\n\n– Parce que la nuit est une amie des voleurs et "
     "des chats, mon cher ami, et que je n'ai pas de lanterne…\n\n– Tu as peur…", "story", "fr"),
    ("Température en °C, résistance en Ω, longueur d'onde λ, et µm pour les plus petites mesures.", "reference", "fr"),
    ("\n".join(f"def f_{i}(x):\n    return x" for i in range(30)), "code", "und"),
    (f"{EN} See all rights reserved in law: the phrase stands within a long line.", "book", "en"),
])  # fmt: skip
def test_good_text_passes(text: str, form: str | None, language: str | None) -> None:
    assert Filter().why(text, "human", form, language) is None


def test_generated_texts_are_held_to_their_length_alone() -> None:
    assert Filter().why("3 + 4 = 7.", "procedural", "exercise", "en") is None
    assert Filter().why("7 7 7 7 " * 50, "procedural", "exercise", "en") is None
    assert Filter().why("", "procedural", "exercise", "en") == ("too-short", "0 words, at least 1")
    assert Filter(exempt=()).why("7 7 7 7 " * 50, "procedural", "exercise", "en") is not None


def test_a_table_is_sifted_row_by_row() -> None:
    common = {"origin": "human", "form": "reference", "language": "en"}
    rows = documents([{"text": text, **common} for text in [EN, *CASES.values()]])
    sifted = Filter()(rows)
    assert sifted.kept["text"].to_pylist() == [EN]
    assert [(one.row, one.reason) for one in sifted.rejected] == list(enumerate(CASES, 1))
    parts = [Filter()(rows.slice(at, 4)) for at in range(0, len(rows), 4)]
    assert sum(len(part.rejected) for part in parts) == len(sifted.rejected)


def test_settings_are_the_fields() -> None:
    stage = Filter(slack=1.0, min_words=3)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.settings["slack"] == 1.0
    assert json.loads(json.dumps(stage.settings)) == stage.settings
    with pytest.raises(ConfigError, match="one for each run length"):
        Filter(max_top=(0.1,))


def test_a_line_of_ten_megabytes_ends_soon() -> None:
    assert Filter().why("-=" * 5_000_000, "human", "reference", "en") == ("too-short", "1 words, at least 8")
    assert Filter().why(f"the of a b c d e f {'-=*+' * 2_500_000}", "human", "reference", "en") is not None


def test_the_language_of_lines_is_told_by_small_words() -> None:
    assert set(line_languages(f"{EN}\n{FR}\nune ligne\nthe end")) == {"en", "fr"}
    assert not line_languages("x = f(the) + le - 12 / 44 * 3 - 2 + 8")


@pytest.mark.parametrize(("name", "form", "most"), [
    ("novels_fr", "book", 0.005), ("openstax_physics", "reference", 0.03), ("us_speeches", "speech", 0.01),
    ("python_docs_fr", "reference", 0.02)])  # fmt: skip
def test_real_books_pass(shared: Path, name: str, form: str, most: float) -> None:
    with gzip.open(shared / "data/text" / f"{name}.jsonl.gz") as file:
        texts = [json.loads(line)["text"][:6000] for line, _ in zip(file, range(120), strict=False)]
    refused = [Filter().why(text, "human", form, name[-2:] if name[-3] == "_" else "en") for text in texts]
    assert sum(why is not None for why in refused) <= most * len(texts), refused
