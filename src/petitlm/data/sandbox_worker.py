"""The process in which programs that came as data run: it locks itself in, then takes one program after another.

It runs as a file of its own and imports nothing but the standard library. Its layers, several across every way out:
a list of allowed syntax (no import, no underscore names, only listed methods and built-ins); namespaces without
network and an empty root folder; a seccomp list of system calls (none that opens a file or a socket, starts a
process or a thread); resource limits; an audit hook. Which of them this system grants is told in the first line.
A line of JSON comes in for each program, {"program", "calls", "seconds", "output_bytes", "syntax"}, and one goes out.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import os
import platform
import signal
import struct
import sys
from types import FrameType

MAX_SOURCE = 20_000
"""Characters of a program; no exercise is longer."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Every kind of syntax that a program may use; import, class, try, with, global, async, yield and del are left out.
_NODES = _words("""
    Module Expression Expr FunctionDef arguments arg Return Assign AugAssign AnnAssign For While If Pass Break Continue
    Assert BoolOp And Or BinOp Add Sub Mult Div FloorDiv Mod Pow LShift RShift BitOr BitXor BitAnd UnaryOp Invert Not
    UAdd USub Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp comprehension Compare Eq NotEq Lt LtE Gt GtE
    Is IsNot In NotIn Call keyword Constant FormattedValue JoinedStr Attribute Subscript Slice Starred Name List Tuple
    Load Store
""")
_METHODS = _words("""
    add append capitalize clear copy count difference discard endswith extend find get index insert intersection isalnum
    isalpha isdigit islower isspace isupper items join keys lower lstrip partition pop remove removeprefix removesuffix
    replace reverse rfind rstrip setdefault sort split splitlines startswith strip swapcase symmetric_difference title
    union update upper values zfill
""")
_BUILTINS = _words("""
    abs all any bin bool chr dict divmod enumerate filter float frozenset hex int isinstance iter len list map max min
    next ord pow print range repr reversed round set sorted str sum tuple zip True False None
""")


class _OutOfTime(BaseException):
    pass


class _TooMuchOutput(BaseException):
    pass


def refusal(source: str) -> str | None:
    """Why `source` is not a program that may run; None if all of its syntax is on the list."""
    if len(source) > MAX_SOURCE:
        return f"the program has {len(source):,} characters; {MAX_SOURCE:,} are allowed"
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the program is not Python: {error}"
    for node in ast.walk(tree):
        if reason := _refused_node(node):
            return f"line {getattr(node, 'lineno', 1)}: {reason}"
    return None


def _refused_node(node: ast.AST) -> str | None:
    kind = type(node).__name__
    if kind not in _NODES:
        return f"{kind} is not allowed in a program"
    if isinstance(node, ast.FunctionDef) and node.decorator_list:
        return "decorators are not allowed in a program"
    if isinstance(node, ast.Attribute) and node.attr not in _METHODS:
        return f"the attribute {node.attr!r} is not allowed in a program"
    names = [getattr(node, field, None) for field in ("id", "name", "arg")]
    if named := next((name for name in names if isinstance(name, str) and name.startswith("__")), None):
        return f"the name {named!r} is not allowed in a program"
    return None


def uses_sets(source: str) -> bool:
    """Whether what `source` prints could depend on the order of a set, which changes from process to process."""
    return any(
        isinstance(node, ast.Set | ast.SetComp)
        or (isinstance(node, ast.Name) and node.id in ("set", "frozenset"))
        or (isinstance(node, ast.Attribute) and node.attr in ("keys", "items"))  # joined by | or &, they give sets
        for node in ast.walk(ast.parse(source))
    )


def run(request: dict[str, object]) -> dict[str, object]:
    """Run one program, then evaluate the calls: {"status", "detail", "printed", "values"}; values are `repr`s."""
    program, calls = str(request["program"]), [str(call) for call in request["calls"]]  # type: ignore[attr-defined]
    printed: list[str] = []
    values: list[str] = []

    def reply(status: str, detail: object = "") -> dict[str, object]:
        return {"status": status, "detail": str(detail)[:300], "printed": "".join(printed), "values": values}

    try:
        is_listed = request["syntax"] == "listed"
        for source in (program, *calls) if is_listed else ():
            if reason := refusal(source):
                return reply("refused", reason)
        space = _namespace(printed, int(request["output_bytes"]), is_listed)  # type: ignore[call-overload]
        with _time_limit(float(request["seconds"])):  # type: ignore[arg-type]
            exec(compile(program, "<program>", "exec"), space)
            for call in calls:
                values.append(repr(eval(compile(call, "<call>", "eval"), space)))
                if sum(map(len, values)) > int(request["output_bytes"]):  # type: ignore[call-overload]
                    raise _TooMuchOutput
        return reply("ok")
    except _OutOfTime:
        return reply("time", f"it ran for more than {request['seconds']} s")
    except _TooMuchOutput:
        values.clear()
        return reply("output", f"it gave more than {request['output_bytes']} bytes")
    except MemoryError:
        return reply("memory", "it needs more memory than is allowed")
    except BaseException as error:
        return reply("error", f"{type(error).__name__}: {error}")


