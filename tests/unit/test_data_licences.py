"""The licence gate: words into SPDX, what each licence allows, and claims held against licence files."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from petitlm.data.sources.licence_words import licence_of_file
from petitlm.data.sources.licences import REASONS, Policy, Verdict, examine, rights_of, spdx
from petitlm.errors import ConfigError, NotFoundError

PD = "LicenseRef-Public-Domain"
WORDS = {
    # As the sets of text beside the checkout say it.
    "CC-BY-4.0": "CC-BY-4.0", "public-domain": PD, "public-domain (encoding CC-BY-4.0)": f"{PD} AND CC-BY-4.0",
    "PSF-2.0": "PSF-2.0", "PSF-2.0; translation CC0-1.0": "PSF-2.0 AND CC0-1.0",
    "PSF-2.0 (translation contributed under CC0-1.0)": "PSF-2.0 AND CC0-1.0",
    "public-domain-or-CC0-1.0": f"{PD} OR CC0-1.0", "CC-BY-SA-4.0": "CC-BY-SA-4.0",
    "PSF-2.0; translations CC0-1.0": "PSF-2.0 AND CC0-1.0",
    "public domain or CC0-1.0, whichever is more permissive (notice in each document)": f"{PD} OR CC0-1.0",
    "public domain in the United States and in life+70 countries": PD, "texts in the public domain": PD,
    # As people say it.
    "CC BY 4.0": "CC-BY-4.0", "cc by-sa 3.0": "CC-BY-SA-3.0", "CC BY": "LicenseRef-CC-BY", "MIT": "MIT",
    "the MIT License": "MIT", "Apache License, Version 2.0": "Apache-2.0", "BSD 3-Clause": "BSD-3-Clause",
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International License": "CC-BY-NC-SA-4.0",
    "Creative Commons Attribution - Pas d'utilisation commerciale 4.0": "CC-BY-NC-4.0",
    "https://creativecommons.org/licenses/by-nd/4.0/deed.fr": "CC-BY-ND-4.0",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0", "CC0": "CC0-1.0", "domaine public": PD,
    "MIT or Apache-2.0": "MIT OR Apache-2.0", "(mit AND cc0-1.0) or PSF-2.0": "(MIT AND CC0-1.0) OR PSF-2.0",
    "Academic Free License 3.0": "AFL-3.0", "GPLv3": "GPL-3.0-only", "CC BY, NC 4.0": "CC-BY-NC-4.0",
}  # fmt: skip
UNCLEAR = [
    None, "", "  ", "free", "All rights reserved", "proprietary", "CC BY 4.0 except chapter 3", "not CC BY 4.0",
    "CC-BY-4.0, no commercial use", "CC BY 5.0", "not stated with the data by AI2", "see LICENSE", "CC BY 4.0 " * 100,
    "MIT (commercial use on request)",
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
def test_words_become_an_expression(words: str) -> None:
    assert spdx(words) == WORDS[words]
    assert spdx(WORDS[words]) == WORDS[words], "an expression is its own usual form"


@pytest.mark.parametrize("words", UNCLEAR)
def test_what_is_unclear_is_not_guessed(words: str | None) -> None:
    assert spdx(words) is None


def test_every_document_beside_the_checkout_has_a_licence_that_can_be_named(shared: Path) -> None:
    for path in sorted((shared / "data/text").glob("*.jsonl.gz")):
        with gzip.open(path) as file:
            licence = json.loads(next(file))["licence"]
        group = "share-alike" if "SA" in licence else ""
        assert Policy().judge(examine(licence), licence, path.name, group).reason is None, licence


def test_rights_of_joint_and_chosen_licences() -> None:
    def rights(*values: bool) -> dict[str, object]:
        names = ("commercial", "derivatives", "share_alike", "attribution")
        return {**dict(zip(names, values, strict=True)), "output_terms": None}

    assert rights_of("CC0-1.0") == rights(True, True, False, False)
    assert rights_of("CC-BY-NC-SA-4.0") == rights(False, True, True, True)
    assert rights_of("CC-BY-NC-4.0 AND CC-BY-ND-4.0") == rights(False, False, False, True)
    assert rights_of("CC-BY-NC-4.0 OR MIT") == rights(True, True, False, True)
    assert rights_of("MIT OR CC0-1.0 AND CC-BY-SA-4.0") == rights(True, True, False, True)
    assert rights_of("Unheard-Of-1.0") == rights(False, False, True, True)


@pytest.mark.parametrize(("licence", "group", "reason"), [
    ("CC BY 4.0", "", None), (PD, "", None), ("Apache-2.0", "", None), ("PSF-2.0", "", None), ("BSD", "", None),
    ("CC BY-SA 4.0", "", "share-alike"), ("CC BY-SA 4.0", "share-alike", None),
    ("CC BY-NC 4.0", "", "licence-not-allowed"), ("CC BY-NC-SA 4.0", "share-alike", "licence-not-allowed"),
    ("CC BY-ND 4.0", "", "licence-not-allowed"), ("GPL-3.0-only", "", "licence-not-allowed"),
    ("MIT OR CC-BY-NC-4.0", "", None), ("MIT AND CC-BY-NC-4.0", "", "licence-not-allowed"),
    ("free for all", "", "unknown-licence"), (None, "", "no-licence"), ("", "", "no-licence"),
])  # fmt: skip
def test_the_default_policy(licence: str | None, group: str, reason: str | None) -> None:
    verdict = Policy().judge(examine(licence), None, "books", group)
    assert verdict.reason == reason
    assert reason is None or reason in REASONS


def test_a_recipe_can_widen_narrow_and_name() -> None:
    assert Policy(deny=("CC-BY-*",)).judge(examine("CC BY 4.0"), None, "s").reason == "licence-denied"
    assert Policy(deny=("CC-BY-*",)).judge(examine("MIT OR CC-BY-4.0"), None, "s").reason is None
    assert Policy(allow=("CC-BY-NC-*",)).judge(examine("CC BY-NC 4.0"), None, "s").reason is None
    named = Policy(accept_unlicensed=("mine",))
    assert named.judge(examine(None), None, "mine") == Verdict(None, None, "accepted by name: mine")
    assert named.judge(examine(None), None, "yours").reason == "no-licence"
    assert named.judge(examine("CC BY-NC 4.0"), None, "mine").reason == "licence-not-allowed", "a known one counts"
    with pytest.raises(ConfigError, match="one by one"):
        Policy(accept_unlicensed=("*",))


def test_each_document_is_judged_by_its_own_words_too() -> None:
    evidence = examine("CC BY 4.0")
    judge = Policy().judge
    assert judge(evidence, "CC0", "s") == Verdict("CC0-1.0", None, "CC0-1.0")
    assert judge(evidence, "no idea", "s").reason == "unknown-licence"
    laundered = judge(evidence, "CC BY-NC 4.0", "s")
    assert laundered.reason == "laundering"
    assert hashlib.sha256(b"CC BY-NC 4.0").hexdigest() in laundered.detail


BY = "Creative Commons\nAttribution 4.0 International\n\n" + "Section 1 - Definitions.\n" * 40
NC = BY.replace("Attribution 4.0", "Attribution-NonCommercial-ShareAlike 4.0")


def test_a_claim_is_held_against_the_licence_file(tmp_path: Path) -> None:
    path = tmp_path / "LICENSE"
    path.write_text(BY)
    sha = hashlib.sha256(BY.encode()).hexdigest()
    good = examine("CC BY 4.0", path, sha)
    assert (good.kind, good.sha256, good.found) == ("corroborated", sha, "CC-BY-4.0")
    assert Policy().judge(good, None, "s").reason is None
    assert examine("CC BY 4.0").kind == "declared"

    path.write_text(NC)
    found = hashlib.sha256(NC.encode()).hexdigest()
    verdict = Policy().judge(examine("CC BY 4.0", path, sha), None, "s")
    assert verdict.reason == "laundering"
    assert sha in verdict.detail
    assert found in verdict.detail

    path.write_text(BY + "\n")
    changed = Policy().judge(examine("CC BY 4.0", path, sha), None, "s")
    assert changed.reason == "licence-file-changed"
    assert sha in changed.detail
    assert hashlib.sha256(path.read_bytes()).hexdigest() in changed.detail

    path.write_text("Do as you like, but ask us first, and read all of this. " * 20)
    assert examine("CC BY 4.0", path).kind == "computed", "hashed, but nobody can say what it means"
    path.unlink()
    assert Policy().judge(examine("CC BY 4.0", path, sha), None, "s").reason == "licence-file-missing"
    with pytest.raises(NotFoundError, match="beside the recipe"):
        examine("CC BY 4.0", tmp_path / "no" / "LICENSE")


def test_licence_files_are_told_by_their_titles(root: Path) -> None:
    assert licence_of_file((root / "LICENSE").read_text()) == "MIT"
    assert licence_of_file(NC) == "CC-BY-NC-SA-4.0"
    assert licence_of_file("Apache License\n  Version 2.0, January 2004\n" + "terms " * 200) == "Apache-2.0"
    both = licence_of_file("Permission is hereby granted, free of charge, to any person\n" + "x " * 300 + NC)
    assert both == "MIT AND CC-BY-NC-SA-4.0", "nothing narrower may hide behind the first"
    assert licence_of_file("Creative Commons Attribution 4.0 International (CC BY 4.0)") == "CC-BY-4.0"
    assert licence_of_file("a poem " * 200) is None
