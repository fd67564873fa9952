"""The front door: loading in every format, answers, scores, traces, edits, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.engine.packing import PACKED, quantize
from petitlm.engine.sampling import log_softmax
from petitlm.errors import ContextError, DamagedError, NotFoundError, UsageError

TEXT = "The quick brown fox"


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> petitlm.Model:
    return petitlm.load(tiny_folder, threads=1)


@pytest.fixture(scope="module")
def packed_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "tiny-q4"
    quantize(open_checkpoint(tiny_folder), folder, 4, 1)
    return folder


def test_names_load_on_first_use() -> None:
    assert set(petitlm.__all__) <= set(dir(petitlm))
    for name in petitlm.__all__:
        assert getattr(petitlm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = petitlm.nothing


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_every_format_answers(tiny_folder: Path, bits: int) -> None:
    model = petitlm.load(tiny_folder, bits=bits, threads=1)
    assert model.bits == bits
    assert model.logits(model.encode(TEXT)).shape == (len(TEXT), 264)
    assert model.generate(TEXT, max_tokens=5).n_generated == 5


def test_a_packed_folder_is_the_model_packed_in_memory(model: petitlm.Model, packed_folder: Path) -> None:
    packed = petitlm.load(packed_folder, threads=1)
    assert packed.bits == 4 and packed.card == model.card and packed.prompt == model.prompt
    np.testing.assert_array_equal(packed.logits(packed.encode(TEXT)), model.logits(model.encode(TEXT)))


def test_packing_reports_what_it_lost(tiny_folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = quantize(open_checkpoint(tiny_folder), tmp_path / "q8", 8, 1, lambda *call: seen.append(call[:2]))
    assert report["bytes"] == (tmp_path / "q8" / PACKED).stat().st_size
    assert 0 < max(report["errors"].values()) < 0.01
    assert seen[0][0] == 0 and seen[-1] == (seen[0][1], seen[0][1])
    assert sorted(p.name for p in (tmp_path / "q8").iterdir()) == \
        ["README.md", "config.json", "packed.safetensors", "tokenizer.json", "tokenizer_config.json"]


def test_packing_leaves_foreign_files_alone_and_nothing_behind(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        quantize(open_checkpoint(tiny_folder), tmp_path / "mine", 4, 1)

    def stop(done: int, total: int, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(open_checkpoint(tiny_folder), tmp_path / "new", 4, 1, stop)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_threads_and_company_change_no_token(model: petitlm.Model) -> None:
    options = dict(max_tokens=12, temperature=1.0, seed=5)
    alone = model.generate(TEXT, **options).ids
    assert model.generate(TEXT, n=3, **options).choices[0].ids == alone
    assert model.generate(TEXT, threads=2, **options).ids == alone
    model.set_threads(1)
    assert model.threads == 1
    assert len({a.ids for a in model.generate(TEXT, n=3, **options).choices}) == 3


def test_ids_without_text_are_never_made(model: petitlm.Model) -> None:
    made = model.generate(TEXT, max_tokens=60, temperature=10.0, n=4, logprobs=100)
    assert max(id for a in made.choices for id in a.ids) <= 256
    assert all(id <= 256 for a in made.choices for c in a.logprobs for id, _ in c.top)


def test_streaming_is_the_answer_in_pieces(model: petitlm.Model) -> None:
    stream = model.stream(TEXT, max_tokens=10, temperature=1.0, seed=2)
    assert "".join(stream) == stream.result.text == model.generate(TEXT, max_tokens=10, temperature=1.0, seed=2).text


@pytest.mark.parametrize("layers", ["engine", "torch"])
def test_a_growing_conversation_runs_only_what_is_new(tiny_folder: Path, layers: str) -> None:
    if layers == "torch":
        pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    model, fresh = (petitlm.load(tiny_folder, bits=32, layers=layers, threads=1) for _ in range(2))
    first = model.generate(TEXT, max_tokens=20)
    text = model.encode(TEXT) + list(first.ids) + model.encode(" and then")
    second = model.generate(text, max_tokens=150)  # longer than the first session was made for
    assert (first.n_reused, second.n_reused) == (0, len(TEXT) + 19)  # the last token was chosen, never run
    assert second.ids == fresh.generate(text, max_tokens=150).ids
    other = model.generate(TEXT[:5] + "x", max_tokens=5)
    assert (other.n_reused, other.ids) == (5, fresh.generate(TEXT[:5] + "x", max_tokens=5).ids)


def test_reusing_a_cache_changes_no_bit(tiny_folder: Path) -> None:
    model, fresh = (petitlm.load(tiny_folder, threads=1) for _ in range(2))
    text = model.encode(TEXT) + list(model.generate(TEXT, max_tokens=20).ids)
    reused, expected = (m.generate(text, max_tokens=20, logprobs=5) for m in (model, fresh))
    assert reused.n_reused > 0
    assert reused.logprobs == expected.logprobs


def test_an_abandoned_or_doubled_stream_spoils_nothing(model: petitlm.Model) -> None:
    expected = model.generate(TEXT, max_tokens=9).ids
    abandoned = model.stream(TEXT, max_tokens=9)
    next(abandoned)
    abandoned.close()
    one, two = model.stream(TEXT, max_tokens=9), model.stream(TEXT, max_tokens=9)
    list(zip(one, two, strict=False))
    list(one), list(two)
    assert one.result.ids == two.result.ids == model.generate(TEXT, max_tokens=9).ids == expected


def test_scores_are_sums_of_log_probabilities(model: petitlm.Model) -> None:
    rows = model.logits(model.encode(TEXT + " runs"))
    rows[:, model.forbidden] = -np.inf
    expected = log_softmax(rows[len(TEXT) - 1 : -1])[np.arange(5), model.encode(" runs")].sum()
    [score, nothing] = model.score(TEXT, [" runs", ""])
    assert score == pytest.approx(expected, abs=1e-4)
    assert nothing == 0


def test_a_trace_has_what_was_asked_for(model: petitlm.Model) -> None:
    names = ["blocks.1.attn.hook_pattern", "hook_embed"]
    trace = model.trace(TEXT, taps=names)
    assert sorted(trace) == sorted(names) and len(trace) == 2
    assert trace["blocks.1.attn.hook_pattern"].shape == (4, len(TEXT), len(TEXT))
    np.testing.assert_array_equal(trace.logits, model.logits(trace.ids))
    with pytest.raises(KeyError, match="was not kept"):
        _ = trace["logits"]


def test_traces_run_past_one_chunk_whole(model: petitlm.Model) -> None:
    ids = [65] * 250
    np.testing.assert_array_equal(model.trace(ids, ["hook_embed"]).logits, model.logits(ids))


@pytest.mark.parametrize(("op", "value", "check"), [
    ("zero", None, lambda x, y: (y == 0).all()),
    ("scale", 2.0, lambda x, y: np.array_equal(y, 2 * x)),
    ("add", 1.5, lambda x, y: np.array_equal(y, x + np.float32(1.5))),
    ("replace", np.arange(64), lambda x, y: np.array_equal(y, np.broadcast_to(np.arange(64), x.shape))),
    ("mean", None, lambda x, y: np.ptp(y, axis=0).max() == 0),
    ("project_out", np.arange(64), lambda x, y: np.abs(y @ np.arange(64)).max() < 1e-2),
])  # fmt: skip
def test_edits(model: petitlm.Model, op: str, value: object, check) -> None:
    tap, positions = "blocks.0.hook_mlp_out", (2, 5)
    plain = model.trace(TEXT, [tap])
    edited = model.trace(TEXT, [tap], [petitlm.Edit(tap, op, value, positions)])
    others = [i for i in range(len(TEXT)) if i not in positions]
    np.testing.assert_array_equal(edited[tap][others], plain[tap][others])
    assert check(plain[tap][list(positions)], edited[tap][list(positions)])
    np.testing.assert_array_equal(edited.logits[:2], plain.logits[:2])  # what came before is untouched
    assert not np.array_equal(edited.logits[2:], plain.logits[2:])
    whole = model.trace(TEXT, [tap], [petitlm.Edit(tap, op, value)])
    assert check(plain[tap], whole[tap])


def test_editing_a_pattern_changes_who_looks_where(model: petitlm.Model) -> None:
    tap, n = "blocks.0.attn.hook_pattern", len(TEXT)
    first = np.zeros((4, n), np.float32)
    first[:, 0] = 1  # every head looks at the first token only
    taps = ["blocks.0.attn.hook_z", "blocks.0.attn.hook_v"]
    trace = model.trace(TEXT, taps, [petitlm.Edit(tap, "replace", first)])
    v = trace["blocks.0.attn.hook_v"][0].astype(np.float16)  # 4-bit models keep values in fp16
    np.testing.assert_array_equal(trace["blocks.0.attn.hook_z"], np.broadcast_to(v.astype(np.float32), (n, 4, 16)))


def test_edits_are_the_same_on_torch_layers(tiny_folder: Path) -> None:
    pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    edits = [petitlm.Edit("blocks.0.attn.hook_z", "zero", positions=(3,)),
             petitlm.Edit("blocks.1.mlp.hook_post", "scale", 0.5)]
    taps = ["blocks.1.hook_resid_post", "blocks.1.attn.hook_pattern"]
    engine, torch = (petitlm.load(tiny_folder, bits=32, layers=layers, threads=1).trace(TEXT, taps, edits)
                     for layers in ("engine", "torch"))
    np.testing.assert_allclose(engine.logits, torch.logits, atol=1e-4)
    for tap in taps:
        np.testing.assert_allclose(engine[tap], torch[tap], atol=1e-4)


def test_torch_layers_answer_as_the_engine_does(tiny_folder: Path) -> None:
    pytest.importorskip("torch", reason="the torch layers; petitlm[train] has it")
    ours, torch = (petitlm.load(tiny_folder, bits=32, layers=layers, threads=1).generate(TEXT, max_tokens=12, n=2)
                   for layers in ("engine", "torch"))
    assert ours.ids == torch.ids


@pytest.mark.parametrize(("tap", "message"), [
    ("blocks.0.hook_resid_mid", "run in parallel"),
    ("blocks.7.hook_resid_pre", "blocks 0 to 1"),
    ("blocks.0.attn.hook_patern", r"did you mean blocks\.0\.attn\.hook_pattern"),
    ("hook_pos_embed", "not known"),
])  # fmt: skip
def test_taps_that_cannot_be_are_refused_with_the_reason(model: petitlm.Model, tap: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model.trace(TEXT, [tap])


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda f: petitlm.load(f, bits=5), UsageError, "bits=5"),
    (lambda f: petitlm.load(f, layers="jax"), UsageError, "layers='jax'"),
    (lambda f: petitlm.load(f, layers="torch", bits=4), UsageError, "bits=4"),
    (lambda f: petitlm.load(f, threads=-1), UsageError, "threads=-1"),
    (lambda f: petitlm.load(f, context=999), UsageError, "context=999 is not possible; this model allows 1 to 256"),
    (lambda f: petitlm.load(f, isa="sse9"), UsageError, "isa='sse9'"),
    (lambda f: petitlm.load("nowhere"), NotFoundError, "nowhere"),
    (lambda f: petitlm.load(f).generate(""), UsageError, "prompt is empty"),
    (lambda f: petitlm.load(f).logits([]), UsageError, "text is empty"),
    (lambda f: petitlm.load(f).logits([264]), UsageError, "token id 264"),
    (lambda f: petitlm.load(f).logits([0] * 257), ContextError, "257 tokens and the context 256"),
    (lambda f: petitlm.load(f).generate("a" * 300), ContextError, "300 tokens and the context 256"),
    (lambda f: petitlm.Edit("logits", "explode"), UsageError, "op='explode'"),
    (lambda f: petitlm.Edit("logits", "add"), UsageError, "needs a value"),
    (lambda f: petitlm.load(f).trace("abc", edits=[petitlm.Edit("hook_embed", "add", [1.0, 2.0])]), UsageError,
     "does not fit"),
])  # fmt: skip
def test_mistakes_are_told_in_one_sentence(tiny_folder: Path, call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call(tiny_folder)


def test_a_packed_folder_keeps_its_bits(packed_folder: Path) -> None:
    with pytest.raises(UsageError, match="packed in 4 bits and bits=8"):
        petitlm.load(packed_folder, bits=8)


@pytest.mark.parametrize("harm", ["cut", "config", "missing", "prompt", "tokenizer"])
def test_damaged_packed_folders_are_told(packed_folder: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in packed_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if harm == "cut":
        (folder / PACKED).write_bytes((folder / PACKED).read_bytes()[:-100])
    if harm == "config":
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"intermediate_size": 128', '"intermediate_size": 160'))
    if harm == "prompt":
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"prompt": "qa"', '"prompt": ["qa"]'))
    if harm == "tokenizer":  # one id more than the embedding has rows
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"]["vocab"]["one too many"] = 264
        (folder / "tokenizer.json").write_text(json.dumps(content))
    if harm == "missing":
        (folder / "tokenizer.json").unlink()
    with pytest.raises(NotFoundError if harm == "missing" else DamagedError):
        petitlm.load(folder)


def test_what_does_not_fit_is_refused_before_it_is_taken(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from petitlm import sizes

    monkeypatch.setattr(sizes, "available_memory", lambda: 200_000)
    with pytest.raises(petitlm.PetitError, match=r"32 bits needs .* are available; what fits: bits=") as caught:
        petitlm.load(tiny_folder, bits=32)
    assert caught.value.exit_code == 4
    with pytest.raises(petitlm.PetitError, match="key and value cache"):
        petitlm.load(tiny_folder, bits=4).generate(TEXT, n=64, max_tokens=200)


def test_the_numpy_twins_run_a_model_alone(tiny_folder: Path) -> None:
    twin, model = petitlm.load(tiny_folder, bits=32, isa="numpy"), petitlm.load(tiny_folder, bits=32)
    np.testing.assert_allclose(twin.logits(twin.encode(TEXT)), model.logits(model.encode(TEXT)), atol=1e-4)
    assert petitlm.load(tiny_folder, isa="numpy").generate(TEXT, max_tokens=3).n_generated == 3
