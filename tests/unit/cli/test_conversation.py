"""A conversation: what fits, what is left out, and its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.cli.conversation import FORMAT, Conversation
from petitlm.errors import ContextError, DamagedError, NotFoundError, UsageError
from petitlm.prompts import SHAPES

QA = SHAPES["qa"]
texts = st.text(min_size=1, max_size=12).filter(lambda text: text.strip())


def talk(n: int) -> Conversation:
    conversation = Conversation()
    for i in range(n):
        conversation.add(f"question {i}", f"answer {i}")
    return conversation


def test_everything_is_shown_while_it_fits() -> None:
    prompt, left_out = talk(2).prompt(QA, "question 2", len, room=1000)
    assert left_out == 0
    assert prompt == ("Instruct: question 0\nOutput: answer 0\nInstruct: question 1\nOutput: answer 1\n"
                      "Instruct: question 2\nOutput:")


def test_the_oldest_turns_are_left_out_first_and_counted() -> None:
    prompt, left_out = talk(3).prompt(QA, "now", len, room=70)
    assert left_out == 4
    assert prompt == "Instruct: question 2\nOutput: answer 2\nInstruct: now\nOutput:"


def test_the_system_text_stays_in_front() -> None:
    conversation = talk(3)
    conversation.system = "Be brief."
    prompt, left_out = conversation.prompt(QA, "now", len, room=60)
    assert left_out == 6
    assert prompt.startswith("Be brief.\n\n")


def test_a_text_that_fits_nowhere_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextError, match=r"needs 40 tokens and 20 are left"):
        talk(1).prompt(QA, "a text too long for it", len, room=20)


@given(st.lists(st.tuples(texts, texts), max_size=6), texts, st.integers(30, 200))
def test_what_is_shown_is_the_longest_end_that_fits(exchanges: list[tuple[str, str]], text: str, room: int) -> None:
    conversation = Conversation()
    for question, answer in exchanges:
        conversation.add(question, answer)
    try:
        prompt, left_out = conversation.prompt(QA, text, len, room)
    except ContextError:
        assert len(QA.render(text)) > room
        return
    assert len(prompt) <= room
    assert prompt == QA.render_turns([*conversation.turns[left_out:], ("user", text)])
    if left_out:
        assert len(QA.render_turns([*conversation.turns[left_out - 2:], ("user", text)])) > room


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.none() | st.text(min_size=1))
def test_a_saved_conversation_loads_equal(exchanges: list[tuple[str, str]], system: str | None) -> None:
    import tempfile

    conversation = Conversation(system=system)
    for question, answer in exchanges:
        conversation.add(question, answer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.json"
        try:
            conversation.save(path, {"seed": 7})
        except UnicodeEncodeError:  # lone surrogates have no UTF-8
            return
        assert Conversation.load(path) == (conversation, {"seed": 7})


@pytest.mark.parametrize(("value", "message"), [
    ("[]", "holds a JSON list"),
    ("{}", "not a saved conversation"),
    (json.dumps({"format": FORMAT, "turns": 3}), "not a list"),
    (json.dumps({"format": FORMAT, "turns": [{"role": "assistant", "text": "hi"}]}), "turn 0 is not a text"),
    (json.dumps({"format": FORMAT, "turns": [{"role": "user", "text": 3}]}), "turn 0 is not a text of the user"),
    (json.dumps({"format": FORMAT, "turns": ["hello"]}), "turn 0 is not a text of the user"),
    (json.dumps({"format": FORMAT, "turns": [{"role": "user", "text": "hi"}]}), "no answer"),
    (json.dumps({"format": FORMAT, "turns": [], "settings": []}), "not an object"),
])
def test_a_file_that_is_no_conversation_is_refused(tmp_path: Path, value: str, message: str) -> None:
    path = tmp_path / "talk.json"
    path.write_text(value)
    with pytest.raises((DamagedError, UsageError), match=message):
        Conversation.load(path)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Conversation.load(tmp_path / "nothing.json")
