"""Whatever is planted of a benchmark, in whatever letters, spaces and punctuation, is found; real text hardly ever."""

from __future__ import annotations

import gzip
import json
import string
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `data`; pip install 'petitlm[data]' to run this")

from petitlm.data.repeats.benchmarks import Item, benchmark_files, read_items  # noqa: E402
from petitlm.data.repeats.decontaminate import find  # noqa: E402
from petitlm.data.repeats.index import Index, build_index, run_keys  # noqa: E402


@pytest.fixture(scope="module")
def index(shared: Path) -> Index:
    return build_index([shared / "data" / "benchmarks"])


@pytest.fixture(scope="module")
def items(shared: Path) -> list[Item]:
    return [item for task, path in benchmark_files([shared / "data" / "benchmarks"]) for item in read_items(task, path)]


@pytest.fixture(scope="module")
def filling(shared: Path) -> list[str]:
    with gzip.open(shared / "data" / "text" / "novels_fr.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"][:700] for line in file]


def verbatim(text: str, rng: Random) -> str:
    return text


def in_other_letters(text: str, rng: Random) -> str:
    return rng.choice((str.upper, str.lower, str.swapcase, str.title))(text)


def in_other_spaces(text: str, rng: Random) -> str:
    return "".join(rng.choice((" ", "\n", "\t", "  \u00a0", "\r\n")) if letter.isspace() else letter for letter in text)


def with_other_punctuation(text: str, rng: Random) -> str:
    return text.translate(str.maketrans({sign: rng.choice("!?;—…«»") for sign in string.punctuation}))


def without_punctuation(text: str, rng: Random) -> str:
    return text.translate(str.maketrans("", "", string.punctuation))


def with_shapeless_characters(text: str, rng: Random) -> str:
    return "".join(letter + rng.choice(("\u00ad", "\u200b", "\u200d", "\ufeff", "", "")) for letter in text)


CHANGES = (verbatim, in_other_letters, in_other_spaces, with_other_punctuation, without_punctuation,
           with_shapeless_characters)  # fmt: skip
Change = Callable[[str, Random], str]


def whole(item: Item, rng: Random) -> str:
    """The item as one would write it down: its principal texts, then all others with labels, on lines of their own."""
    parts = [passage.text for passage in item.passages[item.n_principal :]]
    labels = rng.choice((string.ascii_uppercase, string.ascii_lowercase, "-*•" * 9))
    told = [f"{label}. {part}" for label, part in zip(labels * 9, parts, strict=False)]
    return "\n".join([*(passage.text for passage in item.passages[: item.n_principal]), "Options:", *told])


def planted(items: list[Item], filling: list[str], seed: int, changes: tuple[Change, ...]) -> list[tuple[Item, str]]:
    rng = Random(seed)
    return [(item, f"{rng.choice(filling)}\n\n{rng.choice(changes)(whole(item, rng), rng)}\n\n{rng.choice(filling)}")
            for item in items]  # fmt: skip


def missed(index: Index, texts: list[tuple[Item, str]]) -> set[str]:
    found = find(index, pa.array([text for _, text in texts], pa.large_string()))
    return {f"{item.task}/{item.id}" for i, (item, _) in enumerate(texts) if i not in found}


UNKNOWABLE = {"toxigen/2026", "toxigen/3509"}
"""One word, and nothing else in the item."""


def test_an_item_planted_in_other_text_is_caught(index: Index, items: list[Item], filling: list[str]):
    """A third of the items of all 18 benchmarks, each changed in one of six ways."""
    chosen = items[::3]
    assert len(items) > 20_000 and len({item.task for item in chosen}) == 18
    assert set(index.unknowable) == UNKNOWABLE
    assert missed(index, planted(chosen, filling, 1, CHANGES)) <= UNKNOWABLE


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_every_item_is_caught_whatever_the_change(
    index: Index, items: list[Item], filling: list[str], change: Change
):
    for seed in (2, 3):
        assert missed(index, planted(items, filling, seed, (change,))) <= UNKNOWABLE


def test_a_passage_alone_is_caught_if_it_says_enough(index: Index, items: list[Item]):
    """A principal text of 4 words, or of 8 where it is about a context; any other text of 13."""
    texts = [(item, f"He said: {passage.text} And nobody knew.") for item in items[::5] for passage in item.passages
             if run_keys(passage.text)[0] >= passage.alone_words]  # fmt: skip
    assert len(texts) > 5_000
    assert missed(index, texts) == set()


def test_half_of_a_long_passage_is_caught(index: Index, items: list[Item]):
    texts = [(item, passage.text[: len(passage.text) // 2]) for item in items[::7] for passage in item.passages
             if run_keys(passage.text[: len(passage.text) // 2])[0] > 13
             and run_keys(passage.text)[0] >= passage.alone_words]  # fmt: skip
    assert len(texts) > 1_500
    assert missed(index, texts) == set()


def test_real_text_is_hardly_ever_taken_for_a_benchmark(index: Index, shared: Path):
    """Documents of ../shared/data/text that would be rejected: 17 of 15,000, most of them for what both quote."""
    n, hits = 0, 0
    for path in sorted((shared / "data" / "text").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            texts = [text for row in map(json.loads, file) for name in ("text", "en", "fr") if (text := row.get(name))]
        n += len(texts)
        hits += len(find(index, pa.array(texts, pa.large_string())))
    assert n > 15_000 and hits <= 20
