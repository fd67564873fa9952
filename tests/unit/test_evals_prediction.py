"""The arithmetic of predicted speeds, on rates that are easy to follow; probes and verdicts on a small machine."""

from __future__ import annotations

import pytest

from petitlm.engine.cache import cache_bytes
from petitlm.engine.formats import Packed
from petitlm.engine.kernels import available_isas, make_kernels
from petitlm.engine.packing import pack_weights
from petitlm.evals import prediction
from petitlm.evals.doctor import Heads, Kernels, Subject, compiler_of, examine, judge, more_problems
from petitlm.evals.prediction import Attention, Rates, on_curve
from petitlm.evals.probes import Probes
from petitlm.evals.system import System
from petitlm.families import PRESETS

PHI = PRESETS["phi-2"]
LAYER, HEAD = prediction.layer_bytes(PHI, 4), prediction.head_bytes(PHI, 4)
RATES = Rates(decode_layer=((float(LAYER), 0.001),),
              prefill_layer={64: ((1e6, 0.0001), (float(prediction.layer_weights(PHI)), 0.02)),
                             256: ((1e6, 0.0004), (float(prediction.layer_weights(PHI)), 0.05))},
              head_bytes_per_s=HEAD / 0.001, step_s=0.0003, token_s=0.0005)
FREE = Attention(0.0, 0.0)


def test_times_are_interpolated_on_logarithmic_axes() -> None:
    curve = ((10.0, 1.0), (1000.0, 100.0), (10000.0, 500.0))
    assert on_curve(curve, 10) == on_curve(curve, 3) == 1.0, "fixed work does not shrink"
    assert on_curve(curve, 100) == pytest.approx(10)
    assert on_curve(curve, 1000) == pytest.approx(100)
    assert on_curve(curve, 20000) == 1000.0, "twice the size, twice the time"


def test_a_token_takes_its_layers_its_head_and_its_attention() -> None:
    alone = 0.0005 + 0.0003 + 32 * 0.001 + 0.001
    assert prediction.decode_seconds(PHI, 4, RATES, FREE, 100) == pytest.approx(alone)
    looking = Attention(1e-6, 0.0)
    assert prediction.decode_seconds(PHI, 4, RATES, looking, 100) == pytest.approx(alone + 32 * 100e-6)
    half = PHI.with_(n_layers=16)
    assert prediction.decode_seconds(half, 4, RATES, FREE, 1) == pytest.approx(alone - 16 * 0.001)


def test_a_prompt_takes_its_chunks() -> None:
    fixed = 0.0005 + 0.001

    def seconds(n: int, attention: Attention = FREE) -> float:
        return prediction.prefill_seconds(PHI, 4, RATES, attention, n, 256)

    assert seconds(256) == pytest.approx(fixed + 0.0003 + 32 * 0.05)
    assert seconds(512) == pytest.approx(fixed + 2 * (0.0003 + 32 * 0.05))
    assert seconds(64) == pytest.approx(fixed + 0.0003 + 32 * 0.02)
    assert seconds(160) == pytest.approx(fixed + 0.0003 + 32 * 0.035), "half-way between 64 and 256 tokens"
    assert seconds(512, Attention(0.0, 1e-9)) == pytest.approx(seconds(512) + 32 * 256 * 256e-9)


def test_fresh_cache_costs_its_bytes() -> None:
    rates = Rates(**{**RATES.__dict__, "fresh_s_per_byte": 1e-9})
    more = cache_bytes(PHI, 1, 256, "f16") * 1e-9
    assert prediction.prefill_seconds(PHI, 4, rates, FREE, 256, 256) == pytest.approx(
        prediction.prefill_seconds(PHI, 4, RATES, FREE, 256, 256) + more)


