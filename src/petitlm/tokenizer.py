"""Text to ids and back, over the `tokenizers` library."""

from __future__ import annotations

import codecs
import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.files import MAX_JSON_BYTES, read_json_object, read_text, write_file, write_json

if TYPE_CHECKING:
    import numpy as np
    import tokenizers

Scheme = Literal["bytes", "pieces", "words"]

_SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token", "pad_token")
_KEPT_KEYS = ("model_max_length", "chat_template")  # of tokenizer_config.json, when writing it again


class Tokenizer:
    """A vocabulary and the rules that cut text into it.

    What a token's text is depends on the scheme: `bytes` (GPT-2, phi, Llama 3: each character of a token
    stands for a byte), `pieces` (Llama 1 and 2: text with a mark for spaces, and single bytes as <0x0A>), or
    `words` (anything else: only the library's own decoder knows).
    """

    def __init__(self, backend: tokenizers.Tokenizer, config: dict[str, Any] | None = None,
                 eos_id: int | None = None, bos_id: int | None = None) -> None:
        """Wrap a `tokenizers.Tokenizer`; `config` is a parsed tokenizer_config.json, whose end token wins."""
        backend.no_truncation()  # a tokenizer file can ask for either: petit never cuts or pads in silence
        backend.no_padding()
        self.backend = backend
        self._config = config or {}
        self._scheme = _scheme(backend)
        self._bytes: dict[int, bytes] = {}
        self.eos_id = self._id_of_special("eos_token", eos_id)
        self.bos_id = self._id_of_special("bos_token", bos_id)

    @classmethod
    def load(cls, path: Path | str, eos_id: int | None = None, bos_id: int | None = None) -> Tokenizer:
        """Read `tokenizer.json`, given its folder or itself; ids of special tokens serve where the folder has none.

        Raises: NotFoundError, DamagedError.
        """
        import tokenizers

        path = Path(path)
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.exists():
            raise NotFoundError(f"{file} is not there; a model needs its tokenizer.json to read and write text")
        text = read_text(file, MAX_JSON_BYTES)
        try:
            backend = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises plain Exception for whatever is wrong inside
            raise DamagedError(f"{file} is no tokenizer that can be read ({error}); fetch it again") from None
        return cls(backend, _special_tokens(file.parent), eos_id, bos_id)

    def save(self, folder: Path | str) -> None:
        """Write tokenizer.json and a tokenizer_config.json with which `transformers` loads the same."""
        folder = Path(folder)
        write_file(folder / "tokenizer.json", [self.backend.to_str().encode()])
        specials = {key: self.backend.id_to_token(id) for key, id in (("bos_token", self.bos_id),
                                                                      ("eos_token", self.eos_id)) if id is not None}
        kept = {key: self._config[key] for key in (*_SPECIAL_KEYS, *_KEPT_KEYS) if key in self._config}
        write_json(folder / "tokenizer_config.json",
                   {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **specials,
                    **kept})

    @functools.cached_property
    def n_ids(self) -> int:
        """The highest id plus one: the rows that an embedding must have at least."""
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str, *, add_special: bool = True) -> list[int]:
        """Return the ids of `text`, with the tokens that the family puts around a text (phi and GPT: none).

        Raises: UsageError for text with lone surrogates, which no UTF-8 can hold.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the text has {text[error.start]!r} at character {error.start}, half of a UTF-16 pair; "
                             "give valid Unicode") from None
        return self.backend.encode(text, add_special_tokens=add_special).ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, special tokens included; bytes that are no UTF-8 come out as U+FFFD.

        Raises: UsageError for an id outside the vocabulary.
        """
        if self._scheme == "words":
            return self.backend.decode([self._known(id) for id in ids], skip_special_tokens=False)
        text = b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")
        return text[1:] if self._drops_first_space and text.startswith(" ") else text

    def stream(self) -> Decoding:
        """Return a decoder of ids that arrive one by one, in the middle of a text: a first space is kept."""
        return Decoding(self)

    def token_bytes(self, id: int) -> bytes:
        """Return the bytes of text that a token stands for; they need not be whole characters.

        Raises: UsageError for an id outside the vocabulary.
        """
        if id not in self._bytes:
            self._bytes[id] = self._bytes_of(id)
        return self._bytes[id]

    def without_text(self, n_vocab: int) -> np.ndarray:
        """Return (V,) booleans, true for rows that no token uses: they must never be sampled.

        phi-2 has 51,200 rows for 50,295 tokens.
        """
        import numpy as np

        mask = np.ones(n_vocab, dtype=bool)
        for token, id in self.backend.get_vocab(with_added_tokens=True).items():
            if token and id < n_vocab:
                mask[id] = False
        return mask

    @property
    def chat_template(self) -> str | None:
        """The Jinja template for conversations that came with the tokenizer; of several, the default one."""
        template = self._config.get("chat_template")
        if isinstance(template, list):
            named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
            template = named.get("default")
        return template if isinstance(template, str) else None

    @property
    def other_specials(self) -> dict[str, int]:
        """Ids of the `unknown` and `padding` tokens, where the tokenizer names them."""
        keys = {"unknown": "unk_token", "padding": "pad_token"}
        found = {name: self._id_of_special(key, None) for name, key in keys.items()}
        return {name: id for name, id in found.items() if id is not None}

    def _known(self, id: int) -> int:
        if not 0 <= id < self.n_ids or self.backend.id_to_token(id) is None:
            raise UsageError(f"id {id} is no token; this tokenizer has ids from 0 to {self.n_ids - 1}")
        return id

    def _bytes_of(self, id: int) -> bytes:
        token = self.backend.id_to_token(self._known(id))
        assert token is not None  # `_known` has looked
        if self._scheme == "words" or id in self._added:
            return token.encode()
        if self._scheme == "bytes":
            table = byte_of_character()
            if all(character in table for character in token):
                return bytes(table[character] for character in token)
            return token.encode()
        if match := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", token):
            return bytes([int(match[1], 16)])
        return token.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode()

    @functools.cached_property
    def _added(self) -> frozenset[int]:
        """Ids of added tokens: they stand for their own text in every scheme."""
        return frozenset(self.backend.get_added_tokens_decoder())

    @functools.cached_property
    def _drops_first_space(self) -> bool:
        """Whether a text gets a space in front when encoded, to be taken off when decoded (Llama 1 and 2)."""
        steps = _decoder_steps(self.backend)
        return any((step["type"] == "Strip" and step["start"] > 0) or
                   (step["type"] == "Metaspace" and step.get("prepend_scheme") != "never") for step in steps)

    def _id_of_special(self, key: str, default: int | None) -> int | None:
        token = self._config.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        id = self.backend.token_to_id(token) if isinstance(token, str) else None
        return default if id is None else id


