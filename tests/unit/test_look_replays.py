"""Every verb's result survives JSON, is repeated by its finding to the bit, and draws a whole page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_look import random_model

from petitlm import look
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.results import Result

TEXT, OTHER = "w5 w9 w2 w44 w9 w2 w17", "w5 w9 w2 w31 w9 w2 w17"
TEXTS = [f"w{i} w{i + 3} w{2 * i} w7" for i in range(12)]
PAIRS = [[f"w{i} w9 w2 w44", f"w{i} w9 w2 w31", "w3", "w4"] for i in range(4)]

QUESTIONS: dict[str, Callable[[Any], Result]] = {
    "lens": lambda m: look.lens(m, TEXT, follow=["w3"]),
    "patchscope": lambda m: look.patchscope(m, TEXT, OTHER),
    "dla": lambda m: look.dla(m, TEXT, "w3", "w4", unit="head"),
    "patterns": lambda m: look.patterns(m, TEXT, layer=1),
    "heads": lambda m: look.heads(m, n_texts=1),
    "patch": lambda m: look.patch(m, TEXT, OTHER, "w3", "w4"),
    "attribute": lambda m: look.attribute(m, TEXT, OTHER, "w3", "w4"),
    "circuit": lambda m: look.circuit(m, PAIRS, subsets=1, size=20),
    "steer": lambda m: look.steer(m, [[TEXT, OTHER]], [TEXT], [OTHER], answer="w3", versus="w4"),
    "probe": lambda m: look.probe(m, TEXTS, ["even" if i % 2 == 0 else "odd" for i in range(12)], shuffles=2, folds=3),
    "drift": lambda m: look.drift(m, random_model("phi", 32), [TEXT], pairs=PAIRS[:1]),
    "diff": lambda m: look.diff(m, random_model("phi", 32), TEXT),
}


@pytest.mark.parametrize("verb", QUESTIONS)
def test_a_finding_of_each_verb_holds(verb: str, tmp_path: Path) -> None:
    found = QUESTIONS[verb](random_model("phi", 4))
    save_finding(found, tmp_path / "finding.json")
    finding = load_finding(tmp_path / "finding.json")
    again = replay(finding, random_model("phi", 4), random_model("phi", 32))
    assert again.verb == verb and again.holds and again.worst == 0 and again.n_numbers > 5, again
    assert found.table() and len(found.html()) > 5000


def test_every_verb_is_asked_here_or_needs_what_other_tests_make() -> None:
    made_elsewhere = {"risk", "features", "dashboard", "train_dictionary"}  # a judge, a dictionary
    assert set(QUESTIONS) | made_elsewhere >= set(look.VERBS) - {"identities", "selftest"}
