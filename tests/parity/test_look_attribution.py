"""Attribution against finite differences, exact patches, captum, and models whose truth is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_look import random_model

from petitlm import look
from petitlm.errors import UsageError
from petitlm.look.edge_runs import EdgeRunner
from petitlm.look.edges import exact_edges
from petitlm.look.gradients.attribution import Question, estimate, layers_of
from petitlm.look.gradients.softmax import log_mean, secant_softmax
from petitlm.look.gradients.watching import Watch, put, run_rows
from petitlm.look.models import Metric
from petitlm.look.zoo.made import Made
from petitlm.model.batch import causal_scores
from petitlm.taps import full_names

CLEAN, CORRUPT = [5, 17, 40, 3, 22, 31, 9], [5, 17, 41, 3, 22, 8, 9]
METRIC = Metric(12, 33)
FAMILIES = ["phi", "llama", "gpt"]


@pytest.fixture(scope="module")
def models() -> dict[str, Made]:
    """Three families with random weights: on the engine in 32 and in 4 bits, and on the torch layers."""
    shapes = {"phi": "phi, kv groups, tied", "llama": "llama", "gpt": "gpt"}
    return {**{f"{name}{bits}": random_model(shape, bits) for name, shape in shapes.items() for bits in (32, 4)},
            **{f"{name} torch": random_model(shape, layers="torch") for name, shape in shapes.items()}}


def question(model: Made) -> Question:
    return Question(layers_of(model.runner), CORRUPT, CLEAN, METRIC)


def run_with(asked: Question, tap: str, value: torch.Tensor) -> float:
    with torch.no_grad():
        return float(run_rows(asked.decoder, asked.base, 1, METRIC, Watch([], {tap: put({0: value})}))[0])


@given(st.integers(0, 10**6), st.floats(0.1, 300), st.integers(2, 9))
def test_the_recomputed_softmax_carries_a_change_of_scores_to_the_change_of_the_pattern(
    seed: int, gain: float, width: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(width, width, generator=generator, dtype=torch.float64) * gain for _ in range(2))
    hidden = torch.ones(width, width, dtype=torch.bool).triu(1)
    a, b = (x.masked_fill(hidden, float("-inf")) for x in (a, b))
    scores = a.clone().requires_grad_()
    pattern = secant_softmax({"x.hook_attn_scores": a}, {"x.hook_attn_scores": b})("x.hook_pattern", scores)
    assert torch.equal(pattern, a.softmax(-1))
    g = torch.randn(width, width, generator=generator, dtype=torch.float64)
    pulled = torch.autograd.grad(pattern, scores, g)[0]
    assert (pulled[hidden] == 0).all()
    carried = (pulled * (b - a).nan_to_num(0.0)).sum(-1)
    assert torch.allclose(carried, (g * (b.softmax(-1) - a.softmax(-1))).sum(-1), rtol=1e-9, atol=1e-9)


def test_the_recomputed_softmax_is_the_softmax_where_nothing_changes() -> None:
    scores = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    own = {"x.hook_attn_scores": scores.detach()}
    g = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    secant = torch.autograd.grad(secant_softmax(own, own)("x.hook_pattern", scores), scores, g)[0]
    assert torch.allclose(secant, torch.autograd.grad(scores.softmax(-1), scores, g)[0], atol=1e-15)
    logs = torch.log(torch.tensor([[0.25, 0.75, 0.0]], dtype=torch.float64))
    assert torch.equal(log_mean(logs, logs), logs.exp())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tap", ["embed", "resid_post", "z", "q", "k", "v", "mlp_post", "pattern"])
def test_atp_is_the_slope_of_the_exact_effect(models: dict[str, Made], family: str, tap: str) -> None:
    model = models[family + "32"]
    asked, names = question(model), full_names(model.config, tap)
    found = estimate(model.runner, CORRUPT, CLEAN, METRIC, names, "atp")
    for name in names:
        base, change = asked.at([name])[0][name], asked.change(name)
        step = 1e-5
        slope = (run_with(asked, name, base + step * change) - run_with(asked, name, base - step * change)) / (2 * step)
        assert found.parts[name].sum() == pytest.approx(slope, rel=1e-6, abs=1e-8)
        whole = run_with(asked, name, asked.at([name])[1][name]) - asked.results[0]
        assert found.exact[name] == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_integrated_gradients_are_captums(models: dict[str, Made], family: str) -> None:
    captum = pytest.importorskip("captum.attr")
    model, name = models[family + "32"], "blocks.0.hook_resid_post"
    asked = question(model)

    def metric(x: torch.Tensor) -> torch.Tensor:
        return run_rows(asked.decoder, asked.base, len(x), METRIC, Watch([], {name: all_rows_of(x)}))

    def all_rows_of(x: torch.Tensor):
        return lambda _: x

    base, source = (x[name][None] for x in asked.at([name]))
    found = estimate(model.runner, CORRUPT, CLEAN, METRIC, [name], "ig")
    theirs = captum.IntegratedGradients(metric).attribute(source, base, n_steps=found.steps[name],
                                                          method="riemann_middle")
    assert np.allclose(found.parts[name], theirs[0].sum(-1).detach().numpy(), atol=1e-9)
    assert abs(found.gap(name)) <= 0.02 * found.scale


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["q", "k"])
def test_queries_and_keys_have_their_own_pattern_recomputed(models: dict[str, Made], family: str, kind: str) -> None:
    """Kramár et al. 2024, section 3.1, by its definition: one query or key put in, one softmax, one product."""
    model, at = models[family + "32"], "blocks.1.attn."
    asked, config = question(model), model.config
    found = estimate(model.runner, CORRUPT, CLEAN, METRIC, [f"{at}hook_{kind}"], "atp*").parts[f"{at}hook_{kind}"]
    watch = Watch([at + "hook_pattern"])
    result = run_rows(asked.decoder, CORRUPT, 1, METRIC, watch)
    g = torch.autograd.grad(result.sum(), watch.seen[at + "hook_pattern"])[0][0]
    infix = "rot_" if config.positions == "rotary" else ""
    base, source = asked.at([f"{at}hook_{infix}q", f"{at}hook_{infix}k"])
    expected = np.zeros((7, config.n_heads if kind == "q" else config.n_kv_heads))
    for head in range(config.n_heads):
        q, k = (base[f"{at}hook_{infix}{which}"][:, h] for which, h in (("q", head), ("k", head // config.group)))
        for t in (2, 4, 6):
            moved_q, moved_k = q.clone(), k.clone()
            if kind == "q":
                moved_q[t] = source[f"{at}hook_{infix}q"][t, head]
            else:
                moved_k[t] = source[f"{at}hook_{infix}k"][t, head // config.group]
            new, old = (causal_scores(x[None], y[None])[0].softmax(-1) for x, y in ((moved_q, moved_k), (q, k)))
            expected[t, head if kind == "q" else head // config.group] += float(((new - old) * g[head]).sum())
    assert np.allclose(found[[2, 4, 6]], expected[[2, 4, 6]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_confirmed_is_what_patching_finds(models: dict[str, Made], family: str) -> None:
    model = models[family + "4"]
    for over in ("heads", "neurons", "resid_post", "attn_out"):
        found = look.attribute(model, CLEAN, CORRUPT, 12, 33, over=over, confirm=5, most=30)
        exact = look.patch(model, CLEAN, CORRUPT, 12, 33, over=over, most=10**6)
        flat = dict(zip([n for row in exact.names for n in row], exact.effects.flat, strict=True))
        assert len(found.confirmed) >= 5
        assert all(c.exact == flat[c.part] for c in found.confirmed)
        assert found.checks[0].ok


def test_steps_follow_the_tolerance(models: dict[str, Made]) -> None:
    model = models["llama32"]
    gaps = {}
    for tolerance in (0.05, 1e-5):
        found = look.attribute(model, CLEAN, CORRUPT, 12, 33, over="resid_post", tolerance=tolerance)
        gaps[tolerance] = abs(found.checks[0].value), max(s.steps for s in found.sums)
        assert found.checks[0].ok
    assert gaps[1e-5][0] <= 1e-5
    assert gaps[1e-5][1] > gaps[0.05][1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", ["32", "4", " torch"])
def test_all_edges_on_are_the_model_itself(models: dict[str, Made], family: str, layers: str) -> None:
    model = models[family + layers]
    runner = EdgeRunner(model.runner, [CLEAN, CORRUPT[:5]])
    own = runner.own()
    expected = [look.make_metric(model, 12, 33)(model_logits(model, ids)) for ids in (CLEAN, CORRUPT[:5])]
    # In 4 bits what goes into a projection is rounded to 8, head by head here and all heads together there.
    bound = 0.2 if layers == "4" else 2e-5
    assert [METRIC(row) for row in own.logits] == pytest.approx(expected, abs=bound)
    other = EdgeRunner(model.runner, [CORRUPT, CLEAN[:5]]).own()
    off = runner.run(np.zeros_like(runner.graph.exists), other.outputs)
    assert off.logits == pytest.approx(other.logits, abs=1e-4)  # all edges off are the other texts


def model_logits(model: Made, ids: list[int]) -> np.ndarray:
    from petitlm.engine.runs import run_text

    return run_text(model.runner, ids, wanted="last").logits


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edge_is_a_path_that_is_patched(models: dict[str, Made], family: str) -> None:
    model = models[family + "32"]
    group = model.config.group
    for sender, over, at in (("z:0.1", "heads", (0, 1)), ("mlp_out:0", "mlp_out", (0, 0)), ("embed", "embed", (0, 0))):
        readers = [f"q:1.{group}", "k:1.1", "v:1.0", "mlp_out:1", "logits"]
        effects, off = exact_edges(model, CORRUPT, CLEAN, METRIC, [(sender, reader) for reader in readers])
        assert abs(off) < 2e-5
        for reader, effect in zip(readers, effects, strict=True):
            found = look.patch(model, CLEAN, CORRUPT, 12, 33, over=over, each=False, to=reader)
            assert effect == pytest.approx(found.effects[at], abs=3e-5), (sender, reader)


@pytest.mark.parametrize("family", FAMILIES)
def test_eap_is_the_slope_of_every_edges_exact_effect(models: dict[str, Made], family: str) -> None:
    from petitlm.look.gradients.edges import estimate_edges

    model = models[family + "32"]
    found = estimate_edges(layers_of(model.runner), CORRUPT, CLEAN, METRIC, "eap", 0.02)
    runner = EdgeRunner(model.runner, [CORRUPT])
    own, other = runner.own(), EdgeRunner(model.runner, [CLEAN]).own()
    graph, step = runner.graph, 0.02
    rng = np.random.default_rng(3)
    for r, u in rng.permutation(np.argwhere(graph.exists))[:60]:
        mask = graph.exists.copy()
        mask[r, u] = False
        slope = sum(sign * METRIC(runner.run(mask, own.outputs + sign * step * (other.outputs - own.outputs)).logits)
                    for sign in (1, -1)) / (2 * step)
        # float32 sums behind a difference of two runs a small step apart
        assert found.scores[r, u] == pytest.approx(slope, rel=0.02, abs=2e-3), (graph.senders[u], graph.readers[r])
    assert (found.scores[~graph.exists] == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_edges_from_the_embedding_add_up_to_the_whole(models: dict[str, Made], family: str) -> None:
    found = look.attribute(models[family + "32"], CLEAN, CORRUPT, 12, 33, over="edges", confirm=5)
    assert found.evidence == "approximation"
    assert found.checks[0].ok
    assert found.steps >= 15
    total = sum(score for (sender, _), score in zip(found.edges, found.scores, strict=True) if sender == "embed")
    assert total == pytest.approx(found.source - found.base, rel=0.03)
    assert look.attribute(models[family + "32"], CLEAN, CORRUPT, 12, 33, over="edges",
                          method="exact").evidence == "intervention"


@pytest.mark.parametrize(("wrong", "message"), [
    (dict(method="sharp"), "method='sharp' is not known"),
    (dict(method="eap"), "method='eap' is not known"),
    (dict(over="edges", method="ig"), "not known for edges"),
    (dict(method="ig", graddrop=True), "choose atp or atp"),
    (dict(over="everything"), "over='everything' is not known"),
    (dict(corrupt=CLEAN[:4]), "the clean text has 7 tokens"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(models: dict[str, Made], wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        look.attribute(models["phi4"], **dict(clean=CLEAN, corrupt=CORRUPT, answer=12, versus=33) | wrong)


@pytest.mark.parametrize("over", ["heads", "edges"])
def test_without_torch_it_says_what_needs_it(models: dict[str, Made], over: str, monkeypatch) -> None:
    for module in ("attribution", "edges"):
        monkeypatch.setitem(sys.modules, f"petitlm.look.gradients.{module}", None)
        monkeypatch.delattr(f"petitlm.look.gradients.{module}", raising=False)
    with pytest.raises(UsageError, match=r"gradients torch; install petitlm\[train\]"):
        look.attribute(models["phi4"], CLEAN, CORRUPT, 12, 33, over=over)
    assert look.patch(models["phi4"], CLEAN, CORRUPT, 12, 33).effects.any()  # needs neither


def test_positions_and_blocks_narrow_what_is_asked(models: dict[str, Made]) -> None:
    found = look.attribute(models["llama4"], CLEAN, CORRUPT, 12, 33, positions=[-1, 2], each=True, blocks=[1])
    whole = look.attribute(models["llama4"], CLEAN, CORRUPT, 12, 33, each=True)
    assert len(found.columns) == 2
    assert [s.tap for s in found.sums] == ["z:1"]
    flat = dict(zip([n for row in whole.names for n in row], whole.estimates.flat, strict=True))
    for names, estimates in zip(found.names, found.estimates, strict=True):
        assert [flat[name] for name in names] == pytest.approx(list(estimates))


def test_pages_and_tables_are_made(models: dict[str, Made]) -> None:
    for kind in (dict(), dict(method="atp*", graddrop=True), dict(over="edges"), dict(over="neurons", most=20)):
        found = look.attribute(models["phi4"], CLEAN, CORRUPT, 12, 33, **kind)
        assert "completeness gap" in found.table()
        assert "<svg" in found.html()
        found.to_dict()


