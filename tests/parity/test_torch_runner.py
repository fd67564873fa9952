"""Torch layers against themselves: watched or not, in rows or in slots, at once or bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from petitlm.config import ModelConfig, RopeScaling
from petitlm.decoder import NO_TAP, tap_names
from petitlm.errors import ContextError, ShapeError
from petitlm.model import Decoder, TorchRunner
from petitlm.model.batch import Cache
from petitlm.model.greedy import greedy
from petitlm.model.rotary import apply_rotary

PHI = ModelConfig(n_layers=2, d_model=30, n_heads=3, d_head=10, d_mlp=44, n_vocab=37, n_ctx=24, n_rotary=4,
                  tied=True, unembed_bias=True)
LLAMA = ModelConfig(n_layers=2, d_model=40, n_heads=4, n_kv_heads=2, d_head=10, d_mlp=36, n_vocab=37, n_ctx=24,
                    n_rotary=10, norm="rms", parallel_block=False, gated_mlp=True, activation="silu", qkv_bias=False,
                    out_bias=False, mlp_bias=False, family="llama", rope_scaling=RopeScaling("llama3", 4.0, 8))
GPT = ModelConfig(n_layers=2, d_model=32, n_heads=2, d_head=16, d_mlp=40, n_vocab=37, n_ctx=24, positions="learned",
                  parallel_block=False, tied=True, family="gpt")
SHAPES = pytest.mark.parametrize("config", [PHI, LLAMA, GPT], ids=["phi", "llama", "gpt"])

# The same float32 sums in another order: matrix products of another height may be cut up differently.
ROUNDING = 2e-6


class Keep:
    """A tap that asks for everything and changes nothing."""

    def __init__(self) -> None:
        self.seen: dict[str, object] = {}

    def __call__(self, name: str, value: object, /) -> object:
        self.seen[name] = value
        return value

    def wants(self, name: str, /) -> bool:
        return True


class Replace(Keep):
    """A tap that puts one value in another's place."""

    def __init__(self, name: str, change) -> None:
        super().__init__()
        self.name, self.change = name, change

    def __call__(self, name: str, value, /):
        return self.change(value) if name == self.name else value


