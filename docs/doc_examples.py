"""The examples in the docs: run as they stand, compared with what they show, or shown again as they run.

A fenced `console` block holds commands after `$ ` and their output. Commands that begin with petit (or pipe into it)
are run by bash, in one empty folder for each file; others, such as `make run`, are left to the reader. In the expected
output a line `...` stands for any lines, and speeds and durations match any others. A comment before the block changes
that: `<!-- example: varies -->` (only the exit code counts), `<!-- example: exit 3 -->`, and
`<!-- example: needs a phi-2 folder -->`. A fenced `python` block is run, too.

usage: doc_examples.py [--update] [FILE...]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"(?:<!-- example: (?P<note>[^>]*?) -->\n)?^```(?P<kind>console|python)\n(?P<body>.*?)^```$",
                   re.M | re.S)
RUNNABLE = re.compile(r"(petit\b|[^|]*\| *petit\b)")
# What two runs of one command differ in: speeds, durations, and how much they led petit to guess.
MASKS = ((re.compile(r" · \d+ of \d+ guesses right"), ""),
         # What a corpus is made by has a part in its name: its identity changes with petit's own code.
         (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
         (re.compile(r"[\d,]+\.\d+ tokens/s"), "N tokens/s"), (re.compile(r"[\d,]+\.\d+ s\b"), "N s"))


@dataclass(frozen=True)
class Example:
    """One fenced block."""

    file: Path
    line: int
    kind: str
    """console or python."""
    note: str
    """What the comment before it says, or nothing."""
    body: str

    @property
    def skip_reason(self) -> str | None:
        """Why it cannot be run here; None if it can."""
        if self.note.startswith("needs"):
            return f"{self.note}; put one beside the checkout and run the commands there"
        if self.kind == "console" and not any(RUNNABLE.match(command) for command, _ in self.steps()):
            return "no command of petit in it"
        return None

    def steps(self) -> Iterator[tuple[str, str]]:
        """Yield (command, expected output) of a console block."""
        for part in re.split(r"^\$ ", self.body, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def examples(file: Path) -> list[Example]:
    """Return the examples of a Markdown file."""
    text = file.read_text("utf-8")
    return [Example(file, text.count("\n", 0, match.start("body")), match["kind"], match["note"] or "", match["body"])
            for match in FENCE.finditer(text)]


def documents() -> list[Path]:
    """Return every Markdown file whose examples count."""
    return [ROOT / "README.md", ROOT / "LISEZMOI.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run_step(command: str, folder: Path) -> tuple[int, str]:
    """Run one command line in `folder`; return its exit code and all it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "100"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    return done.returncode, done.stdout


def run_example(example: Example, folder: Path) -> Example:
    """Run an example, beside the checkout's recipes, and return it with the output that it gave now.

    Raises: AssertionError if a command ends with another exit code than the docs say.
    """
    if not (folder / "recipes").exists():
        (folder / "recipes").symlink_to(ROOT / "recipes")
    if example.kind == "python":
        script = folder / "example.py"
        script.write_text(example.body, "utf-8")
        code, output = run_step(f"{sys.executable} {script}", folder)
        assert code == 0, f"{example.file}:{example.line}: exit code {code}\n{output}"
        return example
    match = re.fullmatch(r"exit (\d+)", example.note)
    expected_code, body = int(match[1]) if match else 0, ""
    for command, expected in example.steps():
        if RUNNABLE.match(command):
            code, output = run_step(command, folder)
            assert code == expected_code, f"{example.file}:{example.line}: `{command}` gave exit code {code}\n{output}"
        else:
            output = expected
        body += f"$ {command}\n{output}"
    return replace(example, body=body)


def agrees(shown: Example, now: Example) -> bool:
    """Whether what the docs show is what the commands print."""
    if shown.note == "varies" or shown.kind == "python":
        return True
    pattern = r"(?:.*\n)*".join(map(re.escape, re.split(r"^\.\.\.\n", mask(shown.body), flags=re.M)))
    return re.fullmatch(pattern, mask(now.body)) is not None


def mask(text: str) -> str:
    """Return `text` with what differs from run to run replaced, and no spaces at the ends of lines."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return re.sub(r" +$", "", text, flags=re.M)


def update(file: Path) -> list[str]:
    """Write the outputs of now into `file` where they differ from those shown; return what failed."""
    text, failed = file.read_text("utf-8"), []
    with tempfile.TemporaryDirectory() as folder:
        for example in examples(file):
            try:
                now = example if example.skip_reason else run_example(example, Path(folder))
            except AssertionError as error:
                failed.append(str(error))
                continue
            if "\n...\n" not in example.body and (example.note == "varies" or not agrees(example, now)):
                text = text.replace(example.body, re.sub(r" +$", "", now.body, flags=re.M), 1)
    file.write_text(text, "utf-8")
    return failed


def compare(file: Path) -> list[str]:
    """Return what fails in `file`, or no longer prints what it shows."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for example in examples(file):
            try:
                if example.skip_reason is None and not agrees(example, now := run_example(example, Path(folder))):
                    wrong.append(f"{file}:{example.line}: the docs show\n{example.body}\nand now it prints\n{now.body}")
            except AssertionError as error:
                wrong.append(str(error))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the outputs of now into the docs")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    wrong = [line for file in map(Path.resolve, arguments.files or documents())
             for line in (update(file) if arguments.update else compare(file))]
    print("\n".join(wrong) or "docs: every example prints what it shows")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
