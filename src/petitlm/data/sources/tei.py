"""TEI: novels, plays and poems of scholarly editions, as a reader reads them."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from petitlm.data.sources.blocks import Rules, text_of, words
from petitlm.data.sources.mathml import linear
from petitlm.data.sources.plain import Page
from petitlm.data.sources.streams import Broken
from petitlm.data.sources.trees import parse_xml

_RULES = Rules(
    block=words(
        "TEI text group body front back div div1 div2 div3 div4 div5 div6 div7 p ab head lg sp speaker stage quote "
        "cit epigraph opener closer salute signed dateline trailer byline argument list listBibl bibl table figure "
        "floatingText castList postscript"
    ),
    item=words("item castItem"),
    line=words("l row"),
    cell=words("cell"),
    turn=words("lb"),
    aside=words("note"),
    skip=words(
        "teiHeader titlePage fw pb cb gb milestone gap graphic del facsimile sourceDoc standOff certainty figDesc "
        "index sic orig expan binaryObject"
    ),
    special={"math": linear},
)


def tei_text(data: bytes) -> Page:
    """The text of an edition: corrected and regularised readings, abbreviations as printed, no running heads.

    Notes leave their sentence and follow its paragraph in brackets. Title, author, language and licence are the
    header's. A title page is left out: the header says the same.
    Raises: Broken.
    """
    root = parse_xml(data)
    header = root.find("teiHeader")
    if root.tag not in ("TEI", "TEI.2", "teiCorpus"):
        raise Broken("not-xml", f"the root is <{root.tag}>, not <TEI>; name the format if it is another")
    texts = [text_of(_joined(text), _RULES) for text in root.iter("text")] if root.tag == "teiCorpus" else []
    text = root.find("text")
    if text is not None and not texts:
        texts = [text_of(_joined(text), _RULES)]
    return Page("\n\n".join(texts), _title(header), _language(root, header), _licence(header), _meta(header))


def _joined(text: Element) -> Element:
    """The text made ready: title pages by one name; line breaks by what they are.

    A line break inside a word is none; any other is a space in prose and a new line in verse and speeches."""
    for parent in text.iter():
        if parent.tag == "div" and parent.get("type") == "titlepage":
            parent.tag = "titlePage"
        in_prose = parent.tag in ("p", "ab", "hi", "emph", "q", "said", "quote", "head", "note")
        before: Element | None = None
        for child in parent:
            if child.tag == "lb" and (in_prose or child.get("break") == "no"):
                child.tag = "joint"
                space = "" if child.get("break") == "no" else " "
                child.text = space
                if not space:
                    _trim_before(parent, before)
                    child.tail = (child.tail or "").lstrip()
            before = child
    return text


def _trim_before(parent: Element, before: Element | None) -> None:
    if before is None:
        parent.text = (parent.text or "").rstrip()
    else:
        before.tail = (before.tail or "").rstrip()


def _said(header: Element | None, path: str) -> str | None:
    found = header.find(path) if header is not None else None
    return " ".join("".join(found.itertext()).split()) or None if found is not None else None


def _title(header: Element | None) -> str | None:
    title = _said(header, "fileDesc/titleStmt/title")
    author = _said(header, "fileDesc/titleStmt/author")
    return f"{title} — {author}" if title and author else title


def _meta(header: Element | None) -> dict[str, str]:
    facts = {"author": "fileDesc/titleStmt/author", "source": "fileDesc/sourceDesc"}
    return {name: value for name, path in facts.items() if (value := _said(header, path))}


def _language(root: Element, header: Element | None) -> str | None:
    text = root.find("text")
    declared = root.get("lang") or (text.get("lang") if text is not None else None)
    used = header.find("profileDesc/langUsage/language") if header is not None else None
    return declared or (used.get("ident") if used is not None else None)


def _licence(header: Element | None) -> str | None:
    licence = header.find("fileDesc/publicationStmt/availability/licence") if header is not None else None
    if licence is not None and licence.get("target"):
        return licence.get("target")
    return _said(header, "fileDesc/publicationStmt/availability/licence") or _said(
        header, "fileDesc/publicationStmt/availability"
    )
