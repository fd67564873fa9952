"""Teachers: a real HTTP server that lies, stalls and fails, and what is on disk after it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import Counter
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from petitlm.data.corpus.build import build
from petitlm.data.corpus.store import held
from petitlm.data.corpus.workers import workers
from petitlm.data.provenance.cards import attribution_list, data_card
from petitlm.data.provenance.corpus import open_corpus
from petitlm.data.provenance.facts import facts_of
from petitlm.data.provenance.verify import verify
from petitlm.data.sources import Raw, Reading, read
from petitlm.data.teachers.endpoint import Endpoint, retry_after
from petitlm.data.teachers.grounding import new_names, new_numbers
from petitlm.data.teachers.journal import Journal
from petitlm.data.teachers.make import Made, Order, make
from petitlm.data.teachers.own import Own, Said, most_own
from petitlm.data.teachers.procedural import Procedural
from petitlm.data.teachers.protocol import ChangedError, Request, StopError, Teacher, TeacherError
from petitlm.data.teachers.replay import Replay
from petitlm.data.teachers.rows import derived_licence
from petitlm.data.teachers.run import Budgets, Clock, Patience, Run
from petitlm.data.teachers.strategies import STRATEGIES, strategy_named
from petitlm.errors import DamagedError, NotFoundError, PetitError, RefusedError, UsageError
from tests.tests_teachers import ENGLISH, FRENCH, MODEL, Lab, faq, lab, seed_lines, tag_in
from tests.tests_teachers import Said as Sent


class Fake:
    """A clock that nobody has to wait for."""

    def __init__(self) -> None:
        self.t, self.slept = 1000.0, []

    def clock(self) -> Clock:
        return Clock(lambda: self.t, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.t += seconds


def endpoint(server: Lab, terms: str = "Apache-2.0", timeout_s: float = 5.0, **more: Any) -> Endpoint:
    return Endpoint(server.url, MODEL, timeout_s=timeout_s, output_terms=terms, **more)


def run(teacher: Teacher, seeds: Path | None, out: Path, fake: Fake | None = None, budgets: Budgets | None = None,
        order: Order | None = None, **patience: Any) -> Made:
    """One run; one call at a time unless `at_once` says otherwise, so that the server's script is followed in order."""
    given = Patience(**{"at_once": 1, **patience})
    order = order or Order(STRATEGIES["faq"], "en", 100, max_tokens=64)
    return make(seeds, order, lambda journal: Run(teacher, journal, budgets or Budgets(), given,
                                                  (fake or Fake()).clock(), Random(1)), out)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(seed_lines())
    return path


def many(n: int) -> tuple[str, ...]:
    """Seeds that differ in their first sentence, which the server's FAQ quotes."""
    return tuple(f"The keeper of book {i} wrote the following lines. {ENGLISH[i % 4]}" for i in range(n))


def rows(out: Path, name: str = "documents") -> list[dict[str, Any]]:
    return pq.read_table(out / f"{name}.parquet").to_pylist()


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


