"""Functions as taps: real torch tensors, with their gradients, on the torch layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from petitlm.engine.hooks import hooks_of
from petitlm.errors import ShapeError, UsageError
from petitlm.look.models import Model, Text, ids_of
from petitlm.model import TorchRunner
from petitlm.model.batch import Cache
from petitlm.taps import TapName, full_names

TapFunction = Callable[[str, Tensor], Tensor | None]
"""Given a tap's full name and its value; returns what to go on with, of the same shape, or None to change nothing."""


def run(model: Model, text: Text, function: TapFunction, *, taps: Sequence[TapName] | None = None) -> Tensor:
    """Run a text on torch layers, a function as tap of every value, or of those at `taps`; return the logits (T, V).

    Values have the shapes that traces have, (T, D), (T, H, K), (H, T, S), and are part of the graph: keep them, call
    `retain_grad`, return others in their place, and differentiate what comes out. Weights stay as they are; their
    gradients are left alone unless the caller's `backward` reaches them.
    Raises: UsageError for a model on the engine, with what to do instead; ShapeError if the function returns a value
    of another shape.
    """
    runner = model.runner
    if not isinstance(runner, TorchRunner):
        hooks_of(runner).need("functions")
        raise UsageError(f"functions as taps need petit's own torch layers, and this model runs on {runner.kind!r}")
    ids, decoder = ids_of(model, text), runner.decoder
    names = None if taps is None else {name for tap in taps for name in full_names(model.config, tap)}
    numbers = torch.arange(len(ids))
    with torch.enable_grad():
        batch = decoder.slots(torch.tensor(ids), numbers, [(Cache(), numbers)])
        logits: Tensor = decoder(batch, _Function(function, names))
        return logits


class _Function:
    """A tap that asks a function."""

    def __init__(self, function: TapFunction, names: set[str] | None) -> None:
        self._function, self._names = function, names

    def wants(self, name: str, /) -> bool:
        return self._names is None or name in self._names

    def __call__(self, name: str, value: Tensor, /) -> Tensor:
        if not self.wants(name):
            return value
        result = self._function(name, value)
        if result is None:
            return value
        if not isinstance(result, Tensor) or result.shape != value.shape:
            given = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise ShapeError(f"the function at {name!r} returned {given}, and the value there is {tuple(value.shape)}; "
                             "return a tensor of that shape, or None to change nothing")
        return result
