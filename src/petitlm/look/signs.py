"""Signs that an answer may be wrong, read from the residual stream while the answer is made.

For each token of an answer, the stream after some blocks at the position that predicted it is put through the final
norm and the head: after the last block these are the model's own predictions, to the bit; before it, the logit lens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from petitlm.config import ModelConfig
from petitlm.engine.generation import Generation
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner, run_texts
from petitlm.engine.sampling import log_softmax
from petitlm.engine.trace import Keep
from petitlm.errors import UsageError
from petitlm.look.linear import Doubles

SIGNS = {
    "entropy": "mean entropy of the predictions, nats a token",
    "entropy_max": "the largest",
    "surprise": "mean of -log p of the tokens that were chosen, nats",
    "surprise_max": "the largest",
    "doubt_max": "1 minus the least lead of the likeliest token over the next, in probability",
    "lens_differs": "share of tokens and blocks at which the lens would say another token",
    "lens_late": "mean share of the blocks after which the lens' choice still changed",
    "lens_late_max": "the largest",
    "lens_kl": "mean KL of the last lens from the predictions, nats a token",
    "lens_kl_max": "the largest",
}
"""Name of each sign: what it is."""
_LENSES = 4  # blocks read besides the last: each costs a pass of the head
_ROWS = 64  # tokens read out together: 64 rows of 51,200 float64 are 26 MB


@dataclass(frozen=True)
class Answered:
    """An answer that was made."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """Every chosen token, the end token too."""


def lens_blocks(config: ModelConfig) -> tuple[int, ...]:
    """Return the blocks whose streams are read: up to four from the middle on, and the last."""
    last = config.n_layers - 1
    first = max(0, min(config.n_layers // 2, last - 1))
    return tuple(sorted({*np.linspace(first, last, 1 + _LENSES).astype(int).tolist(), last}))


def keeps_for(blocks: Sequence[int]) -> list[Keep]:
    """Return what is to be kept of an answer while it is made."""
    return [Keep(("resid_post", block)) for block in blocks]


def states_of(generation: Generation, blocks: Sequence[int]) -> tuple[Answered, dict[int, Floats]]:
    """Return the one answer of a generation, and block: (M, D) the stream that predicted each of its M tokens.

    Raises: UsageError if the generation was made without the taps.
    """
    trace = generation.trace
    if trace is None:
        raise UsageError("this answer was made without taps, so there is nothing to judge it by; generate it with "
                         "taps=judge.taps()")
    start, end = generation.n_prompt - 1, generation.n_prompt - 1 + len(generation.ids)
    done = Answered(tuple(trace.ids[: generation.n_prompt]), generation.ids)
    return done, {block: trace["resid_post", block][start:end] for block in blocks}


def states_again(runner: Runner, answers: Sequence[Answered], blocks: Sequence[int]) -> Iterator[dict[int, Floats]]:
    """Run answers that were made before and yield the same states; many together."""
    texts = [[*one.prompt, *one.answer[:-1]] for one in answers]
    for one, trace in zip(answers, run_texts(runner, texts, keeps_for(blocks), wanted="none"), strict=True):
        yield {block: trace["resid_post", block][len(one.prompt) - 1 :] for block in blocks}


def signs(runner: Runner, answer: Sequence[int], states: Mapping[int, Floats]) -> Doubles:
    """Return the signs of an answer, in the order of `SIGNS`."""
    rows = [_token_signs(runner, np.asarray(answer[i : i + _ROWS]), {b: x[i : i + _ROWS] for b, x in states.items()})
            for i in range(0, len(answer), _ROWS)]
    entropy, surprise, lead, differs, late, kl = np.concatenate(rows, 1)
    return np.array([entropy.mean(), entropy.max(), surprise.mean(), surprise.max(), 1 - lead.min(), differs.mean(),
                     late.mean(), late.max(), kl.mean(), kl.max()])


def _token_signs(runner: Runner, answer: np.ndarray, states: Mapping[int, Floats]) -> Doubles:
    """Return (6, M): entropy, surprise, lead, share of lenses that differ, how late they settle, KL of the last."""
    *before, last = sorted(states)
    said = log_softmax(runner.readout(states[last]))
    p = np.exp(said)
    two = np.partition(p, -2, axis=1)[:, -2:]
    choice = said.argmax(1)
    differs = np.zeros((len(before), len(answer)), bool)
    kl = np.zeros(len(answer))
    for i, block in enumerate(before):
        lens = log_softmax(runner.readout(states[block]))
        differs[i] = lens.argmax(1) != choice
        if i == len(before) - 1:
            kl = (p * (said - lens)).sum(1)
    n = max(len(before), 1)
    late = np.where(differs.any(0), len(before) - np.argmax(differs[::-1], 0), 0) / n if before else np.zeros(len(p))
    return np.stack([-(p * said).sum(1), -said[np.arange(len(answer)), answer], two[:, 1] - two[:, 0],
                     differs.mean(0) if before else np.zeros(len(p)), late, kl])
