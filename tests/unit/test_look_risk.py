"""Risk: signs against float64 twins, the same while serving, planted errors found, judges kept and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm import look
from petitlm.engine.sampling import log_softmax
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.look.findings import load_finding, replay, save_finding
from petitlm.look.judge import Judge, evidence, fit_parts, load_judge, summary
from petitlm.look.linear import fit_logistic
from petitlm.look.risk import judge_of
from petitlm.look.risk_fit import Questions, fit_judge
from petitlm.look.signs import SIGNS, Answered, lens_blocks, signs, states_again, states_of

TEXTS = ["one and", "two, or", "three", "so we go", "x"]


@pytest.fixture(scope="module", params=["engine 4", "engine 32", "torch 32"])
def model(request: pytest.FixtureRequest, tiny_folder: Path) -> petitlm.Model:
    layers, bits = request.param.split()
    return petitlm.load(tiny_folder, layers=layers, bits=None if layers == "torch" else int(bits), threads=1)


@pytest.fixture(scope="module")
def judged(model: petitlm.Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Judge, Path, look.Result]:
    """A judge of random answers, every other one declared wrong."""
    asked = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"]
    answers = [model.generate(text, max_tokens=5).text for text in asked]
    expected = [text.strip() if i % 2 else "something else" for i, text in enumerate(answers)]
    halves = [("taught", slice(0, 32)), ("new", slice(32, 64))]
    kinds = [Questions(name, asked[half], expected[half], [t[1] for t in asked[half]]) for name, half in halves]
    found, result = fit_judge(model, *kinds, max_tokens=5)
    path = tmp_path_factory.mktemp("judges") / "risk.safetensors"
    found.save(path)
    return found, path, result


def entropy(p: np.ndarray) -> float:
    return float(-(p * np.log(p)).sum())


def test_signs_are_what_they_are_called(model: petitlm.Model) -> None:
    blocks = lens_blocks(model.config)
    assert blocks == (0, 1)
    done = model.generate(TEXTS[0], max_tokens=7, temperature=1.5, seed=3, taps=["resid_post"], speculate=None)
    answered, states = states_of(done, blocks)
    assert answered == Answered(tuple(model.encode(TEXTS[0])), done.ids)
    found = dict(zip(SIGNS, signs(model.runner, done.ids, states), strict=True))
    start, m = done.n_prompt - 1, len(done.ids)
    trace = model.trace([*answered.prompt, *done.ids], ["resid_post"])
    p = np.exp(log_softmax(trace.logits[start : start + m]))
    lens = log_softmax(model.runner.readout(trace["resid_post", 0][start : start + m]))
    top = np.sort(p, 1)
    differs = lens.argmax(1) != p.argmax(1)
    kl = (p * (np.log(p) - lens)).sum(1)
    chosen = -np.log(p[np.arange(m), done.ids])
    entropies = [entropy(row) for row in p]
    expected = [np.mean(entropies), max(entropies), chosen.mean(), chosen.max(), 1 - (top[:, -1] - top[:, -2]).min(),
                differs.mean(), differs.mean(), differs.max(), kl.mean(), kl.max()]
    np.testing.assert_allclose(list(found.values()), expected, rtol=2e-3, atol=1e-4)  # run in other batches


def test_long_answers_are_read_in_pieces_without_a_change(model: petitlm.Model) -> None:
    done = model.generate("go", max_tokens=150, logit_bias={model.tokenizer.eos_id: -100.0}, taps=["resid_post"],
                          speculate=None)
    assert len(done.ids) == 150
    answered, states = states_of(done, (0, 1))
    whole = signs(model.runner, done.ids, states)
    entropies = [entropy(np.exp(row)) for row in log_softmax(model.runner.readout(states[1]))]
    assert whole[:2] == pytest.approx([np.mean(entropies), max(entropies)], rel=1e-5)
    assert answered.answer == done.ids


@pytest.mark.parametrize(("n_layers", "blocks"), [(1, (0,)), (2, (0, 1)), (6, (3, 4, 5)), (32, (16, 19, 23, 27, 31))])
def test_lenses_are_spread_over_the_second_half(n_layers: int, blocks: tuple[int, ...], tiny_config) -> None:
    assert lens_blocks(tiny_config.with_(n_layers=n_layers)) == blocks


def test_late_means_the_last_change(tiny_folder: Path) -> None:
    """Lenses that say (other, same, other, same) than the end changed after the third of four."""
    from petitlm.look.signs import _token_signs

    class Runner:
        def readout(self, x: np.ndarray) -> np.ndarray:
            return np.eye(3, dtype=np.float32)[x[:, 0].astype(int)] * 5

    states = {b: np.array([[c]], np.float32) for b, c in enumerate((1, 2, 0, 2, 2))}
    _, _, _, differs, late, kl = _token_signs(Runner(), np.array([2]), states)  # type: ignore[arg-type]
    assert (differs[0], late[0], kl[0]) == (0.5, 0.75, 0.0)


def test_serving_gives_the_number_that_judging_afterwards_gives(model: petitlm.Model, judged: tuple) -> None:
    judge, path, _ = judged
    afterwards = look.risk(model, TEXTS, judge=path, max_tokens=5)
    for text, one in zip(TEXTS, afterwards.answers, strict=True):
        done = model.generate(text, max_tokens=5, taps=judge.taps())
        risk = judge.of(model.runner, done)
        assert done.text == one.answer
        assert risk.risk == pytest.approx(one.risk, rel=1e-3)
        if model.runner.exact:  # to the bit: same sums whatever runs together
            assert (risk.risk, dict(risk.signs)) == (one.risk, dict(one.signs))
        assert 0 < risk.risk < 1


def test_states_run_again_are_those_of_the_answer(model: petitlm.Model) -> None:
    done = model.generate(TEXTS[3], max_tokens=6, taps=["resid_post"], speculate=None)
    answered, states = states_of(done, (0, 1))
    again, = states_again(model.runner, [answered], (0, 1))
    for block in (0, 1):
        assert states[block].shape == (len(done.ids), 64)
        np.testing.assert_allclose(again[block], states[block], atol=1e-4, rtol=1e-4)


def test_random_errors_are_not_foreseen_and_the_check_says_so(judged: tuple) -> None:
    """Which answers were declared wrong has nothing to do with them: no judge may claim to know."""
    _, _, result = judged
    assert result.measured[0].n == 64
    assert result.measured[0].auroc_low < 0.65
    assert result.checks[0].value > 0.8
    assert [m.part for m in result.measured] == ["all", "taught", "new"]


def test_planted_errors_are_foreseen() -> None:
    """Answers are wrong where a direction of the states, or a sign, is large; both are found, on new groups, too."""
    rng = np.random.default_rng(0)
    n, states = 600, rng.normal(0, 1, (600, 30)).astype(np.float32)
    found = np.exp(rng.normal(0, 1, (n, len(SIGNS))))
    truth = 2.5 * states[:, 3] + 2 * np.log(found[:, 1])
    wrong = rng.random(n) < 1 / (1 + np.exp(-truth))
    groups = [i % 40 for i in range(400)]
    probe, weigh, scores = fit_parts(found[:400], states[:400], wrong[:400], groups, 0)
    p = weigh.probabilities(evidence(found[400:], probe.scores(states[400:])))[:, 1]
    from petitlm.look.calibration import auroc, brier

    best = auroc(truth[400:], wrong[400:])
    assert best is not None
    assert auroc(p, wrong[400:]) > best - 0.03  # type: ignore[operator]
    assert brier(p, wrong[400:]) < 0.7 * wrong[400:].mean() * (1 - wrong[400:].mean())
    assert np.argmax(np.abs(probe.weight[:, 0])) == 3
    assert np.argmax(np.abs(weigh.weight[:-1, 0])) == 1
    alone = fit_logistic(states[:400], wrong[:400].astype(int), 2, 300.0).scores(states[:400])
    assert auroc(scores[:, 0], wrong[:400]) < auroc(alone[:, 0], wrong[:400])  # type: ignore[operator]


def test_a_judge_is_kept_and_another_models_is_refused(model: petitlm.Model, judged: tuple, tiny_folder: Path) -> None:
    judge, path, _ = judged
    again, done = load_judge(path), model.generate("and", max_tokens=4, taps=judge.taps())
    assert again.of(model.runner, done) == judge.of(model.runner, done)
    assert again.facts == json.loads(json.dumps(judge.facts))
    with pytest.raises(UsageError, match="fitted for other weights"):
        look.risk(petitlm.load(tiny_folder, bits=8, threads=1), TEXTS, judge=path)
    with pytest.raises(UsageError, match="made without taps"):
        judge.of(model.runner, model.generate("and", max_tokens=4))


def test_a_damaged_judge_is_refused(judged: tuple, tmp_path: Path) -> None:
    whole = judged[1].read_bytes()
    for change in ((b"entropy_max", b"entropy_mux"), (b"weigh.bias", b"weigh.bios"), (b"petit_risk", b"petit_rusk")):
        damaged = tmp_path / f"{change[1].decode()}.safetensors"  # a file that is open must keep its bytes
        damaged.write_bytes(whole.replace(*change))
        with pytest.raises(DamagedError, match="is no judge that this petit can use"):
            load_judge(damaged)


def test_a_finding_holds_and_its_result_is_plain(model: petitlm.Model, judged: tuple, tmp_path: Path) -> None:
    expected = [model.generate(text, max_tokens=5).text.strip() for text in TEXTS[:3]] + ["no", "no"]
    result = look.risk(model, TEXTS, expected=expected, groups=list("aabbc"), parts=list("ppqqq"), judge=judged[1],
                       max_tokens=5)
    assert [a.right for a in result.answers] == [True] * 3 + [False] * 2
    assert [(m.part, m.n, m.n_wrong) for m in result.measured] == [("all", 5, 2), ("p", 2, 0), ("q", 3, 2)]
    assert result.measured[1].auroc is None
    save_finding(result, tmp_path / "f.json")
    assert replay(load_finding(tmp_path / "f.json"), model).holds
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "AUROC" in result.table()
    assert "<html" in result.html()
    assert "<html" in look.risk(model, TEXTS, judge=judged[1], max_tokens=3).html()


def test_what_cannot_be_judged_is_said_in_a_sentence(tiny_folder: Path, judged: tuple) -> None:
    model = petitlm.load(tiny_folder, threads=1)
    with pytest.raises(NotFoundError, match="no judge lies beside"):
        look.risk(model, TEXTS)
    with pytest.raises(UsageError, match="no texts are given"):
        look.risk(model, [])
    with pytest.raises(UsageError, match="5 texts have 1 expected"):
        look.risk(model, TEXTS, expected=["a"])
    with pytest.raises(UsageError, match="2 questions \\(few\\) have 1 answers and 2 groups"):
        Questions("few", ["a", "b"], ["c"], ["g", "h"])
    few = Questions("few", TEXTS, ["no"] * 5, TEXTS)
    with pytest.raises(UsageError, match="at least 10 wrong and 10 right"):
        fit_judge(model, few, few, max_tokens=3)


def test_the_judge_beside_a_model_is_found(model: petitlm.Model, judged: tuple, tmp_path: Path) -> None:
    (tmp_path / "risk.safetensors").write_bytes(judged[1].read_bytes())
    name, model.name = model.name, str(tmp_path)
    try:
        assert judge_of(model).digest == model.runner.digest
    finally:
        model.name = name


def test_a_summary_has_the_first_the_mean_and_the_last() -> None:
    states = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert summary(states).tolist() == [0, 1, 2, 3, 4, 5]
