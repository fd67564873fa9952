"""Readers of HTML, TEI, CNXML, MathML, Markdown and PO: what a reader sees, and nothing else."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from petitlm.data.sources import Bad, Raw, Reading, read
from petitlm.data.sources.mathml import linear
from petitlm.data.sources.streams import Broken
from petitlm.data.sources.trees import parse_html, parse_xml


def one(tmp_path: Path, name: str, data: str) -> Raw:
    (tmp_path / name).write_text(data, "utf-8")
    (made,) = read(tmp_path / name)
    assert isinstance(made, Raw), made
    assert (made.byte_start, made.byte_end) == (0, len(data.encode()))
    return made


HTML = """<!DOCTYPE html><html lang="fr"><head><title>Une &nbsp;page</title><style>p{color:red}</style>
<script>alert("<p>no</p>")</script><link rel="license" href="https://creativecommons.org/licenses/by/4.0/"></head>
<body><nav><a href="/">Menu</a></nav><h1>Le  titre</h1><p>Un<br>deux &amp; <b>trois</b>.
<p>10<sup>6</sup> pas, H<sub>2</sub>O, le 1<sup>er</sup> jour<p hidden>rien</p> suite
<ul><li>un<li>deux<ul><li>dedans</ul></ul>
<table><tr><th>a<th>b<tr><td><p>1</p><td>2</table>
<pre>def f():
    return  1
</pre><math><mfrac><mi>a</mi><mn>2</mn></mfrac></math><form><input value="x">Envoyer</form>
<footer>Pied</footer></body></html>"""


def test_a_page_gives_what_a_reader_came_for(tmp_path: Path) -> None:
    page = one(tmp_path, "a.html", HTML)
    assert page.text == (
        "Le titre\n\nUn\ndeux & trois.\n\n10^6 pas, H_2O, le 1er jour\n\nsuite\n\n- un\n- deux\n  - dedans\n\n"
        "a | b\n1 | 2\n\ndef f():\n    return  1\n\na/2"
    )
    assert (page.title, page.language) == ("Une page", "fr")
    assert page.licence == "https://creativecommons.org/licenses/by/4.0/"


def test_the_main_part_wins_and_nothing_breaks_the_reader(tmp_path: Path) -> None:
    assert one(tmp_path, "a.html", "<div>ad</div><main><p>the matter</main><p>more").text == "the matter"
    assert one(tmp_path, "a.html", "</p></div>loose <b>text<i> & more &bogus; &#0; <").text.startswith("loose text")
    assert one(tmp_path, "a.html", "<div>" * 5000 + "deep" + "</div>" * 5000).text == "deep"
    (tmp_path / "b.html").write_text("<script>var a = 1;</script><style>p {}</style>")
    (only,) = read(tmp_path / "b.html")
    assert isinstance(only, Bad)
    assert only.reason == "empty"


TEI = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="fra"><teiHeader><fileDesc>
<titleStmt><title>Le Titre</title><author>Sand, George</author></titleStmt>
<publicationStmt><availability><licence target="https://creativecommons.org/publicdomain/zero/1.0/">CC0</licence>
</availability></publicationStmt></fileDesc></teiHeader>
<text><front><titlePage><docTitle>LE TITRE</docTitle></titlePage>
<div type="titlepage"><p>Le Titre</p></div></front><body><div type="chapter"><head>I</head>
<pb n="1"/><fw>LE TITRE 1</fw><p>Il <hi>était</hi> une fois<note>Une note <note>avec une autre</note> dedans.</note>
un mot cou<lb break="no"/>
pé, puis<lb/>un autre ; <choice><sic>fote</sic><corr>faute</corr></choice>
<choice><abbr>M.</abbr><expan>Monsieur</expan></choice>.</p>
<lg><l>Un vers,</l><l>deux vers.</l></lg>
<sp><speaker>Elle</speaker><p>Bonjour.</p></sp><list><item>un</item><item>deux</item></list>
<table><row><cell>a</cell><cell>b</cell></row></table></div></body></text></TEI>"""


def test_an_edition_reads_like_the_book(tmp_path: Path) -> None:
    book = one(tmp_path, "a.xml", TEI)
    assert book.text == (
        "I\n\nIl était une fois un mot coupé, puis un autre ; faute M..\n\n[Une note dedans. [avec une autre]]\n\n"
        "Un vers,\ndeux vers.\n\nElle\n\nBonjour.\n\n- un\n- deux\n\na | b"
    )
    assert (book.title, book.language) == ("Le Titre — Sand, George", "fr")
    assert book.licence == "https://creativecommons.org/publicdomain/zero/1.0/"


