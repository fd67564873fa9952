"""`petit look`: one file per verb, imported when called."""

from __future__ import annotations

import difflib
import importlib

import click

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


class LookVerbs(click.Group):
    """The group of verbs: it imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"petitlm.cli.look.{cmd_name}").command
        command.short_help = VERBS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            near = difflib.get_close_matches(args[0], VERBS, 1)
            hint = f"did you mean `petit look {near[0]}`?" if near else "`petit look --help` lists the commands"
            raise click.UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=LookVerbs, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look inside: how an answer comes about, on the model as it runs, in 4 bits or any other.

    A TEXT is taken as it is, so give the shape of prompt that the model knows. Every verb prints tables, or --json;
    --html FILE writes a page with drawings, and --save FILE keeps a finding that `petit look replay` repeats.
    """
