"""Our encoder gives the ids of the `tokenizers` library, for the tokenizers it knows; others it refuses by name."""

from __future__ import annotations

import gzip
import importlib.util
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.data.tokens.encoder import LibraryEncoder, load_encoder
from petitlm.data.tokens.native import NativeEncoder, unknown
from petitlm.errors import DamagedError, RefusedError, UsageError

pytest.importorskip("petitlm._text", reason="needs the compiled kernels; install a C++ compiler and petit again")

CORNERS = [
    "", " ", "  ", "a", "'", "''s", "don't we'll I'd they're we've I'm it's 'tis 'S 'LL o'clock", " 's", "1", " 1",
    "12  34", "a1b22c", "½ ² Ⅳ ٣ 一二 1½", "a  b", "a \n b", "\n\n  x", "tail   ", "tail\t", "\t\t\tx", "\u00a0x",
    "a\u00a0 b", "\u3000\u3000日本", "é e\u0301 œ ß ſ ﬁ", "a\x00b\x1f\x85c", "\u200bzero\u200dwidth\ufeff",
    "\U0001f916\U0001f469\u200d\U0001f680", "مرحبا بالعالم", "<|endoftext|>", "a<|endoftext|>b", "<|endoftext",
    "<|<|endoftext|>|>", " " * 40, "x" + " " * 31 + "y" + " " * 33, "\t" * 12, " \t \t\t",
    "if x:\n        return  y\n", "x" * 5000, "ab" * 3000, "=" * 49, "=" * 48, "a" * 16, "a" * 17,
    "\U0010ffff\ue000", "¡Hola! ¿Qué?", "\r\n\r\n a\r\n", "0" * 100, "3.14159, -2e10", "日本語" * 40, "é" * 300,
]  # fmt: skip


def both(folder: Path) -> tuple[NativeEncoder, LibraryEncoder]:
    return NativeEncoder(folder), LibraryEncoder(folder)


@pytest.fixture(scope="module", params=["petit", "phi-2"])
def pair(request: pytest.FixtureRequest, root: Path) -> tuple[NativeEncoder, LibraryEncoder]:
    """petit's own tokenizer, and phi-2's."""
    if request.param == "petit":
        return both(root / "src" / "petitlm" / "models" / "default")
    return both(request.getfixturevalue("shared") / "data" / "phi2-tokenizer")


def flat(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, raw)])
    return np.frombuffer(b"".join(raw), np.uint8), bounds


def check(pair: tuple[NativeEncoder, LibraryEncoder], texts: list[str]) -> None:
    (ids, places), (true_ids, true_places) = (encoder.encode(*flat(texts)) for encoder in pair)
    if np.array_equal(ids, true_ids) and np.array_equal(places, true_places):
        return
    for text in texts if len(texts) > 1 else []:
        check(pair, [text])
    pytest.fail(f"{texts!r:.300}: {ids.tolist()[:50]} and not {true_ids.tolist()[:50]}")


def test_corner_cases(pair):
    check(pair, CORNERS)
    check(pair, [a + b for a in CORNERS[:30] for b in CORNERS[:30]])


