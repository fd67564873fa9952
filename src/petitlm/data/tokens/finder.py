"""Which tokens hold this text? What `petit data trace --text` asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from petitlm.data.tokens.encoder import load_encoder
from petitlm.data.tokens.reader import TokenFiles
from petitlm.data.tokens.search import Search, write_suffixes
from petitlm.tokenizer import Tokenizer

MOST = 100_000
"""Places that are looked at; a text in more of them is no question about provenance."""


def open_finder(
    tokens: Path, suffixes: Path, shas: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Callable[[str], list[tuple[int, int]] | None]:  # fmt: skip
    """A function from a text to the token ranges that hold it, over all shards; None for a text that
    `search.can_find` says no to.

    The suffix arrays are in the folder `suffixes`; those that lack, or are of other tokens, are made first (a second
    for each four million tokens). `shas` are the sha256 of the .bin files, as a manifest names them.
    Raises: NotFoundError, DamagedError where `tokens` holds no token files with their tokenizer.
    """
    files, encoder, tokenizer = TokenFiles(tokens), load_encoder(tokens), Tokenizer.load(tokens)
    write_suffixes(files, suffixes, progress, shas)
    search = Search(files, suffixes, [bytes.fromhex(sha) for sha in shas] if shas else None)

    def find(text: str) -> list[tuple[int, int]] | None:
        places = search.find_text(text, encoder, tokenizer.token_bytes, MOST)
        return places.ranges if places else None

    return find
