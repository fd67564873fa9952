"""A group of commands, one file each, that imports the one that is called."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class Verbs(click.Group):
    """The group of `verbs`: (module that holds `command`, what it does). Its help page imports none of them."""

    def __init__(self, *args: Any, verbs: Mapping[str, tuple[str, str]], path: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs, self.path = verbs, path

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module, short_help = self.verbs[cmd_name]
        command: click.Command = importlib.import_module(module).command
        command.short_help = short_help
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.verbs:
            near = difflib.get_close_matches(args[0], self.verbs, 1)
            hint = f"did you mean `{self.path} {near[0]}`?" if near else f"`{self.path} --help` lists the commands"
            raise click.UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in self.verbs.items()])