def make(config: ModelConfig) -> Decoder:
    decoder = Decoder(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.normal_(0.3 if weight.ndim == 1 else 0.0, 0.3, generator=generator)
    return decoder


def ids(rows: int, width: int) -> torch.Tensor:
    return torch.randint(37, (rows, width), generator=torch.Generator().manual_seed(5))


def step(session, sequence, start: int, slot: int = 0, wanted=None, tap=NO_TAP) -> np.ndarray:
    n = len(sequence)
    return session.step(np.array(sequence), np.arange(start, start + n), np.full(n, slot), wanted, tap)


@SHAPES
@torch.no_grad()
def test_taps_change_no_bit(config: ModelConfig) -> None:
    decoder, tap = make(config), Keep()
    assert torch.equal(decoder.logits(ids(3, 11), tap), decoder.logits(ids(3, 11)))
    assert list(tap.seen) == tap_names(config)


@SHAPES
def test_taps_change_no_bit_of_the_gradient(config: ModelConfig) -> None:
    decoder = make(config)
    gradients = []
    for tap in (NO_TAP, Keep()):
        decoder.zero_grad()
        decoder.logits(ids(2, 7), tap).logsumexp(-1).sum().backward()
        gradients.append([weight.grad.clone() for weight in decoder.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@SHAPES
@torch.no_grad()
def test_what_a_tap_returns_is_what_runs_on(config: ModelConfig) -> None:
    decoder = make(config)
    plain = decoder.logits(ids(2, 7))
    for name in tap_names(config):
        # Scores are moved at one key only: softmax does not see a shift of them all.
        change = (lambda x: x * torch.tensor([0.0] + [1.0] * 6)) if name.endswith("attn_scores") else (lambda x: x * 2)
        if name.endswith("hook_attn_scores"):
            change = lambda x: torch.where(torch.arange(7) == 0, x + 1, x)  # noqa: E731
        assert not torch.equal(decoder.logits(ids(2, 7), Replace(name, change)), plain), name


@SHAPES
@torch.no_grad()
def test_no_position_sees_a_later_one(config: ModelConfig) -> None:
    decoder, text = make(config), ids(2, 9)
    changed = text.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 37
    before, after = decoder.logits(text), decoder.logits(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5], after[:, 5])


@SHAPES
@torch.no_grad()
def test_a_cache_continues_rows(config: ModelConfig) -> None:
    decoder, text, cache = make(config), ids(3, 12), Cache()
    parts = [decoder(decoder.rows(text[:, begin:end], cache)) for begin, end in ((0, 5), (5, 6), (6, 12))]
    assert torch.allclose(torch.cat(parts, 1), decoder.logits(text), atol=ROUNDING, rtol=1e-5)


@SHAPES
@torch.no_grad()
def test_a_session_runs_mixed_sequences_as_rows_do(config: ModelConfig) -> None:
    decoder = make(config)
    session = TorchRunner(decoder).session(slots=3, length=24)
    a, b = ids(2, 10).tolist()
    alone_a, alone_b = (decoder.logits(torch.tensor([x]))[0].numpy() for x in (a, b))
    near = dict(atol=ROUNDING, rtol=1e-5)
    np.testing.assert_allclose(step(session, a[:6], 0, slot=7), alone_a[:6], **near)
    # The rest of a between the tokens of b, in one call, logits of three asked for.
    mixed, slots, positions = [*b[:3], *a[6:8], *b[3:5]], [2, 2, 2, 7, 7, 2, 2], [0, 1, 2, 6, 7, 3, 4]
    got = session.step(np.array(mixed), np.array(positions), np.array(slots), np.array([2, 4, 6]))
    np.testing.assert_allclose(got, np.stack([alone_b[2], alone_a[7], alone_b[4]]), **near)


@SHAPES
@torch.no_grad()
def test_a_session_shows_taps_the_values_that_rows_have(config: ModelConfig) -> None:
    decoder, text, rows, flat = make(config), ids(1, 8), Keep(), Keep()
    decoder.logits(text, rows)
    step(TorchRunner(decoder).session(1, 8), text[0].tolist(), 0, tap=flat)
    assert list(flat.seen) == list(rows.seen)
    for name, value in flat.seen.items():
        np.testing.assert_allclose(value, rows.seen[name][0].numpy(), atol=ROUNDING, rtol=1e-5, err_msg=name)


@torch.no_grad()
def test_a_session_takes_over_what_a_tap_returns() -> None:
    decoder, text = make(PHI), ids(1, 8)
    name = "blocks.1.mlp.hook_post"
    expected = decoder.logits(text, Replace(name, lambda x: x * 0))[0].numpy()
    got = step(TorchRunner(decoder).session(1, 8), text[0].tolist(), 0, tap=Replace(name, np.zeros_like))
    np.testing.assert_allclose(got, expected, atol=ROUNDING, rtol=1e-5)


@torch.no_grad()
def test_a_copied_sequence_goes_its_own_way() -> None:
    decoder, text = make(PHI), ids(1, 8)[0].tolist()
    session = TorchRunner(decoder).session(2, 24)
    step(session, text, 0)
    session.copy(0, 1, 5)
    other = [*text[:5], 3, 4]
    near = dict(atol=ROUNDING, rtol=1e-5)
    np.testing.assert_allclose(step(session, [3, 4], 5, slot=1), decoder.logits(torch.tensor([other]))[0, 5:], **near)
    longer = [*text, 9]
    np.testing.assert_allclose(step(session, [9], 8), decoder.logits(torch.tensor([longer]))[0, 8:], **near)


@torch.no_grad()
def test_positions_say_what_is_valid() -> None:
    decoder = make(PHI)
    session = TorchRunner(decoder).session(1, 24)
    step(session, [1, 2, 3, 4, 5], 0)
    expected = decoder.logits(torch.tensor([[1, 2, 9, 8]]))[0, 2:]
    np.testing.assert_allclose(step(session, [9, 8], 2), expected, atol=ROUNDING, rtol=1e-5)
    with pytest.raises(ContextError, match=r"slot 0 holds 4 tokens, but positions \[5\] were given"):
        step(session, [1], 5)


def test_what_does_not_fit_is_refused() -> None:
    decoder = make(PHI)
    with pytest.raises(ContextError, match="25 tokens do not fit in n_ctx=24"):
        decoder.logits(ids(1, 25))
    with pytest.raises(ShapeError, match=r"give \(rows, positions\)"):
        decoder.logits(ids(1, 5)[0])
    with pytest.raises(ShapeError, match="2P=12 rotary features do not fit in heads of K=10"):
        apply_rotary(torch.zeros(1, 1, 10), torch.ones(1, 6), torch.zeros(1, 6))
    with pytest.raises(ContextError, match="25 tokens do not fit"):
        step(TorchRunner(decoder).session(1, 25), [1] * 25, 0)


@SHAPES
@torch.no_grad()
def test_greedy_answers_are_the_likeliest_tokens_one_by_one(config: ModelConfig) -> None:
    decoder = make(config)
    prompts = [[1, 2, 3], [4], [5, 6, 7], [8, 9], [10, 11, 12, 13]]
    end = 5
    expected = []
    for prompt in prompts:
        answer: list[int] = []
        while end not in answer and len(answer) < 8:
            answer.append(int(decoder.logits(torch.tensor([prompt + answer]))[0, -1].argmax()))
        expected.append([token for token in answer if token != end])
    assert greedy(decoder, prompts, 8, [end], rows=2) == expected


@torch.no_grad()
def test_greedy_stops_where_the_context_is_full() -> None:
    assert len(greedy(make(PHI), [[1] * 20], 100, [])[0]) == 4


@torch.no_grad()
def test_attention_is_computed_in_float32_even_in_half_precision() -> None:
    decoder = make(PHI).half()
    for block in decoder.blocks:  # dot products of 1e6 and more: beyond float16
        block.attn.q.weight.mul_(400)
        block.attn.k.weight.mul_(400)
    tap = Keep()
    logits = decoder.logits(ids(1, 8), tap)
    assert tap.seen["blocks.0.attn.hook_attn_scores"].abs()[..., 0].max() > 65504  # float16's largest
    assert logits.isfinite().all()
