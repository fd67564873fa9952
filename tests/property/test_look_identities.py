"""What must hold inside any model, whatever it has learned: on every family, both sets of layers, every format.

The numbers I1 to I14 are those of the project's list of identities. I9 and I10 are held through the front door, too, in
test_look_generation.py and test_look_runs.py.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from petitlm.config import ModelConfig
from petitlm.decoder import tap_names
from petitlm.engine.edits import Edit
from petitlm.engine.formats import SPAN
from petitlm.engine.kernels import Floats, available_isas
from petitlm.engine.reference import dequantize, quantize_activations, unpack
from petitlm.engine.runner import as_ints
from petitlm.engine.runs import Runner, run_text, run_texts, run_variants
from petitlm.engine.tapped import TappedSession
from petitlm.engine.trace import Keep, Trace
from petitlm.taps import by_head
from tests_runners import ALL_BITS, ENGINES, EVERY, assert_same_bits, engine, ids_of, runner, torch_layers
from tests_shapes import SHAPES

N = 19
ON_EVERY = pytest.mark.parametrize(("name", "layers"), EVERY)
ON_ENGINE = pytest.mark.parametrize(("name", "bits"), ENGINES)
ON_SHAPES = pytest.mark.parametrize("name", SHAPES)
# Without compiled kernels the engine is its NumPy twin, whose matrix products round with the company.
EXACT = bool(available_isas())


@cache
def traced(name: str, layers: int | str, double: bool = False) -> Trace:
    """Return a run of a text with every tap."""
    model = torch_layers(name, double=True) if double else runner(name, layers)
    return run_text(model, ids_of(name), tap_names(SHAPES[name]))


def near(ours: Floats, expected: Floats, bound: float) -> None:
    """At most `bound` apart, of the largest expected value where that is above 1."""
    worst = np.abs(np.asarray(ours, np.float64) - expected).max()
    assert worst <= bound * max(1.0, np.abs(expected).max()), worst


def same(layers: int | str, ours: Floats, expected: Floats) -> None:
    """The same bits on one set of layers, run in the same shape."""
    if layers == "torch" or EXACT:
        assert_same_bits(ours, expected)
    else:
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@ON_EVERY
def test_i1_the_residual_stream_is_the_sum_of_what_is_written_to_it(name: str, layers: int | str) -> None:
    for double, bound in ((False, 1e-5), (True, 1e-12)):
        if double and layers != "torch":
            continue
        config, trace = SHAPES[name], traced(name, layers, double)
        start = trace["hook_embed"] + (trace["hook_pos_embed"] if config.positions == "learned" else 0)
        near(trace[("resid_pre", 0)], start, bound)
        for i in range(config.n_layers):
            pre, post = trace[("resid_pre", i)], trace[("resid_post", i)]
            near(post, pre.astype(np.float64) + trace[("attn_out", i)] + trace[("mlp_out", i)], bound)
            assert np.abs(trace[("attn_out", i)]).max() > 1e-2 < np.abs(trace[("mlp_out", i)]).max()
            if not config.parallel_block:
                near(trace[("resid_mid", i)], pre.astype(np.float64) + trace[("attn_out", i)], bound)
            if i:
                same(layers, pre, trace[("resid_post", i - 1)])


@ON_EVERY
def test_i2_a_pattern_is_a_distribution_over_what_came_before(name: str, layers: int | str) -> None:
    trace, later = traced(name, layers), ~np.tri(N, dtype=bool)
    for i in range(SHAPES[name].n_layers):
        pattern, scores = trace[("pattern", i)], trace[("scores", i)]
        np.testing.assert_allclose(pattern.sum(-1, dtype=np.float64), 1, atol=1e-6)
        assert (pattern >= 0).all() and not pattern[:, later].any()
        assert np.isneginf(scores[:, later]).all() and np.isfinite(scores[:, ~later]).all()
        exponents = np.exp(scores - scores.max(-1, keepdims=True), dtype=np.float64)
        near(pattern, exponents / exponents.sum(-1, keepdims=True), 1e-6)


def stored(v: Floats, layers: int | str) -> Floats:
    """Return values (T, G, K) as the cache gives them back."""
    if layers in (8, 16):
        return v.astype(np.float16).astype(np.float64)
    if layers == 4:  # int8, one scale for each token's value in a head
        top = np.abs(v).max(-1, keepdims=True)
        return np.rint(v * (np.float32(127) / top)) * (top * np.float32(1 / 127)).astype(np.float64)
    return v.astype(np.float64)


def fed(x: Floats, model: Runner, weight: str) -> tuple[Floats, Floats]:
    """Return activations as a packed product takes them, and its matrix, in float64."""
    packed = model.weights[weight] if model.kind == "engine" else None  # type: ignore[attr-defined]
    if packed is None:
        return x.astype(np.float64), model.weight(weight).astype(np.float64)
    columns, span = unpack(packed)[0].shape[1], SPAN.get(packed.format)
    if unpack(packed)[1] is None:
        return x.astype(np.float64), dequantize(packed).astype(np.float64)
    q, scales = quantize_activations(x, columns, span)
    return (q * np.repeat(scales, span, axis=1))[:, : packed.columns], dequantize(packed).astype(np.float64)


@ON_EVERY
def test_i3_heads_mix_values_and_add_up_to_the_attention(name: str, layers: int | str) -> None:
    model, config, trace = runner(name, layers), SHAPES[name], traced(name, layers)
    h, k = config.n_heads, config.d_head
    for i in range(config.n_layers):
        values = np.repeat(stored(trace[("v", i)], layers), config.group, axis=1)
        near(trace[("z", i)], np.einsum("hts,shk->thk", trace[("pattern", i)].astype(np.float64), values), 1e-5)
        z, w = fed(trace[("z", i)].reshape(N, h * k), model, f"blocks.{i}.attn.o.weight")
        heads = np.einsum("thk,dhk->thd", z.reshape(N, h, k), w.reshape(-1, h, k))
        bias = model.weight(f"blocks.{i}.attn.o.bias") if config.out_bias else 0
        near(trace[("attn_out", i)], heads.sum(1) + bias, 1e-5)


def vote(x: Floats, stream: Floats, model: Runner, direction: Floats, *, constant: bool) -> Floats:
    """Return what a part x (T, D) of the stream adds to the logits along `direction`, the final scale as it was."""
    config, w = model.config, model.weight("ln_final.weight").astype(np.float64)
    x, stream = x.astype(np.float64), stream.astype(np.float64)
    if config.norm == "layer":
        x, stream = x - x.mean(-1, keepdims=True), stream - stream.mean(-1, keepdims=True)
    scaled = x / np.sqrt((stream**2).mean(-1, keepdims=True) + config.norm_eps) * w
    if constant and config.norm == "layer":
        scaled = scaled + model.weight("ln_final.bias")
    return scaled @ direction


def parts_of(config: ModelConfig, trace: Trace) -> list[Floats]:
    names = ["hook_embed", *(["hook_pos_embed"] if config.positions == "learned" else [])]
    return [trace[n] for n in names] + [trace[(n, i)] for i in range(config.n_layers) for n in ("attn_out", "mlp_out")]


@ON_EVERY
def test_i4_what_every_part_adds_to_a_logit_difference_adds_up_to_it(name: str, layers: int | str) -> None:
    for double, bound in ((False, 1e-5), (True, 1e-12)):
        if double and layers != "torch":
            continue
        model, config = torch_layers(name, double=True) if double else runner(name, layers), SHAPES[name]
        trace, head = traced(name, layers, double), "embed.weight" if config.tied else "unembed.weight"
        exact = model.decoder.get_parameter(head).detach().numpy() if double else model.weight(head)  # type: ignore[attr-defined]
        direction = exact[3].astype(np.float64) - exact[5]
        stream, parts = trace[("resid_post", config.n_layers - 1)], parts_of(config, trace)
        votes = np.array([vote(part, stream, model, direction, constant=False) for part in parts])
        votes = [*votes, vote(np.zeros_like(stream), stream, model, direction, constant=True)]  # the norm's own bias
        if config.unembed_bias:
            bias = model.weight("unembed.bias").astype(np.float64)
            votes = [*votes, np.full(N, bias[3] - bias[5])]
        total = np.sum(votes, axis=0)
        difference = trace["logits"][:, 3].astype(np.float64) - trace["logits"][:, 5]
        size = np.abs(votes).sum(0).max()
        if layers != "torch":  # what the head does not see of the stream, where it takes 8 bits of it
            normalized = trace["ln_final.hook_normalized"]
            difference = difference + (normalized - fed(normalized, model, head)[0]) @ direction
        assert np.abs(total - difference).max() <= bound * size
        assert np.abs(difference).max() > 0.1


@ON_EVERY
def test_i5_the_lens_at_the_last_layer_is_the_answer(name: str, layers: int | str) -> None:
    model, trace = runner(name, layers), traced(name, layers)
    stream = trace[("resid_post", SHAPES[name].n_layers - 1)]
    same(layers, model.readout(stream), trace.logits)
    if layers != "torch":  # rows of their own, too
        same(layers, model.readout(stream[[4]]), trace.logits[[4]])
        same(layers, model.readout(stream[::3]), trace.logits[::3])


@ON_EVERY
def test_i6_looking_changes_nothing(name: str, layers: int | str) -> None:
    model, ids = runner(name, layers), ids_of(name)
    plain = run_text(model, ids).logits
    same(layers, traced(name, layers).logits, plain)
    same(layers, traced(name, layers)["logits"], plain)
    for tap in tap_names(SHAPES[name]):
        same(layers, run_text(model, ids, [tap]).logits, plain)
        same(layers, run_text(model, ids, [tap])[tap], traced(name, layers)[tap])


@ON_EVERY
def test_i7_patching_a_run_with_itself_changes_nothing(name: str, layers: int | str) -> None:
    model, ids, trace = runner(name, layers), ids_of(name), traced(name, layers)
    own = {tap: trace[tap].swapaxes(0, 1) if by_head(tap) else trace[tap] for tap in tap_names(SHAPES[name])}
    for edits in ([Edit(tap, "replace", value) for tap, value in own.items()], [Edit(tap, "scale", 1) for tap in own],
                  [Edit(tap, "add", 0.0) for tap in own]):
        again = run_text(model, ids, list(own), edits)
        same(layers, again.logits, trace.logits)
        for tap in own:
            same(layers, again[tap], trace[tap])
    for tap, value in own.items():
        same(layers, run_text(model, ids, edits=[Edit(tap, "replace", value)]).logits, trace.logits)


@ON_EVERY
def test_i8_the_whole_stream_of_another_text_gives_its_answer(name: str, layers: int | str) -> None:
    model, config, clean = runner(name, layers), SHAPES[name], traced(name, layers)
    corrupt = ids_of(name, seed=1)
    streams = ["resid_pre", "resid_post"] + ([] if config.parallel_block else ["resid_mid"])
    variants = [[Edit((s, i), "replace", clean[(s, i)])] for s in streams for i in range(config.n_layers)]
    assert not np.allclose(run_text(model, corrupt).logits, clean.logits)
    for variant in variants:
        same(layers, run_text(model, corrupt, edits=variant).logits, clean.logits)
    if layers != "torch":
        for trace in run_variants(model, corrupt, variants, wanted="all"):
            same(layers, trace.logits, clean.logits)


def edits_of(config: ModelConfig) -> list[Edit]:
    direction = np.random.default_rng(4).normal(size=config.d_model)
    return [Edit(("z", 0), "scale", -1.0, head=1), Edit(("resid_post", 0), "project_out", direction),
            Edit(("mlp_post", 1), "zero", neuron=(0, 3), positions=(0, 2)), Edit(("k", 1), "add", 0.5, positions=1),
            Edit(("pattern", 1), "scale", 0.1, neuron=0), Edit("embed", "add", direction / 10, positions=0)]


@ON_EVERY
def test_i9_token_by_token_is_all_at_once_with_taps_and_edits(name: str, layers: int | str) -> None:
    config, model, ids = SHAPES[name], runner(name, layers), ids_of(name)
    for edits in ([], edits_of(config)):
        whole = run_text(model, ids, tap_names(config), edits)
        session = TappedSession(model.session(1, N), config, edits, tap_names(config))
        rows = [session.step(as_ints(ids[:7]), as_ints(range(7)), as_ints([0] * 7))]
        rows += [session.step(as_ints([ids[i]]), as_ints([i]), as_ints([0])) for i in range(7, N)]
        trace = session.trace(ids, rows[-1])
        assert trace is not None
        for a, b in [(np.concatenate(rows), whole.logits), *((trace[tap], whole[tap]) for tap in whole)]:
            assert a.shape == b.shape
            if layers != "torch" and EXACT:
                assert_same_bits(a, b)
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@ON_EVERY
def test_i10_company_of_other_lengths_changes_nothing(name: str, layers: int | str) -> None:
    config, model = SHAPES[name], runner(name, layers)
    texts = [ids_of(name, n, n) for n in (5, 19, 3, 11)]
    for edits in ([], edits_of(config)):
        for ids, trace in zip(texts, run_texts(model, texts, tap_names(config), edits, wanted="all"), strict=True):
            alone = run_text(model, ids, tap_names(config), edits)
            for a, b in [(trace.logits, alone.logits), *((trace[tap], alone[tap]) for tap in alone)]:
                assert a.shape == b.shape
                if layers != "torch" and EXACT:
                    assert_same_bits(a, b)
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@ON_SHAPES
def test_i11_small_edits_have_the_effect_that_the_gradient_says(name: str) -> None:
    """Effects come from edits of NumPy values, gradients from autograd: in float64, of the same weights."""
    import torch

    model, config, ids = torch_layers(name, double=True), SHAPES[name], ids_of(name)
    decoder, rng = model.decoder, np.random.default_rng(0)  # type: ignore[attr-defined]
    watched: dict[str, torch.Tensor] = {}

    class Watch:
        def __call__(self, tap: str, value: torch.Tensor) -> torch.Tensor:
            watched[tap] = value
            value.retain_grad()
            return value

        def wants(self, _: str) -> bool:
            return True

    metric = decoder.rows(torch.tensor([ids]))
    logits = decoder(metric, Watch())[0, -1]
    (logits[3] - logits[5]).backward()

    def effect(edit: Edit) -> float:
        row = run_text(model, ids, [Keep("logits", at=-1)], [edit])["logits"][0]
        return float(row[3] - row[5])

    for tap in tap_names(config):
        if tap == "logits":
            continue
        gradient = watched[tap].grad[0].numpy()
        gradient = gradient.swapaxes(0, 1) if by_head(tap) else gradient
        d = rng.normal(size=gradient.shape)
        if by_head(tap):
            d[np.broadcast_to(~np.tri(N, dtype=bool)[:, None], d.shape)] = 0
        e = 1e-5
        measured = (effect(Edit(tap, "add", e * d)) - effect(Edit(tap, "add", -e * d))) / (2 * e)
        expected = float((np.where(d, gradient, 0) * d).sum())
        assert measured == pytest.approx(expected, rel=1e-4, abs=1e-7), tap


@ON_SHAPES
@pytest.mark.parametrize("layers", [4, 32, "torch"])
def test_i12_what_a_path_of_gradients_adds_up_to_is_the_exact_effect(name: str, layers: int | str) -> None:
    """The steps are chosen by the gap itself; the exact effect is run here once more, by edits in float64."""
    torch = pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    from tests_look import random_model

    from petitlm import look
    from petitlm.look.gradients.decoders import decoder_of
    from petitlm.model import TorchRunner

    model = random_model(name, 32 if layers == "torch" else int(layers), "torch" if layers == "torch" else "engine")
    twin = TorchRunner(decoder_of(model.runner, torch.float64))
    clean, corrupt = [5, 9, 3, 7, 2, 8, 4, 11], [5, 9, 6, 7, 2, 1, 4, 11]

    def effect(*edits: Edit) -> float:
        row = run_text(twin, corrupt, [Keep("logits", at=-1)], edits)["logits"][0]
        return float(row[3] - row[5])

    for over in ("heads", "mlp_out"):
        found = look.attribute(model, clean, corrupt, 3, 5, over=over, method="ig", confirm=2)
        gap = next(check for check in found.checks if check.name.startswith("completeness gap"))
        assert gap.ok and gap.bound == 0.02 and "completeness gap" in found.table()
        for part in found.sums:
            source = run_text(twin, clean, [part.tap])[part.tap]
            exact = effect(Edit(part.tap, "replace", source)) - effect()
            assert part.exact == pytest.approx(exact, abs=1e-4)
            assert abs(part.estimated - exact) <= 0.02 * max(abs(exact), 0.01), (over, part)
    edges = look.attribute(model, clean, corrupt, 3, 5, over="edges", confirm=0)
    gap = next(check for check in edges.checks if check.name.startswith("completeness gap"))
    whole = effect(*(Edit(("resid_pre", 0), "replace", run_text(twin, clean, [("resid_pre", 0)])[("resid_pre", 0)]),)) \
        - effect()
    left = sum(score for (sender, _), score in zip(edges.edges, edges.scores, strict=True) if "embed" in sender)
    assert gap.ok and abs(left - whole) <= 0.02 * abs(whole)


@ON_SHAPES
def test_i13_the_engine_in_float32_is_the_torch_layers_with_taps_and_edits(name: str) -> None:
    config, ids = SHAPES[name], ids_of(name)
    for edits in ([], edits_of(config)):
        ours, theirs = (run_text(m, ids, tap_names(config), edits) for m in (engine(name, 32), torch_layers(name)))
        for a, b in [(ours.logits, theirs.logits), *((ours[tap], theirs[tap]) for tap in theirs)]:
            np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
            near(np.where(np.isfinite(a), a, 0), np.where(np.isfinite(b), b, 0), 5e-5)


def distance(a: Floats, b: Floats) -> float:
    """Return |a - b| / |b|, root mean squares, of what is finite."""
    seen = np.isfinite(b)
    np.testing.assert_array_equal(seen, np.isfinite(a))
    return float(np.linalg.norm(a[seen] - b[seen]) / np.linalg.norm(b[seen]))


FORMATS = {4: 0.04, 8: 0.03, 16: 2e-3, 32: 5e-6}
"""How far a tap may be from torch layers with the same numbers as weights, of its size: 4 and 8 bits round what goes
into a product to 8 bits, and into the cache to 8 and 16; 16 bits the cache alone; 32 bits the order of sums. Measured:
at most 0.021 and 0.017 on random models, 0.027 and 0.018 on petit's own (its last patterns); 8e-4; 2e-6."""


