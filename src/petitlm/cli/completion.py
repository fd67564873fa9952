"""`petit completion`: the script that makes a shell complete petit's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

# Where each shell reads its completions from, said in the help.
INSTALL = {
    "bash": "petit completion bash > ~/.local/share/bash-completion/completions/petit",
    "zsh": "petit completion zsh > ~/.zfunc/_petit   (with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc)",
    "fish": "petit completion fish > ~/.config/fish/completions/petit.fish",
}


@click.command(epilog="\b\n" + "\n".join(INSTALL.values()))
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish."""
    maker = get_completion_class(shell)
    assert maker is not None, f"click knows no {shell}"
    click.echo(maker(ctx.find_root().command, {}, "petit", "_PETIT_COMPLETE").source())
