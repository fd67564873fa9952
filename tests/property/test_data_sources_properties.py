"""Whatever a file holds: each byte of a record has its place, nothing vanishes, and the stages settle at once."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petitlm.data.corpus.schema import documents, put_texts
from petitlm.data.sources import REASONS, Bad, Raw, Reading, read
from petitlm.data.sources.filters import Filter
from petitlm.data.sources.licences import Policy, examine, rights_of, spdx
from petitlm.data.sources.normalise import Normalise
from petitlm.data.sources.passages import passages
from petitlm.data.sources.personal import KINDS, Mask, moved, replaced
from petitlm.data.sources.streams import lines

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = st.sampled_from("\0\n\r\t \u00a0\u00ad\u200b\u200d\u202e\u2028\ufeff\ufffd\u0301éÃ©â€™Â°àＡ中😀\U000e0041-@.0")
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), NASTY), max_size=60)
LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(lambda text: json.dumps({"text": text}).encode(), TEXT),
        st.sampled_from([b"", b"  ", b'{"text": "\\ud800"}', b"\xff", b'{"text": 3}', b"x" * 60]),
    ).filter(lambda line: b"\n" not in line),
    max_size=12,
)


@SAME_FOLDER
@given(LINES, st.booleans())
def test_every_line_is_a_text_a_refusal_or_blank(tmp_path: Path, rows: list[bytes], newline: bool) -> None:
    path = tmp_path / "a.jsonl"
    data = b"\n".join(rows) + b"\n" * newline
    path.write_bytes(data)
    made = list(read(path, Reading(max_document_bytes=50)))
    bom = data.startswith(b"\xef\xbb\xbf")
    kept = [row[3:] if bom and not at else row for at, row in enumerate(rows)]

    def counts(row: bytes) -> bool:
        return len(row) > 50 or bool(row.decode(errors="replace").strip())

    wanted = [row for row in kept if counts(row)]
    if wanted:
        assert [data[one.byte_start : one.byte_end] for one in made] == wanted
    else:
        assert [one.reason for one in made if isinstance(one, Bad)] == ["empty"]
    for one in made:
        assert isinstance(one, Raw) or one.reason in REASONS
        if isinstance(one, Raw):
            assert json.loads(data[one.byte_start : one.byte_end])["text"] == one.text


@SAME_FOLDER
@pytest.mark.parametrize("name", [
    "a.txt", "a.md", "a.html", "a.tei", "a.cnxml", "a.po", "a.parquet", "a.jsonl.gz", "a.jsonl.zst"])
@given(data=st.binary(max_size=200))
def test_no_file_of_any_bytes_breaks_a_reader(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    made = list(read(tmp_path / name))
    assert made
    assert all(isinstance(one, Raw) or one.reason in REASONS for one in made)


MARKS = st.lists(st.sampled_from(
    ["<p>", "</p>", "<ul>", "<li>", "<table>", "<tr>", "<td>", "</table>", "<pre>", "</pre>", "<b", ">", "<!--", "-->",
     "<br/>", "<script>", "</script>", "<math>", "<mfrac>", "</math>", "&amp;", "&#x0;", "a", " b\n", "<div hidden>",
     "</div>", "<![CDATA["]
), max_size=25).map("".join)  # fmt: skip


@SAME_FOLDER
@given(MARKS)
def test_any_mixture_of_marks_is_some_page(tmp_path: Path, marks: str) -> None:
    (tmp_path / "a.html").write_text(marks)
    (only,) = read(tmp_path / "a.html")
    assert isinstance(only, Raw) or only.reason == "empty"


BYTE_LINES = st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9)


@given(BYTE_LINES, st.integers(1, 12), st.integers(1, 7))
def test_lines_do_not_depend_on_the_blocks(rows: list[bytes], most: int, block: int) -> None:
    data = b"\n".join(rows)

    class Blocks:
        def __init__(self) -> None:
            self.left = data

        def read(self) -> bytes:
            piece, self.left = self.left[:block], self.left[block:]
            return piece

    made = list(lines(Blocks(), most))  # type: ignore[arg-type]
    start = 3 if data.startswith(b"\xef\xbb\xbf") and block >= 3 else 0
    wanted = data[start:].split(b"\n")
    wanted = wanted[:-1] if wanted[-1] == b"" else wanted
    assert [data[line.start : line.end] for line in made] == wanted
    assert [line.data for line in made] == [row if len(row) <= most else None for row in wanted]


@given(TEXT, st.integers(1, 30))
def test_passages_lose_white_space_alone(text: str, size: int) -> None:
    parts = list(passages(text, size))
    assert all(0 < len(part) <= size for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(TEXT)
def test_normalising_settles_at_once(text: str) -> None:
    stage = Normalise()
    made = stage.clean(text).text
    assert stage.clean(made).text == made
    assert unicodedata.is_normalized("NFC", made)
    assert "\0" not in made
    assert "\r" not in made
    assert made == made.strip("\n").rstrip()


@given(st.lists(TEXT, max_size=5), st.data())
def test_answers_name_the_same_words_after_normalising(texts: list[str], data: st.DataObject) -> None:
    """Whatever is kept has answers that are what normalising makes of each answer alone."""
    whole = "".join(texts)
    edges = [0]
    for text in texts:
        edges.append(edges[-1] + len(text.encode()))
    answers = [{"start": a, "end": b} for a, b in zip(edges[1::2], edges[2::2], strict=False)]
    sifted = Normalise()(documents([{"text": whole, "answers": answers, "flags": []}]))
    for row in sifted.kept.to_pylist():
        clean = row["text"].encode()
        assert len(row["answers"]) == len(answers)
        last = 0
        for each in row["answers"]:
            assert last <= each["start"] <= each["end"] <= len(clean)
            clean[each["start"] : each["end"]].decode()
            last = each["end"]


PERSONAL = st.sampled_from(["a@b.io", "06 12 34 56 78", "81.2.69.142", "4111 1111 1111 1111", "été "])


@given(st.lists(st.one_of(TEXT, PERSONAL), max_size=8))
def test_marks_replace_what_was_found_and_nothing_else(parts: list[str]) -> None:
    text = " ".join(parts)
    found = Mask().find(text)
    assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
    made = replaced(text, found)
    outside, inside, at = [], [], 0
    for start, end, kind in found:
        outside.append(text[at:start])
        inside.append(KINDS[kind])
        at = end
    assert made == "".join(a + b for a, b in zip(outside, inside, strict=True)) + text[at:]
    whole = {"start": 0, "end": len(text.encode())}
    assert moved(text, found, [whole]) == [{"start": 0, "end": len(made.encode())}]
    for start, end, kind in found:  # each place, as an answer, becomes its mark
        place = {"start": len(text[:start].encode()), "end": len(text[:end].encode())}
        (new,) = moved(text, found, [place])
        assert made.encode()[new["start"] : new["end"]].decode() == KINDS[kind]


@given(st.lists(TEXT, min_size=1, max_size=6), st.integers(0, 6))
def test_stages_look_at_each_row_alone(texts: list[str], cut: int) -> None:
    common = {"origin": "human", "form": "book", "language": "en", "flags": []}
    rows = put_texts(documents([{"text": text, **common} for text in texts]), texts)
    for stage in (Normalise(), Filter(), Mask()):
        whole = stage(rows)
        assert len(whole.kept) + len(whole.rejected) == len(rows)
        parts = [stage(rows.slice(0, cut)), stage(rows.slice(cut))]
        assert [row for part in parts for row in part.kept.to_pylist()] == whole.kept.to_pylist()
        moved_on = [one._replace(row=one.row + cut) for one in parts[1].rejected]
        assert parts[0].rejected + moved_on == whole.rejected


EXPRESSION = st.sampled_from(["MIT", "CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0", "AND", "OR", "(", ")", "or", "x"])


@given(st.lists(EXPRESSION, max_size=9))
def test_an_expression_is_read_or_refused_and_never_grows_freer(words: list[str]) -> None:
    expression = spdx(" ".join(words))
    if expression is None:
        return
    assert spdx(expression) == expression
    rights = rights_of(expression)
    if "CC-BY-NC-4.0" in words and "OR" not in expression:
        assert rights["commercial"] is False
        assert Policy().judge(examine(expression), None, "s").reason == "licence-not-allowed"
