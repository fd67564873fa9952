"""`petit info`: what a model is and what it needs, from its shape alone."""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from petitlm import sizes
from petitlm.cli.models import own_model
from petitlm.cli.options import json_option
from petitlm.cli.output import print_columns, print_json, si_text
from petitlm.config import ModelConfig
from petitlm.errors import NotFoundError
from petitlm.families import PRESETS, published

FORMATS = {32: "32 bits (fp32)", 16: "16 bits (fp16)", 8: "8 bits", 4: "4 bits"}


@dataclass(frozen=True)
class Subject:
    """The model that the figures are about."""

    name: str
    config: ModelConfig
    path: Path | None = None
    card: str | None = None
    prompt: str | None = None
    n_ids: int | None = None
    """Ids that the tokenizer uses; the embedding may have more rows."""
    packed_bits: int | None = None
    """Bits that a packed folder holds."""


@click.command()
@click.argument("model", required=False)
@click.option("--card", "with_card", is_flag=True, help="Print the whole model card.")
@json_option
def command(model: str | None, with_card: bool, as_json: bool) -> None:
    """Say what MODEL is, and what it needs.

    MODEL is a folder, a .gguf file, or a published shape such as phi-2 or gpt3-175b, whose weights are not needed.
    Without MODEL it is the model that comes with petit. No weights are read, so a model may have any size.
    """
    subject = find(model)
    figures = describe(subject, sizes.available_memory())
    if as_json:
        print_json(figures)
    elif with_card:
        if not subject.card:
            raise NotFoundError(f"{subject.name} has no card")
        click.echo(subject.card)
    else:
        _print(subject, figures)


def find(model: str | None) -> Subject:
    """Return the model that `model` names: a path first, then a published shape.

    Raises: NotFoundError, with the nearest published shape; what `open_checkpoint` raises.
    """
    if model is not None and not Path(model).exists() and model in PRESETS:
        return Subject(model, PRESETS[model])
    if model is not None and not Path(model).exists():
        near = difflib.get_close_matches(model.lower(), PRESETS, 3, 0.5)
        raise NotFoundError(f"{model} is neither a file or folder nor a published shape; "
                            + (f"did you mean {', '.join(near)}?" if near else f"shapes: {', '.join(PRESETS)}"))
    from petitlm.checkpoint import open_checkpoint
    from petitlm.engine.packing import is_packed, open_packed

    path = Path(model) if model is not None else own_model()
    name = path.resolve().name if model is not None else "petit's own model"
    if is_packed(path):
        packed = open_packed(path)
        return Subject(name, packed.config, path, packed.card, packed.prompt, packed.tokenizer.n_ids, packed.bits)
    checkpoint, n_ids = open_checkpoint(path), None
    with contextlib.suppress(NotFoundError):  # sizes can be said without a tokenizer
        n_ids = checkpoint.tokenizer().n_ids
    return Subject(name, checkpoint.config, path, checkpoint.card, checkpoint.prompt, n_ids)


def describe(subject: Subject, available: int) -> dict[str, Any]:
    """Return the figures of a model, and which of its formats fit in `available` bytes of memory."""
    config = subject.config
    per_token = sizes.kv_bytes_per_token(config)
    formats = [_format(config, bits, available) for bits in FORMATS]
    return {"model": subject.name, "path": subject.path, "parameters": sizes.n_params(config), "config": config,
            "prompt": subject.prompt, "packed_bits": subject.packed_bits,
            "tokenizer_ids": subject.n_ids, "kv_bytes_per_token": per_token,
            "flop_per_token": {"at_context_1": sizes.flop_per_token(config, 1),
                               "at_full_context": sizes.flop_per_token(config, config.n_ctx)},
            "available_bytes": available, "formats": formats, "card": subject.card,
            "published": published(subject.name) if subject.path is None else {}}


def _format(config: ModelConfig, bits: int, available: int) -> dict[str, Any]:
    """Return what a model takes in a format, with its cache (fp32 beside 32-bit weights, fp16 elsewhere)."""
    weights, per_token = sizes.weight_bytes(config, bits), sizes.kv_bytes_per_token(config, 4 if bits == 32 else 2)
    whole, fitting = weights + per_token * config.n_ctx, max(0, available - weights) // per_token
    return {"bits": bits, "weight_bytes": weights, "with_full_context_bytes": whole, "fits": whole <= available,
            "context_that_fits": min(config.n_ctx, fitting)}


def _print(subject: Subject, figures: dict[str, Any]) -> None:
    kind = "a published shape, without weights" if subject.path is None else str(subject.path)
    click.echo(f"{subject.name}: {kind}\n")
    print_columns(_facts(subject, figures))
    rows = [(FORMATS[row["bits"]], sizes.size_text(row["weight_bytes"]),
             sizes.size_text(row["with_full_context_bytes"]), _verdict(row)) for row in figures["formats"]]
    click.echo()
    print_columns([("memory", "weights", "and full context", "on this machine"), *rows])
    click.echo(f"\n{sizes.size_text(figures['available_bytes'])} of memory are available here. Figures are computed "
               "from the shape" + ("; those called published have a source (--json)." if figures["published"] else "."))
    if subject.card:
        click.echo(f"\n{_first_paragraph(subject.card)}\n(--card prints the whole card)")


def _facts(subject: Subject, figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of each line above the table of formats."""
    config, flop = subject.config, figures["flop_per_token"]
    heads = f"{config.n_heads} heads of {config.d_head}"
    if config.n_kv_heads != config.n_heads:
        heads += f", {config.n_kv_heads} for keys and values"
    facts = [
        ("parameters", f"{figures['parameters']:,} ({si_text(figures['parameters']).replace('G', 'B')})"),
        ("shape", f"{config.n_layers} layers, {config.d_model} wide, {heads}, MLP of {config.d_mlp}"),
        ("vocabulary", f"{config.n_vocab:,} rows" + (f", {subject.n_ids:,} with text" if subject.n_ids else "")),
        ("context", f"{config.n_ctx:,} tokens"),
        ("KV cache", f"{sizes.size_text(figures['kv_bytes_per_token'])} a token in fp16"),
        ("work", f"{si_text(flop['at_context_1'])}FLOP a token, "
                 f"{si_text(flop['at_full_context'])}FLOP at full context"),
    ]
    if subject.packed_bits:
        facts.append(("packed in", FORMATS[subject.packed_bits]))
    if subject.prompt:
        facts.append(("prompt shape", subject.prompt))
    if tokens := figures["published"].get("training", {}).get("tokens", {}).get("value"):
        facts.append(("trained on", f"{si_text(tokens)} tokens (published)".replace("G", "B")))
    if licence := figures["published"].get("licence", {}).get("value"):
        facts.append(("licence", f"{licence} (published)"))
    return facts


def _verdict(row: dict[str, Any]) -> str:
    if row["fits"]:
        return "fits"
    return f"fits {row['context_that_fits']:,} tokens" if row["context_that_fits"] else "does not fit"


def _first_paragraph(card: str) -> str:
    """Return the first paragraph of a Markdown card that is neither its metadata nor a heading."""
    body = card.split("\n---\n", 1)[-1] if card.startswith("---\n") else card
    return next((part.strip() for part in body.split("\n\n") if part.strip() and not part.lstrip().startswith("#")), "")
