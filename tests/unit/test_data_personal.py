"""The stage `mask`: what reaches a person is found by its form and its checksum, and nothing else is touched."""

from __future__ import annotations

import gzip
import json
import pickle
import re
from pathlib import Path

import pytest

from petitlm.data.corpus.schema import documents
from petitlm.data.sources.checksums import is_card, is_iban, is_social_fr, luhn
from petitlm.data.sources.personal import KINDS, Mask, replaced
from petitlm.errors import ConfigError

MASKED = {
    "Write to jean.dupont+news@mairie-paris.fr.": "Write to <EMAIL>.",
    "Mail: <a.b@c-d.co.uk>, x_1@y.io": "Mail: <<EMAIL>>, <EMAIL>",
    "prénom.nom (at) société.example.museum": "<EMAIL>",
    "jean[at]wanadoo.fr ou jean (at) wanadoo.fr": "<EMAIL> ou <EMAIL>",
    "Appelez le 06 12 34 56 78 ou le 01.42.68.53.00.": "Appelez le <PHONE> ou le <PHONE>.",
    "Tél. : +33 (0)6 12 34 56 78, 0033612345678, 0612345678": "Tél. : <PHONE>, <PHONE>, <PHONE>",
    "Call (212) 867-5309, 212-867-5309, 1-800-273-8255, +1 212.867.5309": "Call <PHONE>, <PHONE>, <PHONE>, <PHONE>",
    "London: 020 7946 1234, +44 20 7946 1234": "London: <PHONE>, <PHONE>",
    "Berlin +49 30 901820, Genève +41 22 730 51 11": "Berlin <PHONE>, Genève <PHONE>",
    "IBAN FR14 2004 1010 0505 0001 3M02 606 MERCI": "IBAN <IBAN> MERCI",
    "GB82WEST12345698765432, DE89 3704 0044 0532 0130 00": "<IBAN>, <IBAN>",
    "Card 4111 1111 1111 1111 exp 12/27": "Card <CARD> exp 12/27",
    "5500-0055-5555-5559 and 378282246310005": "<CARD> and <CARD>",
    "NIR 2 55 08 14 168 025 38.": "NIR <SOCIAL>.",
    "n° 1 84 12 2A 451 089 75": "n° 1 84 12 2A 451 089 75",  # wrong key
    "server 81.2.69.142 and 2a00:1450:4007:80e::200e": "server <IP> and <IP>",
}
KEPT = [
    "user@example.com, me@mail.example.org, root@localhost, a@b.test", "@dataclasses.dataclass and créées avec @a.b",
    "f@x, @home, 5 @ 3", "1,234,567,890.12 and 3.141592653589793238462643", "2026-11-24 12:30:59",
    "ISBN 978-3-16-148410-0", "123 + 456 = 579; 0123456789", "202-555-0143 and (415) 555-0132",
    "01 99 00 12 34 et 06 39 98 12 34",
    "127.0.0.1, 192.168.1.20, 10.0.0.1, ::1, fe80::1, 2001:db8::1, 203.0.113.9", "version 81.2.69.142", "zlib 1.2.3.4",
    "chapter 12.34.56.78", "4111 1111 1111 1112", "FR14 2004 1010 0505 0001 3M02 607", "12 34 56 78 90",
    "[::2], x[1::2], std::vector, a::b::c", "1010101010101010 0000 0000 0000 0000", "1 2 3 4 5 6 7 8 9 10 11 12 13",
    "In 1914 1918 1939 1945 there was war", "0.0612345678", "id=30612345678",
]  # fmt: skip