def test_real_text(pair, shared):
    texts = []
    for path in sorted((shared / "data" / "text").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            texts += [row["text"] for _, row in zip(range(6), map(json.loads, file), strict=False) if "text" in row]
    assert len(texts) > 60
    check(pair, [text[:20_000] for text in texts])


@given(st.lists(st.text() | st.text("ab '\n\t 1é<|endoftx>\u00a0½") | st.sampled_from(CORNERS), max_size=8))
def test_any_text(pair, texts):
    check(pair, texts)
    check(pair, ["".join(texts)])


def edges(root: Path) -> Iterator[int]:
    """Characters where a class begins or ends, and their neighbours."""
    spec = importlib.util.spec_from_file_location("make_unicode", root / "kernels" / "text" / "make_unicode.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_unicode"] = module
    spec.loader.exec_module(module)
    header = (root / "kernels" / "text" / "unicode.h").read_text()
    for line in header.splitlines():
        for cell in line.split("{0x")[1:]:
            first, last = (int(number, 16) for number in cell.split("}")[0].split(", 0x"))
            yield from (first - 1, first, last, last + 1)


def probes(codes: Iterator[int] | range) -> list[str]:
    """Texts that are cut otherwise for each class of a character."""
    valid = [code for code in codes if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000]
    return [f"a{c} a1{c}1 !{c}! {c}{c} \n{c}\n" for c in map(chr, valid)]


def test_where_classes_of_characters_begin_and_end(pair, root):
    texts = probes(edges(root))
    assert len(texts) > 3000
    check(pair, texts)


@pytest.mark.slow
def test_all_characters(pair):
    for first in range(0, 0x110000, 1 << 14):
        check(pair, probes(range(first, first + (1 << 14))))


def test_where_a_text_is_cut_makes_no_difference_to_the_others(pair):
    together, places = pair[0].encode(*flat(CORNERS))
    alone = [pair[0].encode(*flat([text]))[0].tolist() for text in CORNERS]
    assert [together[a:b].tolist() for a, b in zip(places, places[1:], strict=False)] == alone
    again = pickle.loads(pickle.dumps(pair[0])).encode(*flat(CORNERS))[0]
    assert np.array_equal(again, together)


@pytest.mark.parametrize("raw", [b"\xff", b"ok\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80",
                                 b"a\xe2\x82 b"])
def test_what_is_not_utf8_is_refused(pair, raw):
    data = np.frombuffer(b"fine" + raw, np.uint8)
    with pytest.raises(UsageError, match="text 1 is not valid UTF-8"):
        pair[0].encode(data, np.array([0, 4, len(data)]))


@pytest.mark.parametrize("bounds", [[0, 9], [-1, 2], [3, 1], []])
def test_bounds_outside_the_data_are_refused(pair, bounds):
    with pytest.raises(UsageError, match="bounds"):
        pair[0].encode(np.zeros(4, np.uint8), np.array(bounds, np.int64))


def test_long_words_take_little_time_and_give_the_same(pair):
    word = "ab" * 5 + "c" + "aab" * 7
    check(pair, [word * 2000])


CHANGES = {
    "normalizer": ({"normalizer": {"type": "NFC"}}, "'NFC'"),
    "model": ({"model": {"type": "Unigram"}}, "'Unigram'"),
    "ignore_merges": ({"model": {"ignore_merges": True}}, "ignore_merges"),
    "dropout": ({"model": {"dropout": 0.1}}, "dropout"),
    "split": ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]}}, "'Split'"),
    "digits together": ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]}}, "'Digits'"),
    "space": ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                                 "use_regex": True}}, "a space before"),
    "no expression": ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                                         "use_regex": False}}, "GPT-2's expression"),
    "nothing": ({"pre_tokenizer": None}, "GPT-2's expression"),
    "added": ({"added_tokens": [{"id": 0, "content": "<|endoftext|>", "single_word": False, "lstrip": True,
                                 "rstrip": False, "normalized": False, "special": True}]}, "lstrip"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_tokenizer_that_the_kernel_does_not_know_is_refused_by_name(root, tmp_path, name):
    """And the library does its work, where it can read the file at all."""
    change, says = CHANGES[name]
    own = root / "src" / "petitlm" / "models" / "default"
    table = json.loads((own / "tokenizer.json").read_text())
    assert unknown(table) is None
    for key, value in change.items():
        table[key] = {**table[key], **value} if key == "model" else value
    assert says in (unknown(table) or "")
    if name == "model":
        return
    (tmp_path / "tokenizer.json").write_text(json.dumps(table))
    (tmp_path / "tokenizer_config.json").write_bytes((own / "tokenizer_config.json").read_bytes())
    with pytest.raises(RefusedError, match=says):
        NativeEncoder(tmp_path)
    assert isinstance(load_encoder(tmp_path), LibraryEncoder)


def test_without_the_kernel_the_library_does_it_and_says_so(root, monkeypatch):
    monkeypatch.delattr("petitlm._text", raising=False)
    monkeypatch.setitem(sys.modules, "petitlm._text", None)
    with pytest.warns(UserWarning, match="not compiled"):
        assert isinstance(load_encoder(root / "src" / "petitlm" / "models" / "default"), LibraryEncoder)


def test_a_merge_outside_the_vocabulary_is_damage(root, tmp_path):
    from petitlm.data.tokens.native import _joins

    with pytest.raises(DamagedError, match="vocabulary"):
        _joins({"a": 0, "b": 1}, ["a b"])
    assert _joins({"a": 0, "b": 1, "ab": 2}, [["a", "b"]]).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("normalized", [False, True])
def test_added_tokens_are_found_longest_first_from_the_left(tmp_path, normalized):
    import tokenizers
    from tokenizers import AddedToken, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({letter: id for id, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens(["<end>", "<e"])
    texts = ("nd", "ab", "abc", "bcd", "a", "é", "d>x")
    backend.add_tokens([AddedToken(text, normalized=normalized) for text in texts])
    (tmp_path / "tokenizer.json").write_text(backend.to_str())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    check(both(tmp_path), ["abcd", "abd", "xabcdx", "<end>", "<e nd>", "a<end>xb", "<end>x", "<<end>>", "bcd abab é",
                           "aé<e"])
