"""The docs: every example runs and prints what is shown, every link, option and name is there."""

from __future__ import annotations

from pathlib import Path

import doc_checks
import doc_examples
import pytest

FILES = doc_examples.documents()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(doc_examples.ROOT)))
def test_examples_print_what_they_show(file: Path) -> None:
    wrong = doc_examples.compare(file)
    assert not wrong, "\n".join(wrong)


def test_nothing_is_missing_or_leads_nowhere() -> None:
    found = list(doc_checks.problems())
    assert not found, "\n".join(found)


def test_an_example_that_needs_a_model_says_so() -> None:
    skipped = [example for file in FILES for example in doc_examples.examples(file) if example.skip_reason]
    reasons = {example.skip_reason for example in skipped if example.note}
    needs = ("needs a phi-2 folder", "needs llama-cpp-python", "needs labelled messages",
             "needs a server on this machine")
    assert all((reason or "").startswith(needs) for reason in reasons)


@pytest.mark.parametrize(("shown", "now", "same"), [
    ("$ petit run x\n42\n", "$ petit run x\n42\n", True),
    ("$ petit run x\n42\n", "$ petit run x\n43\n", False),
    ("$ petit run x\n3 tokens · 1.0 tokens/s · 3.00 s\n", "$ petit run x\n3 tokens · 9,999.1 tokens/s · 0.0 s\n", True),
    ("$ petit run x\n3 tokens · 1.0 tokens/s · 3.00 s\n", "$ petit run x\n4 tokens · 1.0 tokens/s · 4.00 s\n", False),
    ("$ petit info x\na\n...\nz\n", "$ petit info x\na\nb\nc\nz\n", True),
    ("$ petit info x\na\n...\nz\n", "$ petit info x\na\nb\nc\n", False),
])
def test_outputs_agree_but_for_speeds(shown: str, now: str, same: bool) -> None:
    def example(body: str) -> doc_examples.Example:
        return doc_examples.Example(Path("x.md"), 1, "console", "", body)

    assert doc_examples.agrees(example(shown), example(now)) is same


def test_a_broken_link_and_a_wrong_exit_code_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    links = "[good](#a-heading) [bad](nowhere.md) [worse](#no-such)"
    page.write_text(f"# A heading\n{links}\n\n```console\n$ petit rum\n```\n")
    monkeypatch.setattr(doc_checks, "ROOT", tmp_path)
    assert len(list(doc_checks.broken_links(page))) == 2
    assert "exit code 2" in doc_examples.compare(page)[0]
