"""XML and HTML into trees of elements, with nothing expanded, fetched or nested without bound."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from petitlm.data.sources.blocks import words
from petitlm.data.sources.streams import Broken

MAX_DEPTH = 150
"""Of nested elements. Books stay below 40; the walkers recurse, and Python's stack ends near 1,000."""


def local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2]


def parse_xml(data: bytes) -> Element:
    """The tree of an XML document, names without namespaces.

    A document type is refused whole, hence every entity of its own: neither bombs nor outside files are possible.
    Raises: Broken.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Broken("too-deep", f"more than {MAX_DEPTH} elements at byte {parser.CurrentByteIndex}")
        builder.start(local(name), {local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(local(name))

    def doctype(*_: object) -> None:
        raise Broken("not-xml", "declares a document type (<!DOCTYPE ...>); remove the declaration")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: encodings it does not know
        raise Broken("not-xml", str(error)[:200]) from None
    return builder.close()


_VOID = words("area base br col embed hr img input link meta param source track wbr")
# Start tag: the open elements that it ends, looked for up to one of the second set. HTML lets authors leave these end
# tags out.
_ENDS = {
    "li": ({"li"}, {"ul", "ol", "menu"}),
    "dt": ({"dt", "dd"}, {"dl"}),
    "dd": ({"dt", "dd"}, {"dl"}),
    "tr": ({"tr", "td", "th"}, {"table", "tbody", "thead", "tfoot"}),
    "td": ({"td", "th"}, {"tr", "table"}),
    "th": ({"td", "th"}, {"tr", "table"}),
    "option": ({"option"}, {"select"}),
}
_BLOCKS = words(
    "address article aside blockquote div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p "
    "pre section table ul"
)
_ENDS |= {tag: ({"p"}, {"div", "td", "th", "li", "section", "article", "body"}) for tag in _BLOCKS}


_MAX_UNENDED = 10


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.builder = TreeBuilder()
        self.builder.start("html", {})
        self.open: list[str] = []
        self.unended = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        ended, within = _ENDS.get(tag, ((), ()))
        outermost = len(self.open)
        for depth in range(len(self.open) - 1, -1, -1):
            if self.open[depth] in within:
                break
            if self.open[depth] in ended:
                outermost = depth
        self.close_to(outermost)
        if len(self.open) >= MAX_DEPTH:
            return  # deeper marks are ignored, their text is not
        self.builder.start(tag, {key: value or "" for key, value in attrs})
        if tag in _VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        depth = len(self.open)
        self.handle_starttag(tag, attrs)
        if len(self.open) > depth and self.open[-1] == tag:
            self.close_to(len(self.open) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.close_to(len(self.open) - 1 - self.open[::-1].index(tag))

    # The parser looks for the end of each mark up to the end of the page, and tries the next one where there is none:
    # on a page of opened marks its work grows with the square of the length.
    def parse_starttag(self, i: int) -> int:
        return self._count(super().parse_starttag(i))

    def parse_endtag(self, i: int) -> int:
        return self._count(super().parse_endtag(i))

    def parse_comment(self, i: int, report: int = 1) -> int:
        return self._count(super().parse_comment(i, report))  # type: ignore[arg-type]

    def parse_html_declaration(self, i: int) -> int:
        if self.rawdata.startswith("<![", i):  # HTML has no such sections: a comment, as in a browser
            return self._count(self.parse_bogus_comment(i))
        return self._count(super().parse_html_declaration(i))

    def parse_pi(self, i: int) -> int:
        return self._count(super().parse_pi(i))

    def _count(self, end: int) -> int:
        self.unended += end < 0
        if self.unended > _MAX_UNENDED:
            raise Broken("syntax", f"more than {_MAX_UNENDED} marks without an end")
        return end

    def handle_data(self, data: str) -> None:
        self.builder.data(data)

    def close_to(self, depth: int) -> None:
        while len(self.open) > depth:
            self.builder.end(self.open.pop())


def parse_html(text: str) -> Element:
    """The tree of an HTML page, tags in lower case; nearly anything gives some tree, as in a browser.

    Raises: Broken, for a page of marks that never end.
    End tags that HTML lets authors leave out are supplied where paragraphs, lists and tables need them.
    """
    parser = _Html()
    parser.feed(text)
    parser.close()
    parser.close_to(0)
    parser.builder.end("html")
    return parser.builder.close()