def test_speeds_are_tokens_by_seconds() -> None:
    first, second = prediction.predict(PHI, 4, RATES, FREE, [128, 256], 256)
    assert (first.context, second.context) == (128, 256)
    assert second.prefill_tokens_per_s == 256 / prediction.prefill_seconds(PHI, 4, RATES, FREE, 256, 256)
    assert first.decode_tokens_per_s == 1 / prediction.decode_seconds(PHI, 4, RATES, FREE, 128)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_bytes_are_those_that_the_engine_keeps(tiny_folder, bits: int) -> None:
    from petitlm.checkpoint import open_checkpoint

    source = open_checkpoint(tiny_folder)
    weights = pack_weights(source, bits, make_kernels(1))
    sizes = {name: w.data.nbytes if isinstance(w, Packed) else w.nbytes for name, w in weights.items()}
    assert prediction.weight_bytes(source.config, bits) == sum(sizes.values())
    assert prediction.layer_bytes(source.config, bits) == sum(
        size for name, size in sizes.items() if name.startswith("blocks.1."))
    assert prediction.head_bytes(source.config, bits) == sizes["unembed.weight"]


def test_what_fits_is_judged_with_the_cache() -> None:
    subject = Subject("phi-2", PHI)
    attention: dict[Heads, Attention] = {(32, 32, 80, 8, "f16"): FREE}
    whole = prediction.memory_bytes(PHI, 4, PHI.n_ctx)
    fit = judge(subject, 4, whole, RATES, attention)
    assert (fit.fits, fit.context_that_fits) == (True, 2048)
    assert [speed.context for speed in fit.speeds] == [128, 1024, 2048]
    assert fit.weight_bytes + fit.cache_bytes == whole
    less = judge(subject, 4, whole - fit.cache_bytes // 2, RATES, attention)
    assert (less.fits, less.context_that_fits) == (False, 1024)
    assert [speed.context for speed in less.speeds] == [128, 1024]
    none = judge(subject, 4, fit.weight_bytes - 1, RATES, attention)
    assert (none.fits, none.context_that_fits, none.speeds) == (False, 0, ())
    unknown = judge(subject, 4, None, None, {})
    assert (unknown.fits, unknown.context_that_fits, unknown.speeds) == (None, None, ())


def test_problems_that_only_measuring_shows() -> None:
    system = System("x", "y", (), 2, None, 2, None, {}, None, None, None, None, None, None)
    no_fit = judge(Subject("phi-2", PHI), 4, 1 << 20, None, {})
    built = Kernels("plain", ("plain",), None, None)
    assert more_problems(built, 0.1, 2, system, ()) == []
    found = more_problems(Kernels(None, (), None, None), 0.7, 4, system, (no_fit,))
    for sentence, said in zip(found, ("The C++ kernels were not built", "4 threads share 2 cores",
                                      "Other programs took 0.7 cores", "None of these models fits"), strict=True):
        assert sentence.startswith(said)
        assert sentence.endswith(".")


def test_a_library_names_its_compiler() -> None:
    assert compiler_of(b"\0GCC: (Debian 12.2.0-14) 12.2.0\0") == "GCC 12.2.0"
    assert compiler_of(b"\0Ubuntu clang version 18.1.3 (1)\0") == "Clang 18.1.3"
    assert compiler_of(b"\x7fELF") is None


@pytest.mark.skipif(not available_isas(), reason="the kernels were not built")
def test_probes_give_rates_that_rise_with_size() -> None:
    probes = Probes(make_kernels(1), last_cache_bytes=1 << 20, patience_s=0.001)
    rates = probes.rates(4, 0.0)
    for curve in (rates.decode_layer, *rates.prefill_layer.values()):
        assert len(curve) == 3
        assert 0 < curve[0][1] < curve[2][1], "a layer of phi-2 takes longer than one of the default model"
    assert all(few[1] < many[1] for few, many in zip(*rates.prefill_layer.values(), strict=True))
    attention = probes.attention(PRESETS["gpt2"], "f16")
    assert 0 <= attention.decode_s_per_position < 1e-3
    assert 0 < attention.prefill_s_per_token_position < 1e-3
    speed = probes.matmul("q8")
    assert min(speed.prefill_op_per_s, speed.decode_bytes_per_s) > 1e6


def test_without_kernels_nothing_is_measured_and_the_rest_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petitlm.engine.kernels.native", None)
    found = examine([Subject("phi-2", PHI)], [4, 32], 1, 0.0)
    assert found.kernels == Kernels(None, (), None, None)
    assert (found.read_bytes_per_s, found.matmul) == ({}, ())
    assert [(fit.bits, fit.speeds) for fit in found.models] == [(4, ()), (32, ())]
    assert any(sentence.startswith("The C++ kernels were not built") for sentence in found.problems)
