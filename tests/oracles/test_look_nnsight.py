"""petit = nnsight on the same tiny random phi: states, patterns, the lens, patches and edits."""

from __future__ import annotations

import numpy as np
import pytest

import petitlm
from petitlm import look
from petitlm.engine.edits import Edit
from petitlm.look.models import Model
from petitlm.tokenizer import Tokenizer
from tests_oracles import ask, make_folder

pytestmark = pytest.mark.slow  # another interpreter imports torch and transformers
TOLERANCE = 1e-4  # of values of size about 1 to 10: two float32 implementations that add in different orders
CLEAN, CORRUPT, ANSWER, VERSUS = [5, 9, 31, 7, 77, 200, 13, 40], [5, 9, 88, 7, 77, 150, 13, 40], 17, 99


@pytest.fixture(scope="module", params=["phi", "phi, tied"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Tokenizer
         ) -> tuple[Model, dict[str, np.ndarray]]:
    folder = make_folder(tmp_path_factory.mktemp("oracle") / "model", request.param, byte_tokenizer)
    theirs = ask("nnsight_worker.py", folder, folder.parent / "out.npz", clean=CLEAN, corrupt=CORRUPT, answer=ANSWER,
                 versus=VERSUS)
    return petitlm.load(folder, bits=32, threads=1), theirs


def assert_near(ours: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(ours, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_states_and_patterns(case: tuple[Model, dict[str, np.ndarray]]) -> None:
    model, theirs = case
    trace, layers = model.trace(CLEAN, ["resid_post", "pattern"]), range(model.config.n_layers)
    assert_near(trace.logits, theirs["logits"])
    assert_near(np.stack([trace["pattern", i] for i in layers]), theirs["patterns"])
    assert_near(np.stack([trace["resid_post", i] for i in layers]), theirs["resid_post"])


def test_logit_lens(case: tuple[Model, dict[str, np.ndarray]]) -> None:
    model, theirs = case
    read = look.lens(model, CLEAN, follow=list(range(264))).reading
    assert_near(read.followed[1:], theirs["lens"])


def test_patches_of_the_stream(case: tuple[Model, dict[str, np.ndarray]]) -> None:
    model, theirs = case
    found = look.patch(model, CLEAN, CORRUPT, ANSWER, VERSUS, over="resid_post")
    assert_near(found.base + found.effects, theirs["patch resid_post"][:, 2:])  # from the first token that differs on


def test_edits(case: tuple[Model, dict[str, np.ndarray]]) -> None:
    model, theirs = case
    ours = [model.trace(CLEAN, edits=[Edit(("resid_post", 0), "scale", 0.5, p)]).logits[-1] for p in range(len(CLEAN))]
    assert_near(np.stack(ours), theirs["half of resid_post 0"])
