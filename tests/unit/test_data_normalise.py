"""The stage `normalise`: equal texts become equal bytes, damage is undone or refused, answers keep their places."""

from __future__ import annotations

import gzip
import json
import pickle
import unicodedata
from pathlib import Path

import pytest

from petitlm.data.corpus.schema import content_id, documents
from petitlm.data.corpus.stage import Sifted, canonical
from petitlm.data.sources.mojibake import repair
from petitlm.data.sources.normalise import Normalise

CASES = {
    "plain text": "plain text",
    "\ufeffBOM first": "BOM first",
    "one\r\ntwo\rthree\u2028four\u2029five\x85six\x0cseven": "one\ntwo\nthree\nfour\n\nfive\nsix\nseven",
    "e\u0301te\u0301": "été",
    "ﬁn": "ﬁn",  # compatibility characters mean something: NFC, not NFKC
    "nul\0 and bell\x07": "nul and bell",
    "zero\u200bwidth, soft\u00adhyphen, word\u2060joiner": "zerowidth, softhyphen, wordjoiner",
    "abc\u202edcb\u202c \u2066x\u2069": "abcdcb x",  # what one sees and what one gets: Trojan Source
    "hidden\U000e0041\U000e0042 orders": "hidden orders",
    "Quoi\u202f? «\u00a0Oui\u00a0»": "Quoi ? « Oui »",
    "wide\u3000and\u2003thin\u2009spaces": "wide and thin spaces",
    "  indented\n\ttab  \nend \t\n\n": "  indented\n\ttab\nend",
    "\n\n a\n\n\n\n\n\nb": " a\n\n\nb",
    "👩\u200d👩\u200d👧 ok": "👩\u200d👩\u200d👧 ok",
    "a\u200db": "ab",
    "cafÃ©, naÃ¯ve": "café, naïve",
    "donâ€™t â€œquoteâ€\x9d â€¦": "don’t “quote” …",
    "dÃ©jÃ\xa0 vu Ã\xa0 20Â°C": "déjà vu à 20°C",
    "CafÃƒÂ© deux fois": "Café deux fois",
    "CAFÉ\u00a0» et É’": "CAFÉ » et É’",
    "Ã© is how é looks": "Ã© is how é looks",
    "The bytes read `Ã©`.": "The bytes read `Ã©`.",
    "Ångström, Ã, Â, SÃO PAULO, ÂGE": "Ångström, Ã, Â, SÃO PAULO, ÂGE",
}


@pytest.mark.parametrize("text", CASES)
def test_one_way_to_write_a_text(text: str) -> None:
    clean = Normalise().clean(text)
    assert clean.text == CASES[text]
    assert Normalise().clean(clean.text).text == clean.text
    assert unicodedata.is_normalized("NFC", clean.text)


def sift(stage: Normalise, *rows: dict[str, object]) -> Sifted:
    table = documents([{"flags": [], "answers": [], **row} for row in rows])
    sifted = stage(table)
    assert len(sifted.kept) + len(sifted.rejected) == len(table)
    assert {rejection.reason for rejection in sifted.rejected} <= set(stage.reasons)
    assert sifted.kept.schema == table.schema
    return sifted


def test_rows_are_cleaned_flagged_or_refused() -> None:
    mixed = "été à Noël : cafÃ©, thÃ©, pÃ¢tÃ© et fenÃªtre."
    sifted = sift(
        Normalise(),
        {"text": "ab\0c\r\n"}, {"text": " \u200b \n"}, {"text": "x\1\2\3" * 50}, {"text": mixed},
        {"text": "cafÃ©"}, {"text": "lost \ufffd letters \ufffd and \ufffd more"}, {"text": f"Ã© {'é, mot ' * 400}"},
    )  # fmt: skip
    assert sifted.kept["text"].to_pylist()[:2] == ["abc", "café"]
    assert sifted.kept["flags"].to_pylist() == [[], ["mojibake.repaired"], ["mojibake"]]
    assert [(one.row, one.reason) for one in sifted.rejected] == [
        (1, "empty"), (2, "binary"), (3, "mojibake"), (5, "mojibake")]  # fmt: skip
    assert sifted.kept["content_id"].to_pylist()[0] == content_id("abc")
    assert sifted.kept["n_bytes"].to_pylist()[1] == 5


def test_answers_keep_their_places() -> None:
    text = "Q\u00a0: e\u0301te\u0301\u200b?\r\nR : vingt-\u00addeux\u00a0!  \r\nfin"
    start = len(text[: text.index("vingt")].encode())
    end = len(text[: text.index("  \r")].encode())
    stage = Normalise()
    answer = {"answers": [{"start": start, "end": end}], "answer": "vingt-\u00addeux\u00a0!"}
    row = sift(stage, {"text": text, **answer}).kept
    (made,) = row["answers"].to_pylist()[0]
    cleaned = row["text"][0].as_py()
    assert cleaned == "Q : été?\nR : vingt-deux !\nfin"
    assert cleaned.encode()[made["start"] : made["end"]].decode() == "vingt-deux !" == row["answer"][0].as_py()


def test_answers_that_melt_into_the_text_are_refused() -> None:
    melted = {"text": "abe\u0301", "answers": [{"start": 3, "end": 5}]}  # the accent alone is the answer
    split = {"text": "é\u00a0x", "answers": [{"start": 1, "end": 2}]}  # half a letter
    assert [one.reason for one in sift(Normalise(), melted, split).rejected] == ["answers-moved"] * 2


def test_settings_change_the_result_and_are_said() -> None:
    stage = Normalise(keep_no_break=True, max_blank_lines=0)
    assert stage.clean("a\u00a0!\n\n\nb").text == "a\u00a0!\nb"
    assert stage.settings["keep_no_break"] is True
    assert canonical(stage.settings) != canonical(Normalise().settings)
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_ten_megabytes_of_one_letter_and_a_long_line_are_no_trouble() -> None:
    assert len(Normalise().clean("a" * 10_000_000).text) == 10_000_000
    assert Normalise().clean("Â" * 100_000 + "\u200b").text == "Â" * 100_000


def test_real_text_damaged_once_or_twice_comes_back(shared: Path) -> None:
    def wrong(text: str) -> str:
        """Read UTF-8 as Windows-1252, its five holes as Latin-1, as browsers do."""
        return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())

    with gzip.open(shared / "data/text/novels_fr.jsonl.gz") as file:
        texts = [json.loads(next(file))["text"][:1500] for _ in range(60)]
    sound = [Normalise().clean(text).text for text in texts]
    assert [repair(text).text for text in sound] == sound
    for times in (wrong, lambda text: wrong(wrong(text))):
        assert [Normalise().clean(times(text)).text for text in sound] == sound


def test_no_real_text_is_taken_for_damaged(shared: Path) -> None:
    for name in ("python_docs_fr", "python_docs_en", "gutenberg_children", "ud_french_gsd"):
        with gzip.open(shared / "data/text" / f"{name}.jsonl.gz") as file:
            for line in file:
                text = json.loads(line)["text"]
                assert repair(text) == (text, 0, 0)