@pytest.mark.parametrize("text", MASKED)
def test_what_is_personal_becomes_a_mark(text: str) -> None:
    assert replaced(text, Mask().find(text)) == MASKED[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_nobodys_stays(text: str) -> None:
    assert Mask().find(text) == []


def test_checksums_against_published_examples() -> None:
    assert luhn("79927398713") == 0
    assert [digit for digit in "0123456789" if luhn("7992739871" + digit) == 0] == ["3"]
    cards = ("4012888888881881", "4222222222222", "5105105105105100", "2223003122003222", "371449635398431",
             "6011111111111117", "30569309025904", "3530111333300000", "6200000000000005")  # fmt: skip
    assert all(map(is_card, cards))
    assert not any(is_card(card[:-1] + str((int(card[-1]) + 1) % 10)) for card in cards)
    assert not is_card("4" * 16)
    assert not is_card("9" * 8 + "0" * 8)
    # The examples of the registry.
    accounts = (
        "FR1420041010050500013M02606", "DE89370400440532013000", "GB29NWBK60161331926819", "BE68539007547034",
        "CH9300762011623852957", "NO9386011117947", "MT84MALT011000012345MTLCAST001S", "IT60X0542811101000000123456",
        "ES9121000418450200051332", "LU280019400644750000", "NL91ABNA0417164300",
        "PT50000201231234567890154")  # fmt: skip
    assert all(map(is_iban, accounts))
    assert not any(is_iban(account[:-1] + ("1" if account[-1] != "1" else "2")) for account in accounts)
    assert not is_iban("FR1420041010050500013M0260")
    assert not is_iban("XX1420041010050500013M02606")
    assert is_social_fr("255081416802538")
    assert sum(is_social_fr(f"2550814168025{key:02d}") for key in range(100)) == 1
    for department, digits in (("2A", "19"), ("2B", "18")):  # Corsica counts as the number it had in the decree
        body = f"18412{department}004089"
        key = 97 - int(f"18412{digits}004089") % 97
        assert is_social_fr(f"{body}{key:02d}")
    assert not is_social_fr("255131416802538")


def test_rows_are_masked_flagged_and_their_answers_follow() -> None:
    text = "Écris à jean@wanadoo.fr : son numéro est le 06 12 34 56 78 demain."
    answers = [{"start": 0, "end": len("Écris à jean@wanadoo.fr".encode())},
               {"start": text.encode().index(b"12 34"), "end": text.encode().index(b" demain")}]  # fmt: skip
    rows = documents([
        {"text": text, "answers": answers, "answer": "06 12 34 56 78", "origin": "human", "flags": ["x"]},
        {"text": text, "origin": "procedural", "answer": "06 12 34 56 78"},
        {"text": "rien", "origin": "human"},
        {"text": "\n".join(f"person{i}@firm.com 212-867-53{i:02d}" for i in range(20)), "origin": "human"},
    ])  # fmt: skip
    sifted = Mask()(rows)
    first, second, third = sifted.kept.to_pylist()
    assert first["text"] == "Écris à <EMAIL> : son numéro est le <PHONE> demain."
    said = [first["text"].encode()[each["start"] : each["end"]].decode() for each in first["answers"]]
    assert said == ["Écris à <EMAIL>", "<PHONE>"], "an answer cut through a number takes its whole mark"
    assert (first["answer"], first["flags"]) == ("<PHONE>", ["pii.email", "pii.phone", "x"])
    assert (second["text"], second["answer"], third["text"]) == (text, "06 12 34 56 78", "rien")
    assert [(one.row, one.reason) for one in sifted.rejected] == [(3, "directory")]
    assert sifted.kept.schema == rows.schema


def test_masking_again_changes_nothing_and_settings_are_the_fields() -> None:
    stage = Mask(kinds=("email",))
    assert replaced("a@b.io 0612345678", stage.find("a@b.io 0612345678")) == "<EMAIL> 0612345678"
    assert not any(Mask().find(mark) for mark in KINDS.values())
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert json.loads(json.dumps(stage.settings)) == stage.settings
    with pytest.raises(ConfigError, match="names"):
        Mask(kinds=("passport",))


def test_novels_and_textbooks_hold_nobody(shared: Path) -> None:
    for name in ("novels_fr", "novels_en", "openstax_physics", "openstax_us_history"):
        with gzip.open(shared / "data/text" / f"{name}.jsonl.gz") as file:
            texts = [json.loads(line)["text"] for line, _ in zip(file, range(50), strict=False)]
        assert not any(Mask().find(text) for text in texts)


def test_the_authors_of_peps_are_masked(shared: Path) -> None:
    with gzip.open(shared / "data/text/python_peps.jsonl.gz") as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(80), strict=False)]
    stage = Mask()
    masked = [replaced(text, stage.find(text)) for text in texts]
    address = re.compile(r"\w@python\.org")  # the text also speaks of "a `@python.org` address"
    assert sum(len(address.findall(text)) for text in texts) > 10
    assert not any(address.search(text) for text in masked)
    assert not any(stage.find(text) for text in masked)
