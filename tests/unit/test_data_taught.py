"""The documents of teachers: what they know, where they go, and who may write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests_teachers import (
    ENGLISH,
    MODEL,
    endpoint,
    faq,
    lab,
    many,
    rows,
    run,
    seed_lines,
    small_own,
)
from tests_teachers import Said as Sent

from petitlm.data.corpus.build import build
from petitlm.data.corpus.workers import workers
from petitlm.data.provenance.cards import attribution_list, data_card
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.facts import facts_of
from petitlm.data.provenance.verify import verify
from petitlm.data.teachers.endpoint import Endpoint
from petitlm.data.teachers.make import Order
from petitlm.data.teachers.own import most_own
from petitlm.data.teachers.procedural import Procedural
from petitlm.data.teachers.protocol import StopError
from petitlm.data.teachers.replay import Replay
from petitlm.data.teachers.rows import derived_licence
from petitlm.data.teachers.run import Budgets
from petitlm.data.teachers.strategies import STRATEGIES, strategy_named
from petitlm.errors import DamagedError, NotFoundError, RefusedError, UsageError


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(seed_lines())
    return path


def test_documents_know_their_seed_teacher_prompt_and_licence(seeds: Path, tmp_path: Path) -> None:
    with lab() as server:
        teacher = endpoint(server)
        made = run(teacher, seeds, tmp_path / "out", at_once=3)
    assert (made.asked, made.documents, made.left, made.stopped) == (4, 4, 0, "")
    assert teacher.can == {"context": None, "json_schema": True, "logprobs": False}
    known = {row["doc_id"]: row for row in rows(tmp_path / "out", "seeds")}
    for row in rows(tmp_path / "out"):
        assert known[row["parents"][0]]["text"].split(". ")[0] in row["text"]
        assert row["call"]["teacher"] == MODEL and row["call"]["revision"].startswith(f"{MODEL}+")
        assert (row["call"]["weights_sha"], row["call"]["finish"]) == ("unknown", "stop")
        assert row["call"]["prompt_sha"] == STRATEGIES["faq"].sha
        assert json.loads(row["call"]["sampling"])["max_tokens"] == 64
        assert (row["licence"], row["origin"]) == ("CC-BY-4.0 AND Apache-2.0", "rewrite")
        assert row["rights"]["output_terms"] == "Apache-2.0" and row["evidence"]["kind"] == "declared"
        assert not row["text"].startswith("#") and row["text"].startswith("Q: ")
    assert made.n_prompt == 400 and made.n_generated == 80 and made.counted
    sources = {row["source_id"] for row in rows(tmp_path / "out", "sources")}
    assert sources == {"seeds:seeds", f"teacher:{MODEL}"}


def test_terms_that_nobody_states_are_refused_before_the_first_request(seeds: Path, tmp_path: Path) -> None:
    with lab() as server, pytest.raises(RefusedError, match="--terms"):
        run(endpoint(server, terms=""), seeds, tmp_path / "out")
    assert server.prompts == []


def test_replay_gives_the_same_bytes_without_the_teacher(seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(status=500) if i == 0 else Sent("", usage=False) if i == 2 else Sent(faq(prompt))) \
            as server:
        run(endpoint(server), seeds, tmp_path / "out", at_once=3)
    replay = Replay(tmp_path / "out" / "journal.sqlite")
    made = run(replay, seeds, tmp_path / "again", at_once=2)
    assert made.documents == 3 and made.rejected == {"empty": 1}
    for name in ("documents", "rejected", "sources", "seeds"):
        first, second = (tmp_path / folder / f"{name}.parquet" for folder in ("out", "again"))
        assert second.read_bytes() == first.read_bytes()
    other = run(replay, seeds, tmp_path / "other", order=Order(STRATEGIES["summary"], "en", 9))
    assert other.rejected == {"failed": 4}  # it was never asked that


def test_another_teacher_is_not_mixed_into_a_folder(seeds: Path, tmp_path: Path) -> None:
    with lab() as server:
        run(endpoint(server), seeds, tmp_path / "out", budgets=Budgets(tokens=600))
        server.models, server.probe = ("other",), lambda i: Sent("Elm", model="other")
        with pytest.raises(UsageError, match="one teacher"):
            run(Endpoint(server.url, "other", output_terms="MIT"), seeds, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        run(Procedural(), None, tmp_path / "mine")


def test_an_own_model_is_named_by_its_hash_and_held_to_its_share(tmp_path: Path) -> None:
    texts = many(12)
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(seed_lines(texts))
    order = Order(STRATEGIES["faq"], "en", 100, max_own_share=0.25)
    made = run(small_own(""), seeds, tmp_path / "out", order=order)
    assert made.asked == made.documents == 4  # 4 of 12 + 4
    row = rows(tmp_path / "out")[0]
    assert (row["origin"], row["call"]["weights_sha"], row["evidence"]["sha"]) == ("own", "ab" * 32, "ab" * 32)
    more = run(small_own(""), tmp_path / "out" / "documents.parquet", tmp_path / "more", order=order)
    assert more.asked == 0 and more.skipped == {"own": 4}  # it does not rewrite itself
    with pytest.raises(RefusedError, match="no SEEDS"):  # nor does it write all there is
        run(small_own(""), None, tmp_path / "all", order=Order(STRATEGIES["story"], "en", 9))
    with pytest.raises(RefusedError, match="max-own-share"):
        run(small_own(""), seeds, tmp_path / "none", order=Order(STRATEGIES["faq"], "en", 9, max_own_share=0.05))
    assert [most_own(9, n, 0.1) for n in (0, 1, 2)] == [1, 0, 0] and most_own(3, 0, 0.75) == 9
    for share in (-0.1, 1.0):
        with pytest.raises(UsageError):
            most_own(9, 0, share)


def test_the_generators_are_a_teacher_whose_documents_are_those_of_a_build(tmp_path: Path) -> None:
    from petitlm.data.corpus.generate import remake_row

    order = Order(None, "fr", 30, family="arithmetic")
    made = run(Procedural(), None, tmp_path / "out", order=order)
    assert made.documents == 30 and made.rejected == {} and made.identity.terms_from == "computed"
    for row in rows(tmp_path / "out"):
        again = remake_row(row["gen"])
        assert again is not None and (again["text"], again["doc_id"]) == (row["text"], row["doc_id"])
        assert row["origin"] == "procedural" and row["verify"]["status"] == "passed"
    assert {row["difficulty"] for row in rows(tmp_path / "out")} == {0, 1, 2, 3, 4, 5}


def test_seeds_that_may_not_be_rewritten_are_counted_and_left_out(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(seed_lines(ENGLISH[:1], licence="CC-BY-ND-4.0") + seed_lines(ENGLISH[1:2], licence="")
                     + seed_lines(ENGLISH[2:3]) * 2 + seed_lines(("Too short.",)) + "{broken\n"
                     + seed_lines(ENGLISH[3:], licence="CC-BY-SA-4.0"))
    with lab() as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.skipped == {"no-derivatives": 1, "no-licence": 1, "same-text": 1, "length": 1, "unreadable": 1}
    assert {row["source_id"] for row in rows(tmp_path / "out")} == {f"teacher:{MODEL}", f"teacher:{MODEL}:share-alike"}
    held_out = pq.read_table(tmp_path / "out" / "seeds.parquet")
    from petitlm.data.corpus.schema import put
    pq.write_table(put(held_out, "split", ["test"] * len(held_out)), tmp_path / "test.parquet")
    with lab() as server:
        assert run(endpoint(server), tmp_path / "test.parquet", tmp_path / "none").skipped == {"held-out": 2}


def test_documents_of_a_teacher_go_through_a_build_and_its_checks(seeds: Path, tmp_path: Path) -> None:
    from petitlm.data.corpus.schema import SOURCES

    texts = many(20)
    seeds.write_text(seed_lines(texts))
    with lab() as server:
        run(endpoint(server), seeds, tmp_path / "made", at_once=4)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("""
