"""The stages identify, grade and label, on texts whose answer is known and on real ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from petitlm.data.corpus.schema import content_id, doc_id, documents
from petitlm.data.corpus.stage import Stage
from petitlm.data.quality.classifier import Grade, grades
from petitlm.data.quality.features import pieces
from petitlm.data.quality.labels import Label
from petitlm.data.quality.language import Caution, Identify, find_languages, language_spans
from petitlm.data.quality.linear import softmax
from petitlm.data.quality.measures import calibration, measure
from petitlm.data.quality.readability import FRENCH, difficulty, lix, text_lix
from petitlm.data.quality.scripts import main_scripts, script_letters
from petitlm.data.quality.shipped import MODELS, load, model_path
from petitlm.errors import ConfigError, NotFoundError, UsageError

STAGES: list[Stage] = [Identify(), Label(), Grade()]
SENTENCES = {
    "en": "Hello to you all, I would like to tell you that life is good and that everything is fine.",
    "fr": "Bonjour à tous, je voudrais vous dire que la vie est belle et que tout va bien.",
    "de": "Das ist ein schöner Tag, und wir gehen mit unseren Freunden in den Park.",
    "es": "Hoy es un día muy bonito y vamos al parque con nuestros amigos.",
    "it": "Oggi è una bella giornata e andiamo al parco con i nostri amici.",
    "pt": "Hoje é um dia muito bonito e nós vamos ao parque com os nossos amigos.",
    "nl": "Vandaag is het een mooie dag en we gaan met onze vrienden naar het park.",
}
NOTHING = ["", "   \n", "12 + 30 = 42", "John Smith Baker", "le chat dort", "3.14159 2.71828 1.41421 0.57721 1.61803",
           "if (x[i] >= y[j]) { z[k++] = x[i++]; } else { z[k++] = y[j++]; }", "Idag är en vacker dag och vi går ut.",
           "Привет, как дела? Всё хорошо, спасибо большое.", "日本語のテキストです。とても良いです。",
           "Καλημέρα σας, τι κάνετε σήμερα; Όλα καλά.", "xqzv wkrt plmn bdfg hjkl zzxc vbnm qwrt"]


def table(texts: list[str], **columns: object) -> pa.Table:
    """Documents of people with these texts; a column holds one value for all."""
    return documents([{"doc_id": doc_id(content_id(text), "test", str(i)), "content_id": content_id(text), "text": text,
                       "origin": "human", **columns} for i, text in enumerate(texts)])


def held_out(shared: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of real documents that the models did not see: bench/language_text.py leaves them out."""
    for name in ("novels_fr", "novels_en", "python_docs_fr", "openstax_us_history", "us_speeches"):
        with gzip.open(shared / "data/text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                if hashlib.blake2b(row["source"].encode(), digest_size=2).digest()[0] < 51:
                    yield row["lang"], row["text"]


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_are_in_their_languages(language: str) -> None:
    found = find_languages([SENTENCES[language]])
    assert found.languages == [language]
    assert found.confidence[0] > 0.9
    assert found.scripts == ["Latn"]


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_text_of_a_known_language_is_undetermined(text: str) -> None:
    assert find_languages([text]).languages == ["und"]


def test_a_mixture_is_undetermined_and_its_spans_are_found() -> None:
    english, french = "The cat sleeps on the old mat in the kitchen.\n", "Le chat dort sur le vieux tapis bleu.\n"
    for text in ((english + french) * 6, english * 6 + french * 6, 9 * SENTENCES["en"] + 9 * SENTENCES["fr"]):
        found = find_languages([text])
        assert found.languages == ["und"]
        assert found.others[0] > 0.2
    spans = language_spans(english * 6 + french * 6)
    assert [span.language for span in spans] == ["en", "fr"]
    assert (spans[0].start, spans[0].end, spans[1].end) == (0, len(english) * 6, len(english + french) * 6)


def test_real_texts_as_well_as_the_judge(shared: Path) -> None:
    import py3langid

    rng = np.random.default_rng(8)
    short, true = [], []
    for language, text in list(held_out(shared))[::2]:
        at = text.find(" ", int(rng.integers(max(1, len(text) - 70)))) + 1
        short.append(text[at : at + 60])
        true.append(language)
    assert len(short) > 100
    ours = np.mean([a == b for a, b in zip(load("language").best(short)[0], true, strict=True)])
    theirs = np.mean([py3langid.classify(text)[0] == b for text, b in zip(short, true, strict=True)])
    assert ours >= theirs - 0.01  # about one text in a hundred: what this sample can tell
    assert ours > 0.97
    long = find_languages([text[:1500] for _, text in held_out(shared)])
    sure = [a == b for a, (b, _) in zip(long.languages, held_out(shared), strict=True) if a != "und"]
    assert np.mean(sure) > 0.995
    assert len(sure) > 0.97 * len(long.languages)


def test_scripts() -> None:
    texts = ["abc é", "Привет abc", "ひらがなと漢字", "漢字", "한국어", "مرحبا", "12 + 3", "ﬁ Ω Ωmega"]
    assert main_scripts(script_letters(pieces(texts))) == [
        "Latn", "Cyrl", "Jpan", "Hani", "Hang", "Arab", "Zyyy", "Latn"]


def test_what_a_source_declares_stays_unless_the_text_surely_is_in_another_language() -> None:
    texts = [SENTENCES["fr"], SENTENCES["en"], "le chat dort", "Povoletto, Attimis"]
    kept = Identify()(table(texts, language="fr")).kept
    assert kept["language"].to_pylist() == ["fr", "en", "fr", "fr"]
    assert kept["flags"].to_pylist() == [[], ["language.contradicted"], [], []]
    conf = kept["lang_conf"].to_pylist()
    assert conf[0] > 0.95
    assert conf[1] > 0.95
    strict = Identify(reject_contradicted=True)(table(texts, language="fr"))
    assert [(r.row, r.reason) for r in strict.rejected] == [(1, "contradicted-language")]
    made = Identify()(table(texts, language="fr").set_column(5, "origin", pa.array(["procedural"] * 4)))
    assert made.kept["language"].to_pylist() == ["fr"] * 4


def test_languages_that_nobody_asked_for_are_rejected() -> None:
    sifted = Identify(languages=("en", "fr"), reject_mixed=True)(
        table([SENTENCES["en"], SENTENCES["de"], "12 + 3", SENTENCES["fr"], SENTENCES["en"] * 9 + SENTENCES["fr"] * 9]))
    assert sifted.kept["language"].to_pylist() == ["en", "fr"]
    assert [(r.row, r.reason) for r in sifted.rejected] == [
        (1, "unwanted-language"), (2, "unwanted-language"), (4, "mixed-languages")]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_looks_at_rows_one_by_one_and_travels(stage: Stage) -> None:
    texts = [*SENTENCES.values(), *NOTHING, "WIN a FREE prize now!!! Call 09061701461 to claim your cash reward"]
    rows = table(texts)
    whole = pickle.loads(pickle.dumps(stage))(rows)
    parts = [stage(rows.slice(a, 3)) for a in range(0, len(rows), 3)]
    assert pa.concat_tables([part.kept for part in parts]).equals(whole.kept)
    assert len(whole.kept) + len(whole.rejected) == len(rows)
    assert {r.reason for r in whole.rejected} <= stage.reasons.keys()
    assert whole.kept.schema.equals(rows.schema)
    assert len(stage(rows.slice(0, 0)).kept) == 0
    assert json.loads(json.dumps(stage.settings)) == stage.settings
    assert len(str(stage.settings["model"])) == 64


def test_textbooks_are_worth_more_than_tales_and_tales_more_than_spam(shared: Path) -> None:
    spam = "URGENT! You have WON a guaranteed 1000 pound prize. Call 09061701461 now to claim. T&Cs apply, 18+ only."
    texts = dict(held_out(shared))
    quality, p_spam = grades([texts["en"][:1500], "Are you coming home for dinner tonight? Mum asks. See you!", spam])
    assert quality[0] > quality[2]
    assert quality[1] > quality[2]
    assert p_spam[2] > 0.9
    sifted = Grade(min_quality=0.3)(table([texts["en"][:1500], spam]))
    assert [(r.row, r.reason) for r in sifted.rejected] == [(1, "spam")]
    assert Grade(max_spam=1)(table([spam])).kept["flags"].to_pylist() == [["spam"]]
    lazy = Grade(min_quality=0.3, max_spam=1)(table([spam]))
    assert [r.reason for r in lazy.rejected] == ["low-quality"]
    assert Grade()(table(["1 + 1 = 2"], origin="procedural")).kept["quality"].to_pylist() == [None]


def test_declared_labels_win_and_others_are_found() -> None:
    rows = table([SENTENCES["en"]], category="arithmetic", difficulty=3, language="en")
    kept = Label()(rows).kept.to_pylist()[0]
    assert (kept["category"], kept["difficulty"], kept["label_from"], kept["label_conf"]) == (
        "arithmetic", 3, "declared", None)
    physics = ("The force on a charged particle in a magnetic field is perpendicular to its velocity. Energy is "
               "conserved, so the kinetic energy of the electron is constant while the planet and its star orbit. ") * 3
    kept = Label()(table([physics, "one two"], language="en")).kept.to_pylist()
    assert (kept[0]["category"], kept[0]["label_from"]) == ("science", "classified")
    assert kept[0]["label_conf"] > 0.5
    assert kept[1]["difficulty"] is None
    assert Label(min_confidence=1.0)(table([physics])).kept["category"].to_pylist() == ["other"]
    for columns, reason in (({"category": "cooking"}, "unknown-category"), ({"difficulty": 6}, "unknown-difficulty")):
        assert [r.reason for r in Label()(table([physics], **columns)).rejected] == [reason]


def test_lix_by_hand() -> None:
    # 10 words, 2 sentences, of more than six letters: "elephant", "remembers": 10/2 + 100 * 2/10 = 25.
    text = "The old elephant sleeps. She always remembers the rain now."
    assert text_lix([text], ["en"]).tolist() == [25.0]
    assert text_lix([text], ["fr"]).tolist() == [25.0 - FRENCH]
    assert np.isnan(text_lix(["", "12 + 3", text], [None] * 3, 11)).all()
    assert difficulty(np.array([np.nan, 0, 24.9, 25, 30, 40, 50, 60, 99])).tolist() == [-1, 0, 0, 1, 2, 3, 4, 5, 5]
    assert np.isnan(lix(np.zeros((1, 5), np.int64)))[0]


def test_easy_books_are_easier_than_hard_ones(shared: Path) -> None:
    def median(name: str) -> float:
        with gzip.open(shared / "data/text" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for _, line in zip(range(60), file, strict=False)]
        return float(np.nanmedian(text_lix([row["text"] for row in rows], [row["lang"] for row in rows])))

    assert median("gutenberg_children") < median("novels_fr") < median("openstax_psychology")


def test_calibration_and_measures_by_hand() -> None:
    made = calibration(np.array([0.55, 0.55, 0.95, 0.95]), np.array([True, False, True, True]))
    assert made["ece"] == pytest.approx(0.05)
    assert made["reliability"] == [[0.5, 2, 0.55, 0.5], [0.9, 2, 0.95, 1.0]]
    model, texts = load("language"), [SENTENCES["en"], SENTENCES["fr"], SENTENCES["de"]]
    figures = measure(model, texts, ["en", "fr", "fr"])
    assert (figures["n"], figures["accuracy"]) == (3, 0.6667)
    fr, de = model.labels.index("fr"), model.labels.index("de")
    assert figures["confusion"][fr][de] == 1
    assert (figures["recall"][fr], figures["precision"][de]) == (0.5, 0.0)
    with pytest.raises(UsageError, match="does not know xx"):
        measure(model, texts, ["en", "fr", "xx"])


@pytest.mark.parametrize("name", MODELS)
def test_shipped_models_say_what_they_are(name: str) -> None:
    model = load(name)
    assert model_path(name).stat().st_size < 300_000
    held = [part for part in model.card.values() if isinstance(part, dict) and "confusion" in part]
    assert held
    assert all(sum(map(sum, part["confusion"])) == part["n"] and part["ece"] < 0.1 for part in held)
    assert {"trained_on", "texts_sha256", "n_texts"} <= model.card.keys()
    assert softmax(np.zeros((1, 2))).tolist() == [[0.5, 0.5]]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Label(model=str(tmp_path / "no.safetensors"))(table(["x"]))
    with pytest.raises(ConfigError, match="cannot grade"):
        grades(["x"], load("language"))
    for wrong in (lambda: Grade(min_quality=2), lambda: Identify(contradicts=0.1), lambda: Label(min_confidence=-1)):
        with pytest.raises(ConfigError):
            wrong()
    assert Caution().min_words == 4
