"""From records to ids: the tokenizer trained on them, the loss weights, and the scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petitlm.data import (
    HELDOUT_VALUES,
    TRAIN,
    Dataset,
    Mixture,
    Record,
    encode_records,
    exact_match,
    make_records,
    prompt_of,
    text_of,
    train_tokenizer,
    wilson_interval,
)
from petitlm.errors import ShapeError, UsageError
from petitlm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_records(Mixture(n_train=600, n_heldout=120, seed=1))


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tokenizer(map(text_of, dataset.split(TRAIN)), tmp_path_factory.mktemp("tokenizer"), n_vocab=700)


def test_any_text_comes_back(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    for text in ("Où est l'œuf d'Anna ?", " 27 + 15 = 42.", "naïve 漢字 🙂\n\tx", "forward(3); left()"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_digits_stand_alone_and_the_end_token_is_known(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    assert [tokenizer.decode([i]) for i in tokenizer.encode(" 2715")] == [" ", "2", "7", "1", "5"]
    assert tokenizer.eos_id == 0
    assert tokenizer.n_ids == 700


def test_transformers_reads_the_same_tokenizer(folder: Path, dataset: Dataset) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside implementation; `make setup` installs it")
    theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), Tokenizer.load(folder)
    assert theirs.eos_token_id == ours.eos_id
    for record in dataset.records[:20]:
        assert theirs.encode(text_of(record)) == ours.encode(text_of(record))


def test_the_same_texts_give_the_same_files(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    again = train_tokenizer(map(text_of, dataset.split(TRAIN)), tmp_path, n_vocab=700)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("n_vocab", [256, 70_000])
def test_a_vocabulary_out_of_range_is_refused(n_vocab: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(n_vocab)):
        train_tokenizer(["text"], tmp_path, n_vocab)


def test_pieces_tokenize_alone_as_in_the_whole_text(folder: Path, dataset: Dataset) -> None:
    tokenizer = Tokenizer.load(folder)
    encoded = encode_records(dataset.records, tokenizer)
    assert len(encoded) == len(dataset.records)
    for i, record in enumerate(dataset.records[:200]):
        ids, _ = encoded.record(i)
        assert ids.tolist() == [*tokenizer.encode(text_of(record)), tokenizer.eos_id]


def test_weights_mark_answers_and_the_end(folder: Path, dataset: Dataset) -> None:
    tokenizer = Tokenizer.load(folder)
    encoded = encode_records(dataset.records, tokenizer, prompt_weight=0.25)
    assert (encoded.ids.dtype, encoded.weights.dtype) == (np.uint16, np.float32)
    assert encoded.offsets[-1] == len(encoded.ids) == len(encoded.weights)
    assert set(encoded.weights.tolist()) == {0.25, 1.0}
    for i, record in enumerate(dataset.records[:200]):
        ids, weights = encoded.record(i)
        answers = "".join(f" {turn.answer}" for turn in record.turns)
        assert tokenizer.decode(ids[:-1][weights[:-1] == 1.0].tolist()) == answers
        assert (ids[-1], weights[-1]) == (tokenizer.eos_id, 1.0)


def test_no_records_give_empty_arrays(folder: Path) -> None:
    encoded = encode_records([], Tokenizer.load(folder))
    assert len(encoded) == 0
    assert encoded.offsets.tolist() == [0]


def test_a_tokenizer_that_cannot_serve_is_refused(dataset: Dataset) -> None:
    class Endless:
        eos_id = None

        def encode(self, text: str) -> list[int]:
            return [70_000]

    with pytest.raises(UsageError, match="end token"):
        encode_records(dataset.records, Endless())
    Endless.eos_id = 0
    with pytest.raises(UsageError, match="70000"):
        encode_records(dataset.records, Endless())


def _answers(records: list[Record]) -> dict[str, str]:
    return {prompt_of(record): record.answer for record in records}


def test_exact_match_counts_cell_by_cell(dataset: Dataset) -> None:
    records = [*dataset.split(HELDOUT_VALUES), *dataset.split(TRAIN)]
    known = _answers(records)
    french_is_wrong = {prompt_of(r): "?" for r in records if r.language == "fr" and r.split == HELDOUT_VALUES}
    scores = exact_match(records, lambda prompts: [f" {(known | french_is_wrong)[p]} \n" for p in prompts])
    for cell in scores.cells:
        wanted = 0 if cell.language == "fr" and cell.split == HELDOUT_VALUES else cell.n
        assert cell.n_right == wanted
    assert len(scores.misses) == len(french_is_wrong)
    assert sum(cell.n for cell in scores.cells) == len(records)
    table = scores.to_markdown()
    assert "| arithmetic | fr | 0.0 % (" in table
    assert table.count("\n") == 2 + 4 * 2
    assert scores.to_dict()["cells"][0]["interval_95"][0] > 0
    (whole,) = scores.summed("family", "language", "level", "split")
    assert (whole.family, whole.n_right, whole.n) == ("all", len(records) - len(french_is_wrong), len(records))


def test_a_missing_answer_is_an_error(dataset: Dataset) -> None:
    with pytest.raises(ShapeError, match="120 prompts gave 119"):
        exact_match(dataset.split(HELDOUT_VALUES), lambda prompts: prompts[1:])


def test_wilson_interval_against_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for counts, interval in published.items():
        assert wilson_interval(*counts) == pytest.approx(interval, abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
