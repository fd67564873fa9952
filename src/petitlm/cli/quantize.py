"""`petit quantize`: a checkpoint packed once, to be mapped into memory at every start."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import click

from petitlm.cli.calibration import calibration_sequences
from petitlm.cli.models import open_source
from petitlm.cli.options import json_option
from petitlm.cli.output import note, print_json, progress
from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.engine.rounding import Rounding


@click.command()
@click.argument("source", type=click.Path())
@click.argument("folder", type=click.Path())
@click.option("--bits", type=click.Choice(["4", "8", "16", "32"]), default="4", show_default=True,
              callback=lambda _context, _option, value: int(value),
              help="Bits of a weight: 4 and 8 in blocks with a scale, 16 and 32 as they are.")
@click.option("--rounding", type=click.Choice(["nearest", "importance", "gptq"]),
              help="How 4-bit weights are rounded: each for itself; scales chosen by what is multiplied with them; or "
                   "each making good for the errors of others (gptq, the default for 4 bits).")
@click.option("--calibration", type=click.Path(path_type=Path), metavar="FILE",
              help="Text that the model is run on to round by: some thousand words of what it will read "
                   "(questions and answers that petit makes).")
@click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N", help="Threads to compute with (all cores).")
@json_option
def command(source: str, folder: str, bits: int, rounding: Rounding | None, calibration: Path | None,
            threads: int | None, as_json: bool) -> None:
    """Pack the checkpoint SOURCE (a folder or a .gguf file) into FOLDER, a few bits a weight.

    One block is in memory at a time, so this needs far less memory than the model. FOLDER appears when it is complete.
    """
    from petitlm import sizes
    from petitlm.engine.kernels import available_cores
    from petitlm.engine.packing import quantize

    checkpoint = open_source(source)
    rounding = rounding or ("gptq" if bits == 4 else "nearest")
    if calibration and rounding == "nearest":
        raise UsageError("--calibration is for --rounding importance or gptq; weights rounded to nearest need no text")
    sequences = [] if rounding == "nearest" else calibration_sequences(checkpoint, calibration)
    with progress("packing") as report:
        result = quantize(checkpoint, Path(folder), bits, threads or available_cores(), report, rounding, sequences)
    if as_json:
        print_json({"source": source, "folder": folder, "bits": bits, "rounding": rounding, **result})
        return
    click.echo(f"{folder}: {sizes.size_text(result['bytes'])}, {result['bits_per_weight']:.2f} bits a weight")
    if errors := result["errors"]:
        worst = max(errors, key=errors.get)
        note(f"relative error of a matrix: median {statistics.median(errors.values()):.2%}, "
             f"largest {errors[worst]:.2%} in {worst}")
    note(f"packed in {result['seconds']:.1f} s; run it with: petit run -m {folder} \"...\"")
