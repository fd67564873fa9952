"""Formulas of MathML on one line: `(-b ± √(b^2 - 4ac))/(2a)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

from petitlm.data.sources.trees import local

_NOTHING = "\u2061\u2062\u2063\u2064\u200b\u200c\u200d\u00ad"  # applied, times, comma and plus that are not seen
_SIGNS = str.maketrans({"−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " "} | dict.fromkeys(_NOTHING, ""))
_SPACED = set("+-±∓×÷·⋅∗*=≠<>≤≥≈≡∼≅∝→←↔⇒⇔↦∈∉⊂⊆∪∩∧∨∘|") | {"->", ":=", "<=", ">=", "=="}
_ACCENTS = {
    "→": "vec", "⇀": "vec", "⃗": "vec", "^": "hat", "ˆ": "hat", "¯": "bar", "‾": "bar", "_": "bar", "―": "bar",
    "˙": "dot", ".": "dot", "¨": "ddot", "~": "tilde", "˜": "tilde", "⏞": "overbrace", "⏟": "underbrace",
}  # fmt: skip
_ATOM = re.compile(r"\d+([.,]\d+)?|[^\W\d_]|[^\w\s]|[a-z]+\([^()]*\)")
_LEAVES = ("mi", "mn", "mo", "mtext")
_SCRIPTED = ("msup", "msub", "msubsup", "mover", "munder", "munderover", "mfrac", "msqrt", "mroot")


def linear(math: Element) -> str:
    """A formula as one line of text.

    Fractions by `/`, powers by `^`, indices by `_`, roots by `√`, with brackets wherever more than one sign is meant.
    A formula that carries its own TeX gives that where it has nothing else.
    """
    return " ".join(_one(math).split())


def _one(element: Element) -> str:
    tag = local(element.tag)
    made = _MAKERS.get(tag)
    if made:
        return made(element)
    if len(element) == 0:
        return (element.text or "").translate(_SIGNS).strip()
    return _row(list(element))


def _row(children: list[Element]) -> str:
    """Parts side by side: operators between spaces, but for a sign that has nothing before it."""
    out = ""
    before: Element | None = None
    for child in children:
        text = _one(child)
        operator = local(child.tag) == "mo"
        if operator and text in _SPACED:
            left = out.rstrip()
            is_sign = text in "+-±∓" and (not left or left[-1] in "([{,;=<>≤≥≈+-±×÷·⋅/|")
            out = out + text if is_sign else f"{left} {text} "
        elif operator and text in (",", ";"):
            out = f"{out.rstrip()}{text} "
        else:
            apart = before is not None and out and text and _glued(out[-1], text[0], before, child)
            out += f" {text}" if apart else text
        before = child if text else before
    return out


def _glued(left: str, right: str, before: Element, after: Element) -> bool:
    """Whether two neighbours would read as one: a word and a letter, an index and what follows, two numbers."""
    if _is_word(before) or _is_word(after) or local(before.tag) in _SCRIPTED:
        return left.isalnum() and right.isalnum()
    return left.isdigit() and right.isdigit()


def _is_word(element: Element) -> bool:
    return local(element.tag) in ("mtext", "mi") and len((element.text or "").strip()) > 1


def _text(element: Element) -> str:
    return " ".join(_one(element).split())


def _group(element: Element, text: str | None = None) -> str:
    """A part, whose text may be known, in brackets unless it is a single thing."""
    text = _text(element) if text is None else text
    leaf = local(element.tag) in _LEAVES and text and " " not in text
    return text if leaf or _ATOM.fullmatch(text) or _bracketed(text) else f"({text})"


def _bracketed(text: str) -> bool:
    """Whether one pair of brackets holds the whole."""
    if not text.startswith("(") or not text.endswith(")"):
        return False
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def _parts(element: Element, n: int) -> list[Element]:
    """The first `n` children, with empty ones where the formula is damaged."""
    return [*list(element)[:n], *(Element("mrow") for _ in range(n - len(element)))]


def _fraction(element: Element) -> str:
    above, below = _parts(element, 2)
    return f"{_group(above)}/{_group(below)}"


def _scripts(element: Element, signs: str) -> str:
    """A base with what stands below and above it; an accent above as a function of its base.

    Each part is made once: twice at every level would double the work with each.
    """
    parts = _parts(element, 1 + len(signs))
    base, *scripts = (_text(part) for part in parts)
    name = _ACCENTS.get(scripts[0]) if local(element.tag) in ("mover", "munder") else None
    if name:
        return f"{name}({base})"
    made = _group(parts[0], base) if base else ""
    for sign, part, script in zip(signs, parts[1:], scripts, strict=True):
        made += sign + _group(part, script) if script else ""
    return made


def _root(element: Element) -> str:
    base, degree = _parts(element, 2)
    return f"root_{_group(degree)}({_one(base).strip()})"


def _square_root(element: Element) -> str:
    inside = " ".join(_row(list(element)).split()) if len(element) else (element.text or "").strip()
    return f"√{inside}" if re.fullmatch(r"\w+", inside) or _bracketed(inside) else f"√({inside})"


def _fenced(element: Element) -> str:
    inside = ", ".join(_one(child).strip() for child in element)
    return f"{element.get('open', '(')}{inside}{element.get('close', ')')}"


def _table(element: Element) -> str:
    rows = (", ".join(" ".join(_one(cell).split()) for cell in row) for row in element)
    return f"[{'; '.join(rows)}]"


def _semantics(element: Element) -> str:
    """The formula itself; where it is empty, its TeX."""
    shown = "".join(_one(child) for child in list(element)[:1])
    tex = (child.text or "" for child in element if "tex" in child.get("encoding", "").lower())
    return shown if shown.strip() else next(tex, "").strip()


_MAKERS: Mapping[str, Callable[[Element], str]] = {
    "mfrac": _fraction,
    "msup": lambda element: _scripts(element, "^"),
    "msub": lambda element: _scripts(element, "_"),
    "msubsup": lambda element: _scripts(element, "_^"),
    "mover": lambda element: _scripts(element, "^"),
    "munder": lambda element: _scripts(element, "_"),
    "munderover": lambda element: _scripts(element, "_^"),
    "msqrt": _square_root,
    "mroot": _root,
    "mfenced": _fenced,
    "mtable": _table,
    "semantics": _semantics,
    "mspace": lambda element: " ",
    "mtext": lambda element: " ".join("".join(element.itertext()).translate(_SIGNS).split()),
    "annotation": lambda element: "",
    "annotation-xml": lambda element: "",
    "mphantom": lambda element: "",
}
