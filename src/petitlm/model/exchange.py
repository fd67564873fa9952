"""Torch layers to and from checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from petitlm.checkpoint import Checkpoint, save_hf
from petitlm.model.decoder import Decoder

if TYPE_CHECKING:
    import numpy as np

    from petitlm.tokenizer import Tokenizer


def load_decoder(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> Decoder:
    """Return the torch layers of a checkpoint, its weights copied one tensor at a time."""
    with torch.device("meta"):  # shapes first: nothing is allocated twice
        decoder = Decoder(checkpoint.config).to(dtype)
    weights = {name: torch.from_numpy(checkpoint.read(name)).to(dtype) for name in checkpoint.config.tensor_shapes()}
    if checkpoint.config.tied:
        weights["unembed.weight"] = weights["embed.weight"]
    decoder.load_state_dict(weights, assign=True)
    if checkpoint.config.tied:  # assigning makes two parameters of one
        decoder.unembed.weight = decoder.embed.weight
    return decoder


def export(decoder: Decoder, folder: Path, tokenizer: Tokenizer | None, **options: Any) -> None:
    """Write the weights as a Hugging Face folder; `options` as `petitlm.checkpoint.save_hf` takes them."""
    weights = dict(decoder.named_parameters())

    def read(name: str) -> np.ndarray:
        return weights[name].detach().float().cpu().numpy()

    save_hf(folder, decoder.config, read, tokenizer, **options)
