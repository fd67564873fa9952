"""`petit data classify`: a text classifier from labelled records, with all that says how good it is."""

from __future__ import annotations

import time
from pathlib import Path

import click

from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_columns, print_json


@click.command()
@click.argument("labelled", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="File of the model (safetensors).")
@click.option("--text-field", default="text", show_default=True)
@click.option("--label-field", default="label", show_default=True)
@json_option
def command(labelled: Path, out: Path, text_field: str, label_field: str, as_json: bool) -> None:
    """Train a classifier on LABELLED, a JSONL or Parquet file, in seconds.

    A tenth of the texts calibrates it and a fifth measures it; which ones, their hash decides. A recipe uses it by its
    path: [grade] model = "MY.safetensors" (labels education, plain, spam), or [label] with categories as labels.
    """
    from petitlm.data.quality.training import read_labelled, trained

    given = read_labelled(labelled, text_field, label_field)
    start = time.perf_counter()
    model, measured = trained(given, card={"trained_on": labelled.name})
    seconds = time.perf_counter() - start
    model.save(out)
    if as_json:
        print_json({"model": out, "seconds": round(seconds, 2), "refused": dict(given.refused), **measured})
        return
    low, high = measured["interval"]
    click.echo(f"{measured['n_train']:,} texts learnt, {measured['n']:,} held out: accuracy "
               f"{100 * measured['accuracy']:.1f} % ({100 * low:.1f}-{100 * high:.1f}), "
               f"calibration error {100 * measured['ece']:.1f} %")
    print_columns([("label, taken for", *measured["labels"], "recall"),
                   *((label, *(f"{n:,}" for n in row), f"{100 * (recall or 0):.1f} %") for label, row, recall in
                     zip(measured["labels"], measured["confusion"], measured["recall"], strict=True))])
    for reason, n in given.refused.items():
        note(f"{n} records left out: {reason}")
    note(f"{out}, trained in {seconds:.1f} s")
