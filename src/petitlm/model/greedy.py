"""Greedy answers of many prompts at once, for evaluation while a model is trained.

The engine is what generates for users; this needs no packing and runs on weights as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from petitlm.model.batch import Cache
from petitlm.model.decoder import Decoder


@torch.no_grad()
def greedy(
    decoder: Decoder, prompts: Sequence[Sequence[int]], max_tokens: int, end_ids: Collection[int], rows: int = 128
) -> list[list[int]]:
    """Return each prompt's most likely continuation, without the token that ended it.

    Prompts of equal length run together, up to `rows` of them, so that no row needs padding.
    An answer also ends after `max_tokens`, or where the context is full.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(i)
    for members in by_length.values():
        for at in range(0, len(members), rows):
            _run(decoder, prompts, members[at : at + rows], answers, max_tokens, end_ids)
    return answers


def _run(
    decoder: Decoder, prompts: Sequence[Sequence[int]], members: list[int], answers: list[list[int]],
    max_tokens: int, end_ids: Collection[int],
) -> None:  # fmt: skip
    device = decoder.embed.weight.device
    cache, ids = Cache(), torch.tensor([list(prompts[i]) for i in members], device=device)
    for _ in range(min(max_tokens, decoder.config.n_ctx - ids.shape[1])):
        width = ids.shape[1]
        last = torch.arange(len(members), device=device) * width + width - 1
        chosen = decoder(decoder.rows(ids, cache, last)).argmax(-1)
        going = [row for row, token in enumerate(chosen.tolist()) if token not in end_ids]
        for row in going:
            answers[members[row]].append(int(chosen[row]))
        if not going:
            return
        if len(going) < len(members):  # rows that ended leave the batch
            kept = torch.tensor(going, device=device)
            cache = Cache({i: (k[kept], v[kept]) for i, (k, v) in cache.blocks.items()})
            members, chosen = [members[row] for row in going], chosen[kept]
        ids = chosen[:, None]
