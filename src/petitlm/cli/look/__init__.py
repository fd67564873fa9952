"""`petit look`: one file per verb, imported when called."""

from __future__ import annotations

import click

from petitlm.cli.verbs import Verbs

# verb: what it does; the module is petitlm.cli.look.VERB, and `command` in it the command
VERBS = {
    "lens": "What it was about to say, after every block.",
    "patchscope": "What a state says when it is put into another prompt.",
    "dla": "Which parts voted for the answer.",
    "attention": "Where each head looked.",
    "heads": "Heads that copy: previous token, duplicate, induction.",
    "patch": "What matters: values moved from one text into another.",
    "attribute": "The same estimated by gradients, the largest confirmed.",
    "circuit": "The few parts that suffice.",
    "steer": "A direction that changes answers, and what it costs.",
    "probe": "What can be read off a value.",
    "features": "Sparse features: train, look, edit.",
    "drift": "What quantizing or teaching changed inside.",
    "diff": "The same for one text, tap by tap.",
    "risk": "A number that warns when the answer is likely wrong.",
    "identities": "Does what must hold inside any model hold in this one?",
    "replay": "Repeat a finding and say whether it still holds.",
    "selftest": "Find what is known to be there, in models made for it.",
}
_TABLE = {verb: (f"petitlm.cli.look.{verb}", text) for verb, text in VERBS.items()}


@click.group(cls=Verbs, verbs=_TABLE, path="petit look", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look inside: how an answer comes about, on the model as it runs, in 4 bits or any other.

    A TEXT is taken as it is, so give the shape of prompt that the model knows. Every verb prints tables, or --json;
    --html FILE writes a page with drawings, and --save FILE keeps a finding that `petit look replay` repeats.
    """