CNXML = """<document xmlns="http://cnx.rice.edu/cnxml" xmlns:m="http://www.w3.org/1998/Math/MathML"
 xmlns:md="http://cnx.rice.edu/mdml" id="m1"><title>Quadratics</title>
<metadata><md:title>Quadratics</md:title><md:language>en</md:language>
<md:license url="http://creativecommons.org/licenses/by/4.0/">CC BY</md:license></metadata><content>
<section><title>The formula</title><para>The roots are <m:math><m:mrow><m:mi>x</m:mi><m:mo>=</m:mo><m:mfrac><m:mrow>
<m:mo>−</m:mo><m:mi>b</m:mi><m:mo>±</m:mo><m:msqrt><m:mrow><m:msup><m:mi>b</m:mi><m:mn>2</m:mn></m:msup><m:mo>−</m:mo>
<m:mn>4</m:mn><m:mi>a</m:mi><m:mi>c</m:mi></m:mrow></m:msqrt></m:mrow><m:mrow><m:mn>2</m:mn><m:mi>a</m:mi></m:mrow>
</m:mfrac></m:mrow></m:math>, or 10<sup>−3</sup><footnote>Nearly.</footnote>.</para>
<list><item>one</item><item>two</item></list><code display="block">x = 1
  y</code><para>Inline <code>z</code>.</para>
<exercise><problem><para>Solve (<link target-id="f1"/>).</para></problem>
<solution><para>Done.</para></solution></exercise>
<figure id="f1"><media alt="a graph"><image src="x.png"/></media><caption>A graph.</caption></figure></section>
</content></document>"""


def test_a_textbook_page_keeps_its_formulas(tmp_path: Path) -> None:
    page = one(tmp_path, "a.cnxml", CNXML)
    assert page.text == (
        "Quadratics\n\nThe formula\n\nThe roots are x = (-b ± √(b^2 - 4ac))/(2a), or 10^(−3).\n\n[Nearly.]\n\n"
        "- one\n- two\n\nx = 1\n  y\n\nInline z.\n\nSolve (the figure).\n\nDone.\n\nA graph."
    )
    assert (page.title, page.language, page.meta) == ("Quadratics", "en", {"formulas": 1})
    assert page.licence == "http://creativecommons.org/licenses/by/4.0/"


@pytest.mark.parametrize(("formula", "wanted"), [
    ("<mrow><mn>3</mn><mo>×</mo><mo>−</mo><mn>2</mn><mo>=</mo><mo>−</mo><mn>6</mn></mrow>", "3 × -2 = -6"),
    ("<mfrac><mn>1</mn><mn>2</mn></mfrac>", "1/2"),
    ("<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac>", "(a + 1)/b"),
    ("<msup><mrow><mo>(</mo><mi>a</mi><mo>+</mo><mi>b</mi><mo>)</mo></mrow><mn>2</mn></msup>", "(a + b)^2"),
    ("<msubsup><mi>x</mi><mi>i</mi><mrow><mn>2</mn><mi>n</mi></mrow></msubsup>", "x_i^(2n)"),
    ("<msqrt><mn>2</mn></msqrt>", "√2"),
    ("<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>", "√(x + 1)"),
    ("<mroot><mi>x</mi><mn>3</mn></mroot>", "root_3(x)"),
    ("<mover><mi>v</mi><mo>→</mo></mover>", "vec(v)"),
    ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>i</mi>",
     "∑_(i = 1)^n i"),
    ("<mi>sin</mi><mo>\u2061</mo><mi>x</mi>", "sin x"),
    ("<mn>5</mn><mtext>m</mtext>", "5m"),
    ("<msup><mi>x</mi><mn>2</mn></msup><mi>y</mi>", "x^2 y"),
    ("<msub><mi>v</mi><mi>max</mi></msub>", "v_max"),
    ("<msup><mi>x</mi><mrow><mi>a</mi><mi>b</mi></mrow></msup>", "x^(ab)"),
    ("<mfenced open='[' close=']'><mi>a</mi><mi>b</mi></mfenced>", "[a, b]"),
    ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd></mtr></mtable>",
     "[1, 2; 3]"),
    ("<semantics><mrow/><annotation encoding='application/x-tex'>\\frac12</annotation></semantics>", "\\frac12"),
    ("<mfrac><mn>1</mn></mfrac>", "1/()"),
    ("<mi>f</mi><mo>(</mo><mi>x</mi><mo>,</mo><mi>y</mi><mo>)</mo>", "f(x, y)"),
])  # fmt: skip
def test_formulas_on_one_line(formula: str, wanted: str) -> None:
    assert linear(ET.fromstring(f"<math>{formula}</math>")) == wanted


@pytest.mark.parametrize("document", [
    '<!DOCTYPE TEI [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><TEI><text>&b;</text></TEI>',
    '<!DOCTYPE TEI SYSTEM "file:///etc/passwd"><TEI><text>x</text></TEI>',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><TEI><text>&e;</text></TEI>',
    "<TEI><text>&nbsp;</text></TEI>", "<TEI><text>", "<TEI>" + "<p>" * 1000, "<html>not TEI</html>",
    '<?xml version="1.0" encoding="no-such"?><TEI/>', "plain words",
])  # fmt: skip
def test_no_entity_is_expanded_and_nothing_broken_passes(tmp_path: Path, document: str) -> None:
    (tmp_path / "a.tei").write_text(document)
    (only,) = read(tmp_path / "a.tei")
    assert isinstance(only, Bad)
    assert only.reason in ("not-xml", "too-deep")


