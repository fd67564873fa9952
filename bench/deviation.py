"""How far the engine's logits are from those of transformers, on the same weights.

usage: python bench/deviation.py CHECKPOINT [--bits 32,16,8,4] [--tokens 24] [--prompts 3] [--threads 2]

Each side runs in a process of its own, one after the other, so that a machine that holds the model once in float32 is
enough. Prints, for each format, the largest and the root mean square difference, the latter also as a share of the
logits' own spread, the mean Kullback-Leibler divergence, and how often the likeliest token is the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def prompts(n_vocab: int, n_prompts: int, n_tokens: int) -> list[list[int]]:
    """Return the same pseudo-random prompts on both sides; special tokens, at the vocabulary's ends, are left out."""
    rng = np.random.default_rng(0)
    return rng.integers(n_vocab // 16, n_vocab - n_vocab // 16, (n_prompts, n_tokens)).tolist()


def with_transformers(folder: str, n_prompts: int, n_tokens: int, threads: int) -> np.ndarray:
    """Return float32 logits (prompts, T, V)."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor(prompts(model.config.vocab_size, n_prompts, n_tokens))
    with torch.inference_mode():
        return torch.cat([model(input_ids=row[None]).logits for row in ids]).numpy()


def with_petit(folder: str, bits: int, n_prompts: int, n_tokens: int, threads: int) -> np.ndarray:
    """Return float32 logits (prompts, T, V)."""
    import petitlm

    model = petitlm.load(folder, bits=bits, threads=threads)
    return np.stack([model.logits(ids) for ids in prompts(model.config.n_vocab, n_prompts, n_tokens)])


def compare(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Return one line of figures."""
    difference = ours.astype(np.float64) - theirs
    rms, spread = np.sqrt((difference**2).mean()), theirs.std()
    p, q = log_softmax(theirs), log_softmax(ours)
    divergence = (np.exp(p) * (p - q)).sum(-1).mean()
    same = (ours.argmax(-1) == theirs.argmax(-1)).mean()
    return (f"max {np.abs(difference).max():.2e}   rms {rms:.2e} ({rms / spread:.2%} of the spread)   "
            f"KL {divergence:.2e}   same first choice {same:.1%}")


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64) - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--bits", default="32,16,8,4")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.side:
        logits = (with_transformers(a.checkpoint, a.prompts, a.tokens, a.threads) if a.side == "transformers"
                  else with_petit(a.checkpoint, int(a.side), a.prompts, a.tokens, a.threads))
        np.save(a.into, logits)
        return
    with tempfile.TemporaryDirectory() as folder:

        def logits_of(side: str) -> np.ndarray:
            into = Path(folder) / f"{side}.npy"
            subprocess.run([sys.executable, __file__, a.checkpoint, "--side", side, "--into", str(into), "--tokens",
                            str(a.tokens), "--prompts", str(a.prompts), "--threads", str(a.threads)], check=True)
            return np.load(into)

        theirs = logits_of("transformers")
        print(f"{a.checkpoint}: {a.prompts} prompts of {a.tokens} tokens against transformers in float32", flush=True)
        for bits in a.bits.split(","):
            print(f"{bits:>2} bits   {compare(logits_of(bits), theirs)}", flush=True)


if __name__ == "__main__":
    main()
