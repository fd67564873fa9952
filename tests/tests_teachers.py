"""A real HTTP server on this machine that answers like an OpenAI endpoint, or as badly as a test asks."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq

from petitlm.data.teachers import own
from petitlm.data.teachers.endpoint import PROBE, Endpoint
from petitlm.data.teachers.make import Made, Order, make
from petitlm.data.teachers.protocol import Teacher
from petitlm.data.teachers.run import Budgets, Clock, Patience, Run
from petitlm.data.teachers.strategies import STRATEGIES

MODEL = "small-teacher"


@dataclass
class Said:
    """What the server sends."""

    text: str = ""
    finish: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    model: str = MODEL
    body: bytes | None = None
    """Sent as it is, instead of a chat completion."""
    stall_s: float = 0.0
    usage: bool = True


@dataclass
class Lab:
    """A server and what it was asked."""

    url: str
    prompts: list[str]
    """Of all requests but the probes."""
    probes: int = 0
    answer: Callable[[str, int], Said] = lambda prompt, i: Said()
    """(prompt, number of the request, from 0) -> what to send."""
    probe: Callable[[int], Said] = lambda i: Said("Nile, Rhine, oak")
    models: tuple[str, ...] = (MODEL,)
    refuses: tuple[str, ...] = ()
    """Parameters that the server answers with an error."""


def tag_in(prompt: str) -> str:
    """The name of the request."""
    found = re.search(r"#([0-9a-f]{8})", prompt)
    assert found, prompt
    return found[1]


def seed_in(prompt: str) -> str:
    """The document that a prompt gives."""
    return prompt.split("<text>\n", 1)[1].rsplit("\n</text>", 1)[0]


def faq(prompt: str) -> str:
    """A good FAQ about the document of a prompt, in its language."""
    first, second = re.split(r"(?<=\.) ", seed_in(prompt))[:2]
    if "en français" not in prompt:
        pairs = f"Q: What does the text say first?\nA: {first}\nQ: And what does it say then?\nA: {second}"
    else:
        pairs = f"Q : Que dit le texte en premier ?\nR : {first}\nQ : Et que dit-il ensuite ?\nR : {second}"
    return f"#{tag_in(prompt)}\n{pairs}"


@contextlib.contextmanager
def lab(answer: Callable[[str, int], Said] | None = None) -> Iterator[Lab]:
    """A server in a thread; without `answer` every reply is a good FAQ."""
    made = Lab("", [], answer=answer or (lambda prompt, i: Said(faq(prompt))))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            listed = [{"id": name, "owned_by": "lab"} for name in made.models]
            self._send(Said(body=json.dumps({"data": listed}).encode()))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            prompt = asked["messages"][-1]["content"]
            if refused := [name for name in made.refuses if name in asked]:
                self._send(Said(status=400, body=json.dumps({"error": {"message": f"no {refused[0]}"}}).encode()))
                return
            with lock:
                if prompt == PROBE:
                    made.probes += 1
                    n = made.probes
                else:
                    made.prompts.append(prompt)
                    n = len(made.prompts) - 1
            self._send(made.probe(n) if prompt == PROBE else made.answer(prompt, n))

        def _send(self, said: Said) -> None:
            time.sleep(said.stall_s)
            usage = {"usage": {"prompt_tokens": 100, "completion_tokens": 20}} if said.usage else {}
            body = said.body if said.body is not None else json.dumps({
                "model": said.model, **usage, "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": said.text},
                     "finish_reason": said.finish}]}).encode()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(said.status)
                for name, value in {"content-type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ENGLISH = (
    "The old harbour has 3 cranes beside the wide river. They lift the heavy boxes from the ships every morning. "
    "The workers write down what each ship has brought.",
    "The miller of Dorning grinds wheat for the whole valley. His mill stands where the stream is fastest in spring. "
    "In winter the ice stops the wheel for two months.",
    "A lamp needs oil, a wick and some air. The flame draws the oil up through the wick. Without the air the flame "
    "goes out, and the lamp stays dark.",
    "The library of the school opens at 8 in the morning. Pupils may keep the books for 14 days. Whoever brings them "
    "back late pays nothing, but has to tidy a shelf.",
)
FRENCH = (
    "Le vieux port possède 3 grues au bord du large fleuve. Elles soulèvent les lourdes caisses des navires chaque "
    "matin. Les ouvriers notent ce que chaque navire a apporté.",
    "Une lampe a besoin d'huile, d'une mèche et d'un peu d'air. La flamme aspire l'huile par la mèche. Sans air la "
    "flamme s'éteint, et la lampe reste sombre.",
)


def seed_lines(texts: tuple[str, ...] = ENGLISH, language: str = "en", licence: str = "CC-BY-4.0") -> str:
    """A JSONL file of seeds."""
    return "".join(json.dumps({"text": text, "language": language, "licence": licence}) + "\n" for text in texts)


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


def many(n: int) -> tuple[str, ...]:
    """Seeds that differ in their first sentence, which the server's FAQ quotes."""
    return tuple(f"The keeper of book {i} wrote the following lines. {ENGLISH[i % 4]}" for i in range(n))


def rows(out: Path, name: str = "documents") -> list[dict[str, Any]]:
    return pq.read_table(out / f"{name}.parquet").to_pylist()


def small_own(said: str, licence_terms: str = "MIT") -> own.Own:
    return own.Own("small", "ab" * 32, lambda request: own.Said(said or faq(request.messages[-1][1]), "stop", 30, 9),
               output_terms=licence_terms)
