"""Learning a tuned lens: affine translators of every layer at once, by their divergence from the model's own word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner, run_texts
from petitlm.errors import UsageError
from petitlm.look.lens import STREAMS, read_out
from petitlm.look.models import Model, Text, ids_of
from petitlm.look.tuned import TunedLens
from petitlm.taps import full_names

HELD_OUT = 0.1
"""Share of the texts that are not learned from, on which the lens is measured."""
_MEASURED = 64  # texts, at most, of those held out
Batch = tuple[Floats, Floats]


def fit_lens(model: Model, texts: Sequence[Text], *, steps: int = 300, tokens: int = 256, rate: float = 1e-3,
             seed: int = 0, progress: Callable[[int, int, str], None] | None = None) -> TunedLens:
    """Learn a tuned lens of the model as it runs: its own streams and predictions, in 4 bits if it runs in 4.

    `steps` of Adam, its `rate` falling linearly to 0, on about `tokens` tokens each. The translators start as the
    identity, so step 0 is the logit lens. Belrose et al. 2023, section 3.1.
    Deterministic: the same model, texts and numbers give the same lens.
    Raises: UsageError for texts too few to hold some out, or numbers below 1.
    """
    if min(steps, tokens) < 1 or rate <= 0:
        raise UsageError(f"steps={steps}, tokens={tokens} and rate={rate} learn nothing; give positive numbers")
    sequences = [ids_of(model, text) for text in texts]
    n_held_out = max(1, round(HELD_OUT * len(sequences)))
    if len(sequences) < 2:
        raise UsageError(f"{len(sequences)} texts are too few: some are learned from and one is held out; give dozens")
    learned, held_out = sequences[:-n_held_out], sequences[-n_held_out:][:_MEASURED]
    config, runner = model.config, model.runner
    weights = torch.zeros(config.n_layers, config.d_model, config.d_model, requires_grad=True)
    biases = torch.zeros(config.n_layers, 1, config.d_model, requires_grad=True)
    optimiser, head = torch.optim.Adam([weights, biases], rate), Head(runner)
    batches, seen = _batches(runner, learned, tokens, seed), 0
    for step in range(steps):
        x, logits = (torch.from_numpy(array) for array in next(batches))
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for i in range(config.n_layers):  # one layer's logits at a time: each has a vocabulary for every token
            translated = x[i] + x[i] @ weights[i].T + biases[i]
            one = divergence(head(translated), logits)
            one.backward()
            loss += one.item() / config.n_layers
        optimiser.step()
        seen += len(logits)
        if progress is not None:
            progress(step + 1, steps, f"KL {loss:.3f}")
    lens = TunedLens(list(weights.detach().numpy()), list(biases.detach().numpy()[:, 0]), {})
    lens.made = {"model": model.name, "digest": runner.digest, "bits": model.bits, "layers": runner.kind,
                 "texts": len(learned), "held_out_texts": len(held_out), "tokens_seen": seen, "steps": steps,
                 "tokens": tokens, "rate": rate, "seed": seed,
                 "kl_logit": mean_kl(runner, held_out, None), "kl_tuned": mean_kl(runner, held_out, lens)}
    return lens


class Head:
    """The final norm and the head, with the weights that the model computes with."""

    def __init__(self, runner: Runner) -> None:
        config = runner.config

        def get(name: str) -> Tensor | None:
            return torch.from_numpy(runner.weight(name)) if name in config.tensor_shapes() else None

        self.gain, self.shift, self.eps = get("ln_final.weight"), get("ln_final.bias"), config.norm_eps
        head = get("unembed.weight")
        self.weight = torch.from_numpy(runner.weight("embed.weight")) if head is None else head
        self.bias = get("unembed.bias")

    def __call__(self, x: Tensor) -> Tensor:
        """Return the logits of streams (N, D)."""
        if self.shift is None:
            x = F.rms_norm(x, x.shape[-1:], self.gain, self.eps)
        else:
            x = F.layer_norm(x, x.shape[-1:], self.gain, self.shift, self.eps)
        return F.linear(x, self.weight, self.bias)


def divergence(said: Tensor, own: Tensor) -> Tensor:
    """Return the mean of KL(own || said) over the tokens of logits (N, V), in nats."""
    return F.kl_div(said.log_softmax(-1), own.log_softmax(-1), reduction="batchmean", log_target=True)


def mean_kl(runner: Runner, sequences: Sequence[Sequence[int]], lens: TunedLens | None) -> list[float]:
    """Return KL(model || lens) of each layer's reading, the mean over all tokens, in nats; without torch's help."""
    total, n = np.zeros(runner.config.n_layers), 0
    for x, logits in _streams(runner, sequences):
        reading, _ = read_out(runner, x, logits, 1, (), lens)
        total += reading.kl[:-1].sum(1)
        n += len(logits)
    return (total / n).tolist()


def _batches(runner: Runner, sequences: Sequence[Sequence[int]], tokens: int, seed: int) -> Iterator[Batch]:
    """Yield streams (L + 1, N, D) and logits (N, V) of whole texts, N at least `tokens`; round after round."""
    rng, parts, n = np.random.default_rng(seed), list[Batch](), 0
    while True:
        shuffled = [sequences[i] for i in rng.permutation(len(sequences))]
        for part in _streams(runner, shuffled):
            parts.append(part)
            n += len(part[1])
            if n >= tokens:
                yield np.concatenate([x for x, _ in parts], 1), np.concatenate([own for _, own in parts])
                parts, n = [], 0


def _streams(runner: Runner, sequences: Sequence[Sequence[int]]) -> Iterator[Batch]:
    names = [name for tap in STREAMS for name in full_names(runner.config, tap)]
    for trace in run_texts(runner, sequences, STREAMS, wanted="all"):
        yield np.stack([trace[name] for name in names]), trace.logits
