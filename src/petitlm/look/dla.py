"""Direct logit attribution: how much each part of the model put straight into the answer's logit.

The last residual stream is a sum of what the embedding and every head and MLP wrote, and with its scale frozen the
final norm is linear, so the logit is a sum, too (Elhage et al. 2021, A Mathematical Framework for Transformer
Circuits). It says what was written, not what it is needed for: parts that act through others, and parts that would
step in, are seen by patching alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.runs import Runner, run_text
from petitlm.engine.trace import Keep, Trace
from petitlm.errors import UsageError
from petitlm.look.models import Metric, Model, Text, ids_of, make_metric, token_text
from petitlm.look.pieces import positions_of
from petitlm.look.results import Check, Result, Table, about

Unit = Literal["layer", "head", "neuron"]
Basis = Literal["raw", "folded"]
Numbers = NDArray[np.float64]
_ROWS = 512  # rows of a packed matrix that are decoded at a time
_EXACT_BITS = (16, 32)  # formats in which what goes into a matrix is not rounded to 8 bits


@dataclass(frozen=True)
class Term:
    """What one part put into the logit."""

    name: str
    """embed, pos_embed, bias, `attn 3`, `mlp 3`, `head 3.2`, `neuron 3.117`, or what is left of a layer."""
    kind: Literal["embed", "bias", "attn", "mlp", "head", "neuron", "rest"]
    layer: int | None
    index: int | None
    """Head or neuron."""
    value: float
    """In logits."""


@dataclass(frozen=True)
class Dla(Result):
    """The parts' shares of one logit, or of the difference of two."""

    answer: str
    versus: str | None
    token: str
    """The token after which the answer comes."""
    unit: Unit
    basis: Basis
    terms: list[Term]
    """All terms, in the order of the forward pass; of neurons the largest alone, and what the others add up to."""
    total: float
    """Their sum."""
    logit: float
    """What the model itself computed."""
    shape: tuple[int, int] = field(default=(0, 0))
    """Layers and heads."""

    def tables(self) -> list[Table]:
        what = f"logit of {self.answer!r}" + (f" minus that of {self.versus!r}" if self.versus else "")
        if self.basis == "folded" and not self.versus:
            what += " minus the mean over the vocabulary"
        terms, note = self.terms, "in the order of the forward pass"
        if self.unit != "layer":
            terms, note = sorted(terms, key=lambda t: -abs(t.value))[:20], f"the largest 20 of {len(self.terms)}"
            note = "largest first" if len(self.terms) <= 20 else note
        rows: list[list[Any]] = [[term.name, term.value] for term in terms]
        summary = Table("", ["", "logits"], [["sum of all parts", self.total], ["the model's own", self.logit]])
        parts = Table(f"{what}, after {self.token!r}", ["part", "logits"], rows, f"{note}; {self.basis} basis")
        return [parts, summary]

    def charts(self) -> list[str]:
        from petitlm.look.page import bars, heat

        least = 0.005 * max(abs(term.value) for term in self.terms)
        note = f"Parts of less than {least:.2g} logits are left out."
        if self.unit == "head":
            grid = np.zeros(self.shape)
            for term in self.terms:
                if term.kind == "head":
                    grid[term.layer, term.index] = term.value
            others = [term for term in self.terms if term.kind != "head" and abs(term.value) >= least]
            return [heat("What each head wrote", [f"layer {i}" for i in range(self.shape[0])],
                         [f"head {i}" for i in range(self.shape[1])], grid, unit="logits", diverging=True),
                    bars("What everything else wrote", [t.name for t in others], [t.value for t in others],
                         unit="logits", note=note)]
        shown = [term for term in self.terms if self.unit == "layer" or abs(term.value) >= least]
        return [bars(f"What each {self.unit} wrote", [t.name for t in shown], [t.value for t in shown], unit="logits",
                     note="" if self.unit == "layer" else note)]


