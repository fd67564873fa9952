"""Steps of a build: what a stage may not do, tables cut by document, tasks done once."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from petitlm.data.corpus.schema import content_id, documents, put_texts
from petitlm.data.corpus.shards import read_shard, shard_of, write_sharded, write_table
from petitlm.data.corpus.stage import Rejection, Sifted, keep
from petitlm.data.corpus.steps import assign_splits, checked, rejected_rows, tally
from petitlm.data.corpus.store import perform, read_done, task
from petitlm.errors import DamagedError


def rows(n: int, seed: int = 0) -> pa.Table:
    rng = random.Random(seed)
    return documents([{"doc_id": rng.randbytes(16), "content_id": content_id(f"text {i}"), "text": f"text {i}",
                       "n_bytes": len(f"text {i}"), "source_id": "s"} for i in range(n)])


class Wrong:
    """A stage that breaks one rule."""

    name, version, reasons, settings = "wrong", 1, {"bad": "it is bad"}, {}

    def __init__(self, sifted: Sifted) -> None:
        self.sifted = sifted

    def __call__(self, _rows: pa.Table) -> Sifted:
        return self.sifted


@pytest.mark.parametrize(("breaks", "message"), [
    (lambda t: Sifted(t.slice(1), []), "lost or doubled"),
    (lambda t: Sifted(t, [Rejection(0, "bad", "")]), "lost or doubled"),
    (lambda t: Sifted(t.slice(1), [Rejection(0, "ugly", "")]), "ugly"),
    (lambda t: Sifted(t.take([2, 1, 0]), []), "order or the names"),
    (lambda t: Sifted(t.slice(0, 2), [Rejection(0, "bad", "")]), "order or the names"),
])
def test_a_stage_that_loses_documents_stops_the_build(breaks, message: str) -> None:
    table = rows(3)
    stage = Wrong(breaks(table))
    with pytest.raises(AssertionError, match=message):
        checked(stage, table, stage(table))


def test_a_stage_that_keeps_the_rules_passes() -> None:
    table = rows(3)
    stage = Wrong(keep(table, [Rejection(1, "bad", "why")]))
    sifted = checked(stage, table, stage(table))
    assert sifted.kept["text"].to_pylist() == ["text 0", "text 2"]
    out = rejected_rows(table, sifted.rejected, "wrong").to_pylist()
    assert [(row["text"], row["stage"], row["reason"], row["detail"]) for row in out] == [
        ("text 1", "wrong", "bad", "why")]


def test_counts_that_do_not_add_up_stop_the_build() -> None:
    assert tally("x", 3, 1, {"a": 2})["n_rejected"] == 2
    with pytest.raises(AssertionError, match="3 rows became 2 kept and 2 rejected"):
        tally("x", 3, 2, {"a": 2})


@pytest.mark.parametrize("n", [0, 1, 2, 500])
@pytest.mark.parametrize("n_shards", [1, 3, 7])
def test_each_shard_reads_its_own_documents(tmp_path: Path, n: int, n_shards: int) -> None:
    table = rows(n, seed=n)
    groups = write_sharded(tmp_path / "t.parquet", table, n_shards)
    read = [read_shard(tmp_path / "t.parquet", groups, shard) for shard in range(n_shards)]
    for shard, part in enumerate(read):
        ids = part["doc_id"].to_pylist()
        assert ids == sorted(ids)
        assert all(int.from_bytes(id[:2], "big") * n_shards >> 16 == shard for id in ids)
    assert sorted(id for part in read for id in part["doc_id"].to_pylist()) == sorted(table["doc_id"].to_pylist())
    if n:
        assert shard_of(table, n_shards).max() < n_shards


def test_the_same_rows_give_the_same_bytes_however_they_were_put_together(tmp_path: Path) -> None:
    table = rows(100)
    write_table(tmp_path / "a", table)
    write_table(tmp_path / "b", pa.concat_tables([table.slice(0, 33), table.slice(33)]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_splits_follow_the_text_alone_and_have_their_shares() -> None:
    table = rows(4000)
    splits = assign_splits(table, 0.1, 0.05)["split"].to_pylist()
    assert splits == assign_splits(put_texts(table, table["text"].to_pylist()), 0.1, 0.05)["split"].to_pylist()
    assert 320 < splits.count("valid") < 480  # five standard deviations around 400
    assert 130 < splits.count("test") < 270
    given = table.set_column(table.schema.get_field_index("split"), table.schema.field("split"),
                             pa.array(["test"] * len(table)))
    assert set(assign_splits(given, 0.1, 0.05)["split"].to_pylist()) == {"test"}


def _write(folder: Path, payload: str, key: str) -> dict[str, str]:
    (folder / "out").write_text(payload)
    return {"key": key}


def _fail(folder: Path, _payload: str, _key: str) -> dict[str, str]:
    (folder / "out").write_text("half")
    raise OSError("no space")


def test_a_task_is_done_once_and_a_failed_one_leaves_nothing(tmp_path: Path) -> None:
    job = task(tmp_path, "stage", 1, {"a": 1}, ["x"], _write, "first")
    done = perform(job)
    assert perform(task(tmp_path, "stage", 1, {"a": 1}, ["x"], _write, "second")) == done
    assert done.path("out").read_text() == "first"
    assert done.counts == {"key": job.key}
    others = [task(tmp_path, "stage", *rest, _write, "") for rest in ((2, {"a": 1}, ["x"]), (1, {"a": 2}, ["x"]),
                                                                     (1, {"a": 1}, ["y"]))]
    assert len({job.key, *(other.key for other in others)}) == 4
    failing = task(tmp_path, "stage", 3, {}, [], _fail, "")
    with pytest.raises(OSError, match="no space"):
        perform(failing)
    assert read_done(failing.folder) is None
    assert [path.name for path in (tmp_path / "stage").iterdir()] == [job.key]


def test_a_damaged_note_says_which_folder_to_delete(tmp_path: Path) -> None:
    job = task(tmp_path, "stage", 1, {}, [], _write, "")
    (perform(job).folder / "done.json").write_text("{")
    with pytest.raises(DamagedError, match="delete"):
        perform(job)