class Decoding:
    """Ids to text, one by one: gives whole characters, and keeps the bytes of unfinished ones."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ids: list[int] = []  # words scheme only: its text depends on the neighbours
        self._given = ""

    def push(self, id: int) -> str:
        """Return the text that is complete with this id; empty while a character is unfinished."""
        if self._tokenizer._scheme != "words":
            return self._utf8.decode(self._tokenizer.token_bytes(id))
        self._ids.append(id)
        return self._new(self._tokenizer.decode(self._ids))

    def flush(self) -> str:
        """Return what is left, U+FFFD for a character that never became whole, and start anew."""
        left = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        self._ids, self._given = [], ""
        return left

    def _new(self, text: str) -> str:
        new, self._given = text[len(self._given):], text
        return new


def _scheme(backend: tokenizers.Tokenizer) -> Scheme:
    kinds = {step["type"] for step in _decoder_steps(backend)}
    if "ByteLevel" in kinds:
        return "bytes"
    return "pieces" if kinds & {"ByteFallback", "Metaspace"} else "words"


def _decoder_steps(backend: tokenizers.Tokenizer) -> list[dict[str, Any]]:
    """Return the parts of the library's decoder, as its file format writes them."""
    if backend.decoder is None:
        return []
    whole = json.loads(backend.decoder.__getstate__())
    return whole["decoders"] if whole["type"] == "Sequence" else [whole]


def _special_tokens(folder: Path) -> dict[str, Any]:
    """Return tokenizer_config.json, filled up from special_tokens_map.json; either may be absent."""
    merged: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).exists():
            merged |= {key: value for key, value in read_json_object(folder / name).items() if value is not None}
    return merged


@functools.cache
def byte_of_character() -> dict[str, int]:
    """Return the byte that each character of a byte-level token stands for (Radford et al. 2019, GPT-2).

    Printable bytes of Latin-1 stand for themselves; the others, in order, for the characters from U+0100 on.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def check_rows(tokenizer: Tokenizer, n_vocab: int) -> None:
    """Refuse a tokenizer whose ids do not all have a row in the embedding.

    Raises: DamagedError.
    """
    if tokenizer.n_ids > n_vocab:
        raise DamagedError(f"the tokenizer has ids up to {tokenizer.n_ids - 1} and the embedding only {n_vocab} rows; "
                           "they belong to different models")
