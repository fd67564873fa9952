"""Torch layers: training, gradients and research, under the forward pass of `petitlm.decoder`."""

from petitlm.model.decoder import Decoder
from petitlm.model.exchange import export, load_decoder
from petitlm.model.runner import TorchRunner, load_runner

__all__ = ["Decoder", "TorchRunner", "export", "load_decoder", "load_runner"]
