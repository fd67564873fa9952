"""What an item of a benchmark is known by, and what the stage makes of a document that holds it."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `data`; pip install 'petitlm[data]' to run this")

from petitlm.data.corpus.schema import documents, problem_id  # noqa: E402
from petitlm.data.repeats import minhash  # noqa: E402
from petitlm.data.repeats.benchmarks import benchmark_files, item_of, read_items  # noqa: E402
from petitlm.data.repeats.decontaminate import Decontaminate  # noqa: E402
from petitlm.data.repeats.index import Index, build_index, forms  # noqa: E402
from petitlm.data.repeats.structure import code_keys, equations, maths_keys  # noqa: E402
from petitlm.errors import ConfigError, DamagedError, NotFoundError, UsageError  # noqa: E402

ITEMS = [
    {"id": "long", "choices": ["He slept.", "He was away on the mainland."],
     "question": "Why did the old lighthouse keeper of the northern island leave his lamp unlit on the night of the "
                 "great autumn storm of eighteen ninety three?"},
    {"id": "short", "question": "Alligators", "choices": ["are cold-blooded animals", "are warm", "fly", "sing"]},
    {"id": "context", "context": "Robin handed the heavy parcel over to Sasha at the station", "question": "Why so?"},
    {"id": "fill", "sentence": "The trophy does not fit in the brown suitcase because the _ is much too large for it",
     "option1": "trophy", "option2": "suitcase"},
    {"id": "code", "text": "Write a function to add up the even ones among numbers.",
     "code": "def even_sum(xs):\n    total = 0\n    for x in xs:\n        if x % 2 == 0:\n            total += x\n"
             "    return total"},
    {"id": "maths", "question": "Ann sells 3 boxes of 24 pencils at half a dollar each, pays 5 dollars: what is left?",
     "answer": "She has 3*24=<<3*24=72>>72 pencils.\nThey bring 72*.5=<<72*.5=36>>36.\n36-5=<<36-5=31>>31 is left.\n"
               "#### 31"},
    {"id": "word", "text": "Iraqi", "label": "hate"},
]  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Decontaminate:
    folder = tmp_path / "benchmarks" / "made"
    folder.mkdir(parents=True)
    with gzip.open(folder / "dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(item) for item in ITEMS))
    index = build_index([tmp_path / "benchmarks"], [problem_id("held out") or b""])
    assert index.unknowable == ("made/word",) and index.sources[0]["items"] == len(ITEMS)
    index.save(tmp_path / "index.safetensors")
    return Decontaminate(str(tmp_path / "index.safetensors"))


def reason(stage: Decontaminate, text: str) -> tuple[str, str] | None:
    """The id of the item that `text` is rejected for, and the reason."""
    kept, rejected = stage(documents([{"text": text}]))
    assert len(kept) + len(rejected) == 1
    if not rejected:
        return None
    assert rejected[0].reason in stage.reasons and rejected[0].detail.startswith("made ")
    return rejected[0].detail.split()[1].rstrip(":"), rejected[0].reason


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("He was told why did the OLD lighthouse-keeper of the northern island leave his lamp unlit, twice", "long"),
        ("the old lighthouse keeper of the northern island leave his lamp unlit", None),  # 12 words
        ("Q: Alligators\nA. sing\nB. fly\nC. are warm\nD. are cold-blooded animals", "short"),
        ("Alligators: it is known that they are cold blooded animals, are warm at noon, and sing", "short"),
        ("Alligators are cold-blooded animals.", None),  # five words in all
        ("Alligators" + " and so on" * 60 + " are cold-blooded animals, are warm, fly, sing", None),  # far away
        ("ROBIN HANDED THE HEAVY PARCEL OVER TO SASHA AT THE STATION", "context"),
        ("Why so?", None),
        ("in the brown suitcase because the suitcase is much too large for it, they say", "fill"),
        ("fit in the brown suitcase because the is much too large for it, they say so", "fill"),
        ("in the brown suitcase because the wardrobe is much too large for it, they say so", None),
        ("An Iraqi dish", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_an_item_is_known_by(stage: Decontaminate, text: str, item: str | None):
    assert reason(stage, text) == (item and (item, "benchmark-text"))


def test_a_program_is_known_under_other_names(stage: Decontaminate):
    renamed = '''Voici la solution :

    def somme(valeurs: list[int]) -> int:
        """Additionne."""
        s = 0  # rien encore
        for v in valeurs:
            if v % 2 == 0:
                s += v

        return s

Elle est simple.'''
    assert reason(stage, renamed) == ("code", "benchmark-code")
    assert reason(stage, renamed.replace("% 2", "% 3")) is None


def test_a_calculation_is_known_in_another_language(stage: Decontaminate):
    told = "Anne a 24 × 3 = 72 crayons, elle en tire 72 x 0,50 = 36 €, et 36 − 5 = 31 € lui restent."
    assert reason(stage, told) == ("maths", "benchmark-maths")
    assert reason(stage, told.replace("36 − 5 = 31", "36 − 6 = 30")) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("48/2 = <<48/2=24>>24 and 48+24=72", ["48/2=24", "24+48=72"]),
        ("2 × 3 = 6 = 3*2, 1,000 + .50 = 1\u202f000,5", ["2*3=6", "0.5+1000=1000.5"]),
        ("(2+3)*4 = 20; 5 - 3 = 2; 2 + 3 = 5 x 4 = 20", ["(2+3)*4=20", "5-3=2", "2+3=5", "4*5=20"]),
        ("x = 3, 5 = 5, a+1=2, 3 4 = 7, == 2", []),
        ("1+" * 100 + "1 = 101", []),
        ("=" * 50 + " 12 - = 3", []),
    ],
)
def test_equations(text: str, found: list[str]):
    assert equations(text) == found


def test_only_enough_calculations_have_a_key():
    assert maths_keys("1+1=2 and 2+2=4") == []
    assert len(maths_keys("17*31=527 and 527+48=575")) == 1
    assert len(maths_keys("1+1=2, 2+2=4, 4+4=8, 8+8=16")) == 2


def test_no_text_makes_structures_slow_or_fail():
    for text in ("def f(" * 20_000, "def f():\n" + " if x:\n" * 3_000, "def f(x):\n  return " + "(" * 5_000,
                 "def f():\n  return '\\d'", "def f():\n\0", "def f():\n  return " + "-" * 9_000 + "1",
                 "1,111+" * 50_000, "1=1" + "(" * 50_000):  # fmt: skip
        assert code_keys(text) == [] and maths_keys(text) == []


def test_small_functions_are_anybodys():
    assert code_keys("def add(a, b):\n    return a + b\n") == []


def test_a_held_out_problem_leaves_training(stage: Decontaminate):
    rows = documents([{"text": "any", "problem_key": problem_id(key), "split": split}
                      for key in ("held out", "other", "") for split in ("train", "heldout-values")])  # fmt: skip
    kept, rejected = stage(rows)
    assert [(each.row, each.reason) for each in rejected] == [(0, "held-out-problem")] and len(kept) == 5


def test_below_the_least_share_a_document_stays_and_says_so(stage: Decontaminate):
    text = " ".join(ITEMS[0]["question"].split()[:14])
    assert reason(stage, text) is not None
    kept, rejected = Decontaminate(stage.index, min_share=0.5)(documents([{"text": text}, {"text": "other"}]))
    contam = kept["contam"].to_pylist()
    assert not rejected and contam[1] is None
    assert contam[0]["task"] == "made" and contam[0]["hits"] == 2 and 0 < contam[0]["share"] < 0.5


def test_the_index_is_one_file_with_a_name_of_its_own(stage: Decontaminate, tmp_path: Path):
    index = Index.load(stage.index)
    sha = index.save(tmp_path / "again.safetensors")
    again = Decontaminate(str(tmp_path / "again.safetensors"))
    assert sha == stage.settings["index_sha256"] == again.settings["index_sha256"]
    assert pickle.loads(pickle.dumps(stage)) == stage
    build_index([tmp_path / "benchmarks"]).save(tmp_path / "again.safetensors")  # without the problem: another file
    assert again.settings["index_sha256"] != sha


def test_without_the_kernels_the_twin_finds_the_same(
    stage: Decontaminate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    texts = documents([{"text": " ".join(str(part) for part in item.values())} for item in ITEMS])
    expected = stage(texts)
    monkeypatch.setattr(minhash, "native", None)
    minhash.warn_slow.cache_clear()
    with pytest.warns(RuntimeWarning, match="petitlm._text was not built"):
        found = stage(texts)
    minhash.warn_slow.cache_clear()
    index = build_index([tmp_path / "benchmarks"], [problem_id("held out") or b""])
    sha = index.save(tmp_path / "twin.safetensors")
    assert found.rejected == expected.rejected and len(expected.rejected) == 6
    assert sha == stage.settings["index_sha256"]


def test_an_index_that_is_damaged_or_absent_is_refused(stage: Decontaminate, tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"no index of benchmarks at .*absent"):
        Decontaminate(str(tmp_path / "absent")).settings  # noqa: B018
    data = Path(stage.index).read_bytes()
    for damaged in (data[:100], data[:-8], data.replace(b'"run": 13', b'"run": 12')):
        (tmp_path / "bad").write_bytes(damaged)
        with pytest.raises(DamagedError):
            Index.load(tmp_path / "bad")
    index = Index.load(stage.index)
    index.arrays["owners"][0] = 10_000
    index.save(tmp_path / "bad")
    with pytest.raises(DamagedError, match="do not fit together"):
        Index.load(tmp_path / "bad")


def test_bad_benchmarks_are_named(tmp_path: Path):
    with pytest.raises(NotFoundError, match="no benchmark at"):
        build_index([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match=r"holds no \.jsonl"):
        build_index([tmp_path / "empty"])
    for content in ('{"question": "a"}\n{"quest', "[1, 2]", '"text"', "[" * 100_000):
        (tmp_path / "bad.jsonl").write_text(content)
        with pytest.raises(DamagedError, match=r"bad\.jsonl, line \d, is no JSON object"):
            build_index([tmp_path / "bad.jsonl"])
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"question": "a"}\n' * 1000)[:40])
    with pytest.raises(DamagedError, match="cannot be read"):
        build_index([tmp_path / "cut.jsonl.gz"])
    with pytest.raises(UsageError, match="has 3 bytes"):
        build_index([], [b"key"])
    with pytest.raises(ConfigError, match="min_share=2"):
        Decontaminate("index", min_share=2)


def test_files_are_named_after_their_task(tmp_path: Path):
    for name in ("gsm8k/dev.jsonl.gz", "mine.jsonl", "mmlu/fewshot.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [task for task, _ in benchmark_files([tmp_path])] == ["gsm8k", "mine", "mmlu"]
    files = [tmp_path / name for name in ("mine.jsonl", "gsm8k/dev.jsonl.gz", "mmlu/fewshot.jsonl")]
    assert [task for task, _ in benchmark_files(files)] == ["mine", "gsm8k", "mmlu"]


def test_fields_that_nobody_knows_still_count(tmp_path: Path):
    item = item_of("task", {"weird": ["a", "the longest of all is the principal one"], "n": 3, "url": "x" * 99}, "7")
    assert (item.id, item.n_principal, item.passages[0].text) == ("7", 1, "the longest of all is the principal one")
    assert item_of("task", {"n": 1}, "1").passages == ()
    (tmp_path / "odd.jsonl").write_text('{"n": 1}\n\n{"question": "..."}\n{"question": "A text of some words"}')
    assert len(list(read_items("odd", tmp_path / "odd.jsonl"))) == 3
    assert build_index([tmp_path / "odd.jsonl"]).unknowable == ("odd/1", "odd/3")


def test_forms_of_a_text_with_punctuation_inside_of_words():
    text = "world’s 1-year-old, don't"
    joined = ["worlds 1yearold, dont", "world’s 1yearold, dont", "worlds 1-year-old, dont"]
    assert forms(text) == [text, *joined]
    assert forms("Nothing. In - side") == ["Nothing. In - side"]
