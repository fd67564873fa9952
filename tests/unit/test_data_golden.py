"""What a seed gives never changes: the records that the shipped model was made from, call by call and as a whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random

import pytest

import petitlm
from petitlm.data import GENERATORS, SPLITS, Mixture, Origin, Record, make_records, remake

# sha256 of 1,200 generator calls and of the drafts of levels 0 to 3, first release.
GOLDEN = {
    ("arithmetic", "en"): "6b407e13ff06e2e907c562fbb7726b48",
    ("arithmetic", "fr"): "ec87121205c512152ad055660c7021c4",
    ("passages", "en"): "037c8740c1d4d398ad33b9425da4d4ec",
    ("passages", "fr"): "f3039e63998f5cda945cc4d9be66fb3b",
    ("commands", "en"): "5f9e9330a443385276100e92fbcd6604",
    ("commands", "fr"): "da8d9871450d8c14960e47918d05f345",
    ("small-talk", "en"): "cc04cf85c360a00964e19b011d2ea9f9",
    ("small-talk", "fr"): "904d57e365f241ab038d8d281a0ff9e5",
}
GOLDEN_MIXTURE = "d5a5cf8d88f7b402200a9efaf9b671d485f6d59a808d59d02f97bbeeeeda31af"


def digest_of(family: str, language: str) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        for index in range(400):
            made = remake(Origin(family, 1, language, 7, split, index), 0.3)
            if isinstance(made, Record):
                said = [made.id, made.level, made.structure, made.problem_key, made.shape]
                said += [text for turn in made.turns for text in (turn.question, turn.answer)]
            else:
                said = [made.reason, made.detail]
            digest.update(json.dumps(said).encode())
    made_by = GENERATORS[family]
    rng = Random(5)
    for level in (0,) if family == "small-talk" else (0, 1, 2, 3):
        for held_out in (False, True):
            for _ in range(300):
                p = made_by.draw(rng, language, level, held_out)
                said = [p.family, p.language, p.level, p.structure, p.key, p.question, p.answer, p.context, p.foil]
                digest.update(json.dumps(said).encode())
        digest.update(str(rng.random()).encode())
    return digest.hexdigest()[:32]


@pytest.mark.parametrize("family", ["arithmetic", "passages", "commands", "small-talk"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_call_gives_what_it_gave_when_the_shipped_model_was_made(family: str, language: str) -> None:
    assert digest_of(family, language) == GOLDEN[family, language]


def test_a_small_mixture_gives_the_same_texts() -> None:
    families = {"arithmetic": 0.36, "passages": 0.32, "commands": 0.28, "small-talk": 0.04}
    assert make_records(Mixture(1500, 150, seed=1, families=families)).manifest()["text_sha256"] == GOLDEN_MIXTURE


# sha256 of 200 drafts of every level of the families that came later, of their version 1.
GOLDEN_LEVELS = {
    ("arithmetic", "en"): "160529e1e4a3ad925ca51a6c33d506b7",
    ("arithmetic", "fr"): "0dac4fba69cdbf20133c8e8b3fc0b752",
    ("passages", "en"): "0dcaddd924f0134b1e10a7acc95515a5",
    ("passages", "fr"): "a3efa5326b46dde828348f85c91af668",
    ("number-words", "en"): "7580f9a5acfb2c9fec9d83c04bdc0aa8",
    ("number-words", "fr"): "eed634cd7cf150718a064d7041b35df0",
    ("word-problems", "en"): "656a5b92feec2ccbc83d331af2280c49",
    ("word-problems", "fr"): "b58790ca188d690b9b0b774965cbcfc1",
    ("measures", "en"): "34036fa631b45a0686b7ebeeec673e6b",
    ("measures", "fr"): "dffc5a5741f6a9a3f337d3087ce18f61",
}


def digest_of_levels(family: str, language: str) -> str:
    digest = hashlib.sha256()
    for level in range(6):
        rng = Random(level)
        for draft in range(200):
            p = GENERATORS[family].draw(rng, language, level, draft % 5 == 0)
            said = [p.family, p.language, p.level, p.structure, p.key, p.question, p.answer, p.context, p.foil]
            digest.update(json.dumps(said).encode())
    return digest.hexdigest()[:32]


@pytest.mark.parametrize(("family", "language"), GOLDEN_LEVELS)
def test_all_levels_give_what_their_version_gave(family: str, language: str) -> None:
    assert GENERATORS[family].version == 1
    assert digest_of_levels(family, language) == GOLDEN_LEVELS[family, language]


@pytest.mark.slow
def test_all_records_of_the_shipped_model_are_made_again() -> None:
    card = json.loads((Path(petitlm.__file__).parent / "models" / "default" / "run.json").read_text())
    made = card["data"]
    again = make_records(
        Mixture(
            n_train=made["splits"]["train"],
            n_heldout=made["splits"]["heldout-values"],
            seed=made["seed"],
            families=made["families"],
            languages=tuple(made["languages"]),
            chat_share=made["chat_share"],
        )
    )
    assert again.manifest()["text_sha256"] == made["text_sha256"]
