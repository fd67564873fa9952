"""`look.identities`: holds on every shape and format, and finds what is wrong where something is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests_look import random_model

import petitlm
from petitlm import look
from petitlm.cli import petit
from petitlm.engine.edits import Edit
from petitlm.engine.reference import ReferenceKernels
from petitlm.errors import ContextError, UsageError


@pytest.mark.parametrize(("name", "layers"), [
    ("phi", 8), ("phi, kv groups, tied", 4), ("llama", 16), ("llama", "torch"), ("gpt", 4), ("gpt", 32),
    ("gpt, gelu", "torch"),
])
def test_they_hold_in_every_model(name: str, layers: int | str) -> None:
    bits = 32 if layers == "torch" else int(layers)
    found = look.identities(random_model(name, bits, "torch" if layers == "torch" else "engine"))
    assert found.ok, found.table()
    assert len(found.checks) == 12 and "12 of 12" in found.table()


@pytest.mark.parametrize("cache", ["int8", "f16", "f32"])
def test_they_hold_with_every_cache(tiny_folder: Path, cache: str) -> None:
    found = look.identities(petitlm.load(tiny_folder, bits=16, cache=cache, threads=1), "The quick brown fox")
    assert found.ok, found.table()
    assert found.to_dict()["n_tokens"] == 19


BROKEN = {
    "what is written to the stream adds up to it": lambda tap: tap("hook_mlp_out", lambda x: x * 1.01),
    "each token's pattern adds up to 1": lambda tap: tap("hook_pattern", lambda x: x * 1.001),
    "no token looks ahead": lambda tap: tap("hook_pattern", lambda x: x + 1e-9),
    "the pattern mixes the values": lambda tap: tap("hook_v", lambda x: x * 1.1),
    "heads add up to the attention": lambda tap: tap("hook_z", lambda x: x[:, ::-1].copy()),
    "the lens at the last layer is the answer": lambda tap: tap("hook_resid_post", lambda x: x + 1e-3),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_tap_that_shows_what_is_not_there_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classic error: a value shown under a name that it does not belong to."""
    model = random_model("phi", 32)
    module = sys.modules[look.identities.__module__]  # the verb has the module's name
    whole = module.run_text

    def lying(runner, ids, keeps=(), edits=(), **options):
        trace = whole(runner, ids, keeps, edits, **options)

        def change(end: str, function) -> None:
            for tap in trace:
                if tap.endswith(end):
                    trace._kept[tap] = np.float32(function(trace[tap]))

        BROKEN[name](change)
        return trace

    monkeypatch.setattr(module, "run_text", lying)
    found = {check.name: check for check in look.identities(model).checks}
    assert not found[name].ok, str(found[name])


def test_edits_that_do_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent no-op is worse than an error: TransformerLens issue 1527 was one."""
    monkeypatch.setattr(Edit, "change", lambda *_: None)
    found = {check.name: check for check in look.identities(random_model("phi", 8)).checks}
    assert not found["a text's whole stream gives its answer in another"].ok
    assert found["blocks whose pattern can be changed without effect"].value == 2
    assert not found["blocks whose pattern can be changed without effect"].ok


def test_looking_that_changes_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("phi", 32)
    step, calls = type(model.runner.session(1, 16)).step, []

    def drifting(self, ids, positions, slots, wanted=None, tap=None):
        calls.append(1)
        rows = step(self, ids, positions, slots, wanted, *([] if tap is None else [tap]))
        return rows + np.float32(1e-6 * len(calls))

    monkeypatch.setattr(type(model.runner.session(1, 16)), "step", drifting)
    found = {check.name: check.ok for check in look.identities(model).checks}
    assert not found["looking changes nothing"] and found["no token looks ahead"]


def test_the_numpy_twins_are_held_to_rounding(tiny_folder: Path) -> None:
    model = petitlm.load(tiny_folder, bits=32, isa="numpy")
    assert isinstance(model.runner.kernels, ReferenceKernels)
    found = look.identities(model, "The quick")
    assert found.ok, found.table()


def test_the_command_says_so_and_replays(tiny_folder: Path, tmp_path: Path) -> None:
    saved = str(tmp_path / "finding.json")
    done = CliRunner().invoke(petit, ["look", "identities", "-m", str(tiny_folder), "-t", "1", "--save", saved])
    assert done.exit_code == 0 and "12 of 12" in done.output, done.output
    from petitlm.look.findings import load_finding, replay

    again = replay(load_finding(saved), petitlm.load(tiny_folder, threads=1))
    assert again.holds and again.verb == "identities"


def test_a_text_that_is_too_short_or_long_is_refused(tiny_folder: Path) -> None:
    model = petitlm.load(tiny_folder, threads=1)
    with pytest.raises(UsageError, match="has 3 tokens, and identities need 4 or more"):
        look.identities(model, "abc")
    with pytest.raises(ContextError, match="257 tokens and the context 256"):
        look.identities(model, [1] * 257)
