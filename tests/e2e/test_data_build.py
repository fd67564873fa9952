"""Building a corpus: the same bytes whoever works and however often it is stopped; nothing vanishes silently."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests_corpora import RECIPE, small_source

from petitlm.data.corpus.build import build, work_folder
from petitlm.data.corpus.workers import Pool
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.verify import verify
from petitlm.errors import ConfigError, NotFoundError, PetitError, UsageError
from petitlm.files import file_sha256


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, built in this process; `recipe.toml` and the sources lie beside it."""
    root = tmp_path_factory.mktemp("corpus")
    build(small_source(root), root / "out")
    return root / "out"


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_bytes())


def test_every_document_is_kept_or_rejected_with_a_reason(made: Path) -> None:
    stages = manifest(made)["stages"]
    assert [s["stage"] for s in stages[:3]] == ["ingest", "generate", "verify"]
    for stage in stages:
        assert stage["n_in"] == stage["n_kept"] + stage["n_rejected"]
        assert sum(stage["reasons"].values()) == stage["n_rejected"]
        files = sorted((made / "rejected" / stage["stage"]).glob("*.parquet"))
        assert sum(pq.read_metadata(file).num_rows for file in files) == stage["n_rejected"]
    # What comes in is what the stages before let through.
    by_name = {s["stage"]: s for s in stages}
    assert by_name["normalise"]["n_in"] == by_name["ingest"]["n_kept"] + by_name["verify"]["n_kept"]
    for before, after in zip(stages[3:], stages[4:], strict=False):
        assert after["n_in"] == before["n_kept"]
    assert stages[-1]["n_kept"] == manifest(made)["n_documents"]


def test_broken_records_are_refused_one_by_one(made: Path) -> None:
    ingest = manifest(made)["stages"][0]
    assert ingest["reasons"] == {"no-text-field": 1, "not-json": 1, "not-text": 1, "not-utf8": 1}
    rows = pq.read_table(made / "rejected" / "ingest").to_pylist()
    assert all(row["locator"]["path"] == "notes.jsonl.gz" and row["detail"] for row in rows)
    assert manifest(made)["stages"][-1]["reasons"]["exact-duplicate"] >= 1
    assert manifest(made)["absent_sources"] == ["not-there"]


def test_the_manifest_vouches_for_every_file(made: Path) -> None:
    listed = {entry["path"]: entry for entry in manifest(made)["files"]}
    found = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()} - {"manifest.json"}
    assert found == set(listed)
    for name, entry in listed.items():
        assert (file_sha256(made / name), (made / name).stat().st_size) == (entry["sha256"], entry["bytes"])


def test_it_verifies(made: Path) -> None:
    """Rules, counts and a sample, by the code that judges any corpus."""
    verdict = verify(open_corpus(made), sample=40)
    assert verdict.ok, verdict.findings
    assert verdict.notes == []
    assert verdict.checks["documents made again"] == verdict.checks["documents encoded again"] == 40