def test_the_tree_is_the_standard_parsers_without_namespaces() -> None:
    wanted = ET.fromstring(CNXML)
    for element in wanted.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    assert ET.tostring(parse_xml(CNXML.encode())) == ET.tostring(wanted)
    with pytest.raises(Broken):
        parse_xml(b"<a><b></a>")
    assert [child.tag for child in parse_html("<p>a<p>b<ul><li>c<li>d</ul>")] == ["p", "p", "ul"]


MARKDOWN = """---
title: "Le guide"
lang: fr
license: CC BY 4.0
---
# Guide

Voir ![le logo](logo.png) et [la page](p.html). <!-- caché -->[![](b.svg)](ci)

```html
<!-- gardé --> ![aussi](x.png)
```
"""


def test_markdown_keeps_its_marks_and_loses_its_pictures(tmp_path: Path) -> None:
    page = one(tmp_path, "a.md", MARKDOWN)
    assert page.text == (
        "# Guide\n\nVoir le logo et [la page](p.html). \n\n```html\n<!-- gardé --> ![aussi](x.png)\n```"
    )
    assert (page.title, page.language, page.licence) == ("Le guide", "fr", "CC BY 4.0")
    assert one(tmp_path, "b.md", "text\n\n## A heading ##\n").title == "A heading"


PO = '''# Copyright
#, fuzzy
msgid ""
msgstr ""
"Language: fr_CA\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

#: a.rst:1
msgid "Hello, \\"world\\"\\n"
"again"
msgstr ""
"Bonjour, \\"monde\\"\\n"
"encore \\303\\251t\\xc3\\xa9"

msgctxt "menu"
msgid "Open"
msgstr "Ouvrir"
#, fuzzy, python-format
#| msgid "old"
msgid "guess"
msgstr "devinette"

msgid "one file"
msgid_plural "%d files"
msgstr[0] "un fichier"
msgstr[1] "%d fichiers"

msgid "not yet"
msgstr ""

#~ msgid "gone"
#~ msgstr "parti"

msgid broken
msgstr "x"
'''


def test_translations_come_as_pairs_and_each_other_message_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text(PO, "utf-8")
    made = list(read(tmp_path / "a.po", Reading(languages=("en", "de"))))
    pairs = [(item.pair.source, item.pair.target) for item in made if isinstance(item, Raw) and item.pair]
    assert pairs == [
        ('Hello, "world"\nagain', 'Bonjour, "monde"\nencore été'), ("Open", "Ouvrir"), ("one file", "un fichier"),
        ("%d files", "%d fichiers")]  # fmt: skip
    assert [item.reason for item in made if isinstance(item, Bad)] == ["fuzzy", "untranslated", "obsolete", "syntax"]
    assert {item.language for item in made if isinstance(item, Raw)} == {"fr-ca"}
    assert isinstance(made[1], Raw)
    assert made[1].meta == {"context": "menu"}
    data = PO.encode()
    assert data[made[0].byte_start : made[0].byte_end].decode() == PO.split("\n\n")[1]
    assert data[made[1].byte_start : made[1].byte_end].startswith(b'msgctxt "menu"')
    assert data[made[1].byte_start : made[1].byte_end].endswith(b'msgstr "Ouvrir"')


def test_a_message_of_bad_bytes_harms_only_itself(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_bytes(b'msgid "a"\nmsgstr "\xff"\n\nmsgid "b"\nmsgstr "c"\n')
    bad, good = read(tmp_path / "a.po")
    assert isinstance(bad, Bad)
    assert bad.reason == "not-utf8"
    assert isinstance(good, Raw)
    assert good.text == "b\nc"


@pytest.mark.parametrize(("name", "piece"), [
    ("a.html", "<a "), ("a.html", "<!"), ("a.html", "<!["), ("a.html", "<td>"), ("a.html", "<p hidden>"),
    ("a.md", "~~~"), ("a.html", "<div>"), ("a.html", "<ul><li>"), ("a.md", "!["), ("a.md", "<!--"),
    ("a.md", "[ ]("), ("a.md", "# "), ("a.po", 'msgid "'), ("a.txt", " "),
])  # fmt: skip
def test_work_grows_with_the_length_and_not_its_square(tmp_path: Path, name: str, piece: str) -> None:
    (tmp_path / name).write_text("x" + piece * (200_000 // len(piece)) + "x")
    start = time.process_time()
    assert list(read(tmp_path / name))
    assert time.process_time() - start < 5, "a square would take minutes"


@pytest.mark.parametrize("tag", ["msup", "mover", "mfrac", "msqrt", "munderover"])
def test_formulas_within_formulas_are_made_once_each(tag: str) -> None:
    formula = "<mi>a</mi>"
    for _ in range(100):
        formula = f"<{tag}>{formula}<mi>b</mi></{tag}>"
    assert linear(ET.fromstring(f"<math>{formula}</math>")).count("a") == 1