def dla(model: Model, text: Text, answer: str | int, versus: str | int | None = None, *, unit: Unit = "layer",
        basis: Basis = "raw", at: int = -1, top: int = 20) -> Dla:
    """Split the logit of `answer` after position `at`, or its lead over `versus`, among the model's parts.

    `unit`: attention and MLP of each layer; heads and MLPs; or the `top` neurons of all MLPs with the attentions.
    `basis`: "raw" takes the weights as they are. "folded" moves what every head writes whatever it looks at (its value
    bias, and the norm's bias through its values) to the biases, and counts a logit from the mean over the vocabulary:
    the coordinates in which norms are folded into the weights and the head is centred. A difference of two logits has
    no such mean.
    Completeness is checked twice: the terms against the frozen linear map, and the map against the model's own logit;
    where inputs of packed matrices are rounded to 8 bits the second gap is what that rounding costs.
    Raises: UsageError; ContextError.
    """
    for name, value, known in (("unit", unit, get_args(Unit)), ("basis", basis, get_args(Basis))):
        if value not in known:
            raise UsageError(f"{name}={value!r} is not known; choose one of {', '.join(known)}")
    if top < 1:
        raise UsageError(f"top={top} keeps nothing; give 1 or more")
    ids, metric, config = ids_of(model, text), make_metric(model, answer, versus), model.config
    position = positions_of(at, len(ids))[0]
    trace = run_text(model.runner, ids[: position + 1], _taps(config, unit, position), wanted="last")
    stream = _row(trace, ("resid_post", config.n_layers - 1))
    direction, constant = frozen_map(model.runner, stream, metric, basis)
    terms = list(_terms(model.runner, trace, unit, basis, direction))
    written = sum(term.value for term in terms) + constant
    terms.append(Term("bias", "bias", None, None, constant))
    linear = float(direction @ stream) + constant
    largest = max(1.0, abs(linear), *(abs(term.value) for term in terms))
    logit = _measured(trace.logits[-1].astype(np.float64), metric, basis)
    checks = (Check("completeness: terms against the final norm's frozen map", (written - linear) / largest, 1e-5,
                    "of the largest term"), _rounding(model, (linear - logit) / largest))
    if unit == "neuron":
        terms = _largest(terms, top)
    return Dla(about(model, "dla", text=text, answer=answer, versus=versus, unit=unit, basis=basis, at=at, top=top),
               token_text(model, metric.answer), None if metric.versus is None else token_text(model, metric.versus),
               token_text(model, ids[position]), unit, basis, terms, written, logit, (config.n_layers, config.n_heads),
               checks=checks)


def frozen_map(runner: Runner, stream: Numbers, metric: Metric, basis: Basis = "raw") -> tuple[Numbers, float]:
    """Return (d, c): with its scale as it is for this stream (D,), the final norm and head give d · stream + c.

    Of the metric's two tokens the difference of logits; of one its logit, in the folded basis less the mean over the
    vocabulary.
    """
    config = runner.config
    head = "embed.weight" if config.tied else "unembed.weight"
    tokens = [metric.answer] if metric.versus is None else [metric.answer, metric.versus]
    signs = np.array([1.0, -1.0][: len(tokens)])
    bias = runner.weight("unembed.bias").astype(np.float64) if config.unembed_bias else np.zeros(config.n_vocab)
    wanted, constant = signs @ runner.weight(head, tokens).astype(np.float64), float(signs @ bias[tokens])
    if basis == "folded" and metric.versus is None:
        wanted, constant = wanted - project(runner, head, np.full(config.n_vocab, 1 / config.n_vocab)), \
            constant - float(bias.mean())
    gain = wanted * runner.weight("ln_final.weight")
    if config.norm == "layer":
        constant += float(wanted @ runner.weight("ln_final.bias"))
        gain, stream = gain - gain.mean(), stream - stream.mean()
    return gain / np.sqrt((stream**2).mean() + config.norm_eps), constant


def project(runner: Runner, name: str, direction: Numbers) -> Numbers:
    """Return direction · W for a weight (R, C) and a direction (R,), decoding some rows at a time."""
    total = None
    for begin in range(0, len(direction), _ROWS):
        rows = range(begin, min(begin + _ROWS, len(direction)))
        part = direction[rows.start : rows.stop] @ runner.weight(name, rows).astype(np.float64)
        total = part if total is None else total + part
    assert total is not None
    return total


def _taps(config: ModelConfig, unit: Unit, at: int) -> list[Keep]:
    names = ["attn_out", "mlp_out"] + {"layer": [], "head": ["z"], "neuron": ["mlp_post"]}[unit]
    once = ["embed", *(["pos_embed"] if config.positions == "learned" else [])]
    return [*(Keep(name, at=at) for name in (*once, *names)), Keep(("resid_post", config.n_layers - 1), at=at)]


def _row(trace: Trace, tap: str | tuple[str, int]) -> Numbers:
    return trace[tap][0].astype(np.float64)