def _namespace(printed: list[str], output_bytes: int, is_listed: bool) -> dict[str, object]:
    n_left = output_bytes

    def bounded_print(*values: object, sep: str = " ", end: str = "\n") -> None:
        nonlocal n_left
        text = sep.join(map(str, values)) + end
        n_left -= len(text.encode("utf-8", "replace"))
        if n_left < 0:
            raise _TooMuchOutput
        printed.append(text)

    names = {name: getattr(builtins, name) for name in _BUILTINS} if is_listed else dict(vars(builtins))
    return {"__builtins__": {**names, "print": bounded_print}, "__name__": "__program__"}


def _on_alarm(_signal: int, _frame: FrameType | None) -> None:
    raise _OutOfTime


@contextlib.contextmanager
def _time_limit(seconds: float):  # type: ignore[no-untyped-def]  # a worker reads no typing module
    """Raise after `seconds` of processor time; after three times as much the kernel ends the process."""
    signal.setitimer(signal.ITIMER_PROF, 3 * seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_resources(resource: object, memory_bytes: int) -> None:
    for name, amount in (
        ("RLIMIT_AS", memory_bytes), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 0), ("RLIMIT_NOFILE", 3),
    ):  # fmt: skip
        # macOS lacks some of them and cannot lower others.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (amount, amount))  # type: ignore[attr-defined]


def _leave_the_world(libc: object) -> bool:
    """Move to namespaces of its own: no network but a dead loopback, and a root folder without any file."""
    new_namespaces = 0x10000000 | 0x40000000 | 0x00020000 | 0x08000000 | 0x04000000  # user, net, mount, IPC, UTS
    if libc.unshare(new_namespaces) != 0:  # type: ignore[attr-defined]
        return False
    import tempfile

    with contextlib.suppress(OSError):
        empty = tempfile.mkdtemp()
        os.chdir(empty)
        os.rmdir(empty)  # a folder that is gone can hold no file
        os.chroot(".")
        return True
    return False


# System calls that Python needs to compute, to take memory, and to read and write the pipes that it already has.
_CALLS = {
    "x86_64": (0xC000003E, (0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 36, 38, 39, 60, 96, 131, 186, 202,
                            219, 228, 231, 318)),
    "aarch64": (0xC00000B7, (57, 62, 63, 64, 73, 80, 93, 94, 98, 102, 103, 113, 124, 128, 132, 134, 135, 139, 169, 172,
                             178, 214, 215, 216, 222, 226, 233, 278)),
}  # fmt: skip


def _filter_system_calls(libc: object) -> bool:
    """Install a seccomp filter: every system call off the list fails with EPERM (Linux, seccomp(2))."""
    if platform.machine() not in _CALLS or sys.maxsize < 2**32:
        return False
    import ctypes

    arch, allowed = _CALLS[platform.machine()]
    load, jump_if_equal, give = 0x20, 0x15, 0x06  # BPF: LD|W|ABS, JMP|JEQ|K, RET|K
    kill, allow, refuse = 0x80000000, 0x7FFF0000, 0x00050000 | 1
    steps = [(load, 0, 0, 4), (jump_if_equal, 1, 0, arch), (give, 0, 0, kill), (load, 0, 0, 0)]
    for n_after, number in zip(range(len(allowed), 0, -1), allowed, strict=True):
        steps.append((jump_if_equal, n_after, 0, number))
    steps += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0:  # type: ignore[attr-defined]
        return False
    return libc.prctl(set_seccomp, by_filter, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0  # type: ignore[attr-defined]


# What may happen once the worker is locked in; `exec` and `compile` are how a program runs at all.
_EVENTS = frozenset({"compile", "exec", "object.__getattr__", "sys._getframe", "builtins.id", "signal.setitimer"})


def _watch(event: str, _arguments: object) -> None:
    if event not in _EVENTS:
        raise PermissionError(f"{event} is not allowed in a program")


def lock_in(memory_bytes: int) -> list[str]:
    """Take away from this process all that a program has no use for; return the names of the layers that hold."""
    import resource

    signal.signal(signal.SIGVTALRM, _on_alarm)
    held = ["limits", "audit"]
    libc = None
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if _leave_the_world(libc):
            held.append("namespaces")
    _limit_resources(resource, memory_bytes)
    # The codecs and modules that a program or its error messages could need, while files can still be opened.
    "".encode("utf-8", "replace").decode("ascii", "replace")
    json.loads(json.dumps({"ready": True}))
    run({"program": "print(sorted({1: 'é'}))", "calls": ["1"], "seconds": 1, "output_bytes": 99, "syntax": "listed"})
    if libc is not None and _filter_system_calls(libc):
        held.append("seccomp")
    sys.addaudithook(_watch)
    return held


def _answer(value: dict[str, object]) -> None:
    data = json.dumps(value).encode("ascii", "replace") + b"\n"
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    """Serve programs from standard input until it ends."""
    _answer({"layers": lock_in(int(sys.argv[1]))})
    pending = b""
    while chunk := os.read(0, 1 << 16):
        pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            _answer(run(json.loads(line)))


if __name__ == "__main__":
    main()
