"""Probes: planted truths are read, shuffled labels are not, groups stay whole, figures equal scikit-learn's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm import look
from petitlm.errors import DamagedError, DoesNotFitError, UsageError
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.linear import group_folds
from petitlm.look.probe import Probe, fit_probe

LETTERS = "abcdefgh"


def texts(n: int, seed: int = 0) -> list[str]:
    """Return random texts whose last token is "x": what came before has to be carried there by attention."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(LETTERS), 4)) + "x" for _ in range(n)]


@pytest.fixture(scope="module", params=["engine 4", "engine 32", "torch 32"])
def model(request: pytest.FixtureRequest, tiny_folder: Path) -> petitlm.Model:
    layers, bits = request.param.split()
    return petitlm.load(tiny_folder, layers=layers, bits=None if layers == "torch" else int(bits), threads=1)


def test_the_token_itself_is_read_and_shuffled_labels_are_not(model: petitlm.Model) -> None:
    asked = texts(80)
    found = look.probe(model, asked, [text[1] in "abcd" for text in asked], taps=["embed", ("resid_post", 0)], at=1,
                       shuffles=5)
    for reading in found.readings:
        assert reading.score == 1.0
        assert reading.auroc == 1.0
        assert reading.control < 0.75
        assert reading.p == pytest.approx(1 / 6)
    assert found.checks[0].ok
    assert found.classes == (False, True)


def test_what_is_not_there_is_not_read(model: petitlm.Model) -> None:
    """The embedding of the last token, the same in all texts, says nothing of the first."""
    asked = texts(60)
    found = look.probe(model, asked, [text[0] for text in asked], taps=["embed"], shuffles=3, folds=3)
    baseline = max(sum(text[0] == letter for text in asked) for letter in LETTERS) / 60
    assert found.baseline == pytest.approx(baseline)
    assert found.readings[0].score <= baseline
    assert found.readings[0].p > 0.2


def test_a_label_of_the_group_alone_is_not_read_across_groups(tiny_folder: Path) -> None:
    """Each group has its own letter and a label by chance: known groups would give it away, new ones cannot."""
    model, rng = petitlm.load(tiny_folder, threads=1), np.random.default_rng(1)
    labels = dict(zip(LETTERS * 2, rng.permutation([0, 1] * 4).tolist(), strict=False))
    asked = texts(160, 2)
    groups = [text[3] for text in asked]
    alone = look.probe(model, asked, [labels[g] for g in groups], taps=["embed"], at=3, shuffles=0)
    whole = look.probe(model, asked, [labels[g] for g in groups], taps=["embed"], at=3, groups=groups, shuffles=0,
                       folds=4)
    assert alone.readings[0].score == 1.0
    assert whole.readings[0].score < 0.8
    assert whole.n_groups == 8
    assert whole.readings[0].high - whole.readings[0].low > 0.2


def test_accuracy_is_that_of_scikit_learn_on_the_same_folds(model: petitlm.Model) -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn; `make setup` installs it")
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    asked = texts(90, 3)
    labels = [text[2] in "aceg" for text in asked]
    found = look.probe(model, asked, labels, taps=[("resid_post", 1)], penalty=2.0, shuffles=0, seed=7)
    x = np.array([model.trace(text, [("resid_post", 1)])["resid_post", 1][-1] for text in asked], np.float64)
    theirs = np.empty((90, 2))
    for part in group_folds(range(90), 5, 7):
        rest = np.setdiff1d(np.arange(90), part)
        fitted = pipeline.make_pipeline(preprocessing.StandardScaler(),
                                        linear.LogisticRegression(C=0.5, tol=1e-9, max_iter=4000))
        theirs[part] = fitted.fit(x[rest], np.array(labels)[rest]).predict_proba(x[part])
    assert found.readings[0].score == np.mean(theirs.argmax(1) == labels)


