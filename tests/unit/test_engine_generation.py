"""Answers: where they stop, what is streamed, and that company changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from petitlm.engine.generation import Generation, Stream, make_request, prefill
from petitlm.engine.runner import CHUNK
from petitlm.engine.sampling import Sampling
from petitlm.errors import ContextError, UsageError
from petitlm.tokenizer import Tokenizer


class Scripted:
    """A session whose model wants to say a given list of ids after the prompt, in every slot."""

    def __init__(self, script: list[int], n_prompt: int) -> None:
        self.script, self.n_prompt, self.copies = script, n_prompt, []
        self.chunks: list[int] = []

    def step(self, ids, positions, slots, wanted=None, tap=None) -> np.ndarray:
        self.chunks.append(len(ids))
        rows = range(len(ids)) if wanted is None else wanted
        logits = np.zeros((len(rows), 264), np.float32)
        for row, i in enumerate(rows):
            logits[row, self.script[min(positions[i] - self.n_prompt + 1, len(self.script) - 1)]] = 50
        return logits

    def copy(self, source: int, target: int, length: int) -> None:
        self.copies.append((source, target, length))


@pytest.fixture
def say(byte_tokenizer: Tokenizer):
    def run(text: str | bytes, **options) -> tuple[list[str], Generation]:
        data = text.encode() if isinstance(text, str) else text
        ids = [id_of(byte_tokenizer, byte) for byte in data]
        options.setdefault("max_tokens", 100)
        request = make_request([1, 2, 3], 256, options.pop("sampling", Sampling()), **options)
        forbidden = byte_tokenizer.without_text(264)
        stream = Stream(Scripted([*ids, 256], 3), request, byte_tokenizer, forbidden)
        pieces = list(stream)
        return [str(p) for p in pieces if p.choice == 0], stream.result

    return run


def id_of(tokenizer: Tokenizer, byte: int) -> int:
    return next(i for i in range(256) if tokenizer.token_bytes(i) == bytes([byte]))


def test_the_end_token_ends_and_is_not_text(say) -> None:
    pieces, result = say("Bonjour.")
    assert "".join(pieces) == result.text == "Bonjour."
    assert result.finish == "eos"
    assert result.ids[-1] == 256 and len(result.ids) == 9


def test_max_tokens_ends(say) -> None:
    pieces, result = say("Bonjour.", max_tokens=3)
    assert ("".join(pieces), result.finish, len(result.ids)) == ("Bon", "length", 3)


@pytest.mark.parametrize(("stops", "text"), [(["\nInstruct:"], "Yes."), (["s.", "\nInstruct:"], "Ye"), (["XX"], None)])
def test_stop_texts_end_across_token_borders_and_are_never_streamed(say, stops, text) -> None:
    said = "Yes.\nInstruct: more"
    pieces, result = say(said, stops=stops)
    assert "".join(pieces) == result.text == (text or said)
    assert result.finish == ("stop" if text else "eos")


def test_a_held_back_beginning_comes_out_when_it_was_no_stop(say) -> None:
    pieces, result = say("a\nInstruct", stops=["\nInstruct:"])
    assert "".join(pieces) == result.text == "a\nInstruct"
    pieces, result = say("a\nInstruct: b", stops=["\nInstruct:"], max_tokens=8)
    assert ("".join(pieces), result.finish) == ("a\nInstru", "length")


def test_pieces_are_whole_characters(say) -> None:
    text = "été — 𝄞 日本"
    pieces, result = say(text)
    assert result.text == text
    assert all("\ufffd" not in piece for piece in pieces)
    assert max(map(len, pieces)) == 1


def test_an_unfinished_character_is_shown_as_one_replacement(say) -> None:
    pieces, result = say(b"ab\xe2\x82")
    assert "".join(pieces) == result.text == "ab\ufffd"


def test_pieces_carry_every_token_once(say) -> None:
    _, result = say("été", logprobs=2)
    assert [c.id for c in result.logprobs] == list(result.ids)
    assert all(c.logprob <= 0 and len(c.top) == 2 for c in result.logprobs)


def test_n_answers_share_one_run_of_the_prompt(byte_tokenizer: Tokenizer) -> None:
    session = Scripted([65, 66, 256], 5)
    request = make_request([1, 2, 3, 4, 5], 256, Sampling(), n=3)
    stream = Stream(session, request, byte_tokenizer, byte_tokenizer.without_text(264))
    list(stream)
    assert session.copies == [(0, 1, 5), (0, 2, 5)]
    assert session.chunks == [5, 3, 3]
    assert len({a.text for a in stream.result.choices}) == 1
    assert stream.result.n_generated == 9 and stream.result.n_prompt == 5


def test_prompts_run_in_chunks() -> None:
    session = Scripted([65], 2 * CHUNK + 1)
    assert prefill(session, [1] * (2 * CHUNK + 1)).argmax() == 65
    assert session.chunks == [CHUNK, CHUNK, 1]


def test_the_result_waits_for_the_last_piece(byte_tokenizer: Tokenizer) -> None:
    request = make_request([1], 256, Sampling())
    stream = Stream(Scripted([65, 256], 1), request, byte_tokenizer, byte_tokenizer.without_text(264))
    with pytest.raises(UsageError, match="not finished"):
        _ = stream.result


@pytest.mark.parametrize(("prompt", "options", "error", "message"), [
    ([], {}, UsageError, "the prompt is empty"),
    ([1] * 20, {}, ContextError, "the prompt has 20 tokens and the context 16.*shorten the prompt by 5 tokens"),
    ([1] * 10, dict(max_tokens=7), ContextError, "max_tokens=7 do not fit in the context of 16; ask for at most 6"),
    ([1], dict(max_tokens=0), UsageError, "max_tokens=0"),
    ([1], dict(n=0), UsageError, "n=0"),
    ([1], dict(n=65), UsageError, "n=65"),
])  # fmt: skip
def test_what_cannot_be_answered_is_refused(prompt, options, error, message) -> None:
    with pytest.raises(error, match=message):
        make_request(prompt, 16, Sampling(), **options)


def test_without_a_number_the_answer_may_fill_the_context() -> None:
    assert make_request([1] * 10, 16, Sampling()).max_tokens == 6
    assert make_request([1] * 10, 5000, Sampling()).max_tokens == 256
