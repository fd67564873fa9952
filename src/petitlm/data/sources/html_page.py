"""HTML pages as text: what a reader came for, without scripts, styles, menus and forms."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from petitlm.data.sources.blocks import Rules, text_of, words
from petitlm.data.sources.mathml import linear
from petitlm.data.sources.plain import Page, decoded
from petitlm.data.sources.trees import parse_html

_RULES = Rules(
    block=words(
        "html body main article section div p h1 h2 h3 h4 h5 h6 ul ol dl dt dd table caption thead tbody tfoot "
        "blockquote figure figcaption details summary address hr hgroup center"
    ),
    item=words("li"),
    line=words("tr"),
    cell=words("td th"),
    code=words("pre listing xmp"),
    turn=words("br"),
    skip=words(
        "head script style noscript template svg canvas nav header footer aside form button select textarea input "
        "iframe object embed audio video map dialog menu"
    ),
    special={
        "math": linear,
        "sup": lambda element: _raised(element, "^"),
        "sub": lambda element: _raised(element, "_"),
    },
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)


def html_text(data: bytes) -> Page:
    """The text of a page; of `<main>` or `<article>` alone where there is exactly one.

    Tables become rows with vertical bars, lists points, formulas one line. Title, language and licence (a link with
    rel="license") as the page declares them.
    Raises: Broken.
    """
    root = parse_html(decoded(data))
    _drop_hidden(root)
    mains = list(root.iter("main")) or list(root.iter("article"))
    title = root.find(".//title")
    page = next(root.iter("html"))
    inner = next((element for element in root.iter("html") if element.get("lang")), page)
    licences = (link.get("href") for link in root.iter() if "license" in link.get("rel", "").split())
    return Page(
        text_of(mains[0] if len(mains) == 1 else root, _RULES),
        title=" ".join("".join(title.itertext()).split()) or None if title is not None else None,
        language=inner.get("lang") or None,
        licence=next((address for address in licences if address), None),
    )


def _drop_hidden(root: Element) -> None:
    """Take out what a style hides; the text after it stays."""
    for parent in list(root.iter()):
        if not any(map(_is_hidden, parent)):
            continue
        kept: list[Element] = []
        texts = [[parent.text or ""]]
        for child in parent:
            if _is_hidden(child):
                texts[-1].append(child.tail or "")
            else:
                kept.append(child)
                texts.append([child.tail or ""])
        parent[:] = kept
        parent.text = "".join(texts[0])
        for child, pieces in zip(kept, texts[1:], strict=True):
            child.tail = "".join(pieces)


def _is_hidden(element: Element) -> bool:
    return "hidden" in element.attrib or bool(_HIDDEN.search(element.get("style", "")))


def _raised(element: Element, sign: str) -> str:
    """Powers and indices: `10<sup>6</sup>` is not 106. Ordinals and note marks stay as they read."""
    text = " ".join("".join(element.itertext()).split())
    if not text or not re.fullmatch(r"[-+−]?[0-9a-z]([0-9a-z+−-])*", text, re.I) or element.find(".//a") is not None:
        return text
    if sign == "^" and text.lower() in ("e", "er", "re", "ère", "ème", "nd", "st", "rd", "th", "o", "os"):
        return text
    return f"{sign}({text})" if re.search(r"\W", text) else f"{sign}{text}"
