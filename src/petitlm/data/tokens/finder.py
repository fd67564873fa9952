"""Which tokens hold this text? What `petit data trace --text` asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from petitlm.data.tokens.encoder import load_encoder
from petitlm.data.tokens.letters import Letters
from petitlm.data.tokens.reader import TokenFiles
from petitlm.data.tokens.search import Search, write_suffixes
from petitlm.tokenizer import Tokenizer

MOST = 100_000
"""Places that are given at most; a text in more of them is no question about provenance."""


def open_finder(
    tokens: Path, suffixes: Path, shas: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Callable[[str], list[tuple[int, int]]]:  # fmt: skip
    """A function from a text to the token ranges that hold it, over all shards.

    The suffix arrays are in the folder `suffixes`; those that lack, or are of other tokens, are made first (a second
    for each eight million tokens or so). `shas` are the sha256 of the .bin files, as a manifest names them.
    Raises: NotFoundError, DamagedError where `tokens` holds no token files with their tokenizer.
    """
    files, encoder = TokenFiles(tokens), load_encoder(tokens)
    letters = letters_of(Tokenizer.load(tokens))
    write_suffixes(files, suffixes, progress, shas)
    search = Search(files, suffixes, [bytes.fromhex(sha) for sha in shas] if shas else None)
    return lambda text: search.find_text(text, encoder, letters, MOST).ranges


def letters_of(tokenizer: Tokenizer) -> Letters:
    """The bytes of each id; the end token, and ids that are none, have no letters."""
    raw = [b""] * tokenizer.n_ids
    for id in set(tokenizer.backend.get_vocab(with_added_tokens=True).values()) - {tokenizer.eos_id}:
        raw[id] = tokenizer.token_bytes(id)
    return Letters(raw)
