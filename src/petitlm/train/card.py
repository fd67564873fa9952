"""Model cards: a template in Markdown, kept beside the recipe, filled with what the run measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from string import Template

from petitlm.errors import ConfigError, NotFoundError


def read_template(path: Path, figures: Iterable[str]) -> Template:
    """Return a card's template, checked before hours are spent on what fills it.

    Raises: NotFoundError; ConfigError for a placeholder that no figure fills, or a figure that the card leaves out:
    a card may not keep quiet about what was measured.
    """
    if not path.exists():
        raise NotFoundError(f"no card template at {path}; the recipe's key `card` names a file beside it")
    template = Template(path.read_text(encoding="utf-8"))
    if not template.is_valid():
        raise ConfigError(f"{path} has a lone $; write $$ for a dollar sign")
    asked, given = set(template.get_identifiers()), set(figures)
    if asked != given:
        raise ConfigError(f"{path} asks for {sorted(asked - given)} that no run gives, and leaves out "
                          f"{sorted(given - asked)}; every figure has its place in the card")
    return template
