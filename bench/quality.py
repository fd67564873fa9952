"""What 4 bits cost: how far a rounded model's predictions are from its own in float32, on text that it never saw.

usage: python bench/quality.py [CHECKPOINT] [--layers N] [--records 150] [--calibration 400] [--gguf NAME=FILE ...]
                               [--other-text FILE] [--threads 2]

Each row is one way to round. `KL` is the mean Kullback-Leibler divergence of the next token's distribution, in
thousandths of a nat, with its standard error over records; weights are as rounded, all other numbers are float32.
`as it runs` has 8-bit activations and the embedding in 8 bits too. `Q4_0` rounds as llama.cpp does, the same matrices
as petit; a GGUF file (made by `petit convert` and llama-quantize) is taken as it is, with its own mixture of formats.
Bits a weight are those of all matrices, the embedding included, which petit keeps in 8. Text: held-out records of
petit's generators; rounding is calibrated on records of the training split, or on FILE. `--layers` takes the first
blocks of a large model. A packed folder gets a second table, of kinds of cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.checkpoint import open_checkpoint
from petitlm.cli.calibration import calibration_sequences
from petitlm.data import TRAIN, Mixture, make_records, text_of
from petitlm.engine.formats import Packed, formats_for, packed_bytes
from petitlm.engine.kernels import Kernels, make_kernels
from petitlm.engine.packing import is_packed, open_packed
from petitlm.engine.reference import dequantize
from petitlm.engine.rounding import Rounder
from petitlm.engine.runner import EngineRunner, as_ints
from petitlm.engine.sampling import log_softmax
from petitlm.loading import DEFAULT_MODEL

Pack = Callable[[str, np.ndarray], tuple[np.ndarray, Packed | None, float]]
"""Name and float matrix -> the matrix as rounded, its packed form if petit runs it, its bits a weight."""


class Shallow:
    """The first blocks of a checkpoint."""

    def __init__(self, source: Any, n_layers: int) -> None:
        self.source, self.config = source, source.config.with_(n_layers=n_layers)
        self.names = list(self.config.tensor_shapes())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


def as_float32(kernels: Kernels, values: np.ndarray) -> Packed:
    values = np.ascontiguousarray(values, np.float32)
    return Packed("f32", *values.shape, kernels.pack(values, "f32")[0])


def q4_0_of_llama_cpp(_name: str, w: np.ndarray) -> tuple[np.ndarray, None, float]:
    """The value of largest magnitude of 32 becomes -8; rounded with the scale before it goes to fp16."""
    groups = np.pad(w, ((0, 0), (0, -w.shape[1] % 32))).reshape(len(w), -1, 32)
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)
    d = extreme / -8
    inverse = np.divide(1, d, out=np.zeros_like(d), where=d != 0)
    q = np.minimum(np.trunc(groups * inverse + 8.5), 15) - 8
    return (q * d.astype(np.float16).astype(np.float32)).reshape(len(w), -1)[:, : w.shape[1]], None, 4.5


def by_petit(format: Any, pack: Callable[[str, np.ndarray], np.ndarray]) -> Pack:
    def run(name: str, w: np.ndarray) -> tuple[np.ndarray, Packed, float]:
        packed = Packed(format, *w.shape, pack(name, w))
        return dequantize(packed), packed, 8 * packed_bytes(format, *w.shape) / w.size

    return run


def ways(source: Any, kernels: Kernels, own: list[list[int]], other: list[list[int]]) -> Iterator[tuple[str, Pack]]:
    yield "Q4_0, rounded as llama.cpp does", q4_0_of_llama_cpp
    yield "q4_0, scale searched", by_petit("q4_0", lambda _, w: kernels.pack(w, "q4_0")[0])
    yield "q4, nearest", by_petit("q4", lambda _, w: kernels.pack(w, "q4")[0])
    for label, rounding, text in (("q4, importance", "importance", own), ("q4, gptq", "gptq", own),
                                  ("q4, importance from other text", "importance", other),
                                  ("q4, gptq from other text", "gptq", other)):
        if text:
            rounder = Rounder(source, rounding, text, kernels)
            yield label, by_petit("q4", lambda name, w, rounder=rounder: rounder.pack(name, w, "q4")[0])


def logits(source: Any, weights: dict[str, Any], kernels: Kernels, texts: list[list[int]], cache: Any) -> np.ndarray:
    """Return log-probabilities (tokens of all texts, V)."""
    runner, rows = EngineRunner(source.config, weights, kernels, cache), []
    for ids in texts:
        step = runner.session(1, len(ids)).step
        rows.append(step(as_ints(ids), as_ints(range(len(ids))), np.zeros(len(ids), np.int32)))
    return log_softmax(np.concatenate(rows))


def weights_of(source: Any, kernels: Kernels, pack: Pack | None) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return weights in float32 as rounded, weights as they run (empty if petit cannot run them), and two figures."""
    floats: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    lost = total = bits = n = 0.0
    for name in source.names:
        w, format = source.read(name), formats_for(4, name)
        if format is None:
            floats[name] = runs[name] = w
        elif format != "q4" or pack is None:
            floats[name] = as_float32(kernels, w)
            runs[name] = Packed(format, *w.shape, kernels.pack(w, format)[0]) if pack else None
            bits, n = bits + 8 * packed_bytes(format, *w.shape), n + w.size
        else:
            rounded, packed, cost = pack(name, w)
            lost, total = lost + float(((w - rounded) ** 2).sum()), total + float((w**2).sum())
            bits, n = bits + cost * w.size, n + w.size
            floats[name], runs[name] = as_float32(kernels, rounded), packed
        source.release()
    figures = f"{bits / n:.2f} | {(lost / total) ** 0.5:.4f}" if total else ""
    return floats, runs if all(w is not None for w in runs.values()) else {}, figures


