"""What becomes of replies: kept by every promise of their strategy, or rejected with a reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests_teachers import (
    ENGLISH,
    FRENCH,
    endpoint,
    faq,
    lab,
    rows,
    run,
    seed_lines,
    tag_in,
)
from tests_teachers import Said as Sent

from petitlm.data.sources import Raw, Reading, read
from petitlm.data.teachers.grounding import new_names, new_numbers
from petitlm.data.teachers.make import Order
from petitlm.data.teachers.strategies import STRATEGIES, strategy_named


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(seed_lines())
    return path


TROUBLE: dict[str, tuple[Any, str]] = {
    "empty": (lambda prompt: Sent(""), "empty"),
    "only the tag": (lambda prompt: Sent(f"#{tag_in(prompt)}\n"), "empty"),
    "refusal": (lambda prompt: Sent("I'm sorry, but I can't help with that."), "refusal"),
    "refusal in French": (lambda prompt: Sent("Je suis désolé, je ne peux pas le faire."), "refusal"),
    "refusal by filter": (lambda prompt: Sent("x", finish="content_filter"), "refusal"),
    "truncated": (lambda prompt: Sent(faq(prompt)[:-20], finish="length"), "truncated"),
    "no finish": (lambda prompt: Sent(faq(prompt), finish=""), "truncated"),
    "prompt again": (lambda prompt: Sent(prompt), "echo"),
    "seed again": (lambda prompt: Sent(ENGLISH[0]), "echo"),
    "another tag": (lambda prompt: Sent("#00000000\n" + faq(prompt).split("\n", 1)[1]), "other-request"),
    "another document": (lambda prompt: Sent("Q: What does the miller grind for the whole valley?\nA: Wheat, where the "
                                             "stream is fastest.\nQ: When does the wheel stop?\nA: In winter, for "
                                             "months, the wheel stands in ice."), "other-request"),
    "French": (lambda prompt: Sent("Q : Que possède le vieux port ?\nR : Des grues au bord du fleuve.\nQ : Que font "
                                   "elles ?\nR : Elles soulèvent les caisses des navires."), "wrong-language"),
    "one pair": (lambda prompt: Sent("Q: What has the harbour?\nA: Cranes beside the wide river."), "invalid-format"),
    "a number": (lambda prompt: Sent("Q: How many cranes has the harbour?\nA: It has 17 cranes.\nQ: What do they lift?"
                                     "\nA: They lift the heavy boxes from the ships."), "not-grounded"),
    "a name": (lambda prompt: Sent("Q: Where is the old harbour?\nA: Beside the wide river in Liverpool.\nQ: What do "
                                   "the cranes lift?\nA: They lift the heavy boxes."), "not-grounded"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_reply_that_breaks_a_promise_is_rejected_with_its_reason(kind: str, seeds: Path, tmp_path: Path) -> None:
    bad, reason = TROUBLE[kind]
    with lab(lambda prompt, i: bad(prompt) if ENGLISH[0] in prompt else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.rejected == Counter({reason: 1}), rows(tmp_path / "out", "rejected")
    assert made.documents == 3 and made.left == 0
    assert len(server.prompts) == 4  # a bad reply is not asked for again


def test_the_same_reply_to_several_requests_is_worth_nothing(seeds: Path, tmp_path: Path) -> None:
    same = "Q: What is it?\nA: A thing of use.\nQ: What is it for?\nA: It helps people."
    with lab(lambda prompt, i: Sent(same if i < 2 else faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.rejected == {"repeated": 2} and made.documents == 2


@pytest.mark.parametrize("around", ["```\n{}\n```", "Here are the questions:\n\n{}",
                                    "Sure, here it is:\n```markdown\n{}\n```",
                                    "<think>\nWhat does the text say?\n</think>\n\n{}"])
def test_one_repair_takes_off_what_was_put_around(around: str, seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(around.format(faq(prompt).split("\n", 1)[1]))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.documents == 4 and all(row["flags"] == ["reply.repaired"] for row in rows(tmp_path / "out"))


def test_translation_keeps_both_texts_and_its_numbers(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(seed_lines(FRENCH, "fr") + seed_lines(ENGLISH[:1]))
    good = {FRENCH[0]: ENGLISH[0], FRENCH[1]: "A lamp needs 5 litres of oil, a wick and some air. The flame draws the "
                                               "oil up through the wick, and without air it goes out."}

    def answer(prompt: str, i: int) -> Sent:
        return Sent(f"#{tag_in(prompt)}\n" + next(en for fr, en in good.items() if fr in prompt))

    with lab(answer) as server:
        made = run(endpoint(server, terms="the user may train on it"), seeds, tmp_path / "out",
                   order=Order(STRATEGIES["translate"], "en", 9))
    assert made.rejected == {"not-grounded": 1} and made.skipped == {"language": 1}
    (row,) = rows(tmp_path / "out")
    assert row["text"] == f"{FRENCH[0]}\n{ENGLISH[0]}" and (row["form"], row["category"]) == ("pair", "translation")
    assert row["licence"] == "CC-BY-4.0" and row["rights"]["output_terms"] == "the user may train on it"


GOOD = {
    "maths": "Problem: A harbour has 3 cranes and gets 2 more. How many has it then?\nSolution: 3 + 2 = 5\nAnswer: 5",
    "table": "| Thing | Number |\n|---|---:|\n| cranes | 3 |\n| river | wide |",
    "tutorial": "1. Look for the cranes beside the river.\n2. Let them lift the heavy boxes from the ships.\n"
                "3. Write down what each ship has brought.",
    "dialogue": "A: What stands in the old harbour?\nB: Cranes stand there.\nA: What are they for?\nB: To lift.",
    "summary": "Cranes beside the river lift boxes from ships, and workers write it down.",
    "audience-child": "In the old harbour there are 3 tall cranes. They lift the boxes out of the ships each morning.",
    "audience-expert": "Three quayside cranes unload the vessels daily, and the workers record the goods of each one.",
}


BAD = {
    "maths": ("Solution: 3 + 2 = 5\nAnswer: 5", "Problem: How many?\nAnswer: 5", "Problem: x\nSolution: y\nAnswer: no"),
    "table": ("| Thing | Number |\n|---|---|\n| cranes | 3 |", "Thing | Number\n---|---\na | 3\nb | 3",
              "| Thing | Number |\n|---|---|\n| cranes | 3 |\n| river |"),
    "tutorial": ("1. Look.\n2. Lift.", "1. Look.\n3. Lift.\n2. Write.", "Look, then lift, then write."),
    "dialogue": ("A: What?\nB: Cranes.", "A: What is it?\nA: And this?\nB: Cranes.\nB: A river.", "What? Cranes."),
    "summary": (ENGLISH[0][:120] + " and so on, as it was said above, for the ships.", "Cranes"),
    "audience-child": ("Cranes and a river and boxes and ships and no full stop",),
    "audience-expert": ("Cranes.",),
}


@pytest.mark.parametrize("name", GOOD)
def test_each_strategy_takes_its_layout_and_no_other(name: str, tmp_path: Path) -> None:
    seeds = tmp_path / "one.jsonl"
    seeds.write_text(seed_lines(ENGLISH[:1]))
    order = Order(STRATEGIES[name], "en", 9)
    with lab(lambda prompt, i: Sent(f"#{tag_in(prompt)}\n{GOOD[name]}")) as server:
        made = run(endpoint(server), seeds, tmp_path / "good", order=order)
        assert made.documents == 1, rows(tmp_path / "good", "rejected")
        assert rows(tmp_path / "good")[0]["form"] == STRATEGIES[name].form
        for i, bad in enumerate(BAD[name]):
            server.answer = lambda prompt, _, bad=bad: Sent(f"#{tag_in(prompt)}\n{bad}")
            assert run(endpoint(server), seeds, tmp_path / str(i), order=order).rejected == {"invalid-format": 1}, bad


def test_french_is_asked_for_in_french_and_written_in_its_way(tmp_path: Path) -> None:
    seeds = tmp_path / "fr.jsonl"
    seeds.write_text(seed_lines(FRENCH, "fr"))
    with lab() as server:
        made = run(endpoint(server), seeds, tmp_path / "out", order=Order(STRATEGIES["faq"], "fr", 9))
    assert made.documents == 2 and {row["language"] for row in rows(tmp_path / "out")} == {"fr"}
    assert all("N'utilise que ce que dit le texte" in prompt for prompt in server.prompts)


def test_without_a_document_each_call_has_its_own_seed_and_a_repeat_counts_once(tmp_path: Path) -> None:
    story = "A small boat went out to sea. The wind broke its mast, and the boy inside rowed home."
    with lab(lambda prompt, i: Sent(story if i < 3 else f"{story} It was day {i} of the spring.")) as server:
        made = run(endpoint(server), None, tmp_path / "out", order=Order(strategy_named("story", True), "en", 5))
    assert made.asked == len(server.prompts) == 5
    assert made.documents == 3 and made.rejected == {"repeated": 2}
    row = rows(tmp_path / "out")[0]
    assert (row["origin"], row["parents"], row["licence"], row["category"]) == ("teacher", [], "Apache-2.0", "stories")


def test_what_real_text_says_is_grounded_in_it_and_what_is_planted_is_not(shared: Path) -> None:
    """Every other sentence of a passage, in any order, has no new number and no new name; a planted one is found."""
    n = 0
    for name in ("novels_en", "novels_fr", "openstax_physics"):
        for raw, _ in zip(read(shared / "data" / "text" / f"{name}.jsonl.gz", Reading(passage_chars=3000)), range(60),
                          strict=False):
            said = re.split(r"(?<=[.!?])\s+", raw.text)[1::2] if isinstance(raw, Raw) else []
            if len(said) < 3:
                continue
            n += 1
            Random(n).shuffle(said)
            assert isinstance(raw, Raw)
            text = " ".join(said)
            assert (new_numbers(text, raw.text), new_names(text, raw.text)) == ([], [])
            assert new_numbers(f"{text} It is 48127.5 long.", raw.text) == ["48127.5"]
            assert new_names(f"{text} and then old Xandrov came.", raw.text) == ["Xandrov"]
    assert n > 100


@pytest.mark.parametrize(("said", "seed"), [
    ("1 234 habitants", "1,234 people"), ("3,5 kg", "3.5 kg"), ("12 eggs", "twelve eggs"), ("007", "7"),
    ("1. First\n2. Then 5", "five things"), ("2,50 euros", "2.5 euros"), ("21 jours", "vingt et un (21) jours"),
])
def test_one_number_has_many_writings(said: str, seed: str) -> None:
    assert new_numbers(said, seed) == []


@pytest.mark.parametrize(("said", "seed", "new"), [
    ("1 235", "1,234", ["1235"]), ("3.5", "35", ["3.5"]), ("2024", "in 20 and 24", ["2024"]), ("13", "three", ["13"]),
])
def test_other_numbers_are_new(said: str, seed: str, new: list[str]) -> None:
    assert new_numbers(said, seed) == new
