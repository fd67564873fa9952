"""The `petit` command: one file per verb, imported when called, and one place that turns errors into a sentence."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from petitlm import __version__
from petitlm.cli.verbs import Verbs
from petitlm.errors import PetitError

# verb: (module that holds `command`, what it does). The help page needs only this table, so it imports no verb.
VERBS = {
    "run": ("petitlm.cli.run", "Answer one prompt."),
    "chat": ("petitlm.cli.chat", "Talk with the model."),
    "info": ("petitlm.cli.info", "Say what a model is, and what it needs."),
    "quantize": ("petitlm.cli.quantize", "Pack a checkpoint into 4 or 8 bits."),
    "convert": ("petitlm.cli.convert", "Write a checkpoint in another layout."),
    "bench": ("petitlm.cli.bench", "Measure speed and memory on this machine."),
    "doctor": ("petitlm.cli.doctor", "Say what this machine can run, and how fast."),
    "look": ("petitlm.cli.look", "Look inside: how an answer comes about."),
    "data": ("petitlm.cli.data", "Make, check, balance and trace training data."),
    "train": ("petitlm.cli.train", "Train a model by a recipe."),
    "completion": ("petitlm.cli.completion", "Print completion for bash, zsh or fish."),
}

WELCOME = {
    "en": """\
petit: one small language model. Run it, teach it, look inside it.

  petit run "What is 12 + 30?"      one answer from the model that came with petit
  petit chat                        a conversation; /help in it says more
  petit info                        what the model is, what it needs, what it cannot do
  petit bench                       how fast it is on this machine

With a model of yours (a Hugging Face folder or a .gguf file):

  petit info phi-2                  sizes of phi-2; no weights needed
  petit quantize phi-2/ phi-2-q4    pack it once into 4 bits
  petit run -m phi-2-q4 "..."       then it starts at once

petit --help lists every command, and petit COMMAND --help its options.""",
    "fr": """\
petit : un petit modèle de langue. Le faire répondre, l'instruire, regarder dedans.

  petit run "Combien font 12 + 30 ?"   une réponse du modèle livré avec petit
  petit chat                           une conversation ; /help y dit le reste
  petit info                           ce qu'est le modèle, ce qu'il demande, ce qu'il ne sait pas
  petit bench                          sa vitesse sur cette machine

Avec un modèle à vous (un dossier Hugging Face ou un fichier .gguf) :

  petit info phi-2                     les tailles de phi-2, sans ses poids
  petit quantize phi-2/ phi-2-q4       le ranger une fois en 4 bits
  petit run -m phi-2-q4 "..."          ensuite il démarre aussitôt

petit --help donne toutes les commandes, et petit COMMANDE --help leurs options.""",
}

# What to install when a verb needs a library that the core leaves out.
EXTRA_OF = {"torch": "train", "pyarrow": "data", "duckdb": "data", "py3langid": "data", "openai": "data",
            "ray": "ray"}


@click.group(cls=Verbs, verbs=VERBS, path="petit", invoke_without_command=True,
             context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="petit %(version)s")
@click.pass_context
def petit(ctx: click.Context) -> None:
    """One small language model: run it, teach it, look inside it.

    A model is named by a folder (Hugging Face layout, or packed by `petit quantize`), by a .gguf file, or by
    nothing at all: petit comes with a small one. Nothing here touches the network.
    """
    if ctx.invoked_subcommand is None:
        click.echo(WELCOME[_language()])


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    warnings.showwarning = _say_warning
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets another in its place, never a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(invoke(args))


def invoke(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code that DESIGN.md gives to each kind of ending."""
    try:
        code: Any = petit.main(args=args, prog_name="petit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except PetitError as error:
        return _fail(str(error), error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_hint = f" (`{context.command_path} --help` lists what can be given)" if context else ""
        return _fail(error.format_message().rstrip(".") + help_hint, error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        return _fail(f"this needs {error.name}, which is not installed; run: pip install 'petitlm[{extra}]'", 3)
    except FileNotFoundError as error:
        return _fail(f"{error.filename} is not there; check the path", 3)
    except MemoryError:
        return _fail("this machine's memory is full; choose fewer bits (--bits 4) or a smaller model", 4)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader has left: `petit run ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush finds no pipe
        return 141
    except OSError as error:  # no space, no permission, a folder where a file should be
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _fail(message: str, code: int) -> int:
    click.echo(f"petit: {message}", err=True)
    return code


def _say_warning(message: Warning | str, *_: object) -> None:
    click.echo(f"petit: {message}", err=True)


def _language() -> str:
    """Return `fr` where the user's locale is French, `en` elsewhere."""
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "fr" if locale.lower().startswith("fr") else "en"
