"""`petit data export`: a corpus in the format of another program."""

from __future__ import annotations

from pathlib import Path

import click

from petitlm.cli.output import print_json
from petitlm.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["jsonl", "megatron"]), required=True,
              help="jsonl: texts and all that is known of them. megatron: tokens, as one .bin and .idx.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="PATH",
              help="A file (jsonl; .jsonl.gz is compressed), or what the names of the files begin with (megatron).")
@click.option("--split", "splits", multiple=True, metavar="NAME",
              help="Only documents of this split; may be given several times. For jsonl.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(folder: Path, kind: str, out: Path, splits: tuple[str, ...], as_json: bool) -> None:
    """Write the corpus in FOLDER in another format."""
    from petitlm.data.provenance.corpus import open_corpus

    corpus = open_corpus(folder)
    if kind == "jsonl":
        counts = _jsonl(corpus.tables("documents"), out, splits)
    else:
        if splits:
            raise UsageError("--split goes with --format jsonl; token files hold what training reads")
        from petitlm.data.tokens.exporters import to_megatron
        from petitlm.data.tokens.reader import TokenFiles

        counts = to_megatron(TokenFiles(corpus.folder / "tokens"), out)
    if as_json:
        print_json({"format": kind, "out": str(out), **counts})
    else:
        click.echo(f"{out}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))


def _jsonl(paths: list[Path], out: Path, splits: tuple[str, ...]) -> dict[str, int]:
    from petitlm.data.corpus.schema import SPLITS
    from petitlm.data.tokens.exporters import tables_in, to_jsonl

    if unknown := set(splits) - set(SPLITS):
        raise UsageError(f"--split {sorted(unknown)[0]!r} is none; choose among {', '.join(SPLITS)}")
    return to_jsonl(tables_in(paths), out, splits)
