"""CNXML: the pages of OpenStax textbooks, formulas and all."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from petitlm.data.sources.blocks import Rules, text_of, words
from petitlm.data.sources.mathml import linear
from petitlm.data.sources.plain import Page
from petitlm.data.sources.streams import Broken
from petitlm.data.sources.trees import parse_xml

_RULES = Rules(
    block=words(
        "document content section para title note example exercise problem solution commentary equation rule "
        "statement proof definition meaning glossary figure subfigure caption table tgroup thead tbody tfoot list "
        "quote label injected-exercise question stem answers"
    ),
    item=words("item"),
    line=words("row"),
    cell=words("entry"),
    code=words("codeblock preformat"),
    turn=words("newline"),
    aside=words("footnote"),
    skip=words("metadata media image iframe colspec spanspec processing-instructions featured-links"),
    special={
        "math": linear,
        "sup": lambda element: _raised(element, "^"),
        "sub": lambda element: _raised(element, "_"),
    },
)


def cnxml_text(data: bytes) -> Page:
    """The text of a page: title, sections, lists, tables, exercises, formulas on one line; no pictures.

    `meta["formulas"]` counts the formulas. Title, language and licence are those of its metadata.
    Raises: Broken.
    """
    root = parse_xml(data)
    if root.tag != "document":
        raise Broken("not-xml", f"the root is <{root.tag}>, not <document>; name the format if it is another")
    for code in root.iter("code"):
        if code.get("display") == "block":
            code.tag = "codeblock"
    _name_links(root)
    metadata = root.find("metadata")
    licence = metadata.find("license") if metadata is not None else None
    return Page(
        text_of(root, _RULES),
        title=_said(root.find("title")) or _said(metadata.find("title") if metadata is not None else None),
        language=_said(metadata.find("language") if metadata is not None else None) or root.get("lang"),
        licence=(licence.get("url") or _said(licence)) if licence is not None else None,
        meta={"formulas": sum(1 for _ in root.iter("math"))},
    )


def _name_links(root: Element) -> None:
    """A reference without words, which the book numbers when it is set: "(see the figure)" rather than "(see )"."""
    tags = {element.get("id"): element.tag for element in root.iter() if element.get("id")}
    for link in root.iter("link"):
        target = link.get("target-id")
        if target and not "".join(link.itertext()).strip():
            link.text = f"the {tags.get(target, 'figure')}"


def _said(element: Element | None) -> str | None:
    return " ".join("".join(element.itertext()).split()) or None if element is not None else None


def _raised(element: Element, sign: str) -> str:
    text = text_of_line(element)
    return f"{sign}{text}" if text.isalnum() else f"{sign}({text})" if text else ""


def text_of_line(element: Element) -> str:
    """The text of an element within a line."""
    return " ".join("".join(linear(child) if child.tag == "math" else t for child, t in _pieces(element)).split())


def _pieces(element: Element) -> list[tuple[Element, str]]:
    pieces = [(Element("text"), element.text or "")]
    for child in element:
        pieces += [(child, "")] if child.tag == "math" else _pieces(child)
        pieces.append((Element("text"), child.tail or ""))
    return pieces