@ON_ENGINE
def test_i14_a_format_costs_what_it_says_at_every_tap(name: str, bits: int) -> None:
    config, ids = SHAPES[name], ids_of(name, 60)
    ours, theirs = (run_text(m, ids, tap_names(config)) for m in (engine(name, bits), torch_layers(name, bits)))
    worst = {tap: distance(ours[tap], theirs[tap]) for tap in theirs}
    assert max(worst.values()) <= FORMATS[bits], worst
    assert bits == 32 or max(worst.values()) > FORMATS[bits] / 20, "a bound that says something"


TEXTS = (
    "Instruct: What is 12 + 30?\nOutput: 12 + 30 = 42.",
    "Instruct: The book is in the kitchen. The lamp is in the garden. Where is the book?\nOutput: The book is in the "
    "kitchen.",
    "Instruct: Combien font 7 + 15 ?\nOutput: 7 + 15 = 22.",
    "Instruct: What is three plus four?\nOutput: Three plus four is seven.",
    "Instruct: Where is the ball? Tom put the ball in the bag.\nOutput: The ball is in the bag.",
    "Instruct: What is 481 + 209?\nOutput: 481 + 209 = 690.",
    "Instruct: Combien font trois plus huit ?\nOutput: Trois plus huit font onze.",
    "Instruct: Turn left, then go forward two steps.\nOutput: left forward forward",
)


@pytest.mark.parametrize("bits", ALL_BITS)
def test_i14_the_lens_says_the_same_on_petits_own_model(bits: int) -> None:
    pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    import petitlm
    from petitlm.look.gradients.decoders import decoder_of
    from petitlm.model import TorchRunner

    model = petitlm.load(bits=bits, threads=1)
    ours, theirs = model.runner, TorchRunner(decoder_of(model.runner))
    agree: list[bool] = []
    for text in TEXTS:
        a, b = (run_text(m, model.encode(text), tap_names(model.config)) for m in (ours, theirs))
        assert max(distance(a[tap], b[tap]) for tap in b) <= FORMATS[bits]
        for i in range(model.config.n_layers):
            top = [m.readout(trace[("resid_post", i)]).argmax(-1) for m, trace in ((ours, a), (theirs, b))]
            agree += (top[0] == top[1]).tolist()
    assert np.mean(agree) >= (0.99 if bits < 16 else 0.999), np.mean(agree)
