"""`petit convert`: the same weights in another layout."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from petitlm.cli.models import named_path, open_source
from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json, progress
from petitlm.errors import UsageError
from petitlm.sizes import size_text

_SPELLINGS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_TYPES = {"hf": {"f16": "float16", "f32": "float32", "bf16": "bfloat16"}, "gguf": ("f16", "f32", "q8_0", "q4_0"),
          "onnx": ("f32", "f16")}


@click.command()
@click.argument("source", type=click.Path())
@click.argument("target", type=click.Path())
@click.option("--to", "layout", type=click.Choice(["hf", "gguf", "onnx"]),
              help="hf: the Hugging Face layout, a folder that transformers and many tools read. gguf: one file for "
                   "llama.cpp and its relatives. onnx: a folder for ONNX Runtime. (A target that ends in .gguf says "
                   "it.)")
@click.option("--type", "--dtype", "kind", type=click.Choice(["f32", "f16", "bf16", "q8_0", "q4_0", *_SPELLINGS]),
              help="How each weight is stored. hf: f32, f16, bf16; gguf: f32, f16, q8_0, q4_0; onnx: f32, f16. (f16; "
                   "onnx: f32)")
@click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N", help="Threads to compute with (all cores).")
@json_option
def command(source: str, target: str, layout: str | None, kind: str | None, threads: int | None,
            as_json: bool) -> None:
    """Write the model SOURCE (a folder, a .gguf file, or `default`) to TARGET in another layout.

    One tensor is in memory at a time. TARGET appears when it is complete.
    """
    layout = layout or ("gguf" if target.endswith(".gguf") else None)
    if layout is None:
        raise UsageError(f"{target} does not say which layout it is to have; add --to hf, gguf or onnx")
    kind = _SPELLINGS.get(kind or "", kind)
    if kind is not None and kind not in _TYPES[layout]:
        raise UsageError(f"--type {kind} is no type of the layout {layout}; choose one of {', '.join(_TYPES[layout])}")
    write = {"hf": _to_hf, "gguf": _to_gguf, "onnx": _to_onnx}[layout]
    result = write(source, Path(target), kind, threads)
    if as_json:
        print_json({"source": source, "target": target, "layout": layout, **result})
        return
    click.echo(f"{target}: {result['tensors']} tensors in {result['type']}, {size_text(result['bytes'])}")
    note(f"written in {result['seconds']:.1f} s")


def _to_hf(source: str, target: Path, kind: str | None, threads: int | None) -> dict[str, Any]:
    from petitlm.checkpoint import save_hf

    checkpoint, start, kind = open_source(source), time.perf_counter(), kind or "f16"
    names, done = list(checkpoint.config.tensor_shapes()), 0
    with progress("converting") as report:

        def read(name: str):
            nonlocal done
            done += 1
            report(done, len(names), name)
            checkpoint.release()
            return checkpoint.read(name)

        save_hf(target, checkpoint.config, read, checkpoint.tokenizer(), dtype=_TYPES["hf"][kind],
                card=checkpoint.card, extra={"petit": {"prompt": checkpoint.prompt}})
    return {"type": kind, "tensors": len(names), "bytes": _size(target), "seconds": time.perf_counter() - start}


def _to_gguf(source: str, target: Path, kind: str | None, threads: int | None) -> dict[str, Any]:
    from petitlm.engine.gguf_export import export_gguf
    from petitlm.engine.kernels import available_cores
    from petitlm.engine.packing import is_packed, open_packed

    path = named_path(source)
    if target.is_dir():
        raise UsageError(f"{target} is a folder, and GGUF is one file; give it a name that ends in .gguf")
    packed = is_packed(path) and not (path / "model.safetensors").is_file()
    opened = open_packed(path) if packed else open_source(source)
    with progress("converting") as report:
        result = export_gguf(opened, target, kind, threads or available_cores(), report)
    return {"tensors": len(opened.config.tensor_shapes()), **result}


def _to_onnx(source: str, target: Path, kind: str | None, threads: int | None) -> dict[str, Any]:
    from petitlm.onnx import export_onnx

    checkpoint = open_source(source)
    with progress("converting") as report:
        return export_onnx(checkpoint, target, kind or "f32", report)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