def file_bits(source: Any) -> float:
    """Bits a weight of a GGUF file's matrices."""
    sizes = [(source.blocks(name).nbytes, int(np.prod(source.shape(name)))) for name in source.names
             if len(source.shape(name)) == 2 and name != "pos_embed.weight"]
    return 8 * sum(size for size, _ in sizes) / sum(n for _, n in sizes)


def figures(ours: np.ndarray, exact: np.ndarray, texts: list[list[int]]) -> str:
    divergence = (np.exp(exact) * (exact - ours)).sum(-1)
    cuts = np.cumsum([len(ids) for ids in texts])[:-1]
    sums = np.array([part.sum() for part in np.split(divergence, cuts)])
    spread = sums.std() * len(sums) ** 0.5 / len(divergence)
    same = (ours.argmax(-1) == exact.argmax(-1)).mean()
    return f"{1e3 * divergence.mean():.2f} ± {1e3 * spread:.2f} | {same:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--records", type=int, default=150, help="in each of the two held-out splits")
    parser.add_argument("--calibration", type=int, default=400, help="records that rounding is calibrated with")
    parser.add_argument("--gguf", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--other-text", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    kernels, whole = make_kernels(a.threads), open_checkpoint(a.checkpoint)
    source: Any = Shallow(whole, a.layers) if a.layers else whole
    tokenizer = whole.tokenizer()
    records = [r for r in make_records(Mixture(a.calibration, a.records, seed=3)).records if r.split != TRAIN]
    texts = [tokenizer.encode(text_of(record)) for record in records]
    own = calibration_sequences(whole, None, Mixture(a.calibration, 0, seed=1))[: a.calibration]
    other = calibration_sequences(whole, a.other_text) if a.other_text else []
    print(f"{a.checkpoint}{f', {a.layers} blocks' if a.layers else ''}: {len(texts)} held-out records, "
          f"{sum(map(len, texts))} tokens; calibrated on {sum(map(len, own))} tokens (other text: "
          f"{sum(map(len, other))})\n\n| | bits a weight | weight error | KL, 1e-3 | same first choice | KL as it runs "
          "| same first choice |\n|---|---|---|---|---|---|---|", flush=True)
    exact = logits(source, weights_of(source, kernels, None)[0], kernels, texts, "f32")
    for label, pack in ways(source, kernels, own, other):
        floats, runs, costs = weights_of(source, kernels, pack)
        alone = figures(logits(source, floats, kernels, texts, "f32"), exact, texts)
        floats.clear()
        as_run = figures(logits(source, runs, kernels, texts, "f16"), exact, texts) if runs else "– | –"
        print(f"| {label} | {costs} | {alone} | {as_run} |", flush=True)
    for label, _, path in (entry.partition("=") for entry in a.gguf):
        file: Any = open_checkpoint(Path(path))
        file = Shallow(file, a.layers) if a.layers else file
        alone = figures(logits(file, weights_of(file, kernels, None)[0], kernels, texts, "f32"), exact, texts)
        print(f"| {label}, its file | {file_bits(file):.2f} | – | {alone} | – | – |", flush=True)
    if a.layers is None and is_packed(a.checkpoint):
        caches(open_packed(a.checkpoint), kernels, texts)


def caches(packed: Any, kernels: Kernels, texts: list[list[int]]) -> None:
    """Print what keeping keys and values in fewer bits costs, against float32 ones and the same weights."""
    print("\n| keys and values | KL, 1e-3 | same first choice |\n|---|---|---|")
    exact = logits(packed, packed.weights, kernels, texts, "f32")
    for kind in ("f16", "int8"):
        print(f"| {kind} | {figures(logits(packed, packed.weights, kernels, texts, kind), exact, texts)} |", flush=True)


if __name__ == "__main__":
    main()
