"""Estimates for edges: what a reader would do to the metric if one sender alone, as it reads it, were another run's.

The score of an edge is (sender's output in the source - in the base) . (gradient of the metric at the reader's input),
summed over positions. `eap` takes the gradient in the base run; `eap-ig` averages it over runs whose embeddings lie
between the base's and the source's. The edges that leave the embedding then add up to the whole difference: how far
they are from it says how many steps are enough.

Sources: Syed et al. 2023, Attribution Patching Outperforms Automated Circuit Discovery (arXiv 2310.10348); Hanna et
al. 2024, Have Faith in Faithfulness (arXiv 2403.17806), section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petitlm.look.gradients.attribution import STEPS, TOKENS, Question, chunks, layers_of, new_points
from petitlm.look.gradients.watching import Watch, all_rows, gradients
from petitlm.look.graph import Graph
from petitlm.look.models import Metric
from petitlm.model import Decoder

__all__ = ["EdgeEstimates", "estimate_edges", "layers_of"]


@dataclass
class EdgeEstimates:
    """Scores of all edges (R, U), zero where there is none, in the metric's unit."""

    scores: NDArray[np.float64]
    total: float
    """What replacing the whole embedding changes, by the same layers."""
    steps: int

    @property
    def gap(self) -> float:
        """The sum over edges that leave the embedding, minus the whole difference."""
        return float(self.scores[:, 0].sum()) - self.total


def estimate_edges(decoder: Decoder, base: list[int], source: list[int], metric: Metric, method: str,
                   tolerance: float) -> EdgeEstimates:
    """Return the scores of all edges for one pair of texts, by `method` eap or eap-ig; see `layers_of`."""
    question = Question(decoder, base, source, metric)
    graph, moved = Graph(decoder.config), _moved(question)
    total = question.results[1] - question.results[0]
    if method == "eap":
        return EdgeEstimates(_scores(graph, moved, _gradients(question, graph, [0.0])), total, 1)
    summed = torch.zeros(len(graph.readers), *moved.shape[1:], dtype=moved.dtype)
    found, old = EdgeEstimates(np.zeros(()), total, 0), 0
    for steps in STEPS:
        for alphas in chunks(new_points(steps, old), max(1, TOKENS // len(base))):
            summed += _gradients(question, graph, alphas)
        found, old = EdgeEstimates(_scores(graph, moved, summed / steps), total, steps), steps
        if steps > STEPS[0] and abs(found.gap) <= tolerance * abs(total):
            break
    return found


def _moved(question: Question) -> Tensor:
    """Return how much what each sender adds differs between the two runs, (U, T, D)."""
    config, decoder = question.config, question.decoder
    outputs = [question.change("hook_embed")]
    if config.positions == "learned":
        outputs.append(question.change("hook_pos_embed"))
    names = [f"blocks.{i}.{what}" for i in range(config.n_layers) for what in ("attn.hook_z", "hook_mlp_out")]
    question.at(names)
    for i, block in enumerate(decoder.blocks):
        z = question.change(f"blocks.{i}.attn.hook_z")  # T H K
        columns = block.attn.o.weight.detach().view(config.d_model, config.n_heads, config.d_head)
        outputs += [*torch.einsum("thk,dhk->htd", z, columns), question.change(f"blocks.{i}.hook_mlp_out")]
    return torch.stack(outputs)


def _scores(graph: Graph, moved: Tensor, g: Tensor) -> NDArray[np.float64]:
    return np.where(graph.exists, (g.flatten(1) @ moved.flatten(1).T).double().numpy(), 0.0)


def _gradients(question: Question, graph: Graph, alphas: list[float]) -> Tensor:
    """Return the gradient at every reader's input, summed over runs with embeddings on the way, (R, T, D)."""
    config, decoder = question.config, question.decoder
    base, _ = question.at(["hook_embed"])
    alpha = torch.tensor(alphas, dtype=base["hook_embed"].dtype)[:, None, None]
    embeds = base["hook_embed"] + alpha * question.change("hook_embed")
    last = f"blocks.{config.n_layers - 1}.hook_resid_post"
    per_block = ["hook_resid_pre", "attn.hook_q", "attn.hook_k", "attn.hook_v", "mlp.hook_pre"]
    per_block += ["mlp.hook_pre_linear"] if config.gated_mlp else []
    per_block += [] if config.parallel_block else ["hook_resid_mid"]
    names = [f"blocks.{i}.{name}" for i in range(config.n_layers) for name in per_block]
    watch = Watch({*names, last, "hook_embed"}, {"hook_embed": all_rows(embeds)})
    g = gradients(decoder, question.base, len(alphas), question.metric, watch)
    seen = {name: value.detach() for name, value in watch.seen.items()}
    found = [one for i in range(config.n_layers) for one in _block_readers(decoder, i, seen, g)]
    return torch.stack([*found, g[last].sum(0)])


def _block_readers(decoder: Decoder, i: int, seen: dict[str, Tensor], g: dict[str, Tensor]) -> Iterator[Tensor]:
    """Yield the gradient at the inputs of a block's readers, (T, D) each: back through projection and norm."""
    config, block, at = decoder.config, decoder.blocks[i], f"blocks.{i}."
    pulled = []
    for kind, linear in (("q", block.attn.q), ("k", block.attn.k), ("v", block.attn.v)):
        here = g[at + f"attn.hook_{kind}"]  # B T H K
        rows = linear.weight.detach().view(here.shape[2], config.d_head, config.d_model)
        pulled.append(torch.einsum("bthk,hkd->bthd", here, rows))
    yield from _through_norm(block.ln1, seen[at + "hook_resid_pre"], torch.cat(pulled, 2))
    up = block.mlp.gate if config.gated_mlp else block.mlp.up
    into = g[at + "mlp.hook_pre"] @ up.weight.detach()
    if config.gated_mlp:
        into = into + g[at + "mlp.hook_pre_linear"] @ block.mlp.up.weight.detach()
    norm, stream = (block.ln1, "hook_resid_pre") if config.parallel_block else (block.ln2, "hook_resid_mid")
    yield from _through_norm(norm, seen[at + stream], into[:, :, None])


def _through_norm(norm: torch.nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Return vectors (B, T, n, D) behind a norm taken back to its input x (B, T, D), summed over rows: (n, T, D)."""
    wide = x[:, :, None].expand(g.shape).detach().requires_grad_()
    return torch.autograd.grad(norm(wide), wide, g)[0].sum(0).transpose(0, 1)
