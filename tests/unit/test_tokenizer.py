"""The tokenizer: phi-2's real one, small ones of the other schemes, and what must never happen in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import transformers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors

from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.tokenizer import Tokenizer, check_rows


@pytest.fixture(scope="module")
def phi(shared: Path) -> Tokenizer:
    return Tokenizer.load(shared / "data/phi2-tokenizer")


@pytest.fixture
def of_bytes() -> Tokenizer:
    """A byte-level vocabulary of the 256 bytes and `ab`, with a special end token and a run of spaces."""
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({c: i for i, c in enumerate([*characters, "ab"])}, [("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|end|>"])
    backend.add_tokens([AddedToken("    ", normalized=False)])
    return Tokenizer(backend, {"eos_token": "<|end|>"})


@pytest.fixture
def of_pieces() -> Tokenizer:
    """Llama 1 and 2 in small: pieces with a mark for spaces, bytes for the rest, a begin token in front."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a", "ab", "▁ab"]
    merges = [("▁", "a"), ("▁a", "b"), ("a", "b")]
    backend = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, unk_token="<unk>",
                                              fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                         decoders.Strip(" ", 1, 0)])
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>")])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", pair=None, special_tokens=[("<s>", 1)])
    return Tokenizer(backend, {"bos_token": {"content": "<s>"}, "eos_token": {"content": "</s>"}})


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoding = tokenizer.stream()
    return [*map(decoding.push, ids), decoding.flush()]


# --- phi-2's own tokenizer ------------------------------------------------------------------------------------------


def test_phi_2s_examples_round_trip(phi: Tokenizer, shared: Path) -> None:
    lines = (shared / "data/phi2-tokenizer/examples.jsonl").read_text().splitlines()
    assert len(lines) == 20
    for line in lines:
        example = json.loads(line)
        assert phi.encode(example["text"]) == example["ids"]
        assert phi.decode(example["ids"]) == example["text"]
        assert "".join(streamed(phi, example["ids"])) == example["text"]


def test_phi_2_adds_no_special_token_and_ends_with_its_own(phi: Tokenizer) -> None:
    assert phi.eos_id == phi.bos_id == 50256
    assert phi.encode("") == []


def test_rows_beyond_phi_2s_ids_have_no_text(phi: Tokenizer) -> None:
    assert phi.n_ids == 50295
    assert np.flatnonzero(phi.without_text(51200)).tolist() == list(range(50295, 51200))
    for id in (50295, 51199, -1):
        with pytest.raises(UsageError, match=f"id {id} is no token; this tokenizer has ids from 0 to 50294"):
            phi.decode([id])


def test_phi_2s_token_bytes_are_what_the_library_decodes(phi: Tokenizer) -> None:
    for id in [*range(0, 50295, 97), 220, 50256, *range(50257, 50295)]:
        by_library = phi.backend.decode([id], skip_special_tokens=False)
        if "\ufffd" not in by_library:  # half a character: only the bytes can say which
            assert phi.token_bytes(id).decode() == by_library


def test_transformers_loads_what_is_saved_and_cuts_text_the_same(phi: Tokenizer, tmp_path: Path) -> None:
    phi.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert theirs.eos_token_id == again.eos_id == 50256
    assert theirs.model_max_length == 2048
    for text in ("Instruct: Où est la forêt ?\nOutput:", "   x\t\ty\n\n", "one<|endoftext|>two", "🙂👩‍👩‍👧‍👦"):
        assert theirs(text)["input_ids"] == again.encode(text) == phi.encode(text)
        assert theirs.decode(phi.encode(text)) == text


# --- streaming ------------------------------------------------------------------------------------------------------


def test_a_stream_gives_whole_characters_only(of_bytes: Tokenizer) -> None:
    ids = of_bytes.encode("é日🙂")
    assert len(ids) == 9
    assert streamed(of_bytes, ids) == ["", "é", "", "", "日", "", "", "", "🙂", ""]


def test_bytes_that_are_no_character_come_out_as_replacements(of_bytes: Tokenizer) -> None:
    lone = of_bytes.encode("é")[0]
    assert "".join(streamed(of_bytes, [lone, *of_bytes.encode("a")])) == "\ufffda"
    assert streamed(of_bytes, [lone]) == ["", "\ufffd"]
    assert of_bytes.decode([lone]) == "\ufffd"


