"""Options that several commands share, each said once; `petit chat` sets the same ones with /set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from petitlm.errors import UsageError
from petitlm.rotary import STRETCHES

Command = TypeVar("Command", bound=Callable[..., Any])

SHAPES = ("qa", "chat", "code", "raw")


@dataclass(frozen=True)
class Setting:
    """One thing that decides how an answer is chosen."""

    name: str
    """The field's word for it, as in `Model.generate`."""
    type: click.ParamType
    """What it may be."""
    default: Any
    """What it is when nobody says."""
    help: str
    """One sentence."""

    def parse(self, text: str) -> Any:
        """Return the value that `text` stands for.

        Raises: UsageError, with the value and what it may be.
        """
        try:
            return self.type.convert(text, None, None)
        except click.BadParameter as error:
            raise UsageError(f"{self.name}: {error.message.rstrip('.')}") from None


SAMPLING = {setting.name: setting for setting in (
    Setting("max_tokens", click.IntRange(min=1), None, "Longest answer in tokens (256, or what the context leaves)."),
    Setting("temperature", click.FloatRange(min=0), 0.0, "0 takes the likeliest token, 1 samples as predicted."),
    Setting("top_k", click.IntRange(min=0), 0, "Sample among the k likeliest tokens; 0 for all."),
    Setting("top_p", click.FloatRange(min=0, max=1, min_open=True), 1.0, "Sample among the likeliest that sum to p."),
    Setting("min_p", click.FloatRange(min=0, max=1), 0.0, "Leave out tokens less likely than p times the likeliest."),
    Setting("repetition_penalty", click.FloatRange(min=0, min_open=True), 1.0, "Above 1, repeating is less likely."),
    Setting("seed", click.IntRange(min=0), 0, "The same seed gives the same answer."),
)}


def model_options(command: Command) -> Command:
    """Add --model, --bits and --threads."""
    for option in (
        click.option("--threads", "-t", type=click.IntRange(min=1), metavar="N",
                     help="Threads to compute with (all cores)."),
        click.option("--bits", type=click.Choice(["4", "8", "16", "32"]),
                     callback=lambda _context, _option, value: value and int(value),
                     help="Bits of a weight (4, or what a packed folder holds)."),
        click.option("--model", "-m", type=click.Path(), help="Folder or .gguf file (petit's own model)."),
    ):
        command = option(command)
    return command


def cache_option(command: Command) -> Command:
    """Add --cache."""
    return click.option("--cache", type=click.Choice(["int8", "f16", "f32"]),
                        help="How keys and values are kept: int8 takes half of f16, and reads it sooner (f16; f32 with "
                             "--bits 32).")(command)


def context_options(command: Command) -> Command:
    """Add --context, --rope-scaling and --cache."""
    for option in (
        cache_option,
        click.option("--rope-scaling", type=click.Choice(STRETCHES),
                     help="Stretch the positions that far, untrained (docs/context.md: what it costs)."),
        click.option("--context", type=click.IntRange(min=1), metavar="N",
                     help="Longest prompt and answer together (as trained)."),
    ):
        command = option(command)
    return command


def sampling_options(command: Command) -> Command:
    """Add one option for each sampling setting."""
    for setting in reversed(SAMPLING.values()):
        flag = "--" + setting.name.replace("_", "-")
        metavar = "N" if isinstance(setting.type, click.IntRange) else "X"
        command = click.option(flag, type=setting.type, default=setting.default, help=setting.help, metavar=metavar,
                               show_default=setting.default is not None)(command)
    return command


def speed_options(command: Command) -> Command:
    """Add --speculate, --draft, --prefix-cache and --prefix-cache-gib: they change how fast, never what comes out."""
    for option in (
        click.option("--prefix-cache-gib", type=click.FloatRange(min=0, min_open=True), default=8.0, metavar="X",
                     show_default=True, help="Most GiB that the prefix cache may take."),
        click.option("--prefix-cache", type=click.Path(file_okay=False), metavar="DIR",
                     help="Keep what was computed of prompts in this folder."),
        click.option("--draft", type=click.Path(), metavar="PATH",
                     help="Smaller model with the same vocabulary, to guess with."),
        click.option("--speculate", type=click.Choice(["auto", "lookup", "none"]), default="auto", show_default=True,
                     help="Guess next tokens from what the text said before."),
    ):
        command = option(command)
    return command


def prompt_options(command: Command) -> Command:
    """Add --shape, --system and --stop."""
    for option in (
        click.option("--stop", multiple=True, metavar="TEXT", help="Also stop before this text; may be given again."),
        click.option("--system", metavar="TEXT", help="A first paragraph put before the prompt."),
        click.option("--shape", type=click.Choice(SHAPES), help="How the prompt is laid out (as the model wants it)."),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)
