"""What looking asks of a model, and what a question is made of: texts, tokens, a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from petitlm.config import ModelConfig
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner, check_length
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.tokenizer import Tokenizer

Text = str | Sequence[int]


class Model(Protocol):
    """A loaded model: what `petitlm.load` returns, on either set of layers."""

    name: str
    runner: Runner
    tokenizer: Tokenizer
    bits: int
    context: int

    @property
    def config(self) -> ModelConfig: ...
    @property
    def cache(self) -> str: ...
    def encode(self, text: Text) -> list[int]: ...


def ids_of(model: Model, text: Text) -> list[int]:
    """Return the ids of a text, or checked ids as they are.

    Raises: UsageError; ContextError if they do not fit.
    """
    ids = model.encode(text)
    check_length(ids, model.context)
    return ids


def token_text(model: Model, id: int) -> str:
    """Return what a token looks like: its text, with marks for what cannot be seen; `<id>` for a row without text."""
    if not 0 <= id < model.tokenizer.n_ids or model.tokenizer.backend.id_to_token(id) is None:
        return f"<{id}>"
    return model.tokenizer.decode([id]).replace("\n", "↵").replace("\t", "⇥")


def token_texts(model: Model, ids: Sequence[int]) -> list[str]:
    """Return what some tokens look like."""
    return [token_text(model, id) for id in ids]


def one_token(model: Model, text: str | int) -> int:
    """Return the id of a text that is one token, or a checked id as it is.

    Raises: UsageError if it is several, with how they are cut.
    """
    if not isinstance(text, str):
        return model.encode([int(text)])[0]
    ids = model.tokenizer.encode(text, add_special=False)
    if len(ids) == 1:
        return ids[0]
    parts = " + ".join(repr(token_text(model, id)) for id in ids) or "nothing"
    spaced = not text.startswith(" ") and len(model.tokenizer.encode(" " + text, add_special=False)) == 1
    more = f", or {' ' + text!r} with its space, which is one" if spaced else ""
    raise UsageError(f"{text!r} is not one token of this model but {parts}; name one token{more}")


def aligned(model: Model, clean: Text, corrupt: Text) -> tuple[list[int], list[int]]:
    """Return the ids of two texts that are compared position by position.

    Raises: UsageError if they differ in length, showing how each is cut.
    """
    a, b = ids_of(model, clean), ids_of(model, corrupt)
    if len(a) != len(b):
        first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        here = [repr("".join(token_texts(model, ids[first : first + 4]))) for ids in (a, b)]
        raise UsageError(f"the clean text has {len(a)} tokens and the corrupt one {len(b)}; from token {first} on they "
                         f"are {here[0]} and {here[1]}: choose words of as many tokens, or pad the shorter text at its "
                         "start")
    if a == b:
        raise UsageError("the clean and the corrupt text have the same tokens; change what the answer depends on")
    return a, b


@dataclass(frozen=True)
class Metric:
    """What is measured after the last token: the logit of `answer` minus that of `versus`; without `versus`, the
    log-probability of `answer`."""

    answer: int
    versus: int | None = None

    def __call__(self, logits: Floats) -> float:
        """Return the metric of logits (V,), in logits or nats."""
        row = np.asarray(logits, np.float64).reshape(-1)
        if self.versus is not None:
            return float(row[self.answer] - row[self.versus])
        return float(log_softmax(row.astype(np.float32)[None])[0, self.answer])

    def to_dict(self, model: Model) -> dict[str, Any]:
        """Return it with its tokens' texts."""
        named = {"answer": token_text(model, self.answer)}
        return named if self.versus is None else {**named, "versus": token_text(model, self.versus)}


def make_metric(model: Model, answer: str | int, versus: str | int | None = None) -> Metric:
    """Return the metric of two tokens, or of one.

    Raises: UsageError if either is not one token.
    """
    return Metric(one_token(model, answer), None if versus is None else one_token(model, versus))
