"""What must hold inside any model, whatever it has learned, held against the model at hand.

Nothing of this needs to be known about the model: what is written to the residual stream adds up to it, heads add up to
their attention, looking changes nothing, and an edit does what it says. A tool that fails here shows numbers that are
not the model's, however good they look (TransformerLens issues 1639 and 1648 are such cases).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from petitlm.decoder import tap_names
from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import TRACE_LIMIT, check_trace, run_text, run_texts
from petitlm.engine.tapped import TappedSession
from petitlm.engine.trace import Trace
from petitlm.errors import UsageError
from petitlm.look.models import Model, Text, ids_of
from petitlm.look.results import Check, Evidence, Result, Table, about
from petitlm.taps import by_head

_LEAST = 4  # tokens: enough for a text that is cut in two and compared with another
_PRODUCT = {16: 1e-5, 32: 1e-5}
_CACHE = {"int8": 0.02, "f16": 2e-3, "f32": 1e-5}
"""What rounding values for the cache may change of their mixes; measured: 0.006 at most, 3e-4, 1e-7."""


@dataclass(frozen=True)
class Identities(Result):
    """How far each identity is from holding in one model and text; every one is a check with its bound."""

    evidence: ClassVar[Evidence] = "intervention"
    n_tokens: int

    @property
    def ok(self) -> bool:
        """Whether all of them hold."""
        return all(check.ok for check in self.checks)

    def tables(self) -> list[Table]:
        facts = self.about.model
        rows = [["layers", facts["layers"]], ["bits", facts["bits"]], ["cache", facts["cache"]],
                ["tokens", self.n_tokens], ["hold", f"{sum(c.ok for c in self.checks)} of {len(self.checks)}"]]
        return [Table("What must hold inside any model", ["", ""], rows, "each one below; 0 is the same to the bit")]


def identities(model: Model, text: Text | None = None) -> Identities:
    """Hold every identity against a model as it runs; `text` None takes tokens from all over its vocabulary.

    Raises: UsageError for a text of fewer than four tokens; DoesNotFitError where all taps of it are too large.
    """
    asked = about(model, "identities", text=text)
    config = model.config
    if text is None:
        n = min(24, model.context)
        ids = [int(i) for i in np.random.default_rng(0).integers(0, config.n_vocab, n)]
    else:
        ids = ids_of(model, text)
    if len(ids) < _LEAST:
        raise UsageError(f"the text has {len(ids)} tokens, and identities need {_LEAST} or more; give a longer one")
    check_trace(config, tap_names(config), len(ids), TRACE_LIMIT)
    trace = run_text(model.runner, ids, tap_names(config))
    checks = (*_sums(model, trace), *_runs(model, trace), *_edits(model, trace))
    return Identities(asked, len(ids), checks=checks)


def _sums(model: Model, trace: Trace) -> Iterator[Check]:
    """Yield what adds up inside one run."""
    config, runner = model.config, model.runner
    stream, total, seen, mix, heads = 0.0, 0.0, 0.0, 0.0, 0.0
    unseen = ~np.tri(len(trace.ids), dtype=bool)
    for i in range(config.n_layers):
        pre, post, pattern = trace[("resid_pre", i)], trace[("resid_post", i)], trace[("pattern", i)]
        written = pre.astype(np.float64) + trace[("attn_out", i)] + trace[("mlp_out", i)]
        stream = max(stream, _off(post, written))
        total = max(total, float(np.abs(pattern.sum(-1, dtype=np.float64) - 1).max()))
        seen = max(seen, float(np.abs(pattern[:, unseen]).max()))
        v = np.repeat(trace[("v", i)], config.group, axis=1)
        mixed = np.stack([p.astype(np.float64) @ v[:, h] for h, p in enumerate(pattern)], 1)
        mix = max(mix, _share(trace[("z", i)], mixed))
        o = runner.weight(f"blocks.{i}.attn.o.weight").astype(np.float64)
        bias = runner.weight(f"blocks.{i}.attn.o.bias") if config.out_bias else np.zeros(1)
        cut = [o[:, h * config.d_head : (h + 1) * config.d_head] for h in range(config.n_heads)]
        parts = np.stack([trace[("z", i)][:, h] @ w.T for h, w in enumerate(cut)])
        heads = max(heads, _share(trace[("attn_out", i)], parts.sum(0) + bias))
    yield Check("what is written to the stream adds up to it", stream, 1e-5)
    yield Check("each token's pattern adds up to 1", total, 1e-5)
    yield Check("no token looks ahead", seen, 0.0)
    yield Check("the pattern mixes the values", mix, _CACHE[model.cache], "the cache rounds values")
    yield Check("heads add up to the attention", heads, _PRODUCT.get(model.bits, 0.05),
                "in 4 and 8 bits a product rounds what goes into it")


def _runs(model: Model, trace: Trace) -> Iterator[Check]:
    """Yield what is the same however the text is run."""
    config, runner, ids = model.config, model.runner, trace.ids
    names, same = tap_names(config), 0.0 if runner.exact else 1e-4
    last = trace[("resid_post", config.n_layers - 1)]
    yield Check("the lens at the last layer is the answer", _off(runner.readout(last), trace.logits), same)
    yield Check("looking changes nothing", _off(run_text(runner, ids).logits, trace.logits), same)
    session = TappedSession(runner.session(1, len(ids)), config, [], names)
    rows = [session.step(as_ints([id]), as_ints([at]), as_ints([0])) for at, id in enumerate(ids)]
    single = session.trace(ids, rows[-1])
    assert single is not None
    yield Check("token by token is all at once", max(_off(single[n], trace[n]) for n in names), same)
    texts = [ids[: len(ids) // 2], ids, ids[1:]]
    together = list(run_texts(runner, texts, names, wanted="all"))[1]
    yield Check("beside other texts is alone", max(_off(together[n], trace[n]) for n in names), same)


def _edits(model: Model, trace: Trace) -> Iterator[Check]:
    """Yield what edits must do."""
    config, runner, ids = model.config, model.runner, trace.ids
    same = 0.0 if runner.exact else 1e-4
    own = [Edit(n, "replace", trace[n].swapaxes(0, 1) if by_head(n) else trace[n]) for n in tap_names(config)]
    again = run_text(runner, ids, edits=own)
    yield Check("a run patched with itself is itself", _off(again.logits, trace.logits), same)
    other = [*ids[1:], ids[0]]
    streams = [Edit(("resid_post", i), "replace", trace[("resid_post", i)]) for i in range(config.n_layers)]
    moved = max(_off(run_text(runner, other, edits=[edit]).logits, trace.logits) for edit in streams)
    yield Check("a text's whole stream gives its answer in another", moved, same)
    first = np.zeros((len(ids), config.n_heads, len(ids)), np.float32)
    first[..., 0] = 1  # everybody looks at the first token alone
    deaf = sum(bool(np.array_equal(run_text(runner, ids, edits=[Edit(("pattern", i), "replace", first)]).logits,
                                   trace.logits)) for i in range(config.n_layers))
    yield Check("blocks whose pattern can be changed without effect", float(deaf), config.n_layers - 1.0)


def _off(ours: Floats, expected: Floats) -> float:
    """Return the largest difference, of 1 or the largest expected number; infinite where one is finite alone."""
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(ours)):
        return float("inf")
    if not finite.any():
        return 0.0
    worst = np.abs(ours[finite].astype(np.float64) - expected[finite]).max()
    return float(worst / max(1.0, float(np.abs(expected[finite]).max())))


def _share(ours: Floats, expected: Floats) -> float:
    """Return |ours - expected| / |expected|, root mean squares."""
    size = float(np.linalg.norm(expected))
    return float(np.linalg.norm(ours - expected)) / size if size else float(np.linalg.norm(ours))
