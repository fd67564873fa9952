"""Our kernel for byte-level byte-pair tokenizers: GPT-2's, phi's, petit's own. Others it refuses, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.data.tokens.encoder import Bounds, Bytes, end_token, file_sha
from petitlm.errors import DamagedError, RefusedError, UsageError
from petitlm.files import read_json_object
from petitlm.tokenizer import Tokenizer, byte_of_character

_AS_TEXT = -2  # an added token that is found, and encoded as the characters it is written with


class NativeEncoder:
    """The tokenizer of a folder, id for id as the `tokenizers` library, by the kernel kernels/text/bpe.cpp."""

    def __init__(self, folder: Path) -> None:
        """Raises: RefusedError, naming what the tokenizer uses that the kernel does not know."""
        from petitlm import _text

        self._folder = folder
        tokenizer = Tokenizer.load(folder)  # checks the file, and knows the end token
        self.sha256 = file_sha(folder)
        self.eos_id, self.n_ids = end_token(tokenizer, folder), tokenizer.n_ids
        table = read_json_object(folder / "tokenizer.json" if folder.is_dir() else folder)
        if why := unknown(table):
            raise RefusedError(f"the tokenizer in {folder} {why}, which the kernel does not know")
        model, added = table["model"], table.get("added_tokens") or []
        self._kernel = _text.Bpe(
            _byte_ids(model["vocab"]), _joins(model["vocab"], model["merges"]),
            _added(added, normalized=False), _added(added, normalized=True),
            any(step["type"] == "Digits" for step in _steps(table.get("pre_tokenizer"))),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NativeEncoder, (self._folder,)

    def encode(self, data: Bytes, bounds: Bounds) -> tuple[NDArray[np.uint32], Bounds]:
        """Encode N texts, the i-th of them `data[bounds[i] : bounds[i + 1]]`.

        Raises: UsageError for bytes that are not UTF-8.
        """
        try:
            return self._kernel.encode(data, bounds)
        except ValueError as error:
            raise UsageError(f"{error}; texts to encode are UTF-8") from None


def unknown(table: Mapping[str, Any]) -> str | None:
    """What of a parsed tokenizer.json the kernel does not do; None where it does all."""
    model = table.get("model") or {}
    if model.get("type", "BPE") != "BPE":
        return f"has a model of type {model.get('type')!r}"
    if table.get("normalizer") is not None:
        return f"has the normalizer {table['normalizer'].get('type')!r}"
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(option):
            return f"sets {option}"
    for token in table.get("added_tokens") or []:
        for option in ("single_word", "lstrip", "rstrip"):
            if token.get(option):
                return f"has the added token {token['content']!r} with {option}"
    if not all(character in model["vocab"] for character in byte_of_character()):
        return "lacks some of the 256 bytes"
    return _unknown_cut(_steps(table.get("pre_tokenizer")))


def _unknown_cut(steps: Sequence[Mapping[str, Any]]) -> str | None:
    for step in steps[:-1]:
        if step["type"] != "Digits" or not step.get("individual_digits"):
            return f"cuts text by {step['type']!r}"
    if not steps or steps[-1]["type"] != "ByteLevel" or not steps[-1].get("use_regex", True):
        return "does not cut text by GPT-2's expression"
    return "puts a space before each text" if steps[-1].get("add_prefix_space") else None


def _steps(cutter: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if cutter is None:
        return []
    return [step for part in cutter["pretokenizers"] for step in _steps(part)] if cutter["type"] == "Sequence" else [
        cutter]


def _byte_ids(vocab: Mapping[str, int]) -> NDArray[np.uint32]:
    ids = np.zeros(256, np.uint32)
    for character, byte in byte_of_character().items():
        ids[byte] = vocab[character]
    return ids


def _joins(vocab: Mapping[str, int], merges: Sequence[str | Sequence[str]]) -> NDArray[np.uint32]:
    """(M, 3) ids of left, right and both together, by rank."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
    try:
        return np.array([(vocab[a], vocab[b], vocab[a + b]) for a, b in pairs], np.uint32).reshape(-1, 3)
    except (KeyError, ValueError) as error:
        raise DamagedError(f"a merge of the tokenizer joins what is not in its vocabulary ({error})") from None


def _added(tokens: Sequence[Mapping[str, Any]], normalized: bool) -> list[tuple[bytes, int]]:
    return [(token["content"].encode(), _AS_TEXT if token["special"] else token["id"])
            for token in tokens if bool(token["normalized"]) == normalized and token["content"]]