def test_added_tokens_stand_for_their_own_text(of_bytes: Tokenizer) -> None:
    ids = of_bytes.encode("ab    <|end|>x")
    assert [of_bytes.token_bytes(id) for id in ids] == [b"ab", b"    ", b"<|end|>", b"x"]
    assert of_bytes.decode(ids) == "ab    <|end|>x"


def test_pieces_decode_as_the_library_decodes_them(of_pieces: Tokenizer) -> None:
    for text in ("ab a b", " ab", "é日 b", "a"):
        ids = of_pieces.encode(text)
        assert ids[0] == of_pieces.bos_id == 1
        assert of_pieces.decode(ids[1:]) == of_pieces.backend.decode(ids[1:]) == text
    assert of_pieces.encode("ab", add_special=False) == [264]


def test_a_stream_in_the_middle_of_a_text_keeps_the_first_space(of_pieces: Tokenizer) -> None:
    ids = of_pieces.encode("ab é", add_special=False)
    assert "".join(streamed(of_pieces, ids)) == " ab é"
    assert of_pieces.token_bytes(ids[0]) == b" ab"


def test_a_vocabulary_of_words_streams_what_the_library_decodes() -> None:
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "run": 1, "##ning": 2, "fast": 3}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    tokenizer = Tokenizer(backend)
    ids = tokenizer.encode("running fast")
    assert streamed(tokenizer, ids) == ["run", "ning", " fast", ""]
    assert tokenizer.decode(ids) == "running fast"


# --- never in silence, and bad input --------------------------------------------------------------------------------


def test_a_file_that_asks_for_cutting_and_padding_is_not_obeyed(of_bytes: Tokenizer, tmp_path: Path) -> None:
    of_bytes.backend.enable_truncation(3)
    of_bytes.backend.enable_padding(length=10)
    of_bytes.backend.save(str(tmp_path / "tokenizer.json"))
    assert len(Tokenizer.load(tmp_path).encode("abcdef")) == 5


def test_text_that_no_utf8_can_hold_is_refused(of_bytes: Tokenizer) -> None:
    with pytest.raises(UsageError, match=r"the text has '\\ud800' at character 1, half of a UTF-16 pair"):
        of_bytes.encode("a\ud800")


@pytest.mark.parametrize(("config", "special_map", "expected"), [
    ({"eos_token": "<|end|>"}, None, 257),
    ({"eos_token": {"content": "<|end|>"}}, None, 257),
    (None, {"eos_token": "<|end|>"}, 257),
    ({"eos_token": None}, {"eos_token": "<|end|>"}, 257),
    ({"eos_token": "unheard of"}, None, 7),
    (None, None, 7),
])
def test_the_end_token_is_found_where_the_folder_says(config: Any, special_map: Any, expected: int, of_bytes: Tokenizer,
                                                      tmp_path: Path) -> None:
    of_bytes.backend.save(str(tmp_path / "tokenizer.json"))
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", special_map)):
        if value is not None:
            (tmp_path / name).write_text(json.dumps(value))
    assert Tokenizer.load(tmp_path, eos_id=7).eos_id == expected
    assert Tokenizer.load(tmp_path / "tokenizer.json", eos_id=7).eos_id == expected


def test_saving_keeps_the_special_tokens_and_no_remote_code(of_bytes: Tokenizer, tmp_path: Path) -> None:
    tokenizer = Tokenizer(of_bytes.backend, {"eos_token": "<|end|>", "auto_map": {"AutoTokenizer": "evil.Evil"},
                                             "tokenizer_class": "Evil"})
    tokenizer.save(tmp_path)
    written = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert written == {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
                       "eos_token": "<|end|>"}
    assert Tokenizer.load(tmp_path).eos_id == 257


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"tokenizer\.json is not there"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(DamagedError, match="is no tokenizer that can be read"):
        Tokenizer.load(tmp_path)


def test_more_ids_than_rows_are_refused(of_bytes: Tokenizer) -> None:
    check_rows(of_bytes, 259)
    with pytest.raises(DamagedError, match="ids up to 258 and the embedding only 258 rows"):
        check_rows(of_bytes, 258)


def test_holes_in_the_vocabulary_have_no_text() -> None:
    tokenizer = Tokenizer(tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 3}, unk_token="a")))
    assert tokenizer.without_text(6).tolist() == [False, True, True, False, True, True]
    with pytest.raises(UsageError, match="id 1 is no token"):
        tokenizer.token_bytes(1)
