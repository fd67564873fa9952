"""Runs with a teacher: a real HTTP server that lies, stalls and fails, and what is on disk after it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import pytest
from tests_teachers import (
    MODEL,
    Fake,
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

from petitlm.data.corpus.store import held
from petitlm.data.teachers.endpoint import retry_after
from petitlm.data.teachers.journal import Journal
from petitlm.data.teachers.make import Order, make
from petitlm.data.teachers.protocol import ChangedError, Request, StopError, TeacherError
from petitlm.data.teachers.run import Budgets, Patience, Run
from petitlm.data.teachers.strategies import STRATEGIES
from petitlm.errors import PetitError, UsageError


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(seed_lines())
    return path


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