def test_numbers_are_read_by_ridge(model: petitlm.Model) -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn; `make setup` installs it")
    metrics, preprocessing = (pytest.importorskip(f"sklearn.{name}") for name in ("metrics", "preprocessing"))
    asked = texts(90, 4)
    labels = [LETTERS.index(text[1]) * 1.5 for text in asked]
    found = look.probe(model, asked, labels, taps=[("resid_post", 0)], at=2, method="ridge", shuffles=4, penalty=3.0)
    x = np.array([model.trace(text, [("resid_post", 0)])["resid_post", 0][2] for text in asked], np.float64)
    theirs = np.empty(90)
    for part in group_folds(range(90), 5, 0):
        rest = np.setdiff1d(np.arange(90), part)
        scaler = preprocessing.StandardScaler().fit(x[rest])
        theirs[part] = linear.Ridge(3.0).fit(scaler.transform(x[rest]), np.array(labels)[rest]).predict(
            scaler.transform(x[part]))
    reading = found.readings[0]
    assert reading.score == pytest.approx(metrics.r2_score(labels, theirs), abs=1e-5)
    assert reading.control < 0.1
    assert reading.low <= reading.score <= reading.high
    assert found.classes == ()


def test_a_fitted_probe_is_kept_and_reads_new_texts(model: petitlm.Model, tmp_path: Path) -> None:
    asked, new = texts(80), texts(20, 9)
    fitted = fit_probe(model, asked, [text[1] for text in asked], "resid_post:0", at=1)
    fitted.save(tmp_path / "p.safetensors")
    again = Probe.load(tmp_path / "p.safetensors")
    assert (again.tap, again.at, again.classes) == ("blocks.0.hook_resid_post", 1, tuple(LETTERS))
    values = np.stack([model.trace(text, [again.tap])[again.tap][again.at] for text in new])
    assert again.read(values) == [text[1] for text in new]
    other = Path(tmp_path / "x.safetensors")
    other.write_bytes((tmp_path / "p.safetensors").read_bytes().replace(b"classes", b"classez"))
    with pytest.raises(DamagedError, match="is no probe"):
        Probe.load(other)


def test_taps_of_several_kinds_have_their_own_widths(tiny_folder: Path) -> None:
    model, asked = petitlm.load(tiny_folder, threads=1), texts(30)
    found = look.probe(model, asked, [text[0] in "abcd" for text in asked], taps=["z:1", "post:0", "logits"],
                       shuffles=0, folds=3)
    assert [r.tap for r in found.readings] == ["blocks.1.attn.hook_z", "blocks.0.mlp.hook_post", "logits"]


def test_a_finding_holds_and_its_result_is_plain(model: petitlm.Model, tmp_path: Path) -> None:
    asked = texts(40)
    result = look.probe(model, asked, [text[0] in "abcd" for text in asked], taps=["resid_post"], shuffles=2)
    save_finding(result, tmp_path / "f.json")
    assert replay(load_finding(tmp_path / "f.json"), model).holds
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "resid_post:1" in result.table()
    assert "<html" in result.html()
    assert result.best().score == max(r.score for r in result.readings)


@pytest.mark.parametrize(("change", "error", "message"), [
    (dict(labels=["a"] * 5), UsageError, "6 texts have 5 labels"),
    (dict(labels=["a"] * 6), UsageError, "all 6 labels are 'a'"),
    (dict(texts=[], labels=[]), UsageError, "no texts are given"),
    (dict(labels=["a", "b", "b", "b", "b", "b"]), UsageError, "only 1 of 2 labels occur"),
    (dict(method="ridge"), UsageError, "label 'a' is no number"),
    (dict(method="tree"), UsageError, "method='tree' is not known"),
    (dict(taps=["pattern:0"]), UsageError, "as wide as its text is long"),
    (dict(taps=["resid_mid"]), UsageError, "cannot exist"),
    (dict(folds=7), UsageError, "7 folds of 6 groups"),
    (dict(penalty=-1.0), UsageError, "penalty=-1.0"),
    (dict(at=9), UsageError, "position 9"),
    (dict(limit=100), DoesNotFitError, "would take"),
])
def test_what_cannot_be_probed_is_said_in_a_sentence(tiny_folder: Path, change: dict, error: type,
                                                     message: str) -> None:
    asked = dict(texts=texts(6), labels=list("ababab"), folds=3) | change
    with pytest.raises(error, match=message):
        look.probe(petitlm.load(tiny_folder, threads=1), **asked)
