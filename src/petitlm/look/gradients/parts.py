"""Torch layers over NumPy arrays, for whoever calls a model's layers one by one; see `petitlm.look.edge_runs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from petitlm.decoder import NO_TAP, Tap
from petitlm.model import TorchRunner
from petitlm.model.batch import Cache, Slots


class TorchParts:
    """A decoder's layers, as the engine's are called."""

    def __init__(self, runner: TorchRunner) -> None:
        self.decoder, config = runner.decoder, runner.config
        d = self.decoder
        self.layers: Any = SimpleNamespace(
            blocks=[_block(block, config.parallel_block, config.gated_mlp) for block in d.blocks],
            embed=_plain(d.embed), select=_plain(d.select), ln_final=_plain(d.ln_final), unembed=_plain(d.unembed),
            pos_embed=_plain(d.pos_embed) if config.positions == "learned" else None)

    def batch(self, texts: Sequence[Sequence[int]]) -> Slots:
        """Return a new batch of whole texts; the logits after each one's last token are wanted."""
        ends = np.cumsum([0, *map(len, texts)])
        members = [(Cache(), torch.arange(int(a), int(b))) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        ids = torch.tensor([id for text in texts for id in text])
        positions = torch.tensor([p for text in texts for p in range(len(text))])
        return self.decoder.slots(ids, positions, members, torch.as_tensor(ends[1:] - 1))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of NumPy arrays (and batches) that calls one of tensors."""
    def called(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*(torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments)).numpy()

    return called


def _block(block: Any, parallel: bool, gated: bool) -> SimpleNamespace:
    attn, mlp = block.attn, block.mlp

    def attend(q: Any, k: Any, v: Any, batch: Any, tap: Tap, at: str) -> Any:
        assert tap is NO_TAP
        return _plain(lambda *qkv: attn.attend(*qkv, batch, NO_TAP, at))(q, k, v)

    return SimpleNamespace(
        ln1=_plain(block.ln1), ln2=None if parallel else _plain(block.ln2),
        attn=SimpleNamespace(q=_plain(attn.q), k=_plain(attn.k), v=_plain(attn.v), o=_plain(attn.o),
                             rotate=_plain(attn.rotate), attend=attend),
        mlp=SimpleNamespace(up=_plain(mlp.up), down=_plain(mlp.down), activate=_plain(mlp.activate),
                            gate=_plain(mlp.gate) if gated else None))