name = "taught"
shards = 2
[[sources]]
id = "made"
path = "made/documents.parquet"
format = "documents"
[[sources]]
id = "seeds"
path = "made/seeds.parquet"
format = "documents"
[dedup]
near_origins = []
[tokens]
n_vocab = 300
""")
    team = workers(1)
    try:
        made = build(recipe, tmp_path / "corpus", team)
    finally:
        team.close()
    corpus = open_corpus(made.folder)
    kept = [row for path in corpus.tables("documents") for row in pq.read_table(path).to_pylist()]
    taught = [row for row in kept if row["call"] is not None]
    assert taught and all(row["source_id"] == f"teacher:{MODEL}" for row in taught)
    assert {row["source_id"] for row in pq.read_table(made.folder / "sources.parquet", schema=SOURCES).to_pylist()} \
        >= {f"teacher:{MODEL}", "seeds:seeds"}
    assert verify(corpus).ok
    (known,) = facts_of(corpus).teachers
    assert (known["teacher"], known["output_terms"], known["prompts"]) == (MODEL, "Apache-2.0", ["faq"])
    assert known["documents"] == len(taught) and known["tokens"] == sum(row["n_tokens"] for row in taught)
    assert f"| {MODEL} | {known['revision']} | unknown | Apache-2.0 |" in data_card(facts_of(corpus))
    assert f"(`teacher:{MODEL}`): after seeds.jsonl (seeds:seeds)." in attribution_list(facts_of(corpus))


def test_what_is_no_seed_no_journal_and_no_strategy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of faq"):
        strategy_named("poem", False)
    with pytest.raises(UsageError, match="--ungrounded"):
        strategy_named("story", False)
    with pytest.raises(UsageError, match="leave out --ungrounded"):
        strategy_named("faq", True)
    with pytest.raises(NotFoundError):
        Replay(tmp_path / "none.sqlite")
    (tmp_path / "bad.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(DamagedError):
        Replay(tmp_path / "bad.sqlite")
    with pytest.raises(UsageError, match="http://localhost"):
        Endpoint("localhost:8000", MODEL)
    (tmp_path / "text.txt").write_text("x")
    for place, error in ((tmp_path / "none", NotFoundError), (tmp_path / "text.txt", UsageError), (None, UsageError)):
        with pytest.raises(error):
            run(small_own("x"), place, tmp_path / "out")
    assert derived_licence("MIT OR Apache-2.0", "CC-BY-4.0") == "(MIT OR Apache-2.0) AND CC-BY-4.0"
    assert derived_licence("CC-BY-4.0", "CC0-1.0") == "CC-BY-4.0" == derived_licence("CC-BY-4.0", "CC-BY-4.0")


def test_nothing_goes_over_the_network_without_an_address(seeds: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with lab() as server:
        run(endpoint(server), seeds, tmp_path / "out")

    def refuse(*_: object) -> None:
        raise AssertionError("somebody wants to connect")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert run(Replay(tmp_path / "out" / "journal.sqlite"), seeds, tmp_path / "a").documents == 4
    assert run(Procedural(), None, tmp_path / "b", order=Order(None, "en", 5, family="measures")).documents == 5
    assert run(small_own(""), seeds, tmp_path / "c").documents == 1


def test_the_command_prints_what_was_made_and_ends_with_the_right_code(seeds: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from petitlm.cli.data.generate import command

    def call(*words: str) -> Any:
        return CliRunner().invoke(command, [str(seeds), "--strategy", "faq", "--language", "en", "--json", *words])

    with lab() as server:
        given = ("--teacher", server.url, "--model", MODEL, "--out", str(tmp_path / "out"))
        assert isinstance(call(*given).exception, RefusedError)
        done = call(*given, "--terms", "Apache-2.0", "--limit", "3")
        story = json.loads(done.stdout)
        assert done.exit_code == 0 and (story["asked"], story["documents"], story["left"]) == (3, 3, 0)
        assert story["teacher"]["output_terms"] == "Apache-2.0" and story["prompt_tokens"] == 300
        server.answer = lambda prompt, i: Sent(status=402)
        broke = call(*given, "--terms", "Apache-2.0", "--limit", "4")
        assert isinstance(broke.exception, StopError) and json.loads(broke.stdout)["left"] == 1
    replayed = call("--teacher", f"replay:{tmp_path / 'out' / 'journal.sqlite'}", "--limit", "3", "--out",
                    str(tmp_path / "again"))
    assert json.loads(replayed.stdout)["documents"] == 3
    assert isinstance(call(*given, "--budget-money", "1").exception, UsageError)