def test_documents_know_their_place_and_their_maker(made: Path) -> None:
    rows = pq.read_table(made / "documents").to_pylist()
    sources = {row["source_id"]: row for row in pq.read_table(made / "sources.parquet").to_pylist()}
    activities = {row["activity_id"] for row in pq.read_table(made / "activities.parquet").to_pylist()}
    assert len({row["doc_id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["source_id"] in sources
        assert row["activity_id"] in activities
        assert row["licence"]
        assert row["split"]
        assert row["n_tokens"] > 0
        assert (row["gen"] is None) != (row["locator"] is None)
    assert sources["pages"]["evidence"] == "corroborated"
    assert sources["notes"]["evidence"] == "declared"


def test_an_answer_is_where_its_range_says(made: Path) -> None:
    rows = [row for row in pq.read_table(made / "documents").to_pylist() if row["answers"]]
    assert rows
    for row in rows:
        last = row["answers"][-1]
        assert row["text"].encode()[last["start"]:last["end"]].decode() == f" {row['answer']}"


def test_a_generator_call_can_be_repeated(made: Path) -> None:
    from petitlm.data.corpus.generate import remake_row

    rows = [row for row in pq.read_table(made / "documents").to_pylist() if row["gen"]]
    for row in rows[:20]:
        again = remake_row(row["gen"])
        assert again is not None
        assert (again["text"], again["doc_id"]) == (row["text"], row["doc_id"])


def test_processes_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    pool = Pool(3)
    try:
        again = build(made.parent / "recipe.toml", tmp_path / "again", pool)
    finally:
        pool.close()
    assert again.identity == file_sha256(made / "manifest.json")


def test_more_shards_hold_the_same_documents(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "sources"
    build(small_source(root, RECIPE.replace("shards = 3", "shards = 7")), tmp_path / "out")
    one, other = (sorted(pq.read_table(folder / "documents", columns=["doc_id"])["doc_id"].to_pylist())
                  for folder in (made, tmp_path / "out"))
    assert one == other


def test_finished_steps_are_not_done_again(made: Path, tmp_path: Path) -> None:
    recipe = small_source(tmp_path / "sources")
    build(recipe, tmp_path / "out", keep_work=True)
    before = {path: path.stat().st_mtime_ns for path in work_folder(tmp_path / "out").rglob("done.json")}
    build(recipe, tmp_path / "out", keep_work=True)
    after = {path: path.stat().st_mtime_ns for path in work_folder(tmp_path / "out").rglob("done.json")}
    assert before == after
    assert file_sha256(tmp_path / "out" / "manifest.json") == file_sha256(made / "manifest.json")


def test_another_recipe_replaces_the_corpus_whole(tmp_path: Path) -> None:
    recipe = small_source(tmp_path / "sources")
    first = build(recipe, tmp_path / "out")
    recipe.write_text(RECIPE.replace("seed = 3", "seed = 4"))
    second = build(recipe, tmp_path / "out")
    assert first.identity != second.identity == file_sha256(tmp_path / "out" / "manifest.json")
    assert not work_folder(tmp_path / "out").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    recipe = small_source(tmp_path / "sources")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.doc"):
        build(recipe, tmp_path / "out")
    assert (tmp_path / "out" / "thesis.doc").read_text() == "years of work"


@pytest.mark.parametrize(("change", "message"), [
    (("documents = 4", "documents = -4"), "must not be negative"),
    (('categories = ["arithmetic", "robot"]', 'categories = ["alchemy"]'), "no generator makes 'alchemy'"),
    (("seed = 3", "sead = 3"), "did you mean 'seed'"),
    (("min_confidence = 0.5", "min_confidnce = 0.5"), "did you mean 'min_confidence'"),
    (("shards = 3", "shards = 0"), "shards=0"),
    (('id = "pages"', 'id = "notes"'), "two sources have the id 'notes'"),
    (('form = "reference"', 'form = "opera"'), "'opera' is none of"),
])
def test_a_wrong_recipe_is_refused_with_one_sentence(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    recipe = small_source(tmp_path / "sources", RECIPE.replace(*change))
    with pytest.raises(ConfigError, match=message):
        build(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    recipe = small_source(tmp_path / "sources", RECIPE.replace("optional = true", ""))
    with pytest.raises(NotFoundError, match=r"'not-there': .*nowhere\.jsonl is not there"):
        build(recipe, tmp_path / "out")


def test_two_builds_of_one_folder_do_not_mix(tmp_path: Path) -> None:
    from petitlm.data.corpus.store import held

    recipe = small_source(tmp_path / "sources")
    with held(work_folder(tmp_path / "out")), pytest.raises(UsageError, match="another run is at work"):
        build(recipe, tmp_path / "out")


def test_a_worker_that_dies_is_replaced(made: Path, tmp_path: Path) -> None:
    pool = Pool(2)
    killed = []

    def kill_one(done: int, _total: int, stage: str) -> None:
        if stage == "generate" and not killed and pool._pool is not None:
            killed.append(next(iter(pool._pool._processes)))
            os.kill(killed[0], signal.SIGKILL)

    try:
        again = build(made.parent / "recipe.toml", tmp_path / "again", pool, kill_one)
    finally:
        pool.close()
    assert killed
    assert again.identity == file_sha256(made / "manifest.json")


def _build_until_killed(recipe: Path, out: Path, seconds: float) -> bool:
    """Build in a child process that is killed after some time; whether it was quick enough to finish."""
    child = os.fork()
    if not child:
        try:
            build(recipe, out)
            os._exit(0)
        except BaseException:
            recipe.with_name("why").write_text(traceback.format_exc())
            os._exit(1)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert not status, recipe.with_name("why").read_text()
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _kill_and_go_on(made: Path, tmp_path: Path, n_kills: int, seed: int) -> set[str]:
    """Kill builds at random moments until `n_kills` are dead; returns the stages that had begun when they died."""
    rng, recipe, out = random.Random(seed), made.parent / "recipe.toml", tmp_path / "out"
    wanted, reached, kills = file_sha256(made / "manifest.json"), set(), 0
    while kills < n_kills:
        if _build_until_killed(recipe, out, rng.uniform(0.02, 0.5)):
            assert file_sha256(out / "manifest.json") == wanted
            shutil.rmtree(out)
            continue
        kills += 1
        assert not (out / "manifest.json").exists() or file_sha256(out / "manifest.json") == wanted
        reached |= {path.name for path in work_folder(out).glob("*") if path.is_dir()}
    while not _build_until_killed(recipe, out, 60):
        pass
    assert file_sha256(out / "manifest.json") == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "what killed builds left is cleared away"
    return reached


def test_a_kill_while_steps_are_removed_leaves_none_that_looks_done(made: Path, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, out, remove = made.parent / "recipe.toml", tmp_path / "out", shutil.rmtree

    def stop(path: Path, **options: bool) -> None:
        if not (found := list(path.glob("ingest/*/kept.parquet"))):
            return remove(path, **options)  # a folder of another kind
        found[0].unlink()
        remove(path / "sift")  # as far as it got: what is left needs what is gone
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("petitlm.data.corpus.build.shutil.rmtree", stop)
        build(recipe, out)
    assert file_sha256(out / "manifest.json") == file_sha256(made / "manifest.json")
    assert build(recipe, out).identity == file_sha256(made / "manifest.json")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_build_that_is_killed_goes_on_and_ends_alike(made: Path, tmp_path: Path) -> None:
    assert len(_kill_and_go_on(made, tmp_path, 8, seed=1)) >= 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_hundred_kills_change_nothing(made: Path, tmp_path: Path) -> None:
    reached = _kill_and_go_on(made, tmp_path, 200, seed=2)
    assert {"ingest", "generate", "sift", "repeats", "tokenizer", "settle", "finish", "pack", "spans",
            "rejected"} <= reached


def test_ray_gives_the_same_bytes_and_survives_a_dead_worker(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs ray; `make setup` installs it")
    from petitlm.data.corpus.workers import Ray

    team = Ray(3)
    killed: list[int] = []

    def kill_one(_done: int, _total: int, stage: str) -> None:
        if stage == "generate" and not killed:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    is_worker = path.read_bytes().startswith((b"ray::perform", b"ray::IDLE"))
                except OSError:
                    continue
                if is_worker:
                    killed.append(int(path.parent.name))
                    os.kill(killed[0], signal.SIGKILL)
                    return

    try:
        again = build(made.parent / "recipe.toml", tmp_path / "again", team, kill_one)
    finally:
        team.close()
    assert killed, "no worker was seen: the test proves nothing"
    assert again.identity == file_sha256(made / "manifest.json")


def test_a_full_disk_is_one_sentence_and_a_resumed_build_ends_alike(made: Path, tmp_path: Path) -> None:
    """The file size limit stands in for a full disk: writing fails in the same place, without a mount."""
    import resource

    recipe, out = made.parent / "recipe.toml", tmp_path / "out"
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        try:
            build(recipe, out)
            os._exit(0)
        except OSError:
            os._exit(3)
        except PetitError:
            os._exit(4)
        except BaseException:
            os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert not out.exists()
    assert not list(tmp_path.glob(".out.*.part"))
    assert build(recipe, out).identity == file_sha256(made / "manifest.json")
