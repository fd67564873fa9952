"""The tokenizer in a GGUF file's metadata, rebuilt for the `tokenizers` library.

Two kinds are in use for these families. `gpt2` is byte-level BPE with its merges, as phi, GPT-2 and Llama 3 have it;
how a text is cut into words first is named by `tokenizer.ggml.pre`. `llama` is SentencePiece BPE, as Llama 1
and 2 have it: its pieces carry scores in place of merges, and the piece with the best score is joined first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from petitlm.errors import DamagedError, UsageError

if TYPE_CHECKING:
    import tokenizers

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_OTHERS = {"unk": "unknown", "pad": "padding"}  # special tokens by other files' names and by GGUF's

@dataclass(frozen=True)
class WordRule:
    """How a byte-level tokenizer cuts a text into words first."""

    regex: str | None = None
    """What a word is; None is GPT-2's own rule, built into the library."""
    single_digits: bool = False
    """Every digit is a word of its own, before the rule."""
    whole_words: bool = False
    """A word that is a token is taken as a whole, even if no merges lead to it."""


_GPT2 = WordRule()
_LLAMA3 = WordRule(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                   r"|\s*[\r\n]+|\s+(?!\S)|\s+", whole_words=True)
WORDS = {"gpt-2": _GPT2, "phi-2": _GPT2, "llama-bpe": _LLAMA3, "llama3": _LLAMA3, "llama-v3": _LLAMA3,
         "starcoder": WordRule(single_digits=True), "smollm": WordRule(single_digits=True)}
"""The rules by the names that `tokenizer.ggml.pre` gives them."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer and the ids of its special tokens."""

    backend: tokenizers.Tokenizer
    eos_id: int | None
    bos_id: int | None
    others: dict[str, int]
    """Ids of `unk` and `pad`, where the file has them."""


def read_vocabulary(metadata: Mapping[str, Any], where: str) -> Vocabulary | None:
    """Return the tokenizer in a file's metadata, or None if it has none.

    Raises: DamagedError if the lists do not go together; UsageError for a kind that petit does not know.
    """
    if "tokenizer.ggml.tokens" not in metadata:
        return None
    kind = metadata.get("tokenizer.ggml.model")
    tokens, types = _tokens_and_types(metadata, where)
    eos_id, bos_id = (_id(metadata, f"tokenizer.ggml.{name}_token_id", len(tokens), where) for name in ("eos", "bos"))
    if kind == "gpt2":
        backend, adds_bos = _byte_level(metadata, tokens, types, where), _word_rule(metadata, where).whole_words
    elif kind == "llama":
        backend, adds_bos = _sentence_pieces(metadata, tokens, types, where), True
    else:
        raise UsageError(f"{where}: the tokenizer kind {kind!r:.40} is not supported; petit knows gpt2 and llama")
    if metadata.get("tokenizer.ggml.add_bos_token", adds_bos) and bos_id is not None:
        _add_bos(backend, tokens[bos_id], bos_id)
    found = {ours: _id(metadata, f"tokenizer.ggml.{theirs}_token_id", len(tokens), where)
             for ours, theirs in _OTHERS.items()}
    return Vocabulary(backend, eos_id, bos_id, {name: id for name, id in found.items() if id is not None})


def _tokens_and_types(metadata: Mapping[str, Any], where: str) -> tuple[list[str], list[int]]:
    tokens = metadata["tokenizer.ggml.tokens"]
    if not isinstance(tokens, list):
        raise DamagedError(f"{where}: tokenizer.ggml.tokens is no list of texts; fetch the file again")
    types = _numbers(metadata, "tokenizer.ggml.token_type", where) or [NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise DamagedError(f"{where}: {len(tokens)} tokens have {len(types)} types; fetch the file again")
    # Writers fill the rows that no token uses with [PAD<id>], early ones without marking them as unused.
    types = [UNUSED if token == f"[PAD{id}]" else int(kind)
             for id, (token, kind) in enumerate(zip(tokens, types, strict=True))]
    used = [token for token, kind in zip(tokens, types, strict=True) if kind != UNUSED]
    if len(set(used)) != len(used):
        raise DamagedError(f"{where}: two tokens of the vocabulary are the same; fetch the file again")
    return tokens, types


def _byte_level(metadata: Mapping[str, Any], tokens: list[str], types: list[int],
                where: str) -> tokenizers.Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    words = _word_rule(metadata, where)
    vocabulary = {token: id for id, token in enumerate(tokens) if types[id] != UNUSED}
    merges = _merges(metadata, vocabulary, where)
    backend = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=words.whole_words))
    cut = [pre_tokenizers.Digits(individual_digits=True)] if words.single_digits else []
    cut += [pre_tokenizers.Split(Regex(words.regex), behavior="isolated")] if words.regex else []
    cut += [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words.regex is None)]
    backend.pre_tokenizer = cut[0] if len(cut) == 1 else pre_tokenizers.Sequence(cut)
    backend.decoder = decoders.ByteLevel()
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    # A token with other characters than the byte alphabet, such as a run of spaces, can only be an added one.
    spelled_out = {id for id, token in enumerate(tokens) if types[id] == NORMAL and not set(token) <= alphabet}
    _add_whole_tokens(backend, tokens, [USER if id in spelled_out else kind for id, kind in enumerate(types)])
    return backend


