"""What the docs promise: links that lead somewhere, a page for each noun and command, every option and name."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from doc_examples import ROOT, documents

from petitlm import look
from petitlm.cli import VERBS, petit
from petitlm.cli.data import command as data_command
from petitlm.cli.look import command as look_command

NOUNS = ("model", "tokenizer", "checkpoint", "engine", "record", "run", "trace", "report")
MAX_README_LINES = 120
SHARED = ("--model", "--bits", "--layers", "--threads", "--json", "--html", "--save")
"""Options that every verb of `petit look` has; docs/look.md describes them once."""


def problems() -> Iterator[str]:
    """Yield one sentence for each thing that is wrong."""
    for file in [*documents(), ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]:
        yield from broken_links(file)
    for noun in NOUNS:
        if not (ROOT / "docs" / f"{noun}.md").is_file():
            yield f"docs/{noun}.md is missing: each noun has a page"
    for verb in VERBS:
        if verb not in ("look", "data"):  # groups: their own verbs have the pages
            yield from undocumented_options(ROOT / "docs" / "commands" / f"{verb}.md", petit, verb)
    for verb in look_command.list_commands(click.Context(look_command)):
        yield from undocumented_options(ROOT / "docs" / "look" / f"{verb}.md", look_command, verb, SHARED)
    yield from unnamed(ROOT / "docs" / "look.md", SHARED)
    for verb in data_command.list_commands(click.Context(data_command)):
        yield from undocumented_options(ROOT / "docs" / "data" / f"{verb}.md", data_command, verb)
    yield from undocumented_names()
    yield from undocumented_verbs()
    yield from twins()


def broken_links(file: Path) -> Iterator[str]:
    """Yield each relative link of `file` that leads nowhere; what other hosts hold is theirs."""
    text = re.sub(r"^```.*?^```$", "", file.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        place = (file.parent / path).resolve() if path else file
        if not place.exists():
            yield f"{file.relative_to(ROOT)}: link to {target}, which is not there"
        elif anchor and anchor not in anchors(place.read_text("utf-8")):
            yield f"{file.relative_to(ROOT)}: link to {target}, whose heading is not there"


def anchors(text: str) -> set[str]:
    """Return the anchors of a Markdown text's headings, as code hosts make them."""
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def undocumented_options(page: Path, group: click.Group, verb: str, elsewhere: Sequence[str] = ()) -> Iterator[str]:
    """Yield each option of a command, and of its own commands, that its page does not name."""
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    yield from unnamed(page, [name for name in dict.fromkeys(names(command)) if name not in elsewhere])


def unnamed(page: Path, wanted: Sequence[str]) -> Iterator[str]:
    """Yield each name that a page does not have."""
    if not page.is_file():
        yield f"{page.relative_to(ROOT)} is missing: each command has a page"
        return
    text = page.read_text("utf-8")
    yield from (f"{page.relative_to(ROOT)} does not name {name}" for name in wanted if name not in text)


def names(command: click.Command) -> Iterator[str]:
    """Yield the options of a command, and its arguments in capitals; a group's are those of its commands."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context := click.Context(command)):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from [name, *names(inner)]
        return
    for parameter in command.params:
        said = parameter.metavar or parameter.name or ""
        yield max(parameter.opts, key=len) if isinstance(parameter, click.Option) else said.strip("[].").upper()


def undocumented_names() -> Iterator[str]:
    """Yield each public name of `petitlm` that no page names."""
    source = ast.parse((ROOT / "src/petitlm/__init__.py").read_text("utf-8"))
    listed = [node.value for node in source.body if isinstance(node, ast.Assign)
              and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)]
    pages = "\n".join(file.read_text("utf-8") for file in documents())
    for name in [str(name) for value in listed for name in ast.literal_eval(value)]:
        if not re.search(rf"\bpetitlm\.{re.escape(name)}\b", pages):
            yield f"petitlm.{name} is public, and no page of the docs names it"


def undocumented_verbs() -> Iterator[str]:
    """Yield each public name of `petitlm.look` that no page names."""
    pages = "\n".join(file.read_text("utf-8") for file in documents())
    for name in [*look.VERBS, *look.OTHERS]:
        if not re.search(rf"\blook\.{re.escape(name)}\b", pages):
            yield f"petitlm.look.{name} is public, and no page of the docs names it"


def twins() -> Iterator[str]:
    """Yield what tells README.md and its French twin apart, and a length beyond what one reads at once."""
    shapes = {}
    for name in ("README.md", "LISEZMOI.md"):
        text = (ROOT / name).read_text("utf-8")
        if (n := len(text.splitlines())) > MAX_README_LINES:
            yield f"{name} has {n} lines, and {MAX_README_LINES} are the most that a newcomer reads"
        shapes[name] = (len(re.findall(r"^#+ ", text, re.M)), text.count("```"))
    if len(set(shapes.values())) > 1:
        yield f"README.md and LISEZMOI.md differ in (headings, fences): {shapes}"


def main() -> int:
    found = list(problems())
    print("\n".join(found) or "docs: every link, command, option and public name is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
