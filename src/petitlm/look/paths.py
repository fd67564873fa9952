"""Path patching: what one part does through certain readers alone, everything between held as it was.

For each sender the base text is run with the sender's value changed and every other head and MLP frozen at what it
was in the base run; so a reader's input differs by exactly what the sender now adds to the residual stream. What the
readers make of that input (queries, keys, values, an MLP's neurons) is recorded and put into an otherwise untouched
run of the base text. With the logits as reader the first run is the answer: the direct effect.

Source: Wang et al. 2023, Interpretability in the Wild, section 3.1; Goldowsky-Dill et al. 2023, Localizing Model
Behavior with Path Patching. Wang et al. let MLPs between recompute; here they are frozen, so that a path is one edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from petitlm.config import ModelConfig
from petitlm.engine.edits import Edit
from petitlm.engine.runs import TRACE_LIMIT, check_trace, run_variants
from petitlm.engine.trace import Keep, Trace
from petitlm.errors import UsageError
from petitlm.look.swaps import Swap
from petitlm.look.units import Unit, n_heads, parse_unit
from petitlm.taps import TapName, full_names

SENDERS = ("hook_z", "hook_attn_out", "hook_mlp_out", "hook_embed")
"""Taps that add to the residual stream, and so have paths to what reads it."""
LOGITS = "logits"


def make_readers(config: ModelConfig, to: str | Sequence[str]) -> list[Unit]:
    """Return the units that stand for what some readers read; none for the logits.

    A reader is `logits`, a head (`z:5.3`: its query, key and value) or one of its three inputs (`q:5.3`), a
    block's heads (`attn_out:5`) or its MLP (`mlp_out:5`).
    Raises: UsageError for another, or for the logits together with others.
    """
    names = [to] if isinstance(to, str) else list(to)
    if LOGITS in names:
        if len(names) > 1:
            raise UsageError("the logits are read by themselves; ask for the other readers in a question of their own")
        return []
    return [unit for name in names for unit in _reader(config, name)]


def _reader(config: ModelConfig, name: str) -> list[Unit]:
    unit = parse_unit(config, name)
    kind, block = unit.tap.rsplit(".", 1)[-1], unit.block
    if unit.positions is not None or unit.neuron is not None or block is None:
        raise UsageError(f"a path cannot end at {name!r}; end it at logits, z:5.3, q:5.3, attn_out:5 or mlp_out:5")
    taps = {short: full_names(config, (short, block))[0] for short in ("q", "k", "v", "pre")}
    if kind == "hook_mlp_out":
        gated = full_names(config, ("pre_linear", block)) if config.gated_mlp else []
        return [Unit(tap) for tap in [taps["pre"], *gated]]
    if kind == "hook_attn_out":
        return [Unit(taps[short]) for short in "qkv"]
    if kind == "hook_z":
        if unit.head is None:
            return [Unit(taps[short]) for short in "qkv"]
        return [Unit(taps["q"], unit.head), *(Unit(taps[short], unit.head // config.group) for short in "kv")]
    if kind in ("hook_q", "hook_k", "hook_v"):
        return [unit]
    raise UsageError(f"a path cannot end at {name!r}; end it at logits, z:5.3, q:5.3, attn_out:5 or mlp_out:5")


def path_effects(swap: Swap, senders: Sequence[Unit], readers: Sequence[Unit]) -> NDArray[np.float64]:
    """Return how much the metric changes from the base run when each sender changes for the readers alone.

    `readers` are read together; none means the logits.
    Raises: UsageError for a sender that adds nothing to the residual stream.
    """
    config = swap.runner.config
    for sender in senders:
        if not sender.tap.endswith(SENDERS):
            raise UsageError(f"{sender.name} adds nothing to the residual stream by itself, so no path begins there; "
                             "choose over heads, attn_out, mlp_out or embed")
    parts = [Unit(tap) for kind in ("attn_out", "mlp_out") for tap in full_names(config, kind)]
    swap.load([part.tap for part in parts], of_base=True)
    swap.load([s.tap for s in senders if s.head is not None], of_base=True)
    frozen = [None if (edit := swap.edit(s)) is None else [edit, *_others(swap, s, parts)] for s in senders]
    effects, moving = np.zeros(len(senders)), [i for i, edits in enumerate(frozen) if edits is not None]
    if not readers:
        effects[moving] = swap.effects_of([frozen[i] or [] for i in moving])
        return effects
    keeps: list[TapName | Keep] = [Keep(tap, at=swap.positions) for tap in dict.fromkeys(r.tap for r in readers)]
    check_trace(config, keeps, len(swap.ids), TRACE_LIMIT)
    for begin in range(0, len(moving), _TOGETHER):  # what is recorded of so many is held at once
        group = moving[begin : begin + _TOGETHER]
        traces = run_variants(swap.runner, swap.ids, [frozen[i] or [] for i in group], keeps)
        effects[group] = swap.effects_of([[_received(swap, trace, r) for r in readers] for trace in traces])
    return effects


_TOGETHER = 64


def _others(swap: Swap, sender: Unit, parts: Sequence[Unit]) -> list[Edit]:
    """Return the edits that freeze all heads and MLPs but the sender."""
    edits = []
    for part in parts:
        holds_sender = sender.block == part.block and part.tap.endswith("hook_attn_out") and sender.head is not None
        if not holds_sender and part.tap != sender.tap:
            edits.append(swap.freeze(part))
    if sender.head is not None:
        heads = range(n_heads(swap.runner.config, sender.tap))
        edits += [swap.freeze(Unit(sender.tap, h)) for h in heads if h != sender.head]
    return edits


def _received(swap: Swap, trace: Trace, reader: Unit) -> Edit:
    """Return the edit that gives a reader what it had in the frozen run."""
    x = trace[reader.tap]
    if reader.head is not None:
        x = x[:, [reader.head]]
    return Edit(reader.tap, "replace", x, positions=swap.positions, head=reader.head)
