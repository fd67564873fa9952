"""What longer contexts cost: the default model's answers after more and more earlier turns, its positions stretched.

usage: python bench/context.py [--items 100] [--lengths 128,256,512,1024,2048] [--threads 2]

Each item is a question whose numbers, names or places training never held, asked after as many other questions with
their right answers as make the prompt so long. One pass over prompt and right answer gives the loss in nats a token
and whether greedy decoding would give that answer. `none` lets positions run on as they are; the others stretch them
(docs/context.md): by 4, as `context=2048` does with the 512 tokens of its config, and by as much as the length needs
from 128 tokens, about the longest text that its training held.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from random import Random
from typing import cast

import numpy as np

from petitlm.config import ModelConfig, RopeScaling, RopeScalingKind
from petitlm.data.build import Mixture, make_records
from petitlm.data.encoding import encode_records
from petitlm.data.record import Record, Turn
from petitlm.data.rendering import pieces
from petitlm.data.scoring import wilson_interval
from petitlm.engine.kernels import available_cores, make_kernels
from petitlm.engine.packing import PackedModel, open_packed
from petitlm.engine.runner import CHUNK, EngineRunner, as_ints
from petitlm.engine.sampling import log_softmax
from petitlm.evals.conditions import machine
from petitlm.loading import DEFAULT_MODEL
from petitlm.rotary import STRETCHES

FAMILIES = {"arithmetic": 0.4, "commands": 0.4, "passages": 0.2}
READ = 128
"""Tokens of the longest texts that the default model was trained on, about; its config says 512."""


def prompts(packed: PackedModel, records: list[Record], n: int, length: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (prompt, answer) ids of the first `n` records, each after others' turns, up to `length` tokens."""
    def ids_of(turns: list[Turn]) -> list[list[int]]:
        return [packed.tokenizer.encode(piece.text) for piece in pieces(turns, "chat")]

    turns = [Turn(record.turns[-1].question, record.turns[-1].answer) for record in records]
    sizes = [sum(map(len, ids_of([turn]))) for turn in turns]
    for i in range(n):
        chosen, total = [i], sizes[i]
        for other in Random(i).sample(range(len(records)), len(records)):
            if total + sizes[other] > length:
                break
            if other != i and records[other].language == records[i].language:
                chosen, total = [other, *chosen], total + sizes[other]
        *before, answer = ids_of([turns[j] for j in chosen])
        yield [id for part in before for id in part], [*answer, packed.tokenizer.eos_id or 0]


def measure(runner: EngineRunner, items: list[tuple[list[int], list[int]]]) -> tuple[float, int]:
    """Return the mean loss of the answers in nats a token, and how many were right."""
    losses, right = [], 0
    for prompt, answer in items:
        ids = [*prompt, *answer]
        session, rows = runner.session(1, len(ids)), []
        for at in range(0, len(ids) - 1, CHUNK):
            part = ids[at : min(at + CHUNK, len(ids) - 1)]
            wanted = [i for i in range(len(part)) if at + i >= len(prompt) - 1]
            logits = session.step(as_ints(part), as_ints(range(at, at + len(part))), np.zeros(len(part), np.int32),
                                  as_ints(wanted or [len(part) - 1]))
            rows.append(logits if wanted else logits[:0])
        logprobs = log_softmax(np.concatenate(rows))
        losses.append(-logprobs[np.arange(len(answer)), answer].mean())
        right += bool((logprobs.argmax(-1)[:-1] == answer[:-1]).all())  # the end itself is not asked for
    return float(np.mean(losses)), right


def stretched(config: ModelConfig, room: int, kind: str, factor: float, trained: int) -> ModelConfig:
    """Return the config with room for so many tokens; kind `none` lets positions run on."""
    if kind == "none":
        return config.with_(n_ctx=room)
    scaling = RopeScaling(cast("RopeScalingKind", kind), factor, trained)
    return config.with_(n_ctx=max(room, round(factor * trained)), rope_scaling=scaling)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--lengths", default="128,256,512,1024,2048")
    parser.add_argument("--threads", type=int, default=available_cores())
    arguments = parser.parse_args()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    packed, kernels = open_packed(DEFAULT_MODEL), make_kernels(arguments.threads)
    data = make_records(Mixture(2000, arguments.items + 400, families=FAMILIES))
    texts = np.diff(encode_records(data.split("train"), packed.tokenizer).offsets)
    print(f"{machine()['measured']}; the default model in {packed.bits} bits, {arguments.items} questions; loss of the "
          "answer in nats a token, answers right (95 % interval)\n")
    print(f"Its config says {packed.config.n_ctx} tokens. Texts as in its training have up to {texts.max()}, half of "
          f"them at most {int(np.median(texts))}.\n")
    items = [list(prompts(packed, data.split("heldout-values"), arguments.items, length)) for length in lengths]

    def row(label: str, config: Callable[[int], ModelConfig | None]) -> None:
        cells = []
        for length, asked in zip(lengths, items, strict=True):
            if (chosen := config(length)) is None:
                cells.append("")
                continue
            loss, right = measure(EngineRunner(chosen, packed.weights, kernels, cache="f16"), asked)
            low, high = wilson_interval(right, len(asked))
            cells.append(f"{loss:.2f}, {100 * right / len(asked):.0f} % ({100 * low:.0f}..{100 * high:.0f})")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)

    own, room = packed.config, 128  # tokens for the answer
    print(f"| tokens at most | {' | '.join(map(str, lengths))} |\n|---" + "|---" * len(lengths) + "|")
    row("none", lambda length: stretched(own, length + room, "none", 1, own.n_ctx))
    for kind in STRETCHES:
        row(f"{kind}, 4 times 512", lambda length, kind=kind: stretched(own, length + room, kind, 4, own.n_ctx))
    for kind in STRETCHES:
        row(f"{kind}, as far as needed from 128", lambda length, kind=kind:
            stretched(own, length + room, kind, length / READ, READ) if length > READ else None)


if __name__ == "__main__":
    main()
