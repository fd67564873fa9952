"""Programs that came as data: what they may compute, and all the ways out that they must not find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from petitlm.data import sandbox_worker
from petitlm.data.sandbox import Limits, Sandbox, refusal
from petitlm.errors import RefusedError, UsageError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs are run on Linux and macOS only")

LIMITS = Limits(seconds=0.2, memory_mb=128, output_bytes=2000, silence_s=2)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def bare() -> Iterator[Sandbox]:
    """Without the list of syntax: only the process holds the program."""
    with Sandbox(LIMITS, syntax="any") as made:
        yield made


def test_a_program_runs_and_its_functions_answer(sandbox: Sandbox) -> None:
    program = "def total(xs):\n    return sum(x for x in xs if x % 2 == 0)\nprint('été', total([2, 3]), sep='|')"
    outcome = sandbox.run(program, ["total([1, 2, 4])", "[str(total([])), None, 1.5]"])
    assert outcome == ("ok", "été|2\n", (6, ["0", None, 1.5]), "")
    assert sandbox.run("print(f'{3:04d} {[1, 2][::-1]}')").printed == "0003 [2, 1]\n"


def test_one_program_leaves_nothing_to_the_next(sandbox: Sandbox) -> None:
    assert sandbox.run("x = 1\nprint = 5\nlen = 7").status == "ok"
    outcome = sandbox.run("print(len([1]))\nprint(x)")
    assert (outcome.status, outcome.printed) == ("error", "1\n")
    assert "NameError" in outcome.detail


@pytest.mark.parametrize(("program", "status"), [
    ("while True: pass", "time"),
    ("x = 0\nfor i in range(10 ** 12): x += i", "time"),
    ("x = 9 ** 9 ** 9", ("time", "died")),
    ("print(sum(range(10 ** 12)))", "died"),  # one step that Python cannot interrupt: the kernel ends it
    ("x = 'a' * 10 ** 10", "memory"),
    ("x = [0]\nwhile True: x = x + x", ("memory", "time")),
    ("for i in range(10 ** 6): print('a' * 10)", "output"),
    ("print('a' * 5000)", "output"),
    ("f = lambda g: g(g)\nf(f)", "error"),
    ("1 / 0", "error"),
    ("(" * 5000, "refused"),
    ("x = " + "-" * 19_000 + "1", ("refused", "error")),
    ("x = 1 #" + "y" * 20_000, "refused"),
    ("def f(:", "refused"),
    ("x = '\0'", "refused"),
])  # fmt: skip
def test_trouble_has_a_name_and_the_next_program_runs(sandbox: Sandbox, program: str, status: str | tuple) -> None:
    outcome = sandbox.run(program)
    assert outcome.status in status if isinstance(status, tuple) else outcome.status == status
    assert outcome.detail
    assert sandbox.run("x = 2", ["x + 1"]).values == (3,)


@pytest.mark.parametrize("program", [
    "import os", "from os import path", "__import__('os')", "().__class__.__base__.__subclasses__()",
    "print.__self__", "'{0.__class__}'.format(1)", "(lambda: 0).__code__", "f'{().__class__}'", "x = {}.__init__",
    "class A: pass", "try:\n    1\nexcept BaseException: pass", "with 1: pass", "global x", "async def f(): pass",
    "def f(): yield 1", "@print\ndef f(): pass", "del x", "def __getattr__(): pass", "print(**{'__a': 1}, __b=2)",
    "x: __y__ = 1", "match 1:\n    case _: pass", "(x for x in []).gi_frame", "'a'.encode('latin-1')",
])  # fmt: skip
def test_syntax_off_the_list_is_refused_with_its_line(sandbox: Sandbox, program: str) -> None:
    outcome = sandbox.run(program)
    assert outcome.status == "refused"
    assert outcome.detail == refusal(program)
    assert "line 1" in outcome.detail or "line 2" in outcome.detail


@pytest.mark.parametrize("name", ["open", "eval", "exec", "getattr", "globals", "vars", "type", "object", "input", "id",
                                  "hash", "compile", "breakpoint", "memoryview"])  # fmt: skip
def test_built_ins_off_the_list_are_not_there(sandbox: Sandbox, name: str) -> None:
    outcome = sandbox.run(f"print({name})")
    assert outcome.status == "error"
    assert "NameError" in outcome.detail


def test_calls_obey_the_same_list(sandbox: Sandbox) -> None:
    assert sandbox.run("x = 1", ["x.__class__"]).status == "refused"
    assert sandbox.run("x = 1", ["x", "print"]).status == "error"


def test_what_depends_on_the_order_of_a_set_is_unstable(sandbox: Sandbox) -> None:
    words = "['pomme', 'poire', 'kiwi', 'figue', 'noix']"
    assert sandbox.run(f"print(list(set({words})))").status == "unstable"
    assert sandbox.run(f"x = {words}", ["[w for w in {*x}]"]).status == "ok", "only the program is looked at for sets"
    assert sandbox.run(f"d = {{w: 1 for w in {words}}}\nprint(list(d.keys() & d.keys()))").status == "unstable"
    assert sandbox.run(f"print(sorted(set({words})), len(set({words})))").status == "ok"


ESCAPES = {
    "file": "open('/etc/passwd').read()",
    "write": "open('escaped', 'w')",
    "folder": "import os\nos.listdir('/')",
    "socket": "import _socket\n_socket.socket()",
    "fork": "import posix\nposix.fork()",
    "fork bomb": "import posix\nwhile True: posix.fork()",
    "run": "import os\nos.system('true')",
    "kill": "import posix\nposix.kill(1, 0)",
    "exit": "import sys\nsys.exit(0)",
    "builtin importer": (
        "found = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'BuiltinImporter'][0]\n"
        "found.load_module('posix').open('/etc/passwd', 0)"
    ),
    "fork by the importer": (
        "found = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'BuiltinImporter'][0]\n"
        "found.load_module('posix').fork()"
    ),
    "the C library": (
        "import sys\nlibrary = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'CDLL'][0]\n"
        "library(None).system(b'true')"
    ),
    "the worker's own modules": "import sys\nsys.modules['__main__'].os.open('/etc/passwd', 0)",
    "no list of syntax": "import sys\nsys.modules['__main__'].refusal = lambda source: None\n1 / 0",
    "wait": "import time\ntime.sleep(3600)\n1 / 0",
    "hold on": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "eat the memory": "x = []\nwhile True:\n    try: x.append(' ' * 10 ** 6)\n    except MemoryError: x.append(x)",
}  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES)
def test_without_the_list_the_process_alone_holds(bare: Sandbox, escape: str, tmp_path: Path) -> None:
    outcome = bare.run(ESCAPES[escape])
    assert outcome.status in ("error", "died", "time", "memory"), outcome
    assert not Path("/escaped").exists()
    assert bare.run("x = 2", ["x + 1"]).values == (3,), "the next program finds a sound worker"


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are filtered on Linux only")
def test_the_kernel_refuses_where_no_audit_event_is_raised(bare: Sandbox) -> None:
    if "seccomp" not in bare.layers:
        pytest.skip("this kernel offers no seccomp filter, or the processor is not in the table")
    # dup and uname raise no audit event, so only the filter can stop them.
    main = "import sys\nos = sys.modules['__main__'].os\n"
    for call in ("os.dup(1)", "os.uname()"):
        outcome = bare.run(f"{main}x = {call}")
        assert outcome.status == "error"
        assert "Operation not permitted" in outcome.detail


WITHOUT = {
    "audit": "sys.addaudithook = lambda hook: None",
    "seccomp and namespaces": "w._filter_system_calls = w._leave_the_world = lambda libc: False",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one layer only")
@pytest.mark.parametrize("left_out", WITHOUT)
def test_what_one_layer_misses_another_stops(left_out: str, bare: Sandbox) -> None:
    if left_out == "audit" and "seccomp" not in bare.layers:
        pytest.skip("this kernel offers no seccomp filter, or the processor is not in the table")
    folder = str(Path(sandbox_worker.__file__).parent)
    opening = f"import sys\nsys.path.insert(0, {folder!r})\nimport sandbox_worker as w\n"
    program = f"{opening}{WITHOUT[left_out]}\nw.main()"
    for name in ("file", "write", "socket", "fork", "run", "kill", "builtin importer", "the C library"):
        request = {"program": ESCAPES[name], "calls": [], "seconds": 1, "output_bytes": 100, "syntax": "any"}
        done = subprocess.run([sys.executable, "-S", "-P", "-B", "-c", program, str(128 << 20)], check=False,
                              input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=60)  # fmt: skip
        hello, *replies = map(json.loads, done.stdout.splitlines())
        assert left_out != "audit" or "seccomp" in hello["layers"]
        assert left_out == "audit" or "seccomp" not in hello["layers"]
        if name in ("run", "the C library") and left_out == "audit":
            assert replies[0]["status"] in ("ok", "error"), "system() reports its failure instead of raising"
        else:
            assert replies[0]["status"] == "error", (name, replies)


def test_a_worker_serves_many_programs_and_closing_ends_it() -> None:
    sandbox = Sandbox(LIMITS)
    assert sandbox.run("x = 1").status == "ok"
    worker = sandbox._workers[1]
    for _ in range(50):
        assert sandbox.run("y = 1").status == "ok"
    assert sandbox._workers[1] is worker
    assert {"limits", "audit"} <= sandbox.layers
    sandbox.close()
    assert sandbox._workers == {}


def test_a_worker_that_dies_between_programs_is_noticed() -> None:
    with Sandbox(LIMITS) as sandbox:
        assert sandbox.run("x = 1").status == "ok"
        process = sandbox._workers[1]._end.peek()[2][0]
        process.kill()
        process.wait()
        assert sandbox.run("x = 1").status == "died"
        assert sandbox.run("x = 1").status == "ok"


def test_a_forked_copy_takes_a_worker_of_its_own() -> None:
    with Sandbox(LIMITS) as sandbox:
        assert sandbox.run("x = 1").status == "ok"
        before = sandbox._workers[1]
        before.owner += 1  # as a forked process sees it
        assert sandbox.run("x = 1").status == "ok"
        assert sandbox._workers[1] is not before
        before.owner -= 1


def test_limits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="memory_mb"):
        Limits(memory_mb=1)
    with pytest.raises(UsageError, match="syntax"):
        Sandbox(syntax="all")
    with pytest.raises(RefusedError, match="Linux"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "name", "nt")
        Sandbox()
