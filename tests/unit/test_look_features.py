"""What features say of a text and of many: each number by another way, findings that hold, commands, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm import Edit, look
from petitlm.cli import invoke
from petitlm.engine.sampling import log_softmax
from petitlm.errors import UsageError
from petitlm.look.dashboards import dashboard
from petitlm.look.dictionaries import SparseDictionary
from petitlm.look.dictionary_files import save_dictionary
from petitlm.look.features import direct_logits, features, measure, spoken_for

POST = "blocks.1.hook_resid_post"
TEXT = "look inside, twice"
TEXTS = ["one robot", "two robots look", "apples in a box", "look inside, twice", "a box in a box", "two apples"]


def made(width: int = 40, threshold: float = 1.0, tap: str = POST) -> SparseDictionary:
    rng = np.random.default_rng(3)
    w_dec = rng.normal(size=(width, 64)).astype(np.float32)
    w_dec /= np.linalg.norm(w_dec, axis=1, keepdims=True)
    return SparseDictionary("jumprelu", tap, tap, w_dec.T.copy(), np.zeros(width, np.float32), w_dec,
                            np.zeros(64, np.float32), np.full(width, threshold, np.float32))


def whole() -> SparseDictionary:
    """A dictionary that loses nothing: each axis of the value, once for each sign."""
    both = np.concatenate([np.eye(64), -np.eye(64)]).astype(np.float32)
    return replace(made(), w_enc=both.T.copy(), b_enc=np.zeros(128, np.float32), w_dec=both,
                   threshold=np.zeros(128, np.float32))


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, bits=32, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dictionaries") / "random"
    save_dictionary(made(), path)
    return path


def loss(model: petitlm.Model, text: str, edits: list[Edit]) -> tuple[float, int]:
    trace = model.trace(text, edits=edits)
    logprobs = log_softmax(trace.logits[:-1])
    return -float(logprobs[np.arange(len(trace.ids) - 1), trace.ids[1:]].sum()), len(trace.ids) - 1


def test_a_fit_is_what_the_runs_themselves_give(model: petitlm.Model) -> None:
    one = made()
    fit = measure(model, one, TEXTS)
    x = np.concatenate([model.trace(text, [POST])[POST][1:] for text in TEXTS]).astype(np.float64)
    f = one.encode(x.astype(np.float32))
    missed = ((x - one.decode(f)) ** 2).sum()
    assert fit.n_tokens == len(x)
    assert fit.explained == pytest.approx(1 - missed / ((x - x.mean(0)) ** 2).sum(), abs=1e-6)
    assert fit.active == pytest.approx((f > 0).sum(1).mean())
    assert fit.silent == pytest.approx(1 - (f > 0).any(0).mean())
    clean, n = np.sum([loss(model, text, []) for text in TEXTS], 0)
    assert fit.loss == pytest.approx(clean / n, abs=1e-5)
    zeroed = sum(loss(model, text, [Edit(POST, "zero", positions=range(1, len(text)))])[0] for text in TEXTS)
    assert fit.loss_without == pytest.approx(zeroed / n, abs=1e-5)
    spliced = 0.0
    for text in TEXTS:
        at = model.trace(text, [POST])[POST]
        edits = [Edit(POST, "replace", one.reconstruct(at[i : i + 1])[0], positions=i) for i in range(1, len(at))]
        spliced += loss(model, text, edits)[0]
    assert fit.loss_spliced == pytest.approx(spliced / n, abs=1e-4)
    assert fit.recovered is None  # random weights do better with zeros in place
    assert replace(fit, loss=1.0, loss_spliced=1.5, loss_without=3.0).recovered == pytest.approx(0.75)


def test_a_dictionary_that_loses_nothing_costs_nothing(model: petitlm.Model) -> None:
    fit = measure(model, whole(), TEXTS)
    assert fit.explained == pytest.approx(1, abs=1e-9)
    assert fit.loss_spliced == pytest.approx(fit.loss, abs=1e-6)


def test_a_text_longer_than_one_pass_is_measured_whole(long_folder: Path) -> None:
    model = petitlm.load(long_folder, bits=32, threads=1)
    text = (TEXT * 40)[:600]
    fit = measure(model, whole(), [text])
    assert fit.n_tokens == 599
    assert fit.loss_spliced == pytest.approx(fit.loss, abs=1e-6)
    clean, n = loss(model, text, [])
    assert fit.loss == pytest.approx(clean / n, abs=1e-5)


def test_direct_logits_are_those_of_the_models_own_norm_and_head(model: petitlm.Model) -> None:
    """The head's answer to a direction minus that to its opposite has neither biases nor the norm's own bias in it."""
    d = made().w_dec[:5]
    length = np.sqrt(d.var(1, keepdims=True) + model.config.norm_eps)
    through = (model.runner.readout(d) - model.runner.readout(-d)) / 2 * length
    np.testing.assert_allclose(direct_logits(model, d), through, atol=1e-4)


def test_tokens_that_nobody_can_say_are_not_spoken_for(model: petitlm.Model) -> None:
    (raises, lowers), = spoken_for(model, made(), [0], n=264)
    assert len(raises) == len(lowers) == 257  # the model has seven rows more
    row = direct_logits(model, made().w_dec[:1])[0][:257]
    assert raises[0] == model.tokenizer.decode([int(row.argmax())]).replace("\n", "↵").replace("\t", "⇥")
    assert raises == lowers[::-1]
    z = "blocks.0.attn.hook_z"
    assert spoken_for(model, made(tap=z).fitted(model.config), [0]) == [([], [])]


def test_the_features_of_a_text(model: petitlm.Model, folder: Path) -> None:
    found = features(model, folder, TEXT, top=5)
    f = made().encode(model.trace(TEXT, [POST])[POST])
    best = np.argsort(-f[1:].max(0), kind="stable")[:5]
    assert [one.index for one in found.strongest] == best.tolist()
    assert np.array_equal(found.strengths, f[:, best])
    for one in found.strongest:
        assert one.position > 0
        assert one.strength == f[one.position, one.index] == f[1:, one.index].max()
        assert one.n_tokens == (f[:, one.index] > 0).sum()
    assert found.n_active == tuple((f > 0).sum(1))
    for row, largest in zip(f, found.largest, strict=True):
        assert [strength for _, strength in largest] == sorted(row[row > 0], reverse=True)[:3]
        assert all(row[feature] == strength for feature, strength in largest)
    assert found.tokens == tuple(TEXT)
    assert "Strongest features" in found.table()
    page = found.html()
    assert page.count("<figure") >= 3 and "http" not in page.split("</style>")[1]


def test_the_features_of_many_texts(model: petitlm.Model, folder: Path) -> None:
    found = dashboard(model, folder, TEXTS, n=6, examples=2)
    f = [made().encode(model.trace(text, [POST])[POST]) for text in TEXTS]
    rest = np.concatenate([one[1:] for one in f])
    energy = (rest.astype(np.float64) ** 2).sum(0)
    assert [card.index for card in found.cards] == np.argsort(-energy, kind="stable")[:6].tolist()
    assert found.n_tokens == len(rest)
    for card in found.cards:
        assert card.density == pytest.approx((rest[:, card.index] > 0).mean())
        assert card.mean == pytest.approx(rest[:, card.index][rest[:, card.index] > 0].mean(), rel=1e-5)
        first = card.examples[0]
        assert first.strength == max(one[1:, card.index].max() for one in f)
        assert first.strength == pytest.approx(f[first.text][first.position, card.index])
        assert first.tokens[first.position - max(0, first.position - 8)] == TEXTS[first.text][first.position]
        ids = model.encode(TEXTS[first.text][: first.position + 1])
        edit = Edit(f"{POST}.sae", "zero", positions=first.position, neuron=card.index)
        clean, without = (log_softmax(model.trace(ids, edits=edits, dictionaries=[made()]).logits[-1:])[0].astype(float)
                          for edits in ([], [edit]))
        assert card.effect == pytest.approx((np.exp(clean) * (clean - without)).sum(), rel=1e-3, abs=1e-6)
        lost = np.exp(clean) - np.exp(without)
        assert card.lost_probability == pytest.approx(np.sort(lost)[::-1][: len(card.lost)], abs=1e-5)
    density = (rest > 0).mean(0)
    assert found.densities["never"] == (density == 0).sum()
    assert found.densities["above 10 %"] == (density >= 0.1).sum()
    assert sum(found.densities.values()) == 40
    assert found.html().count("Feature ") >= 6


def test_the_same_words_are_shown_once(model: petitlm.Model, folder: Path) -> None:
    found = dashboard(model, folder, [*TEXTS, *TEXTS], n=4, examples=3)
    for card in found.cards:
        shown = [tuple(e.tokens[: e.position + 1]) for e in card.examples if e.position < 8]
        assert len(set(shown)) == len(shown)


def test_chosen_features_are_those_described(model: petitlm.Model, folder: Path) -> None:
    assert [card.index for card in dashboard(model, folder, TEXTS, chosen=[7, 3]).cards] == [7, 3]
    silent = made(threshold=1e6)
    card = dashboard(model, silent, TEXTS, chosen=[2]).cards[0]
    assert (card.density, card.examples, card.effect) == (0, (), 0)
    assert dashboard(model, silent, TEXTS).cards == ()


def test_findings_about_features_hold(model: petitlm.Model, folder: Path, tmp_path: Path) -> None:
    for i, result in enumerate((features(model, folder, TEXT), dashboard(model, folder, TEXTS, n=2))):
        look.save_finding(result, tmp_path / f"{i}.json")
        again = look.replay(look.load_finding(tmp_path / f"{i}.json"), model)
        assert again.holds and again.worst == 0


def test_other_weights_are_said_with_what_they_change(model: petitlm.Model, tiny_folder: Path) -> None:
    fit = measure(model, made(), TEXTS)
    trained = replace(made(), metadata={"petit": {"digest": model.runner.digest, "bits": 32, "model": "tiny",
                                                  "held_out": fit.to_dict()}})
    assert len(features(model, trained, TEXT).checks) == 1  # the fit alone
    checks = features(petitlm.load(tiny_folder, bits=4, threads=1), trained, TEXT).checks
    assert "trained on other weights (tiny in 32 bits" in checks[-1].meaning


@pytest.mark.parametrize(("call", "words"), [
    (lambda m: features(m, made(), "x"), "no text has two"),
    (lambda m: features(m, made(), TEXT, top=0), "top=0"),
    (lambda m: features(m, made(tap="blocks.9.hook_resid_post"), TEXT), "beyond the last block"),
    (lambda m: dashboard(m, made(), TEXTS, chosen=[40]), "feature 40 is not in this dictionary"),
    (lambda m: dashboard(m, made(), TEXTS, n=0), "n=0"),
    (lambda m: dashboard(m, made(), ["", "x"]), "empty"),
])
def test_what_cannot_be_shown_is_refused(call: Callable[[petitlm.Model], object], words: str,
                                         model: petitlm.Model) -> None:
    with pytest.raises(UsageError, match=words):
        call(model)


def test_the_commands_train_show_and_refuse(tiny_folder: Path, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs torch; install petitlm[train]")
    texts, out = tmp_path / "texts.txt", str(tmp_path / "d")
    texts.write_text("\n\n".join(f"{a} {b} robots" for a in TEXTS for b in ("small", "old", "new")))
    shared = ["-m", str(tiny_folder), "-t", "1"]
    options = ["--at", "resid_post:1", "--width", "32", "--k", "4", "--steps", "20", "--batch", "64", *shared]
    assert invoke(["look", "features", "train", out, "--texts", str(texts), *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tap"] == f"{POST}.sae" and "dictionary" not in told
    assert json.loads((tmp_path / "d" / "cfg.json").read_text())["d_sae"] == 32
    assert invoke(["look", "features", "show", out, TEXT, "--html", str(tmp_path / "p.html"), *shared]) == 0
    assert "Strongest features" in capsys.readouterr().out
    assert "<figure" in (tmp_path / "p.html").read_text()
    assert invoke(["look", "features", "show", out, "--texts", str(texts), "-n", "3", *shared]) == 0
    assert "strongest example" in capsys.readouterr().out
    for arguments, code, words in (
            (["show", str(tmp_path / "none"), *shared], 3, "no folder"),
            (["show", out, TEXT, "-f", "3", *shared], 2, "over many texts"),
            (["show", out, TEXT, "-t", "1"], 2, "n_layers=2"),  # the dictionary of another model
            (["train", out, "--at", "resid_post", "--texts", str(texts), *shared], 2, "stands for 2 taps"),
            (["train", out, "--at", "resid_past:1", "--texts", str(texts), *shared], 2, "resid_past")):
        assert invoke(["look", "features", *arguments]) == code
        assert words in capsys.readouterr().err
