"""Text to ids and back, whole and streamed, for any text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.tokenizer import Tokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("a \t\néñ🙂<|endoftext|>", max_size=60)


@pytest.fixture(scope="module")
def phi(shared: Path) -> Tokenizer:
    return Tokenizer.load(shared / "data/phi2-tokenizer")


@given(text=TEXTS)
def test_decode_undoes_encode(phi: Tokenizer, text: str) -> None:
    assert phi.decode(phi.encode(text)) == text


@given(ids=st.lists(st.integers(0, 50294), max_size=30))
def test_a_stream_gives_the_decoded_text_in_whole_characters(phi: Tokenizer, ids: list[int]) -> None:
    decoding = phi.stream()
    pieces = [*map(decoding.push, ids), decoding.flush()]
    assert "".join(pieces) == phi.decode(ids)
    assert b"".join(map(phi.token_bytes, ids)).decode(errors="replace") == phi.decode(ids)
