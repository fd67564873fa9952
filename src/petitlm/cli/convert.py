"""`petit convert`: the same weights in another layout."""

from __future__ import annotations

import time
from pathlib import Path

import click

from petitlm.cli.models import open_source
from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json, progress


@click.command()
@click.argument("source", type=click.Path())
@click.argument("folder", type=click.Path())
@click.option("--to", "layout", type=click.Choice(["hf"]), required=True,
              help="hf: the Hugging Face layout, which transformers and many tools read.")
@click.option("--dtype", type=click.Choice(["float16", "float32", "bfloat16"]), default="float16", show_default=True,
              help="How each weight is stored.")
@json_option
def command(source: str, folder: str, layout: str, dtype: str, as_json: bool) -> None:
    """Write the checkpoint SOURCE (a folder or a .gguf file) to FOLDER in another layout.

    One tensor is in memory at a time. FOLDER appears when it is complete.
    """
    from petitlm.checkpoint import save_hf

    checkpoint, start = open_source(source), time.perf_counter()
    names, done = list(checkpoint.config.tensor_shapes()), 0
    with progress("converting") as report:

        def read(name: str):
            nonlocal done
            done += 1
            report(done, len(names), name)
            return checkpoint.read(name)

        save_hf(Path(folder), checkpoint.config, read, checkpoint.tokenizer(), dtype=dtype, card=checkpoint.card,
                extra={"petit": {"prompt": checkpoint.prompt}})
    seconds = time.perf_counter() - start
    if as_json:
        print_json({"source": source, "folder": folder, "layout": layout, "dtype": dtype, "seconds": seconds})
        return
    click.echo(f"{folder}: {len(names)} tensors in {dtype}")
    note(f"written in {seconds:.1f} s")
