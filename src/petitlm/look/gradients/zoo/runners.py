"""A model of the zoo on torch layers."""

from __future__ import annotations

import torch

from petitlm.engine.runs import Runner
from petitlm.look.gradients.decoders import decoder_of
from petitlm.model import TorchRunner


def torch_runner(engine: Runner, dtype: torch.dtype = torch.float32) -> TorchRunner:
    """Return torch layers with the weights of an engine in 32 bits."""
    return TorchRunner(decoder_of(engine, dtype))
