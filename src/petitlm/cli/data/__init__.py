"""`petit data`: one file per verb, imported when called."""

from __future__ import annotations

import click

from petitlm.cli.verbs import Verbs

# verb: what it does; the module is petitlm.cli.data.VERB, and `command` in it the command
VERBS = {
    "build": "Build a corpus by a recipe.",
    "plan": "Show the grid of a corpus, and its gaps.",
    "balance": "Fill the gaps of a corpus with verified documents.",
    "classify": "Train a text classifier on labelled records.",
    "generate": "Documents written by a teacher, each call on record.",
    "effect": "What balancing did to a model trained on it.",
    "card": "Describe a corpus: card, Croissant, EU summary, attribution.",
    "export": "Write a corpus in the format of another program.",
    "trace": "Where did this come from? Tokens, steps, texts, sources.",
    "report": "One page: grid, sources, stages, classifiers, samples.",
    "verify": "Is a corpus what its manifest says?",
}
_TABLE = {verb: (f"petitlm.cli.data.{verb}", text) for verb, text in VERBS.items()}


@click.group(cls=Verbs, verbs=_TABLE, path="petit data", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Training data: made, checked, balanced, and traced back to where every token came from.

    A corpus is a folder that `petit data build` wrote. Every verb that prints a result takes --json.
    """
