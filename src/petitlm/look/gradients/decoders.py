"""Torch layers that compute what a loaded model computes, for the gradients that packed weights do not have."""

from __future__ import annotations

import torch

from petitlm.engine.runs import Runner
from petitlm.model import Decoder, TorchRunner


def decoder_of(runner: Runner, dtype: torch.dtype = torch.float32) -> Decoder:
    """Return the torch layers of a runner: its own, or new ones with the engine's weights decoded.

    The engine also rounds what goes into a packed matrix and into its cache, to 8 and 16 bits; these layers do not.
    So they are near the engine, not equal to it, and what they estimate is confirmed on the engine.
    """
    if isinstance(runner, TorchRunner):
        own = runner.decoder
        if own.embed.weight.dtype == dtype:
            return own
    with torch.device("meta"):
        decoder = Decoder(runner.config).to(dtype)
    weights = {name: torch.as_tensor(runner.weight(name)).to(dtype) for name in runner.config.tensor_shapes()}
    if runner.config.tied:
        weights["unembed.weight"] = weights["embed.weight"]
    decoder.load_state_dict(weights, assign=True)
    if runner.config.tied:
        decoder.unembed.weight = decoder.embed.weight
    return decoder.eval().requires_grad_(False)