def _word_rule(metadata: Mapping[str, Any], where: str) -> WordRule:
    name = metadata.get("tokenizer.ggml.pre")
    if name is None and metadata.get("general.architecture") in ("phi2", "gpt2"):
        name = "gpt-2"  # files from before the key was written
    if name not in WORDS:
        raise UsageError(f"{where}: the word rule tokenizer.ggml.pre={name!r:.40} is not known; petit knows "
                         f"{', '.join(WORDS)}; take the model's Hugging Face folder instead")
    return WORDS[name]


def _merges(metadata: Mapping[str, Any], vocabulary: Mapping[str, int], where: str) -> list[tuple[str, str]]:
    """Return the merges that lead to a token; some writers put others in, if only to have one, and they do nothing."""
    merges: list[tuple[str, str]] = []
    for line in metadata.get("tokenizer.ggml.merges", []):
        left, _, right = line.partition(" ") if isinstance(line, str) else ("", "", "")
        if not left or not right:
            raise DamagedError(f"{where}: the merge {line!r:.60} does not name two tokens; fetch the file again")
        if left in vocabulary and right in vocabulary and left + right in vocabulary:
            merges.append((left, right))
    return merges


def _sentence_pieces(metadata: Mapping[str, Any], tokens: list[str], types: list[int],
                     where: str) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = _numbers(metadata, "tokenizer.ggml.scores", where)
    if len(scores) != len(tokens):
        raise DamagedError(f"{where}: {len(tokens)} tokens have {len(scores)} scores; fetch the file again")
    vocabulary = {token: id for id, token in enumerate(tokens) if types[id] != UNUSED}
    unknown = next((token for token, kind in zip(tokens, types, strict=True) if kind == UNKNOWN), None)
    merges = merges_by_score(tokens, types, scores)
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    in_front = [normalizers.Prepend(SPACE)] if metadata.get("tokenizer.ggml.add_space_prefix", True) else []
    backend.normalizer = normalizers.Sequence([*in_front, normalizers.Replace(" ", SPACE)])
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if in_front else [])])
    _add_whole_tokens(backend, tokens, types)
    return backend


def merges_by_score(tokens: Sequence[str], types: Sequence[int], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Return the merges that give the same joins as the scores: every way to split a piece, best piece first."""
    pieces = {token: id for id, token in enumerate(tokens) if types[id] == NORMAL}
    ranked = sorted(pieces, key=lambda token: (-scores[pieces[token]], pieces[token]))
    return [(token[:cut], token[cut:]) for token in ranked
            for cut in sorted(range(1, len(token)), key=lambda cut: pieces.get(token[:cut], 0))
            if token[:cut] in pieces and token[cut:] in pieces]


def _add_whole_tokens(backend: tokenizers.Tokenizer, tokens: Sequence[str], types: Sequence[int]) -> None:
    """Mark the tokens that are matched in the text before anything else: control and user-defined ones."""
    from tokenizers import AddedToken

    marked = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind in (CONTROL, USER) and token]
    for is_control, group in itertools.groupby(marked, key=lambda item: item[1] == CONTROL):
        added = [AddedToken(token, normalized=False, special=is_control) for token, _ in group]
        (backend.add_special_tokens if is_control else backend.add_tokens)(added)


def _add_bos(backend: tokenizers.Tokenizer, token: str, id: int) -> None:
    from tokenizers import processors

    # The template's own syntax gives `:` and spaces a meaning, which a token's text could hit; ids cannot.
    backend.post_processor = processors.TemplateProcessing(
        single=["bos", "$A"], pair=["bos", "$A", "$B"],
        special_tokens=[{"id": "bos", "ids": [id], "tokens": [token]}])


def _id(metadata: Mapping[str, Any], key: str, n_tokens: int, where: str) -> int | None:
    id = metadata.get(key)
    if id is not None and (type(id) is not int or not 0 <= id < n_tokens):
        raise DamagedError(f"{where}: {key}={id!r:.40} is no token id below {n_tokens}; fetch the file again")
    return id


def _numbers(metadata: Mapping[str, Any], key: str, where: str) -> list[Any]:
    values = metadata.get(key, [])
    try:
        return list(values.tolist() if hasattr(values, "tolist") else values)
    except TypeError:
        raise DamagedError(f"{where}: {key} is no list of numbers; fetch the file again") from None


