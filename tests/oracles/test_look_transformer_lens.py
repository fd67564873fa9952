"""petit = TransformerLens on the same tiny random checkpoints: every tap, the lens, attribution, patching."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm import look
from petitlm.decoder import tap_names
from petitlm.look.models import Model
from petitlm.look.patch import Patched
from petitlm.taps import by_head
from petitlm.tokenizer import Tokenizer
from tests_oracles import CONFIGS, ask, make_folder

pytestmark = pytest.mark.slow  # another interpreter imports torch and transformers: some 15 s for each model
TOLERANCE = 1e-4  # of values of size about 1 to 10: two float32 implementations that add in different orders
CLEAN, CORRUPT, ANSWER, VERSUS = [5, 9, 31, 7, 77, 200, 13, 40], [5, 9, 88, 7, 77, 150, 13, 40], 17, 99
SAME = 2  # tokens before the first that differs
_theirs: dict[str, tuple[Path, dict[str, np.ndarray]]] = {}


@pytest.fixture(params=sorted(CONFIGS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Tokenizer
         ) -> tuple[Path, dict[str, np.ndarray]]:
    """A checkpoint's folder, and what TransformerLens says of it."""
    name = request.param
    if name not in _theirs:
        folder = make_folder(tmp_path_factory.mktemp("oracle") / "model", name, byte_tokenizer)
        _theirs[name] = folder, ask("transformer_lens_worker.py", folder, folder.parent / "out.npz", clean=CLEAN,
                                    corrupt=CORRUPT, answer=ANSWER, versus=VERSUS)
    return _theirs[name]


@pytest.fixture(params=["engine", "torch"])
def model(request: pytest.FixtureRequest, case: tuple[Path, dict[str, np.ndarray]]) -> Model:
    """petit's own, on either set of layers, in float32."""
    return petitlm.load(case[0], layers=request.param, bits=32, threads=1)


@pytest.fixture
def theirs(case: tuple[Path, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return case[1]


def assert_near(ours: np.ndarray, expected: np.ndarray, what: str = "") -> None:
    assert np.shape(ours) == expected.shape, what
    np.testing.assert_allclose(ours, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=what)


def test_every_tap(model: Model, theirs: dict[str, np.ndarray]) -> None:
    names = tap_names(model.config)
    trace = model.trace(CLEAN, names)
    compared = 0
    for name in names:
        # after the gain and bias, where there `hook_normalized` is before them
        known = name.replace("hook_normalized", "hook_out") if name.endswith("normalized") else name
        if f"tap {known}" not in theirs:
            continue
        ours, expected = trace[name], theirs[f"tap {known}"][0]
        if name.endswith("attn_scores"):
            seen = np.tril(np.ones(ours.shape[1:], bool))
            assert np.isneginf(ours[:, ~seen]).all()
            ours, expected = ours[:, seen], expected[:, seen]
        assert_near(ours, expected, name)
        compared += 1
    assert compared >= len(names) - 1, "all but one: GPT-2's learned positions have another shape there"
    assert any(by_head(name) for name in names)


def test_logit_lens(model: Model, theirs: dict[str, np.ndarray]) -> None:
    """Log-probabilities of every token after the embedding and every block, at every position."""
    read, expected = look.lens(model, CLEAN, top=5, follow=list(range(264))).reading, theirs["lens"][:, 0]
    assert_near(read.followed, expected)
    order = np.argsort(-expected, axis=-1, kind="stable")[..., :5]
    np.testing.assert_array_equal(read.top_ids, order)
    assert_near(read.entropy, -(np.exp(expected) * expected).sum(-1))


def test_direct_logit_attribution_by_layer(model: Model, theirs: dict[str, np.ndarray]) -> None:
    """There the value biases are moved to the biases that are added after the heads: the sum is the same."""
    found = look.dla(model, CLEAN, ANSWER, VERSUS, unit="layer")
    labels = [str(label) for label in theirs["dla component labels"]]
    ours = {term.name: term.value for term in found.terms}
    for label, expected in zip(labels, theirs["dla component"][:, 0], strict=True):
        layer, _, part = label.partition("_")
        name = f"{'attn' if part == 'attn_out' else 'mlp'} {layer}" if layer.isdigit() else label
        assert abs(ours[name] - expected) <= TOLERANCE * max(1, abs(expected)), label


def test_direct_logit_attribution_by_head(model: Model, theirs: dict[str, np.ndarray]) -> None:
    found = look.dla(model, CLEAN, ANSWER, VERSUS, unit="head", basis="folded")
    labels = [str(label) for label in theirs["dla head labels"]]
    heads = {f"L{term.layer}H{term.index}": term.value for term in found.terms if term.kind == "head"}
    assert heads.keys() == set(labels) - {"remainder"}
    for label, expected in zip(labels, theirs["dla head"][:, 0], strict=True):
        if label in heads:
            assert abs(heads[label] - expected) <= TOLERANCE * max(1, abs(expected)), label


def restored(found: Patched) -> np.ndarray:
    """Return the metric itself in the corrupt run with each part's clean value, as sweeps there return it."""
    return found.base + found.effects


@pytest.mark.parametrize("over", ["resid_pre", "attn_out", "mlp_out", "heads", "q", "k", "v", "pattern"])
def test_patching_sweeps(model: Model, theirs: dict[str, np.ndarray], over: str) -> None:
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over=over)
    assert abs(found.base - theirs["corrupt metric"]) <= TOLERANCE * 10
    expected = theirs[f"patch {over}"]
    if over in ("resid_pre", "attn_out", "mlp_out"):  # by position: petit takes those from the first difference on
        assert_near(expected[:, :SAME], np.full((len(expected), SAME), found.base))
        expected = expected[:, SAME:]
    assert_near(restored(found), expected, over)


def test_patching_heads_at_each_position(model: Model, theirs: dict[str, np.ndarray]) -> None:
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="heads", each=True)
    expected = theirs["patch heads, each position"]  # (layer, position, head)
    ours = restored(found).reshape(len(expected), model.config.n_heads, -1)
    assert_near(ours, expected.transpose(0, 2, 1)[..., SAME:])
