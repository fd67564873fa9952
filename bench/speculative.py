"""Speculative decoding against plain decoding in one run: text that repeats its context, and text that does not.

usage: python bench/speculative.py [MODEL] [--tokens 192] [--context 400] [--reps 5] [--threads 2] [--only WORD]
           [--tokenizer FOLDER] [--draft MODEL --accuracy 0.8]

What the model says is dictated: every pass over its weights is run and timed in full, then the logit of the dictated
token is raised, so that random weights of phi-2's shape serve as well as real ones. So the figures say what a text that
repeats so much gains on this machine; how much a model's own answers repeat is up to the model and the question.
`--draft` guesses with a model, dictated too: right with the chance of `--accuracy`, at that model's real cost.

Texts: edit (a source file again, with names changed and lines moved), extract (lines of it), code (the rest of a file
after its beginning), prose, random tokens, and a trap: 16 tokens at random, where everything was seen before and
nothing follows from it. Each is decoded plainly and with guesses in turn; the figure is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import petitlm
from petitlm.engine.drafters import DraftModel, Lookup
from petitlm.engine.generation import Generation, Speculation, Stream, make_request, prefill
from petitlm.engine.runner import EngineSession
from petitlm.engine.sampling import Sampling
from petitlm.engine.speculation import Costs, MakeDrafter
from petitlm.evals.conditions import OtherWork, machine
from petitlm.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
REPEATS = ("edit", "extract")
RAISED = np.float32(1e9)


class Dictated:
    """A session whose model says `script` from position 0 on, at the full cost of its passes."""

    def __init__(self, session: EngineSession, script: Sequence[int], wrong: float = 0.0) -> None:
        self.session, self.copy, self.reserve = session, session.copy, session.reserve
        rng = random.Random(0)
        self._says = [id if rng.random() >= wrong else (id + 1) % 1000 for id in script]

    def step(self, ids: np.ndarray, positions: np.ndarray, slots: np.ndarray, wanted: np.ndarray | None = None,
             *tap: object) -> np.ndarray:
        logits = self.session.step(ids, positions, slots, wanted)
        for row, position in enumerate(positions if wanted is None else positions[wanted]):
            if position + 1 < len(self._says):
                logits[row, self._says[position + 1]] = RAISED
        return logits


def texts(encode: Tokenizer, context: int, n: int) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield (name, prompt, answer) with at most `context` and exactly `n` tokens."""
    source = (ROOT / "src/petitlm/engine/sampling.py").read_text("utf-8")
    prose = (ROOT / "docs/checkpoint.md").read_text("utf-8") + (ROOT / "docs/record.md").read_text("utf-8")
    renamed = re.sub(r"\bvalue\b", "given", re.sub(r"\bsampling\b", "options", source))
    lines = renamed.split("\n")
    lines.insert(12, lines.pop(6))
    head = encode.encode(source)[:context]
    seen = encode.decode(head)
    chosen = "\n".join(f"- {line.strip()}" for line in seen.split("\n") if re.search(r'def |"""|: ', line))
    whole, words, rng = encode.encode(source), encode.encode(prose), random.Random(1)
    yield "edit", head, encode.encode("\n".join(lines))[:n]
    yield "extract", head, encode.encode(chosen)[:n]
    yield "code", head, whole[context : context + n]
    yield "prose", words[:context], words[context : context + n]
    for name, ids in (("random", range(100, encode.n_ids - 100)), ("trap", range(100, 116))):
        yield name, rng.choices(ids, k=context), rng.choices(ids, k=n)


def answer(session: Dictated, prompt: list[int], n: int, model: petitlm.Model, tokenizer: Tokenizer,
           make: MakeDrafter | None, costs: dict[int, Costs]) -> Generation:
    request = make_request(prompt, model.config.n_ctx, Sampling(), n)
    stream = Stream(session, request, tokenizer, np.zeros(model.config.n_vocab, bool), len(prompt) - 1,
                    speculation=Speculation(make, costs) if make else None)
    for _ in stream:
        pass
    return stream.result


def drafting(draft: petitlm.Model | None, script: list[int], accuracy: float) -> MakeDrafter:
    """Return what guesses: lookup, or a draft model that is dictated, too."""
    if draft is None:
        return lambda _: Lookup()
    session = draft.runner.session(1, len(script))
    prefill(session, script)  # what it held is overwritten; this only keeps the first guess from paying for the prompt

    def open_session(ids: list[int]) -> tuple[Dictated, int]:
        return Dictated(session, script, 1 - accuracy), len(ids) - 1

    return lambda sampler: DraftModel(open_session, lambda *_: None, draft.context, sampler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer to make texts with (the model's)")
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--context", type=int, default=400)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", default="", help="texts whose name has this in it")
    parser.add_argument("--draft")
    parser.add_argument("--accuracy", type=float, default=0.8)
    arguments = parser.parse_args()
    model = petitlm.load(arguments.model, threads=arguments.threads)
    draft = petitlm.load(arguments.draft, threads=arguments.threads) if arguments.draft else None
    encode = Tokenizer.load(arguments.tokenizer) if arguments.tokenizer else model.tokenizer
    facts, other, costs = machine(), OtherWork(), dict[int, Costs]()
    context = min(arguments.context, model.config.n_ctx - arguments.tokens - 1)
    print(f"{model.name}, {model.bits} bits, {model.threads} threads; {facts['processor']}, {facts['measured']}\n"
          f"{arguments.tokens} tokens after {context}, medians of {arguments.reps}, dictated\n\n"
          f"{'text':<8} {'plain':>12} {'with guesses':>12} {'ratio':>6}  tokens a pass  right", flush=True)
    for name, prompt, said in texts(encode, context, arguments.tokens):
        if arguments.only not in name:
            continue
        session = Dictated(model.runner.session(1, len(prompt) + len(said)), [*prompt, *said])
        start = time.perf_counter()
        prefill(session, prompt)
        costs.setdefault(1, Costs()).prompt_token_s = (time.perf_counter() - start) / len(prompt)  # as a stream would
        make = drafting(draft, [*prompt, *said], arguments.accuracy)
        runs: dict[bool, list[Generation]] = {False: [], True: []}
        for rep in range(arguments.reps):
            for guess in (False, True) if rep % 2 else (True, False):
                runs[guess].append(answer(session, prompt, len(said), model, encode, make if guess else None, costs))
                assert list(runs[guess][-1].ids) == said, "what was dictated came out"
        plain, fast = (statistics.median(len(said) / run.decode_s for run in runs[guess]) for guess in (False, True))
        last = runs[True][-1]
        print(f"{name:<8} {plain:>8.1f} t/s {fast:>8.1f} t/s {fast / plain:>6.2f}  {last.tokens_per_step or 0:>13.2f}"
              f"  {last.n_right} of {last.n_guessed}", flush=True)
    ratios = {n: round(costs[1].of(n), 2) for n in (1, 3, 7, 15)} if 1 in costs else {}
    print(f"\na pass with so many tokens more, in plain passes: {ratios}; a guess: {costs[1].guess:.3f}\n"
          f"goals: at least 2 on {' and '.join(REPEATS)}, at least 0.97 everywhere; "
          f"{other.cores() or 0:.2f} cores busy elsewhere")


if __name__ == "__main__":
    main()