TROUBLE: dict[str, tuple[Any, str]] = {
    "empty": (lambda prompt: Sent(""), "empty"),
    "only the tag": (lambda prompt: Sent(f"#{tag_in(prompt)}\n"), "empty"),
    "refusal": (lambda prompt: Sent("I'm sorry, but I can't help with that."), "refusal"),
    "refusal in French": (lambda prompt: Sent("Je suis désolé, je ne peux pas le faire."), "refusal"),
    "refusal by filter": (lambda prompt: Sent("x", finish="content_filter"), "refusal"),
    "truncated": (lambda prompt: Sent(faq(prompt)[:-20], finish="length"), "truncated"),
    "no finish": (lambda prompt: Sent(faq(prompt), finish=""), "truncated"),
    "prompt again": (lambda prompt: Sent(prompt), "echo"),
    "seed again": (lambda prompt: Sent(ENGLISH[0]), "echo"),
    "another tag": (lambda prompt: Sent("#00000000\n" + faq(prompt).split("\n", 1)[1]), "other-request"),
    "another document": (lambda prompt: Sent("Q: What does the miller grind for the whole valley?\nA: Wheat, where the "
                                             "stream is fastest.\nQ: When does the wheel stop?\nA: In winter, for "
                                             "months, the wheel stands in ice."), "other-request"),
    "French": (lambda prompt: Sent("Q : Que possède le vieux port ?\nR : Des grues au bord du fleuve.\nQ : Que font "
                                   "elles ?\nR : Elles soulèvent les caisses des navires."), "wrong-language"),
    "one pair": (lambda prompt: Sent("Q: What has the harbour?\nA: Cranes beside the wide river."), "invalid-format"),
    "a number": (lambda prompt: Sent("Q: How many cranes has the harbour?\nA: It has 17 cranes.\nQ: What do they lift?"
                                     "\nA: They lift the heavy boxes from the ships."), "not-grounded"),
    "a name": (lambda prompt: Sent("Q: Where is the old harbour?\nA: Beside the wide river in Liverpool.\nQ: What do "
                                   "the cranes lift?\nA: They lift the heavy boxes."), "not-grounded"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_reply_that_breaks_a_promise_is_rejected_with_its_reason(kind: str, seeds: Path, tmp_path: Path) -> None:
    bad, reason = TROUBLE[kind]
    with lab(lambda prompt, i: bad(prompt) if ENGLISH[0] in prompt else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.rejected == Counter({reason: 1}), rows(tmp_path / "out", "rejected")
    assert made.documents == 3 and made.left == 0
    assert len(server.prompts) == 4  # a bad reply is not asked for again


def test_the_same_reply_to_several_requests_is_worth_nothing(seeds: Path, tmp_path: Path) -> None:
    same = "Q: What is it?\nA: A thing of use.\nQ: What is it for?\nA: It helps people."
    with lab(lambda prompt, i: Sent(same if i < 2 else faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.rejected == {"repeated": 2} and made.documents == 2


@pytest.mark.parametrize("around", ["```\n{}\n```", "Here are the questions:\n\n{}",
                                    "Sure, here it is:\n```markdown\n{}\n```",
                                    "<think>\nWhat does the text say?\n</think>\n\n{}"])
def test_one_repair_takes_off_what_was_put_around(around: str, seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(around.format(faq(prompt).split("\n", 1)[1]))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.documents == 4 and all(row["flags"] == ["reply.repaired"] for row in rows(tmp_path / "out"))


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(seeds: Path, tmp_path: Path) -> None:
    fake = Fake()
    now = 1_800_000_000.0
    dated = {"retry-after": formatdate(now + 90, usegmt=True)}

    def answer(prompt: str, i: int) -> Sent:
        if i == 0:
            return Sent(status=429, headers={"retry-after": "37"})
        # The server of this test sends the real date with every reply: the wait is counted from it.
        return Sent(status=503, headers={"retry-after": formatdate(time.time() + 90, usegmt=True)}) if i == 1 \
            else Sent(faq(prompt))

    with lab(answer) as server:
        made = run(endpoint(server), seeds, tmp_path / "out", fake)
    assert made.documents == 4 and len(fake.slept) == 2
    assert fake.slept[0] == pytest.approx(37) and 88 <= fake.slept[1] <= 91
    assert retry_after(dated, now) == 90
    assert retry_after({**dated, "date": formatdate(now + 60, usegmt=True)}, now - 5000) == 30  # our clock is wrong
    for said in ("soon", "inf", "nan", "-3"):
        assert retry_after({"retry-after": said}, now) in (None, 0.0)
    assert retry_after({}, now) is None


def test_back_off_doubles_with_jitter_up_to_a_limit(seeds: Path, tmp_path: Path) -> None:
    fake = Fake()
    with lab(lambda prompt, i: Sent(status=500) if i < 5 else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out", fake, order=Order(STRATEGIES["faq"], "en", 1),
                   longest_s=4.0)
    assert made.documents == 1 and rows(tmp_path / "out")[0]["call"]["attempt"] == 6
    for slept, most in zip(fake.slept, (1, 2, 4, 4, 4), strict=True):
        assert 0.5 * most <= slept <= most
    assert len({slept / most for slept, most in zip(fake.slept, (1, 2, 4, 4, 4), strict=True)}) == 5


@pytest.mark.parametrize("bad", [Sent(body=b"<html>busy</html>"), Sent(body=b'{"choices": []}'), Sent(body=b"\xff\xfe"),
                                 Sent(body=b""), Sent(body=b'{"choices": [{"message": 7}]}'), Sent(status=502)])
def test_garbage_is_asked_for_again_and_kept_in_the_journal(bad: Sent, seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: bad if i == 0 else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.documents == 4 and len(server.prompts) == 5
    assert made.counted is (bad.body is None)  # what garbage cost is an estimate


def test_a_server_that_stalls_is_given_up_and_tried_again(seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(faq(prompt), stall_s=0.8 if i == 0 else 0)) as server:
        made = run(endpoint(server, timeout_s=0.3), seeds, tmp_path / "out")
    assert made.documents == 4 and len(server.prompts) == 5


@pytest.mark.parametrize(("status", "body", "match"), [
    (401, b'{"error": {"message": "bad key"}}', "OPENAI_API_KEY"),
    (402, b'{"error": {"message": "pay"}}', "credit"),
    (429, b'{"error": {"message": "quota", "code": "insufficient_quota"}}', "credit"),
])
def test_no_key_and_no_credit_stop_at_once_and_keep_everything(status: int, body: bytes, match: str, seeds: Path,
                                                               tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(status=status, body=body) if i == 2 else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
        assert isinstance(made.stopped, StopError) and match in str(made.stopped)
        assert (made.documents, made.left, len(server.prompts)) == (2, 2, 3)
        before = Counter(server.prompts[:2])
        again = run(endpoint(server), seeds, tmp_path / "out")  # credit is back
    assert (again.documents, again.left, again.stopped) == (4, 0, "")
    assert all(server.prompts.count(prompt) == 1 for prompt in before)


def test_the_breaker_stops_after_failures_in_a_row(seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(status=500)) as server:
        made = run(endpoint(server), seeds, tmp_path / "out", breaker=5, tries=100)
    assert isinstance(made.stopped, TeacherError) and "5 failures in a row" in str(made.stopped)
    assert len(server.prompts) == 5 and made.left == 4


def test_a_request_that_the_server_refuses_for_good_does_not_stop_the_others(seeds: Path, tmp_path: Path) -> None:
    too_long = b'{"error": {"message": "maximum context length is 100 tokens", "code": "context_length_exceeded"}}'
    with lab(lambda prompt, i: Sent(status=400, body=too_long) if i == 1 else Sent(faq(prompt))) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert made.documents == 3 and made.rejected == {"failed": 1} and len(server.prompts) == 4
    assert "maximum context length" in rows(tmp_path / "out", "rejected")[0]["detail"]


def test_a_wrong_model_in_a_reply_stops_the_run(seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(faq(prompt), model="tiny-liar" if i == 1 else MODEL)) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    assert isinstance(made.stopped, ChangedError) and "tiny-liar" in str(made.stopped)
    assert made.rejected == {"another-teacher": 1} and made.left == 2 and made.documents == 1


def test_other_weights_behind_the_same_name_are_noticed(seeds: Path, tmp_path: Path) -> None:
    with lab() as server:
        server.probe = lambda i: Sent("Nile, oak" if len(server.prompts) < 3 else "Oak! River!")
        made = run(endpoint(server), seeds, tmp_path / "out", probe_each=2)
    # Two replies were proven by the second probe; those after it, and before the third, are in doubt.
    assert isinstance(made.stopped, ChangedError) and "fixed question" in str(made.stopped)
    assert made.documents == 2 and made.rejected == {"another-teacher": 2}


def test_a_name_that_the_server_does_not_have(seeds: Path, tmp_path: Path) -> None:
    with lab() as server:
        server.models = ("large", "larger")
        with pytest.raises(StopError, match="it has large, larger"):
            run(endpoint(server), seeds, tmp_path / "out")
    with pytest.raises(TeacherError, match="after 6 tries"):  # nobody is there any more
        run(endpoint(server), seeds, tmp_path / "out2")


def test_budgets_are_never_overrun_and_a_larger_one_goes_on(seeds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = Budgets(tokens=600)
    with lab() as server:
        made = run(endpoint(server), seeds, out, budgets=one, at_once=4)
        assert made.stopped == "budget of tokens" and 0 < made.documents < 4
        assert made.n_prompt + made.n_generated <= 600
        n = len(server.prompts)
        assert run(endpoint(server), seeds, out, budgets=one).documents == made.documents
        assert len(server.prompts) == n  # nothing is left of it
        priced = Budgets(money=1e-9, price_in=1.0, price_out=2.0)
        assert run(endpoint(server), seeds, out, budgets=priced).stopped == "budget of money"
        last = run(endpoint(server), seeds, out, budgets=Budgets(price_in=1.0, price_out=2.0))
    assert last.documents == 4 and len(server.prompts) == 4
    assert last.money == pytest.approx((400 * 1.0 + 80 * 2.0) / 1e6)


def test_a_wait_beyond_the_budget_of_minutes_stops(seeds: Path, tmp_path: Path) -> None:
    fake = Fake()
    with lab(lambda prompt, i: Sent(status=429, headers={"retry-after": "3600"})) as server:
        made = run(endpoint(server), seeds, tmp_path / "out", fake, Budgets(minutes=5))
    assert made.stopped == "budget of minutes" and fake.slept == [] and made.left == 4


def test_tokens_that_nobody_counts_are_estimated(seeds: Path, tmp_path: Path) -> None:
    with lab(lambda prompt, i: Sent(faq(prompt), usage=False)) as server:
        made = run(endpoint(server), seeds, tmp_path / "out")
    n_bytes = sum(len(prompt.encode()) for prompt in server.prompts)
    assert not made.counted and n_bytes / 3 <= made.n_prompt <= n_bytes / 3 + 4


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


_KILLED = """
import sys
from pathlib import Path
from random import Random
from petitlm.data.teachers.endpoint import Endpoint
from petitlm.data.teachers.make import Order, make
from petitlm.data.teachers.run import Patience, Run
from petitlm.data.teachers.strategies import STRATEGIES
url, model, seeds, out = sys.argv[1:]
teacher = Endpoint(url, model, output_terms="Apache-2.0")
make(Path(seeds), Order(STRATEGIES["faq"], "en", 100, max_tokens=64),
     lambda journal: Run(teacher, journal, patience=Patience(at_once=2), rng=Random(1)), Path(out))
"""


def test_kill_in_the_middle_and_go_on_sends_nothing_twice_that_was_done(tmp_path: Path) -> None:
    texts = many(24)
    seeds, out = tmp_path / "seeds.jsonl", tmp_path / "out"
    seeds.write_text(seed_lines(texts))
    n_done = 0
    with lab() as server:
        server.answer = lambda prompt, i: Sent(faq(prompt), stall_s=0.02)
        for n in (5, 14):
            process = subprocess.Popen([sys.executable, "-c", _KILLED, server.url, MODEL, str(seeds), str(out)])
            until = time.monotonic() + 60
            while len(server.prompts) < n and process.poll() is None and time.monotonic() < until:
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert len(server.prompts) >= n
            done = done_prompts(out / "journal.sqlite")
            assert n_done < len(done) < 24
            n_done, asked = len(done), len(server.prompts)
        made = run(endpoint(server), seeds, out, at_once=3)
        assert made.documents == 24 and made.left == 0 and set(server.prompts[asked:]).isdisjoint(done)
        # What is sent twice was on its way at a kill: at most two calls each time.
        assert len(server.prompts) - 24 <= 2 * 2 and max(Counter(server.prompts).values()) <= 3
        straight = run(endpoint(server), seeds, tmp_path / "straight", at_once=3)
    assert straight.documents == 24
    assert {row["doc_id"] for row in rows(out)} == {row["doc_id"] for row in rows(tmp_path / "straight")}


def done_prompts(path: Path) -> set[str]:
    """Prompts of the calls that a journal has as done; the file must be whole."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = db.execute("SELECT request FROM calls WHERE state = 'done'").fetchall()
    db.close()
    return {json.loads(zlib.decompress(request))[0][-1][1] for (request,) in found}


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


def small_own(said: str, licence_terms: str = "MIT") -> Own:
    return Own("small", "ab" * 32, lambda request: Said(said or faq(request.messages[-1][1]), "stop", 30, 9),
               output_terms=licence_terms)


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


def test_translation_keeps_both_texts_and_its_numbers(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(seed_lines(FRENCH, "fr") + seed_lines(ENGLISH[:1]))
    good = {FRENCH[0]: ENGLISH[0], FRENCH[1]: "A lamp needs 5 litres of oil, a wick and some air. The flame draws the "
                                               "oil up through the wick, and without air it goes out."}

    def answer(prompt: str, i: int) -> Sent:
        return Sent(f"#{tag_in(prompt)}\n" + next(en for fr, en in good.items() if fr in prompt))

    with lab(answer) as server:
        made = run(endpoint(server, terms="the user may train on it"), seeds, tmp_path / "out",
                   order=Order(STRATEGIES["translate"], "en", 9))
    assert made.rejected == {"not-grounded": 1} and made.skipped == {"language": 1}
    (row,) = rows(tmp_path / "out")
    assert row["text"] == f"{FRENCH[0]}\n{ENGLISH[0]}" and (row["form"], row["category"]) == ("pair", "translation")
    assert row["licence"] == "CC-BY-4.0" and row["rights"]["output_terms"] == "the user may train on it"


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


def test_the_journal_keeps_the_order_of_states(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.add([Request((("user", "a"),), 5, call_id="1"), Request((("user", "b"),), 5, call_id="2")])
    journal.sent("1")
    journal.answered("1", b"raw reply \xff")
    journal.close()
    journal = Journal(tmp_path / "j.sqlite")  # killed before anybody read it
    journal.add([Request((("user", "a"),), 5, call_id="1")])
    first, second = journal.entries()
    assert (first.state, first.reply, first.attempts) == ("sent", b"raw reply \xff", 1)
    assert (second.state, second.reply, second.attempts) == ("pending", None, 0)
    journal.close()


GOOD = {
    "maths": "Problem: A harbour has 3 cranes and gets 2 more. How many has it then?\nSolution: 3 + 2 = 5\nAnswer: 5",
    "table": "| Thing | Number |\n|---|---:|\n| cranes | 3 |\n| river | wide |",
    "tutorial": "1. Look for the cranes beside the river.\n2. Let them lift the heavy boxes from the ships.\n"
                "3. Write down what each ship has brought.",
    "dialogue": "A: What stands in the old harbour?\nB: Cranes stand there.\nA: What are they for?\nB: To lift.",
    "summary": "Cranes beside the river lift boxes from ships, and workers write it down.",
    "audience-child": "In the old harbour there are 3 tall cranes. They lift the boxes out of the ships each morning.",
    "audience-expert": "Three quayside cranes unload the vessels daily, and the workers record the goods of each one.",
}
BAD = {
    "maths": ("Solution: 3 + 2 = 5\nAnswer: 5", "Problem: How many?\nAnswer: 5", "Problem: x\nSolution: y\nAnswer: no"),
    "table": ("| Thing | Number |\n|---|---|\n| cranes | 3 |", "Thing | Number\n---|---\na | 3\nb | 3",
              "| Thing | Number |\n|---|---|\n| cranes | 3 |\n| river |"),
    "tutorial": ("1. Look.\n2. Lift.", "1. Look.\n3. Lift.\n2. Write.", "Look, then lift, then write."),
    "dialogue": ("A: What?\nB: Cranes.", "A: What is it?\nA: And this?\nB: Cranes.\nB: A river.", "What? Cranes."),
    "summary": (ENGLISH[0][:120] + " and so on, as it was said above, for the ships.", "Cranes"),
    "audience-child": ("Cranes and a river and boxes and ships and no full stop",),
    "audience-expert": ("Cranes.",),
}


@pytest.mark.parametrize("name", GOOD)
def test_each_strategy_takes_its_layout_and_no_other(name: str, tmp_path: Path) -> None:
    seeds = tmp_path / "one.jsonl"
    seeds.write_text(seed_lines(ENGLISH[:1]))
    order = Order(STRATEGIES[name], "en", 9)
    with lab(lambda prompt, i: Sent(f"#{tag_in(prompt)}\n{GOOD[name]}")) as server:
        made = run(endpoint(server), seeds, tmp_path / "good", order=order)
        assert made.documents == 1, rows(tmp_path / "good", "rejected")
        assert rows(tmp_path / "good")[0]["form"] == STRATEGIES[name].form
        for i, bad in enumerate(BAD[name]):
            server.answer = lambda prompt, _, bad=bad: Sent(f"#{tag_in(prompt)}\n{bad}")
            assert run(endpoint(server), seeds, tmp_path / str(i), order=order).rejected == {"invalid-format": 1}, bad


def test_french_is_asked_for_in_french_and_written_in_its_way(tmp_path: Path) -> None:
    seeds = tmp_path / "fr.jsonl"
    seeds.write_text(seed_lines(FRENCH, "fr"))
    with lab() as server:
        made = run(endpoint(server), seeds, tmp_path / "out", order=Order(STRATEGIES["faq"], "fr", 9))
    assert made.documents == 2 and {row["language"] for row in rows(tmp_path / "out")} == {"fr"}
    assert all("N'utilise que ce que dit le texte" in prompt for prompt in server.prompts)


def test_without_a_document_each_call_has_its_own_seed_and_a_repeat_counts_once(tmp_path: Path) -> None:
    story = "A small boat went out to sea. The wind broke its mast, and the boy inside rowed home."
    with lab(lambda prompt, i: Sent(story if i < 3 else f"{story} It was day {i} of the spring.")) as server:
        made = run(endpoint(server), None, tmp_path / "out", order=Order(strategy_named("story", True), "en", 5))
    assert made.asked == len(server.prompts) == 5
    assert made.documents == 3 and made.rejected == {"repeated": 2}
    row = rows(tmp_path / "out")[0]
    assert (row["origin"], row["parents"], row["licence"], row["category"]) == ("teacher", [], "Apache-2.0", "stories")


def test_an_interrupt_takes_in_what_is_on_its_way_and_the_next_run_goes_on(seeds: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with lab() as server:
        with pytest.raises(KeyboardInterrupt):
            make(seeds, Order(STRATEGIES["faq"], "en", 9), lambda journal: Run(
                endpoint(server), journal, patience=Patience(at_once=2), report=stop), tmp_path / "out")
        n = len(server.prompts)
        assert 2 <= n <= 3
        made = run(endpoint(server), seeds, tmp_path / "out", order=Order(STRATEGIES["faq"], "en", 9))
    assert made.documents == 4 and len(server.prompts) == 4


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


@pytest.mark.parametrize("refuses", [("seed",), ("max_tokens",), ("max_tokens", "seed")])
def test_servers_that_refuse_a_parameter_are_asked_without_it(refuses: tuple[str, ...], seeds: Path,
                                                              tmp_path: Path) -> None:
    with lab() as server:
        server.refuses = refuses
        assert run(endpoint(server), seeds, tmp_path / "out").documents == 4
        server.refuses = ("messages",)
        with pytest.raises(StopError, match="no request is taken"):
            run(endpoint(server), seeds, tmp_path / "none")


def test_a_full_disk_stops_with_a_sentence_and_the_next_run_goes_on(seeds: Path, tmp_path: Path) -> None:
    def full(journal: Journal) -> Run:
        journal._db.execute("PRAGMA max_page_count = 6")
        return Run(teacher, journal, clock=Fake().clock())

    seeds.write_text(seed_lines(many(30)))
    with lab() as server:
        teacher = endpoint(server)
        with pytest.raises(PetitError, match="make room"):
            make(seeds, Order(STRATEGIES["faq"], "en", 99), full, tmp_path / "out")
        assert run(teacher, seeds, tmp_path / "out").documents == 30


def test_two_runs_do_not_share_a_folder(seeds: Path, tmp_path: Path) -> None:
    with held(tmp_path / "out"), pytest.raises(UsageError):
        run(small_own(""), seeds, tmp_path / "out")


def test_what_real_text_says_is_grounded_in_it_and_what_is_planted_is_not(shared: Path) -> None:
    """Every other sentence of a passage, in any order, has no new number and no new name; a planted one is found."""
    n = 0
    for name in ("novels_en", "novels_fr", "openstax_physics"):
        for raw, _ in zip(read(shared / "data" / "text" / f"{name}.jsonl.gz", Reading(passage_chars=3000)), range(60),
                          strict=False):
            said = re.split(r"(?<=[.!?])\s+", raw.text)[1::2] if isinstance(raw, Raw) else []
            if len(said) < 3:
                continue
            n += 1
            Random(n).shuffle(said)
            assert isinstance(raw, Raw)
            text = " ".join(said)
            assert (new_numbers(text, raw.text), new_names(text, raw.text)) == ([], [])
            assert new_numbers(f"{text} It is 48127.5 long.", raw.text) == ["48127.5"]
            assert new_names(f"{text} and then old Xandrov came.", raw.text) == ["Xandrov"]
    assert n > 100


@pytest.mark.parametrize(("said", "seed"), [
    ("1 234 habitants", "1,234 people"), ("3,5 kg", "3.5 kg"), ("12 eggs", "twelve eggs"), ("007", "7"),
    ("1. First\n2. Then 5", "five things"), ("2,50 euros", "2.5 euros"), ("21 jours", "vingt et un (21) jours"),
])
def test_one_number_has_many_writings(said: str, seed: str) -> None:
    assert new_numbers(said, seed) == []


@pytest.mark.parametrize(("said", "seed", "new"), [
    ("1 235", "1,234", ["1235"]), ("3.5", "35", ["3.5"]), ("2024", "in 20 and 24", ["2024"]), ("13", "three", ["13"]),
])
def test_other_numbers_are_new(said: str, seed: str, new: list[str]) -> None:
    assert new_numbers(said, seed) == new