def _terms(runner: Runner, trace: Trace, unit: Unit, basis: Basis, direction: Numbers) -> Iterator[Term]:
    """Yield all terms but the constant, in the order of the forward pass."""
    config = runner.config
    yield Term("embed", "embed", None, None, float(direction @ _row(trace, "embed")))
    if config.positions == "learned":
        yield Term("pos_embed", "embed", None, None, float(direction @ _row(trace, "pos_embed")))
    for i in range(config.n_layers):
        attn = float(direction @ _row(trace, ("attn_out", i)))
        if unit == "head":
            yield from _heads(runner, i, _row(trace, ("z", i)), attn, basis, direction)
        elif basis == "folded":
            bias = _bias(runner, f"blocks.{i}.attn.o", direction) + float(_value_bias(runner, i, direction).sum())
            yield Term(f"attn {i}", "attn", i, None, attn - bias)
            yield Term(f"attn bias {i}", "bias", i, None, bias)
        else:
            yield Term(f"attn {i}", "attn", i, None, attn)
        mlp = float(direction @ _row(trace, ("mlp_out", i)))
        if unit == "neuron":
            yield from _neurons(runner, i, _row(trace, ("mlp_post", i)), mlp, direction)
        else:
            yield Term(f"mlp {i}", "mlp", i, None, mlp)


def _heads(runner: Runner, i: int, z: Numbers, attn: float, basis: Basis, direction: Numbers) -> Iterator[Term]:
    config, bias = runner.config, _bias(runner, f"blocks.{i}.attn.o", direction)
    weights = project(runner, f"blocks.{i}.attn.o.weight", direction).reshape(config.n_heads, config.d_head)
    values = (z * weights).sum(-1)
    left = attn - values.sum() - bias
    if basis == "folded":  # a pattern's rows sum to 1, so every token gets a value's bias whole
        moved = _value_bias(runner, i, direction)
        values, bias = values - moved, bias + moved.sum()
    yield from (Term(f"head {i}.{h}", "head", i, h, float(value)) for h, value in enumerate(values))
    yield Term(f"attn bias {i}", "bias", i, None, float(bias))
    yield Term(f"attn {i}, rounding", "rest", i, None, float(left))


def _neurons(runner: Runner, i: int, post: Numbers, mlp: float, direction: Numbers) -> Iterator[Term]:
    bias = _bias(runner, f"blocks.{i}.mlp.down", direction)
    values = post * project(runner, f"blocks.{i}.mlp.down.weight", direction)
    yield from (Term(f"neuron {i}.{n}", "neuron", i, n, float(value)) for n, value in enumerate(values))
    yield Term(f"mlp bias {i}", "bias", i, None, bias)
    yield Term(f"mlp {i}, rounding", "rest", i, None, float(mlp - values.sum() - bias))


def _bias(runner: Runner, name: str, direction: Numbers) -> float:
    name = f"{name}.bias"
    return float(direction @ runner.weight(name)) if name in runner.config.tensor_shapes() else 0.0


def _value_bias(runner: Runner, i: int, direction: Numbers) -> Numbers:
    """Return what each head writes whatever it looks at, (H,): its value bias and what the norm's bias adds to it."""
    config, at = runner.config, f"blocks.{i}."
    shared = np.zeros(config.n_kv_heads * config.d_head)
    if config.qkv_bias:
        shared += runner.weight(at + "attn.v.bias")
    if at + "ln1.bias" in config.tensor_shapes():
        shared += runner.weight(at + "attn.v.weight") @ runner.weight(at + "ln1.bias").astype(np.float64)
    weights = project(runner, at + "attn.o.weight", direction).reshape(config.n_heads, config.d_head)
    return (np.repeat(shared.reshape(config.n_kv_heads, config.d_head), config.group, 0) * weights).sum(-1)


def _measured(logits: Numbers, metric: Metric, basis: Basis) -> float:
    if metric.versus is not None:
        return float(logits[metric.answer] - logits[metric.versus])
    return float(logits[metric.answer] - (logits.mean() if basis == "folded" else 0.0))


def _rounding(model: Model, gap: float) -> Check:
    name = "the frozen map against the model's own logit"
    if model.runner.kind == "torch" or model.bits in _EXACT_BITS:
        return Check(name, gap, 1e-4, "of the largest term")
    return Check(name, gap, None, f"of the largest term; what rounding the head's inputs to 8 bits costs "
                 f"({model.bits}-bit weights)")


def _largest(terms: list[Term], top: int) -> list[Term]:
    """Keep the largest neurons, and say what each layer's others add up to."""
    neurons = sorted((t for t in terms if t.kind == "neuron"), key=lambda t: -abs(t.value))
    kept, others = {t.name for t in neurons[:top]}, dict[int, float]()
    for term in neurons[top:]:
        assert term.layer is not None
        others[term.layer] = others.get(term.layer, 0.0) + term.value
    return list(_with_others(terms, kept, others))


def _with_others(terms: list[Term], kept: set[str], others: Mapping[int, float]) -> Iterator[Term]:
    for term in terms:
        if term.kind != "neuron" or term.name in kept:
            yield term
        if term.layer is not None and term.name == f"mlp bias {term.layer}" and term.layer in others:
            yield Term(f"other neurons {term.layer}", "rest", term.layer, None, others[term.layer])
