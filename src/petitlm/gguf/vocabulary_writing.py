"""A tokenizer as GGUF metadata: the other way round from `petitlm.gguf.vocabulary`.

Readers of GGUF have their own tokenizers, chosen by a name each for the kind and for the rule that cuts words, so only
what these compute can be written. Anything else is refused: a file whose text becomes other ids is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from petitlm.errors import UsageError
from petitlm.gguf.vocabulary import BYTE, CONTROL, NORMAL, SPACE, UNKNOWN, UNUSED, USER, WORDS, merges_by_score

if TYPE_CHECKING:
    import tokenizers


def write_vocabulary(backend: tokenizers.Tokenizer, n_rows: int, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the metadata of a tokenizer for a model with `n_rows` rows in its embedding.

    `special_ids` names ids as GGUF does: bos, eos, unknown, padding.
    Raises: UsageError, naming the part of the tokenizer that GGUF has no name for.
    """
    state = json.loads(backend.to_str())
    model = state["model"]
    odd = {key: model[key] for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if model.get(key)}
    if model.get("type") != "BPE" or odd:
        raise _unknown(f"a {model.get('type')} model" + (f" with {odd}" if odd else ""))
    if "eos" not in special_ids:
        raise UsageError("the tokenizer names no token that ends a text, and readers of GGUF would take one of their "
                         "own; add eos_token to tokenizer_config.json")
    tokens, types = _tokens_and_types(backend, state, n_rows)
    merges = [tuple(merge.split(" ", 1)) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    if model.get("byte_fallback"):
        kind = _pieces(state, tokens, types, merges)
    else:
        kind = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": _word_rule(state),
                "tokenizer.ggml.merges": [" ".join(_without_spaces(merge)) for merge in merges]}
    ids = {"bos": special_ids["eos"], **special_ids}  # readers would take another one of their own
    return {**kind, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": np.array(types, np.int32),
            **{f"tokenizer.ggml.{name}_token_id": id for name, id in ids.items()}, **_around(backend, ids)}


def _unknown(what: str) -> UsageError:
    return UsageError(f"the tokenizer has {what}, for which GGUF has no name that petit knows; text would become other "
                      "ids there")


def _tokens_and_types(backend: tokenizers.Tokenizer, state: Mapping[str, Any],
                      n_rows: int) -> tuple[list[str], list[int]]:
    tokens, types = [f"[PAD{id}]" for id in range(n_rows)], [UNUSED] * n_rows
    pieces = state["model"].get("byte_fallback")
    for token, id in backend.get_vocab(with_added_tokens=True).items():
        is_byte = pieces and len(token) == 6 and token.startswith("<0x") and token.endswith(">")
        tokens[id], types[id] = token, BYTE if is_byte else NORMAL
    for added in state["added_tokens"]:
        for flag in ("single_word", "lstrip", "rstrip"):
            if added[flag]:
                raise _unknown(f"the token {added['content']!r:.60} with {flag}")
        types[added["id"]] = CONTROL if added["special"] else USER
    unknown = state["model"].get("unk_token")
    if pieces and unknown is not None:
        types[state["model"]["vocab"][unknown]] = UNKNOWN
    return tokens, types


def _word_rule(state: Mapping[str, Any]) -> str:
    """Return the name of the rule by which a byte-level tokenizer cuts words."""
    whole, normalizer = state["pre_tokenizer"] or {}, state["normalizer"]
    steps = whole.get("pretokenizers", []) if whole.get("type") == "Sequence" else [whole]
    if normalizer and normalizer != {"type": "Sequence", "normalizers": []}:
        raise _unknown(f"the normalizer {normalizer.get('type')}")
    *before, last = steps or [{}]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise _unknown(f"the word rule {json.dumps(whole):.200}")
    name = None
    if not before:
        name = "gpt-2" if last["use_regex"] else None
    elif len(before) == 1 and before[0]["type"] == "Digits":
        name = "starcoder" if before[0]["individual_digits"] and last["use_regex"] else None
    elif len(before) == 1 and before[0]["type"] == "Split" and not last["use_regex"]:
        isolated = before[0]["behavior"] == "Isolated" and not before[0]["invert"]
        rule = before[0]["pattern"].get("Regex")
        name = next((name for name, words in WORDS.items() if words.regex == rule and rule and isolated), None)
    if name is None:
        raise _unknown(f"the word rule {json.dumps(whole):.200}")
    if bool(state["model"].get("ignore_merges")) != WORDS[name].whole_words:
        raise _unknown(f"ignore_merges={state['model'].get('ignore_merges')} with the word rule {name}")
    return name


def _without_spaces(merge: tuple[str, ...]) -> tuple[str, ...]:
    if any(" " in part for part in merge):
        raise _unknown(f"the merge {merge}, whose tokens hold spaces")
    return merge


def _pieces(state: Mapping[str, Any], tokens: list[str], types: list[int],
            merges: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return the metadata of SentencePiece BPE: the rank of a piece's first merge becomes its score."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge), rank)
    scores = [-float(ranks.get(token, len(merges))) if kind == NORMAL else 0.0
              for token, kind in zip(tokens, types, strict=True)]
    made = [("".join(merge), set()) for merge in merges]
    if set(merges) != set(merges_by_score(tokens, types, scores)) or _runs([piece for piece, _ in made]) != len(ranks):
        raise _unknown("merges that no order of whole pieces gives")
    return {"tokenizer.ggml.model": "llama", "tokenizer.ggml.scores": np.array(scores, np.float32),
            "tokenizer.ggml.add_space_prefix": _adds_space(state)}


def _runs(values: list[str]) -> int:
    """Return how many runs of equal values there are."""
    return sum(1 for i, value in enumerate(values) if i == 0 or values[i - 1] != value)


def _adds_space(state: Mapping[str, Any]) -> bool:
    """Return whether a text gets a space in front, however this age of file says it."""
    normalizer, cut = state["normalizer"] or {}, state["pre_tokenizer"]
    steps = normalizer.get("normalizers", [normalizer] if normalizer else [])
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if cut is None and steps and steps[-1] == spaces and steps[:-1] in ([], [{"type": "Prepend", "prepend": SPACE}]):
        return len(steps) == 2
    if not steps and cut and cut["type"] == "Metaspace" and cut["replacement"] == SPACE and not cut.get("split", True):
        return cut["prepend_scheme"] != "never"
    raise _unknown(f"the normalizer {json.dumps(normalizer):.100} and the word rule {json.dumps(cut):.100}")


def _around(backend: tokenizers.Tokenizer, ids: Mapping[str, int]) -> dict[str, bool]:
    """Return which tokens are put around a text."""
    plain, found = (backend.encode("a", add_special_tokens=around).ids for around in (False, True))
    for with_bos, with_eos in ((False, False), (True, False), (False, True), (True, True)):
        if found == [ids["bos"]] * with_bos + plain + [ids["eos"]] * with_eos:
            return {"tokenizer.ggml.add_bos_token": with_bos, "tokenizer.ggml.add_eos_token": with_eos}
    raise _unknown(f"other tokens around a text than one at each end ({plain} becomes {found})")
