"""Suffix arrays and questions to them: against sorting by hand, against reading everything, and against a twin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petitlm.cli import invoke
from petitlm.data.corpus.schema import content_id, documents
from petitlm.data.tokens import reference, search
from petitlm.data.tokens.encoder import Encoder, LibraryEncoder, load_encoder
from petitlm.data.tokens.finder import letters_of
from petitlm.data.tokens.layout import write_index
from petitlm.data.tokens.letters import Letters, find_letters
from petitlm.data.tokens.pack import pack, shard_name
from petitlm.data.tokens.reader import TokenFiles
from petitlm.data.tokens.search import Search, suffix_path, write_suffixes
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.tokenizer import Tokenizer

_text = pytest.importorskip("petitlm._text", reason="needs the compiled kernels; install a C++ compiler")

TOKENS = st.sampled_from([1, 2, 3, 50, 65535]).flatmap(lambda k: st.lists(st.integers(0, k), max_size=60))
KINDS = [(np.uint16, np.int32), (np.uint16, np.int64), (np.int32, np.int32), (np.int32, np.int64)]


def sorted_suffixes(module: object, ids: list[int], kinds: tuple[type, type] = KINDS[0]) -> list[int]:
    places = np.empty(len(ids) + 1, kinds[1])
    module.suffix_array(np.array(ids, kinds[0]), places, max(ids, default=-1) + 1)  # type: ignore[attr-defined]
    assert places[0] == len(ids)
    return places[1:].tolist()


@given(TOKENS, st.sampled_from(KINDS))
def test_suffixes_are_sorted(ids, kinds):
    by_hand = sorted(range(len(ids)), key=lambda i: ids[i:])
    assert sorted_suffixes(_text, ids, kinds) == by_hand
    assert sorted_suffixes(reference, ids, kinds) == by_hand


@pytest.mark.parametrize("ids", [
    [0] * 5000, [0, 1] * 2500, list(range(3000)), list(range(3000))[::-1], [1, 0, 1, 1, 0] * 900,
    np.random.default_rng(1).integers(0, 3, 20_000).tolist(), (np.random.default_rng(2).zipf(1.2, 9000) % 300).tolist(),
], ids=["one", "two", "up", "down", "fibonacci-like", "random", "zipf"])  # fmt: skip
def test_suffixes_of_long_and_repetitive_texts(ids):
    """Two independent ways, and each neighbour pair compared."""
    places = sorted_suffixes(_text, ids)
    assert places == sorted_suffixes(reference, ids)
    assert sorted(places) == list(range(len(ids)))
    for a, b in zip(places[:300], places[1:301], strict=True):
        assert ids[a:] < ids[b:]


@given(TOKENS.filter(bool), st.data(), st.sampled_from(KINDS))
def test_ranges_and_longest_matches_are_those_of_reading_everything(ids, data, kinds):
    tokens, places = np.array(ids, kinds[0]), np.array(sorted_suffixes(_text, ids), kinds[1])
    where = data.draw(st.integers(0, len(ids) - 1))
    asked = data.draw(st.just(ids[where : where + 4]) | st.lists(st.sampled_from([*ids, -1, 1 << 40]), max_size=8))
    query = np.array(asked, np.int64)
    truth = [i for i in range(len(ids)) if ids[i : i + len(asked)] == asked]
    longest = [max(next((n for n, (a, b) in enumerate(zip(ids[i:], asked[j:], strict=False)) if a != b),
                        min(len(ids) - i, len(asked) - j)) for i in range(len(ids))) for j in range(len(asked))]
    for module in (_text, reference):
        low, high = module.suffix_range(tokens, places, query)
        assert sorted(places[low:high].tolist()) == truth
        out = np.zeros(len(asked), np.int64)
        module.suffix_longest(tokens, places, query, out)
        assert out.tolist() == longest


def test_the_kernel_checks_what_it_is_given():
    tokens = np.array([3, 1, 2], np.uint16)
    for places, n_ids, says in [(np.empty(3, np.int32), 4, "one more"), (np.empty(4, np.int32), 3, "out of range")]:
        with pytest.raises(ValueError, match=says):
            _text.suffix_array(tokens, places, n_ids)
    with pytest.raises(ValueError, match="out of range"):
        _text.suffix_array(np.array([-1], np.int32), np.empty(2, np.int32), 4)
    with pytest.raises(ValueError, match="as many"):
        _text.suffix_range(tokens, np.empty(2, np.int32), np.array([1]))
    with pytest.raises(ValueError, match="damaged"):
        _text.suffix_range(tokens, np.array([7, 7, 7], np.int32), np.array([1]))


TEXTS = ["Le petit chat boit du lait, et le chat dort.", "The quick brown fox jumps over the lazy dog.",
         "the quick  brown fox\njumps  over 12 dogs, 12 cats", "A chat is a talk; un chat est un chat.", "chat",
         "x = [1, 2, 3]\n    return x", "Élève modèle, l'été dernier.",
         *[f"Doc {i} has {i % 7} things." for i in range(80)]]


@pytest.fixture(scope="module", params=["petit", "phi-2"])
def home(request: pytest.FixtureRequest, root: Path) -> Path:
    own = root / "src" / "petitlm" / "models" / "default"
    return own if request.param == "petit" else request.getfixturevalue("shared") / "data" / "phi2-tokenizer"


@pytest.fixture(scope="module")
def encoder(home: Path) -> Encoder:
    return load_encoder(home)


@pytest.fixture(scope="module")
def letters(home: Path) -> Letters:
    return letters_of(Tokenizer.load(home))


@pytest.fixture(scope="module")
def files(home: Path, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> TokenFiles:
    folder = tmp_path_factory.mktemp("searched")
    rows = documents([{"doc_id": content_id(text), "text": text} for text in TEXTS])
    pack([rows], home, encoder, folder, seed=4, shard_tokens=300)
    files = TokenFiles(folder)
    assert len(files.shards) >= 2
    assert write_suffixes(files, folder / "index") == len(files.shards)
    return files


@pytest.fixture(scope="module")
def asked(files: TokenFiles) -> Search:
    return Search(files, files.folder / "index")


def everywhere(files: TokenFiles, ids: list[int]) -> list[int]:
    everything = files.tokens(0, files.n_tokens).tolist()
    return [i for i in range(len(everything)) if everything[i : i + len(ids)] == ids]


def test_runs_of_tokens_are_found_in_all_shards(files, asked):
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = int(rng.integers(1, 6))
        at = int(rng.integers(0, files.n_tokens - n))
        if len({files.locate(at).document, files.locate(at + n - 1).document}) == 1:
            ids = files.tokens(at, at + n).tolist()
            found = asked.find(ids)
            assert found.positions.tolist() == everywhere(files, ids)
            assert found.count == asked.count(ids) == len(found.positions)
            assert asked.find(ids, 2).positions.tolist() == found.positions.tolist()[:2]
    assert asked.count([1 << 20]) == 0
    with pytest.raises(UsageError, match="no tokens"):
        asked.find([])


def test_longest_matches_cannot_be_made_longer(files, asked, encoder):
    raw = b"Un chat est un renard. The quick brown fox jumps over 12 dogs, zzqqj!"
    query = encoder.encode(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]))[0].tolist()
    best = [max(n for n in range(len(query) - i + 1) if n == 0 or everywhere(files, query[i : i + n]))
            for i in range(len(query))]
    wanted = [(i, n) for i, n in enumerate(best) if n >= 2 and not any(j + best[j] >= i + n for j in range(i))]
    matches = asked.longest_matches(query, 2, limit=3)
    assert [(match.start, match.length) for match in matches] == wanted
    assert len(wanted) >= 3
    for match in matches:
        truth = everywhere(files, query[match.start : match.start + match.length])
        assert (match.found.count, match.found.positions.tolist()) == (len(truth), truth[:3])
    assert asked.longest_matches([]) == []


def reading_everything(files: TokenFiles, letters: Letters, text: str) -> list[tuple[int, int]]:
    """Token ranges of each place of `text`, by the letters of every document."""
    found, raw = set(), text.encode()
    for number in range(files.n_documents):
        base, _ = files.bounds(number)
        pieces = [letters.tokens[id] for id in files.document(number)]
        owner = [i for i, piece in enumerate(pieces) for _ in piece]  # the token of each byte
        body = b"".join(pieces)
        at = body.find(raw)
        while at >= 0:
            found.add((base + owner[at], base + owner[at + len(raw) - 1] + 1))
            at = body.find(raw, at + 1)
    return sorted(found)


@pytest.mark.parametrize("text", [
    "quick brown fox", "uick brown fo", "boit du lait, et le ch", "petit chat boit ", " over 12 dogs, 12",
    "2, 3]\n    ret", "lève modèle, l'été d", "has 3 things", "fox\njumps  over", "chat est un chat.",
    "not in there at all", "as 5 thing", "e quick brown fox jumps over the lazy dog.",
    "chat", "ch", "a", "un chat", "n c", " ", "  ", "é", "été", "3 th", "things.", "<|endoftext|>", "zz", "g.", "12",
])  # fmt: skip
def test_a_text_is_found_whatever_stands_around_it(files, asked, encoder, letters, text):
    found = asked.find_text(text, encoder, letters)
    assert found == (reading_everything(files, letters, text), True)


def test_any_stretch_of_any_document_is_found(files, asked, encoder, letters):
    rng = np.random.default_rng(3)
    bodies = [b"".join(letters.tokens[id] for id in files.document(i)).decode() for i in range(files.n_documents)]
    for _ in range(20):
        body = bodies[rng.integers(len(bodies))]
        at = int(rng.integers(len(body)))
        text = body[at : at + int(rng.integers(1, 25))]
        truth = reading_everything(files, letters, text)
        assert truth
        assert asked.find_text(text, encoder, letters).ranges == truth
        assert asked.find_text(text, encoder, letters, limit=0) == ([], False)
        first = asked.find_text(text, encoder, letters, limit=len(truth))
        assert first == (truth, True)


def test_frequent_words_and_few_asked_for(files, asked, encoder, letters):
    """The words " has 3" are in eleven documents, and before them stands a 4 in one."""
    for limit in (11, 4, 1):
        found = asked.find_text("4 has 3 thing", encoder, letters, limit)
        assert found == (reading_everything(files, letters, "4 has 3 thing"), True)
        assert len(found.ranges) == 1, "document 24"
    some = asked.find_text(" has 3 ", encoder, letters, 4)
    assert not some.complete
    assert set(some.ranges) < set(reading_everything(files, letters, " has 3 "))
    assert len(some.ranges) == 4
    with pytest.raises(UsageError, match="no text"):
        asked.find_text("", encoder, letters)


@given(st.lists(st.sampled_from([b"a", b"b", b"ab", b"aba", b"bb", b""]), max_size=40), st.sampled_from([
    b"a", b"ab", b"aba", b"abab", b"bbab", b"babba", b"aaaa", b"abababab"]))  # fmt: skip
def test_letters_are_found_however_tokens_cut_them(pieces, raw):
    """A vocabulary in which many cuts give the same letters; an empty token ends a document."""
    vocabulary = [b"", b"a", b"b", b"ab", b"aba", b"bb"]
    tokens = np.array([vocabulary.index(piece) for piece in pieces], np.uint16)
    truth, start = set(), 0
    for end in [*np.flatnonzero(tokens == 0).tolist(), len(tokens)]:
        owner = [i for i in range(start, end) for _ in pieces[i]]
        body = b"".join(pieces[start:end])
        truth |= {(owner[at], owner[at + len(raw) - 1] + 1) for at in range(len(body)) if body.startswith(raw, at)}
        start = end + 1
    found = find_letters(raw, Letters(vocabulary), tokens, lambda id: np.flatnonzero(tokens == id))
    assert set(found) == truth


def test_arrays_are_written_once_and_again_for_other_tokens(files, tmp_path):
    index = files.folder / "index"
    assert write_suffixes(files, index) == 0
    first = suffix_path(index, 0)
    kept = first.read_bytes()
    for raw in (kept[:-4], b"X" + kept[1:], kept[:24] + b"\0" * 32 + kept[56:], b""):
        first.write_bytes(raw)
        assert write_suffixes(files, index) == 1
        assert first.read_bytes() == kept
    with pytest.raises(UsageError, match="other token files"):
        Search(files, index, [b"\0" * 32] * len(files.shards))


@pytest.mark.parametrize(("change", "error", "says"), [
    (lambda raw: raw[:-4], DamagedError, "truncated"), (lambda raw: b"X" + raw[1:], DamagedError, "no suffix array"),
    (lambda raw: raw[:16] + b"\1" + raw[17:], UsageError, "other token files"),
    (lambda raw: raw[:9], DamagedError, "no suffix array"), (None, NotFoundError, "not there"),
])  # fmt: skip
def test_a_damaged_array_is_refused(files, tmp_path, change, error, says):
    for shard in range(len(files.shards)):
        path = suffix_path(tmp_path, shard)
        path.write_bytes(suffix_path(files.folder / "index", shard).read_bytes())
    first = suffix_path(tmp_path, 0)
    first.write_bytes(change(first.read_bytes())) if change else first.unlink()
    with pytest.raises(error, match=says):
        Search(files, tmp_path)


def test_places_that_point_outside_are_damage(files, tmp_path):
    for shard in range(len(files.shards)):
        raw = suffix_path(files.folder / "index", shard).read_bytes()
        suffix_path(tmp_path, shard).write_bytes(raw[:64] + b"\x7f" * (len(raw) - 64))
    with pytest.raises(DamagedError, match="made again"):
        Search(files, tmp_path).find([5, 6])


def test_the_twin_does_it_where_nothing_is_compiled(files, asked, monkeypatch, tmp_path):
    monkeypatch.delattr("petitlm._text", raising=False)
    monkeypatch.setitem(sys.modules, "petitlm._text", None)
    search._kernels.cache_clear()
    try:
        with pytest.warns(UserWarning, match="not compiled"):
            write_suffixes(files, tmp_path)
        for shard in range(len(files.shards)):
            made, compiled = (suffix_path(folder, shard).read_bytes() for folder in (tmp_path, files.folder / "index"))
            assert made == compiled
        ids = files.document(3)[:3].tolist()
        assert Search(files, tmp_path).find(ids).positions.tolist() == everywhere(files, ids)
    finally:
        search._kernels.cache_clear()


def test_ids_of_other_types_are_read_too(tmp_path):
    """Files of another program, with ids of eight bytes."""
    (tmp_path / f"{shard_name(0)}.bin").write_bytes(np.array([5, 6, 5, 6, 7], "<i8").tobytes())
    write_index(tmp_path / f"{shard_name(0)}.idx", np.array([5], np.int32), np.dtype("<i8"))
    files = TokenFiles(tmp_path)
    write_suffixes(files, tmp_path)
    assert Search(files, tmp_path).find([5, 6]).positions.tolist() == [0, 2]


def test_an_empty_shard_holds_nothing(root, tmp_path):
    own = root / "src" / "petitlm" / "models" / "default"
    pack([], own, LibraryEncoder(own), tmp_path)
    files = TokenFiles(tmp_path)
    write_suffixes(files, tmp_path)
    assert Search(files, tmp_path).count([3]) == 0


def test_the_command_finds_a_text_by_its_tokens(root, tmp_path, capsys):
    """The documents that hold it, and the exact tokens; the second time without sorting."""
    from small_corpus import make_corpus

    own = root / "src" / "petitlm" / "models" / "default"
    folder = make_corpus(tmp_path / "corpus", Tokenizer.load(own))
    assert invoke(["data", "trace", str(folder), "--text", "the clocks were", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "sorting suffixes" in err
    found = json.loads(out)
    holding = [row["doc_id"].hex() for path in sorted((folder / "documents").iterdir())
               for row in pq.read_table(path).to_pylist() if "the clocks were" in row["text"]]
    assert holding
    assert sorted(row["doc_id"] for row in found["documents"]) == sorted(holding)
    row = found["documents"][0]
    ids = TokenFiles(folder / "tokens").tokens(row["from"], row["to"]).tolist()
    assert "the clocks were" in Tokenizer.load(own).decode(ids)
    assert len(ids) < 20
    kept = suffix_path(folder / "suffixes", 0).stat().st_mtime_ns
    assert invoke(["data", "trace", str(folder), "--text", "the clocks were", "--json"]) == 0
    assert suffix_path(folder / "suffixes", 0).stat().st_mtime_ns == kept
    assert "sorting" not in capsys.readouterr().err
