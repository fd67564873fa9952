"""A result as one page: self-contained, without scripts, in light and dark, for the eye, the keyboard and the ear.

`bars`, `heat`, `tokens`, `lines`, `scatter` and `graph` draw what a result's `charts()` returns; behind each drawing
is the table of its numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from petitlm.drawings import bars, document, heat, html_table, lines, safe, scatter, section, tokens, visible
from petitlm.look.graphs import graph
from petitlm.look.results import Check, Evidence, Result
from petitlm.look.text import KINDS

_LONGEST, _LONGEST_CALL = 1500, 4000  # characters of an argument that are shown, of a call
_MOST = 4  # items of a list that are shown

__all__ = ["bars", "document", "graph", "heat", "lines", "page", "scatter", "section", "tokens"]


def page(result: Result) -> str:
    """Return a result as a page: what was asked of which model, how far to trust it, drawings, tables."""
    about, charts, tables = result.about, result.charts(), [html_table(t) for t in result.tables()]
    model = about.model
    facts = " · ".join([str(model.get("name")), f"{model.get('bits')} bits", f"{model.get('layers')} layers",
                        f"weights {str(model.get('digest'))[:12]}", f"petit {about.version}"])
    checks = "".join(_check(check) for check in result.checks)
    behind = f'<div class="flow">{"".join(tables)}</div>'
    parts = [f'<p class="facts">{safe(facts)}</p>', _evidence(result.evidence), _question(about.arguments),
             f'<ul class="checks">{checks}</ul>' if checks else "", f'<div class="flow">{"".join(charts)}</div>',
             section("All numbers", behind) if charts else behind, _again(about.verb, about.arguments, model)]
    return document(f"{about.verb}", *parts)


def _evidence(kind: Evidence) -> str:
    word, _, meaning = KINDS[kind].partition(": ")
    return f'<p class="evidence"><strong>{safe(word)}</strong> {safe(meaning)}</p>'


def _question(arguments: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{safe(name)}</dt><dd>{safe(_shown(value))}</dd>" for name, value in arguments.items()
                   if value is not None and value != [] and value != {})
    return f"<dl>{rows}</dl>" if rows else ""


def _shown(value: Any) -> str:
    if _is_model(value):
        return f"{value['name']} in {value['bits']} bits, {value['layers']} layers, weights {value['digest'][:12]}"
    if isinstance(value, list) and any(isinstance(item, str | list) for item in value):
        more = [f"… ({len(value):,} in all)"] if len(value) > _MOST else []
        value = "\n".join([*(f"– {_in_line(item)}" for item in value[: _MOST - len(more)]), *more])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _in_line(item: Any) -> str:
    """Return an item of a list on one line: a text, or the parts of a pair or prompt."""
    text = item if isinstance(item, str) else " | ".join(map(str, item)) if isinstance(item, list) else str(item)
    return visible(text)


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and {"name", "digest", "bits", "layers"} <= value.keys()


def _check(check: Check) -> str:
    mark = "" if check.bound is None else "<b>✓</b> " if check.ok else '<b class="bad">✗</b> '
    return f"<li>{mark}{safe(check)}</li>"


def _again(verb: str, arguments: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Return the call that gives this result again."""
    given = {name: _load(value) if _is_model(value) else repr(value) for name, value in arguments.items()
             if value is not None}
    spoken = "".join(f",\n    {name}={value}" for name, value in given.items())
    if len(spoken) > _LONGEST_CALL:
        return ""
    code = f"import petitlm\nfrom petitlm import look\n\nlook.{verb}({_load(model)}{spoken})"
    return section("Ask again", f'<div class="scroll" tabindex="0"><pre>{safe(code)}</pre></div>')


def _load(model: Mapping[str, Any]) -> str:
    """Return the call that loads a model again."""
    name = [] if model["name"] == "petit default" else [repr(model["name"])]
    how = "layers='torch'" if model["layers"] == "torch" else f"bits={model['bits']}"
    return f"petitlm.load({', '.join([*name, how])})"
